"""``evener register``: keeps a server in a registry until it is told to end."""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import signal
import sys
import time
from collections.abc import Iterator
from typing import Any

import evener
from evener import Registration, _native
from evener.command import _options, _output
from evener.command._options import UsageError

_STEP_SECONDS = 0.1
_HINT = "Is the registry running, is its address right, and may this client write there? Without --timeout it goes on trying."

_EXPLANATION = """registries:
  etcd:///       etcd on this machine; etcd://HOST:PORT,HOST:PORT its members.
                 NAME is found as etcd:///NAME. Below a prefix, etcd:///PREFIX,
                 it is found as etcd:///PREFIX/NAME
  consul:///     this machine's Consul agent, or consul://HOST:PORT

It stays until SIGINT (Ctrl-C) or SIGTERM; then the server is marked as
leaving, --drain seconds go by, and it is taken away. A second signal does not
wait. While the registry is away it goes on trying; a registry that has lost
the server is told again."""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        "register",
        help="keep a server in a registry until Ctrl-C",
        description="Registers a server and keeps it registered. Only the checks that are given look at whether it works.",
        epilog=_EXPLANATION,
    )
    parser.add_argument("registry", metavar="REGISTRY")
    parser.add_argument("--file", metavar="FILE", help="a Consul service definition, JSON; - for the standard input")
    _add_service(parser.add_argument_group("the server"))
    parser.add_argument("--wait-for-listening", action="store_true", help="not before a connection to its address succeeds")
    _add_seconds(parser, "--timeout", None, "fail unless it is registered by then (default: never)")
    _add_seconds(parser, "--drain", 0.0, "how long it is marked as leaving (default: 0)")
    _add_seconds(parser, "--deadline", 5.0, "how long taking it away may take (default: 5)")
    _options.add_json(parser, "one object for each change of its state")
    _options.add_credentials(parser)
    return parser


def _add_seconds(parser: argparse.ArgumentParser, name: str, default: float | None, text: str) -> None:
    parser.add_argument(name, metavar="SECONDS", type=_options.seconds, default=default, help=text)


