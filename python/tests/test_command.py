"""The evener command, each subcommand in a process of its own, against real registries."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import evener
import pytest
from conftest import eventually
from evener.command import _register
from registries import Bind, Consul, Etcd, missing
from test_registration import CONSUL_DEFINITION, in_etcd

EVENER = [sys.executable, "-X", "dev", "-m", "evener"]
# As the first user wrote it.
RETRIES = {
    "loadBalancingConfig": [{"round_robin": {}}],
    "healthCheckConfig": {"serviceName": "user.UserService"},
    "retryPolicy": {
        "maxAttempts": 3,
        "initialBackoff": "0.1s",
        "maxBackoff": "5s",
        "retryableStatusCodes": ["UNAVAILABLE", "DEADLINE_EXCEEDED"],
    },
}


def evener_(*arguments: str, stdin: str = "", status: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs the command to its end, which is to have this status."""
    done = subprocess.run(
        [*EVENER, *arguments], input=stdin, env={**os.environ, **environment}, capture_output=True, text=True, timeout=50
    )
    assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
    assert "Traceback" not in done.stderr, done.stderr
    return done


class Running:
    """The command while it runs; what it has printed so far, line by line."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []
        self.errors = ""
        self._reading = threading.Thread(target=self._read)
        self._reading.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    def until(self, text: str) -> None:
        """Waits for a line with this in it."""
        eventually(lambda: any(text in line for line in self.lines) or self.process.poll() is not None, 30)
        assert any(text in line for line in self.lines), (self.lines, self.process.poll())

    def objects(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in list(self.lines)]

    def end(self, number: int = signal.SIGINT) -> int:
        self.process.send_signal(number)
        return self.ended()

    def ended(self) -> int:
        status = self.process.wait(40)
        self._reading.join(40)
        return status


@contextmanager
def running(*arguments: str) -> Iterator[Running]:
    """The command in the background; it is killed if the test does not end it."""
    with subprocess.Popen([*EVENER, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        command = Running(process)
        try:
            yield command
        finally:
            process.kill()
            command.ended()
            assert process.stderr is not None
            command.errors = process.stderr.read()
        assert "Traceback" not in command.errors, command.errors


def put(etcd: Etcd, address: str, **record: Any) -> None:
    ip, _, port = address.rpartition(":")
    etcd.put(f"/services/user-service/{address}", json.dumps({"ip": ip, "port": int(port), "healthy": True, **record}))


def test_resolve(etcd: Etcd) -> None:
    put(etcd, "192.168.1.100:8080", version="v1.0")
    put(etcd, "192.168.1.101:8080", healthy=False)
    target = f"etcd://{etcd.address}/user-service"
    lines = evener_("resolve", target).stdout.splitlines()
    assert lines[0].split() == ["ENDPOINT", "STATE", "WEIGHT", "ZONE", "PRIORITY"]
    assert lines[1].split() == ["192.168.1.100:8080", "ready", "1", "-", "0"]
    answer = json.loads(evener_("resolve", target, "--json").stdout)
    assert (answer["state"], answer["error"], answer["target"]) == ("known", None, target)
    assert answer["endpoints"][0]["addresses"] == ["192.168.1.100:8080"]
    assert answer["endpoints"][0]["metadata"]["version"] == "v1.0"
    assert answer["freshness"] == "fresh" and 0 <= answer["age_seconds"] < 60


def test_resolve_what_is_empty(etcd: Etcd) -> None:
    target = f"etcd://{etcd.address}/user-service"
    done = evener_("resolve", target, status=1)
    assert done.stdout == "" and "there is no server" in done.stderr and "Is the name right" in done.stderr
    answer = json.loads(evener_("resolve", target, "--json", status=1).stdout)
    assert answer["state"] == "known_empty" and answer["endpoints"] == [] and "there is no server" in answer["error"]


def test_resolve_what_is_unreachable() -> None:
    done = evener_("resolve", "etcd://127.0.0.1:1/user-service", "--timeout", "1", status=1)
    assert "127.0.0.1:1" in done.stderr and "Is the registry running" in done.stderr
    answer = json.loads(evener_("resolve", "consul://127.0.0.1:1/user", "--timeout", "1", "--json", status=1).stdout)
    assert answer["state"] == "unknown" and "127.0.0.1:1" in answer["error"]
    assert (answer["freshness"], answer["age_seconds"]) == ("unknown", None)


def test_resolve_with_a_name_server(bind: Bind) -> None:
    done = evener_("resolve", "svc.example.test:80", "--dns-server", bind.address)
    assert "127.0.0.1:80" in done.stdout and "127.0.0.2:80" in done.stdout and "2 endpoints" in done.stdout
    done = evener_("resolve", "nobody.example.test:80", "--dns-server", bind.address, status=1)
    assert "there is no server" in done.stderr, "NXDOMAIN is an answer"
    done = evener_("resolve", "svc.broken.test:80", "--dns-server", bind.address, "--timeout", "1", status=1)
    assert "no answer" in done.stderr and "there is no server" not in done.stderr, "SERVFAIL is none"


def test_resolve_static_and_by_the_system() -> None:
    assert "10.0.0.1:8080  ready  3" in evener_("resolve", "static:///10.0.0.1:8080;weight=3").stdout
    assert "127.0.0.1:8080" in evener_("resolve", "localhost:8080", "--system-dns").stdout


def test_resolve_with_credentials(start_registry: Any, tmp_path: Path) -> None:
    token = "11111111-2222-3333-4444-555555555555"
    consul: Consul = start_registry(lambda: Consul(acl_token=token))
    consul.put("/v1/agent/service/register", json.dumps({"Name": "user", "Port": 80, "Address": "10.0.0.1"}))
    file = tmp_path / "token"
    file.write_text(token + "\n")
    target = f"consul://{consul.address}/user"
    eventually(lambda: consul.get("/v1/health/service/user"))
    assert "10.0.0.1:80" in evener_("resolve", target, "--token-file", str(file)).stdout
    done = evener_("resolve", target, "--timeout", "3", status=1)
    assert token not in done.stderr


def test_secrets_are_not_shown() -> None:
    done = evener_("resolve", "consul://127.0.0.1:1/user?token=hunter2", "--timeout", "0.5", "--json", status=1)
    assert "hunter2" not in done.stdout + done.stderr
    done = evener_("resolve", "etcd://me:hunter2@127.0.0.1:1/user", "--timeout", "0.5", status=1)
    assert "hunter2" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ([], "required: COMMAND"),
        (["resolve"], "required: TARGET"),
        (["resolve", "dns:///a:b"], "port"),
        (["resolve", "etc:///user"], "invalid target: port: `etc` is not a scheme evener knows"),
        (["resolve", "consul:///user", "--token-file", "/nowhere"], "--token-file: /nowhere: cannot be read; there is no such file"),
        (["watch", "consul:///user", "--ca-file", "/nowhere"], "--ca-file: /nowhere: cannot be read"),
        (["resolve", "a:1", "--timeout", "-1"], "--timeout"),
        (["resolve", "a:1", "--user", "me"], "user needs password"),
        (["resolve", "a:1", "--dns-server", "ns"], "dns_servers: `ns` is no IP address"),
        (["watch", "a:1", "--count", "0"], "--count"),
        (["register", "consul:///"], "--name and --port are needed"),
        (["register", "dns:///a", "--name", "a", "--port", "1"], "etcd:///PREFIX or consul://AGENT"),
        (["register", "consul:///", "--file", "/nowhere.json"], "/nowhere.json"),
        (["register", "consul:///", "--name", "a", "--port", "1", "--token-file", "/nowhere"], "--token-file: /nowhere: cannot be read"),
        (["register", "consul:///", "--name", "a", "--port", "1", "--metadata", "x"], "KEY=VALUE"),
        (["register", "consul:///", "--name", "a", "--port", "1", "--check", "{"], "--check: is not JSON"),
        (["lint", "nowhere.json"], "there is no such file"),
        (["lint", "/"], "is a folder"),
        (["lint", "\udcff"], "'\\udcff': is no UTF-8 text"),
        (["resolve", "\udcff:1"], "target: is no UTF-8 text"),
        (["register", "consul:///", "--name", "\udcff", "--port", "1"], "name: is no UTF-8 text"),
        (["nonsense"], "nonsense"),
    ],
)
def test_called_wrongly(arguments: list[str], why: str) -> None:
    assert why in evener_(*arguments, status=2).stderr


def redirected(streams: str, *arguments: str, status: int) -> subprocess.CompletedProcess[str]:
    """Runs the command with its streams as the shell redirects them."""
    shell = ["sh", "-c", f'exec "$@" {streams}', "sh"]
    done = subprocess.run([*shell, *EVENER, *arguments], capture_output=True, text=True, timeout=50)
    assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
    assert "Traceback" not in done.stderr and "Exception" not in done.stderr, done.stderr
    return done


@pytest.mark.parametrize("command", [["resolve"], ["watch", "--for", "1"], ["lint"]])
def test_what_is_found_cannot_be_written(command: list[str]) -> None:
    target = "static:///10.0.0.1:80"
    assert "the standard output is closed" in redirected(">&-", *command, target, status=2).stderr
    full = redirected(">/dev/full", *command, target, status=1).stderr
    assert full == "evener: the standard output cannot be written: No space left on device\n"


@pytest.mark.parametrize("command", [["lint", "-"], ["register", "consul:///", "--file", "-"]])
def test_there_is_no_standard_input(command: list[str]) -> None:
    assert "the standard input is closed" in redirected("<&-", *command, status=2).stderr


def test_the_statuses_are_documented() -> None:
    for command in ([], ["resolve"], ["watch"], ["register"], ["lint"]):
        text = evener_(*command, "--help").stdout
        assert "exit status:" in text and "2  it was called wrongly" in text and "130  Ctrl-C" in text
    assert evener_("--version").stdout == f"evener {evener.__version__}\n"


def test_watch_prints_changes(etcd: Etcd) -> None:
    put(etcd, "192.168.1.100:8080")
    with running("watch", f"etcd://{etcd.address}/user-service", "--immediate") as watching:
        watching.until("+ 192.168.1.100:8080 ready weight=1")
        put(etcd, "192.168.1.100:8080", weight=5)
        watching.until("~ 192.168.1.100:8080 weight 1 -> 5")
        put(etcd, "192.168.1.101:8080")
        watching.until("+ 192.168.1.101:8080")
        etcd.delete("/services/user-service/192.168.1.100:8080")
        watching.until("- 192.168.1.100:8080")
        etcd.kill()
        watching.until("! the registry cannot be asked")
        etcd.start()
        watching.until("! the registry answers again")
        etcd.delete("/services/user-service/192.168.1.101:8080")
        watching.until("! there is no server")
        assert watching.end() == 0, "Ctrl-C is how it ends"


def test_watch_as_json(etcd: Etcd) -> None:
    put(etcd, "192.168.1.100:8080")
    with running("watch", f"etcd://{etcd.address}/user-service", "--immediate", "--json", "--count", "3") as watching:
        watching.until("192.168.1.100:8080")
        put(etcd, "192.168.1.101:8080")
        watching.until("192.168.1.101:8080")
        etcd.delete("/services/user-service/192.168.1.100:8080")
        assert watching.ended() == 0, "after three snapshots"
        changes = [each for each in watching.objects() if each["event"] == "snapshot"]
    assert [each["added"] for each in changes] == [["192.168.1.100:8080"], ["192.168.1.101:8080"], []]
    assert [each["removed"] for each in changes] == [[], [], ["192.168.1.100:8080"]]
    assert [len(each["endpoints"]) for each in changes] == [1, 2, 1]
    assert all(each["freshness"] == "fresh" and each["revision"] for each in changes)


def test_watch_probes(dead_address: str) -> None:
    with running("watch", f"static:///{dead_address}", "--probe", "tcp") as watching:
        watching.until(f"~ {dead_address} condition ready -> unhealthy")
        assert watching.end() == 0


def test_watch_ends_by_itself_and_by_sigterm() -> None:
    assert "+ 10.0.0.1:80" in evener_("watch", "static:///10.0.0.1:80", "--for", "0.5").stdout
    with socket.create_server(("127.0.0.1", 0)) as silent:
        done = evener_("watch", f"consul://127.0.0.1:{silent.getsockname()[1]}/user", "--for", "0", status=1)
    assert "--for watches longer" in done.stderr and "--timeout" not in done.stderr
    done = evener_("watch", "etcd://127.0.0.1:1/user", "--for", "0.5", status=1)
    assert "127.0.0.1:1" in done.stderr
    with running("watch", "static:///10.0.0.1:80") as watching:
        watching.until("+ 10.0.0.1:80")
        assert watching.end(signal.SIGTERM) == 0


class Terminal:
    """The command on a terminal of its own, and all that it has drawn there."""

    def __init__(self, *arguments: str) -> None:
        try:
            self._screen, terminal = pty.openpty()
        except OSError as reason:
            missing(f"no terminal of one's own ({reason}); is /dev/pts there?")
        self._seen = bytearray()
        environment = {**os.environ, "TERM": "xterm", "COLUMNS": "150", "LINES": "20"}
        self.process = subprocess.Popen(
            [*EVENER, *arguments], stdin=terminal, stdout=terminal, stderr=subprocess.PIPE, env=environment
        )
        os.close(terminal)

    def seen(self) -> bytes:
        while select.select([self._screen], [], [], 0)[0]:
            try:
                self._seen.extend(os.read(self._screen, 65536))
            except OSError:  # the command has ended
                break
        return bytes(self._seen)

    def until(self, text: str) -> None:
        eventually(lambda: text.encode() in self.seen(), 30)

    def end(self) -> tuple[int, str]:
        """Its exit status after Ctrl-C, and what is on its standard error."""
        self.process.send_signal(signal.SIGINT)
        _, errors = self.process.communicate(timeout=30)
        return self.process.returncode, errors.decode()

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()
        os.close(self._screen)


def test_watch_draws_a_table_on_a_terminal(etcd: Etcd) -> None:
    # What a registry says has no power over the terminal.
    put(etcd, "192.168.1.100:8080", zone="a\x1b[2J")
    with Terminal("watch", f"etcd://{etcd.address}/user-service", "--immediate") as terminal:
        terminal.until("LAST CHANGE")
        put(etcd, "192.168.1.100:8080", weight=7)
        terminal.until("weight 1 -> 7")
        etcd.delete("/services/user-service/192.168.1.100:8080")
        terminal.until("gone")
        assert terminal.end() == (0, "")
        seen = terminal.seen()
    assert b"\x1b[2J" not in seen and b"ENDPOINT" in seen and b"\x1b[" in seen
    assert b"1 endpoint, fresh" in seen


@pytest.fixture
def refusing() -> Iterator[Callable[[bool], str]]:
    """The target of a double of Kubernetes' API server, which answers 403 or, told that it may, with an empty list: a refusal
    whose text has a colour in it, and that comes and goes."""
    allowed = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if allowed.is_set() and "watch=" not in self.path:
                return self._answer(200, {"kind": "EndpointSliceList", "metadata": {"resourceVersion": "7"}, "items": []})
            self._answer(403, {"kind": "Status", "message": 'User "me\x1b[31m" cannot list', "reason": "Forbidden", "code": 403})

        def _answer(self, status: int, body: dict[str, Any]) -> None:
            text = json.dumps({"apiVersion": "v1", **body}).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            pass

    def allow(is_allowed: bool) -> str:
        allowed.set() if is_allowed else allowed.clear()
        return f"kubernetes:///user:80?server=http://127.0.0.1:{server.server_port}"

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        yield allow
        server.shutdown()
        serving.join()


MANIFEST = ["apiVersion: rbac.authorization.k8s.io/v1", "kind: Role", "metadata:", "  name: evener-endpointslices"]


def contains(lines: list[str], wanted: list[str]) -> bool:
    """Whether these lines stand there, one after the other."""
    return any(lines[start : start + len(wanted)] == wanted for start in range(len(lines)))


def test_a_manifest_can_be_applied_as_it_is_printed(refusing: Callable[[bool], str]) -> None:
    target = refusing(False)
    errors = evener_("resolve", target, status=1).stderr.splitlines()
    assert contains(errors, MANIFEST) and "refuses (403)" in errors[0] and "me\\x1b[31m" in errors[0]
    with running("watch", target) as watching:
        watching.until("kind: RoleBinding")
        assert contains(watching.lines, MANIFEST) and "! the registry cannot be asked: " in watching.lines[0]
        assert watching.end() == 1
    assert contains(watching.errors.splitlines(), MANIFEST)


def test_the_live_table_tells_the_rest_at_its_end(refusing: Callable[[bool], str]) -> None:
    with Terminal("watch", refusing(True)) as terminal:
        terminal.until("0 endpoints")
        refusing(False)
        terminal.until("refuses (403)")
        status, errors = terminal.end()
        seen = terminal.seen()
    assert b"kind: Role" not in seen and b"\\n" not in seen and b"\x1b[31m" not in seen
    assert status == 0 and contains(errors.splitlines(), MANIFEST)


def test_an_interruption_has_a_status_of_its_own() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(30)
        target = f"consul://127.0.0.1:{silent.getsockname()[1]}/user"
        with running("resolve", target, "--timeout", "40") as resolving:
            with silent.accept()[0]:
                assert resolving.end() == 130


def test_a_reader_that_leaves() -> None:
    """As in `evener watch ... | head -1`."""
    command = [*EVENER, "watch", "static:///10.0.0.1:80,10.0.0.2:80", "--json", "--for", "20"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        process.send_signal(signal.SIGINT)
        assert process.wait(30) in (0, 1)
        assert process.stderr.read() == b""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_register_until_a_signal(etcd: Etcd, number: signal.Signals) -> None:
    flags = ["--name", "user", "--port", "8080", "--host", "10.0.0.1", "--weight", "3", "--zone", "a", "--metadata", "version=v1"]
    with running("register", f"etcd://{etcd.address}//services", *flags, "--drain", "0.5", "--json") as registering:
        registering.until('"registered"')
        endpoint = json.loads(evener_("resolve", f"etcd://{etcd.address}//services/user", "--json").stdout)["endpoints"][0]
        assert (endpoint["addresses"], endpoint["weight"], endpoint["zone"]) == (["10.0.0.1:8080"], 3, "a")
        assert endpoint["metadata"]["version"] == "v1"
        assert registering.end(number) == 0
        assert [each["state"] for each in registering.objects()] == ["registered", "draining", "closed"]
    assert in_etcd(etcd) == {}


def test_register_a_consul_definition(consul: Consul, tmp_path: Path) -> None:
    file = tmp_path / "user.json"
    # A token in a definition is used, and never shown.
    file.write_text(json.dumps({"service": {**CONSUL_DEFINITION["service"], "meta": {"version": "v1"}, "token": "hunter2"}}))
    with running("register", f"consul://{consul.address}", "--file", str(file), "--port", "9090", "--host", "127.0.0.1") as registering:
        registering.until("registered at 127.0.0.1:9090")
        [service] = consul.services().values()
        assert (service["Service"], service["Port"], service["Meta"]["version"]) == ("user-service", 9090, "v1")
        assert registering.end() == 0
    assert "hunter2" not in "\n".join([*registering.lines, registering.errors])
    assert consul.services() == {}


def test_register_several_services_of_a_file(consul: Consul, tmp_path: Path) -> None:
    file = tmp_path / "services.json"
    services = [{"name": "user", "port": 1, "address": "127.0.0.1"}, {"name": "order", "port": 2, "address": "127.0.0.1"}]
    file.write_text(json.dumps({"services": services}))
    with running("register", f"consul://{consul.address}", "--file", str(file)) as registering:
        registering.until("user-127.0.0.1-1: registered")
        registering.until("order-127.0.0.1-2: registered")
        assert {service["Service"] for service in consul.services().values()} == {"user", "order"}
        assert registering.end() == 0
    assert consul.services() == {}
    assert "would be those of all" in evener_("register", "consul:///", "--file", str(file), "--port", "3", status=2).stderr


def test_a_port_that_is_missing(tmp_path: Path) -> None:
    file = tmp_path / "services.json"
    file.write_text(json.dumps({"service": {"name": "user"}}))
    done = evener_("register", "consul:///", "--file", str(file), status=2)
    assert f"{file}: registration: port: is 0" in done.stderr and "in the file, or with --port" in done.stderr
    assert f"{file}" not in evener_("register", "consul:///", "--file", str(file), "--port", "0", status=2).stderr
    file.write_text(json.dumps({"services": [{"name": "user", "port": 1}, {"name": "order"}]}))
    done = evener_("register", "consul://127.0.0.1:1", "--file", str(file), "--deadline", "0", status=2)
    assert f"{file}: service 2 of 2: registration: port: is 0" in done.stderr and "--port" not in done.stderr


def test_register_checks_beside_the_services(consul: Consul, tmp_path: Path) -> None:
    file = tmp_path / "services.json"
    services = [{"name": "user", "port": 1, "address": "127.0.0.1"}, {"id": "o-1", "name": "order", "port": 2, "address": "127.0.0.1"}]
    checks = [{"service_id": "o-1", "id": "ports", "tcp": "127.0.0.1:2", "interval": "10s"}, {"service_id": "no", "ttl": "9s"}]
    # As Consul's files and its API spell them.
    file.write_text(json.dumps({"Services": services, "checks": checks, "check": {"service_id": "user", "id": "own", "ttl": "30s"}}))
    with running("register", f"consul://{consul.address}", "--file", str(file)) as registering:
        registering.until("user-127.0.0.1-1: registered")
        registering.until("o-1: registered")
        found = {name: check["ServiceName"] for name, check in consul.get("/v1/agent/checks").items()}
        assert found["ports"] == "order" and found["own"] == "user"
        assert registering.end() == 0
    assert registering.errors.count("is of no service here") == 1 and "`no`" in registering.errors
    file.write_text(json.dumps({"services": [*services, {"port": 3}]}))
    done = evener_("register", "consul:///", "--file", str(file), status=2)
    assert f"{file}: services[2].name: is missing" in done.stderr


def test_register_outlives_the_registry(etcd: Etcd) -> None:
    flags = ["--name", "user", "--port", "8080", "--host", "10.0.0.1", "--ttl", "2"]
    with running("register", f"etcd://{etcd.address}//services", *flags) as registering:
        registering.until("registered at 10.0.0.1:8080")
        etcd.wipe_and_restart()
        eventually(lambda: in_etcd(etcd) != {}, 30)
        assert registering.end() == 0
    assert in_etcd(etcd) == {}


def test_register_in_time_or_not_at_all() -> None:
    flags = ["--name", "user", "--port", "8080", "--timeout", "0.5", "--deadline", "0"]
    done = evener_("register", "etcd://127.0.0.1:1/services", *flags, status=1)
    assert "not registered within 0.5 s" in done.stderr and "Is the registry running" in done.stderr
    assert "never was registered" in done.stdout and "no longer registered" not in done.stdout


def test_register_is_in_time_when_it_happens_within_the_last_step(monkeypatch: pytest.MonkeyPatch) -> None:
    class Clock:
        """A double of the time, which goes by in sleep only."""

        now = 0.0

        def monotonic(self) -> float:
            return self.now

        def sleep(self, seconds: float) -> None:
            self.now += seconds

    class Late:
        """A double of a registration that is in the registry when it is looked at for the second time."""

        looks = 0

        @property
        def state(self) -> str:
            self.looks += 1
            return "registering" if self.looks == 1 else "registered"

    class Interrupted(_register.View):
        """A double of a view, which is interrupted some time later."""

        looks = 0

        def look(self, registration: object) -> None:
            self.looks += 1
            if self.looks == 5:
                raise KeyboardInterrupt

    late: Any = Late()
    shown = Interrupted()
    monkeypatch.setattr(_register, "time", Clock())
    assert _register._stay([late], shown, timeout=_register._STEP_SECONDS / 2)
    assert shown.looks == 5, "it stays"


def test_register_shows_a_remark(capsys: pytest.CaptureFixture[str]) -> None:
    class Alone:
        """A double of a registration on a machine that has the loopback address alone."""

        remark: str | None = "registered is 127.0.0.1"

        def status(self) -> dict[str, Any]:
            known = {"state": "registered", "id": "user-1", "address": "127.0.0.1:1", "target": "consul:///"}
            return {**known, "last_error": None, "remark": self.remark, "publications_total": 1}

    alone: Any = Alone()
    shown = _register.Lines()
    shown.look(alone)
    alone.remark = None
    shown.look(alone)
    shown.look(alone)
    first, second = capsys.readouterr().out.splitlines()
    assert first.endswith("registered at 127.0.0.1:1 in consul:///; registered is 127.0.0.1")
    assert second.endswith("registered at 127.0.0.1:1 in consul:///")


@pytest.mark.parametrize(("stream", "why"), [("", "Broken pipe"), (">&-", "is closed"), (">/dev/full", "No space left on device")])
def test_register_goes_on_when_nobody_looks(etcd: Etcd, stream: str, why: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    flags = ["--name", "user", "--port", "8080", "--host", "10.0.0.1", "--ttl", "2"]
    command = ["sh", "-c", f'exec "$@" {stream}', "sh", *EVENER, "register", f"etcd://{etcd.address}//services", *flags]
    with subprocess.Popen(command, stdout=writing, stderr=subprocess.PIPE, text=True) as process:
        os.close(writing)
        assert process.stderr is not None
        assert why in process.stderr.readline()
        eventually(lambda: in_etcd(etcd) != {}, 30)
        etcd.wipe_and_restart()
        eventually(lambda: in_etcd(etcd) != {}, 30)
        process.send_signal(signal.SIGINT)
        assert process.wait(40) == 0
        assert process.stderr.read() == "", "it is said once"
    assert in_etcd(etcd) == {}


def test_a_second_signal_does_not_wait(etcd: Etcd) -> None:
    flags = ["--name", "user", "--port", "8080", "--host", "10.0.0.1", "--drain", "3600"]
    with running("register", f"etcd://{etcd.address}//services", *flags) as registering:
        registering.until("registered at")
        registering.process.send_signal(signal.SIGINT)
        registering.until("marked as leaving")
        assert registering.end() == 0
    assert in_etcd(etcd) == {}


def test_lint_the_users_service_config(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps(RETRIES))
    done = evener_("lint", str(file), status=1)
    assert "error: retryPolicy:" in done.stdout and "corrected:" in done.stdout
    found = json.loads(evener_("lint", str(file), "--json", status=1).stdout)
    assert found["errors"] >= 1 and found["warnings"] >= 1
    misplaced = next(each for each in found["findings"] if each["code"] == "retry-misplaced")
    corrected = json.loads(misplaced["corrected"])
    assert corrected["methodConfig"][0]["retryPolicy"]["maxAttempts"] == 3
    assert corrected["methodConfig"][0]["retryPolicy"]["backoffMultiplier"] > 0
    assert "DEADLINE_EXCEEDED" in done.stdout


def test_lint_computes_the_worst_case() -> None:
    policy = {**RETRIES["retryPolicy"], "maxAttempts": 4, "backoffMultiplier": 2, "retryableStatusCodes": ["UNAVAILABLE"]}
    config = {**RETRIES, "methodConfig": [{"name": [{}], "timeout": "5s", "retryPolicy": policy}]}
    del config["retryPolicy"]
    text = evener_("lint", "-", "--json", stdin=json.dumps(config)).stdout
    amplified = [each for each in json.loads(text)["findings"] if "retryPolicy" in each["place"]]
    assert any("4" in each["message"] for each in amplified), text


def test_lint_what_another_program_prints() -> None:
    assert "not-json" in evener_("lint", "/dev/null", status=1).stdout
    assert "no-health-check" in evener_("lint", "/dev/stdin", stdin='{"service": {"name": "user", "port": 8080}}').stdout


def test_lint_targets_and_strictness() -> None:
    assert evener_("lint", "dns:///user-service.prod.company.com:443").stdout == "Nothing to say about it.\n"
    target = "user-service.default.svc.cluster.local:8080"
    assert "kubernetes:///user-service.default:8080" in evener_("lint", target).stdout
    assert "1 warning" in evener_("lint", target, "--strict", status=1).stdout
    assert "error: port" in evener_("lint", "dns:///a:b", status=1).stdout


def test_lint_a_consul_definition_and_a_channel() -> None:
    assert "no-health-check" in evener_("lint", "-", stdin='{"service": {"name": "user", "port": 8080}}').stdout
    arguments = {"target": "localhost:8080", "channel_args": {"grpc.keepalive_time_ms": 10000, "grpc.keepalive_timeout_ms": 3000}}
    assert "too_many_pings" in evener_("lint", "-", stdin=json.dumps(arguments)).stdout
    assert "too_many_pings" in evener_("lint", "-", "--kind", "channel_args", stdin='{"grpc.keepalive_time_ms": 10000}').stdout
    assert "not-json" in evener_("lint", "-", stdin="{", status=1).stdout


def test_it_needs_no_grpcio() -> None:
    program = (
        "import sys\n"
        "class Refuse:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] == 'grpc':\n"
        "            raise ImportError(name)\n"
        "sys.meta_path.insert(0, Refuse())\n"
        "from evener.command import main\n"
        "sys.exit(main(['resolve', 'static:///10.0.0.1:80']))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=50)
    assert (done.returncode, done.stderr) == (0, "") and "10.0.0.1:80" in done.stdout
