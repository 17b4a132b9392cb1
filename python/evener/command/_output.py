"""What is printed: tables for people, JSON for programs. What a registry says is shown without a power over the terminal."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from evener import KnownEndpoint

HEADER = ("ENDPOINT", "STATE", "WEIGHT", "ZONE")


def clean(text: str) -> str:
    """The text with what would move the cursor, colour the screen or worse written out."""
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)


def clean_lines(text: str) -> str:
    """The same for each line: what a registry refuses may come with a manifest to be applied as it stands."""
    return "\n".join(map(clean, text.splitlines()))


def cells(endpoint: KnownEndpoint) -> tuple[str, ...]:
    """An endpoint under `HEADER`."""
    place = "/".join(filter(None, (endpoint.region, endpoint.zone)))
    return ("|".join(endpoint.addresses), endpoint.condition, str(endpoint.weight), place or "-")


def table(rows: Iterable[Sequence[str]]) -> list[str]:
    """Lines with columns as wide as they have to be."""
    cleaned = [[clean(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cleaned, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cleaned]


def counted(count: int, thing: str) -> str:
    return f"{count} {thing}{'' if count == 1 else 's'}"


def as_object(endpoint: KnownEndpoint) -> dict[str, Any]:
    return dataclasses.asdict(endpoint)


def is_closed() -> bool:
    """Whether the command was started without a standard output."""
    return sys.stdout is None


def flush() -> None:
    """Writes what has been printed. OSError where it cannot be."""
    if not is_closed():
        sys.stdout.flush()


def discard() -> None:
    """Has the standard output swallow what is left and what comes: it cannot be written, also not when the interpreter ends."""
    if not is_closed():
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def print_json(value: Any) -> None:
    """One line, at once: whoever reads along wants it now."""
    print(json.dumps(value), flush=True)
