"""Real registries on the loopback: etcd, Consul, BIND. Each has free ports and a temporary folder of its own, is waited for with a
deadline, and is ended by its process number, even when the tests themselves are killed.

The programs are in the folder that ``EVENER_SERVERS`` names, or in ``servers`` of the target directory, where ``cargo xtask servers``
puts them; BIND is Debian's. A missing one skips the test with a line on the standard error, and fails it with ``CI=true``.
"""

from __future__ import annotations

import base64
import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NoReturn

import pytest

_ROOT = Path(__file__).resolve().parents[2]
# How long a server may take to answer after its start, on a machine that is busy.
_START_SECONDS = 60.0
# Reads process numbers, of which the last counts; when its input closes it ends that process and removes the folder.
_WATCHMAN = (
    "trap '' INT TERM HUP; while read -r pid; do last=$pid; done; "
    'if [ -n "$last" ]; then kill -KILL "$last"; fi; rm -rf "$1"'
)
# Below those that the kernel gives to outgoing connections: one of these could take the place of a server that is about to come back.
_PORTS = itertools.cycle(range(10_000, 32_000))


def program(name: str) -> Path:
    """The program of this name; without it the test is skipped, or fails with ``CI=true``."""
    target = Path(os.environ.get("CARGO_TARGET_DIR", _ROOT / "target"))
    folders = [Path(os.environ.get("EVENER_SERVERS", target / "servers"))]
    if name in ("named", "nsupdate"):
        folders = [Path(folder) for folder in (*os.get_exec_path(), "/usr/sbin", "/sbin")]
    for folder in folders:
        if (folder / name).is_file():
            return folder / name
    missing(f"no {name}; {'Debian has it as bind9' if name in ('named', 'nsupdate') else 'cargo xtask servers builds it'}")


def missing(what: str) -> NoReturn:
    """Skips the test, with a line on the standard error, or fails it with ``CI=true``."""
    line = f"SKIPPED: {what}"
    print(line, file=sys.__stderr__, flush=True)
    if os.environ.get("CI") == "true":
        pytest.fail(line)
    pytest.skip(line)


def free_port() -> int:
    """A port of 127.0.0.1 that is free for TCP and UDP now, and that this process does not hand out again soon."""
    for port in _PORTS:
        try:
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                with socket.socket(socket.AF_INET, kind) as tried:
                    tried.bind(("127.0.0.1", port))
        except OSError:
            continue
        return port
    raise AssertionError("unreachable")


# Another place for each process: test programs that run at the same time rarely meet.
for _ in range(os.getpid() * 7919 % 22_000):
    next(_PORTS)


