// A gRPC server of a given speed: one of the demo's backends.
//
//     backend NAME DELAY_MS [ADDRESS [REGISTRY]]
//
// Prints `listening PORT` once it serves, and ends when its standard input does: whoever started it is gone then, or
// wants it to go. With a registry, such as `etcd://127.0.0.1:2379`, it is in there as an instance of the service
// `demo`, and it leaves well: no new calls, then no longer registered, then no more calls, and only then no server.

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "demo.grpc.pb.h"
#include "evener/grpc.hpp"

namespace {

constexpr std::chrono::seconds kGrace{3};
constexpr char kService[] = "demo";
// From its last sign of life until the registry forgets it.
constexpr std::chrono::seconds kTtl{15};
// How long clients have to hear that it is leaving, and to end what they began; and the registry to answer.
constexpr std::chrono::seconds kDrain{2};
constexpr std::chrono::seconds kPatience{5};

// Answers with its own name, after the time it takes to.
class Demo final : public evener::demo::Demo::Service {
 public:
  Demo(std::string name, std::chrono::microseconds delay) : name_(std::move(name)), delay_(delay) {}

  grpc::Status Unary(grpc::ServerContext*, const evener::demo::Request* request,
                     evener::demo::Reply* reply) override {
    std::this_thread::sleep_for(delay_);
    reply->set_text(request->text());
    reply->set_server(name_);
    reply->set_received(1);
    return grpc::Status::OK;
  }

 private:
  const std::string name_;
  const std::chrono::microseconds delay_;
};

void WaitForEndOfInput() {
  std::string line;
  while (std::getline(std::cin, line)) {
  }
}

// Is in the registry until the end of the input. False when what it was told makes no sense.
bool ServeRegistered(const std::string& registry, const std::string& name, const std::string& address, int port) {
  evener::grpc::Service service;
  service.name = kService;
  service.id = name;
  service.host = address.substr(0, address.rfind(':'));
  service.port = static_cast<std::uint16_t>(port);
  service.ttl = kTtl;
  const evener::Result<evener::grpc::Registration> registration = evener::grpc::Register(registry, service);
  if (!registration) {
    std::cerr << registration.message() << "\n";
    return false;
  }
  WaitForEndOfInput();
  if (!registration->close(kDrain, kPatience)) {
    std::cerr << name << " could not leave the registry: " << registration->last_error() << "\n";
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::cerr << "usage: backend NAME DELAY_MS [ADDRESS [REGISTRY]]\n";
    return EXIT_FAILURE;
  }
  const std::string address = argc > 3 ? argv[3] : "127.0.0.1:0";
  Demo service(argv[1], std::chrono::microseconds(static_cast<long>(std::atof(argv[2]) * 1000)));
  int port = 0;
  grpc::ServerBuilder builder;
  builder.AddListeningPort(address, grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&service);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr || port == 0) {
    std::cerr << "cannot listen on " << address << "\n";
    return EXIT_FAILURE;
  }
  std::cout << "listening " << port << std::endl;
  bool is_well = true;
  if (argc > 4) {
    is_well = ServeRegistered(argv[4], argv[1], address, port);
  } else {
    WaitForEndOfInput();
  }
  server->Shutdown(std::chrono::system_clock::now() + kGrace);
  server->Wait();
  return is_well ? EXIT_SUCCESS : EXIT_FAILURE;
}
