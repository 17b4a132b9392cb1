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
import evener.grpc.aio
import grpc
import pytest
from conftest import TESTDATA, Server, eventually, target_of
from evener import _native
from evener.grpc import _driver
from evener.grpc._options import ChannelSettings
from evener.grpc._watchers import Watchers

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
        # Inner channels are made anew one after the other: as many answers in a row as there are servers come from all of them.
        eventually(lambda: all(_is_answered(stub, pb.Request(text="x" * 200)) for _ in three))
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


@pytest.mark.parametrize("given", [{"endpoints": "h:80"}, {"endpoints": b"h:80"}, {"lists": {"a": "h:80"}}])
@pytest.mark.parametrize("kind", [evener.grpc, evener.grpc.aio])
def test_a_text_is_no_list_of_endpoints(kind: Any, given: Any) -> None:
    with pytest.raises(TypeError, match="a list of endpoints is wanted, not a text"):
        kind.insecure_channel("static:///a", **given)
    with pytest.raises(TypeError, match="a list of endpoints is wanted, not a text"):
        kind.secure_channel("static:///a", grpc.ssl_channel_credentials(), **given)


@pytest.mark.parametrize(
    ("given", "error", "why"),
    [
        ({"endpoints": [None]}, TypeError, "an endpoint is a text or an evener.Endpoint, not NoneType"),
        ({"endpoints": [5]}, TypeError, "an endpoint is a text or an evener.Endpoint, not int"),
        ({"endpoints": 5}, TypeError, "a list of endpoints is wanted, not int"),
        ({"endpoints": [("h:80", 1.5, None)]}, TypeError, "endpoint: weight: a whole number is wanted, not float"),
        ({"endpoints": [("h:80", None, None)]}, TypeError, "endpoint: weight: a whole number is wanted, not NoneType"),
        ({"endpoints": [evener.Endpoint("h:80", weight=-1)]}, evener.ConfigError, "weight: a whole number from 0 to 4294967295 is wanted, not -1"),
        ({"endpoints": [("h:80", 1, 1)]}, TypeError, "endpoint: zone: a text or None is wanted, not int"),
        ({"lists": 5}, TypeError, "lists: a dict of lists of endpoints is wanted, not int"),
        ({"drain_timeout": "5"}, TypeError, "drain_timeout: a number is wanted, not str"),
        ({"dns_refresh": -1}, evener.ConfigError, "dns_refresh: -1.0: seconds are wanted, 0 or more"),
        ({"discovery": 5}, TypeError, "discovery: an evener.Discovery is wanted, not int"),
    ],
)
@pytest.mark.parametrize("kind", [evener.grpc, evener.grpc.aio])
def test_what_is_no_endpoint_or_option_is_told_in_a_line(kind: Any, given: Any, error: type[Exception], why: str) -> None:
    with pytest.raises(error, match=why) as raised:
        kind.insecure_channel("static:///a", **given)
    assert "\n" not in str(raised.value)


def test_endpoints_are_not_replaced_by_a_text(three: list[Server]) -> None:
    with evener.grpc.insecure_channel(target_of(three[:1])) as channel:
        text: Any = three[1].address
        with pytest.raises(TypeError, match="a list of endpoints is wanted, not a text"):
            channel.update_endpoints(text)
        assert servers_of(pb_grpc.DemoStub(channel), 2) == {"s0": 2}
        channel.update_endpoints(each.address for each in three[1:2])
        eventually(lambda: servers_of(pb_grpc.DemoStub(channel), 2) == {"s1": 2})


def test_a_config_may_be_the_object_itself(three: list[Server]) -> None:
    with evener.grpc.insecure_channel(target_of(three)) as channel:
        assert channel.set_service_config({"loadBalancingConfig": [{"pick_first": {}}]}) == []
        assert described(channel)["policy"] == "pick_first"
        with pytest.raises(evener.ConfigError):
            channel.set_service_config({"loadBalancingConfig": 7})
        assert described(channel)["policy"] == "pick_first"


def test_named_lists(three: list[Server], tmp_path: Path) -> None:
    lists = {"user-service": [server.address for server in three[:2]]}
    with evener.grpc.insecure_channel("static:///user-service", lists=lists) as channel:
        stub = pb_grpc.DemoStub(channel)
        eventually(lambda: set(servers_of(stub, 4)) == {"s0", "s1"})
    file = tmp_path / "lists.json"
    file.write_text(json.dumps(lists))
    with evener.grpc.insecure_channel("static:///user-service", lists_file=file) as channel:
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


def test_an_endpoint_that_returns_before_its_last_call_has_ended_is_dialled_anew(three: list[Server]) -> None:
    with evener.grpc.insecure_channel(target_of(three[:1]), drain_timeout=0.2) as channel:
        stub = pb_grpc.DemoStub(channel)
        stream = stub.Down(pb.Request(count=1_000_000, delay_ms=5))
        next(stream)
        channel.update_endpoints([three[1].address])
        # Its calls are being cancelled: no connection is kept for it, and its slot is.
        eventually(lambda: all(each._target.endswith(three[1].address) for each in channel._transport._endpoints.values()))
        channel.update_endpoints([three[0].address])
        eventually(lambda: servers_of(stub, 1) == {"s0": 1})


