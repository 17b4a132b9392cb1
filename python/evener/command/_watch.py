"""``evener watch``: what is behind a target, and every change. A live table on a terminal, lines or JSON elsewhere."""

from __future__ import annotations

import argparse
import dataclasses
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import evener
from evener import KnownEndpoint, Snapshot, _native
from evener.command import _options, _output, _resolve

# How soon a change of what has no event of its own is seen: that the registry cannot be asked, or that the time is up.
_STEP_SECONDS = 0.2
_REDRAW_SECONDS = 1.0
# How long a row stays to be seen after its endpoint has gone.
_GONE_SECONDS = 10.0
_LONGER = "--for watches longer."
_CANNOT_BE_ASKED = "the registry cannot be asked"
_SHOWN_FIELDS = ("weight", "priority", "zone", "region", "condition", "metadata")

_EXPLANATION = """Registries err and networks break, so changes are shown as a channel takes them
over: new endpoints at once, removals after 10 to 20 seconds, emptiness after
30; --immediate shows them as the registry says them."""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        "watch",
        help="what is behind a target, and every change",
        description="Follows a target until Ctrl-C: a live table on a terminal, a line for each change elsewhere.",
        epilog=f"{_EXPLANATION}\n\n{_options.TARGETS}",
    )
    parser.add_argument("target", metavar="TARGET")
    parser.add_argument("--count", metavar="N", type=_options.positive, help="end after N snapshots; the first answer is one")
    parser.add_argument("--for", metavar="SECONDS", type=_options.seconds, dest="seconds", help="end after so long")
    parser.add_argument("--immediate", action="store_true", help="hold nothing back")
    _options.add_probe(parser)
    _options.add_json(parser, "one object for each change")
    _options.add_credentials(parser)
    _options.add_dns(parser)
    return parser


def run(options: argparse.Namespace) -> int:
    discovery = _options.discovery(options, _options.probe(options))
    if options.immediate:
        discovery = dataclasses.replace(discovery, empty_hold=0, removal_epoch=0, max_drop_percent=100, debounce=0)
    shown = _view(options)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with evener.watch(options.target, discovery=discovery) as watch:
        try:
            _follow(watch, shown, options.count, options.seconds)
        except KeyboardInterrupt:
            pass
        shown.end()
        status, latest = watch.status(), watch.latest()
    if latest is not None:
        trouble = status.get("last_error") if shown.abridges else None
        if trouble is not None:
            print(_output.clean_lines(f"{_CANNOT_BE_ASKED}: {trouble}"), file=sys.stderr)
        return 0
    why = _resolve.reason(status) or "no answer yet"
    print(f"evener: {_native.redact(options.target)}: {_output.clean_lines(why)}", file=sys.stderr)
    print(_resolve.hint(status, None, _LONGER), file=sys.stderr)
    return 1


def _view(options: argparse.Namespace) -> View:
    target = _native.redact(options.target)
    if options.json:
        return Objects(target)
    if sys.stdout.isatty() and os.environ.get("TERM") not in (None, "dumb"):
        return LiveTable(target)
    return Lines(target)


def _follow(watch: evener.Watch, shown: View, count: int | None, seconds: float | None) -> None:
    """Shows snapshots, and how fresh they are, until there were so many or it took so long."""
    until = None if seconds is None else time.monotonic() + seconds
    last: Snapshot | None = None
    seen = 0
    while (count is None or seen < count) and (left := _STEP_SECONDS if until is None else until - time.monotonic()) > 0:
        snapshot = watch.wait(min(left, _STEP_SECONDS), after=0 if last is None else last.epoch)
        status = watch.status()
        if snapshot is not None:
            shown.changed(Change(last, snapshot), status)
            last, seen = snapshot, seen + 1
        shown.step(status)


