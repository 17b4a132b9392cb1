"""Resolvers of the application's own: through channels of both kinds, with what goes wrong in them."""

from __future__ import annotations

import asyncio
import functools
import itertools
import json
import threading
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import evener
import evener.grpc
import evener.grpc.aio
import grpc
import pytest
from conftest import Server, eventually
from evener import _schemes

import demo_pb2 as pb
import demo_pb2_grpc as pb_grpc

_numbers = itertools.count()
_AT_ONCE = evener.Discovery(debounce=0, removal_epoch=0, empty_hold=0)


class Desk:
    """A resolver that the test is: it keeps its sinks and counts what it is asked."""

    def __init__(self) -> None:
        # Another one each: a resolver that is about to be stopped is not found by the next test.
        self.target = f"desk:///{next(_numbers)}"
        self.targets: list[str] = []
        self.sinks: list[evener.ResolverSink] = []
        self.looks = 0
        self.closed = 0
        self.threads: set[str] = set()

    def __call__(self, target: str, sink: evener.ResolverSink) -> Desk:
        self.threads.add(threading.current_thread().name)
        self.targets.append(target)
        self.sinks.append(sink)
        return self

    def resolve_now(self) -> None:
        self.looks += 1

    def close(self) -> None:
        self.closed += 1

    def sink(self) -> evener.ResolverSink:
        """The sink, once there is one."""
        eventually(lambda: self.sinks)
        return self.sinks[-1]


@pytest.fixture
def desk() -> Desk:
    """Registered as ``desk:``, anew for each test."""
    made = Desk()
    evener.register_scheme("desk", made)
    return made


def _open(target: str, **options: Any) -> evener.grpc.Channel:
    return evener.grpc.insecure_channel(target, discovery=_AT_ONCE, **options)


def _who(channel: Any) -> str:
    return str(pb_grpc.DemoStub(channel).Unary(pb.Request(), timeout=10).server)


def _error(channel: Any) -> str:
    with pytest.raises(grpc.RpcError) as caught:
        pb_grpc.DemoStub(channel).Unary(pb.Request(), timeout=10)
    error: Any = caught.value
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    return str(error.details())


def test_what_is_pushed_is_obeyed_while_calls_run(desk: Desk, three: list[Server]) -> None:
    with _open(desk.target) as channel:
        future = pb_grpc.DemoStub(channel).Unary.future(pb.Request(), timeout=20)
        sink = desk.sink()
        assert sink.push([three[0].address])
        assert future.result(timeout=10).server == "s0"
        assert sink.push([evener.Endpoint(three[1].address, weight=2), f"{three[2].address};zone=a"])
        eventually(lambda: _who(channel) == "s1")
        eventually(lambda: _who(channel) == "s2")
        for _ in range(20):
            assert _who(channel) in {"s1", "s2"}
        assert desk.targets == [desk.target]
        assert desk.threads == {"evener-resolvers"}
    eventually(lambda: desk.closed == 1)
    assert not sink.push([three[0].address]), "nobody is there any more"


def test_a_failure_is_told_to_calls_and_shown(desk: Desk, three: list[Server]) -> None:
    with _open(desk.target) as channel:
        channel.subscribe(lambda _: None, try_to_connect=True)
        desk.sink().fail("the switchboard is closed")
        assert "the switchboard is closed" in _error(channel)
        assert "the switchboard is closed" in channel.describe()
        desk.sink().push([three[0].address])
        eventually(lambda: json.loads(channel.describe())["state"] == "READY")
        desk.sink().fail("closed again")
        eventually(lambda: "closed again" in channel.describe())
        assert _who(channel) == "s0", "what was known is kept"


