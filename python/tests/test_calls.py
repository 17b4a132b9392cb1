"""Calls on a synchronous channel that has servers."""

from __future__ import annotations

import collections
import gc
import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import evener.grpc
import grpc
import pytest
from conftest import Server, eventually, target_of
from evener.grpc._options import inner_config
from evener.grpc._transport import InnerEndpoint

import demo_pb2 as pb
import demo_pb2_grpc as pb_grpc


@pytest.fixture
def channel(three: list[Server]) -> Iterator[evener.grpc.Channel]:
    with evener.grpc.insecure_channel(target_of(three)) as channel:
        grpc.channel_ready_future(channel).result(timeout=10)
        eventually(lambda: all(each["state"] == "READY" for each in endpoints(channel)))
        yield channel


@pytest.fixture
def stub(channel: evener.grpc.Channel) -> Any:
    return pb_grpc.DemoStub(channel)


def endpoints(channel: evener.grpc.Channel) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(channel.describe())["endpoints"]
    return found


def total(channel: evener.grpc.Channel, column: str) -> int:
    return sum(each[column] for each in endpoints(channel))


def test_calls_are_spread_evenly(stub: Any) -> None:
    eventually(lambda: len({stub.Unary(pb.Request()).server for _ in range(3)}) == 3)
    counts = collections.Counter(stub.Unary(pb.Request()).server for _ in range(30))
    assert counts == {"s0": 10, "s1": 10, "s2": 10}


def test_all_kinds_answer_and_are_reported_once(channel: evener.grpc.Channel, stub: Any) -> None:
    assert stub.Unary(pb.Request(text="a")).text == "a"
    reply, call = stub.Unary.with_call(pb.Request(text="b"))
    assert (reply.text, call.code()) == ("b", grpc.StatusCode.OK)
    assert dict(call.trailing_metadata())["x-server"] == reply.server
    assert stub.Unary.future(pb.Request(text="c")).result(timeout=5).text == "c"
    down = stub.Down(pb.Request(text="d", count=3))
    assert [reply.text for reply in down] == ["d"] * 3
    assert down.code() is grpc.StatusCode.OK
    requests = [pb.Request(text=str(number)) for number in range(3)]
    assert stub.Up(iter(requests)).text == "0,1,2"
    assert stub.Up.with_call(iter(requests))[0].received == 3
    assert stub.Up.future(iter(requests)).result(timeout=5).text == "0,1,2"
    assert [reply.text for reply in stub.Bidi(iter(requests))] == ["0", "1", "2"]
    eventually(lambda: total(channel, "in_flight") == 0)
    assert total(channel, "ok") == 8
    assert sum(total(channel, column) for column in ("failed", "rejected", "other")) == 0


@pytest.mark.parametrize(
    ("code", "column"),
    [
        (grpc.StatusCode.UNAVAILABLE, "failed"),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, "rejected"),
        (grpc.StatusCode.NOT_FOUND, "ok"),
        (grpc.StatusCode.CANCELLED, "other"),
    ],
)
def test_a_servers_error_reaches_the_caller_and_the_core(
    channel: evener.grpc.Channel, stub: Any, code: grpc.StatusCode, column: str
) -> None:
    request = pb.Request(text="why", code=code.value[0])
    with pytest.raises(grpc.RpcError) as caught:
        stub.Unary(request)
    error: Any = caught.value
    assert isinstance(error, grpc.Call)
    assert (error.code(), error.details()) == (code, "asked for: why")
    assert dict(error.trailing_metadata())["x-server"].startswith("s")
    with pytest.raises(grpc.RpcError):
        stub.Unary.future(request).result(timeout=5)
    with pytest.raises(grpc.RpcError):
        list(stub.Down(request))
    eventually(lambda: total(channel, column) == 3)
    assert total(channel, "in_flight") == 0


def test_deadlines(channel: evener.grpc.Channel, stub: Any) -> None:
    slow = pb.Request(delay_ms=2000)
    with pytest.raises(grpc.RpcError) as caught:
        stub.Unary(slow, timeout=0.05)
    error: Any = caught.value
    assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert stub.Unary.future(slow, timeout=0.05).exception(timeout=5).code() is grpc.StatusCode.DEADLINE_EXCEEDED
    eventually(lambda: total(channel, "failed") == 2)


def test_metadata_and_compression_pass_through(three: list[Server], stub: Any) -> None:
    reply = stub.Unary(pb.Request(text="x" * 1000), metadata=[("x-key", "value")], compression=grpc.Compression.Gzip)
    server = next(server for server in three if server.name == reply.server)
    assert server.metadata[-1]["x-key"] == "value"
    list(stub.Down(pb.Request(count=1), metadata=(("x-key", "stream"),)))
    assert any(seen.get("x-key") == "stream" for server in three for seen in server.metadata)


