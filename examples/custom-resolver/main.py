"""A resolver of one's own, in two ways: the servers are the lines of a file, which is read again when it changes.

    main.py TARGET [CALLS]        main.py lines:///etc/servers.txt 100
                                  main.py lines-by-hand:///etc/servers.txt 100
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import demo_pb2
import demo_pb2_grpc
import grpc

import evener
import evener.grpc

INTERVAL_SECONDS = 0.2


def servers(target: str) -> list[str]:
    """A line is an entry as in "static:///...": 10.0.0.1:50051;weight=3"""
    path = Path("/" + target.partition(":///")[2])
    return [line for line in path.read_text().splitlines() if line]


async def lines(target: str) -> AsyncIterator[list[str]]:
    """The short way: yield what there is. What it raises is the target's error, and it is started again after a while."""
    while True:
        yield servers(target)  # a list that has not changed costs nothing
        await asyncio.sleep(INTERVAL_SECONDS)


class Lines:
    """The way with a thread of one's own, for libraries that have no asyncio. One of these is made for each target that is in use."""

    def __init__(self, target: str, sink: evener.ResolverSink) -> None:
        self._stopped = threading.Event()
        sink.push(servers(target))
        self._watcher = threading.Thread(target=self._watch, args=(target, sink), daemon=True)
        self._watcher.start()

    def close(self) -> None:
        self._stopped.set()

    def _watch(self, target: str, sink: evener.ResolverSink) -> None:
        while not self._stopped.wait(INTERVAL_SECONDS):
            try:
                sink.push(servers(target))
            except OSError as error:
                sink.fail(str(error))  # the servers stay as they were


def greet(stub: demo_pb2_grpc.DemoStub) -> str:
    try:
        return stub.Unary(demo_pb2.Request(text="hello"), timeout=5).server
    except grpc.RpcError as error:
        return f"failed: {error.details()}"


def main() -> None:
    target = sys.argv[1]
    calls = int(sys.argv[2]) if len(sys.argv) > 2 else 100
    evener.register_scheme("lines", lines)
    evener.register_scheme("lines-by-hand", Lines)
    with evener.grpc.insecure_channel(target) as channel:
        stub = demo_pb2_grpc.DemoStub(channel)
        share = Counter(greet(stub) for _ in range(calls))
    for server, count in sorted(share.items()):
        print(f"{count}  {server}")


if __name__ == "__main__":
    main()
