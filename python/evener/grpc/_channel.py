"""The channel itself: `grpc.Channel` on top of a transport."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, Literal

import grpc

from evener import _native, _schemes
from evener._discovery import Discovery
from evener._endpoint import EndpointLike
from evener.grpc import _calls, _driver, _states
from evener.grpc._endpoints import Kind
from evener.grpc._not_ready import NotReady
from evener.grpc._options import ChannelSettings, Option, _config_text
from evener.grpc._transport import ChannelFactory, Transport
from evener.grpc._watchers import StateCallback, Watchers


class Channel(grpc.Channel):
    """A channel whose calls go where evener's core says. Made by `insecure_channel` and `secure_channel`; thread-safe.

    It is a `grpc.Channel`: generated stubs, interceptors (`grpc.intercept_channel`) and `grpc.channel_ready_future` work on it
    unchanged. It does nothing until its first call or `subscribe(..., try_to_connect=True)`. A channel does not survive `fork`:
    in a child it raises RuntimeError, and the child makes its own.

    >>> import evener.grpc
    >>> channel = evener.grpc.insecure_channel(f"static:///{server}")
    >>> reply = demo_pb2_grpc.DemoStub(channel).Unary(demo_pb2.Request(text="hello"))
    >>> reply.text
    'hello'
    >>> channel.close()
    """

    def __init__(self, target: str, settings: ChannelSettings, make: ChannelFactory, **engine: Any) -> None:
        _schemes.ready()
        process = _driver.process()
        token = next(_driver.tokens)
        native = _native.Channel(
            process.native,
            target,
            token,
            service_config=settings.service_config,
            default_authority=settings.authority,
            **engine,
        )
        self._watchers = Watchers()
        # The transport knows the watchers, not the channel: a channel that is dropped is closed.
        self._transport = Transport(process, native, token, settings, make, self._watchers.changed)
        process.registry.add(token, self._transport)

    def unary_unary(
        self,
        method: str,
        request_serializer: Callable[[Any], bytes] | None = None,
        response_deserializer: Callable[[bytes], Any] | None = None,
        _registered_method: bool | None = False,
    ) -> grpc.UnaryUnaryMultiCallable[Any, Any]:
        """See `grpc.Channel.unary_unary`."""
        return _calls.UnaryUnary(self, Kind("unary_unary", method, request_serializer, response_deserializer, _registered_method))

    def unary_stream(
        self,
        method: str,
        request_serializer: Callable[[Any], bytes] | None = None,
        response_deserializer: Callable[[bytes], Any] | None = None,
        _registered_method: bool | None = False,
    ) -> grpc.UnaryStreamMultiCallable[Any, Any]:
        """See `grpc.Channel.unary_stream`."""
        return _calls.UnaryStream(self, Kind("unary_stream", method, request_serializer, response_deserializer, _registered_method))

    def stream_unary(
        self,
        method: str,
        request_serializer: Callable[[Any], bytes] | None = None,
        response_deserializer: Callable[[bytes], Any] | None = None,
        _registered_method: bool | None = False,
    ) -> grpc.StreamUnaryMultiCallable[Any, Any]:
        """See `grpc.Channel.stream_unary`."""
        return _calls.StreamUnary(self, Kind("stream_unary", method, request_serializer, response_deserializer, _registered_method))

    def stream_stream(
        self,
        method: str,
        request_serializer: Callable[[Any], bytes] | None = None,
        response_deserializer: Callable[[bytes], Any] | None = None,
        _registered_method: bool | None = False,
    ) -> grpc.StreamStreamMultiCallable[Any, Any]:
        """See `grpc.Channel.stream_stream`."""
        return _calls.StreamStream(self, Kind("stream_stream", method, request_serializer, response_deserializer, _registered_method))

    def subscribe(self, callback: StateCallback, try_to_connect: bool | None = False) -> None:
        """Calls back with the channel's state now and at each change, on a thread of its own. See `grpc.Channel.subscribe`.

        >>> import queue, evener.grpc, grpc
        >>> states = queue.Queue()
        >>> with evener.grpc.insecure_channel(f"static:///{server}") as channel:
        ...     channel.subscribe(states.put)
        ...     states.get(timeout=5)
        <ChannelConnectivity.IDLE: (0, 'idle')>
        """
        native = self._transport.native
        native.state(bool(try_to_connect))
        if not self._transport.is_closed:
            self._watchers.add(callback, lambda: _states.connectivity(native.state()))

    def unsubscribe(self, callback: StateCallback) -> None:
        """Ends one `subscribe` of this callback. See `grpc.Channel.unsubscribe`."""
        # The lock of an inherited one may be held by a thread that this process does not have.
        if not self._transport.native.inherited:
            self._watchers.remove(callback)

    def wait_until_ready(self, timeout: float | None = 5.0) -> None:
        """Connects, and returns when calls can be made; raises `NotReady` with the reason if that takes longer than so many seconds (None: as
        long as it takes). Failures on the way are not the end: whatever can still come about is waited for.

        >>> import evener.grpc
        >>> with evener.grpc.insecure_channel(f"static:///{server}") as channel:
        ...     channel.wait_until_ready(timeout=5)
        """
        missing = self._transport.native.wait_until_ready(timeout)
        if missing is not None:
            raise NotReady(missing)

    def close(self) -> None:
        """Cancels waiting calls now and running ones within half a second; later calls raise ValueError.

        A second time does nothing.
        """
        if not self._transport.native.inherited:
            self._watchers.clear()
            self._transport.close()

    def update_endpoints(self, endpoints: Iterable[EndpointLike]) -> None:
        """Replaces the servers by these: the target is not asked any more. Calls go on meanwhile; the new list counts within
        a moment, not for a call that is made at once.

        Servers that are in both lists keep their connection. Removed ones get no new calls, and those that run there are
        cancelled when they outlast the drain timeout. Raises `evener.ConfigError` for an address that cannot be used; then
        nothing has changed.

        >>> import evener.grpc
        >>> with evener.grpc.insecure_channel("static:///127.0.0.1:1") as channel:
        ...     channel.update_endpoints([server, evener.grpc.Endpoint("127.0.0.1:2", weight=0)])
        ...     demo_pb2_grpc.DemoStub(channel).Unary(demo_pb2.Request(text="there"), timeout=5).text
        'there'
        """
        self._transport.native.update_endpoints(endpoints)

    def set_service_config(self, config: str | Mapping[str, Any]) -> list[str]:
        """Replaces the service config (gRPC's JSON, or the object itself); returns warnings, also logged, about what it says in vain.

        A config that cannot be used raises `evener.ConfigError`, and the previous one stays. One from ``service_config_source`` or from
        DNS, where `discovery` asks for that, goes before it. Message limits and health checks count within a moment.

        >>> import evener.grpc
        >>> with evener.grpc.insecure_channel(f"static:///{server}") as channel:
        ...     channel.set_service_config({"loadBalancingConfig": [{"weighted_round_robin": {}}]})
        []
        """
        return self._transport.native.set_service_config(_config_text(config))

    def describe(self) -> str:
        """JSON of what is going on: endpoints, their state, weight, calls in flight, last error; policy and config.

        >>> import evener.grpc, json
        >>> with evener.grpc.insecure_channel(f"static:///{server}") as channel:
        ...     type(json.loads(channel.describe())).__name__
        'dict'
        """
        return self._transport.native.describe()

    def __enter__(self) -> Channel:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> Literal[False]:
        self.close()
        return False

    def __del__(self) -> None:
        # Not there if __init__ raised. Dropping a channel does not cancel its calls, as with grpcio.
        transport = getattr(self, "_transport", None)
        if transport is not None:
            transport.release()


def insecure_channel(
    target: str,
    options: Iterable[Option] | None = None,
    service_config: str | Mapping[str, Any] | None = None,
    compression: grpc.Compression | None = None,
    *,
    endpoints: Iterable[EndpointLike] | None = None,
    lists: Mapping[str, Iterable[EndpointLike]] | None = None,
    lists_file: str | os.PathLike[str] | None = None,
    drain_timeout: float = 30.0,
    dns_refresh: float | None = None,
    seed: int | None = None,
    discovery: Discovery | None = None,
) -> Channel:
    """A channel without encryption whose calls evener spreads over the target's servers.

    ``target`` is ``static:///h:p;weight=3,h:p``, ``static:///NAME`` (a name in ``lists`` or in the JSON file ``lists_file``, which is
    re-read when it changes), ``ipv4:``, ``ipv6:``, ``unix:``, ``dns:///host:port`` or a bare ``host:port``, ``etcd:///services/user``,
    ``consul:///user-service``, ``kubernetes:///user-service:http``, or of a scheme that `evener.register_scheme` knows; ``endpoints``, if
    given, are the servers whatever the target says. ``options`` are grpcio's and reach each server's connection;
    ``service_config`` (JSON text or the object itself) counts before the option ``grpc.service_config``. Without one the policy
    is round_robin. ``drain_timeout`` and ``dns_refresh`` are seconds, the latter as the records' time to live says unless it is given;
    ``seed`` fixes the picks, for tests. ``discovery`` says how a live target is followed.

    Raises `evener.ConfigError` for a target, list or config that cannot be used.

    >>> import evener.grpc
    >>> with evener.grpc.insecure_channel(f"static:///{server}", service_config={"loadBalancingConfig": [{"round_robin": {}}]}) as channel:
    ...     demo_pb2_grpc.DemoStub(channel).Unary(demo_pb2.Request(text="hello")).text
    'hello'
    """
    settings = ChannelSettings(options, service_config)
    make = functools.partial(_insecure, compression)
    engine = _engine_options(endpoints, lists, lists_file, drain_timeout, dns_refresh, seed, discovery)
    return Channel(target, settings, make, **engine)


def secure_channel(
    target: str,
    credentials: grpc.ChannelCredentials,
    options: Iterable[Option] | None = None,
    service_config: str | Mapping[str, Any] | None = None,
    compression: grpc.Compression | None = None,
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

    >>> import evener.grpc, grpc
    >>> evener.grpc.secure_channel("static:///10.0.0.1:443", grpc.ssl_channel_credentials()).close()
    """
    settings = ChannelSettings(options, service_config)
    make = functools.partial(_secure, credentials, compression)
    engine = _engine_options(endpoints, lists, lists_file, drain_timeout, dns_refresh, seed, discovery)
    return Channel(target, settings, make, **engine)


