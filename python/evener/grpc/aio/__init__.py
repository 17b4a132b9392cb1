"""asyncio channels whose calls are spread by evener's core: `grpc.aio.Channel` with a load balancer.

>>> import asyncio, evener.grpc.aio
>>> async def main():
...     async with evener.grpc.aio.insecure_channel(f"static:///{server}") as channel:
...         return (await demo_pb2_grpc.DemoStub(channel).Unary(demo_pb2.Request(text="hello"))).server
>>> asyncio.run(main())
's0'
"""

from evener.grpc._not_ready import NotReady
from evener.grpc.aio._channel import Channel, insecure_channel, secure_channel

__all__ = ["Channel", "NotReady", "insecure_channel", "secure_channel"]
