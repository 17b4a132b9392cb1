"""The endpoints behind a target, without a channel: for tools, dashboards and clients that are not gRPC's."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal

from evener import _native, _polling, _schemes
from evener._credentials import Credentials
from evener._discovery import Discovery
from evener._native import ConfigError


@dataclass(frozen=True, slots=True)
class KnownEndpoint:
    """One server, as its registry describes it. Immutable.

    ``addresses`` are all of the same process (``10.0.0.1:8080``, ``[::1]:8080``, ``unix:/path``), in the order in which to try
    them. ``priority`` 0 is used first. A ``draining`` server is about to leave; an ``unhealthy`` one gets no calls.

    >>> import evener
    >>> with evener.watch("static:///10.0.0.1:8080;weight=3;zone=a") as watch:
    ...     [endpoint] = watch.wait(timeout=10).endpoints
    >>> endpoint.addresses, endpoint.weight, endpoint.zone, endpoint.condition
    (('10.0.0.1:8080',), 3, 'a', 'ready')
    """

    addresses: tuple[str, ...]
    weight: int = 1
    priority: int = 0
    zone: str | None = None
    region: str | None = None
    condition: Literal["ready", "draining", "unhealthy"] = "ready"
    metadata: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What was known of a target at one instant. Immutable.

    ``epoch`` counts the snapshots from 1. ``state`` is ``known``; ``known_empty`` where the registry said that there is no
    server; or ``unknown`` where nobody can say any more. ``revision`` is how the registry counts its changes, where it does;
    ``service_config`` is what came with the endpoints, as it came.

    >>> import evener
    >>> with evener.watch("static:///10.0.0.1:8080,10.0.0.2:8080") as watch:
    ...     snapshot = watch.wait(timeout=10)
    >>> snapshot.epoch, snapshot.state, [endpoint.addresses[0] for endpoint in snapshot.endpoints]
    (1, 'known', ['10.0.0.1:8080', '10.0.0.2:8080'])
    """

    epoch: int
    state: Literal["unknown", "known", "known_empty"]
    endpoints: tuple[KnownEndpoint, ...]
    service_config: str | None = None
    revision: str | None = None


class Watch:
    """A target that is followed in the background until it is closed; ``evener.watch`` makes it. Thread-safe.

    Iterating yields a snapshot at the start and at every change, and ends when the watch is closed; ``async for`` does the same
    without blocking the event loop. Made before a fork, it raises ``RuntimeError`` in the child.

    >>> import evener
    >>> with evener.watch("static:///10.0.0.1:8080") as watch:
    ...     for snapshot in watch:
    ...         print(len(snapshot.endpoints))
    ...         break
    1
    """

    def __init__(self, native: _native.Watch) -> None:
        self._native = native

    def latest(self) -> Snapshot | None:
        """What is known now; None until the first answer. Never waits.

        >>> import evener
        >>> with evener.watch("etcd://127.0.0.1:1/services/nobody") as watch:
        ...     print(watch.latest())
        None
        """
        return _snapshot(self._native.latest())

    def wait(self, timeout: float | None = None, *, after: int = 0) -> Snapshot | None:
        """The first snapshot after the one of this epoch, waiting for it; None after `timeout` seconds, or once the watch is
        closed.

        >>> import evener
        >>> with evener.watch("static:///10.0.0.1:8080") as watch:
        ...     first = watch.wait(timeout=10)
        ...     print(watch.wait(timeout=0.01, after=first.epoch))
        None
        """
        return _snapshot(self._native.wait(after, timeout))

    async def wait_async(self, timeout: float | None = None, *, after: int = 0) -> Snapshot | None:
        """As `wait`, on an event loop.

        >>> import asyncio, evener
        >>> with evener.watch("static:///10.0.0.1:8080") as watch:
        ...     asyncio.run(watch.wait_async(timeout=10)).state
        'known'
        """
        return await _polling.until(lambda: self._next(after), timeout)

    def status(self) -> dict[str, Any]:
        """How the watch is doing: ``state``, ``freshness``, ``age_seconds`` since the registry last said that this is how it
        is, ``cause`` and ``reason`` where it is not fresh, ``revision``, ``last_error``, ``endpoints`` by condition and how
        many of them are ``held``, counters (``..._total``), ``snapshot_error``. Empty once the watch is closed.

        >>> import evener
        >>> with evener.watch("static:///10.0.0.1:8080") as watch:
        ...     _ = watch.wait(timeout=10)
        ...     watch.status()["freshness"], watch.status()["endpoints"]["held"]
        ('fresh', 0)
        """
        status = self._native.status()
        return {} if status is None else {**json.loads(status[0]), "snapshot_error": status[1]}

    def resolve_now(self) -> None:
        """Asks for another look, soon. Each registry limits how often that is.

        >>> import evener
        >>> with evener.watch("dns:///localhost:8080") as watch:
        ...     watch.resolve_now()
        """
        self._native.resolve_now()

    def close(self) -> None:
        """Ends it; whoever waits gets None. Closing twice does no harm.

        >>> import evener
        >>> watch = evener.watch("static:///10.0.0.1:8080")
        >>> watch.close()
        >>> watch.latest()
        """
        self._native.close()

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __iter__(self) -> Iterator[Snapshot]:
        epoch = 0
        while (snapshot := self.wait(after=epoch)) is not None:
            epoch = snapshot.epoch
            yield snapshot

    async def __aiter__(self) -> AsyncIterator[Snapshot]:
        epoch = 0
        while (snapshot := await self.wait_async(after=epoch)) is not None:
            epoch = snapshot.epoch
            yield snapshot

    def _next(self, after: int) -> tuple[Snapshot | None] | None:
        snapshot = self.latest()
        if snapshot is not None and snapshot.epoch > after:
            return (snapshot,)
        return (None,) if self._native.ended() else None


def watch(target: str, *, discovery: Discovery | None = None, credentials: Credentials | None = None) -> Watch:
    """Follows a target in the background from now on. Equal watches, and channels of the same target and options, ask its
    registry once.

    `discovery` says what is held back and for how long; `credentials` is short for its field of that name. ``ConfigError``
    where the target or an option makes no sense; a registry that cannot be reached is none: it is tried for ever, see
    `Watch.status`.

    >>> import evener
    >>> with evener.watch("static:///10.0.0.1:8080", discovery=evener.Discovery(debounce=0)) as watch:
    ...     watch.wait(timeout=10).state
    'known'
    """
    if credentials is not None:
        discovery = Discovery() if discovery is None else discovery
        if not isinstance(discovery, Discovery):
            raise TypeError(f"discovery: an evener.Discovery is wanted, not {type(discovery).__name__}")
        if discovery.credentials is not None:
            raise ConfigError("credentials: are given twice, by themselves and in discovery")
        discovery = dataclasses.replace(discovery, credentials=credentials)
    _schemes.ready()
    return Watch(_native.Watch(target, discovery))


def _snapshot(parts: _native._Snapshot | None) -> Snapshot | None:
    if parts is None:
        return None
    epoch, state, endpoints, service_config, revision = parts
    return Snapshot(epoch, state, tuple(_endpoint(each) for each in endpoints), service_config, revision)


def _endpoint(parts: _native._KnownEndpoint) -> KnownEndpoint:
    addresses, weight, priority, zone, region, condition, metadata = parts
    return KnownEndpoint(tuple(addresses), weight, priority, zone, region, condition, metadata)
