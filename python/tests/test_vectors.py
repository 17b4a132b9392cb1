"""The shared vectors, through the compiled module: the same inputs give the same answers as in Rust, C and C++."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import TESTDATA
from evener._native import RawBalancer

_FILES = sorted((TESTDATA / "vectors").glob("*.txt"))
_NUMBERED = {"limits", "seed", "drain_timeout", "cursor"}

Lines = list[tuple[int, list[str]]]


def _cases(path: Path) -> Iterator[tuple[str, Lines]]:
    name, lines = "", []  # type: tuple[str, Lines]
    for number, line in enumerate(path.read_text().splitlines(), 1):
        words = line.split("#")[0].split()
        if not words:
            continue
        if words[0] == "case":
            if name:
                yield name, lines
            name, lines = words[1], []
        else:
            lines.append((number, words))
    yield name, lines


_CASES = [pytest.param(path, lines, id=f"{path.stem}-{name}") for path in _FILES for name, lines in _cases(path)]


def test_there_are_vectors() -> None:
    assert len(_CASES) >= 10


@pytest.mark.parametrize(("path", "lines"), _CASES)
def test_vector(path: Path, lines: Lines) -> None:
    runner = _Runner({words[0]: [int(word) for word in words[1:]] for _, words in lines if words[0] in _NUMBERED})
    for number, words in lines:
        if words[0] in _NUMBERED:
            continue
        given, _, expected = " ".join(words).partition("=")
        command, *arguments = given.split()
        assert runner.run(command, arguments) == (expected.split() or None), f"{path.name}:{number}: {' '.join(words)}"


class _Runner:
    def __init__(self, settings: dict[str, list[int]]) -> None:
        count, key = settings.get("cursor", [0, 1])
        self._raw = RawBalancer(
            *settings["limits"],
            seed=settings.get("seed", [0])[0],
            drain_timeout=settings.get("drain_timeout", [30_000_000])[0],
            cursor_count=count,
            cursor_key=key,
        )

    def run(self, command: str, arguments: list[str]) -> list[str] | None:
        """What the core answers, in the words of the vectors; None for nothing."""
        answer: list[str] | None = getattr(self, f"_{command}")(*arguments)
        return answer

    def _policy(self, name: str, shuffle: str = "") -> None:
        self._raw.set_policy(name, shuffle == "shuffle")

    def _update(self, *endpoints: str) -> list[str]:
        # ID:WEIGHT[:PRIORITY]
        entries = [[*map(int, each.split(":")), 0][:3] for each in endpoints]
        changes = self._raw.update([(number, weight, priority) for number, weight, priority in entries])
        return ["full"] if changes is None else [str(change) for change in changes]

    def _state(self, number: str, state: str) -> list[str] | None:
        return None if self._raw.set_state(int(number), state) else ["stale"]

    def _health(self, number: str, health: str) -> list[str] | None:
        return None if self._raw.set_health(int(number), health) else ["stale"]

    def _connect(self) -> None:
        self._raw.connect()

    def _poll(self, now: str) -> list[str]:
        return self._raw.poll(int(now)) or ["-"]

    def _pick(self, count: str) -> list[str]:
        return [self._raw.pick() for _ in range(int(count))]

    def _start(self, ticket: str, now: str) -> list[str]:
        return [self._raw.start(int(ticket), int(now))]

    def _finish(self, ticket: str, outcome: str, now: str) -> list[str]:
        elapsed, wake = self._raw.finish(int(ticket), outcome, int(now))
        return [str(elapsed), *(["wake"] if wake else [])]

    def _counters(self, number: str) -> list[str]:
        counters = self._raw.counters(int(number))
        return ["stale"] if counters is None else [str(counter) for counter in counters]

    def _channel(self) -> list[str]:
        return [self._raw.channel()]
