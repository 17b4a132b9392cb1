"""One channel's inner channels: a real grpc channel per endpoint, made, watched and closed as the engine says."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

import grpc

from evener import _native
from evener.grpc import _late, _states
from evener.grpc._closer import closer
from evener.grpc._driver import Process
from evener.grpc._endpoints import EXPLAIN, EXPLAIN_SECONDS, Endpoint, Endpoints, last_error
from evener.grpc._health import Health, HealthWatch
from evener.grpc._options import ChannelSettings, reconnects

# How gRPC's round_robin and pick_first say that they had no connection, and that a reason follows.
_UNSENT = ("connections to all backends failing", "failed to connect to all addresses")
_REASON = "; last error: "

ChannelFactory = Callable[[str, list[tuple[str, Any]]], grpc.Channel]
"""Makes an inner channel from a target and options; it knows credentials and compression."""


class InnerEndpoint(Endpoint):
    """A grpc channel to one endpoint, whose connectivity, and its server's health, go to the engine. Thread-safe."""

    def __init__(self, native: _native.Channel, index: int, channel: grpc.Channel, target: str) -> None:
        super().__init__(native, index, channel)
        self._target = target
        self._lock = threading.RLock()
        self._seen = 0
        self._live = True

    def watch(self) -> None:
        self.channel.subscribe(self._on_state, try_to_connect=True)

    def connect(self) -> None:
        # An inner round_robin does by itself; pick_first has to be asked.
        self.channel.subscribe(_ignore, try_to_connect=True)
        self.channel.unsubscribe(_ignore)

    def is_ready(self) -> bool:
        # grpcio's channel tells its state to subscribers alone, and a little later; its compiled half tells it at once.
        try:
            return _states.connectivity(self.channel._channel.check_connectivity_state(False)) is _states.READY
        except ValueError:  # closed meanwhile
            return False

    def has_never_sent(self, error: Any) -> bool:
        """Whether a call failed for want of a connection to send it on, so that no server has seen it. A server that passes
        such a text on is connected, and the text names other addresses."""
        is_candidate = error.code() is grpc.StatusCode.UNAVAILABLE and not self.is_ready()
        return is_candidate and says_unsent(error.details() or "", self._target)

    def release(self) -> None:
        with self._lock:
            self._live = False
            self._end_health()
        self.channel.unsubscribe(self._on_state)

    def close(self) -> None:
        """Stops watching, and cancels the calls that still run here a moment later."""
        self.release()
        closer().close(self.channel)

    def observe_health(self) -> None:
        if self._native.inherited:
            return
        with self._lock:
            if self._live:
                super().observe_health()

    def _new_health(self, service: str, initial: Health) -> HealthWatch:
        return HealthWatch(self.channel, service, initial, self.observe_health)

    def _on_state(self, state: grpc.ChannelConnectivity) -> None:
        # grpcio may go on in a forked child, where the lock's holder does not exist and the engine is the parent's.
        if self._native.inherited:
            return
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
        if state is _states.IDLE and self._live and not reconnects(self._target):
            self.connect()

    def _report(self, seen: int, state: grpc.ChannelConnectivity, error: str = "") -> None:
        """Tells the engine, unless a newer state has been seen."""
        if self._native.inherited:
            return
        with self._lock:
            if self._live and seen == self._seen:
                self._tell(state, error)

    def _explain(self, seen: int) -> None:
        """Reports a failure with its reason. grpcio shows the reason only to calls, so one is made: in this state it fails
        at once. Where the connection is back already it goes to the server, which does not know the method; a newer state has
        been seen then."""

        def explained(probe: Any) -> None:
            details = "" if probe.cancelled() else probe.details() or ""
            self._report(seen, _states.TRANSIENT_FAILURE, last_error(details))

        try:
            probe: Any = self.channel.unary_unary(EXPLAIN)
            probe.future(b"", timeout=EXPLAIN_SECONDS, wait_for_ready=False).add_done_callback(explained)
        except ValueError:  # closed meanwhile
            return


def says_unsent(details: str, target: str) -> bool:
    """Whether an inner channel to `target` says by `details` that it had no connection. Not for a name, whose addresses are not
    known here.

    >>> from evener.grpc._transport import says_unsent
    >>> refused = "failed to connect to all addresses; last error: UNKNOWN: ipv6:%5B::1%5D:80: Connection refused"
    >>> says_unsent(refused, "ipv6:[::1]:80"), says_unsent(refused, "ipv6:[::1]:8")
    (True, False)
    """
    claim, _, reason = details.partition(_REASON)
    # The name of a status code comes first.
    where = unquote(reason.partition(": ")[2])
    scheme, _, paths = target.partition(":")
    return claim in _UNSENT and any(where.startswith(unquote(f"{scheme}:{path}: ")) for path in paths.split(","))


def _ignore(_: grpc.ChannelConnectivity) -> None:
    pass


class Transport(Endpoints[InnerEndpoint]):
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
        super().__init__(native, token, settings, make)
        self._process = process
        self._tell_state = state_changed

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
        endpoints = self._emptied()
        self._process.registry.remove(self.token)
        self.native.close()
        _late.room().end(self.token)
        return endpoints

    def _new_endpoint(self, index: int, channel: grpc.Channel, target: str) -> InnerEndpoint:
        return InnerEndpoint(self.native, index, channel, target)

    def _close_inner(self, endpoint: InnerEndpoint) -> None:
        endpoint.close()

    def _state_changed(self, state: grpc.ChannelConnectivity) -> None:
        self._tell_state(state)

    def _pick_again(self) -> None:
        _late.room().kick(self.token)
