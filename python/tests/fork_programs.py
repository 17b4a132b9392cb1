"""Programs that fork, run by test_fork.py each in a process of its own: `python fork_programs.py NAME TARGET ...`."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / ".pytest_cache" / "stubs"))

import evener
import evener.grpc
import evener.grpc.aio
import grpc

import demo_pb2 as pb
import demo_pb2_grpc as pb_grpc


def call(channel: evener.grpc.Channel, servers: int = 3) -> set[str]:
    """Calls until so many servers have answered, which are not all connected at once; who did."""
    stub: Any = pb_grpc.DemoStub(channel)
    answered: set[str] = set()
    deadline = time.monotonic() + 10
    while len(answered) < servers and time.monotonic() < deadline:
        answered.add(stub.Unary(pb.Request(), timeout=10).server)
    return answered


def refuses(use: Callable[[], object]) -> None:
    """An inherited channel raises, within a second, and says why."""
    started = time.monotonic()
    try:
        use()
    except RuntimeError as error:
        assert "fork" in str(error), error
    else:
        raise AssertionError("an inherited channel worked")
    assert time.monotonic() - started < 1, "it took too long"


def in_child(work: Callable[[], None], seconds: float = 20.0) -> int:
    """Forks, has the child work, and returns its exit status; the child is killed if it takes too long."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        except BaseException as error:
            print(f"child: {error!r}", file=sys.stderr, flush=True)
        finally:
            os._exit(status)
    deadline = time.monotonic() + seconds
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return -signal.SIGKILL
        time.sleep(0.01)


def prefork(target: str) -> None:
    """A server that makes a channel when it starts, forks its workers, and uses a channel in each."""
    parent = evener.grpc.insecure_channel(target)
    unused_stub: Any = pb_grpc.DemoStub(parent)

    def worker() -> None:
        refuses(lambda: unused_stub.Unary(pb.Request(), timeout=5))
        refuses(lambda: unused_stub.Unary.future(pb.Request()))
        refuses(lambda: unused_stub.Down(pb.Request()))
        refuses(lambda: parent.subscribe(print, True))
        refuses(parent.describe)
        refuses(lambda: parent.wait_until_ready(timeout=5))
        refuses(lambda: parent.update_endpoints([]))
        parent.close()
        with evener.grpc.insecure_channel(target) as own:
            assert len(call(own)) == 3

    for _ in range(3):
        assert in_child(worker) == 0
    assert len(call(parent)) == 3
    parent.close()


def live(target: str, address: str) -> None:
    """What follows a registry, or runs the application's own code, is left behind; the child has all of it anew."""
    resolving: list[int] = []

    async def resolve(_: str) -> AsyncIterator[list[str]]:
        resolving.append(os.getpid())
        yield [address]

    evener.register_scheme("inventory", resolve)
    targets = {target: 3, "inventory:///all": 1}
    watches = [evener.watch(each) for each in targets]
    channels = [evener.grpc.insecure_channel(each) for each in targets]
    for watch, servers in zip(watches, targets.values(), strict=True):
        assert known(watch) == servers

    def worker() -> None:
        for watch in watches:
            refuses_all(watch.latest, watch.wait, watch.status, watch.resolve_now)
            refuses_all(lambda watch=watch: next(iter(watch)), lambda watch=watch: asyncio.run(watch.wait_async()))
            watch.close()
        for channel in channels:
            refuses_all(channel.wait_until_ready, channel.describe, lambda channel=channel: call(channel, 1))
            channel.close()
        for each, servers in targets.items():
            with evener.watch(each) as own_watch, evener.grpc.insecure_channel(each) as own:
                assert known(own_watch) == servers
                own.wait_until_ready(timeout=20)
                assert len(call(own, servers)) == servers
        assert resolving[-1] == os.getpid()

    for _ in range(2):
        assert in_child(worker, 40) == 0
    assert resolving == [os.getpid()]
    for watch, channel, servers in zip(watches, channels, targets.values(), strict=True):
        assert watch.status()["freshness"] == "fresh"
        assert len(call(channel, servers)) == servers
        channel.close()
        watch.close()


def known(watch: evener.Watch) -> int:
    """How many servers the watch knows."""
    snapshot = watch.wait(timeout=20)
    return 0 if snapshot is None else len(snapshot.endpoints)


