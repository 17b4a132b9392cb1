"""The types: strictly checked, and the stubs of the compiled module agree with what is there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[1]


def _run(*arguments: str, cwd: Path) -> None:
    done = subprocess.run([sys.executable, "-m", *arguments], cwd=cwd, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.timeout(300)
def test_package_is_strictly_typed(tmp_path: Path) -> None:
    cache = f"--cache-dir={tmp_path / 'cache'}"
    _run("mypy", cache, "--config-file", str(_ROOT / "pyproject.toml"), "-p", "evener", cwd=tmp_path)


@pytest.mark.timeout(300)
def test_stubs_agree_with_the_module(tmp_path: Path) -> None:
    _run("mypy.stubtest", "evener", cwd=tmp_path)


@pytest.mark.timeout(300)
def test_an_application_is_typed(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import pathlib, evener, evener.grpc, evener.grpc.aio\n"
        "balancer: evener.Balancer[str] = evener.Balancer({'a': 3})\n"
        "picked: str = balancer.pick()\n"
        "with balancer.start() as endpoint:\n"
        "    upper: str = endpoint.upper()\n"
        "with evener.grpc.insecure_channel('static:///a:1') as channel:\n"
        "    channel.update_endpoints([evener.grpc.Endpoint('b:2', weight=2), 'c:3'])\n"
        "    channel.set_service_config({'loadBalancingConfig': [{'pick_first': {}}]})\n"
        "evener.grpc.aio.insecure_channel('static:///a', lists_file=pathlib.Path('lists.json'))\n"
    )
    _run("mypy", "--strict", f"--cache-dir={tmp_path / 'cache'}", str(program), cwd=tmp_path)
