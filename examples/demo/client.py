"""The demo's Python client: a bounded load through one evener channel, reported as it goes.

    client.py CALLS_PER_SECOND WORKERS TARGET

The end of standard input ends it. Standard output has one JSON object a line, several a second: what happened since the
line before, and the channel's own description of itself. SIGUSR1 has it write on standard error what each of its
threads is at.
"""

from __future__ import annotations

import faulthandler
import json
import signal
import sys
import threading
import time

import demo_pb2
import demo_pb2_grpc
import grpc

import evener.grpc

REPORT_SECONDS = 0.25
DEADLINE_SECONDS = 5.0


class Record:
    """What the calls since the last report did. Shared by all workers."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._latencies: dict[str, list[int]] = {}
        self._failures: list[dict[str, object]] = []

    def succeeded(self, server: str, latency_us: int) -> None:
        with self._lock:
            self._latencies.setdefault(server, []).append(latency_us)

    def failed(self, error: grpc.RpcError, started_us: int) -> None:
        failure = {
            "code": error.code().value[0],
            "message": error.details() or "",
            "started_us": started_us,
            "ended_us": wall_us(),
        }
        with self._lock:
            self._failures.append(failure)

    def take(self) -> dict[str, object]:
        with self._lock:
            taken = {"latencies_us": self._latencies, "failures": self._failures}
            self._latencies, self._failures = {}, []
        return taken


class Pace:
    """Hands out the moments at which calls are due, whoever asks."""

    def __init__(self, calls_per_second: float) -> None:
        self._lock = threading.Lock()
        self._gap = 1.0 / calls_per_second
        self._next = time.monotonic()

    def wait(self) -> None:
        with self._lock:
            due = max(self._next, time.monotonic())
            self._next = due + self._gap
        time.sleep(max(0.0, due - time.monotonic()))


def wall_us() -> int:
    return time.time_ns() // 1000


def work(stub: demo_pb2_grpc.DemoStub, pace: Pace, record: Record, stop: threading.Event) -> None:
    while not stop.is_set():
        pace.wait()
        started_us = wall_us()
        begun = time.monotonic_ns()
        try:
            reply = stub.Unary(demo_pb2.Request(text="hello"), timeout=DEADLINE_SECONDS)
        except grpc.RpcError as error:
            record.failed(error, started_us)
        else:
            record.succeeded(reply.server, (time.monotonic_ns() - begun) // 1000)


def report(channel: evener.grpc.Channel, record: Record) -> None:
    line = record.take()
    line["channel"] = json.loads(channel.describe())
    print(json.dumps(line), flush=True)


def report_until(stop: threading.Event, channel: evener.grpc.Channel, record: Record) -> None:
    while not stop.wait(REPORT_SECONDS):
        report(channel, record)


def main() -> None:
    faulthandler.register(signal.SIGUSR1)
    rate, workers, target = float(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    stop = threading.Event()
    record, pace = Record(), Pace(rate)
    with evener.grpc.insecure_channel(target) as channel:
        stub = demo_pb2_grpc.DemoStub(channel)
        load = [threading.Thread(target=work, args=(stub, pace, record, stop)) for _ in range(workers)]
        reporter = threading.Thread(target=report_until, args=(stop, channel, record))
        for thread in [*load, reporter]:
            thread.start()
        sys.stdin.read()
        stop.set()
        for thread in [*load, reporter]:
            thread.join()
        report(channel, record)


if __name__ == "__main__":
    main()