def _add_service(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--name", help="the service's name")
    group.add_argument("--port", type=int, help="the port that clients dial; goes before the file's")
    group.add_argument("--host", help="the host that clients dial (default: EVENER_ADVERTISE_ADDRESS, or the way to the registry)")
    group.add_argument("--id", help="what tells it from the service's others (default: NAME-HOST-PORT)")
    group.add_argument("--weight", type=int, default=1, help="its share of the calls (default: 1)")
    group.add_argument("--priority", type=int, default=0, help="its tier; 0 is used first (default: 0)")
    group.add_argument("--zone", help="the zone it runs in")
    group.add_argument("--region", help="the region that zone is in")
    group.add_argument("--tag", action="append", default=[], help="a tag (Consul); may be repeated")
    group.add_argument("--metadata", metavar="KEY=VALUE", action="append", default=[], help="for clients; may be repeated")
    check = """a check as Consul writes it: '{"tcp": "localhost:8080"}'; may be repeated"""
    group.add_argument("--check", metavar="JSON", action="append", default=[], help=check)
    ttl = "after how long without a sign of life it goes (default: 30)"
    group.add_argument("--ttl", metavar="SECONDS", type=float, default=30.0, help=ttl)


def run(options: argparse.Namespace) -> int:
    services = list(_services(options))
    if _output.is_closed():
        _stays("the standard output is closed")
    shown = Objects() if options.json else Lines()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with contextlib.ExitStack() as stack:
        # Whatever goes wrong here, nothing stays registered.
        registrations = [stack.enter_context(_begin(options, services, number)) for number in range(len(services))]
        in_time = _stay(registrations, shown, options.timeout)
        gone = _leave(registrations, shown, options.drain if in_time else 0.0)
    return 0 if in_time and gone else 1


def _begin(options: argparse.Namespace, services: list[dict[str, Any]], number: int) -> Registration:
    """Registers one of them. UsageError where the file is what has to be mended."""
    try:
        return evener.register(
            options.registry,
            **services[number],
            port=options.port,
            host=options.host,
            id=options.id,
            wait_for_listening=options.wait_for_listening,
            credentials=_options.credentials(options),
            deadline=options.deadline,
        )
    except evener.ConfigError as error:
        if options.file is None or options.port is not None or not str(error).startswith("registration: port: "):
            raise
        which = f"service {number + 1} of {len(services)}: " if len(services) > 1 else ""
        how = "in the file" if which else "in the file, or with --port"
        raise UsageError(f"{options.file}: {which}{error}, {how}") from None


def _stay(registrations: list[Registration], shown: View, timeout: float | None) -> bool:
    """Until a signal comes; False when the time to register was up first."""
    until = math.inf if timeout is None else time.monotonic() + timeout
    try:
        while (late := _not_registered(registrations, shown)) is None or time.monotonic() < until:
            # What is lost later on is registered again, however long that takes.
            until = math.inf if late is None else until
            time.sleep(_STEP_SECONDS)
    except KeyboardInterrupt:
        return True
    why = late.status()["last_error"] or "no answer"
    print(f"evener: not registered within {timeout:g} s: {_output.clean_lines(why)}", file=sys.stderr)
    print(_HINT, file=sys.stderr)
    return False


def _stays(why: str) -> None:
    with contextlib.suppress(OSError):  # nobody reads this either
        print(f"evener: {why}; nothing more is shown, and the server stays registered", file=sys.stderr)


def _not_registered(registrations: list[Registration], shown: View) -> Registration | None:
    """Shows how all of them are; the first that is not in the registry."""
    for registration in registrations:
        shown.look(registration)
    return next((each for each in registrations if each.state != "registered"), None)


def _leave(registrations: list[Registration], shown: View, drain: float) -> bool:
    """All at once and in order; whether the registry could be told."""
    try:
        if drain:
            for registration in registrations:
                registration.drain()
                shown.look(registration)
        withdrawn = [registration.close(drain=drain) for registration in registrations]
    except KeyboardInterrupt:
        withdrawn = [registration.close(drain=0) for registration in registrations]
    for registration in registrations:
        shown.look(registration)
    if not all(withdrawn):
        print("evener: the registry could not be asked to forget the server; if it knows it, its time to live ends that", file=sys.stderr)
    return all(withdrawn)


def _services(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """What `evener.register` is to be given for each of the servers."""
    if options.file is None:
        if options.name is None or options.port is None:
            raise UsageError("--name and --port are needed, or --file with a Consul definition")
        yield _described(options)
        return
    said = (options.weight, options.priority, options.ttl) != (1, 0, 30.0)
    if said or any((options.name, options.zone, options.region, options.tag, options.metadata, options.check)):
        raise UsageError("beside --file only --port, --host and --id are taken; say the rest in the file")
    definitions = _definitions(options.file)
    if len(definitions) > 1 and any((options.port, options.host, options.id)):
        raise UsageError(f"{options.file}: has {len(definitions)} services: --port, --host and --id would be those of all")
    for definition in definitions:
        yield {"definition": definition}


def _described(options: argparse.Namespace) -> dict[str, Any]:
    pairs = [text.partition("=") for text in options.metadata]
    if not all(key and equals for key, equals, _ in pairs):
        raise UsageError("--metadata is written as KEY=VALUE")
    return {
        "name": options.name,
        "weight": options.weight,
        "priority": options.priority,
        "zone": options.zone,
        "region": options.region,
        "tags": options.tag,
        "metadata": {key: value for key, _, value in pairs},
        "checks": [_check(text) for text in options.check],
        "ttl": options.ttl,
    }


def _check(text: str) -> dict[str, Any]:
    try:
        check = json.loads(text)
    except ValueError as error:
        raise UsageError(f"--check: is not JSON: {error}") from None
    if not isinstance(check, dict):
        raise UsageError("--check: is a JSON object as Consul's files have it")
    return check


def _definitions(path: str) -> list[_native.Definition]:
    """One definition for each service of the file."""
    try:
        text = _options.standard_input().decode("utf-8-sig") if path == "-" else _read(path)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path}: is no UTF-8 text") from None
    try:
        return _native.definitions(text)
    except evener.ConfigError as error:
        raise UsageError(f"{path}: {error}") from None


def _read(path: str) -> str:
    with open(path, encoding="utf-8-sig") as file:
        return file.read()


class View:
    """Shows what changes in a registration's state; nothing of its definition but what tells it from others."""

    def __init__(self) -> None:
        self._seen: dict[Registration, tuple[str | None, ...]] = {}

    def look(self, registration: Registration) -> None:
        status = registration.status()
        now = (status["state"], status["last_error"], status["remark"])
        if now != self._seen.get(registration, ("registering", None, None)):
            self._seen[registration] = now
            self._show(status)

    def show(self, status: dict[str, Any]) -> None:
        raise NotImplementedError

    def _show(self, status: dict[str, Any]) -> None:
        """Shows it, if anybody can be shown anything: that nobody looks is no reason to take the server away."""
        try:
            self.show(status)
        except OSError as error:
            _output.discard()
            _stays(f"the standard output cannot be written: {error.strerror or error}")


class Objects(View):
    def show(self, status: dict[str, Any]) -> None:
        _output.print_json({"time": time.time(), **status})


class Lines(View):
    def show(self, status: dict[str, Any]) -> None:
        name = status["id"] or status["target"]
        address = f" at {status['address']}" if status["address"] else ""
        trouble = f": {status['last_error']}" if status["last_error"] else ""
        remark = f"; {status['remark']}" if status["remark"] else ""
        text = {
            "registering": f"{name}: not registered yet{trouble}{remark}",
            "registered": f"{name}: registered{address} in {status['target']}{trouble}{remark}",
            "lost": f"{name}: lost, to be registered again{trouble}{remark}",
            "draining": f"{name}: marked as leaving{trouble}",
            "closed": f"{name}: {'no longer' if status['publications_total'] else 'never was'} registered{trouble}",
        }[status["state"]]
        print(f"{time.strftime('%H:%M:%S')} {_output.clean_lines(_native.redact(text))}", flush=True)
