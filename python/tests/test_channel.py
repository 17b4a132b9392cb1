"""The synchronous channel: connectivity, closing, endpoints that change, configuration, options."""

from __future__ import annotations

import collections
import gc
import json
import logging
import queue
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import evener
import evener.grpc
import grpc
import pytest
from conftest import TESTDATA, Server, eventually, target_of

import demo_pb2 as pb
import demo_pb2_grpc as pb_grpc

READY = grpc.ChannelConnectivity.READY


def described(channel: evener.grpc.Channel) -> dict[str, Any]:
    state: dict[str, Any] = json.loads(channel.describe())
    return state


def servers_of(stub: Any, calls: int) -> collections.Counter[str]:
    return collections.Counter(stub.Unary(pb.Request(), timeout=10).server for _ in range(calls))


def test_it_is_a_grpc_channel(three: list[Server]) -> None:
    with evener.grpc.insecure_channel(target_of(three)) as channel:
        assert isinstance(channel, grpc.Channel)


def test_states_are_told_in_order(three: list[Server]) -> None:
    states: queue.Queue[grpc.ChannelConnectivity] = queue.Queue()
    with evener.grpc.insecure_channel(target_of(three)) as channel:
        channel.subscribe(states.put)
        assert states.get(timeout=5) is grpc.ChannelConnectivity.IDLE
        channel.subscribe(lambda _: None, try_to_connect=True)
        seen = [states.get(timeout=10)]
        while seen[-1] is not READY:
            seen.append(states.get(timeout=10))
        assert seen in ([grpc.ChannelConnectivity.CONNECTING, READY], [READY])
        channel.unsubscribe(states.put)


def test_a_callback_that_raises_or_blocks_harms_nobody(three: list[Server], caplog: pytest.LogCaptureFixture) -> None:
    release = threading.Event()

    def blocks(_: object) -> None:
        release.wait(10)
        raise OSError("callback")

    with evener.grpc.insecure_channel(target_of(three)) as channel:
        channel.subscribe(blocks, try_to_connect=True)
        assert pb_grpc.DemoStub(channel).Unary(pb.Request(), timeout=10).server
        release.set()
        eventually(lambda: "connectivity callback raised" in caplog.text)


def test_channel_ready_future(three: list[Server], dead_address: str) -> None:
    with evener.grpc.insecure_channel(target_of(three)) as channel:
        grpc.channel_ready_future(channel).result(timeout=5)
    with evener.grpc.insecure_channel(f"static:///{dead_address}") as channel:
        future = grpc.channel_ready_future(channel)
        with pytest.raises(grpc.FutureTimeoutError):
            future.result(timeout=0.2)
        future.cancel()


def test_closing(three: list[Server]) -> None:
    channel = evener.grpc.insecure_channel(target_of(three))
    stub = pb_grpc.DemoStub(channel)
    stream = stub.Down(pb.Request(count=100_000, delay_ms=1))
    next(stream)
    future = stub.Unary.future(pb.Request(delay_ms=5000))
    channel.close()
    channel.close()
    with pytest.raises(grpc.RpcError):
        collections.deque(stream, maxlen=0)
    assert stream.code() is grpc.StatusCode.CANCELLED
    assert future.code() is grpc.StatusCode.CANCELLED
    for call in (stub.Unary, stub.Unary.future, stub.Down):
        with pytest.raises(ValueError, match="closed"):
            call(pb.Request())


def test_a_dropped_channel_is_closed_and_its_calls_go_on(three: list[Server]) -> None:
    def threads() -> int:
        gc.collect()
        return sum(thread.name.startswith("Thread") for thread in threading.enumerate())

    before = threads()
    channel: Any = evener.grpc.insecure_channel(target_of(three))
    stub: Any = pb_grpc.DemoStub(channel)
    stream = stub.Down(pb.Request(count=20, delay_ms=10))
    next(stream)
    del channel, stub
    assert sum(1 for _ in stream) == 19
    del stream
    eventually(lambda: threads() <= before)


