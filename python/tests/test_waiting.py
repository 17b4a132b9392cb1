"""Calls made before there is a server: they wait, whatever their flavour, and nobody is blocked who has not asked for it."""

from __future__ import annotations

import asyncio
import gc
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import evener
import evener.grpc
import evener.grpc.aio
import grpc
import pytest
from conftest import Server, eventually, target_of
from evener.grpc import _late

import demo_pb2 as pb
import demo_pb2_grpc as pb_grpc

_FLAVOURS: dict[str, Callable[[Any, dict[str, Any]], str]] = {
    "unary": lambda stub, options: stub.Unary(pb.Request(text="x"), **options).text,
    "unary_with_call": lambda stub, options: stub.Unary.with_call(pb.Request(text="x"), **options)[0].text,
    "unary_future": lambda stub, options: stub.Unary.future(pb.Request(text="x"), **options).result(timeout=10).text,
    "down": lambda stub, options: next(iter(stub.Down(pb.Request(text="x", count=1), **options))).text,
    "up": lambda stub, options: stub.Up(iter([pb.Request(text="x")]), **options).text,
    "up_future": lambda stub, options: stub.Up.future(iter([pb.Request(text="x")]), **options).result(timeout=10).text,
    "bidi": lambda stub, options: next(iter(stub.Bidi(iter([pb.Request(text="x")]), **options))).text,
}
flavours = pytest.mark.parametrize("call", _FLAVOURS.values(), ids=_FLAVOURS)


