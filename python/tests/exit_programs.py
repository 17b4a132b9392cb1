"""Programs that end without closing what they opened, run by test_exit.py each in a process of its own: `python exit_programs.py NAME TARGET`."""

from __future__ import annotations

import asyncio
import sys
import threading
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / ".pytest_cache" / "stubs"))

import evener
import evener.grpc
import evener.grpc.aio

import demo_pb2 as pb
import demo_pb2_grpc as pb_grpc

# Where nobody listens: calls there wait until the program ends.
NOWHERE = "static:///127.0.0.1:1"
# Kept until the interpreter takes its modules apart.
kept: list[Any] = []


def sync_calls(target: str) -> None:
    """A unary call, a stream in the middle, a subscriber and a future under way."""
    channel = evener.grpc.insecure_channel(target)
    stub: Any = pb_grpc.DemoStub(channel)
    channel.subscribe(lambda state: None, True)
    assert stub.Unary(pb.Request(), timeout=10).server
    stream = stub.Down(pb.Request(count=1_000_000, delay_ms=5))
    next(stream)
    kept.extend([channel, stub, stream, stub.Unary.future(pb.Request(delay_ms=500))])


def sync_waiting(_: str) -> None:
    """A future and a stream that wait for a server, and a thread that does."""
    channel = evener.grpc.insecure_channel(NOWHERE)
    stub: Any = pb_grpc.DemoStub(channel)
    kept.extend([channel, stub, stub.Unary.future(pb.Request(), wait_for_ready=True), stub.Down(pb.Request(), wait_for_ready=True)])

    def wait() -> None:
        try:
            stub.Unary(pb.Request(), wait_for_ready=True)
        except Exception as error:
            kept.append(error)

    threading.Thread(target=wait, daemon=True).start()


def sync_cycle(target: str) -> None:
    """A channel that only the garbage collector finds."""
    channel: Any = evener.grpc.insecure_channel(target)
    assert pb_grpc.DemoStub(channel).Unary(pb.Request(), timeout=10).server
    channel.itself = channel


def balancer(_: str) -> None:
    """A balancer with a call that never ends."""
    shared = evener.Balancer(["a", "b"])
    kept.extend([shared, shared.start()])


def aio_run(target: str) -> None:
    """`asyncio.run` that leaves a channel, a stream in the middle and a waiting call behind."""

    async def main() -> None:
        channel = evener.grpc.aio.insecure_channel(target)
        stub: Any = pb_grpc.DemoStub(channel)
        assert (await stub.Unary(pb.Request(), timeout=10)).server
        stream = stub.Down(pb.Request(count=1_000_000, delay_ms=5))
        await stream.read()
        nowhere = evener.grpc.aio.insecure_channel(NOWHERE)
        kept.extend([channel, stub, stream, nowhere, pb_grpc.DemoStub(nowhere).Unary(pb.Request(), wait_for_ready=True)])

    asyncio.run(main())


def aio_loop_closed(target: str) -> None:
    """A loop that is closed under its channel, which is closed on another loop, or dropped, later."""

    async def main() -> tuple[Any, Any]:
        closed, dropped = (evener.grpc.aio.insecure_channel(target) for _ in range(2))
        for channel in closed, dropped:
            assert (await pb_grpc.DemoStub(channel).Unary(pb.Request(), timeout=10)).server
        return closed, dropped

    loop = asyncio.new_event_loop()
    closed, dropped = loop.run_until_complete(main())
    loop.close()
    asyncio.run(closed.close())
    del dropped


def aio_loop_left(target: str) -> None:
    """A loop that is neither run on nor closed."""

    async def main() -> Any:
        channel = evener.grpc.aio.insecure_channel(target)
        assert (await pb_grpc.DemoStub(channel).Unary(pb.Request(), timeout=10)).server
        return channel

    loop = asyncio.new_event_loop()
    kept.extend([loop, loop.run_until_complete(main())])


def aio_in_a_thread(target: str) -> None:
    """A loop in a thread that never ends; its channel is dropped on the main thread."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()

    async def make() -> Any:
        channel = evener.grpc.aio.insecure_channel(target)
        assert (await pb_grpc.DemoStub(channel).Unary(pb.Request(), timeout=10)).server
        return [channel]

    held = asyncio.run_coroutine_threadsafe(make(), loop).result(20)
    held.clear()


if __name__ == "__main__":
    globals()[sys.argv[1]](sys.argv[2])