def test_endpoints_are_replaced_while_calls_run(three: list[Server]) -> None:
    stop = threading.Event()
    errors: list[BaseException] = []
    with evener.grpc.insecure_channel(target_of(three[:2])) as channel:
        stub = pb_grpc.DemoStub(channel)

        def call() -> None:
            try:
                while not stop.is_set():
                    stub.Unary(pb.Request(), timeout=10)
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=call) for _ in range(3)]
        for thread in threads:
            thread.start()
        for turn in range(30):
            channel.update_endpoints([server.address for server in (three[turn % 3], three[(turn + 1) % 3])])
            seen = len(three[(turn + 1) % 3].metadata)
            eventually(lambda turn=turn, seen=seen: len(three[(turn + 1) % 3].metadata) > seen)
        stop.set()
        for thread in threads:
            thread.join()
        assert not errors
        eventually(lambda: len(described(channel)["endpoints"]) == 2)


def test_weights_and_endpoint_objects(three: list[Server]) -> None:
    config = {"loadBalancingConfig": [{"weighted_round_robin": {}}]}
    weighted = [
        f"{three[0].address};weight=3",
        evener.grpc.Endpoint(three[1].address, weight=2, zone="b"),
        evener.grpc.Endpoint(three[2].address),
    ]
    with evener.grpc.insecure_channel("static:///ignored", endpoints=weighted, service_config=config) as channel:
        stub = pb_grpc.DemoStub(channel)
        eventually(lambda: set(servers_of(stub, 6)) == {"s0", "s1", "s2"})
        assert servers_of(stub, 60) == {"s0": 30, "s1": 20, "s2": 10}
        channel.update_endpoints([evener.grpc.Endpoint(three[0].address, weight=0), three[1].address])
        eventually(lambda: servers_of(stub, 4) == {"s1": 4})


def test_a_drained_endpoint_waits_for_its_calls(three: list[Server]) -> None:
    with evener.grpc.insecure_channel(target_of(three[:1])) as channel:
        stub = pb_grpc.DemoStub(channel)
        stream = stub.Down(pb.Request(count=50, delay_ms=10))
        next(stream)
        channel.update_endpoints([three[1].address])
        eventually(lambda: servers_of(stub, 4) == {"s1": 4})
        assert sum(1 for _ in stream) == 49
        eventually(lambda: len(described(channel)["endpoints"]) == 1)


def test_calls_that_outlast_the_drain_timeout_are_cancelled(three: list[Server]) -> None:
    with evener.grpc.insecure_channel(target_of(three[:1]), drain_timeout=0.2) as channel:
        stream = pb_grpc.DemoStub(channel).Down(pb.Request(count=1_000_000, delay_ms=5))
        next(stream)
        channel.update_endpoints([three[1].address])
        with pytest.raises(grpc.RpcError):
            collections.deque(stream, maxlen=0)
        assert stream.code() is grpc.StatusCode.CANCELLED
        eventually(lambda: len(described(channel)["endpoints"]) == 1)


def test_growth(three: list[Server], dead_address: str) -> None:
    port = int(dead_address.rpartition(":")[2])
    many = [f"127.{high}.{low}.1:{port};weight=0" for high in range(1, 4) for low in range(40)]
    with evener.grpc.insecure_channel(target_of(three)) as channel:
        stub = pb_grpc.DemoStub(channel)
        stream = stub.Down(pb.Request(count=100, delay_ms=5))
        next(stream)
        channel.update_endpoints([*many, *(server.address for server in three)])
        assert sum(1 for _ in stream) == 99
        eventually(lambda: set(servers_of(stub, 30)) == {"s0", "s1", "s2"})
        assert len(described(channel)["endpoints"]) == 123


def test_pick_first_keeps_to_one(three: list[Server]) -> None:
    config = '{"loadBalancingConfig": [{"pick_first": {}}]}'
    with evener.grpc.insecure_channel(target_of(three), service_config=config) as channel:
        assert servers_of(pb_grpc.DemoStub(channel), 10) == {"s0": 10}
        assert described(channel)["policy"] == "pick_first"


def test_policy_from_options(three: list[Server]) -> None:
    with evener.grpc.insecure_channel(target_of(three), [("grpc.lb_policy_name", "pick_first")]) as channel:
        assert described(channel)["policy"] == "pick_first"
    config = '{"loadBalancingConfig": [{"pick_random": {}}]}'
    with evener.grpc.insecure_channel(target_of(three), [("grpc.service_config", config)]) as channel:
        assert described(channel)["policy"] == "pick_random"