def test_what_is_no_list_is_refused_and_shown(desk: Desk, three: list[Server]) -> None:
    with _open(desk.target) as channel:
        channel.subscribe(lambda _: None, try_to_connect=True)
        sink = desk.sink()
        sink.push([three[0].address])
        assert _who(channel) == "s0"
        with pytest.raises(evener.ConfigError, match="nonsense"):
            sink.push(["nonsense"])
        eventually(lambda: "nonsense" in channel.describe())
        not_a_list: Any
        for not_a_list in (three[1].address, three[1].address.encode()):
            with pytest.raises(TypeError, match="a list of endpoints is wanted, not a text"):
                sink.push(not_a_list)
        eventually(lambda: "not a text" in channel.describe())
        with pytest.raises(TypeError, match="an endpoint is a text or an evener.Endpoint, not int"):
            # What the types forbid, and an untyped program does.
            sink.push([5])  # type: ignore[list-item]
        assert _who(channel) == "s0"


def test_a_lost_connection_asks_for_another_look(desk: Desk, start_server: Callable[..., Server]) -> None:
    server = start_server()
    with _open(desk.target) as channel:
        channel.subscribe(lambda _: None, try_to_connect=True)
        desk.sink().push([server.address])
        assert _who(channel) == "s0"
        server.stop()
        eventually(lambda: desk.looks > 0, 20)


def test_a_service_config_comes_with_the_servers(desk: Desk, three: list[Server]) -> None:
    with _open(desk.target) as channel:
        channel.subscribe(lambda _: None, try_to_connect=True)
        desk.sink().service_config({"methodConfig": [{"name": [{}], "maxRequestMessageBytes": 100}]})
        desk.sink().push([three[0].address])
        assert _who(channel) == "s0"
        big = pb.Request(text="x" * 200)
        stub = pb_grpc.DemoStub(channel)
        with pytest.raises(grpc.RpcError, match="larger than max"):
            stub.Unary(big, timeout=10)
        desk.sink().service_config(None)

        def is_lifted() -> bool:
            try:
                return bool(stub.Unary(big, timeout=10))
            except grpc.RpcError:
                return False

        eventually(is_lifted)


def test_a_generator(three: list[Server]) -> None:
    go_on = threading.Event()
    ended = threading.Event()

    async def resolve(target: str) -> AsyncIterator[list[str]]:
        try:
            yield [three[0].address]
            while not go_on.is_set():
                await asyncio.sleep(0.005)
            yield [three[1].address]
            await asyncio.Event().wait()
        finally:
            ended.set()

    evener.register_scheme("generated", resolve)
    with _open("generated:///users") as channel:
        assert _who(channel) == "s0"
        go_on.set()
        eventually(lambda: _who(channel) == "s1")
    assert ended.wait(10), "it is closed with its last channel"


@pytest.mark.parametrize("kind", ["generator", "class"])
def test_what_it_raises_surfaces_and_it_is_started_again(three: list[Server], kind: str) -> None:
    starts: list[str] = []

    def begin(target: str) -> None:
        starts.append(target)
        if len(starts) == 1:
            raise SystemExit("no phone book")

    async def resolve(target: str) -> AsyncIterator[list[str]]:
        begin(target)
        yield [three[0].address]

    class Resolve:
        def __init__(self, target: str, sink: evener.ResolverSink) -> None:
            begin(target)
            sink.push([three[0].address])

    factory: Any = resolve if kind == "generator" else Resolve
    evener.register_scheme(f"broken-{kind}", factory)
    with _open(f"broken-{kind}:///users") as channel:
        assert "no phone book" in _error(channel)
        assert "no phone book" in channel.describe()
        eventually(lambda: json.loads(channel.describe())["state"] == "READY")
        assert _who(channel) == "s0"
        assert len(starts) == 2


def test_a_generator_that_raises_after_a_list_keeps_it(three: list[Server]) -> None:
    starts: list[str] = []

    async def resolve(target: str) -> AsyncIterator[list[str]]:
        starts.append(target)
        yield [three[0].address]
        if len(starts) == 1:
            raise asyncio.CancelledError("it has cancelled itself")

    evener.register_scheme("tired", resolve)
    with _open("tired:///users") as channel:
        assert _who(channel) == "s0"
        eventually(lambda: len(starts) == 2)
        assert _who(channel) == "s0"


