"""The programs of the package's README run as they stand, against real registries."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Server, eventually
from evener.command import main
from registries import Consul, Etcd

import demo_pb2 as pb
import demo_pb2_grpc as pb_grpc

_TEXT = (Path(__file__).resolve().parents[1] / "README.md").read_text()


def _program(section: str, number: int = 0) -> str:
    """A Python program of a section, the first where nothing else is said."""
    found = re.search(rf"^#+ {section}\n(.*?)(?=^## |\Z)", _TEXT, re.DOTALL | re.MULTILINE)
    programs = re.findall(r"```python\n(.*?)```", found[1], re.DOTALL) if found is not None else []
    assert len(programs) > number, f"no such program under {section}"
    return str(programs[number])


@pytest.fixture
def names() -> Iterator[dict[str, Any]]:
    """What a program may use and has made; its channel is closed."""
    made: dict[str, Any] = {}
    yield made
    if "channel" in made:
        made["channel"].close()


def test_discovery(consul: Consul, three: list[Server], names: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CONSUL_HTTP_ADDR", consul.address)
    server = {"Name": "user-service", "Address": "127.0.0.1", "Port": three[0].port}
    consul.put("/v1/agent/service/register", json.dumps(server))
    consul.put("/v1/kv/config/user", '{"loadBalancingConfig": [{"pick_first": {}}]}')
    (tmp_path / "token").write_text("anonymous")
    program = _program("evener for Python", 1)
    for path, ours in (("/var/cache/user-client", tmp_path / "known"), ("/run/secrets/consul", tmp_path / "token")):
        assert path in program
        program = program.replace(path, str(ours))
    exec(program, names)
    assert pb_grpc.DemoStub(names["channel"]).Unary(pb.Request(), timeout=20).server == "s0"
    assert json.loads(names["channel"].describe())["policy"] == "pick_first"
    eventually(lambda: any((tmp_path / "known").iterdir()))


def test_a_scheme(three: list[Server], names: dict[str, Any]) -> None:
    async def ask_the_inventory(target: str) -> list[str]:
        assert target == "inventory:///user-service"
        return [three[0].address]

    names["ask_the_inventory"] = ask_the_inventory
    exec(_program("A scheme of one's own"), names)
    assert pb_grpc.DemoStub(names["channel"]).Unary(pb.Request(), timeout=20).server == "s0"


def test_the_command(etcd: Etcd, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("ETCDCTL_ENDPOINTS", etcd.address)
    for ip, weight, zone in (("192.168.1.100", 3, "a"), ("192.168.1.101", 1, "b")):
        record = {"ip": ip, "port": 8080, "weight": weight, "zone": zone}
        etcd.put(f"/services/user-service/{ip}:8080", json.dumps(record))
    found = re.search(r"```text\n\$ evener (.*?)\n(.*?)```", _TEXT, re.DOTALL)
    assert found is not None
    assert main(found[1].split()) == 0
    printed, shown = (re.sub(r"revision \d+", "revision N", text) for text in (capsys.readouterr().out, found[2]))
    assert printed == shown


def test_registration(consul: Consul, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONSUL_HTTP_ADDR", consul.address)
    served: list[str] = []
    exec(_program("Registration"), {"serve": lambda: served.extend(each["Service"] for each in consul.services().values())})
    assert served == ["user-service"]
    assert consul.services() == {}


def test_configuration(consul: Consul, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONSUL_HTTP_ADDR", consul.address)
    consul.put("/v1/kv/config/user-service/cache_size", "512")
    consul.put("/v1/kv/config/user-service/database_url", "postgres://db")
    printed: list[tuple[object, ...]] = []

    def show(*values: object) -> None:
        # The program goes on for ever; it has shown what it does.
        printed.append(values)
        raise StopIteration

    with pytest.raises(StopIteration):
        exec(_program("Configuration"), {"print": show})
    assert printed[0][1:] == (512, "postgres://db")


def test_watching_a_target(etcd: Etcd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ETCDCTL_ENDPOINTS", etcd.address)
    etcd.put("/services/user-service/192.168.1.100:8080", json.dumps({"ip": "192.168.1.100", "port": 8080, "healthy": True}))
    printed: list[tuple[object, ...]] = []
    exec(_program("Watching a target"), {"print": lambda *values: printed.append(values)})
    assert printed == [(("192.168.1.100:8080",), "ready", 1, None), ("fresh",)]
