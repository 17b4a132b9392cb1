"""A client in a test environment: DNS, round_robin over whoever says that it serves.

    client.py TARGET [CALLS]        client.py dns://127.0.0.1:5353/user-service.example.test:50051 100
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import demo_pb2
import demo_pb2_grpc
import evener.grpc
import grpc

PATIENCE_SECONDS = 5.0
SERVICE_CONFIG = Path(__file__).with_name("service_config.json")


def greet(stub: demo_pb2_grpc.DemoStub) -> str:
    try:
        return stub.Unary(demo_pb2.Request(text="hello"), wait_for_ready=True).server
    except grpc.RpcError as error:
        return f"failed: {error.details()}"


def main() -> None:
    target = sys.argv[1]
    calls = int(sys.argv[2]) if len(sys.argv) > 2 else 100
    with evener.grpc.insecure_channel(target, service_config=SERVICE_CONFIG.read_text()) as channel:
        try:
            channel.wait_until_ready(PATIENCE_SECONDS)
        except evener.grpc.NotReady as reason:
            sys.exit(f"not connected: {reason}")
        stub = demo_pb2_grpc.DemoStub(channel)
        share = Counter(greet(stub) for _ in range(calls))
    for server, count in sorted(share.items()):
        print(f"{count}  {server}")


if __name__ == "__main__":
    main()
