"""A server that registers itself in Consul, stays registered, and leaves without losing a call:

    server.py REGISTRY [ADDRESS]        server.py consul://127.0.0.1:8500 127.0.0.1:50051

Consul asks the server itself whether it serves, and forgets it when it has not answered for a minute. It ends at SIGTERM or Ctrl-C: clients
are told first, and calls that are on their way are still answered.
"""

from __future__ import annotations

import signal
import sys
import threading
from concurrent import futures

import demo_pb2
import demo_pb2_grpc
import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

import evener

SERVICE = "user-service"
# As long as clients take to hear of it, and to end the calls that they have begun.
DRAIN_SECONDS = 1.0


class Demo(demo_pb2_grpc.DemoServicer):
    def __init__(self, name: str) -> None:
        self._name = name

    def Unary(self, request: demo_pb2.Request, context: grpc.ServicerContext) -> demo_pb2.Reply:
        return demo_pb2.Reply(text=request.text, server=self._name, received=1)


def main() -> None:
    registry = sys.argv[1]
    address = sys.argv[2] if len(sys.argv) > 2 else "127.0.0.1:0"
    told_to_end = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: told_to_end.set())

    server = grpc.server(futures.ThreadPoolExecutor(max_workers=16))
    port = server.add_insecure_port(address)
    host = address.rpartition(":")[0]
    demo_pb2_grpc.add_DemoServicer_to_server(Demo(f"{SERVICE} at {host}:{port}"), server)
    state = health.HealthServicer()
    state.set(SERVICE, health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(state, server)
    server.start()

    check = {"grpc": f"{host}:{port}/{SERVICE}", "interval": "1s", "timeout": "1s", "deregister_critical_service_after": "1m"}
    with evener.register(registry, name=SERVICE, host=host, port=port, checks=[check], drain=DRAIN_SECONDS) as registration:
        if not registration.wait(timeout=10):
            print(f"not registered yet, and tried again for ever: {registration.status()['last_error']}", file=sys.stderr)
        print(f"registered {host}:{port}", flush=True)
        told_to_end.wait()
        state.enter_graceful_shutdown()  # who watches the health hears of it without Consul
    # It was marked as leaving, its clients have gone, and it is no longer in the registry.
    server.stop(grace=3).wait()
    print("left", flush=True)


if __name__ == "__main__":
    main()
