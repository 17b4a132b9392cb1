"""Watches without a channel: snapshots from real registries, and how fresh they are."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import evener
import pytest
from conftest import Server, eventually
from registries import Bind, Consul, Etcd

AT_ONCE = evener.Discovery(debounce=0, removal_epoch=0, empty_hold=0, max_drop_percent=100)


def _put(etcd: Etcd, address: str, **record: Any) -> None:
    ip, _, port = address.rpartition(":")
    etcd.put(f"/services/user-service/{address}", json.dumps({"ip": ip, "port": int(port), "healthy": True, **record}))


def test_what_a_registry_says_of_an_endpoint(etcd: Etcd) -> None:
    target = f"etcd://{etcd.address}//services"
    with evener.register(
        target, name="user", port=5, host="10.0.0.1", weight=3, priority=1, zone="a", region="eu", metadata={"version": "v1"}
    ) as registration:
        assert registration.wait(timeout=20)
        with evener.watch(f"{target}/user") as watch:
            snapshot = watch.wait(timeout=20)
            assert snapshot is not None and snapshot == watch.latest()
            [endpoint] = snapshot.endpoints
            assert endpoint.addresses == ("10.0.0.1:5",)
            assert (endpoint.weight, endpoint.priority, endpoint.zone, endpoint.region) == (3, 1, "a", "eu")
            assert endpoint.condition == "ready" and endpoint.metadata["version"] == "v1"
            assert snapshot.state == "known" and snapshot.revision is not None


def test_a_snapshot_for_each_change(etcd: Etcd) -> None:
    _put(etcd, "192.168.1.100:8080", version="v1.0")
    with evener.watch(f"etcd://{etcd.address}//services/user-service", discovery=AT_ONCE) as watch:
        snapshots = iter(watch)
        seen = [next(snapshots)]
        _put(etcd, "192.168.1.101:8080")
        seen.append(next(snapshots))
        etcd.delete("/services/user-service/192.168.1.100:8080")
        seen.append(next(snapshots))
        etcd.delete("/services/user-service/192.168.1.101:8080")
        seen.append(next(snapshots))
    assert [len(snapshot.endpoints) for snapshot in seen] == [1, 2, 1, 0]
    assert [snapshot.state for snapshot in seen] == ["known", "known", "known", "known_empty"]
    assert [snapshot.epoch for snapshot in seen] == [1, 2, 3, 4]
    assert list(snapshots) == [], "a closed watch says no more"


def test_an_outage_keeps_the_set_and_says_why(etcd: Etcd) -> None:
    _put(etcd, "192.168.1.100:8080")
    with evener.watch(f"etcd://{etcd.address}//services/user-service", discovery=AT_ONCE) as watch:
        snapshot = watch.wait(timeout=20)
        assert snapshot is not None and watch.status()["freshness"] == "fresh"
        etcd.kill()
        eventually(lambda: watch.status()["freshness"] == "stale", 30)
        status = watch.status()
        assert watch.latest() == snapshot and status["last_error"] and status["cause"] and status["age_seconds"] >= 0
        assert sum(status["errors_total"].values()) >= 1
        etcd.start()
        eventually(lambda: watch.status()["freshness"] == "fresh", 30)
        assert watch.latest() == snapshot


def test_what_is_held_is_counted(etcd: Etcd) -> None:
    _put(etcd, "192.168.1.100:8080")
    _put(etcd, "192.168.1.101:8080")
    with evener.watch(f"etcd://{etcd.address}//services/user-service") as watch:
        assert watch.wait(timeout=20) is not None
        etcd.delete("/services/user-service/192.168.1.100:8080")
        eventually(lambda: watch.status()["endpoints"]["held"] == 1, 30)
        assert watch.status()["endpoints"]["total"] == 2


def test_credentials_by_themselves_and_in_discovery(start_registry: Any, tmp_path: Any) -> None:
    token = "11111111-2222-3333-4444-555555555555"
    consul: Consul = start_registry(lambda: Consul(acl_token=token))
    file = tmp_path / "token"
    file.write_text(token)
    given = evener.Credentials(token_file=file)
    target = f"consul://{consul.address}"
    with evener.register(target, name="user", port=5, host="127.0.0.1", credentials=given) as registration:
        assert registration.wait(timeout=20), registration.status()
        for options in ({"credentials": given}, {"discovery": evener.Discovery(credentials=given)}):
            with evener.watch(f"{target}/user", **options) as watch:
                snapshot = watch.wait(timeout=20)
                assert snapshot is not None and len(snapshot.endpoints) == 1
        assert token not in json.dumps(registration.status())
    with pytest.raises(evener.ConfigError, match="given twice"):
        evener.watch(target + "/user", credentials=given, discovery=evener.Discovery(credentials=given))


def test_a_name_server_of_ones_own(bind: Bind) -> None:
    with evener.watch("svc.example.test:80", discovery=evener.Discovery(dns_servers=[bind.address])) as watch:
        snapshot = watch.wait(timeout=20)
        assert snapshot is not None
        assert [endpoint.addresses for endpoint in snapshot.endpoints] == [("127.0.0.1:80",), ("127.0.0.2:80",)]


def test_servers_are_probed(start_server: Callable[..., Server], dead_address: str) -> None:
    server = start_server()
    probe = evener.Probe("tcp", interval=0.05, rise=1, fall=1, jitter=0)
    target = f"static:///{server.address},{dead_address}"

    def conditions() -> dict[str, str]:
        snapshot = watch.latest()
        return {} if snapshot is None else {each.addresses[0]: each.condition for each in snapshot.endpoints}

    with evener.watch(target, discovery=evener.Discovery(probe=probe)) as watch:
        eventually(lambda: conditions() == {server.address: "ready", dead_address: "unhealthy"}, 20)
        assert watch.status()["endpoints"]["failing_probes"] == 1


@pytest.mark.parametrize(("target", "why"), [("dns:///a:b", "port"), ("nothing:///a", "nothing"), ("static:///", "static")])
def test_a_target_that_makes_no_sense_is_refused(target: str, why: str) -> None:
    with pytest.raises(evener.ConfigError, match=why):
        evener.watch(target)


def test_waiting_blocks_nobody_else() -> None:
    """Many threads wait while this one goes on; closing ends them all."""
    watch = evener.watch("etcd://127.0.0.1:1/services/user")
    heard: list[Any] = []
    waiting = [threading.Thread(target=lambda: heard.append(watch.wait())) for _ in range(8)]
    for thread in waiting:
        thread.start()
    assert watch.latest() is None and heard == []
    watch.close()
    for thread in waiting:
        thread.join(20)
    assert heard == [None] * 8


def test_asyncio(etcd: Etcd) -> None:
    async def main() -> list[int]:
        counts = []
        with evener.watch(f"etcd://{etcd.address}//services/user-service", discovery=AT_ONCE) as watch:
            async for snapshot in watch:
                counts.append(len(snapshot.endpoints))
                if len(counts) == 3:
                    break
                _put(etcd, f"192.168.1.10{len(counts)}:8080")
            waiting = asyncio.create_task(watch.wait_async(after=snapshot.epoch))
            await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            assert await watch.wait_async(timeout=0.01, after=snapshot.epoch) is None
        return counts

    assert asyncio.run(main()) == [0, 1, 2]


@pytest.mark.parametrize(
    ("arguments", "options", "why"),
    [
        ([None], {}, "target: a text is wanted, not NoneType"),
        (["a:1"], {"discovery": 5}, "discovery: an evener.Discovery is wanted, not int"),
        (["a:1"], {"discovery": 5, "credentials": evener.Credentials()}, "discovery: an evener.Discovery is wanted, not int"),
        (["a:1"], {"credentials": "x"}, "credentials: an evener.Credentials is wanted, not str"),
    ],
)
def test_another_type_is_refused_by_name(arguments: list[Any], options: dict[str, Any], why: str) -> None:
    with pytest.raises(TypeError) as error:
        evener.watch(*arguments, **options)
    assert str(error.value) == why


def test_threads_that_wait_while_the_interpreter_ends() -> None:
    """They come back before it is gone: no crash, and not a word."""
    program = (
        "import evener, evener.config, threading, time\n"
        "watch = evener.watch('etcd://127.0.0.1:1/services/user')\n"
        "config = evener.config.watch('etcd://127.0.0.1:1/config/')\n"
        "registration = evener.register('etcd://127.0.0.1:1/services', name='user', port=5, deadline=0)\n"
        "returned = []\n"
        "def wait(what):\n"
        "    returned.append(what())\n"
        "for what in [watch.wait, config.wait, registration.wait, lambda: list(watch)] * 4:\n"
        "    threading.Thread(target=wait, args=[what], daemon=True).start()\n"
        "registration.close()\n"
        "import atexit, evener._native\n"
        "atexit.unregister(evener._native.end_discovery)\n"
        "def end():\n"
        "    evener._native.end_discovery(5.0)\n"
        "    deadline = time.monotonic() + 10\n"
        "    while len(returned) < 16 and time.monotonic() < deadline:\n"
        "        time.sleep(0.01)\n"
        "    print(len(returned), watch.wait(), registration.wait())\n"
        "atexit.register(end)\n"
    )
    done = subprocess.run([sys.executable, "-X", "dev", "-c", program], capture_output=True, text=True, timeout=50)
    assert (done.returncode, done.stdout, done.stderr) == (0, "16 None False\n", "")
