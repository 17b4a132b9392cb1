"""The asyncio channel itself: `grpc.aio.Channel` on top of a transport."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any

import grpc
import grpc.aio

from evener import _native, _schemes
from evener._discovery import Discovery
from evener._endpoint import EndpointLike
from evener.grpc import _states
from evener.grpc._channel import _engine_options
from evener.grpc._driver import tokens
from evener.grpc._endpoints import Kind
from evener.grpc._not_ready import NotReady
from evener.grpc._options import ChannelSettings, Option, _config_text
from evener.grpc.aio import _calls
from evener.grpc.aio._driver import driver_of
from evener.grpc.aio._health import not_for_ours
from evener.grpc.aio._transport import ChannelFactory, Transport


class Channel(grpc.aio.Channel):
    """An asyncio channel whose calls go where evener's core says. Made by `insecure_channel` and `secure_channel`.

    It is a `grpc.aio.Channel`: generated stubs work on it unchanged. It belongs to the event loop it is first used on, and does
    nothing until its first call or ``get_state(try_to_connect=True)``. It does not survive `fork`.

    >>> import asyncio, evener.grpc.aio
    >>> async def main():
    ...     async with evener.grpc.aio.insecure_channel(f"static:///{server}") as channel:
    ...         reply = await demo_pb2_grpc.DemoStub(channel).Unary(demo_pb2.Request(text="hello"))
    ...         return reply.text
    >>> asyncio.run(main())
    'hello'
    """

    def __init__(self, target: str, settings: ChannelSettings, make: ChannelFactory, *, explain: bool, **engine: Any) -> None:
        self._transport: Transport | None = None
        self._closed = False
        self._target = target
        self._settings = settings
        self._make = make
        self._explain = explain
        self._engine = engine
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            # Checked here, where the application can see what is wrong with it; used when a loop runs.
            self._open(_native.Driver(), next(tokens)).close()
        else:
            self._attach(loop)

    def unary_unary(
        self,
        method: str,
        request_serializer: Callable[[Any], bytes] | None = None,
        response_deserializer: Callable[[bytes], Any] | None = None,
        _registered_method: bool | None = False,
    ) -> grpc.aio.UnaryUnaryMultiCallable[Any, Any]:
        """See `grpc.aio.Channel.unary_unary`."""
        return _calls.UnaryUnary(self, Kind("unary_unary", method, request_serializer, response_deserializer, _registered_method))

    def unary_stream(
        self,
        method: str,
        request_serializer: Callable[[Any], bytes] | None = None,
        response_deserializer: Callable[[bytes], Any] | None = None,
        _registered_method: bool | None = False,
    ) -> grpc.aio.UnaryStreamMultiCallable[Any, Any]:
        """See `grpc.aio.Channel.unary_stream`."""
        return _calls.UnaryStream(self, Kind("unary_stream", method, request_serializer, response_deserializer, _registered_method))

    def stream_unary(
        self,
        method: str,
        request_serializer: Callable[[Any], bytes] | None = None,
        response_deserializer: Callable[[bytes], Any] | None = None,
        _registered_method: bool | None = False,
    ) -> grpc.aio.StreamUnaryMultiCallable[Any, Any]:
        """See `grpc.aio.Channel.stream_unary`."""
        return _calls.StreamUnary(self, Kind("stream_unary", method, request_serializer, response_deserializer, _registered_method))

    def stream_stream(
        self,
        method: str,
        request_serializer: Callable[[Any], bytes] | None = None,
        response_deserializer: Callable[[bytes], Any] | None = None,
        _registered_method: bool | None = False,
    ) -> grpc.aio.StreamStreamMultiCallable[Any, Any]:
        """See `grpc.aio.Channel.stream_stream`."""
        return _calls.StreamStream(self, Kind("stream_stream", method, request_serializer, response_deserializer, _registered_method))

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        """The channel's state; with `try_to_connect` an idle channel starts to connect. See `grpc.aio.Channel.get_state`."""
        if self._closed:
            return _states.SHUTDOWN
        return _states.connectivity(self._attached().native.state(try_to_connect))

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        """Returns when the state is another one. See `grpc.aio.Channel.wait_for_state_change`."""
        while self.get_state() is last_observed_state:
            await self._attached().state_changed()

    async def channel_ready(self) -> None:
        """Connects, and returns when calls can be made; raises `grpc.aio.UsageError` if the channel is closed meanwhile.

        >>> import asyncio, evener.grpc.aio
        >>> async def main():
        ...     async with evener.grpc.aio.insecure_channel(f"static:///{server}") as channel:
        ...         await asyncio.wait_for(channel.channel_ready(), timeout=5)
        ...         return channel.get_state().name
        >>> asyncio.run(main())
        'READY'
        """
        while (state := self.get_state(try_to_connect=True)) is not _states.READY:
            self._attached()
            await self.wait_for_state_change(state)

    async def wait_until_ready(self, timeout: float | None = 5.0) -> None:
        """Connects, and returns when calls can be made, as `evener.grpc.Channel.wait_until_ready` does; raises `NotReady` with the reason.

        >>> import asyncio, evener.grpc.aio
        >>> async def main():
        ...     async with evener.grpc.aio.insecure_channel(f"static:///{server}") as channel:
        ...         await channel.wait_until_ready(timeout=5)
        >>> asyncio.run(main())
        """
        try:
            await asyncio.wait_for(self.channel_ready(), timeout)
        except TimeoutError:
            missing = self._attached().native.wait_until_ready(0.0)
            if missing is not None:
                raise NotReady(missing) from None

    async def close(self, grace: float | None = None) -> None:
        """No new calls from now on (`grpc.aio.UsageError`); running ones have `grace` seconds, then they are cancelled.

        RuntimeError on another event loop than the channel's, unless that is closed.
        """
        if self._closed:
            return
        transport = self._transport
        if transport is not None and not transport.loop.is_closed() and not transport.native.inherited:
            # Its inner channels cannot be waited for elsewhere.
            self._attached()
        self._closed = True
        if transport is not None:
            await transport.close_all(grace)

    async def __aenter__(self) -> Channel:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    def update_endpoints(self, endpoints: Iterable[EndpointLike]) -> None:
        """Replaces the servers by these, as `evener.grpc.Channel.update_endpoints` does.

        >>> import asyncio, evener.grpc.aio
        >>> async def main():
        ...     async with evener.grpc.aio.insecure_channel("static:///127.0.0.1:1") as channel:
        ...         channel.update_endpoints([server])
        ...         return (await demo_pb2_grpc.DemoStub(channel).Unary(demo_pb2.Request(text="there"), timeout=5)).text
        >>> asyncio.run(main())
        'there'
        """
        self._attached().update_endpoints(endpoints)

    def set_service_config(self, config: str | Mapping[str, Any]) -> list[str]:
        """Replaces the service config, as `evener.grpc.Channel.set_service_config` does.

        >>> import asyncio, evener.grpc.aio
        >>> async def main():
        ...     async with evener.grpc.aio.insecure_channel(f"static:///{server}") as channel:
        ...         return channel.set_service_config({"loadBalancingConfig": [{"pick_first": {}}]})
        >>> asyncio.run(main())
        []
        """
        return self._attached().set_service_config(_config_text(config))

    def describe(self) -> str:
        """JSON of what is going on, as `evener.grpc.Channel.describe` gives it.

        >>> import asyncio, evener.grpc.aio, json
        >>> async def main():
        ...     async with evener.grpc.aio.insecure_channel(f"static:///{server}") as channel:
        ...         return type(json.loads(channel.describe())).__name__
        >>> asyncio.run(main())
        'dict'
        """
        return self._attached().native.describe()

    def _attached(self) -> Transport:
        """The transport, on the loop that runs now."""
        if self._closed:
            raise grpc.aio.UsageError("Channel is closed.")
        loop = asyncio.get_running_loop()
        if self._transport is None:
            return self._attach(loop)
        if self._transport.loop is not loop:
            # Raises RuntimeError where the reason is a fork.
            self._transport.native.state(False)
            raise RuntimeError("this channel belongs to another event loop")
        return self._transport

    def _attach(self, loop: asyncio.AbstractEventLoop) -> Transport:
        driver = driver_of(loop)
        token = next(tokens)
        native = self._open(driver.native, token)
        self._transport = Transport(driver, native, token, self._settings, self._make, loop, self._explain)
        return self._transport

    def _open(self, driver: _native.Driver, token: int) -> _native.Channel:
        _schemes.ready()
        settings = self._settings
        return _native.Channel(
            driver,
            self._target,
            token,
            service_config=settings.service_config,
            default_authority=settings.authority,
            **self._engine,
        )

    def __del__(self) -> None:
        transport = getattr(self, "_transport", None)
        if transport is not None:
            transport.abandon()


