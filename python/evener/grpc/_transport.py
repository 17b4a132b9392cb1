"""One channel's inner channels: a real grpc channel per endpoint, made, watched and closed as the engine says."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import grpc

from evener import _native
from evener.grpc import _late, _states
from evener.grpc._closer import closer
from evener.grpc._driver import Process
from evener.grpc._health import Health, HealthWatch, Verdict
from evener.grpc._options import ChannelSettings, inner_config

_EXPLAIN = "/evener/Explain"
_EXPLAIN_SECONDS = 1.0

ChannelFactory = Callable[[str, list[tuple[str, Any]]], grpc.Channel]
"""Makes an inner channel from a target and options; it knows credentials and compression."""


class Kind(NamedTuple):
    """What makes a multicallable: which of the four, and its arguments."""

    name: str
    path: str
    serializer: Callable[[Any], bytes] | None
    deserializer: Callable[[bytes], Any] | None
    registered: bool | None


class InnerEndpoint:
    """A grpc channel to one endpoint, whose connectivity, and its server's health, go to the engine. Thread-safe."""

    def __init__(self, native: _native.Channel, index: int, channel: grpc.Channel, addresses: int) -> None:
        self._native = native
        self._index = index
        self._channel = channel
        self._several = addresses > 1
        self._lock = threading.RLock()
        self._seen = 0
        self._live = True
        self._connected = False
        # What the engine was told last.
        self._reported: grpc.ChannelConnectivity | None = None
        # Of the connected server; None where it is not asked for.
        self._health: HealthWatch | None = None
        self._multicallables: weakref.WeakKeyDictionary[object, Any] = weakref.WeakKeyDictionary()

    def watch(self) -> None:
        """Connects, and tells the engine of every state from now on."""
        self._channel.subscribe(self._on_state, try_to_connect=True)

    def connect(self) -> None:
        """Leaves IDLE. An inner round_robin does by itself; pick_first has to be asked."""
        self._channel.subscribe(_ignore, try_to_connect=True)
        self._channel.unsubscribe(_ignore)

    def multicallable(self, method: object, kind: Kind) -> Any:
        """The inner multicallable of `method`, made at its first call. Two threads may both make one: the last is kept."""
        found = self._multicallables.get(method)
        if found is None:
            found = getattr(self._channel, kind.name)(kind.path, kind.serializer, kind.deserializer, kind.registered)
            self._multicallables[method] = found
        return found

    def release(self) -> None:
        """Stops watching; the connection goes when the calls that run on it have ended and nothing refers to this any more."""
        with self._lock:
            self._live = False
            self._end_health()
        self._channel.unsubscribe(self._on_state)

    def close(self) -> None:
        """Stops watching, and cancels the calls that still run here a moment later."""
        self.release()
        closer().close(self._channel)

    def observe_health(self) -> None:
        """Tells what a connected server's health is, if the service config wants to know; otherwise that it is connected."""
        with self._lock:
            if not (self._live and self._connected):
                return
            self._watch_health()
            health, reason = Verdict(Health.SERVING) if self._health is None else self._health.verdict
            self._tell(health.value, reason)

    def _on_state(self, state: grpc.ChannelConnectivity) -> None:
        with self._lock:
            self._seen += 1
            seen = self._seen
            self._connected = state is _states.READY
            if not self._connected:
                self._end_health()
        if state is _states.TRANSIENT_FAILURE:
            self._explain(seen)
        elif state is _states.READY:
            self.observe_health()
        elif state is not _states.SHUTDOWN:
            self._report(seen, state)
        if state is _states.IDLE and self._several and self._live:
            self.connect()

    def _watch_health(self) -> None:
        """Begins or ends the watch, as the service config wants it now. A server that has been taking calls takes them until the
        first answer."""
        service = self._native.health_service()
        if self._health is not None and self._health.service != service:
            self._end_health()
        if service is not None and self._health is None:
            initial = Health.SERVING if self._reported is _states.READY else Health.UNKNOWN
            self._health = HealthWatch(self._channel, service, initial, self.observe_health)

    def _end_health(self) -> None:
        if self._health is not None:
            self._health.end()
            self._health = None

    def _report(self, seen: int, state: grpc.ChannelConnectivity, error: str = "") -> None:
        """Tells the engine, unless a newer state has been seen."""
        with self._lock:
            if self._live and seen == self._seen:
                self._tell(state, error)

    def _tell(self, state: grpc.ChannelConnectivity, error: str) -> None:
        if state is not self._reported or state is _states.TRANSIENT_FAILURE:
            self._reported = state
            self._native.set_state(self._index, _states.number_of(state), error)

    def _explain(self, seen: int) -> None:
        """Reports a failure with its reason. grpcio shows the reason only to calls, so one is made: in this state it fails
        at once, and never leaves the process."""

        def explained(probe: Any) -> None:
            details = "" if probe.cancelled() else probe.details() or ""
            self._report(seen, _states.TRANSIENT_FAILURE, last_error(details))

        try:
            probe: Any = self._channel.unary_unary(_EXPLAIN)
            probe.future(b"", timeout=_EXPLAIN_SECONDS, wait_for_ready=False).add_done_callback(explained)
        except ValueError:  # closed meanwhile
            return


