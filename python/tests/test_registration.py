"""Registration in real registries: it survives their death, their amnesia and the interpreter's end, and leaves in the right order."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import evener
import pytest
from conftest import eventually
from registries import Consul, Etcd

# As the first user wrote it.
CONSUL_DEFINITION = {
    "service": {
        "name": "user-service",
        "port": 8080,
        "check": {"http": "http://localhost:8080/health", "interval": "10s", "timeout": "3s"},
    }
}


def in_etcd(etcd: Etcd, name: str = "user") -> dict[str, Any]:
    """What is registered, by what follows the prefix and the service's name."""
    records = etcd.get(f"/services/{name}/")
    return {key.rpartition("/")[2]: json.loads(value) for key, value in records.items()}


def at_etcd(etcd: Etcd, name: str = "user", port: int = 50051, **options: Any) -> evener.Registration:
    return evener.register(f"etcd://{etcd.address}//services", name=name, port=port, host="10.0.0.1", **options)


def test_it_comes_with_the_block_and_goes_with_it(etcd: Etcd) -> None:
    with at_etcd(etcd, weight=3, metadata={"version": "v1"}) as registration:
        assert registration.wait(timeout=20)
        assert registration.state == "registered"
        [(key, record)] = in_etcd(etcd).items()
        assert "10.0.0.1:50051" in key or "10.0.0.1:50051" in json.dumps(record)
    assert registration.state == "closed"
    assert in_etcd(etcd) == {}
    assert registration.close(), "closing twice does no harm"


def test_the_block_ends_with_an_error(etcd: Etcd) -> None:
    with pytest.raises(KeyError), at_etcd(etcd) as registration:
        assert registration.wait(timeout=20)
        raise KeyError
    assert in_etcd(etcd) == {}


def test_several_of_a_process_and_an_update_in_place(etcd: Etcd) -> None:
    with at_etcd(etcd) as user, at_etcd(etcd, "order", 50052) as order, at_etcd(etcd, port=50053) as second:
        assert user.wait(timeout=20) and order.wait(timeout=20) and second.wait(timeout=20)
        assert len(in_etcd(etcd)) == 2 and len(in_etcd(etcd, "order")) == 1
        with evener.watch(f"etcd://{etcd.address}/services/user", discovery=evener.Discovery(debounce=0)) as watch:
            user.update(weight=7, metadata={"version": "v2"})
            for snapshot in watch:
                seen = {endpoint.addresses[0]: endpoint for endpoint in snapshot.endpoints}
                if seen["10.0.0.1:50051"].weight == 7:
                    break
            assert seen["10.0.0.1:50051"].metadata["version"] == "v2"
            assert seen["10.0.0.1:50053"].weight == 1
        assert user.status()["id"] != second.status()["id"]


def test_the_registry_is_killed_and_comes_back(etcd: Etcd) -> None:
    with at_etcd(etcd, ttl=2.0, verify_interval=1.0) as registration:
        assert registration.wait(timeout=20)
        etcd.kill()
        eventually(lambda: registration.status()["last_error"], 30)
        etcd.start()
        eventually(lambda: registration.state == "registered" and registration.status()["last_error"] is None, 30)
        assert len(in_etcd(etcd)) == 1


def test_consul_is_killed_and_comes_back(start_registry: Callable[..., Any]) -> None:
    consul: Consul = start_registry(lambda: Consul(persistent=True))
    with evener.register(
        f"consul://{consul.address}", name="user", port=5, host="127.0.0.1", ttl=2.0, verify_interval=1.0
    ) as registration:
        assert registration.wait(timeout=20)
        consul.kill()
        eventually(lambda: registration.status()["last_error"], 30)
        consul.start()
        eventually(lambda: registration.state == "registered" and registration.status()["last_error"] is None, 30)
        assert list(consul.services()) == [registration.status()["id"]]
        eventually(lambda: consul.get("/v1/health/service/user?passing"), 30)


