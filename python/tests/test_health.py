"""Health streams on inner channels (gRFC A17), against real servers with gRPC's own health service."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from typing import Any

import evener.grpc
import evener.grpc.aio
import grpc
import pytest
from conftest import Server, eventually, target_of
from evener.grpc._health import Health, backoff, decode_response, encode_request, judged
from grpc_health.v1 import health_pb2
from traffic import AioCalls, SyncCalls, calls

import demo_pb2 as pb
import demo_pb2_grpc as pb_grpc

_SERVICE = "demo.Demo"
_CONFIG = json.dumps({"loadBalancingConfig": [{"round_robin": {}}], "healthCheckConfig": {"serviceName": _SERVICE}})
_WITHOUT = json.dumps({"loadBalancingConfig": [{"round_robin": {}}]})
kinds = pytest.mark.parametrize("kind", ["sync", "aio"])


@pytest.fixture
def two(start_server: Callable[..., Server]) -> list[Server]:
    """Two servers that say of themselves that they serve."""
    servers = [start_server(f"s{number}", has_health=True) for number in range(2)]
    for server in servers:
        server.serves(_SERVICE)
    return servers


def _endpoint(traffic: SyncCalls | AioCalls, server: Server) -> dict[str, Any]:
    endpoints = json.loads(traffic.describe())["endpoints"]
    return next(dict(each) for each in endpoints if server.address in each["addresses"])


@kinds
def test_one_that_does_not_serve_leaves_picks_and_comes_back(two: list[Server], kind: str) -> None:
    with calls(kind, target_of(two), service_config=_CONFIG) as traffic:
        eventually(lambda: traffic.is_only("s0", "s1"))
        two[0].serves(_SERVICE, False)
        eventually(lambda: traffic.is_only("s1"))
        assert "does not serve" in _endpoint(traffic, two[0])["last_error"]
        two[0].serves(_SERVICE)
        eventually(lambda: traffic.is_only("s0", "s1"))


def test_calls_that_run_there_end_well(two: list[Server]) -> None:
    with evener.grpc.insecure_channel(target_of(two[:1]), service_config=_CONFIG) as channel:
        stub: Any = pb_grpc.DemoStub(channel)
        running = stub.Down(pb.Request(text="x", count=400, delay_ms=1))
        assert next(running).server == "s0"
        two[0].serves(_SERVICE, False)
        eventually(lambda: json.loads(channel.describe())["state"] == "TRANSIENT_FAILURE")
        with pytest.raises(grpc.RpcError, match="does not serve"):
            stub.Unary(pb.Request(), timeout=10)
        waiting = stub.Unary.future(pb.Request(), timeout=20, wait_for_ready=True)
        assert sum(1 for _ in running) == 399
        two[0].serves(_SERVICE)
        assert waiting.result(timeout=20).server == "s0"


def test_calls_that_run_there_end_well_with_asyncio(two: list[Server]) -> None:
    async def main() -> None:
        async with evener.grpc.aio.insecure_channel(target_of(two[:1]), service_config=_CONFIG) as channel:
            stub: Any = pb_grpc.DemoStub(channel)
            running = stub.Down(pb.Request(text="x", count=400, delay_ms=1)).__aiter__()
            assert (await anext(running)).server == "s0"
            two[0].serves(_SERVICE, False)
            # Over and over without a pause: a call that fails at once lets the loop go on.
            while True:
                try:
                    await stub.Unary(pb.Request(), timeout=10)
                except grpc.RpcError as error:
                    assert "does not serve" in str(error)
                    break
            waiting = stub.Unary(pb.Request(), timeout=20, wait_for_ready=True)
            assert [reply.server async for reply in running] == ["s0"] * 399
            two[0].serves(_SERVICE)
            for _ in range(100_000):
                try:
                    assert (await stub.Unary(pb.Request(), timeout=10)).server == "s0"
                    break
                except grpc.RpcError:
                    continue
            assert (await waiting).server == "s0"

    asyncio.run(main())


@kinds
def test_a_server_without_the_service_is_healthy(
    start_server: Callable[..., Server], two: list[Server], kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    plain = start_server("plain")
    with caplog.at_level(logging.WARNING, logger="evener"), calls(kind, target_of([plain, *two]), service_config=_CONFIG) as traffic:
        eventually(lambda: traffic.is_only("plain", "s0", "s1"))
    assert sum("counts as healthy" in record.message for record in caplog.records) == 1


@kinds
def test_an_unknown_service_is_not_serving(start_server: Callable[..., Server], two: list[Server], kind: str) -> None:
    other = start_server("other", has_health=True)
    with calls(kind, target_of([other, *two]), service_config=_CONFIG) as traffic:
        eventually(lambda: traffic.is_only("s0", "s1"))
        assert "other" not in traffic.answers, "it is CONNECTING until its first answer"
        other.serves(_SERVICE)
        eventually(lambda: traffic.is_only("other", "s0", "s1"))


@kinds
def test_the_config_arrives_and_leaves_later(two: list[Server], kind: str) -> None:
    two[0].serves(_SERVICE, False)
    with calls(kind, target_of(two)) as traffic:
        eventually(lambda: traffic.is_only("s0", "s1"))
        traffic.set_service_config(_CONFIG)
        eventually(lambda: traffic.is_only("s1"))
        traffic.set_service_config(_WITHOUT)
        eventually(lambda: traffic.is_only("s0", "s1"))


@kinds
def test_the_stream_is_made_again_after_a_lost_connection(start_server: Callable[..., Server], two: list[Server], kind: str) -> None:
    options = [("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 100)]
    with calls(kind, target_of(two), service_config=_CONFIG, options=options) as traffic:
        eventually(lambda: traffic.is_only("s0", "s1"))
        two[0].serves(_SERVICE, False)
        eventually(lambda: traffic.is_only("s1"))
        two[0].stop()
        again = start_server("again", two[0].port, has_health=True)
        again.serves(_SERVICE)
        eventually(lambda: traffic.is_only("again", "s1"), 20)


def test_asyncio_interceptors_do_not_see_it(two: list[Server]) -> None:
    seen: list[str] = []

    class Streams(grpc.aio.UnaryStreamClientInterceptor):  # type: ignore[misc]
        async def intercept_unary_stream(self, continuation: Any, details: Any, request: Any) -> Any:
            seen.append(details.method if isinstance(details.method, str) else details.method.decode())
            return await continuation(details, request)

    async def main() -> None:
        channel = evener.grpc.aio.insecure_channel(target_of(two), service_config=_CONFIG, interceptors=[Streams()])
        async with channel:
            await channel.wait_until_ready()
            stub: Any = pb_grpc.DemoStub(channel)
            assert [reply.server async for reply in stub.Down(pb.Request(count=1))]

    asyncio.run(main())
    assert seen == ["/evener.demo.Demo/Down"]


@pytest.mark.parametrize("service", ["", "demo.Demo", "x" * 127, "x" * 128, "ü" * 20_000])
def test_messages_are_those_of_the_library(service: str) -> None:
    assert health_pb2.HealthCheckRequest.FromString(encode_request(service)).service == service
    for status in (0, 1, 2, 3, 200, 2**31 - 1):
        assert decode_response(health_pb2.HealthCheckResponse(status=status).SerializeToString()) == status


def test_fields_of_tomorrow_are_stepped_over() -> None:
    more = b"\x12\x02ab" + b"\x19" + b"\0" * 8 + b"\x25" + b"\0" * 4 + b"\x28\x07"
    assert decode_response(more + b"\x08\x01") == 1
    assert judged("x", more).health is Health.NOT_SERVING


@pytest.mark.parametrize("broken", [b"\x08", b"\x12\x05ab", b"\x0b", b"\xff" * 11, b"\x19\0"])
def test_what_is_no_message_is_not_serving(broken: bytes) -> None:
    assert decode_response(broken) is None
    assert judged("x", broken).health is Health.NOT_SERVING


def test_pauses_grow_to_two_minutes() -> None:
    for failures, seconds in [(0, 1.0), (1, 1.6), (5, 1.6**5), (30, 120.0), (10_000, 120.0)]:
        for _ in range(20):
            assert 0.8 * seconds <= backoff(failures) <= 1.2 * seconds
