// A resolver of one's own: the servers are the lines of a file, which is read again when it changes.
//
//     custom_resolver TARGET [CALLS]        custom_resolver lines:///etc/servers.txt 100
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <evener/grpc.hpp>
#include <fstream>
#include <iostream>
#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "demo.grpc.pb.h"

namespace {

using Servers = std::vector<evener::grpc::Endpoint>;

// A line is an entry as in "static:///...": 10.0.0.1:50051;weight=3
Servers Read(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error("cannot read " + path);
  Servers servers;
  for (std::string line; std::getline(file, line);) {
    if (!line.empty()) servers.emplace_back(line);
  }
  return servers;
}

// One of these is made for each target that is in use.
class Lines final : public evener::grpc::Resolver {
 public:
  ~Lines() override { Stop(); }

  void Start(const std::string& target, evener::grpc::ResolverSink sink) override {
    const std::string path = target.substr(target.find("///") + 2);
    sink.Push(Read(path));  // what Read() throws is the target's error, and Start() is tried again
    watcher_ = std::thread([this, path, sink] { Watch(path, sink); });
  }

  void Stop() override {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      stopped_ = true;
    }
    wake_.notify_one();
    if (watcher_.joinable()) watcher_.join();
  }

 private:
  void Watch(const std::string& path, const evener::grpc::ResolverSink& sink) {
    std::unique_lock<std::mutex> lock(mutex_);
    while (!wake_.wait_for(lock, std::chrono::milliseconds(200), [this] { return stopped_; })) {
      try {
        sink.Push(Read(path));  // a list that has not changed costs nothing
      } catch (const std::exception& error) {
        sink.Fail(error.what());  // the servers stay as they were
      }
    }
  }

  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopped_ = false;
  std::thread watcher_;
};

grpc::Status Greet(evener::demo::Demo::Stub& stub, evener::demo::Reply* reply) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(5));
  evener::demo::Request request;
  request.set_text("hello");
  return stub.Unary(&context, request, reply);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::cerr << "usage: custom_resolver TARGET [CALLS]\n";
    return EXIT_FAILURE;
  }
  const auto registered = evener::grpc::RegisterScheme("lines", [] { return std::make_unique<Lines>(); });
  if (!registered.ok()) {
    std::cerr << registered.error_message() << "\n";
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
  return EXIT_SUCCESS;
}