def test_a_wiped_registry_is_filled_again(etcd: Etcd) -> None:
    with at_etcd(etcd, verify_interval=1.0) as registration:
        assert registration.wait(timeout=20)
        etcd.wipe_and_restart()
        eventually(lambda: len(in_etcd(etcd)) == 1, 30)
        eventually(lambda: registration.state == "registered", 30)
        assert registration.status()["repairs_total"] >= 1


def test_a_wiped_consul_is_filled_again(consul: Consul) -> None:
    options: dict[str, Any] = {"host": "127.0.0.1", "verify_interval": 1.0}
    with evener.register(f"consul://{consul.address}", name="user", port=50051, **options) as registration:
        assert registration.wait(timeout=20)
        assert list(consul.services()) == [registration.status()["id"]]
        consul.wipe_and_restart()
        eventually(lambda: list(consul.services()) == [registration.status()["id"]], 30)
    assert consul.services() == {}


def test_the_order_of_leaving(consul: Consul) -> None:
    """Marked, waited for, taken away: a client has seen the mark before the record goes."""
    target = f"consul://{consul.address}"
    discovery = evener.Discovery(debounce=0, removal_epoch=0, empty_hold=0)
    registration = evener.register(target, name="user", port=50051, host="127.0.0.1", drain=1.5)
    assert registration.wait(timeout=20)
    seen: list[Any] = []
    with evener.watch(f"{target}/user", discovery=discovery) as watch:
        first = watch.wait(timeout=20)
        assert first is not None and [each.condition for each in first.endpoints] == ["ready"]
        leaving = threading.Thread(target=registration.close)
        leaving.start()
        for snapshot in watch:
            seen.append([endpoint.condition for endpoint in snapshot.endpoints] or snapshot.state)
            if not snapshot.endpoints:
                break
        leaving.join(20)
    assert seen[-1] == "known_empty" and consul.services() == {}
    assert ["draining"] in seen or ["unhealthy"] in seen, seen


def test_drain_keeps_the_record(etcd: Etcd) -> None:
    registration = at_etcd(etcd)
    assert registration.wait(timeout=20)
    registration.drain()
    assert registration.state == "draining"
    assert len(in_etcd(etcd)) == 1
    assert registration.close(drain=0, deadline=10)
    assert in_etcd(etcd) == {}


def test_a_consul_definition_is_accepted_unchanged(consul: Consul) -> None:
    for definition in (CONSUL_DEFINITION, json.dumps(CONSUL_DEFINITION)):
        with evener.register(f"consul://{consul.address}", definition=definition, host="127.0.0.1") as registration:
            assert registration.wait(timeout=20), registration.status()
            assert registration.warnings == []
            [service] = consul.services().values()
            assert (service["Service"], service["Port"]) == ("user-service", 8080)
            checks = consul.get("/v1/health/checks/user-service")
            assert any(check["Type"] == "http" for check in checks), checks
        assert consul.services() == {}


def test_checks_as_consul_writes_them(consul: Consul) -> None:
    checks = [{"tcp": "127.0.0.1:1", "interval": "10s"}, {"http": "http://127.0.0.1:1/health", "interval": "10s", "name": "web"}]
    registration = evener.register(f"consul://{consul.address}", name="user", port=5, host="127.0.0.1", checks=checks, tags=["a"])
    with registration:
        assert registration.wait(timeout=20)
        kinds = {check["Type"] for check in consul.get("/v1/health/checks/user")}
        assert {"tcp", "http"} <= kinds
        [service] = consul.services().values()
        assert service["Tags"] == ["a"]


def test_a_port_goes_before_a_definitions(consul: Consul) -> None:
    definition = {"service": {"name": "user-service"}}
    with pytest.raises(evener.ConfigError, match="port: is 0"):
        evener.register(f"consul://{consul.address}", definition=definition)
    with evener.register(f"consul://{consul.address}", definition=definition, port=9090, host="127.0.0.1", id="one") as registration:
        assert registration.wait(timeout=20)
        assert {id: service["Port"] for id, service in consul.services().items()} == {"one": 9090}


