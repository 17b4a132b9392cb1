"""``evener resolve``: what is behind a target, now."""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

import evener
from evener import _native
from evener.command import _options, _output

_STEP_SECONDS = 0.1
_LONGER = "--timeout waits longer."

_HINTS = {
    "unreachable": "Is the registry running, and is its address right? evener lint TARGET says what is odd about a target.",
    "timeout": "Is the registry running, and is its address right? {longer}",
    "denied": "Give credentials that may read this, in files that you may read: --token-file, --user with --password-file, "
    "--cert-file with --key-file.",
    "config": "evener lint TARGET says what is wrong with a target.",
}


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        "resolve",
        help="what is behind a target, now",
        description="Waits for a target's first answer and prints its endpoints. Fails when there are none.",
        epilog=_options.TARGETS,
    )
    parser.add_argument("target", metavar="TARGET")
    parser.add_argument(
        "--timeout",
        metavar="SECONDS",
        type=_options.seconds,
        default=5.0,
        help="how long to wait for the first answer (default: 5)",
    )
    _options.add_json(parser, "the answer")
    _options.add_credentials(parser)
    _options.add_dns(parser)
    return parser


def run(options: argparse.Namespace) -> int:
    with evener.watch(options.target, discovery=_options.discovery(options)) as watch:
        snapshot = _first(watch, options.timeout)
        status = watch.status()
    problem = _problem(snapshot, status, options.timeout)
    if options.json:
        _output.print_json(_as_object(options.target, snapshot, status, problem))
    elif snapshot is not None and snapshot.endpoints:
        _print(snapshot)
    if problem is not None and not options.json:
        print(f"evener: {_native.redact(options.target)}: {_output.clean_lines(problem)}", file=sys.stderr)
        print(hint(status, snapshot), file=sys.stderr)
    return 0 if problem is None else 1


def hint(status: dict[str, Any], snapshot: evener.Snapshot | None, longer: str = _LONGER) -> str:
    """What to do where there is no endpoint; `longer` says how to wait longer."""
    if snapshot is not None:
        return "Is the name right, and has a server registered there? evener watch TARGET shows when one does."
    seen = status.get("errors_total", {})
    return next((text.format(longer=longer) for kind, text in _HINTS.items() if kind in seen), longer)


def reason(status: dict[str, Any]) -> str | None:
    """Why the registry cannot be asked, as far as is known."""
    error = status.get("last_error") or status.get("skipped_example")
    return None if error is None else str(error)


def _first(watch: evener.Watch, timeout: float) -> evener.Snapshot | None:
    """The first answer; None when the time is up, or asking again cannot help."""
    deadline = time.monotonic() + timeout
    while (left := deadline - time.monotonic()) > 0:
        snapshot = watch.wait(min(left, _STEP_SECONDS))
        if snapshot is not None or "config" in watch.status().get("errors_total", {}):
            return snapshot
    return watch.latest()


def _problem(snapshot: evener.Snapshot | None, status: dict[str, Any], timeout: float) -> str | None:
    if snapshot is None:
        why = reason(status)
        return f"no answer within {timeout:g} s" if why is None else f"no answer: {why}"
    if not snapshot.endpoints:
        return reason(status) or "there is no server by this name"
    return None


def _as_object(
    target: str, snapshot: evener.Snapshot | None, status: dict[str, Any], problem: str | None
) -> dict[str, Any]:
    return {
        "target": _native.redact(target),
        "state": "unknown" if snapshot is None else snapshot.state,
        "freshness": status.get("freshness"),
        "age_seconds": status.get("age_seconds"),
        "revision": None if snapshot is None else snapshot.revision,
        "endpoints": [] if snapshot is None else [_output.as_object(each) for each in snapshot.endpoints],
        "service_config": None if snapshot is None else snapshot.service_config,
        "error": problem,
    }


def _print(snapshot: evener.Snapshot) -> None:
    rows = [(*_output.cells(each), str(each.priority)) for each in snapshot.endpoints]
    for line in _output.table([(*_output.HEADER, "PRIORITY"), *rows]):
        print(line)
    revision = "" if snapshot.revision is None else f", revision {_output.clean(snapshot.revision)}"
    print(f"{_output.counted(len(snapshot.endpoints), 'endpoint')}{revision}")
