"""The wheel, installed where there is no compiler, no cargo, no protoc and no package index: it works, and needs nothing else."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from registries import Etcd, missing

_TOOLS = ("cc", "gcc", "clang", "c++", "ld", "make", "cmake", "cargo", "rustc", "maturin", "protoc", "go")


@pytest.fixture(scope="module")
def wheel() -> Path:
    """The wheel of this checkout, which `cargo xtask` names; without one the tests are skipped, or fail with ``CI=true``."""
    named = os.environ.get("EVENER_WHEEL")
    if named is not None:
        return Path(named)
    missing("no wheel; cargo xtask test --only python builds it, and EVENER_WHEEL names it")


class Bare:
    """A fresh environment, whose programs see nothing of the machine but Python."""

    def __init__(self, folder: Path) -> None:
        self.bin = folder / "venv" / "bin"
        self._environment = {"PATH": str(self.bin), "HOME": str(folder), "PIP_NO_INDEX": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
        subprocess.run([sys.executable, "-m", "venv", str(self.bin.parent)], check=True, timeout=100)

    def run(self, program: str, *arguments: str) -> str:
        command = [str(self.bin / program), *arguments]
        done = subprocess.run(command, cwd="/", env=self._environment, capture_output=True, text=True, timeout=100)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def bare(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Bare:
    environment = Bare(tmp_path_factory.mktemp("bare"))
    for tool in _TOOLS:
        assert shutil.which(tool, path=str(environment.bin)) is None, f"{tool} is there"
    environment.run("python", "-m", "pip", "install", "--quiet", str(wheel))
    return environment


@pytest.mark.timeout(200)
def test_it_installs_and_works_without_a_compiler(bare: Bare) -> None:
    installed = bare.run("python", "-m", "pip", "list", "--format=json")
    assert {each["name"] for each in json.loads(installed)} <= {"evener", "pip", "setuptools"}, "it needs nothing else"
    assert bare.run("python", "-c", "import evener; print(evener.Balancer(['a']).pick())") == "a\n"
    assert bare.run("evener", "lint", "dns:///user-service.example.com:8080") == "Nothing to say about it.\n"
    assert "10.0.0.1:8080" in bare.run("evener", "resolve", "static:///10.0.0.1:8080")
    assert "127.0.0.1:8080" in bare.run("python", "-m", "evener", "resolve", "localhost:8080", "--system-dns")


@pytest.mark.timeout(200)
def test_registries_are_in_it(bare: Bare, etcd: Etcd) -> None:
    etcd.put("/services/user-service/10.0.0.1:8080", "")
    assert "10.0.0.1:8080" in bare.run("evener", "resolve", f"etcd://{etcd.address}/user-service")


def test_what_is_in_it(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert any(name.startswith("evener/_native") and name.endswith(".so") for name in names)
    assert {"evener/py.typed", "evener/_native.pyi", "evener/config.py", "evener/command/__init__.py"} <= set(names)
    assert "abi3" in wheel.name and not any("tests/" in name or name.endswith(".rs") for name in names)
