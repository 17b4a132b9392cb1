"""Channels on real registries: servers arrive, change and leave while calls run, and no outage takes a healthy service away."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import evener
import evener.grpc
import evener.grpc.aio
import grpc
import pytest
from conftest import Server, eventually
from registries import Consul, Etcd
from traffic import AioCalls, SyncCalls, calls

import demo_pb2 as pb
import demo_pb2_grpc as pb_grpc

AT_ONCE = evener.Discovery(debounce=0, removal_epoch=0, empty_hold=0, max_drop_percent=100)
kinds = pytest.mark.parametrize("kind", ["sync", "aio"])
_STUBS = Path(pb.__file__).parent


class Records:
    """Servers as a registry has them, whichever registry that is."""

    def __init__(self, registry: Etcd | Consul) -> None:
        self._registry = registry
        self.target = f"{'etcd' if isinstance(registry, Etcd) else 'consul'}://{registry.address}/user-service"

    def put(self, server: Server) -> None:
        if isinstance(self._registry, Etcd):
            record = {"ip": "127.0.0.1", "port": server.port, "healthy": True}
            self._registry.put(f"/services/user-service/{server.address}", json.dumps(record))
        else:
            definition = {"ID": server.name, "Name": "user-service", "Address": "127.0.0.1", "Port": server.port}
            self._registry.put("/v1/agent/service/register", json.dumps(definition))

    def remove(self, server: Server) -> None:
        if isinstance(self._registry, Etcd):
            self._registry.delete(f"/services/user-service/{server.address}")
        else:
            self._registry.put(f"/v1/agent/service/deregister/{server.name}", "")


@pytest.fixture(params=["etcd", "consul"])
def registry(request: pytest.FixtureRequest, start_registry: Callable[[Callable[[], Any]], Any]) -> Any:
    """A real registry that keeps what it knows over a restart."""
    return start_registry(Etcd if request.param == "etcd" else lambda: Consul(persistent=True))


def resolution(traffic: SyncCalls | AioCalls) -> dict[str, Any]:
    return dict(json.loads(traffic.describe())["resolution"])


@kinds
def test_servers_arrive_change_and_leave(registry: Any, three: list[Server], kind: str) -> None:
    records = Records(registry)
    records.put(three[0])
    with calls(kind, records.target, discovery=AT_ONCE) as traffic:
        eventually(lambda: traffic.is_only("s0"))
        records.put(three[1])
        eventually(lambda: traffic.is_only("s0", "s1"))
        records.put(three[2])
        records.remove(three[0])
        eventually(lambda: traffic.is_only("s1", "s2"))
        records.put(three[0])
        eventually(lambda: traffic.is_only("s0", "s1", "s2"))


@kinds
def test_no_outage_takes_a_server_away(registry: Any, three: list[Server], kind: str) -> None:
    records = Records(registry)
    for server in three[:2]:
        records.put(server)
    with calls(kind, records.target, discovery=evener.Discovery(debounce=0)) as traffic:
        eventually(lambda: traffic.is_only("s0", "s1"))
        registry.kill()
        eventually(lambda: resolution(traffic)["freshness"] != "fresh", 30)
        assert traffic.is_only("s0", "s1")
        registry.start()
        eventually(lambda: resolution(traffic)["freshness"] == "fresh", 50)
        assert traffic.is_only("s0", "s1")
        records.put(three[2])
        eventually(lambda: traffic.is_only("s0", "s1", "s2"), 30)


@kinds
def test_the_service_config_is_live(consul: Consul, three: list[Server], kind: str) -> None:
    records = Records(consul)
    for server in three:
        records.put(server)
    consul.put("/v1/kv/config/user", '{"loadBalancingConfig": [{"pick_first": {}}]}')
    discovery = evener.Discovery(debounce=0, service_config_source=f"consul://{consul.address}/config/user")
    with calls(kind, records.target, discovery=discovery, service_config='{"loadBalancingPolicy": "round_robin"}') as traffic:
        eventually(lambda: len(traffic.since()) == 1)
        consul.put("/v1/kv/config/user", '{"loadBalancingConfig": [{"round_robin": {}}]}')
        eventually(lambda: traffic.is_only("s0", "s1", "s2"))
        consul.put("/v1/kv/config/user", '{"loadBalancingConfig": 7}')
        eventually(lambda: json.loads(traffic.describe())["service_config_error"])
        assert json.loads(traffic.describe())["policy"] == "round_robin"
        assert traffic.is_only("s0", "s1", "s2")


@kinds
def test_health_checks_arrive_with_the_live_config(consul: Consul, start_server: Callable[..., Server], kind: str) -> None:
    records = Records(consul)
    servers = [start_server(f"s{number}", has_health=True) for number in range(2)]
    for server in servers:
        records.put(server)
        server.serves("user.UserService", server.name == "s1")
    config = {"loadBalancingConfig": [{"round_robin": {}}]}
    consul.put("/v1/kv/config/user", json.dumps(config))
    discovery = evener.Discovery(debounce=0, service_config_source=f"consul://{consul.address}/config/user")
    with calls(kind, records.target, discovery=discovery) as traffic:
        eventually(lambda: traffic.is_only("s0", "s1"))
        consul.put("/v1/kv/config/user", json.dumps({**config, "healthCheckConfig": {"serviceName": "user.UserService"}}))
        eventually(lambda: traffic.is_only("s1"))
        servers[0].serves("user.UserService")
        eventually(lambda: traffic.is_only("s0", "s1"))


def test_message_limits_follow_the_live_config(consul: Consul, three: list[Server]) -> None:
    discovery = evener.Discovery(service_config_source=f"consul://{consul.address}/config/user")
    limited = {"methodConfig": [{"name": [{}], "maxRequestMessageBytes": 100}]}
    consul.put("/v1/kv/config/user", json.dumps(limited))
    with evener.grpc.insecure_channel(f"static:///{three[0].address}", discovery=discovery) as channel:
        stub: Any = pb_grpc.DemoStub(channel)

        def is_taken() -> bool:
            try:
                return bool(stub.Unary(pb.Request(text="x" * 200), timeout=20))
            except grpc.RpcError as error:
                assert "larger than max" in str(error)
                return False

        eventually(lambda: not is_taken())
        consul.put("/v1/kv/config/user", "{}")
        eventually(is_taken)
        # The application's own stays behind the source's.
        channel.set_service_config(json.dumps(limited))
        assert is_taken()


@kinds
def test_a_fallback_until_the_registry_answers(etcd: Etcd, three: list[Server], kind: str) -> None:
    records = Records(etcd)
    records.put(three[0])
    etcd.kill()
    discovery = evener.Discovery(debounce=0, initial_timeout=0.2, fallback_target=f"static:///{three[2].address}")
    with calls(kind, records.target, discovery=discovery) as traffic:
        eventually(lambda: traffic.is_only("s2"))
        assert resolution(traffic)["uses_fallback"]
        etcd.start()
        eventually(lambda: traffic.is_only("s0"), 30)
        assert not resolution(traffic)["uses_fallback"]


def test_first_calls_wait_for_the_registry_no_longer_than_they_may(etcd: Etcd, three: list[Server]) -> None:
    records = Records(etcd)
    records.put(three[0])
    etcd.kill()
    with evener.grpc.insecure_channel(records.target, discovery=evener.Discovery(initial_timeout=0.2)) as channel:
        stub: Any = pb_grpc.DemoStub(channel)
        patient = stub.Unary.future(pb.Request(), timeout=50, wait_for_ready=True)
        with pytest.raises(grpc.RpcError) as caught:
            stub.Unary(pb.Request(), timeout=30)
        error: Any = caught.value
        assert error.code() is grpc.StatusCode.UNAVAILABLE
        assert "name resolution failed" in error.details()
        with pytest.raises(evener.grpc.NotReady, match="name resolution failed"):
            channel.wait_until_ready(timeout=0.5)
        etcd.start()
        assert patient.result(timeout=40).server == "s0"


def test_the_same_with_asyncio(etcd: Etcd, three: list[Server]) -> None:
    records = Records(etcd)
    records.put(three[0])
    etcd.kill()

    async def main() -> None:
        discovery = evener.Discovery(initial_timeout=0.2)
        async with evener.grpc.aio.insecure_channel(records.target, discovery=discovery) as channel:
            stub: Any = pb_grpc.DemoStub(channel)
            patient = asyncio.ensure_future(_answer(stub.Unary(pb.Request(), timeout=50, wait_for_ready=True)))
            with pytest.raises(grpc.aio.AioRpcError, match="name resolution failed"):
                await stub.Unary(pb.Request(), timeout=30)
            with pytest.raises(evener.grpc.NotReady, match="name resolution failed"):
                await channel.wait_until_ready(timeout=0.5)
            await asyncio.to_thread(etcd.start)
            assert await patient == "s0"

    asyncio.run(main())


async def _answer(call: Any) -> str:
    return str((await call).server)


_START_AGAIN = """
import pathlib, sys, time
import evener, evener.grpc
sys.path.insert(0, sys.argv[1])
import demo_pb2 as pb, demo_pb2_grpc as pb_grpc
with evener.grpc.insecure_channel(sys.argv[2], discovery=evener.Discovery(snapshot_dir=sys.argv[3])) as channel:
    print(pb_grpc.DemoStub(channel).Unary(pb.Request(), timeout=20).server)
    # What is known is written beside the calls.
    deadline = time.monotonic() + 20
    while not any(pathlib.Path(sys.argv[3]).glob("*.json")) and time.monotonic() < deadline:
        time.sleep(0.01)
