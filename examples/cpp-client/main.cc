// Sends calls through an evener channel and tells who answered:
//
//     cpp_client TARGET [CALLS]        cpp_client static:///127.0.0.1:5001,127.0.0.1:5002 100
//
// The channel is the only line that differs from a program without evener.
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <cstdlib>
#include <evener/grpc.hpp>
#include <iostream>
#include <map>
#include <string>

#include "demo.grpc.pb.h"

namespace {

constexpr std::chrono::seconds kPatience{5};

grpc::Status Greet(evener::demo::Demo::Stub& stub, evener::demo::Reply* reply) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kPatience);
  evener::demo::Request request;
  request.set_text("hello");
  return stub.Unary(&context, request, reply);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::cerr << "usage: cpp_client TARGET [CALLS]\n";
    return EXIT_FAILURE;
  }
  const auto channel = evener::grpc::CreateChannel(argv[1], grpc::InsecureChannelCredentials());
  const auto stub = evener::demo::Demo::NewStub(channel);

  std::map<std::string, int> share;
  const int calls = argc > 2 ? std::atoi(argv[2]) : 100;
  for (int call = 0; call < calls; ++call) {
    evener::demo::Reply reply;
    const grpc::Status status = Greet(*stub, &reply);
    ++share[status.ok() ? reply.server() : "failed: " + status.error_message()];
  }
  for (const auto& [server, count] : share) std::cout << count << "  " << server << "\n";
  std::cout << channel->Describe() << "\n";
  return EXIT_SUCCESS;
}
