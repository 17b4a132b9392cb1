"""What registries are asked with."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from evener import _native


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """What a registry is asked with: a user and a password (etcd; HTTP basic authentication for Consul), or a token (Consul's
    ACL token, a bearer token for Kubernetes), and TLS. Without any, registries are asked with what their usual environment
    variables say (``CONSUL_HTTP_TOKEN``, ...).

    Files are read again while they are in use, within a minute: tokens and certificates may rotate. ``tls`` alone trusts the
    system's certificates; any of ``ca_file``, ``cert_file``, ``key_file`` and ``server_name`` switches it on too. Immutable;
    its representation shows neither password nor token. ``ConfigError`` where it makes no sense.

    >>> import evener
    >>> evener.Credentials(user="reader", password="secret", ca_file="/etc/etcd/ca.pem")
    Credentials(user='reader', password=***, ca_file='/etc/etcd/ca.pem')
    """

    user: str | None = None
    password: str | None = field(default=None, metadata={"secret": True})
    password_file: str | os.PathLike[str] | None = None
    token: str | None = field(default=None, metadata={"secret": True})
    token_file: str | os.PathLike[str] | None = None
    tls: bool = False
    ca_file: str | os.PathLike[str] | None = None
    cert_file: str | os.PathLike[str] | None = None
    key_file: str | os.PathLike[str] | None = None
    server_name: str | None = None

    def __post_init__(self) -> None:
        _native.check_credentials(self)

    def __repr__(self) -> str:
        given = [name for name, each in self.__dataclass_fields__.items() if getattr(self, name) != each.default]
        return f"Credentials({', '.join(f'{name}={self._shown(name)}' for name in given)})"

    def _shown(self, name: str) -> str:
        return "***" if self.__dataclass_fields__[name].metadata.get("secret") else repr(getattr(self, name))
