// C++: one line is another one, the channel; the stub is the one that protoc generated.

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <iostream>

#include "demo.grpc.pb.h"

// readme: begin
#include <evener/grpc.hpp>

int main() {
  const auto channel = evener::grpc::CreateChannel("static:///10.0.0.1:50051,10.0.0.2:50051",
                                                   grpc::InsecureChannelCredentials());
  const auto stub = evener::demo::Demo::NewStub(channel);
  for (int call = 0; call < 4; ++call) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(5));
    evener::demo::Request request;
    evener::demo::Reply reply;
    const grpc::Status status = stub->Unary(&context, request, &reply);
    // The servers take turns, once both are connected.
    std::cout << (status.ok() ? reply.server() : status.error_message()) << "\n";
  }
}
// readme: end
