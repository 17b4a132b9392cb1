"""The endpoints of one channel, of either kind: what the engine orders is done here, in one place; how, the two kinds say."""

from __future__ import annotations

import abc
import threading
import weakref
from collections.abc import Callable, Mapping
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import grpc

from evener import _native
from evener.grpc import _states
from evener.grpc._health import Health, Verdict
from evener.grpc._options import ChannelSettings, message_limits

EXPLAIN = "/evener/Explain"
"""The method of the call that asks an inner channel why it has no connection: none."""
EXPLAIN_SECONDS = 1.0


class Kind(NamedTuple):
    """What makes a multicallable: which of the four, and its arguments."""

    name: str
    path: str
    serializer: Callable[[Any], bytes] | None
    deserializer: Callable[[bytes], Any] | None
    registered: bool | None


class HealthStream(Protocol):
    """A watch on one server's health."""

    service: str
    verdict: Verdict

    def end(self) -> None: ...


class Endpoint(abc.ABC):
    """An inner channel to one endpoint, and what the engine is told of it. As thread-safe as its kind makes it."""

    def __init__(self, native: _native.Channel, index: int, channel: Any) -> None:
        self._native = native
        self._index = index
        self.channel = channel
        self._connected = False
        # What the engine was told last.
        self._reported: grpc.ChannelConnectivity | None = None
        # Of the connected server; None where it is not asked for.
        self._health: HealthStream | None = None
        self._multicallables: weakref.WeakKeyDictionary[object, Any] = weakref.WeakKeyDictionary()

    @abc.abstractmethod
    def watch(self) -> None:
        """Connects, and tells the engine of every state from now on."""

    @abc.abstractmethod
    def connect(self) -> None:
        """Leaves IDLE."""

    @abc.abstractmethod
    def is_ready(self) -> bool:
        """Whether it is connected at this moment. The engine learns of a lost connection a little after gRPC does; to ask once
        more keeps calls from one that is known to be gone."""

    @abc.abstractmethod
    def release(self) -> None:
        """Stops watching; the connection goes when the calls that run on it have ended and nothing refers to this any more."""

    def multicallable(self, method: object, kind: Kind) -> Any:
        """The inner multicallable of `method`, made at its first call. Two threads may both make one: the last is kept."""
        found = self._multicallables.get(method)
        if found is None:
            found = getattr(self.channel, kind.name)(kind.path, kind.serializer, kind.deserializer, kind.registered)
            self._multicallables[method] = found
        return found

    def observe_health(self) -> None:
        """Tells what a connected server's health is, if the service config wants to know; otherwise that it is connected."""
        if not self._connected:
            return
        self._watch_health()
        health, reason = Verdict(Health.SERVING) if self._health is None else self._health.verdict
        self._tell(health.value, reason)

    @abc.abstractmethod
    def _new_health(self, service: str, initial: Health) -> HealthStream:
        """A watch that calls `observe_health` whenever its verdict is another."""

    def _watch_health(self) -> None:
        """Begins or ends the watch, as the service config wants it now. A server that has been taking calls takes them until the
        first answer."""
        service = self._native.health_service()
        if self._health is not None and self._health.service != service:
            self._end_health()
        if service is not None and self._health is None:
            initial = Health.SERVING if self._reported is _states.READY else Health.UNKNOWN
            self._health = self._new_health(service, initial)

    def _end_health(self) -> None:
        if self._health is not None:
            self._health.end()
            self._health = None

    def _tell(self, state: grpc.ChannelConnectivity, error: str) -> None:
        if state is not self._reported or state is _states.TRANSIENT_FAILURE:
            self._reported = state
            self._native.set_state(self._index, _states.number_of(state), error)


def last_error(details: str) -> str:
    """What is particular to the endpoint in how an inner channel says that it has no connection."""
    return details.partition("last error: ")[2] or details


_E = TypeVar("_E", bound=Endpoint)


class Endpoints(abc.ABC, Generic[_E]):
    """The endpoints of one channel. One thread calls `act`; any may ask for `endpoint`."""

    def __init__(
        self, native: _native.Channel, token: int, settings: ChannelSettings, make: Callable[[str, list[tuple[str, Any]]], Any]
    ) -> None:
        self.native = native
        self.token = token
        self.is_closed = False
        self._settings = settings
        self._make = make
        self._config = settings.service_config
        self._lock = threading.RLock()
        self._endpoints: dict[int, _E] = {}

    def endpoint(self, index: int) -> _E | None:
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
            self._pick_again()
        elif kind == _native.SERVICE_CONFIG:
            self._adopt(text)

    @abc.abstractmethod
    def _new_endpoint(self, index: int, channel: Any, target: str) -> _E:
        """An endpoint that is not watched yet."""

    @abc.abstractmethod
    def _close_inner(self, endpoint: _E) -> None:
        """Stops watching, and cancels the calls that still run there."""

    @abc.abstractmethod
    def _state_changed(self, state: grpc.ChannelConnectivity) -> None:
        """The channel is in another state."""

    @abc.abstractmethod
    def _pick_again(self) -> None:
        """Waiting calls may have somewhere to go."""

    def _emptied(self) -> list[_E]:
        """Closes this for endpoints: those that were there."""
        with self._lock:
            self.is_closed = True
            endpoints = list(self._endpoints.values())
            self._endpoints.clear()
        return endpoints

    def _adopt(self, config: str) -> None:
        """Another config is in force: its message limits take new inner channels, its health check concerns those that stay."""
        with self._lock:
            same = message_limits(self._config) == message_limits(config)
            self._config = config
            endpoints = list(self._endpoints.items())
        for index, endpoint in endpoints:
            if same:
                endpoint.observe_health()
            else:
                self._disconnect(index)
                self._add(index)

    def _connect(self, index: int) -> None:
        endpoint = self._endpoints.get(index)
        if endpoint is None:
            self._add(index)
        else:
            endpoint.connect()

    def _add(self, index: int) -> None:
        target = self.native.endpoint_target(index)
        if target is None:
            return
        options = self._settings.inner_options(self.native.authority(), target, self._config)
        try:
            channel = self._make(target, options)
        except Exception as error:
            self._tell(index, _states.TRANSIENT_FAILURE, f"no channel to {target}: {error}")
            return
        endpoint = self._new_endpoint(index, channel, target)
        with self._lock:
            if self.is_closed:
                return
            self._endpoints[index] = endpoint
        endpoint.watch()

    def _disconnect(self, index: int) -> None:
        endpoint = self._take(index)
        if endpoint is not None:
            endpoint.release()

    def _cancel_calls(self, index: int) -> None:
        self._close_at(index)
        # Should the endpoint be listed again before its last call has ended, it must be dialled anew.
        self._tell(index, _states.IDLE)

    def _close_endpoint(self, index: int) -> None:
        self._close_at(index)
        self.native.closed(index)

    def _close_at(self, index: int) -> None:
        endpoint = self._take(index)
        if endpoint is not None:
            self._close_inner(endpoint)

    def _take(self, index: int) -> _E | None:
        with self._lock:
            return self._endpoints.pop(index, None)

    def _tell(self, index: int, state: grpc.ChannelConnectivity, error: str = "") -> None:
        self.native.set_state(index, _states.number_of(state), error)


_ACTIONS: Mapping[int, Callable[[Endpoints[Any], int], None]] = {
    _native.CONNECT: Endpoints._connect,
    _native.DISCONNECT: Endpoints._disconnect,
    _native.CANCEL_CALLS: Endpoints._cancel_calls,
    _native.CLOSE: Endpoints._close_endpoint,
}