def refuses_all(*uses: Callable[[], object]) -> None:
    for use in uses:
        refuses(use)


def first_calls(target: str) -> None:
    """Workers of one server do not all begin with the same of many servers, once they are connected to all."""
    parent = evener.grpc.insecure_channel(target)
    reading, writing = os.pipe()

    def all_are_ready(channel: evener.grpc.Channel) -> bool:
        return {each["state"] for each in json.loads(channel.describe())["endpoints"]} == {"READY"}

    def worker() -> None:
        with evener.grpc.insecure_channel(target) as own:
            own.wait_until_ready(timeout=20)
            deadline = time.monotonic() + 20
            while not all_are_ready(own):
                assert time.monotonic() < deadline, own.describe()
                time.sleep(0.01)
            [server] = call(own, 1)
            os.write(writing, f"{server}\n".encode())

    for _ in range(6):
        assert in_child(worker, 40) == 0
    os.close(writing)
    with os.fdopen(reading) as answers:
        first = answers.read().split()
    assert len(first) == 6 and len(set(first)) > 1, first
    parent.close()


def busy_parent(target: str) -> None:
    """The parent's channel has connections and calls when it forks; grpcio wants GRPC_ENABLE_FORK_SUPPORT for that."""
    parent = evener.grpc.insecure_channel(target)
    assert len(call(parent)) == 3

    def worker() -> None:
        refuses(lambda: call(parent, 1))
        with evener.grpc.insecure_channel(target) as own:
            assert len(call(own)) == 3

    assert in_child(worker) == 0
    assert len(call(parent)) == 3
    parent.close()


def inherited_only(target: str) -> None:
    """The parent is busy, the child only finds that it cannot use what it has, drops it, and leaves."""
    channel: Any = evener.grpc.insecure_channel(target)
    assert len(call(channel)) == 3
    stub: Any = pb_grpc.DemoStub(channel)
    stream = stub.Down(pb.Request(count=1_000_000, delay_ms=5))
    next(stream)

    def worker() -> None:
        nonlocal channel, stub, stream
        refuses(lambda: stub.Unary(pb.Request(), timeout=5))
        # As grpcio does where it goes on in the child; what is raised there it logs.
        for endpoint in channel._transport._endpoints.values():
            for state in grpc.ChannelConnectivity:
                endpoint._on_state(state)
        channel.close()
        del channel, stub

    assert in_child(worker) == 0
    next(stream)
    stream.cancel()


def aio(target: str) -> None:
    """The same with asyncio: a loop in the parent, another in the child."""

    async def use(channel: evener.grpc.aio.Channel) -> set[str]:
        stub: Any = pb_grpc.DemoStub(channel)
        answered: set[str] = set()
        deadline = time.monotonic() + 10
        while len(answered) < 3 and time.monotonic() < deadline:
            answered.add((await stub.Unary(pb.Request(), timeout=10)).server)
        return answered

    async def own() -> None:
        async with evener.grpc.aio.insecure_channel(target) as channel:
            assert len(await use(channel)) == 3

    async def inherited(channel: evener.grpc.aio.Channel) -> None:
        refuses(channel.describe)
        refuses(channel.get_state)
        try:
            await asyncio.wait_for(channel.wait_until_ready(timeout=5), 1)
        except RuntimeError as error:
            assert "fork" in str(error), error
        else:
            raise AssertionError("an inherited channel worked")

    async def make() -> evener.grpc.aio.Channel:
        channel = evener.grpc.aio.insecure_channel(target)
        channel.describe()
        return channel

    loop = asyncio.new_event_loop()
    channel = loop.run_until_complete(make())

    def worker() -> None:
        asyncio.run(inherited(channel))
        asyncio.run(own())

    assert in_child(worker) == 0
    loop.run_until_complete(channel.close())
    loop.close()
    asyncio.run(own())


def balancer(_: str) -> None:
    """A balancer is plain memory: the child's copy goes on by itself."""
    shared = evener.Balancer(["a", "b"])
    begun = shared.start()

    def worker() -> None:
        nonlocal begun
        assert set(shared.pick_many(4)) == {"a", "b"}
        shared.update(["c"])
        assert shared.pick() == "c"
        del begun

    assert in_child(worker) == 0
    assert set(shared.pick_many(4)) == {"a", "b"}
    begun.finish()


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
