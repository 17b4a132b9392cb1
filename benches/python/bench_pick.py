"""Picks through the Python package, the floor under them, and round robin as it is written by hand in Python.

Reads lines ``NAME:ENDPOINTS TIMES`` and answers each with nanoseconds for one call, the loop around it included. ``evener`` and
``_noop`` (built from this folder) must be importable.
"""

from __future__ import annotations

import itertools
import random
import sys
import threading
import time
from collections.abc import Callable
from functools import cache

import _noop
import evener


def under_lock(endpoints: list[str]) -> Callable[[], str]:
    lock = threading.Lock()
    cycle = itertools.cycle(endpoints)

    def pick() -> str:
        with lock:
            return next(cycle)

    return pick


@cache
def case(asked: str) -> Callable[[], object]:
    name, n = asked.split(":")
    endpoints = [f"10.0.{i >> 8}.{i & 255}:50051" for i in range(int(n))]
    if name == "no_op":
        return _noop.Noop().no_op
    if name == "evener_pick":
        return evener.Balancer(endpoints, capacity=len(endpoints)).pick
    if name == "lock_cycle":
        return under_lock(endpoints)
    if name == "bare_cycle":
        return itertools.cycle(endpoints).__next__
    if name == "random_choice":
        return lambda: random.choice(endpoints)
    raise ValueError(asked)


def measure(call: Callable[[], object], times: int) -> float:
    repeat = itertools.repeat(None, times)
    begin = time.perf_counter_ns()
    for _ in repeat:
        call()
    return (time.perf_counter_ns() - begin) / times


for line in sys.stdin:
    asked, times = line.split()
    print(f"{measure(case(asked), int(times)):.6f}", flush=True)
