"""A gRPC server of a given speed: one of the demo's backends.

    backend.py NAME DELAY_MS [ADDRESS [REGISTRY]]

Prints `listening PORT` once it serves, and ends when its standard input does: whoever started it is gone then, or wants
it to go. With a registry, such as `etcd://127.0.0.1:2379`, it is in there as an instance of the service `demo`, and it
leaves well: no new calls, then no longer registered, then no more calls, and only then no server.
"""

from __future__ import annotations

import sys
import time
from concurrent import futures

import demo_pb2
import demo_pb2_grpc
import grpc

import evener

GRACE_SECONDS = 3.0
SERVICE = "demo"
# From its last sign of life until the registry forgets it.
TTL_SECONDS = 15.0
# How long clients have to hear that it is leaving, and to end what they began.
DRAIN_SECONDS = 2.0


class Demo(demo_pb2_grpc.DemoServicer):
    """Answers with its own name, after the time it takes to."""

    def __init__(self, name: str, delay: float) -> None:
        self._name = name
        self._delay = delay

    def Unary(self, request: demo_pb2.Request, context: grpc.ServicerContext) -> demo_pb2.Reply:
        time.sleep(self._delay)
        return demo_pb2.Reply(text=request.text, server=self._name, received=1)


def serve_registered(registry: str, name: str, host: str, port: int) -> None:
    """Is in the registry until the end of the input."""
    with evener.register(
        registry, name=SERVICE, id=name, host=host, port=port, ttl=TTL_SECONDS, drain=DRAIN_SECONDS
    ):
        sys.stdin.read()


def main() -> None:
    name, delay_ms = sys.argv[1], float(sys.argv[2])
    address = sys.argv[3] if len(sys.argv) > 3 else "127.0.0.1:0"
    registry = sys.argv[4] if len(sys.argv) > 4 else None
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=16))
    demo_pb2_grpc.add_DemoServicer_to_server(Demo(name, delay_ms / 1000), server)
    bound = server.add_insecure_port(address)
    server.start()
    print(f"listening {bound}", flush=True)
    if registry is None:
        sys.stdin.read()
    else:
        serve_registered(registry, name, address.rpartition(":")[0], bound)
    server.stop(GRACE_SECONDS).wait()


if __name__ == "__main__":
    main()
