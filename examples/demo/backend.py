"""A gRPC server of a given speed: one of the demo's backends.

    backend.py NAME DELAY_MS [ADDRESS]

Prints `listening PORT` once it serves, and ends when its standard input does: whoever started it is gone then, or wants
it to go.
"""

from __future__ import annotations

import sys
import time
from concurrent import futures

import demo_pb2
import demo_pb2_grpc
import grpc

GRACE_SECONDS = 3.0


class Demo(demo_pb2_grpc.DemoServicer):
    """Answers with its own name, after the time it takes to."""

    def __init__(self, name: str, delay: float) -> None:
        self._name = name
        self._delay = delay

    def Unary(self, request: demo_pb2.Request, context: grpc.ServicerContext) -> demo_pb2.Reply:
        time.sleep(self._delay)
        return demo_pb2.Reply(text=request.text, server=self._name, received=1)


def main() -> None:
    name, delay_ms = sys.argv[1], float(sys.argv[2])
    address = sys.argv[3] if len(sys.argv) > 3 else "127.0.0.1:0"
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=16))
    demo_pb2_grpc.add_DemoServicer_to_server(Demo(name, delay_ms / 1000), server)
    bound = server.add_insecure_port(address)
    server.start()
    print(f"listening {bound}", flush=True)
    sys.stdin.read()
    server.stop(GRACE_SECONDS).wait()


if __name__ == "__main__":
    main()
