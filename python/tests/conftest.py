"""What the tests share: generated stubs, real servers on the loopback, and waiting for a condition instead of sleeping."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

# Servers that are stopped on purpose are not worth a line each. grpcio reads it when it is imported.
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_tools import protoc
from registries import Bind, Consul, Etcd, started

TESTDATA = Path(__file__).resolve().parents[2] / "testdata"


def pytest_configure(config: pytest.Config) -> None:
    """Generates the stubs with the tools of the installed grpcio: stubs and library go together."""
    generated = Path(config.rootpath) / ".pytest_cache" / "stubs"
    generated.mkdir(parents=True, exist_ok=True)
    proto = TESTDATA / "proto"
    arguments = ["protoc", f"-I{proto}", f"--python_out={generated}", f"--grpc_python_out={generated}", str(proto / "demo.proto")]
    if protoc.main(arguments) != 0:
        raise pytest.UsageError("the stubs could not be generated")
    sys.path.insert(0, str(generated))


def eventually(condition: Callable[[], object], seconds: float = 10.0) -> None:
    """Waits until the condition holds; fails the test if it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come about"
        time.sleep(0.005)


class Server:
    """A real gRPC server that answers with its name and obeys what a request asks for."""

    def __init__(
        self, name: str, port: int = 0, credentials: grpc.ServerCredentials | None = None, *, has_health: bool = False
    ) -> None:
        import demo_pb2
        import demo_pb2_grpc

        server = self

        class Demo(demo_pb2_grpc.DemoServicer):  # type: ignore[misc]
            def Unary(self, request, context):  # type: ignore[no-untyped-def]
                server.saw(context)
                time.sleep(request.delay_ms / 1000)
                if request.code:
                    context.abort(_code(request.code), f"asked for: {request.text}")
                return demo_pb2.Reply(text=request.text, server=server.name, received=1)

            def Down(self, request, context):  # type: ignore[no-untyped-def]
                server.saw(context)
                for _ in range(request.count):
                    if not context.is_active():
                        return
                    time.sleep(request.delay_ms / 1000)
                    yield demo_pb2.Reply(text=request.text, server=server.name)
                if request.code:
                    context.abort(_code(request.code), "asked for")

            def Up(self, requests, context):  # type: ignore[no-untyped-def]
                server.saw(context)
                texts = [request.text for request in requests]
                return demo_pb2.Reply(text=",".join(texts), server=server.name, received=len(texts))

            def Bidi(self, requests, context):  # type: ignore[no-untyped-def]
                server.saw(context)
                for received, request in enumerate(requests, 1):
                    yield demo_pb2.Reply(text=request.text, server=server.name, received=received)

        self.name = name
        self.metadata: list[dict[str, object]] = []
        self._grpc = grpc.server(futures.ThreadPoolExecutor(16), options=[("grpc.so_reuseport", 0)])
        demo_pb2_grpc.add_DemoServicer_to_server(Demo(), self._grpc)
        self.health = health.HealthServicer()
        if has_health:
            health_pb2_grpc.add_HealthServicer_to_server(self.health, self._grpc)
        address = f"127.0.0.1:{port}"
        self.port = (
            self._grpc.add_insecure_port(address) if credentials is None else self._grpc.add_secure_port(address, credentials)
        )
        self._grpc.start()

    def saw(self, context: grpc.ServicerContext) -> None:
        context.set_trailing_metadata((("x-server", self.name),))
        self.metadata.append(dict(context.invocation_metadata()))

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def serves(self, service: str, is_serving: bool = True) -> None:
        """What it says of a service's health from now on."""
        status = health_pb2.HealthCheckResponse.SERVING if is_serving else health_pb2.HealthCheckResponse.NOT_SERVING
        self.health.set(service, status)

    def stop(self) -> None:
        self._grpc.stop(None).wait()


def _code(number: int) -> grpc.StatusCode:
    return next(code for code in grpc.StatusCode if code.value[0] == number)


@pytest.fixture
def start_server() -> Iterator[Callable[..., Server]]:
    """Starts servers, and stops them after the test."""
    servers: list[Server] = []

    def start(
        name: str = "s0", port: int = 0, credentials: grpc.ServerCredentials | None = None, *, has_health: bool = False
    ) -> Server:
        servers.append(Server(name, port, credentials, has_health=has_health))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def three(start_server: Callable[..., Server]) -> list[Server]:
    """Three servers: s0, s1, s2."""
    return [start_server(f"s{number}") for number in range(3)]


@pytest.fixture
def start_registry() -> Iterator[Callable[[Callable[[], Any]], Any]]:
    """Starts registries with options: `start_registry(lambda: Consul(persistent=True))`; they end after the test."""
    running: list[Any] = []

    def start(make: Callable[[], Any]) -> Any:
        running.append(started(make))
        return running[-1]

    yield start
    for registry in running:
        registry.close()


@pytest.fixture
def etcd(start_registry: Callable[[Callable[[], Any]], Any]) -> Etcd:
    """A real etcd of one member, for this test alone."""
    server: Etcd = start_registry(Etcd)
    return server


@pytest.fixture
def consul(start_registry: Callable[[Callable[[], Any]], Any]) -> Consul:
    """A real Consul server, for this test alone. Restarted it knows nothing any more."""
    server: Consul = start_registry(Consul)
    return server


@pytest.fixture
def bind(start_registry: Callable[[Callable[[], Any]], Any]) -> Bind:
    """A real BIND that knows svc.example.test as 127.0.0.1 and 127.0.0.2."""
    server: Bind = start_registry(lambda: Bind(["svc 1 A 127.0.0.1", "svc 1 A 127.0.0.2"]))
    return server


@pytest.fixture
def dead_address() -> str:
    """An address where nobody listens."""
    import socket

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{listener.getsockname()[1]}"


def target_of(servers: list[Server]) -> str:
    """The static target of these servers."""
    return "static:///" + ",".join(server.address for server in servers)
