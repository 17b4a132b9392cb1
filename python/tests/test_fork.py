"""Forking: a channel made in the child works, an inherited one says so at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Server, target_of
from registries import Etcd

_PROGRAMS = Path(__file__).with_name("fork_programs.py")


def _run(name: str, *arguments: str, **environment: str) -> None:
    done = subprocess.run(
        [sys.executable, str(_PROGRAMS), name, *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr, done.stderr


def test_a_prefork_server(three: list[Server]) -> None:
    _run("prefork", target_of(three))


def test_what_follows_a_registry_or_is_a_scheme(three: list[Server], etcd: Etcd) -> None:
    for server in three:
        etcd.put(f"/services/user-service/{server.address}", json.dumps({"ip": "127.0.0.1", "port": server.port}))
    _run("live", f"etcd://{etcd.address}/user-service", three[0].address)


def test_workers_begin_with_different_servers(start_server: Callable[..., Server]) -> None:
    _run("first_calls", target_of([start_server(f"s{number}") for number in range(12)]))


def test_a_busy_parent_with_grpcios_fork_support(three: list[Server]) -> None:
    _run("busy_parent", target_of(three), GRPC_ENABLE_FORK_SUPPORT="1", GRPC_POLL_STRATEGY="poll")


@pytest.mark.parametrize("support", ["0", "1"])
def test_a_child_that_only_has_inherited_channels(three: list[Server], support: str) -> None:
    _run("inherited_only", target_of(three), GRPC_ENABLE_FORK_SUPPORT=support)


def test_asyncio(three: list[Server]) -> None:
    _run("aio", target_of(three))


def test_a_balancer_survives() -> None:
    _run("balancer", "")