def _engine_options(
    endpoints: Iterable[EndpointLike] | None,
    lists: Mapping[str, Iterable[EndpointLike]] | None,
    lists_file: str | os.PathLike[str] | None,
    drain_timeout: float,
    dns_refresh: float | None,
    seed: int | None,
    discovery: Discovery | None,
) -> dict[str, Any]:
    return {
        "endpoints": None if endpoints is None else _kept(endpoints),
        "lists": None if lists is None else _kept_lists(lists),
        "lists_file": lists_file,
        "drain_timeout": drain_timeout,
        "dns_refresh": dns_refresh,
        "seed": seed,
        "discovery": discovery,
    }


def _kept(endpoints: Iterable[EndpointLike]) -> Iterable[EndpointLike]:
    """The list as it is now, which can be gone through twice: an asyncio channel's is, when it is checked and when a loop runs.
    A text would become its letters; as it is, the engine refuses it."""
    return list(endpoints) if isinstance(endpoints, Iterable) and not isinstance(endpoints, (str, bytes)) else endpoints


def _kept_lists(lists: Mapping[str, Iterable[EndpointLike]]) -> Mapping[str, Iterable[EndpointLike]]:
    """The same for named ones. What is no mapping the engine refuses as well."""
    return {name: _kept(each) for name, each in lists.items()} if isinstance(lists, Mapping) else lists


def _insecure(compression: grpc.Compression | None, target: str, options: list[Option]) -> grpc.Channel:
    return grpc.insecure_channel(target, options, compression)


def _secure(
    credentials: grpc.ChannelCredentials, compression: grpc.Compression | None, target: str, options: list[Option]
) -> grpc.Channel:
    return grpc.secure_channel(target, credentials, options, compression)
