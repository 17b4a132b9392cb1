"""How targets are watched."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from evener import _native
from evener._credentials import Credentials
from evener._probe import Probe

# They may have a password or token in them.
_TARGETS = ("fallback_target", "service_config_source")


@dataclass(frozen=True, kw_only=True)
class Discovery:
    """How the target of a channel or of ``evener.watch`` is followed: what is held back, for how long, and what registries are
    asked with.

    The defaults are those of a careful operator: no outage of a registry takes a healthy service away. Times are seconds, and 0
    is "not at all". Immutable; ``ConfigError`` names a field that makes no sense, TypeError one of another type. No password and no
    token of a target is in its representation.

    - ``initial_timeout``: how long the first calls wait for the target's first answer before they fail; 0 or None: for ever.
      Calls that wait for ready go on waiting.
    - ``fallback_target``: a target to use while the main one has never answered.
    - ``empty_hold``: how long a set that becomes empty stays as it was before the emptiness is believed. Not at the first
      answer.
    - ``removal_epoch``: an endpoint that the registry no longer names leaves after one to two of these.
    - ``max_drop_percent``: how many of the endpoints one epoch may take out, 1 to 100. What the registry, read in full an epoch
      later, still does not name leaves however many that are.
    - ``debounce``: how long it must be quiet before changes count that come soon after others.
    - ``max_stale``: after how long what is known counts as stale though nothing went wrong; None: never. With ``drop_stale`` it
      is no longer used then, where the registry cannot be asked.
    - ``snapshot_dir``: where the last known endpoints are kept for a start at which the registry is down; None keeps nothing.
      Of what the system's resolver says nothing is kept, unless the servers are probed. ``snapshot_max_age``: how old it may be
      to be used; 0 or None: however old.
    - ``zone``, ``region``: where this client runs, for policies that prefer their own; None: what ``EVENER_ZONE`` and
      ``EVENER_REGION`` say.
    - ``credentials``: what registries are asked with; None: what the environment says.
    - ``dns_servers``: whom to ask, in this order (``10.0.0.2``, ``[::1]:53``); empty: the system's. ``system_dns`` asks the
      system's resolver (``getaddrinfo``) instead.
    - ``service_config_from_dns``: takes a service config from TXT records. Off, since whoever can write there can turn the
      traffic.
    - ``service_config_source``: a key whose value is the service config, live: ``consul:///config/user-service``. The first
      calls wait for it, unless it cannot be asked, for as long as ``initial_timeout`` says.
    - ``probe``: how servers are probed, where the registry knows nothing of their health: ``tcp``, ``http:/path``, ``grpc``, or
      a `Probe`; None: not at all.

    >>> import evener
    >>> evener.Discovery(removal_epoch=5, dns_servers=["127.0.0.1:5353"]).empty_hold
    30.0
    """

    initial_timeout: float | None = 5.0
    fallback_target: str | None = None
    empty_hold: float = 30.0
    removal_epoch: float = 10.0
    max_drop_percent: int = 50
    debounce: float = 0.1
    max_stale: float | None = None
    drop_stale: bool = False
    snapshot_dir: str | os.PathLike[str] | None = None
    snapshot_max_age: float | None = 7 * 86400.0
    zone: str | None = None
    region: str | None = None
    credentials: Credentials | None = None
    dns_servers: Sequence[str] = ()
    system_dns: bool = False
    service_config_from_dns: bool = False
    service_config_source: str | None = None
    probe: str | Probe | None = None

    def __post_init__(self) -> None:
        _native.check_discovery(self)

    def __repr__(self) -> str:
        return f"Discovery({', '.join(f'{name}={self._shown(name)}' for name in self.__dataclass_fields__)})"

    def _shown(self, name: str) -> str:
        value = getattr(self, name)
        return repr(_native.redact(value) if name in _TARGETS and value else value)