def test_what_has_no_effect_is_said(caplog: pytest.LogCaptureFixture) -> None:
    definition = {"service": {"name": "user", "port": 5, "chekc": {"http": "http://x/?token=abc"}, "token": "secret-token"}}
    with (
        caplog.at_level(logging.WARNING, "evener"),
        evener.register("consul://127.0.0.1:1", definition=definition, deadline=0) as registration,
    ):
        assert any("chekc" in warning for warning in registration.warnings)
    assert "chekc" in caplog.text
    assert "secret-token" not in caplog.text + repr(registration) + json.dumps(registration.status())


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"port": 5}, "name: is missing"),
        ({"name": "user"}, "port: is 0"),
        ({"name": "user", "port": 70000}, "port: 70000 is out of range"),
        ({"name": "user", "port": 10**30}, "port: is out of range"),
        ({"name": "user", "port": 5, "weight": -1}, "weight: -1 is out of range"),
        ({"name": "user", "port": 5, "ttl": 0.5}, "ttl: is below one second"),
        ({"name": "user", "port": 5, "ttl": float("inf")}, "ttl: inf: seconds are wanted"),
        ({"name": "user", "port": 5, "drain": -1}, "registration: drain: -1.0: seconds are wanted"),
        ({"name": "user", "port": 5, "checks": [{"http": 5}]}, "checks"),
        ({"name": "user", "port": 5, "checks": 5}, "checks"),
        ({"name": "user", "port": 5, "verify_interval": 0.1}, "verify_interval: is below one second"),
        ({"definition": {"service": {"name": "user", "port": 5}}, "name": "order"}, "only port, host and id go beside"),
        ({"definition": {"services": [{"name": "a", "port": 1}, {"name": "b", "port": 2}]}}, "holds 2 services"),
        ({"definition": "{"}, "definition"),
    ],
)
def test_what_makes_no_sense_is_refused(given: dict[str, Any], why: str) -> None:
    with pytest.raises(evener.ConfigError, match=why):
        evener.register("consul:///", **given)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"tags": "blue"}, "registration: tags: a list of texts is wanted, not str"),
        ({"tags": 5}, "registration: tags: a list of texts is wanted, not int"),
        ({"port": "80"}, "registration: port: a whole number or None is wanted, not str"),
        ({"metadata": {"a": 1}}, "registration: metadata: a dict of texts is wanted, not one with int in it"),
        ({"metadata": "a"}, "registration: metadata: a dict of texts is wanted, not str"),
        ({"verify_interval": "5"}, "registration: verify_interval: a number is wanted, not str"),
        ({"drain": None}, "registration: drain: a number is wanted, not NoneType"),
        ({"credentials": "x"}, "credentials: an evener.Credentials is wanted, not str"),
    ],
)
def test_another_type_is_refused_by_name(given: dict[str, Any], why: str) -> None:
    with pytest.raises(TypeError) as error:
        evener.register("consul:///", **{"name": "user", "port": 5, **given})
    assert str(error.value) == why


def test_a_target_without_registration_is_refused() -> None:
    with pytest.raises(evener.ConfigError, match="etcd:///PREFIX or consul://AGENT"):
        evener.register("dns:///user", name="user", port=5)


def test_a_registry_that_is_not_there() -> None:
    registration = evener.register("etcd://127.0.0.1:1/services", name="user", port=5, deadline=0)
    assert not registration.wait(timeout=0.2)
    eventually(lambda: registration.status()["last_error"])
    assert registration.state == "registering"
    registration.close()


def test_all_of_a_status_is_documented() -> None:
    with evener.register("etcd://127.0.0.1:1/services", name="user", port=5, deadline=0) as registration:
        text = evener.Registration.status.__doc__ or ""
        assert [key for key in registration.status() if f"``{key}``" not in text] == []


