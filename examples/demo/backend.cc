// A gRPC server of a given speed: one of the demo's backends.
//
//     backend NAME DELAY_MS [ADDRESS]
//
// Prints `listening PORT` once it serves, and ends when its standard input does: whoever started it is gone then, or
// wants it to go.

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "demo.grpc.pb.h"

namespace {

constexpr std::chrono::seconds kGrace{3};

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

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::cerr << "usage: backend NAME DELAY_MS [ADDRESS]\n";
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
  WaitForEndOfInput();
  server->Shutdown(std::chrono::system_clock::now() + kGrace);
  server->Wait();
  return EXIT_SUCCESS;
}
