"""Configuration in real registries: a map at the start and at every change, with its revision."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import evener
import evener.config
import pytest
from conftest import eventually
from registries import Consul, Etcd


def _changes(target: str, put: Callable[[str, str], object], delete: Callable[[str], object]) -> None:
    """The user's two keys at the start, then a change, a new key, a deleted one, and none left."""
    put("database_url", "postgres://db")
    put("cache_size", "512")
    with evener.config.watch(target) as watch:
        maps = iter(watch)
        first = next(maps)
        assert dict(first) == {"database_url": b"postgres://db", "cache_size": b"512"}
        assert first.text("database_url") == "postgres://db" and int(first["cache_size"]) == 512
        assert watch.latest() == first and first.epoch == 1
        revisions = [int(first.revision)]
        for change, expected in (
            (lambda: put("cache_size", "1024"), {"database_url": b"postgres://db", "cache_size": b"1024"}),
            (lambda: put("log_level", "debug"), {"database_url": b"postgres://db", "cache_size": b"1024", "log_level": b"debug"}),
            (lambda: delete("database_url"), {"cache_size": b"1024", "log_level": b"debug"}),
            (lambda: [delete("cache_size"), delete("log_level")], {}),
        ):
            change()
            config = next(maps)
            while dict(config) != expected:
                config = next(maps)
            revisions.append(int(config.revision))
        assert revisions == sorted(set(revisions)), "revisions only grow"
        assert watch.status()["last_error"] is None and watch.status()["age_seconds"] >= 0


def test_every_change_in_consul(consul: Consul) -> None:
    path = "/v1/kv/config/user-service"
    _changes(
        f"consul://{consul.address}/config/user-service/",
        lambda key, value: consul.put(f"{path}/{key}", value),
        lambda key: consul.delete(f"{path}/{key}"),
    )


def test_every_change_in_etcd(etcd: Etcd) -> None:
    prefix = "/config/user-service/"
    _changes(
        f"etcd://{etcd.address}//config/user-service/",
        lambda key, value: etcd.put(prefix + key, value),
        lambda key: etcd.delete(prefix + key),
    )


def test_a_single_key(etcd: Etcd) -> None:
    etcd.put("/config/level", "info")
    with evener.config.watch(f"etcd://{etcd.address}//config/level") as watch:
        first = watch.wait(timeout=20)
        assert first is not None and dict(first) == {"level": b"info"}
        etcd.put("/config/level", "debug")
        second = watch.wait(timeout=20, after=first.epoch)
        assert second is not None and second.text("level") == "debug"


def test_an_outage_keeps_what_is_known(etcd: Etcd) -> None:
    etcd.put("/config/level", "info")
    with evener.config.watch(f"etcd://{etcd.address}//config/") as watch:
        first = watch.wait(timeout=20)
        assert first is not None
        etcd.kill()
        eventually(lambda: watch.status()["last_error"], 30)
        assert watch.latest() == first
        etcd.start()
        etcd.put("/config/level", "debug")
        second = watch.wait(timeout=30, after=first.epoch)
        assert second is not None and second.text("level") == "debug"
        eventually(lambda: watch.status()["last_error"] is None, 30)


def test_values_are_bytes_and_stay_out_of_sight(consul: Consul) -> None:
    consul.put("/v1/kv/config/password", "hunter2")
    with evener.config.watch(f"consul://{consul.address}/config/") as watch:
        config = watch.wait(timeout=20)
        assert config is not None and config["password"] == b"hunter2"
        assert "hunter2" not in repr(config) and "password" in repr(config)
        with pytest.raises(KeyError):
            config.text("nothing")


def test_asyncio(etcd: Etcd) -> None:
    async def main() -> list[str]:
        levels: list[str] = []
        with evener.config.watch(f"etcd://{etcd.address}//config/") as watch:
            assert await watch.wait_async(timeout=20) is not None
            etcd.put("/config/level", "info")
            async for config in watch:
                levels += [config.text("level")] if config else []
                if levels == ["info"]:
                    etcd.put("/config/level", "debug")
                if levels[-1:] == ["debug"]:
                    watch.close()
            assert await watch.wait_async(timeout=20) is None, "it is closed"
        return levels

    assert asyncio.run(main()) == ["info", "debug"]


def test_closing_ends_who_waits(etcd: Etcd) -> None:
    watch = evener.config.watch(f"etcd://{etcd.address}//config/")
    assert watch.wait(timeout=20) is not None
    heard: list[Any] = []
    waiting = threading.Thread(target=lambda: heard.append(watch.wait(after=1)))
    waiting.start()
    watch.close()
    waiting.join(20)
    assert heard == [None]
    assert watch.latest() is None and watch.status() == {}


@pytest.mark.parametrize("target", ["dns:///config/", "consul:///", "static:///a:1", "config"])
def test_a_target_without_configuration_is_refused(target: str) -> None:
    with pytest.raises(evener.ConfigError):
        evener.config.watch(target)


def test_forked(etcd: Etcd) -> None:
    """In a child an inherited watch says so at once, and the child's own works; the parent's goes on."""
    etcd.put("/config/level", "info")
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from fork_programs import in_child, refuses\n"
        "import evener.config\n"
        "watch = evener.config.watch(sys.argv[2])\n"
        "endpoints = evener.watch('static:///10.0.0.1:80')\n"
        "assert watch.wait(20).text('level') == 'info' and endpoints.wait(20)\n"
        "def child():\n"
        "    for each in (watch, endpoints):\n"
        "        for use in (each.latest, each.wait, each.status, each.resolve_now):\n"
        "            refuses(use)\n"
        "        each.close()\n"
        "    with evener.config.watch(sys.argv[2]) as own:\n"
        "        assert own.wait(20).text('level') == 'info'\n"
        "assert in_child(child) == 0\n"
        "assert watch.latest().text('level') == 'info' and endpoints.latest()\n"
    )
    _run(program, os.path.dirname(__file__), f"etcd://{etcd.address}//config/")


def _run(program: str, *arguments: str) -> None:
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, timeout=50)
    assert done.returncode == 0, done.stdout + done.stderr