def test_a_generator_without_a_list_is_a_failure() -> None:
    async def resolve(target: str) -> AsyncIterator[list[str]]:
        for each in ():
            yield each

    evener.register_scheme("silent", resolve)
    with _open("silent:///users") as channel:
        assert "without a list" in _error(channel)


def test_one_that_blocks_holds_up_no_call(desk: Desk, three: list[Server]) -> None:
    let_go = threading.Event()
    evener.register_scheme("slow", lambda target, sink: let_go.wait(30))
    with _open(desk.target) as channel, _open("slow:///users") as slow:
        channel.subscribe(lambda _: None, try_to_connect=True)
        desk.sink().push([three[0].address])
        assert _who(channel) == "s0"
        waiting = pb_grpc.DemoStub(slow).Unary.future(pb.Request(), timeout=30)
        for _ in range(5):
            assert _who(channel) == "s0"
        assert not waiting.done()
        let_go.set()
        waiting.cancel()


def test_both_kinds_of_channel_share_a_resolver(desk: Desk, three: list[Server]) -> None:
    async def call(channel: evener.grpc.aio.Channel) -> str:
        return str((await pb_grpc.DemoStub(channel).Unary(pb.Request(), timeout=10)).server)

    async def main() -> None:
        async with evener.grpc.aio.insecure_channel(desk.target, discovery=_AT_ONCE) as channel:
            first = asyncio.ensure_future(call(channel))
            while not desk.sinks:
                await asyncio.sleep(0.005)
            desk.sinks[0].push([three[0].address])
            assert await first == "s0"
            desk.sinks[0].push([three[1].address])
            deadline = time.monotonic() + 10
            while await call(channel) != "s1":
                assert time.monotonic() < deadline

    with _open(desk.target) as channel:
        channel.subscribe(lambda _: None, try_to_connect=True)
        asyncio.run(main())
        # Each channel connects by itself, and stays with the old server until it has.
        eventually(lambda: _who(channel) == "s1")
        assert desk.targets == [desk.target]
        assert desk.closed == 0, "the loop's end is not the resolver's"


def test_asyncio_is_told_what_a_generator_raises() -> None:
    async def resolve(target: str) -> AsyncIterator[list[str]]:
        raise LookupError("nobody by that name")
        yield []

    evener.register_scheme("raising", resolve)

    async def main() -> None:
        async with evener.grpc.aio.insecure_channel("raising:///users", discovery=_AT_ONCE) as channel:
            with pytest.raises(grpc.aio.AioRpcError, match="nobody by that name"):
                await pb_grpc.DemoStub(channel).Unary(pb.Request(), timeout=10)
            assert "nobody by that name" in channel.describe()

    asyncio.run(main())


def test_a_watch_without_a_channel(desk: Desk) -> None:
    with evener.watch(desk.target, discovery=_AT_ONCE) as watch:
        desk.sink().push(["10.0.0.1:80"])
        snapshot = watch.wait(timeout=10)
        assert snapshot is not None and snapshot.endpoints[0].addresses == ("10.0.0.1:80",)


@pytest.mark.parametrize("drop_stale", [True, False])
def test_what_is_too_old_is_dropped_only_if_wished(desk: Desk, drop_stale: bool) -> None:
    options = evener.Discovery(debounce=0, removal_epoch=0, empty_hold=0, max_stale=0.2, drop_stale=drop_stale)
    with evener.watch(desk.target, discovery=options) as watch:
        desk.sink().push(["10.0.0.1:80"])
        first = watch.wait(timeout=10)
        assert first is not None and first.state == "known"
        desk.sink().fail("the switchboard is closed")
        if not drop_stale:
            eventually(lambda: watch.status()["age_seconds"] > 1)
            assert watch.latest() == first and watch.status()["freshness"] == "stale"
            return
        gone = watch.wait(timeout=10, after=first.epoch)
        assert gone is not None and (gone.state, gone.endpoints) == ("unknown", ())
        assert "the switchboard is closed" in watch.status()["last_error"]
        desk.sink().push(["10.0.0.2:80"])
        back = watch.wait(timeout=10, after=gone.epoch)
        assert back is not None and [each.addresses for each in back.endpoints] == [("10.0.0.2:80",)]
        assert watch.status()["freshness"] == "fresh"


