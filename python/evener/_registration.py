"""Servers that register themselves, and stay registered."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any, Literal

from evener import _native, _polling
from evener._credentials import Credentials
from evener._native import ConfigError

_LOG = logging.getLogger("evener")


@dataclass(frozen=True, kw_only=True)
class Service:
    """What is registered, as the compiled half reads it. Not shown: a definition may hold a token."""

    definition: str | _native.Definition | None = field(default=None, repr=False)
    name: str | None = None
    port: int | None = None
    host: str | None = None
    id: str | None = None
    weight: int = 1
    priority: int = 0
    zone: str | None = None
    region: str | None = None
    tags: Sequence[str] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    checks: str | None = field(default=None, repr=False)
    ttl: float = 30.0


class Registration:
    """A server's record in a registry, kept there until this is closed or the process ends; ``evener.register`` makes it.
    Thread-safe.

    It is written, kept alive, read back now and then, and written again whenever it is gone, however long the registry was
    away. As a context manager, also an asynchronous one, it ends in the right order: marked as leaving, `drain` seconds, taken
    away. Made before a fork, it raises ``RuntimeError`` in the child: the server is the parent's.

    >>> import evener
    >>> with evener.register("etcd://127.0.0.1:1/services", name="user", port=50051, deadline=0) as registration:
    ...     registration.state
    'registering'
    >>> registration.state
    'closed'
    """

    def __init__(self, native: _native.Registration, drain: float, deadline: float) -> None:
        self._native = native
        self._drain = drain
        self._deadline = deadline

    @property
    def state(self) -> Literal["registering", "registered", "lost", "draining", "closed"]:
        """``registering``: not in the registry yet. ``registered``. ``lost``: it was, and as far as is known it is not now; it
        will be again. ``draining``: marked as leaving. ``closed``."""
        return self._native.state

    @property
    def warnings(self) -> list[str]:
        """What of a definition has no effect, each with its place; mostly nothing. Also logged."""
        return self._native.warnings

    def status(self) -> dict[str, Any]:
        """Where it stands and what was counted: ``state``, ``since_seconds``, ``cause``, ``target``, ``id``, ``address``,
        ``remark``, ``last_error``, and ``publications_total``, ``beats_total``, ``repairs_total``, ``errors_total``. The remark is
        what is odd though nothing went wrong: that no address was found but the loopback one, say. Holds no secret.

        >>> import evener
        >>> with evener.register("etcd://127.0.0.1:1/services", name="user", port=50051, deadline=0) as registration:
        ...     registration.status()["publications_total"]
        0
        """
        return dict(json.loads(self._native.status()))

    def wait(self, timeout: float | None = None) -> bool:
        """Waits until it is in the registry; False after `timeout` seconds, or when it is over. `status` says why it is not.

        >>> import evener
        >>> with evener.register("etcd://127.0.0.1:1/services", name="user", port=50051, deadline=0) as registration:
        ...     registration.wait(timeout=0.01)
        False
        """
        return self._native.wait(timeout)

    async def wait_async(self, timeout: float | None = None) -> bool:
        """As `wait`, on an event loop.

        >>> import asyncio, evener
        >>> with evener.register("etcd://127.0.0.1:1/services", name="user", port=50051, deadline=0) as registration:
        ...     asyncio.run(registration.wait_async(timeout=0.01))
        False
        """
        return bool(await _polling.until(self._is_up, timeout))

    def update(self, *, weight: int | None = None, metadata: Mapping[str, str] | None = None) -> None:
        """Changes the weight, the metadata (all of it), or both, in place: the record keeps its id and its lease.

        >>> import evener
        >>> with evener.register("etcd://127.0.0.1:1/services", name="user", port=50051, deadline=0) as registration:
        ...     registration.update(weight=5, metadata={"version": "v2"})
        """
        self._native.update(weight, None if metadata is None else dict(metadata))

    def drain(self) -> None:
        """Marks the server as leaving: clients give it no new calls. It stays registered until it is closed.

        >>> import evener
        >>> with evener.register("etcd://127.0.0.1:1/services", name="user", port=50051, deadline=0) as registration:
        ...     registration.drain()
        ...     registration.state
        'draining'
        """
        self._native.drain()

    def close(self, *, drain: float | None = None, deadline: float | None = None) -> bool:
        """Ends it in the right order and waits for that: marked as leaving, `drain` seconds from the first such mark, taken
        away, which may take `deadline` seconds; None is what `evener.register` was told. False where the registry could not be
        asked: it forgets the server after its time to live. Closing twice does no harm.

        >>> import evener
        >>> registration = evener.register("etcd://127.0.0.1:1/services", name="user", port=50051)
        >>> closed = registration.close(drain=0, deadline=0)
        >>> registration.state
        'closed'
        """
        seconds = self._end(drain, deadline)
        _open.discard(self)
        return self._native.close(*seconds)

    async def close_async(self, *, drain: float | None = None, deadline: float | None = None) -> bool:
        """As `close`, on an event loop.

        >>> import asyncio, evener
        >>> registration = evener.register("etcd://127.0.0.1:1/services", name="user", port=50051)
        >>> closed = asyncio.run(registration.close_async(deadline=0))
        >>> registration.state
        'closed'
        """
        seconds = self._end(drain, deadline)
        _open.discard(self)
        if self._is_inherited():
            return True
        self._native.begin_close(*seconds)
        await _polling.until(lambda: (True,) if self.state == "closed" else None, sum(seconds) + 0.5)
        return self._native.withdrawn()

    def __enter__(self) -> Registration:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    async def __aenter__(self) -> Registration:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close_async()

    def __repr__(self) -> str:
        return f"<evener.Registration {'inherited' if self._is_inherited() else self.state}>"

    def _is_inherited(self) -> bool:
        """Whether it was made before a fork, and this is the child."""
        try:
            _ = self._native.state
        except RuntimeError:
            return True
        return False

    def _is_up(self) -> tuple[bool] | None:
        # What is draining is in the registry as well.
        return (True,) if self._native.wait(0) else (False,) if self.state == "closed" else None

    def _end(self, drain: float | None, deadline: float | None) -> tuple[float, float]:
        return (
            self._drain if drain is None else _seconds("drain", drain),
            self._deadline if deadline is None else _seconds("deadline", deadline),
        )


def _seconds(field: str, value: float) -> float:
    """The same, if it can be a time: it is needed only when the registration ends, which is too late to refuse it."""
    return _native.check_seconds(f"registration: {field}", value)


# A server stays registered though nobody keeps the object: until it is closed, or the process ends.
_open: set[Registration] = set()


def register(
    target: str,
    *,
    name: str | None = None,
    port: int | None = None,
    host: str | None = None,
    id: str | None = None,
    weight: int = 1,
    priority: int = 0,
    zone: str | None = None,
    region: str | None = None,
    tags: Sequence[str] = (),
    metadata: Mapping[str, str] | None = None,
    checks: Sequence[Mapping[str, Any]] = (),
    ttl: float = 30.0,
    definition: Mapping[str, Any] | str | None = None,
    wait_for_listening: bool = False,
    verify_interval: float = 30.0,
    credentials: Credentials | None = None,
    drain: float = 0.0,
    deadline: float = 5.0,
) -> Registration:
    """Registers a server, in the background, from now until the registration is closed or the process ends: at
    ``etcd:///`` (below a prefix: ``etcd:///PREFIX``), or at a Consul agent (``consul:///`` for the one on this machine,
    ``consul://HOST:8500``). Several servers of a process may be registered.

    - ``name``, ``port``: the service, and the port that clients dial.
    - ``host``: the host name or IP address that clients dial; None: what ``EVENER_ADVERTISE_ADDRESS`` says, or else this
      machine's address on the way to the registry.
    - ``id``: what tells this instance from the others; None makes one of name, host and port, the same after a restart.
    - ``weight``, ``priority``, ``zone``, ``region``, ``metadata``: what clients are told. ``tags``, ``checks``: Consul's, a
      check as in ``{"http": "http://localhost:8080/health", "interval": "10s"}``.
    - ``ttl``: after how many seconds without a sign of life the registry drops the server; at least 1.
    - ``definition``: a Consul service definition instead, as JSON or what JSON holds, taken unchanged; `port`, `host` and `id`
      go before it.
    - ``wait_for_listening``: nothing is registered before a connection to the address that is registered succeeds.
    - ``verify_interval``: seconds between two looks at what the registry holds, to repair what is wrong.
    - ``credentials``: what the registry is asked with; None: what the environment says.
    - ``drain``, ``deadline``: how the registration ends when it is closed; see `Registration.close`.

    ``ConfigError`` names what makes no sense. A registry that cannot be reached is none: it is tried for ever, see
    `Registration.status`.

    >>> import evener
    >>> with evener.register("consul://127.0.0.1:1", name="user-service", port=8080, weight=3, deadline=0) as registration:
    ...     registration.wait(timeout=0.01)
    False
    """
    service = Service(
        name=name,
        port=port,
        host=host,
        id=id,
        weight=weight,
        priority=priority,
        zone=zone,
        region=region,
        # A single text would become its letters; as it is, it is refused.
        tags=list(tags) if isinstance(tags, Iterable) and not isinstance(tags, str) else tags,
        metadata=dict(metadata) if isinstance(metadata, Mapping) else {} if metadata is None else metadata,
        checks=json.dumps(list(checks) if isinstance(checks, Iterable) else checks) if checks else None,
        ttl=ttl,
    )
    if definition is not None:
        if service != Service(port=port, host=host, id=id, tags=[]):
            raise ConfigError("registration: definition: only port, host and id go beside one; say the rest in it")
        # The command hands on what it has read of a file.
        read = definition if isinstance(definition, (str, _native.Definition)) else json.dumps(definition)
        service = replace(service, definition=read)
    ending = _seconds("drain", drain), _seconds("deadline", deadline)
    native = _native.Registration(
        target, service, wait_for_listening=wait_for_listening, verify_interval=verify_interval, asked_with=credentials
    )
    registration = Registration(native, *ending)
    for warning in registration.warnings:
        _LOG.warning("%s: %s", registration.status()["target"], warning)
    _open.add(registration)
    return registration
