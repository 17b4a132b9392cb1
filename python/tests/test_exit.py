"""Programs that end without closing their channels: in time, with their own status, and without a word."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Server, target_of

_PROGRAMS = Path(__file__).with_name("exit_programs.py")


@pytest.mark.parametrize(
    "name",
    [
        "sync_calls",
        "sync_waiting",
        "sync_cycle",
        "balancer",
        "aio_run",
        "aio_loop_closed",
        "aio_loop_left",
        "aio_in_a_thread",
    ],
)
def test_nothing_is_closed(three: list[Server], name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", str(_PROGRAMS), name, target_of(three)],
        env={**os.environ, "GRPC_VERBOSITY": "NONE"},
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
