"""One asyncio channel's inner channels: a real grpc.aio channel per endpoint, made, watched and closed as the engine says."""

from __future__ import annotations

import asyncio
import contextlib
import weakref
from collections.abc import Callable, Mapping
from typing import Any

import grpc
import grpc.aio

from evener import _native
from evener._endpoint import EndpointLike
from evener.grpc import _states
from evener.grpc._health import Health, Verdict
from evener.grpc._options import ChannelSettings, inner_config
from evener.grpc._transport import Kind, last_error
from evener.grpc.aio._driver import LoopDriver
from evener.grpc.aio._health import HealthWatch

_EXPLAIN = "/evener/Explain"
_EXPLAIN_SECONDS = 1.0

ChannelFactory = Callable[[str, list[tuple[str, Any]]], grpc.aio.Channel]
"""Makes an inner channel from a target and options; it knows credentials, compression and interceptors."""


class InnerEndpoint:
    """A grpc.aio channel to one endpoint, whose connectivity, and its server's health, go to the engine."""

    def __init__(
        self, native: _native.Channel, index: int, channel: grpc.aio.Channel, loop: asyncio.AbstractEventLoop, explain: bool
    ) -> None:
        self.channel = channel
        self._native = native
        self._index = index
        self._loop = loop
        self._explain = explain
        self._connected = False
        # What the engine was told last.
        self._reported: grpc.ChannelConnectivity | None = None
        # Of the connected server; None where it is not asked for.
        self._health: HealthWatch | None = None
        self._multicallables: weakref.WeakKeyDictionary[object, Any] = weakref.WeakKeyDictionary()
        self._watch = loop.create_task(self._follow())

    def connect(self) -> None:
        """Leaves IDLE."""
        self.channel.get_state(try_to_connect=True)

    def multicallable(self, method: object, kind: Kind) -> Any:
        """The inner multicallable of `method`, made at its first call."""
        found = self._multicallables.get(method)
        if found is None:
            make: Any = getattr(self.channel, kind.name)
            found = make(kind.path, kind.serializer, kind.deserializer, kind.registered)
            self._multicallables[method] = found
        return found

    def observe_health(self) -> None:
        """Tells what a connected server's health is, if the service config wants to know; otherwise that it is connected."""
        if not self._connected:
            return
        self._watch_health()
        health, reason = Verdict(Health.SERVING) if self._health is None else self._health.verdict
        self._tell(health.value, reason)

    def release(self) -> None:
        """Stops watching; the connection goes with the last call that runs on it."""
        self._connected = False
        self._end_health()
        self._watch.cancel()

    async def _follow(self) -> None:
        """Tells the engine of every state. Asking with `try_to_connect` also has pick_first leave IDLE."""
        channel = self.channel
        state = channel.get_state(try_to_connect=True)
        while state is not _states.SHUTDOWN:
            error = await _explain(channel) if self._explain and state is _states.TRANSIENT_FAILURE else ""
            latest = channel.get_state(try_to_connect=True)
            if latest is state:
                self._observe(state, error)
                await channel.wait_for_state_change(state)
                latest = channel.get_state(try_to_connect=True)
            state = latest

    def _observe(self, state: grpc.ChannelConnectivity, error: str) -> None:
        self._connected = state is _states.READY
        if self._connected:
            self.observe_health()
        else:
            self._end_health()
            self._tell(state, error)

    def _watch_health(self) -> None:
        """Begins or ends the watch, as the service config wants it now. A server that has been taking calls takes them until the
        first answer."""
        service = self._native.health_service()
        if self._health is not None and self._health.service != service:
            self._end_health()
        if service is not None and self._health is None:
            initial = Health.SERVING if self._reported is _states.READY else Health.UNKNOWN
            self._health = HealthWatch(self.channel, service, initial, self.observe_health, self._loop)

    def _end_health(self) -> None:
        if self._health is not None:
            self._health.end()
            self._health = None

    def _tell(self, state: grpc.ChannelConnectivity, error: str) -> None:
        if state is not self._reported or state is _states.TRANSIENT_FAILURE:
            self._reported = state
            self._native.set_state(self._index, _states.number_of(state), error)


async def _explain(channel: grpc.aio.Channel) -> str:
    """Why the channel is in TRANSIENT_FAILURE. grpcio tells only calls, so one is made: in this state it fails at once, and
    never leaves the process."""
    make: Any = channel.unary_unary(_EXPLAIN)
    try:
        await make(b"", timeout=_EXPLAIN_SECONDS, wait_for_ready=False)
    except grpc.RpcError as error:
        return last_error(str(getattr(error, "details", lambda: "")() or ""))
    return ""