def test_method_config_is_obeyed(three: list[Server]) -> None:
    config = {
        "methodConfig": [
            {"name": [{"service": "evener.demo.Demo", "method": "Unary"}], "timeout": "0.1s", "maxRequestMessageBytes": 100},
            {"name": [{"service": "evener.demo.Demo"}], "maxResponseMessageBytes": 50},
        ]
    }
    with evener.grpc.insecure_channel(target_of(three), service_config=config) as channel:
        stub = pb_grpc.DemoStub(channel)
        stub.Up(iter([pb.Request()]), timeout=10)
        assert _code(lambda: stub.Unary(pb.Request(delay_ms=2000))) is grpc.StatusCode.DEADLINE_EXCEEDED
        assert stub.Unary.future(pb.Request(delay_ms=2000)).code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert _code(lambda: stub.Unary(pb.Request(text="x" * 200), timeout=5)) is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert _code(lambda: list(stub.Down(pb.Request(text="x" * 80, count=1)))) is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert stub.Unary(pb.Request(text="x" * 80)).text
        channel.set_service_config('{"loadBalancingConfig": [{"round_robin": {}}]}')
        eventually(lambda: _is_answered(stub, pb.Request(text="x" * 200)))
        assert stub.Unary(pb.Request(text="x" * 200, delay_ms=200), timeout=10).text
        assert len(list(stub.Down(pb.Request(text="x" * 80, count=1)))) == 1


def _is_answered(stub: Any, request: Any) -> bool:
    try:
        return bool(stub.Unary(request, timeout=10))
    except grpc.RpcError:
        return False


def _code(call: Callable[[], object]) -> grpc.StatusCode:
    with pytest.raises(grpc.RpcError) as caught:
        call()
    error: Any = caught.value
    code: grpc.StatusCode = error.code()
    return code


def test_a_bad_config_is_refused_and_the_old_one_stays(three: list[Server]) -> None:
    with pytest.raises(evener.ConfigError, match="timeout"):
        evener.grpc.insecure_channel(target_of(three), service_config='{"methodConfig": [{"name": [{}], "timeout": "soon"}]}')
    with evener.grpc.insecure_channel(target_of(three), service_config='{"loadBalancingPolicy": "pick_first"}') as channel:
        with pytest.raises(evener.ConfigError):
            channel.set_service_config('{"loadBalancingConfig": 7}')
        assert described(channel)["policy"] == "pick_first"
        assert servers_of(pb_grpc.DemoStub(channel), 3) == {"s0": 3}


def test_what_is_not_obeyed_is_warned_about(three: list[Server], caplog: pytest.LogCaptureFixture) -> None:
    config = '{"loadBalancingConfig": [{"round_robin": {}}], "retryThrottling": {"maxTokens": 10, "tokenRatio": 0.1}}'
    with evener.grpc.insecure_channel(target_of(three)) as channel:
        assert any("retryThrottling" in warning for warning in channel.set_service_config(config))
        eventually(lambda: "retryThrottling" in caplog.text)


@pytest.mark.parametrize("target", ["static:///:80", "xds:///user-service", "static:///127.0.0.1:99999", "ipv4:", ""])
def test_a_bad_target_is_refused(target: str) -> None:
    with pytest.raises(evener.ConfigError):
        evener.grpc.insecure_channel(target)


def test_bad_endpoints_change_nothing(three: list[Server]) -> None:
    with evener.grpc.insecure_channel(target_of(three[:1])) as channel:
        with pytest.raises(evener.ConfigError):
            channel.update_endpoints(["nonsense"])
        assert servers_of(pb_grpc.DemoStub(channel), 2) == {"s0": 2}


def test_named_lists(three: list[Server], tmp_path: Path) -> None:
    lists = {"user-service": [server.address for server in three[:2]]}
    with evener.grpc.insecure_channel("static:///user-service", lists=lists) as channel:
        stub = pb_grpc.DemoStub(channel)
        eventually(lambda: set(servers_of(stub, 4)) == {"s0", "s1"})
    file = tmp_path / "lists.json"
    file.write_text(json.dumps(lists))
    with evener.grpc.insecure_channel("static:///user-service", lists_file=str(file)) as channel:
        stub = pb_grpc.DemoStub(channel)
        assert set(servers_of(stub, 4)) <= {"s0", "s1"}
        file.write_text(json.dumps({"user-service": [three[2].address]}))
        eventually(lambda: servers_of(stub, 4) == {"s2": 4}, 20)


