"""The asyncio channel."""

from __future__ import annotations

import asyncio
import collections
import gc
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import evener
import evener.grpc.aio
import grpc
import grpc.aio
import pytest
from conftest import TESTDATA, Server, target_of
from evener.grpc.aio._driver import LoopDriver
from evener.grpc.aio._transport import InnerEndpoint

import demo_pb2 as pb
import demo_pb2_grpc as pb_grpc


def run(main: Coroutine[Any, Any, None]) -> None:
    """Runs a test on a loop of its own, with asyncio's own checks on."""
    asyncio.run(asyncio.wait_for(main, 50), debug=True)


async def eventually(condition: Callable[[], object], seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)


async def requests(*texts: str) -> AsyncIterator[Any]:
    for text in texts:
        yield pb.Request(text=text)


def total(channel: evener.grpc.aio.Channel, column: str) -> int:
    return sum(each[column] for each in json.loads(channel.describe())["endpoints"])


async def code_of(call: Awaitable[object]) -> grpc.StatusCode:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value.code()


async def _first(stream: Any) -> str:
    async for reply in stream:
        return str(reply.text)
    raise AssertionError("an empty stream")


async def _read_write(stream: Any) -> str:
    await stream.write(pb.Request(text="x"))
    reply = await stream.read()
    await stream.done_writing()
    return str(reply.text)


async def _text(call: Any) -> str:
    return str((await call).text)


