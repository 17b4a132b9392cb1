"""The programs of the package's README run as they stand, against real registries."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from registries import Consul, Etcd

_TEXT = (Path(__file__).resolve().parents[1] / "README.md").read_text()


def _program(section: str) -> str:
    """The first Python program of a section."""
    found = re.search(rf"^## {section}\n.*?```python\n(.*?)```", _TEXT, re.DOTALL | re.MULTILINE)
    assert found is not None, f"no program under {section}"
    return found[1]


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