@pytest.mark.parametrize("form", ["ipv4:{0},{1}", "{0}", "dns:///localhost:{port}", "localhost:{port}"])
def test_targets(three: list[Server], form: str) -> None:
    target = form.format(three[0].address, three[1].address, port=three[0].port)
    with evener.grpc.insecure_channel(target) as channel:
        assert servers_of(pb_grpc.DemoStub(channel), 3)["s0"] >= 1


def test_an_endpoint_of_several_addresses(three: list[Server], dead_address: str) -> None:
    endpoint = evener.grpc.Endpoint(f"{dead_address}|{three[0].address}")
    with evener.grpc.insecure_channel("static:///ignored", endpoints=[endpoint]) as channel:
        stub = pb_grpc.DemoStub(channel)
        assert servers_of(stub, 3) == {"s0": 3}
        port = three[0].port
        three[0].stop()
        eventually(lambda: described(channel)["endpoints"][0]["state"] != "READY")
        replacement = Server("again", port)
        try:
            assert stub.Unary(pb.Request(), timeout=20, wait_for_ready=True).server == "again"
        finally:
            replacement.stop()


def test_options_reach_inner_channels(three: list[Server], caplog: pytest.LogCaptureFixture) -> None:
    options = [("grpc.max_receive_message_length", 50), ("grpc.primary_user_agent", "tester"), ("grpc.grpclb_call_timeout_ms", 1)]
    with evener.grpc.insecure_channel(target_of(three[:1]), options) as channel:
        stub = pb_grpc.DemoStub(channel)
        assert _code(lambda: stub.Unary(pb.Request(text="x" * 200), timeout=5)) is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert str(three[0].metadata[-1]["user-agent"]).startswith("tester")
    assert "grpc.grpclb_call_timeout_ms" in caplog.text


def test_tls_under_the_services_name(start_server: Callable[..., Server]) -> None:
    tls = TESTDATA / "tls"
    certificate, key = (tls / "server.pem").read_bytes(), (tls / "server.key").read_bytes()
    server = start_server("tls", credentials=grpc.ssl_server_credentials([(key, certificate)]))
    credentials = grpc.ssl_channel_credentials((tls / "server.pem").read_bytes())
    lists = {"svc.example.com": [server.address]}
    with evener.grpc.secure_channel("static:///svc.example.com", credentials, lists=lists) as channel:
        assert pb_grpc.DemoStub(channel).Unary(pb.Request(), timeout=10).server == "tls"
    options = [("grpc.default_authority", "svc.example.com")]
    with evener.grpc.secure_channel(f"static:///{server.address}", credentials, options) as channel:
        token = grpc.access_token_call_credentials("secret")
        assert pb_grpc.DemoStub(channel).Unary(pb.Request(), timeout=10, credentials=token).server == "tls"
        assert server.metadata[-1]["authorization"] == "Bearer secret"
    with evener.grpc.secure_channel(f"static:///{server.address}", credentials) as channel:
        assert _code(lambda: pb_grpc.DemoStub(channel).Unary(pb.Request(), timeout=10)) is grpc.StatusCode.UNAVAILABLE


def test_logs_go_to_logging(three: list[Server], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "evener")
    with evener.grpc.insecure_channel(target_of(three)) as channel:
        pb_grpc.DemoStub(channel).Unary(pb.Request(), timeout=10)
        eventually(lambda: any(record.name == "evener" for record in caplog.records))


def test_the_application_has_a_cached_answer_when_nobody_is_there(dead_address: str) -> None:
    """Block until connected, for so long at most; else the reason, and a fallback."""
    with evener.grpc.insecure_channel(f"static:///{dead_address}") as channel:
        started = time.monotonic()
        with pytest.raises(grpc.FutureTimeoutError):
            grpc.channel_ready_future(channel).result(timeout=0.3)
        assert time.monotonic() - started < 3
        assert "refused" in described(channel)["endpoints"][0]["last_error"]
