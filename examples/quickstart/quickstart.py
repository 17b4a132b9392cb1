"""Python: one line is another one, the channel; the stub is the one that protoc generated."""

import demo_pb2
import demo_pb2_grpc

# readme: begin
import evener.grpc

with evener.grpc.insecure_channel("static:///10.0.0.1:50051,10.0.0.2:50051") as channel:
    stub = demo_pb2_grpc.DemoStub(channel)
    for _ in range(4):
        reply = stub.Unary(demo_pb2.Request(text="hello"), timeout=5)
        print(reply.server)  # the servers take turns, once both are connected
# readme: end