def last_error(details: str) -> str:
    """What is particular to the endpoint in how an inner channel says that it has no connection."""
    return details.partition("last error: ")[2] or details


def _ignore(_: grpc.ChannelConnectivity) -> None:
    pass


class Transport:
    """The endpoints of one channel. Thread-safe; the driver thread calls `act`, calls ask for `endpoint`."""

    def __init__(
        self,
        process: Process,
        native: _native.Channel,
        token: int,
        settings: ChannelSettings,
        make: ChannelFactory,
        state_changed: Callable[[grpc.ChannelConnectivity], None],
    ) -> None:
        self.native = native
        self.token = token
        self._process = process
        self._settings = settings
        self._make = make
        self._state_changed = state_changed
        self._config = settings.service_config
        self._lock = threading.RLock()
        self._endpoints: dict[int, InnerEndpoint] = {}
        self.is_closed = False

    def endpoint(self, index: int) -> InnerEndpoint | None:
        """The endpoint numbered `index`, if it is connected or connecting."""
        return self._endpoints.get(index)

    def act(self, kind: int, endpoint: int, state: int, text: str) -> None:
        """Carries out one action of the engine."""
        action = _ACTIONS.get(kind)
        if action is not None:
            action(self, endpoint)
        elif kind == _native.STATE_CHANGED:
            self._state_changed(_states.connectivity(state))
        elif kind == _native.PICK_AGAIN:
            _late.room().kick(self.token)
        elif kind == _native.SERVICE_CONFIG:
            self._adopt(text)

    def close(self) -> None:
        """Ends everything; running calls are cancelled. A second time does nothing."""
        for endpoint in self._empty():
            endpoint.close()

    def release(self) -> None:
        """Like `close`, for a channel that nobody refers to any more: calls that still run go on to their end."""
        for endpoint in self._empty():
            endpoint.release()

    def _empty(self) -> list[InnerEndpoint]:
        if self.native.inherited:
            return []
        with self._lock:
            self.is_closed = True
            endpoints = list(self._endpoints.values())
            self._endpoints.clear()
        self._process.registry.remove(self.token)
        self.native.close()
        _late.room().end(self.token)
        return endpoints

    def _adopt(self, config: str) -> None:
        """Another config is in force: its message limits take new inner channels, its health check concerns those that stay."""
        with self._lock:
            same = inner_config(self._config, 1) == inner_config(config, 1)
            self._config = config
            endpoints = list(self._endpoints.items())
        for index, endpoint in endpoints:
            if same:
                endpoint.observe_health()
            else:
                self._replace(index)

    def _connect(self, index: int) -> None:
        endpoint = self._endpoints.get(index)
        if endpoint is not None:
            endpoint.connect()
            return
        self._add(index)

    def _add(self, index: int) -> None:
        target = self.native.endpoint_target(index)
        if target is None:
            return
        addresses = target.count(",") + 1
        options = self._settings.inner_options(self.native.authority(), inner_config(self._config, addresses))
        try:
            channel = self._make(target, options)
        except Exception as error:
            self.native.set_state(index, _states.number_of(_states.TRANSIENT_FAILURE), f"no channel to {target}: {error}")
            return
        endpoint = InnerEndpoint(self.native, index, channel, addresses)
        with self._lock:
            if self.is_closed:
                return
            self._endpoints[index] = endpoint
        endpoint.watch()

    def _disconnect(self, index: int) -> None:
        endpoint = self._take(index)
        if endpoint is not None:
            endpoint.release()

    def _replace(self, index: int) -> None:
        self._disconnect(index)
        self._add(index)

    def _cancel_calls(self, index: int) -> None:
        endpoint = self._take(index)
        if endpoint is not None:
            endpoint.close()

    def _close_endpoint(self, index: int) -> None:
        self._cancel_calls(index)
        self.native.closed(index)

    def _take(self, index: int) -> InnerEndpoint | None:
        with self._lock:
            return self._endpoints.pop(index, None)


_ACTIONS: Mapping[int, Callable[[Transport, int], None]] = {
    _native.CONNECT: Transport._connect,
    _native.DISCONNECT: Transport._disconnect,
    _native.CANCEL_CALLS: Transport._cancel_calls,
    _native.CLOSE: Transport._close_endpoint,
}
