"""gRPC channels whose calls are spread by evener's core: `grpc.Channel` here, `grpc.aio.Channel` in `evener.grpc.aio`.

One line of an application changes:

>>> import evener.grpc
>>> with evener.grpc.insecure_channel(f"static:///{server}") as channel:
...     stub = demo_pb2_grpc.DemoStub(channel)
...     [reply.server for reply in stub.Down(demo_pb2.Request(count=2))]
['s0', 's0']
"""

from evener._endpoint import Endpoint
from evener.grpc._channel import Channel, insecure_channel, secure_channel
from evener.grpc._not_ready import NotReady

__all__ = ["Channel", "Endpoint", "NotReady", "insecure_channel", "secure_channel"]