@dataclass(frozen=True)
class Change:
    """What differs from one snapshot to the next."""

    before: Snapshot | None
    after: Snapshot

    def added(self) -> list[KnownEndpoint]:
        known = _by_address(self.before)
        return [each for address, each in _by_address(self.after).items() if address not in known]

    def removed(self) -> list[KnownEndpoint]:
        left = _by_address(self.after)
        return [each for address, each in _by_address(self.before).items() if address not in left]

    def altered(self) -> list[tuple[KnownEndpoint, KnownEndpoint]]:
        known = _by_address(self.before)
        both = ((known[address], each) for address, each in _by_address(self.after).items() if address in known)
        return [(before, after) for before, after in both if before != after]


def _by_address(snapshot: Snapshot | None) -> dict[frozenset[str], KnownEndpoint]:
    """Endpoints by what tells them apart: their addresses, in whatever order."""
    return {} if snapshot is None else {frozenset(each.addresses): each for each in snapshot.endpoints}


def differences(before: KnownEndpoint, after: KnownEndpoint) -> str:
    """``weight 1 -> 3, zone a -> b``."""
    fields = ((name, getattr(before, name), getattr(after, name)) for name in _SHOWN_FIELDS)
    texts = [name if name == "metadata" else f"{name} {old} -> {new}" for name, old, new in fields if old != new]
    return ", ".join(texts) or "order of addresses"


class View:
    """How changes are shown."""

    # Whether what is wrong with the registry is cut short, and to be told in full at the end.
    abridges = False

    def __init__(self, target: str) -> None:
        self.target = target

    def changed(self, change: Change, status: dict[str, Any]) -> None:
        """There is another snapshot."""
        raise NotImplementedError

    def step(self, status: dict[str, Any]) -> None:
        """A moment has passed."""

    def end(self) -> None:
        """Nothing more will be shown."""


class _Notes(View):
    """Tells as well when the registry cannot be asked, and when it can again."""

    def __init__(self, target: str) -> None:
        super().__init__(target)
        self._trouble: str | None = None

    def step(self, status: dict[str, Any]) -> None:
        trouble = status.get("last_error")
        if trouble != self._trouble:
            self._trouble = trouble
            self.note(trouble, status)

    def note(self, trouble: str | None, status: dict[str, Any]) -> None:
        raise NotImplementedError


class Objects(_Notes):
    """One JSON object for each snapshot, and for each change of the registry's own state."""

    def changed(self, change: Change, status: dict[str, Any]) -> None:
        after = change.after
        self._print(
            "snapshot",
            status,
            epoch=after.epoch,
            revision=after.revision,
            endpoints=[_output.as_object(each) for each in after.endpoints],
            added=_names(change.added()),
            removed=_names(change.removed()),
            changed=_names([each for _, each in change.altered()]),
        )

    def note(self, trouble: str | None, status: dict[str, Any]) -> None:
        self._print("registry", status, error=trouble)

    def _print(self, event: str, status: dict[str, Any], **fields: Any) -> None:
        known = {name: status.get(name) for name in ("state", "freshness", "age_seconds")}
        _output.print_json({"event": event, "time": time.time(), "target": self.target, **known, **fields})


def _names(endpoints: list[KnownEndpoint]) -> list[str]:
    return ["|".join(each.addresses) for each in endpoints]


class Lines(_Notes):
    """A line for each endpoint that comes, changes or goes."""

    def changed(self, change: Change, status: dict[str, Any]) -> None:
        for each in change.added():
            place = "".join(f" {name}={value}" for name, value in (("zone", each.zone), ("region", each.region)) if value)
            self._say("+", f"{'|'.join(each.addresses)} {each.condition} weight={each.weight} priority={each.priority}{place}")
        for before, after in change.altered():
            self._say("~", f"{'|'.join(after.addresses)} {differences(before, after)}")
        for each in change.removed():
            self._say("-", "|".join(each.addresses))
        if not change.after.endpoints:
            known = change.after.state == "known_empty"
            self._say("!", "there is no server" if known else "nobody can say which servers there are")

    def note(self, trouble: str | None, status: dict[str, Any]) -> None:
        self._say("!", "the registry answers again" if trouble is None else f"{_CANNOT_BE_ASKED}: {trouble}")

    def _say(self, sign: str, text: str) -> None:
        print(f"{time.strftime('%H:%M:%S')} {sign} {_output.clean_lines(text)}", flush=True)