def test_cancelling(channel: evener.grpc.Channel, stub: Any) -> None:
    stream = stub.Down(pb.Request(count=100_000, delay_ms=1))
    next(stream)
    stream.cancel()
    with pytest.raises(grpc.RpcError):
        collections.deque(stream, maxlen=0)
    assert stream.code() is grpc.StatusCode.CANCELLED
    future = stub.Unary.future(pb.Request(delay_ms=5000))
    assert future.cancel()
    with pytest.raises(grpc.FutureCancelledError):
        future.result(timeout=5)
    eventually(lambda: total(channel, "other") == 2)
    assert total(channel, "in_flight") == 0


def test_an_abandoned_stream_is_released_and_reported_once(channel: evener.grpc.Channel, stub: Any) -> None:
    for start in (
        lambda: stub.Down(pb.Request(count=100_000, delay_ms=1)),
        lambda: stub.Bidi(pb.Request(text="x") for _ in range(100_000)),
    ):
        before = total(channel, "other")
        stream = start()
        next(stream)
        assert total(channel, "in_flight") == 1
        del stream
        gc.collect()
        eventually(lambda: total(channel, "in_flight") == 0)
        assert total(channel, "other") == before + 1


def test_interceptors(channel: evener.grpc.Channel) -> None:
    seen: list[str] = []

    class Note(
        grpc.UnaryUnaryClientInterceptor,  # type: ignore[misc]
        grpc.UnaryStreamClientInterceptor,
        grpc.StreamUnaryClientInterceptor,
        grpc.StreamStreamClientInterceptor,
    ):
        def _intercept(self, continuation: Any, details: Any, request: Any) -> Any:
            seen.append(details.method)
            return continuation(details, request)

        intercept_unary_unary = intercept_unary_stream = _intercept
        intercept_stream_unary = intercept_stream_stream = _intercept

    stub = pb_grpc.DemoStub(grpc.intercept_channel(channel, Note()))
    assert len({stub.Unary(pb.Request()).server for _ in range(3)}) == 3
    assert stub.Unary.with_call(pb.Request())[1].code() is grpc.StatusCode.OK
    assert stub.Unary.future(pb.Request(text="f")).result(timeout=5).text == "f"
    assert len(list(stub.Down(pb.Request(count=2)))) == 2
    assert stub.Up(iter([pb.Request(text="u")])).text == "u"
    assert [reply.text for reply in stub.Bidi(iter([pb.Request(text="b")]))] == ["b"]
    with pytest.raises(grpc.RpcError):
        stub.Unary(pb.Request(code=14))
    assert len(seen) == 9


def test_done_callbacks(stub: Any) -> None:
    done = threading.Event()
    future = stub.Unary.future(pb.Request())
    future.add_done_callback(lambda ended: done.set() if ended is future else None)
    assert done.wait(5)


def test_a_serializer_that_raises_is_reported(channel: evener.grpc.Channel) -> None:
    def broken(_: object) -> bytes:
        raise TypeError("no")

    method = channel.unary_unary("/evener.demo.Demo/Unary", request_serializer=broken)
    for call in (lambda: method(b""), lambda: method.future(b"")):
        with pytest.raises(grpc.RpcError) as caught:
            call()
        error: Any = caught.value
        assert error.code() is grpc.StatusCode.INTERNAL
    eventually(lambda: total(channel, "in_flight") == 0)


def test_multicallables_without_stubs(channel: evener.grpc.Channel) -> None:
    method = channel.unary_unary("/evener.demo.Demo/Unary")
    assert pb.Reply.FromString(method(pb.Request(text="raw").SerializeToString())).text == "raw"


def test_a_lost_server_costs_no_call(start_server: Callable[..., Server], three: list[Server], stub: Any) -> None:
    """Calls that their connection could not send go elsewhere, so only those that run on the server can fail."""
    stop = threading.Event()
    failures: list[BaseException] = []

    def call() -> None:
        while not stop.is_set():
            try:
                stub.Unary(pb.Request(), timeout=5)
            except grpc.RpcError as error:
                failures.append(error)

    threads = [threading.Thread(target=call) for _ in range(3)]
    for thread in threads:
        thread.start()
    eventually(lambda: len(three[0].metadata) > 20)
    port = three[0].port
    three[0].stop()
    time.sleep(0)
    seen = len(three[1].metadata)
    eventually(lambda: len(three[1].metadata) > seen + 50)
    replacement = start_server("s0 again", port)
    eventually(lambda: len(replacement.metadata) > 20)
    stop.set()
    for thread in threads:
        thread.join()
    # Calls in flight at the stop may be cut, one per thread.
    assert len(failures) <= len(threads)