class _Server:
    """A server's program with its arguments, and the process while it runs."""

    def __init__(self, name: str) -> None:
        self._program = program(name)
        self.folder = Path(tempfile.mkdtemp(prefix=f"evener-{name}-"))
        self._watchman = subprocess.Popen(
            ["sh", "-c", _WATCHMAN, "watchman", str(self.folder)],
            cwd="/",
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._process: subprocess.Popen[bytes] | None = None

    def arguments(self) -> list[str]:
        raise NotImplementedError

    def is_ready(self) -> bool:
        raise NotImplementedError

    def start(self) -> None:
        """Starts it and waits until it answers; AssertionError with what it printed when it does not."""
        log = self.folder / "output.log"
        with log.open("ab") as output:
            command = [str(self._program), *self.arguments()]
            self._process = subprocess.Popen(
                command, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )
        self._guard(str(self._process.pid))
        deadline = time.monotonic() + _START_SECONDS
        while not self.is_ready():
            ended = self._process.poll() is not None
            if ended or time.monotonic() > deadline:
                self.kill()
                words = log.read_text(errors="replace")[-4000:]
                raise AssertionError(f"{self._program.name} {'ended at once' if ended else 'does not answer'}: {words}")
            time.sleep(0.01)

    def kill(self) -> None:
        """SIGKILL, and gone when this returns. Nothing when it does not run."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
            self._guard("")

    def restart(self) -> None:
        """Comes back on the same ports; what it keeps on disk it still knows."""
        self.kill()
        self.start()

    def wipe_and_restart(self) -> None:
        """Comes back on the same ports, knowing nothing."""
        self.kill()
        shutil.rmtree(self.folder / "data", ignore_errors=True)
        self.start()

    def pause(self) -> None:
        """SIGSTOP: its connections stay, and it says nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        """Ends it for good and removes its folder."""
        self.kill()
        assert self._watchman.stdin is not None
        self._watchman.stdin.close()
        self._watchman.wait()

    def _guard(self, pid: str) -> None:
        assert self._watchman.stdin is not None
        self._watchman.stdin.write(f"{pid}\n".encode())
        self._watchman.stdin.flush()


class Etcd(_Server):
    """An etcd of one member that keeps its data over a restart."""

    def __init__(self) -> None:
        super().__init__("etcd")
        self._client, self._peer, self._metrics = free_port(), free_port(), free_port()

    @property
    def address(self) -> str:
        """``127.0.0.1:PORT``, where clients go: ``etcd://ADDRESS/services/user``."""
        return f"127.0.0.1:{self._client}"

    def arguments(self) -> list[str]:
        client, peer = f"http://{self.address}", f"http://127.0.0.1:{self._peer}"
        return [
            "--name=m0",
            f"--data-dir={self.folder / 'data'}",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=m0={peer}",
            f"--listen-metrics-urls=http://127.0.0.1:{self._metrics}",
            "--logger=zap",
            "--log-level=error",
            "--unsafe-no-fsync",
        ]

    def is_ready(self) -> bool:
        try:
            _http("GET", f"http://127.0.0.1:{self._metrics}/health")
        except OSError:
            return False
        return True

    def put(self, key: str, value: str) -> None:
        self._ask("put", {"key": _encode(key), "value": _encode(value)})

    def delete(self, key: str) -> None:
        self._ask("deleterange", {"key": _encode(key)})

    def get(self, prefix: str) -> dict[str, str]:
        """Every key below a prefix, with its value."""
        answer = self._ask("range", {"key": _encode(prefix), "range_end": _encode(prefix[:-1] + chr(ord(prefix[-1]) + 1))})
        return {_decode(each["key"]): _decode(each.get("value", "")) for each in answer.get("kvs", [])}

    def watch_streams(self) -> int:
        """How many clients watch something."""
        metrics = _http("GET", f"http://127.0.0.1:{self._metrics}/metrics")
        [line] = [line for line in metrics.splitlines() if line.startswith("etcd_debugging_mvcc_watch_stream_total ")]
        return int(float(line.split()[1]))

    def _ask(self, what: str, body: Mapping[str, Any]) -> Any:
        return json.loads(_http("POST", f"http://{self.address}/v3/kv/{what}", json.dumps(body)))


class Consul(_Server):
    """A Consul server with an agent. It forgets everything when it is restarted, unless it is `persistent`."""

    def __init__(self, *, persistent: bool = False, acl_token: str | None = None) -> None:
        super().__init__("consul")
        self._persistent, self._token = persistent, acl_token
        names = ("http", "dns", "server", "serf_lan", "serf_wan")
        self._ports = {**{name: free_port() for name in names}, "grpc": -1, "grpc_tls": -1}

    @property
    def address(self) -> str:
        """``127.0.0.1:PORT`` of the HTTP API: ``consul://ADDRESS/user-service``."""
        return f"127.0.0.1:{self._ports['http']}"

    def arguments(self) -> list[str]:
        config: dict[str, Any] = {
            "node_name": "node",
            "datacenter": "dc1",
            "server": True,
            "bootstrap": True,
            "bind_addr": "127.0.0.1",
            "client_addr": "127.0.0.1",
            "ports": self._ports,
            "disable_update_check": True,
            "enable_script_checks": True,
            "log_level": "ERROR",
            # Without it a wait is lengthened at random, and writes become known a little later.
            "performance": {"raft_multiplier": 1},
        }
        if self._token is not None:
            tokens = {"initial_management": self._token, "agent": self._token}
            config["acl"] = {"enabled": True, "default_policy": "deny", "tokens": tokens}
        file = self.folder / "agent.json"
        file.write_text(json.dumps(config))
        data = ["-data-dir", str(self.folder / "data")] if self._persistent else ["-dev"]
        return ["agent", "-config-file", str(file), *data]

    def is_ready(self) -> bool:
        try:
            return len(self.request("GET", "/v1/status/leader")) > 4 and '"node"' in self.request("GET", "/v1/catalog/nodes")
        except OSError:
            return False

    def request(self, method: str, path: str, body: str | None = None) -> str:
        """A request to the HTTP API, with the all-powerful token when it has one; OSError when it is not answered with 2xx."""
        headers = {} if self._token is None else {"X-Consul-Token": self._token}
        return _http(method, f"http://{self.address}{path}", body, headers)

    def get(self, path: str) -> Any:
        """``GET PATH``, as JSON."""
        return json.loads(self.request("GET", path))

    def put(self, path: str, body: str) -> str:
        """``PUT PATH``: ``/v1/kv/config/key``, ``/v1/agent/service/register``."""
        return self.request("PUT", path, body)

    def delete(self, path: str) -> str:
        return self.request("DELETE", path)

    def services(self) -> dict[str, Any]:
        """What is registered with the agent, by id."""
        return dict(self.get("/v1/agent/services"))


class Bind(_Server):
    """A BIND that serves ``example.test`` with these records, and ``broken.test`` with SERVFAIL."""

    def __init__(self, records: Iterable[str]) -> None:
        super().__init__("named")
        self._port = free_port()
        zone = ["$TTL 60", "@ 1 SOA ns hostmaster 1 3600 600 86400 1", "@ 60 NS ns", "ns 60 A 127.0.0.1", *records, ""]
        (self.folder / "zone.db").write_text("\n".join(zone))
        (self.folder / "named.conf").write_text(
            f"""options {{ directory "{self.folder}"; managed-keys-directory "{self.folder}"; pid-file "named.pid";
                session-keyfile "session.key"; listen-on port {self._port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }}; recursion no;
                dnssec-validation no; notify no; allow-query {{ any; }}; empty-zones-enable no; minimal-responses yes; }};
            controls {{ }};
            zone "example.test" {{ type master; file "zone.db"; }};
            zone "broken.test" {{ type master; file "missing.db"; }};
            """
        )

    @property
    def address(self) -> str:
        """``127.0.0.1:PORT``, UDP and TCP: ``dns://ADDRESS/svc.example.test``."""
        return f"127.0.0.1:{self._port}"

    def arguments(self) -> list[str]:
        return ["-g", "-n", "1", "-c", str(self.folder / "named.conf")]

    def is_ready(self) -> bool:
        question = b"\0\1\0\0\0\1\0\0\0\0\0\0" + b"\7example\4test\0" + b"\0\6\0\1"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            asking.settimeout(0.2)
            try:
                asking.sendto(question, ("127.0.0.1", self._port))
                answer = asking.recv(512)
            except OSError:
                return False
        # The answer's fourth byte ends in the response code; 0 is "no error".
        return len(answer) > 12 and answer[3] & 0x0F == 0


def started(make: Callable[[], _Server]) -> Any:
    """Starts what `make` makes; what fails is made again, with other ports, since another process may have taken one."""
    for attempt in range(3):
        server = make()
        try:
            server.start()
        except AssertionError:
            server.close()
            if attempt == 2:
                raise
        else:
            return server


def _http(method: str, url: str, body: str | None = None, headers: Mapping[str, str] | None = None) -> str:
    request = urllib.request.Request(url, None if body is None else body.encode(), dict(headers or {}), method=method)
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10) as answer:
        return str(answer.read().decode())


def _encode(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _decode(text: str) -> str:
    return base64.b64decode(text).decode()
