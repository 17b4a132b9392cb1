"""Calls that go on in the background while a test does something to the servers or the registry."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import evener.grpc
import evener.grpc.aio
import grpc
from conftest import eventually

import demo_pb2 as pb
import demo_pb2_grpc as pb_grpc


class Traffic:
    """Who answered, and what went wrong. Thread-safe."""

    def __init__(self) -> None:
        self.answers: collections.Counter[str] = collections.Counter()
        self.failures: list[str] = []

    def since(self, calls: int = 20) -> set[str]:
        """Who answers the next calls. Those that run now do not count."""
        eventually(lambda: self.answers.total() > 0 or self.failures)
        self._await(8)
        before = self.answers.copy()
        self._await(calls)
        return set(self.answers - before)

    def is_only(self, *servers: str) -> bool:
        """Whether these servers answer, all of them and no other."""
        return self.since() == set(servers)

    def _await(self, calls: int) -> None:
        enough = self.answers.total() + calls
        eventually(lambda: self.answers.total() >= enough or self.failures)
        assert not self.failures, self.failures[0]


class SyncCalls(Traffic):
    """Calls from threads, on a channel of their own."""

    def __init__(self, target: str, **options: Any) -> None:
        super().__init__()
        self.channel = evener.grpc.insecure_channel(target, **options)
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._call, daemon=True) for _ in range(4)]
        for thread in self._threads:
            thread.start()

    def describe(self) -> str:
        return self.channel.describe()

    def set_service_config(self, config: str) -> None:
        self.channel.set_service_config(config)

    def close(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self.channel.close()

    def _call(self) -> None:
        stub: Any = pb_grpc.DemoStub(self.channel)
        while not self._stop.is_set():
            try:
                self.answers[stub.Unary(pb.Request(delay_ms=1), timeout=20).server] += 1
            except grpc.RpcError as error:
                self.failures.append(str(error))


class AioCalls(Traffic):
    """Calls from an event loop in a thread of its own."""

    def __init__(self, target: str, **options: Any) -> None:
        super().__init__()
        self._options = target, options
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._channel: Any = None
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._main(),), daemon=True)
        self._thread.start()
        eventually(lambda: self._channel is not None)

    def describe(self) -> str:
        return str(self._do(self._channel.describe))

    def set_service_config(self, config: str) -> None:
        self._do(lambda: self._channel.set_service_config(config))

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._loop.close()

    def _do(self, work: Callable[[], Any]) -> Any:
        async def on_the_loop() -> Any:
            return work()

        return asyncio.run_coroutine_threadsafe(on_the_loop(), self._loop).result(10)

    async def _main(self) -> None:
        async with _opened(*self._options) as self._channel:
            await asyncio.gather(*(self._call() for _ in range(4)))

    async def _call(self) -> None:
        stub: Any = pb_grpc.DemoStub(self._channel)
        while not self._stop.is_set():
            try:
                self.answers[(await stub.Unary(pb.Request(delay_ms=1), timeout=20)).server] += 1
            except grpc.RpcError as error:
                self.failures.append(str(error))


@contextlib.asynccontextmanager
async def _opened(target: str, options: dict[str, Any]) -> AsyncIterator[evener.grpc.aio.Channel]:
    async with evener.grpc.aio.insecure_channel(target, **options) as channel:
        yield channel


KINDS = {"sync": SyncCalls, "aio": AioCalls}


@contextlib.contextmanager
def calls(kind: str, target: str, **options: Any) -> Iterator[SyncCalls | AioCalls]:
    """Calls through a channel of this kind; none may have failed when this ends."""
    traffic = KINDS[kind](target, **options)
    try:
        yield traffic
    finally:
        traffic.close()
    assert not traffic.failures, traffic.failures[0]
