"""Some gRPC servers in one Python process that register themselves: `fleet.cc` in Python, which speaks the same lines.

    fleet.py

Standard input says what to do, a line at a time, and standard output what has been done:

    start 127.0.0.1:5001                           ->   started 127.0.0.1:5001; `failed ...` where it cannot listen
    stop 127.0.0.1:5001                            ->   stopped 127.0.0.1:5001: no new calls, the present ones end
    enter etcd:/// NAME TTL 127.0.0.1:5001 ->   entered 127.0.0.1:5001: it is in the registry, as NAME, for TTL seconds at a time

A server that is in a registry leaves it before it stops. The end of the input ends everything. A server answers with its own address.
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
DELAY_SECONDS = 0.002
# How long clients have to hear that a server is leaving, and the registry to answer.
DRAIN_SECONDS = 3.0
PATIENCE_SECONDS = 60.0


class Demo(demo_pb2_grpc.DemoServicer):
    """Answers with its own address."""

    def __init__(self, address: str) -> None:
        self._address = address

    def Unary(self, request: demo_pb2.Request, context: grpc.ServicerContext) -> demo_pb2.Reply:
        time.sleep(DELAY_SECONDS)
        return demo_pb2.Reply(text=request.text, server=self._address, received=1)


class Member:
    """One server, and its place in a registry."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._registration: evener.Registration | None = None
        self._server = grpc.server(futures.ThreadPoolExecutor(max_workers=8))
        demo_pb2_grpc.add_DemoServicer_to_server(Demo(address), self._server)
        self._server.add_insecure_port(address)
        self._server.start()

    def enter(self, registry: str, name: str, ttl: float) -> bool:
        host, _, port = self._address.rpartition(":")
        self._registration = evener.register(registry, name=name, host=host, port=int(port), ttl=ttl)
        return self._registration.wait(PATIENCE_SECONDS)

    def stop(self) -> bool:
        """False when the registry could not be asked to forget it."""
        registration = self._registration
        has_left = registration is None or registration.close(drain=DRAIN_SECONDS, deadline=PATIENCE_SECONDS)
        self._server.stop(GRACE_SECONDS).wait()
        return has_left


def obey(members: dict[str, Member], line: str) -> str:
    """Does what a line says; what was done."""
    command, *rest, address = line.split()
    if command == "start":
        members[address] = Member(address)
        return f"started {address}"
    if command == "enter":
        registry, name, ttl = rest
        return f"{'entered' if members[address].enter(registry, name, float(ttl)) else 'failed'} {address}"
    return f"{'stopped' if members.pop(address).stop() else 'failed'} {address}"


def main() -> None:
    members: dict[str, Member] = {}
    for line in sys.stdin:
        print(obey(members, line), flush=True)
    for member in members.values():
        member.stop()


if __name__ == "__main__":
    main()
