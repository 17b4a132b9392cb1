"""How servers are probed."""

from __future__ import annotations

import os
from dataclasses import KW_ONLY, dataclass

from evener import _native


@dataclass(frozen=True)
class Probe:
    """How servers are probed, where the registry knows nothing of their health: DNS, written lists, a bare etcd prefix. One
    that fails gets no calls from then on, and calls again when it passes. Immutable; ``ConfigError`` where it makes no sense.

    - ``kind``: ``tcp`` connects; ``http:/path`` or ``http::8081/path`` is answered with 200 to 299; ``grpc`` or
      ``grpc:service`` asks the health service's Check; ``grpc-watch`` or ``grpc-watch:service`` is told by its Watch, which
      counts at once.
    - ``interval``: seconds from one check of a server to the next, varied by the part ``jitter`` (0 to 1); ``timeout``: the
      longest a check may take.
    - ``rise``, ``fall``: checks in a row that must succeed before a server that was out is back, and fail before it is out.
    - ``concurrency``: checks that may run at the same time, over all servers.
    - ``fail_open``: none is out where none passes, since a wrong check must not stop a service.
    - ``tls``: TLS for HTTP and gRPC; any of the files (PEM) and ``server_name`` switches it on too.

    >>> import evener
    >>> evener.Discovery(probe=evener.Probe("http:/health", interval=2)).probe.fall
    3
    >>> evener.Discovery(probe="tcp").probe
    'tcp'
    """

    kind: str = "tcp"
    _: KW_ONLY
    interval: float = 10.0
    timeout: float = 3.0
    rise: int = 2
    fall: int = 3
    concurrency: int = 64
    jitter: float = 0.1
    fail_open: bool = True
    tls: bool = False
    ca_file: str | os.PathLike[str] | None = None
    cert_file: str | os.PathLike[str] | None = None
    key_file: str | os.PathLike[str] | None = None
    server_name: str | None = None

    def __post_init__(self) -> None:
        _native.check_probe(self)
