"""The service in production: TLS, health checks, and its own record in etcd for as long as it serves.

    server.py ADDRESS NAME REGISTRY CERTIFICATE KEY
    server.py 127.0.0.1:50051 "server 1" etcd://127.0.0.1:2379 server.pem server.key

It ends at SIGTERM or Ctrl-C without losing a call: marked as leaving, a while for clients to hear of it, taken out of the registry, and only
then stopped.
"""

from __future__ import annotations

import signal
import sys
import threading
from concurrent import futures
from pathlib import Path

import demo_pb2
import demo_pb2_grpc
import evener
import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

NAME_IN_REGISTRY = "user-service"
SERVICE = "evener.demo.Demo"
DRAIN_SECONDS = 1.0


class Demo(demo_pb2_grpc.DemoServicer):
    def __init__(self, name: str) -> None:
        self._name = name

    def Unary(self, request: demo_pb2.Request, context: grpc.ServicerContext) -> demo_pb2.Reply:
        return demo_pb2.Reply(text=request.text, server=self._name, received=1)


def main() -> None:
    address, name, registry, certificate, key = sys.argv[1:6]
    told_to_end = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: told_to_end.set())

    server = grpc.server(futures.ThreadPoolExecutor(max_workers=16))
    demo_pb2_grpc.add_DemoServicer_to_server(Demo(name), server)
    state = health.HealthServicer()
    state.set(SERVICE, health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(state, server)
    credentials = grpc.ssl_server_credentials([(Path(key).read_bytes(), Path(certificate).read_bytes())])
    port = server.add_secure_port(address, credentials)
    server.start()

    host = address.rpartition(":")[0]
    # What a crash leaves in the registry goes after the time to live; a restart takes it over.
    with evener.register(registry, name=NAME_IN_REGISTRY, host=host, port=port, ttl=30.0, drain=DRAIN_SECONDS) as registration:
        registration.wait()
        print(f"registered {host}:{port}", flush=True)
        told_to_end.wait()
    state.enter_graceful_shutdown()
    server.stop(grace=3).wait()


if __name__ == "__main__":
    main()