@dataclass
class _Row:
    """One endpoint of the live table. Times are of the monotonic clock."""

    endpoint: KnownEndpoint
    since: float
    moved: float
    what: str = ""
    gone: bool = False


class LiveTable(View):
    """A table that is drawn over itself. Each of its lines fits the screen."""

    abridges = True

    def __init__(self, target: str) -> None:
        super().__init__(target)
        self._rows: dict[frozenset[str], _Row] = {}
        self._drawn = 0
        self._last = 0.0
        self._due = True

    def changed(self, change: Change, status: dict[str, Any]) -> None:
        now = time.monotonic()
        for each in change.added():
            what = "" if change.before is None else "came"
            self._rows[frozenset(each.addresses)] = _Row(each, now, now, what)
        for before, after in change.altered():
            row = self._rows[frozenset(after.addresses)]
            row.endpoint, row.moved, row.what = after, now, differences(before, after)
        for each in change.removed():
            row = self._rows[frozenset(each.addresses)]
            row.moved, row.what, row.gone = now, "went", True
        self._due = True

    def step(self, status: dict[str, Any]) -> None:
        now = time.monotonic()
        if self._due or now - self._last >= _REDRAW_SECONDS:
            self._due, self._last = False, now
            self._draw(list(self.lines(status, now)))

    def end(self) -> None:
        sys.stdout.flush()

    def lines(self, status: dict[str, Any], now: float) -> Iterator[str]:
        """The table, from its heading down."""
        self._rows = {key: row for key, row in self._rows.items() if not row.gone or now - row.moved < _GONE_SECONDS}
        yield f"{self.target}: {_summary(status)}"
        if status.get("last_error"):
            first, *more = status["last_error"].splitlines()
            yield f"{_CANNOT_BE_ASKED}: {first}{' ...' if more else ''}"
        if self._rows:
            header = (*_output.HEADER, "AGE", "LAST CHANGE")
            yield from _output.table([header, *(_cells(row, now) for row in self._rows.values())])

    def _draw(self, lines: list[str]) -> None:
        size = shutil.get_terminal_size()
        room = max(size.lines - 2, 3)
        if len(lines) > room:
            lines = [*lines[: room - 1], f"... and {len(lines) - room + 1} more"]
        back = f"\x1b[{self._drawn}F" if self._drawn else ""
        text = "".join(f"{_output.clean(line)[: size.columns]}\x1b[K\n" for line in lines)
        sys.stdout.write(f"{back}{text}\x1b[J")
        sys.stdout.flush()
        self._drawn = len(lines)


def _summary(status: dict[str, Any]) -> str:
    counts = status.get("endpoints", {})
    parts = [_output.counted(counts.get("total", 0), "endpoint")]
    parts += [f"{counts[kind]} {kind}" for kind in ("draining", "unhealthy", "held") if counts.get(kind)]
    age = status.get("age_seconds")
    parts.append("no answer yet" if age is None else f"{status['freshness']}, {duration(age)} old")
    if status.get("revision") is not None:
        parts.append(f"revision {status['revision']}")
    return ", ".join(parts)


def _cells(row: _Row, now: float) -> tuple[str, ...]:
    endpoint, _, weight, zone = _output.cells(row.endpoint)
    state = "gone" if row.gone else row.endpoint.condition
    change = f"{row.what}, {duration(now - row.moved)} ago" if row.what else "-"
    return (endpoint, state, weight, zone, duration(now - row.since), change)


def duration(seconds: float) -> str:
    """``5s``, ``3m07s``, ``2h05m``."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02}m"