@pytest.fixture
def silent() -> Iterator[str]:
    """An address that accepts connections and never says anything: a channel to it stays CONNECTING."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        yield f"127.0.0.1:{listener.getsockname()[1]}"


@flavours
def test_the_first_call_succeeds(three: list[Server], call: Callable[[Any, dict[str, Any]], str]) -> None:
    with evener.grpc.insecure_channel(target_of(three)) as channel:
        assert call(pb_grpc.DemoStub(channel), {}) == "x"


@flavours
def test_the_deadline_is_kept_while_waiting(silent: str, call: Callable[[Any, dict[str, Any]], str]) -> None:
    with evener.grpc.insecure_channel(f"static:///{silent}") as channel:
        started = time.monotonic()
        with pytest.raises(grpc.RpcError) as caught:
            call(pb_grpc.DemoStub(channel), {"timeout": 0.1})
        error: Any = caught.value
        assert isinstance(error, grpc.Call)
        assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert 0.1 <= time.monotonic() - started < 5


@flavours
def test_failure_is_fast_and_says_why(dead_address: str, call: Callable[[Any, dict[str, Any]], str]) -> None:
    with evener.grpc.insecure_channel(f"static:///{dead_address}") as channel:
        with pytest.raises(grpc.RpcError) as caught:
            call(pb_grpc.DemoStub(channel), {"timeout": 10})
        error: Any = caught.value
        assert error.code() is grpc.StatusCode.UNAVAILABLE
        assert dead_address in error.details()
        assert "refused" in error.details()


@flavours
def test_wait_for_ready_outlasts_failure(
    start_server: Callable[..., Server], dead_address: str, call: Callable[[Any, dict[str, Any]], str]
) -> None:
    options = [("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 100)]
    with evener.grpc.insecure_channel(f"static:///{dead_address}", options) as channel:
        stub = pb_grpc.DemoStub(channel)
        answers: list[str] = []
        thread = threading.Thread(target=lambda: answers.append(call(stub, {"timeout": 30, "wait_for_ready": True})))
        thread.start()
        eventually(lambda: json.loads(channel.describe())["state"] == "TRANSIENT_FAILURE")
        start_server("late", int(dead_address.rpartition(":")[2]))
        thread.join(20)
        assert answers == ["x"]


def test_futures_and_streams_do_not_block_the_caller(three: list[Server], silent: str) -> None:
    with evener.grpc.insecure_channel(f"static:///{silent}") as channel:
        stub = pb_grpc.DemoStub(channel)
        started = time.monotonic()
        future = stub.Unary.future(pb.Request(text="f"))
        down = stub.Down(pb.Request(text="d", count=2))
        bidi = stub.Bidi(iter([pb.Request(text="b")]))
        assert time.monotonic() - started < 1
        assert not future.done() and future.running() and down.is_active()
        with pytest.raises(grpc.FutureTimeoutError):
            future.result(timeout=0.05)
        seen: list[Any] = []
        future.add_done_callback(seen.append)
        channel.update_endpoints([server.address for server in three])
        assert future.result(timeout=10).text == "f"
        assert [reply.text for reply in down] == ["d", "d"]
        assert [reply.text for reply in bidi] == ["b"]
        eventually(lambda: seen == [future])
        assert future.code() is grpc.StatusCode.OK
        assert dict(future.trailing_metadata())["x-server"] in {"s0", "s1", "s2"}


def test_a_waiting_request_is_what_it_was(three: list[Server], silent: str) -> None:
    with evener.grpc.insecure_channel(f"static:///{silent}") as channel:
        request = pb.Request(text="then")
        future = pb_grpc.DemoStub(channel).Unary.future(request)
        request.text = "now"
        channel.update_endpoints([three[0].address])
        assert future.result(timeout=10).text == "then"


def test_a_waiting_call_can_be_cancelled(silent: str) -> None:
    with evener.grpc.insecure_channel(f"static:///{silent}") as channel:
        stub = pb_grpc.DemoStub(channel)
        future = stub.Unary.future(pb.Request())
        assert future.cancel()
        assert future.cancelled() and future.done()
        with pytest.raises(grpc.FutureCancelledError):
            future.result(timeout=5)
        stream = stub.Down(pb.Request())
        assert stream.cancel()
        with pytest.raises(grpc.RpcError):
            next(stream)
        assert stream.code() is grpc.StatusCode.CANCELLED
        # Nothing is left of them, though nothing has become ready.
        eventually(lambda: not _late.room()._waiting)


def test_a_dropped_waiting_stream_never_starts(start_server: Callable[..., Server], silent: str) -> None:
    server = start_server()
    with evener.grpc.insecure_channel(f"static:///{silent}") as channel:
        stub = pb_grpc.DemoStub(channel)
        stream = stub.Down(pb.Request(count=1))
        del stream
        gc.collect()
        channel.update_endpoints([server.address])
        stub.Unary(pb.Request(), timeout=10)
        assert len(server.metadata) == 1


def test_closing_ends_waiting_calls(silent: str) -> None:
    channel = evener.grpc.insecure_channel(f"static:///{silent}")
    stub = pb_grpc.DemoStub(channel)
    future = stub.Unary.future(pb.Request())
    stream = stub.Down(pb.Request())
    errors: list[Any] = []

    def block() -> None:
        try:
            stub.Unary(pb.Request())
        except grpc.RpcError as error:
            errors.append(error.code())  # type: ignore[attr-defined]
        except ValueError:
            # The thread came too late: the channel was closed already.
            errors.append(grpc.StatusCode.CANCELLED)

    thread = threading.Thread(target=block)
    thread.start()
    eventually(lambda: json.loads(channel.describe())["state"] == "CONNECTING")
    channel.close()
    thread.join(5)
    assert errors == [grpc.StatusCode.CANCELLED]
    assert future.exception(timeout=5).code() is grpc.StatusCode.CANCELLED
    assert stream.code() is grpc.StatusCode.CANCELLED


def test_a_wait_is_not_tied_to_an_endpoint(three: list[Server], silent: str) -> None:
    """The endpoint that is connecting goes away; the call is made on another."""
    with evener.grpc.insecure_channel(f"static:///{silent}") as channel:
        future = pb_grpc.DemoStub(channel).Unary.future(pb.Request(text="x"), timeout=20)
        eventually(lambda: json.loads(channel.describe())["state"] == "CONNECTING")
        channel.update_endpoints([three[0].address])
        assert future.result(timeout=10).text == "x"


def test_an_unknown_list_is_a_clear_failure() -> None:
    with evener.grpc.insecure_channel("static:///user-service", lists={"order-service": ["127.0.0.1:1"]}) as channel:
        with pytest.raises(grpc.RpcError) as caught:
            pb_grpc.DemoStub(channel).Unary(pb.Request(), timeout=10)
        error: Any = caught.value
        assert error.code() is grpc.StatusCode.UNAVAILABLE


@flavours
def test_a_timeout_that_is_no_number_is_refused(silent: str, call: Callable[[Any, dict[str, Any]], str]) -> None:
    with evener.grpc.insecure_channel(f"static:///{silent}") as channel, pytest.raises(ValueError, match="not a number"):
        call(pb_grpc.DemoStub(channel), {"timeout": float("nan")})


@pytest.mark.parametrize("timeout", [float("inf"), 1e300, threading.TIMEOUT_MAX * 2])
def test_a_call_that_waits_for_ever_does_not_stop_the_clock_of_others(silent: str, timeout: float) -> None:
    with evener.grpc.insecure_channel(f"static:///{silent}") as channel:
        stub: Any = pb_grpc.DemoStub(channel)
        for_ever = [stub.Unary.future(pb.Request(), timeout=timeout), stub.Down(pb.Request(), timeout=timeout)]
        for _ in range(2):
            short = stub.Unary.future(pb.Request(), timeout=0.05)
            assert short.exception(timeout=10).code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert not any(each.done() for each in for_ever)


def test_a_start_waits_for_a_server(start_server: Callable[..., Server], dead_address: str) -> None:
    options = [("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 100)]
    with evener.grpc.insecure_channel(f"static:///{dead_address}", options) as channel:
        with pytest.raises(evener.grpc.NotReady, match="refused") as caught:
            channel.wait_until_ready(timeout=2)
        assert dead_address in str(caught.value)
        start_server("late", int(dead_address.rpartition(":")[2]))
        channel.wait_until_ready(timeout=20)
        assert pb_grpc.DemoStub(channel).Unary(pb.Request(text="x")).text == "x"


def test_a_start_says_what_the_resolver_says() -> None:
    evener.register_scheme("closed", lambda target, sink: sink.fail("the office is closed"))
    with evener.grpc.insecure_channel("closed:///users") as channel:
        with pytest.raises(TimeoutError, match="the office is closed"):
            channel.wait_until_ready(timeout=2)
    evener.register_scheme("nobody", lambda target, sink: sink.push([]))
    with evener.grpc.insecure_channel("nobody:///users") as channel:
        with pytest.raises(evener.grpc.NotReady, match="is empty"):
            channel.wait_until_ready(timeout=2)


def test_a_start_is_over_when_the_channel_is_closed(silent: str) -> None:
    channel = evener.grpc.insecure_channel(f"static:///{silent}")
    with pytest.raises(evener.grpc.NotReady, match="no answer yet"):
        channel.wait_until_ready(timeout=0.05)
    closer = threading.Timer(0.05, channel.close)
    closer.start()
    with pytest.raises(evener.grpc.NotReady, match="closed"):
        channel.wait_until_ready(timeout=None)
    closer.join()


def test_a_start_with_asyncio(start_server: Callable[..., Server], dead_address: str, silent: str) -> None:
    async def main() -> None:
        async with evener.grpc.aio.insecure_channel(f"static:///{dead_address}") as channel:
            with pytest.raises(evener.grpc.NotReady, match="refused"):
                await channel.wait_until_ready(timeout=2)
        async with evener.grpc.aio.insecure_channel(f"static:///{silent}") as channel:
            with pytest.raises(evener.grpc.NotReady, match="no answer yet"):
                await channel.wait_until_ready(timeout=0.05)
            channel.update_endpoints([start_server().address])
            await channel.wait_until_ready(timeout=20)
            assert (await pb_grpc.DemoStub(channel).Unary(pb.Request(text="x"))).text == "x"

    asyncio.run(main())


@pytest.mark.parametrize(("time_ms", "is_found"), [(10_000, True), (299_999, True), (300_000, False)])
def test_keepalive_that_servers_refuse_is_warned_about(time_ms: int, is_found: bool, caplog: pytest.LogCaptureFixture) -> None:
    options = [("grpc.keepalive_time_ms", time_ms), ("grpc.keepalive_permit_without_calls", 1)]
    evener.grpc.insecure_channel("static:///127.0.0.1:1", options).close()
    assert ("too_many_pings" in caplog.text) is is_found
    caplog.clear()
    evener.grpc.aio.insecure_channel("static:///127.0.0.1:1", options)
    assert ("too_many_pings" in caplog.text) is is_found


@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt])
def test_a_callback_that_raises_harms_no_other_call(
    silent: str, error: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_: object) -> None:
        raise error("made for the test")

    with evener.grpc.insecure_channel(f"static:///{silent}") as channel:
        stub: Any = pb_grpc.DemoStub(channel)
        first = stub.Unary.future(pb.Request(), timeout=0.05)
        first.add_done_callback(broken)
        assert first.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        eventually(lambda: "a callback of a call raised" in caplog.text)
        assert stub.Unary.future(pb.Request(), timeout=0.05).exception(timeout=10).code() is grpc.StatusCode.DEADLINE_EXCEEDED


class Never:
    """A call for which there is no endpoint."""

    deadline: float | None = 0.0

    def start(self) -> None:
        return None


def test_a_room_whose_thread_cannot_be_started_starts_it_later(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    room = _late.Room()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", none_left)
        with pytest.raises(RuntimeError):
            room.admit(1, Never())
    assert room.admit(1, Never()).exception(timeout=10).code() is grpc.StatusCode.DEADLINE_EXCEEDED


def test_cancelling_a_call_that_starts_at_this_moment_cancels_it() -> None:
    class Begun:
        """The call that was started."""

        cancelled = False

        def cancel(self) -> bool:
            self.cancelled = True
            return True

    begun = Begun()
    call = _late.LateCall(None)

    class Crowded(threading.Condition):
        """A double of the call's lock: whoever leaves it first is followed by the thread that starts calls."""

        def __exit__(self, *reason: Any) -> None:
            super().__exit__(*reason)
            call._condition = threading.Condition(threading.RLock())
            call.bind(begun)

    call._condition = Crowded(threading.RLock())
    assert call.cancel()
    assert begun.cancelled
