"""One asyncio channel's inner channels: a real grpc.aio channel per endpoint, made, watched and closed as the engine says."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable
from typing import Any

import grpc
import grpc.aio

from evener import _native
from evener._endpoint import EndpointLike
from evener.grpc import _states
from evener.grpc._endpoints import EXPLAIN, EXPLAIN_SECONDS, Endpoint, Endpoints, last_error
from evener.grpc._health import Health
from evener.grpc._options import ChannelSettings
from evener.grpc.aio._driver import LoopDriver
from evener.grpc.aio._health import HealthWatch

_LOG = logging.getLogger("evener")

_SOON_SECONDS = 0.005

ChannelFactory = Callable[[str, list[tuple[str, Any]]], grpc.aio.Channel]
"""Makes an inner channel from a target and options; it knows credentials, compression and interceptors."""


class InnerEndpoint(Endpoint):
    """A grpc.aio channel to one endpoint, whose connectivity, and its server's health, go to the engine."""

    def __init__(
        self, native: _native.Channel, index: int, channel: grpc.aio.Channel, loop: asyncio.AbstractEventLoop, explain: bool
    ) -> None:
        super().__init__(native, index, channel)
        self._loop = loop
        self._explain = explain
        self._watch: asyncio.Task[None] | None = None

    def watch(self) -> None:
        self._watch = self._loop.create_task(self._follow())

    def connect(self) -> None:
        self.channel.get_state(try_to_connect=True)

    def is_ready(self) -> bool:
        return self.channel.get_state() is _states.READY

    def release(self) -> None:
        self._connected = False
        self._end_health()
        if self._watch is not None:
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

    def _new_health(self, service: str, initial: Health) -> HealthWatch:
        return HealthWatch(self.channel, service, initial, self.observe_health, self._loop)


async def _explain(channel: grpc.aio.Channel) -> str:
    """Why the channel is in TRANSIENT_FAILURE. grpcio tells only calls, so one is made: in this state it fails at once. Where the
    connection is back already it goes to the server, which does not know the method; another state is seen then."""
    make: Any = channel.unary_unary(EXPLAIN)
    try:
        await make(b"", timeout=EXPLAIN_SECONDS, wait_for_ready=False)
    except grpc.RpcError as error:
        return last_error(str(getattr(error, "details", lambda: "")() or ""))
    return ""


class Transport(Endpoints[InnerEndpoint]):
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
        super().__init__(native, token, settings, make)
        self.loop = loop
        self._waiting: dict[int, tuple[Callable[[], bool], asyncio.TimerHandle | None]] = {}
        self._driver = driver
        # Whether failures may be explained: not where the application's interceptors would see the question.
        self._explain = explain
        self._closing: set[asyncio.Task[None]] = set()
        self._state_waiters: set[asyncio.Future[None]] = set()
        # Until waiting calls are looked at again though the engine has not said so.
        self._soon: asyncio.TimerHandle | None = None
        driver.registry.add(token, self)
        driver.attach()

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

    def look_again_soon(self) -> None:
        """Has the waiting calls start in a moment, if they can: the engine has yet to hear of a lost connection."""
        if self._soon is None:
            self._soon = self.loop.call_later(_SOON_SECONDS, self._look_again)

    async def state_changed(self) -> None:
        """Returns at the next change of the channel's state."""
        waiter: asyncio.Future[None] = self.loop.create_future()
        self._state_waiters.add(waiter)
        try:
            await waiter
        finally:
            self._state_waiters.discard(waiter)

    def update_endpoints(self, endpoints: Iterable[EndpointLike]) -> None:
        """Hands a list to the engine, and has it obeyed before the next call."""
        self.native.update_endpoints(endpoints)
        self._driver.turn()

    def set_service_config(self, config: str) -> list[str]:
        """Hands a config to the engine, and has it obeyed before the next call. Returns warnings."""
        warnings = self.native.set_service_config(config)
        self._driver.turn()
        return warnings

    async def close_all(self, grace: float | None) -> None:
        """Ends everything and waits for the inner channels to be closed; calls that still run after `grace` are cancelled.
        An inherited one stays as it is."""
        if self.native.inherited:
            return
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
        endpoints = self._emptied()
        self._driver.registry.remove(self.token)
        self.native.close()
        self._driver.detach()
        if not self.loop.is_closed():
            self._wake_state_waiters()
            self._pick_again()
        return endpoints

    def _state_changed(self, state: grpc.ChannelConnectivity) -> None:
        self._wake_state_waiters()

    def _wake_state_waiters(self) -> None:
        for waiter in self._state_waiters:
            if not waiter.done():
                waiter.set_result(None)

    def _pick_again(self) -> None:
        for number in list(self._waiting):
            self._look(number)

    def _look_again(self) -> None:
        self._soon = None
        self._pick_again()

    def _look(self, number: int) -> None:
        entry = self._waiting.get(number)
        if entry is not None and entry[0]():
            self.forget(number)

    def _new_endpoint(self, index: int, channel: grpc.aio.Channel, target: str) -> InnerEndpoint:
        return InnerEndpoint(self.native, index, channel, self.loop, self._explain)

    def _close_inner(self, endpoint: InnerEndpoint, grace: float | None = None) -> None:
        endpoint.release()
        task = self.loop.create_task(endpoint.channel.close(grace))
        self._closing.add(task)
        task.add_done_callback(self._closed)

    def _closed(self, task: asyncio.Task[None]) -> None:
        self._closing.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            _LOG.error("an inner channel could not be closed", exc_info=error)
