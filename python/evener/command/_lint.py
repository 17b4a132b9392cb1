"""``evener lint``: what to know of a target or a file before production."""

from __future__ import annotations

import argparse
import dataclasses
import os
from collections import Counter
from typing import Literal

import evener
from evener.command import _options, _output
from evener.command._options import UsageError

_EXPLANATION = """A file is JSON: a service config, a Consul service definition ("service",
"services", or one service with its "name"), a channel ("target",
"service_config", "channel_args" with gRPC's names, "fallback_target",
"snapshot_dir"), or channel arguments alone. Nothing is looked up or asked.

findings:
  error    it is refused, or silently has no effect
  warning  it works, and is likely to hurt in a bad hour
  advice   a good habit that is missing"""
_KINDS = ("document", "target", "service_config", "channel_args")


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        "lint",
        help="what to know of a target or a configuration before production",
        description="Prints what is wrong with a target or a file, or likely meant otherwise, and what to write.",
        epilog=_EXPLANATION,
    )
    parser.add_argument("subject", metavar="FILE|TARGET", help="a file, a target, or - for the standard input")
    parser.add_argument("--kind", choices=_KINDS, help="what it is, where it does not show")
    parser.add_argument("--strict", action="store_true", help="fail on warnings as well")
    _options.add_json(parser, "the findings")
    return parser


def run(options: argparse.Namespace) -> int:
    text, kind = _read(options.subject)
    findings = evener.lint(text, options.kind or kind)
    counts: Counter[str] = Counter(finding.severity for finding in findings)
    if options.json:
        totals = {"errors": counts["error"], "warnings": counts["warning"], "advice": counts["advice"]}
        _output.print_json({"findings": [dataclasses.asdict(finding) for finding in findings], **totals})
    else:
        _print(findings, counts)
    return 1 if counts["error"] or (options.strict and counts["warning"]) else 0


def _print(findings: list[evener.Finding], counts: Counter[str]) -> None:
    for finding in findings:
        print("\n".join(_output.clean(line) for line in str(finding).splitlines()), end="\n\n")
    if not findings:
        print("Nothing to say about it.")
        return
    advice = f"{counts['advice']} of advice" if counts["advice"] else None
    parts = [_output.counted(counts[each], each) for each in ("error", "warning") if counts[each]]
    print(", ".join([*parts, *filter(None, [advice])]))


def _read(subject: str) -> tuple[str, Literal["document", "target"]]:
    """The text, and what it is."""
    if subject == "-":
        return _decoded(_options.standard_input(), "the standard input"), "document"
    if os.path.isdir(subject):
        raise UsageError(f"{subject}: is a folder")
    # A pipe, too: what another program prints.
    if os.path.exists(subject):
        return _decoded(_content(subject), subject), "document"
    if subject.endswith(".json") or (":" not in subject and "/" in subject):
        raise UsageError(f"{subject}: there is no such file; a target is written as dns:///NAME:PORT")
    return subject, "target"


def _content(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None


def _decoded(content: bytes, name: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{name}: is no UTF-8 text: {error.reason} at byte {error.start}") from None
