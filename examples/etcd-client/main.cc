// A client whose servers register themselves in etcd:
//
//     etcd_client TARGET [CALLS]        etcd_client etcd://127.0.0.1:2379/user-service 100
//
// Servers come and go while it runs, and etcd may be down for as long as it likes: calls go on to the servers that were known last.
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

std::chrono::system_clock::time_point Soon() { return std::chrono::system_clock::now() + kPatience; }

evener::grpc::ChannelOptions Options() {
  evener::grpc::ChannelOptions options;
  options.service_config = R"({
    "loadBalancingConfig": [{"round_robin": {}}],
    "methodConfig": [{"name": [{"service": "evener.demo.Demo"}], "timeout": "2s", "waitForReady": true}]
  })";
  options.initial_timeout = kPatience;  // until etcd must have answered
  if (const char* const directory = std::getenv("SNAPSHOT_DIR")) options.snapshot_dir = directory;  // for a start without etcd
  if (const char* const ca = std::getenv("ETCD_CA_FILE")) options.credentials.emplace().ca_file = ca;
  return options;
}

grpc::Status Greet(evener::demo::Demo::Stub& stub, evener::demo::Reply* reply) {
  grpc::ClientContext context;
  context.set_deadline(Soon());
  evener::demo::Request request;
  request.set_text("hello");
  return stub.Unary(&context, request, reply);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::cerr << "usage: etcd_client TARGET [CALLS]\n";
    return EXIT_FAILURE;
  }
  const auto channel = evener::grpc::CreateChannel(argv[1], grpc::InsecureChannelCredentials(), {}, Options());
  const auto stub = evener::demo::Demo::NewStub(channel);
  if (!channel->WaitForConnected(Soon())) {
    std::cerr << "not connected after " << kPatience.count() << " s: " << channel->Describe() << "\n";
    return EXIT_FAILURE;
  }
  std::map<std::string, int> share;
  const int calls = argc > 2 ? std::atoi(argv[2]) : 100;
  for (int call = 0; call < calls; ++call) {
    evener::demo::Reply reply;
    const grpc::Status status = Greet(*stub, &reply);
    ++share[status.ok() ? reply.server() : "failed: " + status.error_message()];
  }
  for (const auto& [server, count] : share) std::cout << count << "  " << server << "\n";
  return EXIT_SUCCESS;
}