_FLAVOURS: dict[str, Callable[[Any, dict[str, Any]], Awaitable[str]]] = {
    "unary": lambda stub, options: _text(stub.Unary(pb.Request(text="x"), **options)),
    "down": lambda stub, options: _first(stub.Down(pb.Request(text="x", count=1), **options)),
    "down_read": lambda stub, options: _text(stub.Down(pb.Request(text="x", count=1), **options).read()),
    "up": lambda stub, options: _text(stub.Up(requests("x"), **options)),
    "bidi": lambda stub, options: _first(stub.Bidi(requests("x"), **options)),
    "bidi_read_write": lambda stub, options: _read_write(stub.Bidi(**options)),
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
def test_the_first_call_succeeds(three: list[Server], call: Callable[[Any, dict[str, Any]], Awaitable[str]]) -> None:
    async def main() -> None:
        async with evener.grpc.aio.insecure_channel(target_of(three)) as channel:
            assert await call(pb_grpc.DemoStub(channel), {}) == "x"

    run(main())


@flavours
def test_calls_with_servers(three: list[Server], call: Callable[[Any, dict[str, Any]], Awaitable[str]]) -> None:
    async def main() -> None:
        async with evener.grpc.aio.insecure_channel(target_of(three)) as channel:
            await channel.channel_ready()
            stub = pb_grpc.DemoStub(channel)
            for _ in range(4):
                assert await call(stub, {"timeout": 10, "metadata": (("x-key", "value"),)}) == "x"
            gc.collect()
            await eventually(lambda: total(channel, "in_flight") == 0)
            assert total(channel, "ok") + total(channel, "other") == 4
        assert all(seen["x-key"] == "value" for server in three for seen in server.metadata)

    run(main())


@flavours
def test_the_deadline_is_kept_while_waiting(silent: str, call: Callable[[Any, dict[str, Any]], Awaitable[str]]) -> None:
    async def main() -> None:
        async with evener.grpc.aio.insecure_channel(f"static:///{silent}") as channel:
            code = await code_of(call(pb_grpc.DemoStub(channel), {"timeout": 0.1}))
            assert code is grpc.StatusCode.DEADLINE_EXCEEDED

    run(main())


@flavours
def test_failure_is_fast_and_says_why(dead_address: str, call: Callable[[Any, dict[str, Any]], Awaitable[str]]) -> None:
    async def main() -> None:
        async with evener.grpc.aio.insecure_channel(f"static:///{dead_address}") as channel:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call(pb_grpc.DemoStub(channel), {"timeout": 10})
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
            assert "refused" in (caught.value.details() or "")

    run(main())


def test_wait_for_ready_outlasts_failure(start_server: Callable[..., Server], dead_address: str) -> None:
    async def main() -> None:
        options = [("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 100)]
        async with evener.grpc.aio.insecure_channel(f"static:///{dead_address}", options) as channel:
            call = pb_grpc.DemoStub(channel).Unary(pb.Request(text="x"), timeout=30, wait_for_ready=True)
            await eventually(lambda: channel.get_state() is grpc.ChannelConnectivity.TRANSIENT_FAILURE)
            start_server("late", int(dead_address.rpartition(":")[2]))
            assert (await call).server == "late"

    run(main())


def test_spread_and_outcomes(three: list[Server]) -> None:
    async def main() -> None:
        async with evener.grpc.aio.insecure_channel(target_of(three)) as channel:
            stub = pb_grpc.DemoStub(channel)
            async with asyncio.timeout(10):
                while len({(await stub.Unary(pb.Request())).server for _ in range(3)}) < 3:
                    pass
            counts = collections.Counter([(await stub.Unary(pb.Request())).server for _ in range(30)])
            assert counts == {"s0": 10, "s1": 10, "s2": 10}
            assert await code_of(stub.Unary(pb.Request(code=14))) is grpc.StatusCode.UNAVAILABLE
            assert await code_of(stub.Unary(pb.Request(code=8))) is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert await code_of(stub.Unary(pb.Request(delay_ms=2000), timeout=0.05)) is grpc.StatusCode.DEADLINE_EXCEEDED
            call = stub.Unary(pb.Request())
            await call
            assert await call.code() is grpc.StatusCode.OK
            assert "x-server" in await call.trailing_metadata()
            assert (total(channel, "failed"), total(channel, "rejected"), total(channel, "in_flight")) == (2, 1, 0)

    run(main())


def test_cancelling(three: list[Server], silent: str) -> None:
    async def main() -> None:
        async with evener.grpc.aio.insecure_channel(f"static:///{silent}") as channel:
            stub = pb_grpc.DemoStub(channel)
            waiting = stub.Unary(pb.Request())
            assert waiting.cancel() and waiting.cancelled() and waiting.done()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            assert await waiting.code() is grpc.StatusCode.CANCELLED
            task = asyncio.ensure_future(_text(stub.Unary(pb.Request())))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            stub.Down(pb.Request())
            gc.collect()
            await eventually(lambda: not channel._attached()._waiting)
            channel.update_endpoints([server.address for server in three])
            await channel.channel_ready()
            stream = stub.Down(pb.Request(count=100_000, delay_ms=1))
            await stream.read()
            assert stream.cancel()
            with pytest.raises(asyncio.CancelledError):
                await stream.read()
            await eventually(lambda: total(channel, "in_flight") == 0)
            assert total(channel, "other") == 1

    run(main())


def test_an_abandoned_stream_is_released_and_reported_once(three: list[Server]) -> None:
    async def main() -> None:
        async with evener.grpc.aio.insecure_channel(target_of(three)) as channel:
            await channel.channel_ready()
            stub = pb_grpc.DemoStub(channel)
            for number in range(1, 4):
                stream = stub.Down(pb.Request(count=100_000, delay_ms=1))
                await stream.read()
                assert total(channel, "in_flight") == 1
                del stream
                gc.collect()
                await eventually(lambda: total(channel, "in_flight") == 0)
                assert total(channel, "other") == number

    run(main())


def test_an_abandoned_unary_call_goes_on(three: list[Server], silent: str) -> None:
    async def main() -> None:
        async with evener.grpc.aio.insecure_channel(f"static:///{silent}") as channel:
            pb_grpc.DemoStub(channel).Unary(pb.Request())
            gc.collect()
            channel.update_endpoints([three[0].address])
            await eventually(lambda: three[0].metadata)

    run(main())


def test_connectivity(three: list[Server]) -> None:
    async def main() -> None:
        async with evener.grpc.aio.insecure_channel(target_of(three)) as channel:
            assert isinstance(channel, grpc.aio.Channel)
            assert channel.get_state() is grpc.ChannelConnectivity.IDLE
            assert channel.get_state(try_to_connect=True) is not grpc.ChannelConnectivity.READY
            await channel.wait_for_state_change(grpc.ChannelConnectivity.IDLE)
            await asyncio.wait_for(channel.channel_ready(), 10)
            assert channel.get_state() is grpc.ChannelConnectivity.READY
        assert channel.get_state() is grpc.ChannelConnectivity.SHUTDOWN

    run(main())


def test_closing(three: list[Server], silent: str) -> None:
    async def main() -> None:
        channel = evener.grpc.aio.insecure_channel(target_of(three))
        stub = pb_grpc.DemoStub(channel)
        stream = stub.Down(pb.Request(count=100_000, delay_ms=1))
        await stream.read()
        await channel.close()
        await channel.close()
        assert await stream.code() is grpc.StatusCode.CANCELLED
        with pytest.raises(grpc.aio.UsageError):
            stub.Unary(pb.Request())
        channel = evener.grpc.aio.insecure_channel(f"static:///{silent}")
        waiting = pb_grpc.DemoStub(channel).Unary(pb.Request())
        ready = asyncio.ensure_future(channel.channel_ready())
        await asyncio.sleep(0.01)
        await channel.close()
        assert await waiting.code() is grpc.StatusCode.CANCELLED
        with pytest.raises(grpc.aio.UsageError):
            await ready

    run(main())


def test_closing_with_grace(three: list[Server]) -> None:
    async def main() -> None:
        channel = evener.grpc.aio.insecure_channel(target_of(three))
        await channel.channel_ready()
        call = pb_grpc.DemoStub(channel).Unary(pb.Request(text="x", delay_ms=200))
        await asyncio.sleep(0.05)
        await channel.close(grace=5)
        assert (await call).text == "x"

    run(main())


def test_endpoints_and_config_change_while_calls_run(three: list[Server]) -> None:
    async def main() -> None:
        async with evener.grpc.aio.insecure_channel(target_of(three[:1]), drain_timeout=0.2) as channel:
            stub = pb_grpc.DemoStub(channel)
            endless = stub.Down(pb.Request(count=1_000_000, delay_ms=5))
            await endless.read()
            channel.update_endpoints([three[1].address])
            assert (await stub.Unary(pb.Request(), timeout=10)).server == "s1"
            assert await endless.code() is grpc.StatusCode.CANCELLED
            channel.set_service_config('{"methodConfig": [{"name": [{}], "timeout": "0.1s", "maxRequestMessageBytes": 100}]}')
            assert await code_of(stub.Unary(pb.Request(delay_ms=2000))) is grpc.StatusCode.DEADLINE_EXCEEDED
            assert await code_of(stub.Unary(pb.Request(text="x" * 200))) is grpc.StatusCode.RESOURCE_EXHAUSTED
            with pytest.raises(evener.ConfigError):
                channel.set_service_config("{")
            assert channel.set_service_config({"loadBalancingConfig": [{"pick_first": {}}]}) == []
            assert json.loads(channel.describe())["policy"] == "pick_first"
            text: Any = three[0].address
            with pytest.raises(TypeError, match="a list of endpoints is wanted, not a text"):
                channel.update_endpoints(text)
            channel.update_endpoints(each.address for each in three[2:])
            assert (await stub.Unary(pb.Request(), timeout=10)).server == "s2"

    run(main())


def test_interceptors(three: list[Server]) -> None:
    seen: list[object] = []

    class Note(grpc.aio.UnaryUnaryClientInterceptor):  # type: ignore[type-arg]
        async def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
            seen.append(details.method)
            return await continuation(details, request)

    async def main() -> None:
        async with evener.grpc.aio.insecure_channel(target_of(three), interceptors=[Note()]) as channel:
            stub = pb_grpc.DemoStub(channel)
            for _ in range(3):
                assert (await stub.Unary(pb.Request(text="x"), timeout=10)).text == "x"
            assert await code_of(stub.Unary(pb.Request(code=14))) is grpc.StatusCode.UNAVAILABLE
            await eventually(lambda: (total(channel, "ok"), total(channel, "failed")) == (3, 1))
        assert len(seen) == 4

    run(main())


def test_tls(start_server: Callable[..., Server]) -> None:
    tls = TESTDATA / "tls"
    certificate, key = (tls / "server.pem").read_bytes(), (tls / "server.key").read_bytes()
    server = start_server("tls", credentials=grpc.ssl_server_credentials([(key, certificate)]))

    async def main() -> None:
        credentials = grpc.ssl_channel_credentials(certificate)
        lists = {"svc.example.com": [server.address]}
        async with evener.grpc.aio.secure_channel("static:///svc.example.com", credentials, lists=lists) as channel:
            assert (await pb_grpc.DemoStub(channel).Unary(pb.Request(), timeout=10)).server == "tls"

    run(main())


def test_a_channel_made_before_its_loop(three: list[Server]) -> None:
    with pytest.raises(evener.ConfigError):
        evener.grpc.aio.insecure_channel("static:///:80")
    channel = evener.grpc.aio.insecure_channel(target_of(three))
    stub = pb_grpc.DemoStub(channel)

    async def main() -> None:
        assert (await stub.Unary(pb.Request(text="x"), timeout=10)).text == "x"

    async def elsewhere() -> None:
        with pytest.raises(RuntimeError, match="another event loop"):
            stub.Unary(pb.Request())

    run(main())
    run(elsewhere())


def test_what_is_gone_through_once_reaches_a_channel_made_before_its_loop(three: list[Server], tmp_path: Path) -> None:
    endpoints = evener.grpc.aio.insecure_channel("static:///a", endpoints=(each.address for each in three[:1]))
    lists = evener.grpc.aio.insecure_channel("static:///a", lists={"a": iter([three[0].address])})
    file = tmp_path / "lists.json"
    file.write_text(json.dumps({"a": [three[0].address]}))
    listed = evener.grpc.aio.insecure_channel("static:///a", lists_file=file)

    async def main() -> None:
        for channel in (endpoints, lists, listed):
            assert (await pb_grpc.DemoStub(channel).Unary(pb.Request(), timeout=10)).server == "s0"
            await channel.close()

    run(main())


def test_many_calls_at_once(three: list[Server]) -> None:
    async def main() -> None:
        async with evener.grpc.aio.insecure_channel(target_of(three)) as channel:
            stub = pb_grpc.DemoStub(channel)
            replies = await asyncio.gather(*(_text(stub.Unary(pb.Request(text="x"), timeout=30)) for _ in range(500)))
            assert replies == ["x"] * 500
            assert (total(channel, "ok"), total(channel, "in_flight")) == (500, 0)

    run(main())


def test_a_timeout_that_is_no_number_is_refused(silent: str) -> None:
    async def main() -> None:
        async with evener.grpc.aio.insecure_channel(f"static:///{silent}") as channel:
            stub: Any = pb_grpc.DemoStub(channel)
            with pytest.raises(ValueError, match="not a number"):
                await stub.Unary(pb.Request(), timeout=float("nan"))
            for_ever = stub.Unary(pb.Request(), timeout=float("inf"))
            assert await code_of(stub.Unary(pb.Request(), timeout=0.05)) is grpc.StatusCode.DEADLINE_EXCEEDED
            assert not for_ever.done()
            for_ever.cancel()

    run(main())


def test_a_channel_that_cannot_be_made_leaves_nothing_behind() -> None:
    async def main() -> None:
        with pytest.raises(evener.ConfigError):
            evener.grpc.aio.insecure_channel("no-such-scheme:///x")

    def drivers() -> int:
        gc.collect()
        return sum(isinstance(each, LoopDriver) for each in gc.get_objects())

    before = drivers()
    for _ in range(5):
        run(main())
    assert drivers() == before


def test_each_call_is_reported_once_whatever_the_application_does(three: list[Server]) -> None:
    async def main() -> None:
        async with evener.grpc.aio.insecure_channel(target_of(three)) as channel:
            stub: Any = pb_grpc.DemoStub(channel)
            await channel.channel_ready()

            async def slow() -> object:
                return await stub.Unary(pb.Request(delay_ms=300))

            tasks = [asyncio.create_task(slow()) for _ in range(6)]
            await eventually(lambda: total(channel, "in_flight") == 6)
            for task in tasks:
                task.cancel()
            ends = await asyncio.gather(*tasks, return_exceptions=True)
            assert {type(end) for end in ends} == {asyncio.CancelledError}

            async def broken() -> AsyncIterator[Any]:
                yield pb.Request()
                raise RuntimeError("made for the test")

            with pytest.raises(BaseException):
                await stub.Up(broken(), timeout=10)
            gc.collect()
            await eventually(lambda: total(channel, "in_flight") == 0)
            assert sum(total(channel, column) for column in ("ok", "failed", "rejected", "other")) == 7

    run(main())


def test_endpoints_that_come_and_go_leave_nothing_behind(three: list[Server]) -> None:
    async def main() -> None:
        async with evener.grpc.aio.insecure_channel(target_of(three)) as channel:
            stub: Any = pb_grpc.DemoStub(channel)
            for turn in range(15):
                channel.update_endpoints([three[turn % 3].address])
                assert (await stub.Unary(pb.Request(), timeout=10)).server == f"s{turn % 3}"

            def inner() -> int:
                gc.collect()
                return sum(isinstance(each, InnerEndpoint) for each in gc.get_objects())

            await eventually(lambda: inner() == 1)

    run(main())


def test_an_endpoint_that_returns_before_its_last_call_has_ended_is_dialled_anew(three: list[Server]) -> None:
    async def main() -> None:
        async with evener.grpc.aio.insecure_channel(target_of(three[:1]), drain_timeout=0.2) as channel:
            stub = pb_grpc.DemoStub(channel)
            stream = stub.Down(pb.Request(count=1_000_000, delay_ms=5))
            await stream.read()
            kept = channel._attached()._endpoints
            index = next(iter(kept))
            channel.update_endpoints([three[1].address])
            # Its calls are being cancelled: no connection is kept for it, and its slot is.
            while index in kept:
                await asyncio.sleep(0)
            channel.update_endpoints([three[0].address])
            assert (await stub.Unary(pb.Request(), timeout=10)).server == "s0"

    run(main())


@pytest.fixture
def deaf(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """While it holds something, the engine is not told of connections: it is as far behind as it is for a moment after each loss."""
    told, is_deaf = InnerEndpoint._tell, list[bool]()

    def tell(self: InnerEndpoint, state: grpc.ChannelConnectivity, error: str) -> None:
        if not is_deaf:
            told(self, state, error)

    monkeypatch.setattr(InnerEndpoint, "_tell", tell)
    return is_deaf


def test_no_call_goes_onto_a_connection_that_is_gone(three: list[Server], deaf: list[bool]) -> None:
    async def main() -> None:
        async with evener.grpc.aio.insecure_channel(target_of(three[:2])) as channel:
            stub: Any = pb_grpc.DemoStub(channel)
            async with asyncio.timeout(10):
                while len({(await stub.Unary(pb.Request())).server for _ in range(2)}) < 2:
                    pass
            deaf.append(True)
            three[0].stop()
            await eventually(lambda: [(each.channel.get_state() is grpc.ChannelConnectivity.READY) for each in channel._attached()._endpoints.values()].count(True) == 1)
            for _ in range(4):
                assert (await stub.Unary(pb.Request(), timeout=10, wait_for_ready=True)).server == "s1"
                assert (await stub.Down(pb.Request(count=1), timeout=10, wait_for_ready=True).read()).server == "s1"

    run(main())


def test_calls_wait_where_every_connection_is_gone(start_server: Callable[..., Server], deaf: list[bool]) -> None:
    async def main() -> None:
        server = start_server()
        options = [("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 100)]
        async with evener.grpc.aio.insecure_channel(f"static:///{server.address}", options) as channel:
            stub: Any = pb_grpc.DemoStub(channel)
            await stub.Unary(pb.Request(), timeout=10)
            deaf.append(True)
            server.stop()
            await eventually(lambda: not any((each.channel.get_state() is grpc.ChannelConnectivity.READY) for each in channel._attached()._endpoints.values()))
            assert await code_of(stub.Unary(pb.Request(), timeout=0.1)) is grpc.StatusCode.DEADLINE_EXCEEDED
            waiting = stub.Unary(pb.Request(), timeout=30)
            start_server("again", server.port)
            assert (await waiting).server == "again"

    run(main())


def test_another_channel_can_be_closed_while_calls_wait(silent: str) -> None:
    async def main() -> None:
        async with evener.grpc.aio.insecure_channel(f"static:///{silent}") as channel:
            stub: Any = pb_grpc.DemoStub(channel)
            calls = [stub.Unary(pb.Request()), stub.Down(pb.Request())]
            tasks = [asyncio.create_task(call.code()) for call in calls]
            await asyncio.sleep(0)
            await grpc.aio.insecure_channel(silent).close()
            # What versions of grpcio before the installed one look for.
            assert all(getattr(call, "_channel", channel) is None for call in calls)
            for call in calls:
                call.cancel()
            assert await asyncio.gather(*tasks) == [grpc.StatusCode.CANCELLED] * 2

    run(main())


def test_an_inner_channel_that_cannot_be_closed_is_logged(three: list[Server], caplog: pytest.LogCaptureFixture) -> None:
    async def broken(_: object) -> None:
        raise ValueError("made for the test")

    async def main() -> None:
        channel = evener.grpc.aio.insecure_channel(target_of(three[:1]))
        await channel.channel_ready()
        (endpoint,) = channel._attached()._endpoints.values()
        close, endpoint.channel.close = endpoint.channel.close, broken  # type: ignore[method-assign, assignment]
        await channel.close()
        await close()

    run(main())
    assert "an inner channel could not be closed" in caplog.text


def test_those_who_wait_for_a_state_and_give_up_are_forgotten(silent: str) -> None:
    async def main() -> None:
        async with evener.grpc.aio.insecure_channel(f"static:///{silent}") as channel:
            for _ in range(3):
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(channel.wait_for_state_change(grpc.ChannelConnectivity.IDLE), 0.01)
            assert not channel._attached()._state_waiters

    run(main())


def test_a_channel_is_not_closed_on_another_loop(three: list[Server]) -> None:
    async def make() -> evener.grpc.aio.Channel:
        channel = evener.grpc.aio.insecure_channel(target_of(three))
        await channel.channel_ready()
        return channel

    async def elsewhere(channel: evener.grpc.aio.Channel) -> None:
        with pytest.raises(RuntimeError, match="another event loop"):
            await channel.close()

    loop = asyncio.new_event_loop()
    channel = loop.run_until_complete(make())
    run(elsewhere(channel))
    loop.run_until_complete(channel.close())
    loop.close()
