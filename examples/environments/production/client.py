"""A client in production: etcd, TLS, health checks, retries, keepalive; and a start without etcd.

    client.py TARGET CA [CALLS]        client.py etcd://127.0.0.1:2379/user-service ca.pem 100
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from pathlib import Path

import demo_pb2
import demo_pb2_grpc
import evener
import evener.grpc
import grpc

PATIENCE_SECONDS = 5.0
SERVICE_CONFIG = Path(__file__).with_name("service_config.json")

OPTIONS = [
    # Servers end connections that are asked after more often than every five minutes, unless they are told otherwise.
    ("grpc.keepalive_time_ms", 300_000),
    ("grpc.keepalive_timeout_ms", 20_000),
]


def greet(stub: demo_pb2_grpc.DemoStub) -> str:
    try:
        return stub.Unary(demo_pb2.Request(text="hello"), wait_for_ready=True).server
    except grpc.RpcError as error:
        return f"failed: {error.details()}"


def main() -> None:
    target, ca = sys.argv[1], sys.argv[2]
    calls = int(sys.argv[3]) if len(sys.argv) > 3 else 100
    channel = evener.grpc.secure_channel(
        target,
        grpc.ssl_channel_credentials(Path(ca).read_bytes()),
        options=OPTIONS,
        service_config=SERVICE_CONFIG.read_text(),
        discovery=evener.Discovery(
            initial_timeout=PATIENCE_SECONDS,
            snapshot_dir=os.environ.get("SNAPSHOT_DIR"),  # the servers known last, for a start while etcd is down
        ),
    )
    with channel:
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