def test_nothing_is_registered_before_the_server_listens(etcd: Etcd, start_server: Callable[..., Any]) -> None:
    port = start_server().port
    with evener.register(
        f"etcd://{etcd.address}//services", name="user", port=port, host="127.0.0.1", wait_for_listening=True
    ) as registration:
        assert registration.wait(timeout=20)
    with evener.register(
        f"etcd://{etcd.address}//services", name="user", port=1, host="127.0.0.1", wait_for_listening=True
    ) as registration:
        eventually(lambda: registration.status()["last_error"])
        assert in_etcd(etcd) == {}


def test_asyncio(etcd: Etcd) -> None:
    async def main() -> None:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0.01)

        ticking = asyncio.create_task(tick())
        async with at_etcd(etcd, drain=0.3) as registration:
            assert await registration.wait_async(timeout=20)
            assert len(in_etcd(etcd)) == 1
            before = ticks
        assert ticks - before >= 3, "the loop stood still while the server drained"
        assert registration.state == "closed" and in_etcd(etcd) == {}
        assert not await registration.wait_async(timeout=5), "it is over"
        ticking.cancel()

    asyncio.run(main())


def test_the_interpreter_ends_and_the_record_goes(etcd: Etcd) -> None:
    program = (
        "import evener, sys\n"
        f"registration = evener.register('etcd://{etcd.address}//services', name='user', port=5, host='10.0.0.1')\n"
        "assert registration.wait(20)\n"
        "print('up', flush=True)\n"
        "del registration  # nobody has to keep it\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen([sys.executable, "-X", "dev", "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin is not None and child.stdout is not None
        assert child.stdout.readline() == b"up\n"
        assert len(in_etcd(etcd)) == 1
        child.stdin.close()
        assert child.wait(30) == 0
    assert in_etcd(etcd) == {}


def test_a_killed_server_leaves_within_its_ttl(etcd: Etcd) -> None:
    program = (
        "import evener, time\n"
        f"registration = evener.register('etcd://{etcd.address}//services', name='user', port=5, host='10.0.0.1', ttl=2)\n"
        "assert registration.wait(20)\n"
        "print('up', flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"up\n"
        child.kill()
    eventually(lambda: in_etcd(etcd) == {}, 20)


def test_ctrl_c_ends_a_wait() -> None:
    program = (
        "import evener, os, signal, threading\n"
        "registration = evener.register('etcd://127.0.0.1:1/services', name='user', port=5, deadline=0)\n"
        "threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()\n"
        "try:\n"
        "    registration.wait()\n"
        "except KeyboardInterrupt:\n"
        "    print('interrupted')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout, done.stderr) == (0, "interrupted\n", "")


def test_a_forked_child_has_none_of_it(etcd: Etcd) -> None:
    """The server is the parent's: the child can neither use nor end its registration, and registers one of its own."""
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from fork_programs import in_child, refuses\n"
        "import evener\n"
        "def register(name):\n"
        "    return evener.register(sys.argv[2], name=name, port=5, host='10.0.0.1')\n"
        "parent = register('user')\n"
        "assert parent.wait(20)\n"
        "def child():\n"
        "    for use in (parent.drain, parent.status, parent.wait, parent.update, lambda: parent.state):\n"
        "        refuses(use)\n"
        "    parent.close()\n"
        "    with register('child') as own:\n"
        "        assert own.wait(20)\n"
        "assert in_child(child) == 0\n"
        "assert parent.state == 'registered', parent.status()\n"
        "print('up', flush=True)\n"
        "sys.stdin.read()\n"
    )
    arguments = [sys.executable, "-c", program, os.path.dirname(__file__), f"etcd://{etcd.address}//services"]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        assert running.stdin is not None and running.stdout is not None
        assert running.stdout.readline() == b"up\n"
        assert len(in_etcd(etcd)) == 1 and in_etcd(etcd, "child") == {}
        running.stdin.close()
        assert running.wait(30) == 0
    assert in_etcd(etcd) == {}
