"""A client whose servers register themselves in etcd:

    client.py TARGET [CALLS]        client.py etcd://127.0.0.1:2379/user-service 100

Servers come and go while it runs, and etcd may be down for as long as it likes: calls go on to the servers that were known last.
"""

from __future__ import annotations

import os
import sys
from collections import Counter

import demo_pb2
import demo_pb2_grpc
import grpc

import evener
import evener.grpc

PATIENCE_SECONDS = 5.0

SERVICE_CONFIG = {
    "loadBalancingConfig": [{"round_robin": {}}],
    "methodConfig": [{"name": [{"service": "evener.demo.Demo"}], "timeout": "2s", "waitForReady": True}],
}


def discovery() -> evener.Discovery:
    ca = os.environ.get("ETCD_CA_FILE")
    return evener.Discovery(
        initial_timeout=PATIENCE_SECONDS,  # until etcd must have answered
        snapshot_dir=os.environ.get("SNAPSHOT_DIR"),  # for a start without etcd
        credentials=evener.Credentials(ca_file=ca) if ca else None,
    )


def greet(stub: demo_pb2_grpc.DemoStub) -> str:
    try:
        return stub.Unary(demo_pb2.Request(text="hello"), timeout=PATIENCE_SECONDS).server
    except grpc.RpcError as error:
        return f"failed: {error.details()}"


def main() -> None:
    target = sys.argv[1]
    calls = int(sys.argv[2]) if len(sys.argv) > 2 else 100
    with evener.grpc.insecure_channel(target, service_config=SERVICE_CONFIG, discovery=discovery()) as channel:
        channel.wait_until_ready(PATIENCE_SECONDS)
        stub = demo_pb2_grpc.DemoStub(channel)
        share = Counter(greet(stub) for _ in range(calls))
    for server, count in sorted(share.items()):
        print(f"{count}  {server}")


if __name__ == "__main__":
    main()