def test_each_call_is_reported_once_whatever_the_application_does(three: list[Server]) -> None:
    """Serializers, request iterators and interceptors that raise."""

    def broken(_: object) -> Any:
        raise ValueError("made for the test")

    def ends() -> Iterator[Any]:
        yield pb.Request()
        raise ValueError("made for the test")

    class Broken(grpc.UnaryUnaryClientInterceptor):  # type: ignore[misc]
        def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
            continuation(details, request)
            raise ValueError("made for the test")

    with evener.grpc.insecure_channel(target_of(three)) as channel:
        grpc.channel_ready_future(channel).result(timeout=10)
        unserializable: Any = channel.unary_unary("/evener.demo.Demo/Unary", broken, pb.Reply.FromString)
        unreadable: Any = channel.unary_unary("/evener.demo.Demo/Unary", pb.Request.SerializeToString, broken)
        stream: Any = channel.unary_stream("/evener.demo.Demo/Down", broken, pb.Reply.FromString)
        intercepted: Any = pb_grpc.DemoStub(grpc.intercept_channel(channel, Broken()))
        attempts: list[Callable[[], object]] = [
            lambda: unserializable(pb.Request(), timeout=10),
            lambda: unserializable.future(pb.Request(), timeout=10).result(10),
            lambda: unreadable(pb.Request(), timeout=10),
            lambda: list(stream(pb.Request(), timeout=10)),
            lambda: pb_grpc.DemoStub(channel).Up(ends(), timeout=10),
            lambda: intercepted.Unary(pb.Request(), timeout=10),
        ]
        for attempt in attempts:
            with pytest.raises((grpc.RpcError, ValueError)):
                attempt()

        def total(*columns: str) -> int:
            return sum(each[column] for each in json.loads(channel.describe())["endpoints"] for column in columns)

        eventually(lambda: total("in_flight") == 0)
        assert total("ok", "failed", "rejected", "other") == len(attempts)


def test_endpoints_that_come_and_go_leave_nothing_behind(three: list[Server]) -> None:
    def inner() -> int:
        gc.collect()
        return sum(isinstance(each, InnerEndpoint) for each in gc.get_objects())

    with evener.grpc.insecure_channel(target_of(three)) as channel:
        stub: Any = pb_grpc.DemoStub(channel)
        for turn in range(15):
            channel.update_endpoints([three[turn % 3].address])
            eventually(lambda turn=turn: stub.Unary(pb.Request(), timeout=10).server == f"s{turn % 3}")
        eventually(lambda: inner() == 1)


class Gateway:
    """A server that has called another one, in vain, and passes on what its own gRPC said of that."""

    def __init__(self) -> None:
        self.calls = 0
        self._grpc = grpc.server(futures.ThreadPoolExecutor(2))
        self._grpc.add_generic_rpc_handlers([self])  # type: ignore[list-item]
        self.address = f"127.0.0.1:{self._grpc.add_insecure_port('127.0.0.1:0')}"
        self._grpc.start()

    def service(self, _: object) -> Any:
        def answer(_: object, context: Any) -> None:
            self.calls += 1
            # Its own address in it is the worst case.
            reason = f"last error: UNKNOWN: ipv4:{self.address}: Failed to connect to remote host: Connection refused"
            context.abort(grpc.StatusCode.UNAVAILABLE, f"failed to connect to all addresses; {reason}")

        return grpc.unary_unary_rpc_method_handler(answer)

    def stop(self) -> None:
        self._grpc.stop(None).wait()


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    started = Gateway()
    yield started
    started.stop()


@pytest.mark.parametrize("wait_for_ready", [None, True])
def test_a_call_that_a_server_has_seen_is_not_sent_again(gateway: Gateway, wait_for_ready: bool | None) -> None:
    with evener.grpc.insecure_channel(f"static:///{gateway.address}") as channel:
        with pytest.raises(grpc.RpcError) as caught:
            pb_grpc.DemoStub(channel).Unary(pb.Request(), timeout=5, wait_for_ready=wait_for_ready)
        error: Any = caught.value
        assert error.code() is grpc.StatusCode.UNAVAILABLE
        assert gateway.calls == 1