def insecure_channel(
    target: str,
    options: Iterable[Option] | None = None,
    service_config: str | Mapping[str, Any] | None = None,
    compression: grpc.Compression | None = None,
    interceptors: Sequence[grpc.aio.ClientInterceptor] | None = None,
    *,
    endpoints: Iterable[EndpointLike] | None = None,
    lists: Mapping[str, Iterable[EndpointLike]] | None = None,
    lists_file: str | os.PathLike[str] | None = None,
    drain_timeout: float = 30.0,
    dns_refresh: float | None = None,
    seed: int | None = None,
    discovery: Discovery | None = None,
) -> Channel:
    """An asyncio channel without encryption; the arguments are those of `evener.grpc.insecure_channel`, and ``interceptors``.

    Interceptors run when a call has its server, and all that one makes of a call goes to that server.

    >>> import asyncio, evener.grpc.aio
    >>> async def main():
    ...     async with evener.grpc.aio.insecure_channel(f"static:///{server}") as channel:
    ...         return [reply.server async for reply in demo_pb2_grpc.DemoStub(channel).Down(demo_pb2.Request(count=2))]
    >>> asyncio.run(main())
    ['s0', 's0']
    """

    def make(inner: str, inner_options: list[Option]) -> grpc.aio.Channel:
        return grpc.aio.insecure_channel(inner, inner_options, compression, not_for_ours(interceptors))

    engine = _engine_options(endpoints, lists, lists_file, drain_timeout, dns_refresh, seed, discovery)
    return Channel(target, ChannelSettings(options, service_config), make, explain=not interceptors, **engine)


