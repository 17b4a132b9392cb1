"""What a pick costs from Python, beside the floor (a compiled method that does nothing) and what people write by hand.

Run with a release build: `python python/benches/pick.py`. Prints a Markdown table: median nanoseconds of processor
time a call, and the median of the rounds' ratios to the floor.
"""

from __future__ import annotations

import itertools
import random
import statistics
import threading
import time
from collections.abc import Callable

import evener
from evener._native import Nothing

_CALLS = 200_000
_ROUNDS = 25
_FLOOR = "floor: a compiled method that does nothing"


def nanoseconds(method: Callable[[], object]) -> float:
    """Nanoseconds of one call, the loop's own cost taken off."""
    calls = [method] * _CALLS
    started = time.thread_time_ns()
    for call in calls:
        call()
    called = time.thread_time_ns()
    for _ in calls:
        pass
    return (called - started - (time.thread_time_ns() - called)) / _CALLS


def by_hand(endpoints: list[str]) -> Callable[[], str]:
    """A lock and a cycle: the usual round robin."""
    lock, cycle = threading.Lock(), itertools.cycle(endpoints)

    def pick() -> str:
        with lock:
            return next(cycle)

    return pick


def main() -> None:
    print("| N | case | ns | of the floor |\n|---|---|---|---|")
    for count in (3, 64, 1024, 10_000):
        endpoints = [f"10.0.{number // 256}.{number % 256}:80" for number in range(count)]
        weights = {endpoint: 1 + number % 7 for number, endpoint in enumerate(endpoints)}
        balancer = evener.Balancer(endpoints, capacity=count)
        cycle = itertools.cycle(endpoints)
        cases: dict[str, Callable[[], object]] = {
            _FLOOR: Nothing().nothing,
            "evener round_robin": balancer.pick,
            "evener weighted_round_robin": evener.Balancer(weights, policy="weighted_round_robin", capacity=count).pick,
            "evener pick_random": evener.Balancer(endpoints, policy="pick_random", capacity=count).pick,
            "next(itertools.cycle), no lock": cycle.__next__,
            "lock + itertools.cycle": by_hand(endpoints),
            "random.choice": lambda endpoints=endpoints: random.choice(endpoints),
        }
        # Rounds take turns, so that a busy moment of the machine hits all alike.
        rounds = [{name: nanoseconds(method) for name, method in cases.items()} for _ in range(_ROUNDS)]
        median = {name: statistics.median(each[name] for each in rounds) for name in cases}
        for name, cost in median.items():
            ratio = statistics.median(each[name] / each[_FLOOR] for each in rounds)
            print(f"| {count} | {name} | {cost:.1f} | {ratio:.2f} |")
        many = statistics.median(_many(balancer) for _ in range(_ROUNDS))
        print(f"| {count} | evener pick_many(64), a pick | {many:.1f} | {many / median[_FLOOR]:.2f} |")


def _many(balancer: evener.Balancer[str]) -> float:
    started = time.thread_time_ns()
    for _ in range(_CALLS // 64):
        balancer.pick_many(64)
    return (time.thread_time_ns() - started) / (_CALLS // 64 * 64)


if __name__ == "__main__":
    main()