def test_what_no_server_has_seen_is_told_from_what_one_has_said(gateway: Gateway, dead_address: str, tmp_path: Path) -> None:
    """By what the installed grpcio says itself."""
    for target, is_unsent in [
        (f"ipv4:{dead_address}", True),
        (f"ipv4:127.0.0.1:1,{dead_address}", True),
        (f"unix:{tmp_path}/none.sock", True),
        (f"ipv4:{gateway.address}", False),
    ]:
        options = [("grpc.service_config", inner_config(None, target)), ("grpc.enable_retries", 0)]
        with grpc.insecure_channel(target, options) as inner:
            endpoint = InnerEndpoint(None, 0, inner, target)  # type: ignore[arg-type]
            with pytest.raises(grpc.RpcError) as caught:
                inner.unary_unary("/evener.demo.Demo/Unary")(b"", timeout=10)
            assert endpoint.has_never_sent(caught.value) is is_unsent, target


@pytest.fixture
def deaf(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """While it is set, the engine is not told of connections: it is as far behind as it is for a moment after each loss."""
    told, is_deaf = InnerEndpoint._tell, threading.Event()

    def tell(self: InnerEndpoint, state: grpc.ChannelConnectivity, error: str) -> None:
        if not is_deaf.is_set():
            told(self, state, error)

    monkeypatch.setattr(InnerEndpoint, "_tell", tell)
    return is_deaf


def _lose(channel: evener.grpc.Channel, server: Server) -> InnerEndpoint:
    """Stops a server and waits until its connection is known to be gone; its endpoint."""
    endpoint = next(each for each in channel._transport._endpoints.values() if each._target.endswith(server.address))
    server.stop()
    eventually(lambda: endpoint.channel._channel.check_connectivity_state(False) == 3)
    return endpoint


def test_no_call_goes_onto_a_connection_that_is_gone(
    three: list[Server], channel: evener.grpc.Channel, stub: Any, deaf: threading.Event
) -> None:
    deaf.set()
    _lose(channel, three[0])
    assert {stub.Unary(pb.Request(), timeout=10, wait_for_ready=True).server for _ in range(6)} == {"s1", "s2"}
    calls = [stub.Unary.future(pb.Request(), timeout=10, wait_for_ready=True) for _ in range(6)]
    assert {call.result(timeout=10).server for call in calls} == {"s1", "s2"}
    streams = [stub.Down(pb.Request(count=1), timeout=10, wait_for_ready=True) for _ in range(6)]
    assert {next(stream).server for stream in streams} == {"s1", "s2"}


def test_calls_wait_where_every_connection_is_gone(start_server: Callable[..., Server], deaf: threading.Event) -> None:
    only = start_server()
    options = [("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 100)]
    with evener.grpc.insecure_channel(f"static:///{only.address}", options) as channel:
        stub: Any = pb_grpc.DemoStub(channel)
        assert stub.Unary(pb.Request(), timeout=10).server == "s0"
        deaf.set()
        _lose(channel, only)
        with pytest.raises(grpc.RpcError) as caught:
            stub.Unary(pb.Request(), timeout=0.1)
        error: Any = caught.value
        assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert stub.Unary.future(pb.Request(), timeout=0.1).code() is grpc.StatusCode.DEADLINE_EXCEEDED
        waiting = stub.Unary.future(pb.Request(), timeout=30)
        start_server("again", only.port)
        assert waiting.result(timeout=30).server == "again"
        assert stub.Unary(pb.Request(), timeout=30).server == "again"


def test_what_could_not_be_sent_goes_elsewhere_with_its_metadata(
    start_server: Callable[..., Server], deaf: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection is lost after the last look at it, which the double plays by a look that comes too early."""
    servers = [start_server(f"s{number}") for number in range(2)]
    with evener.grpc.insecure_channel(target_of(servers)) as channel:
        stub: Any = pb_grpc.DemoStub(channel)
        eventually(lambda: {stub.Unary(pb.Request(), timeout=10).server for _ in range(2)} == {"s0", "s1"})
        deaf.set()
        lost = _lose(channel, servers[0])
        looked, early = InnerEndpoint.is_ready, [False]
        lies: list[InnerEndpoint] = []

        def is_ready(self: InnerEndpoint) -> bool:
            if self is lost and early[0]:
                early[0] = False
                lies.append(self)
                return True
            return looked(self)

        monkeypatch.setattr(InnerEndpoint, "is_ready", is_ready)
        for number in range(4):
            early[0] = True
            metadata = (pair for pair in [("x-number", str(number))])
            assert stub.Unary(pb.Request(), timeout=10, metadata=metadata).server == "s1"
            assert servers[1].metadata[-1]["x-number"] == str(number)
        assert lies
