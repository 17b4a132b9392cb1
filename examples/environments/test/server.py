"""The service in a test environment: found by DNS, and asked for its health by its clients.

    server.py ADDRESS NAME        server.py 127.0.0.1:50051 "server 1"

While it runs, SIGUSR1 has it say that it does not serve (it is busy, say), and SIGUSR2 that it does.
"""

from __future__ import annotations

import signal
import sys
from concurrent import futures

import demo_pb2
import demo_pb2_grpc
import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

SERVICE = "evener.demo.Demo"
SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2}
STATUS = {
    signal.SIGUSR1: health_pb2.HealthCheckResponse.NOT_SERVING,
    signal.SIGUSR2: health_pb2.HealthCheckResponse.SERVING,
}


class Demo(demo_pb2_grpc.DemoServicer):
    def __init__(self, name: str) -> None:
        self._name = name

    def Unary(self, request: demo_pb2.Request, context: grpc.ServicerContext) -> demo_pb2.Reply:
        return demo_pb2.Reply(text=request.text, server=self._name, received=1)


def main() -> None:
    address, name = sys.argv[1], sys.argv[2]
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # they are waited for below
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=4))
    demo_pb2_grpc.add_DemoServicer_to_server(Demo(name), server)
    state = health.HealthServicer()
    state.set(SERVICE, health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(state, server)
    port = server.add_insecure_port(address)
    server.start()
    print(f"listening {port}", flush=True)
    while (number := signal.sigwait(SIGNALS)) in STATUS:
        state.set(SERVICE, STATUS[number])
        print(health_pb2.HealthCheckResponse.ServingStatus.Name(STATUS[number]), flush=True)
    state.enter_graceful_shutdown()
    server.stop(grace=1).wait()


if __name__ == "__main__":
    main()