def secure_channel(
    target: str,
    credentials: grpc.ChannelCredentials,
    options: Iterable[Option] | None = None,
    service_config: str | Mapping[str, Any] | None = None,
    compression: grpc.Compression | None = None,
    interceptors: Sequence[grpc.aio.ClientInterceptor] | None = None,
    *,
    endpoints: Iterable[EndpointLike] | None = None,
    lists: Mapping[str, Iterable[EndpointLike]] | None = None,
    lists_file: str | os.PathLike[str] | None = None,
    drain_timeout: float = 30.0,
    dns_refresh: float | None = None,
    seed: int | None = None,
    discovery: Discovery | None = None,
) -> Channel:
    """`insecure_channel` with credentials. Certificates are checked against the target's name, not the servers' addresses.

    >>> import asyncio, evener.grpc.aio, grpc
    >>> async def main():
    ...     async with evener.grpc.aio.secure_channel("static:///10.0.0.1:443", grpc.ssl_channel_credentials()) as channel:
    ...         return channel.get_state().name
    >>> asyncio.run(main())
    'IDLE'
    """

    def make(inner: str, inner_options: list[Option]) -> grpc.aio.Channel:
        return grpc.aio.secure_channel(inner, credentials, inner_options, compression, not_for_ours(interceptors))

    engine = _engine_options(endpoints, lists, lists_file, drain_timeout, dns_refresh, seed, discovery)
    return Channel(target, ChannelSettings(options, service_config), make, explain=not interceptors, **engine)