def test_what_cannot_be_registered_is_refused() -> None:
    async def coroutine(target: str) -> list[str]:
        return []

    wrong: Any = coroutine
    with pytest.raises(evener.ConfigError, match="no scheme"):
        evener.register_scheme("9 lives", lambda target, sink: None)
    with pytest.raises(TypeError, match="yields"):
        evener.register_scheme("users", wrong)
    wrong = lambda target: (yield [target])
    with pytest.raises(TypeError, match="an async generator or a class; .*<lambda> is a plain generator"):
        evener.register_scheme("users", wrong)
    wrong = 7
    with pytest.raises(TypeError, match="a scheme is a text, not int"):
        evener.register_scheme(wrong, lambda target, sink: None)
    with pytest.raises(TypeError, match="class or function"):
        evener.register_scheme("users", wrong)
    with pytest.raises(evener.ConfigError):
        evener.grpc.insecure_channel("nobodys:///users")


def test_a_function_that_gives_a_list_is_told_so() -> None:
    def resolve(target: str) -> list[str]:
        return ["10.0.0.1:80"]

    wrong: Any = resolve
    evener.register_scheme("listed", wrong)
    with evener.watch("listed:///all") as watch:
        eventually(lambda: "a resolver is an async generator or a class" in (watch.status()["last_error"] or ""))
        assert "resolve gives a list" in watch.status()["last_error"]


def test_a_scheme_is_known_here_before_a_target_can_ask_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []

    class Eager:
        """A double of the engine, in which a target is resolved as soon as the scheme is known."""

        def register_scheme(self, scheme: str) -> None:
            seen.append(scheme in _schemes._factories)

    monkeypatch.setattr(_schemes.host(), "native", Eager())
    evener.register_scheme("eager", lambda target, sink: None)
    monkeypatch.delitem(_schemes._factories, "eager")
    assert seen == [True]


def test_a_refused_scheme_leaves_nothing_behind() -> None:
    before = dict(_schemes._factories)
    with pytest.raises(evener.ConfigError):
        evener.register_scheme("1st", lambda target, sink: None)
    assert _schemes._factories == before


async def _listed(server: str, _: str) -> AsyncIterator[list[str]]:
    yield [server]


class _Bare:
    """An async iterable that is no generator."""

    def __init__(self, server: str) -> None:
        self._lists = [[server]]

    def __aiter__(self) -> _Bare:
        return self

    async def __anext__(self) -> list[str]:
        if not self._lists:
            raise StopAsyncIteration
        return self._lists.pop()


@pytest.mark.parametrize("name", ["a function of the target", "a function of both", "a partial", "an iterable"])
def test_a_function_may_return_its_generator(three: list[Server], name: str) -> None:
    address = three[0].address
    factories: dict[str, Any] = {
        "a function of the target": lambda target: _listed(address, target),
        "a function of both": lambda target, sink: _listed(address, target),
        "a partial": functools.partial(_listed, address),
        "an iterable": lambda target: _Bare(address),
    }
    evener.register_scheme("returned", factories[name])
    with _open(f"returned:///{next(_numbers)}") as channel:
        assert _who(channel) == "s0"


def test_an_error_in_one_event_does_not_lose_the_next(caplog: pytest.LogCaptureFixture) -> None:
    seen: list[int] = []

    class Engine:
        """A double with one batch of two events."""

        batches = [[(0, 0, 0, 0, "", 1), (0, 0, 0, 0, "", 2)], []]

        def drain(self) -> list[tuple[int, int, int, int, str, int]]:
            return self.batches.pop(0)

    class Host:
        native = Engine()

        def _handle(self, kind: int, resolver: int, target: str) -> None:
            seen.append(resolver)
            if resolver == 1:
                raise KeyError(target)

    turned: Any = Host()
    _schemes.Host._turn(turned)
    assert seen == [1, 2]
    assert "a resolver could not be" in caplog.text
