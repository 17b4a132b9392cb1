"""A client on a developer's machine: one server, no TLS, and nothing is done before it is there.

    client.py TARGET [CALLS]        client.py localhost:8080
"""

from __future__ import annotations

import sys
from collections import Counter

import demo_pb2
import demo_pb2_grpc
import evener.grpc

PATIENCE_SECONDS = 5.0
# What is shown while the service cannot be reached; a cache, in a real program.
FALLBACK = "nobody's, from before"


def main() -> None:
    target = sys.argv[1]
    calls = int(sys.argv[2]) if len(sys.argv) > 2 else 10
    with evener.grpc.insecure_channel(target) as channel:
        try:
            channel.wait_until_ready(PATIENCE_SECONDS)
        except evener.grpc.NotReady as reason:
            print(f"not connected: {reason}", file=sys.stderr)
            print(f"{calls}  {FALLBACK}")
            return
        stub = demo_pb2_grpc.DemoStub(channel)
        share = Counter(stub.Unary(demo_pb2.Request(text="hello"), timeout=PATIENCE_SECONDS).server for _ in range(calls))
    for server, count in sorted(share.items()):
        print(f"{count}  {server}")


if __name__ == "__main__":
    main()