class Broken(logging.Filter):
    """A filter of the application's that raises."""

    def __init__(self, error: type[BaseException]) -> None:
        super().__init__()
        self.error = error
        self.seen = 0

    def filter(self, record: logging.LogRecord) -> bool:
        self.seen += 1
        raise self.error("made for the test")


@pytest.mark.parametrize("error", [ValueError, SystemExit])
def test_a_log_filter_that_raises_stops_nothing(three: list[Server], error: type[BaseException]) -> None:
    log = logging.getLogger("evener")
    broken = Broken(error)
    level = log.level
    log.setLevel(logging.DEBUG)
    log.addFilter(broken)
    try:
        with evener.grpc.insecure_channel(target_of(three)) as channel:
            stub = pb_grpc.DemoStub(channel)
            assert servers_of(stub, 1)
            channel.update_endpoints([three[2].address])
            eventually(lambda: servers_of(stub, 3) == {"s2": 3})
    finally:
        log.removeFilter(broken)
        log.setLevel(level)
    assert broken.seen


def test_a_batch_is_carried_out_to_its_end() -> None:
    class Noting:
        def __init__(self) -> None:
            self.seen: list[int] = []

        def act(self, kind: int, endpoint: int, state: int, text: str) -> None:
            self.seen.append(endpoint)
            if text:
                raise {"error": ValueError, "interrupt": KeyboardInterrupt}[text]

        def close(self) -> None:
            self.seen.append(-1)
            raise ValueError("made for the test")

    process = _driver.Process()
    actors = [Noting(), Noting()]
    for token, actor in enumerate(actors):
        process.registry.add(token, actor)
    process.registry.dispatch([(0, _native.CLOSE, 1, 0, "error", 0), (0, _native.CLOSE, 2, 0, "", 0)])
    with pytest.raises(KeyboardInterrupt):
        process.registry.dispatch([(0, _native.CLOSE, 3, 0, "interrupt", 0), (0, _native.CLOSE, 4, 0, "", 0)])
    process.stop()
    assert actors[0].seen == [1, 2, 3, 4, -1]
    assert actors[1].seen == [-1], "what one cannot do does not leave the next open"


def test_a_subscriber_is_told_of_a_change_that_comes_meanwhile(three: list[Server]) -> None:
    with evener.grpc.insecure_channel(target_of(three)) as channel:
        transport, changed = channel._transport, channel._watchers.changed

        class Slow:
            """A double of the engine, in which the channel becomes READY while its state is being read."""

            def state(self, _: bool = False) -> int:
                teller = threading.Thread(target=changed, args=(READY,))
                teller.start()
                teller.join(0.2)
                return 0

        seen: queue.Queue[grpc.ChannelConnectivity] = queue.Queue()
        engine, transport.native = transport.native, Slow()  # type: ignore[assignment]
        try:
            channel.subscribe(seen.put)
        finally:
            transport.native = engine
        while seen.get(timeout=10) is not READY:
            pass


def test_a_thread_that_cannot_be_started_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    watchers = Watchers()
    seen: queue.Queue[grpc.ChannelConnectivity] = queue.Queue()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", none_left)
        with pytest.raises(RuntimeError):
            watchers.add(seen.put, lambda: grpc.ChannelConnectivity.IDLE)
    watchers.changed(READY)
    assert seen.get(timeout=10) is READY


def test_an_endpoint_given_by_name_is_one_endpoint(start_server: Callable[..., Server]) -> None:
    """gRPC does not spread calls over the addresses behind a name; and pick_first, which does not, rests when a connection is lost."""
    made: list[tuple[str, str]] = []

    def make(target: str, options: list[tuple[str, Any]]) -> grpc.Channel:
        made.append((target, dict(options)["grpc.service_config"]))
        return grpc.insecure_channel(target, options)

    server = start_server()
    settings = ChannelSettings([("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 100)], None)
    with evener.grpc.Channel(f"static:///localhost:{server.port}", settings, make) as channel:
        stub = pb_grpc.DemoStub(channel)
        assert servers_of(stub, 2) == {"s0": 2}
        server.stop()
        eventually(lambda: described(channel)["state"] != "READY")
        start_server("again", server.port)
        # Without a call that would have it connect.
        eventually(lambda: described(channel)["state"] == "READY", 20)
        assert servers_of(stub, 1) == {"again": 1}
    assert made == [(f"dns:///localhost:{server.port}", json.dumps({"loadBalancingConfig": [{"pick_first": {}}]}))]


def test_options_about_names_reach_endpoints_given_by_name(caplog: pytest.LogCaptureFixture) -> None:
    option = ("grpc.dns_min_time_between_resolutions_ms", 100)
    settings = ChannelSettings([option], None)
    assert "host name" in caplog.text
    assert option in settings.inner_options("svc", "dns:///svc:80", None)
    assert option not in settings.inner_options("svc", "ipv4:10.0.0.1:80", None)
