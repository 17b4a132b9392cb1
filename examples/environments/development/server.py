"""The service on a developer's machine: no TLS, no registry, no health checks.

    server.py ADDRESS        server.py localhost:8080
"""

from __future__ import annotations

import signal
import sys
import threading
from concurrent import futures

import demo_pb2
import demo_pb2_grpc
import grpc


class Demo(demo_pb2_grpc.DemoServicer):
    def Unary(self, request: demo_pb2.Request, context: grpc.ServicerContext) -> demo_pb2.Reply:
        return demo_pb2.Reply(text=request.text, server="the development server", received=1)


def main() -> None:
    told_to_end = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: told_to_end.set())
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=4))
    demo_pb2_grpc.add_DemoServicer_to_server(Demo(), server)
    port = server.add_insecure_port(sys.argv[1])
    server.start()
    print(f"listening {port}", flush=True)
    told_to_end.wait()
    server.stop(grace=1).wait()


if __name__ == "__main__":
    main()