class Transport:
    """The endpoints of one channel on one loop."""

    def __init__(
        self,
        driver: LoopDriver,
        native: _native.Channel,
        token: int,
        settings: ChannelSettings,
        make: ChannelFactory,
        loop: asyncio.AbstractEventLoop,
        explain: bool,
    ) -> None:
        self.native = native
        self.token = token
        self.loop = loop
        self.is_closed = False
        self._waiting: dict[int, tuple[Callable[[], bool], asyncio.TimerHandle | None]] = {}
        self._driver = driver
        self._settings = settings
        self._make = make
        # Whether failures may be explained: not where the application's interceptors would see the question.
        self._explain = explain
        self._config = settings.service_config
        self._endpoints: dict[int, InnerEndpoint] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._state_waiters: list[asyncio.Future[None]] = []
        driver.registry.add(token, self)
        driver.attach()

    def endpoint(self, index: int) -> InnerEndpoint | None:
        """The endpoint numbered `index`, if it is connected or connecting."""
        return self._endpoints.get(index)

    def act(self, kind: int, endpoint: int, state: int, text: str) -> None:
        """Carries out one action of the engine."""
        action = _ACTIONS.get(kind)
        if action is not None:
            action(self, endpoint)
        elif kind == _native.STATE_CHANGED:
            self._wake_state_waiters()
        elif kind == _native.PICK_AGAIN:
            self._pick_again()
        elif kind == _native.SERVICE_CONFIG:
            self._adopt(text)

    def wait(self, number: int, start: Callable[[], bool], timeout: float | None, expire: Callable[[], None]) -> None:
        """Puts a call among those that wait: `start` says whether it is done with waiting, `expire` ends it."""
        timer = None if timeout is None else self.loop.call_later(timeout, expire)
        self._waiting[number] = start, timer
        # The engine says when to look again only if somebody has looked in vain since it last said so: look once more, now that
        # the call can be found.
        self.loop.call_soon(self._look, number)

    def forget(self, number: int) -> None:
        """The call waits no more."""
        entry = self._waiting.pop(number, None)
        if entry is not None and entry[1] is not None:
            entry[1].cancel()

    async def state_changed(self) -> None:
        """Returns at the next change of the channel's state."""
        waiter: asyncio.Future[None] = self.loop.create_future()
        self._state_waiters.append(waiter)
        await waiter

    def update_endpoints(self, endpoints: list[EndpointLike]) -> None:
        """Hands a list to the engine, and has it obeyed before the next call."""
        self.native.update_endpoints(endpoints)
        self._driver.turn()

    def set_service_config(self, config: str) -> list[str]:
        """Hands a config to the engine, and has it obeyed before the next call. Returns warnings."""
        warnings = self.native.set_service_config(config)
        self._driver.turn()
        return warnings

    async def close_all(self, grace: float | None) -> None:
        """Ends everything and waits for the inner channels to be closed; calls that still run after `grace` are cancelled."""
        if self.loop.is_closed():
            # Its calls ended with it, and nothing of it can be waited for.
            self.close()
            return
        for endpoint in self._empty():
            self._close_inner(endpoint, grace)
        while self._closing:
            await asyncio.wait(self._closing)

    def close(self) -> None:
        """Ends everything; the calls that still run go on to their end."""
        for endpoint in self._empty():
            if not self.loop.is_closed():
                endpoint.release()

    def abandon(self) -> None:
        """Like `close`, for a channel that nobody refers to any more; on any thread, as the garbage collector likes."""
        if self.loop.is_running() and asyncio._get_running_loop() is not self.loop:
            with contextlib.suppress(RuntimeError):  # closed since
                self.loop.call_soon_threadsafe(self.close)
            return
        self.close()

    def _empty(self) -> list[InnerEndpoint]:
        if self.is_closed or self.native.inherited:
            return []
        self.is_closed = True
        endpoints = list(self._endpoints.values())
        self._endpoints.clear()
        self._driver.registry.remove(self.token)
        self.native.close()
        self._driver.detach()
        if not self.loop.is_closed():
            self._wake_state_waiters()
            self._pick_again()
        return endpoints

    def _wake_state_waiters(self) -> None:
        waiters, self._state_waiters = self._state_waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    def _pick_again(self) -> None:
        for number in list(self._waiting):
            self._look(number)

    def _look(self, number: int) -> None:
        entry = self._waiting.get(number)
        if entry is not None and entry[0]():
            self.forget(number)

    def _adopt(self, config: str) -> None:
        """Another config is in force: its message limits take new inner channels, its health check concerns those that stay."""
        same = inner_config(self._config, 1) == inner_config(config, 1)
        self._config = config
        for index, endpoint in list(self._endpoints.items()):
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
        config = inner_config(self._config, target.count(",") + 1)
        options = self._settings.inner_options(self.native.authority(), config)
        try:
            channel = self._make(target, options)
        except Exception as error:
            self.native.set_state(index, _states.number_of(_states.TRANSIENT_FAILURE), f"no channel to {target}: {error}")
            return
        self._endpoints[index] = InnerEndpoint(self.native, index, channel, self.loop, self._explain)

    def _disconnect(self, index: int) -> None:
        endpoint = self._endpoints.pop(index, None)
        if endpoint is not None:
            endpoint.release()

    def _cancel_calls(self, index: int) -> None:
        endpoint = self._endpoints.pop(index, None)
        if endpoint is not None:
            self._close_inner(endpoint)

    def _close_endpoint(self, index: int) -> None:
        self._cancel_calls(index)
        self.native.closed(index)

    def _close_inner(self, endpoint: InnerEndpoint, grace: float | None = None) -> None:
        endpoint.release()
        task = self.loop.create_task(endpoint.channel.close(grace))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


_ACTIONS: Mapping[int, Callable[[Transport, int], None]] = {
    _native.CONNECT: Transport._connect,
    _native.DISCONNECT: Transport._disconnect,
    _native.CANCEL_CALLS: Transport._cancel_calls,
    _native.CLOSE: Transport._close_endpoint,
}