"""


def test_a_start_while_the_registry_is_down(etcd: Etcd, three: list[Server], tmp_path: Path) -> None:
    records = Records(etcd)
    records.put(three[0])
    program = [sys.executable, "-c", _START_AGAIN, str(_STUBS), records.target, str(tmp_path)]
    # The second program knows nothing but what the first has left behind.
    for _ in range(2):
        done = subprocess.run(program, capture_output=True, text=True, timeout=50)
        assert done.stdout == "s0\n", done.stderr
        assert any(tmp_path.glob("*.json"))
        etcd.kill()
    with evener.watch(records.target, discovery=evener.Discovery(snapshot_dir=tmp_path, snapshot_max_age=0.001)) as watch:
        eventually(lambda: "is not used" in (watch.status()["snapshot_error"] or ""))
        assert watch.latest() is None
    with evener.watch(records.target, discovery=evener.Discovery(snapshot_dir=tmp_path, snapshot_max_age=None)) as watch:
        snapshot = watch.wait(timeout=10)
        assert snapshot is not None and len(snapshot.endpoints) == 1


def test_a_channel_and_a_watch_see_the_same(etcd: Etcd, three: list[Server]) -> None:
    records = Records(etcd)
    for server in three:
        records.put(server)
    with calls("sync", records.target, discovery=AT_ONCE) as traffic, evener.watch(records.target, discovery=AT_ONCE) as watch:
        eventually(lambda: traffic.is_only("s0", "s1", "s2"))
        snapshot = watch.wait(timeout=10)
        assert snapshot is not None and snapshot.revision == resolution(traffic)["revision"]


def test_channels_of_many_threads_share_one_watch(etcd: Etcd, three: list[Server]) -> None:
    records = Records(etcd)
    records.put(three[0])
    channels: list[evener.grpc.Channel] = []
    answers: list[str] = []

    def use() -> None:
        channel = evener.grpc.insecure_channel(records.target, discovery=AT_ONCE)
        channels.append(channel)
        answers.append(pb_grpc.DemoStub(channel).Unary(pb.Request(), timeout=20).server)

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == ["s0"] * 8
    # What is told by a watch: all that there are have begun.
    records.put(three[1])
    eventually(lambda: all(len(json.loads(channel.describe())["endpoints"]) == 2 for channel in channels))
    assert etcd.watch_streams() == 1
    with evener.watch(f"{records.target}-too", discovery=AT_ONCE):
        eventually(lambda: etcd.watch_streams() == 2)
    for channel in channels:
        channel.close()


def test_the_clients_own_place_counts(three: list[Server]) -> None:
    target = f"static:///{three[0].address};zone=a;region=eu,{three[1].address};zone=b;region=eu,{three[2].address};zone=c;region=us"
    config = '{"loadBalancingConfig": [{"locality_weighted": {}}]}'
    for place, nearest in [({"zone": "b"}, {"s1"}), ({"zone": "z", "region": "us"}, {"s2"}), ({"zone": "z", "region": "eu"}, {"s0", "s1"})]:
        with calls("sync", target, discovery=evener.Discovery(**place), service_config=config) as traffic:
            eventually(lambda: traffic.since() == nearest)


@pytest.mark.parametrize(
    ("field", "options"),
    [
        ("dns_refresh", {"dns_refresh": -1.0}),
        ("dns_refresh", {"dns_refresh": float("nan")}),
        ("drain_timeout", {"drain_timeout": -1.0}),
    ],
)
def test_what_cannot_be_is_refused_by_name(field: str, options: dict[str, Any]) -> None:
    for make in (evener.grpc.insecure_channel, evener.grpc.aio.insecure_channel):
        with pytest.raises(evener.ConfigError, match=field):
            make("static:///127.0.0.1:1", **options)


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("initial_timeout", -1),
        ("removal_epoch", float("inf")),
        ("max_drop_percent", 0),
        ("dns_servers", ["nobody"]),
        ("probe", "smell"),
    ],
)
def test_a_wrong_field_is_refused_by_name(field: str, wrong: Any) -> None:
    with pytest.raises(evener.ConfigError, match=field):
        evener.Discovery(**{field: wrong})


@pytest.mark.parametrize("option", ["fallback_target", "service_config_source"])
def test_targets_among_the_options_are_looked_at(option: str) -> None:
    for make in (evener.grpc.insecure_channel, evener.grpc.aio.insecure_channel):
        with pytest.raises(evener.ConfigError, match="nonsense"):
            make("static:///127.0.0.1:1", discovery=evener.Discovery(**{option: "nonsense:///x"}))


@kinds
def test_probes_find_a_server_that_accepts_nothing(etcd: Etcd, three: list[Server], dead_address: str, kind: str) -> None:
    records = Records(etcd)
    records.put(three[0])
    etcd.put(f"/services/user-service/{dead_address}", json.dumps({"ip": "127.0.0.1", "port": int(dead_address.rpartition(":")[2])}))
    probe = evener.Probe("tcp", interval=0.1, timeout=1.0, rise=1, fall=1)
    discovery = evener.Discovery(debounce=0, probe=probe)
    with calls(kind, records.target, discovery=discovery) as traffic:
        eventually(lambda: traffic.is_only("s0"))

        def conditions() -> set[str]:
            return {each["condition"] for each in json.loads(traffic.describe())["endpoints"]}

        eventually(lambda: conditions() == {"ready", "unhealthy"})
