// Many gRPC servers in one process: what the tests replace by the dozen.
//
//     fleet
//
// Standard input says what to do, a line at a time, and standard output what has been done:
//
//     start 127.0.0.1:5001 127.0.0.1:5002   ->   started 127.0.0.1:5001, and so on; `failed ...` where it cannot listen
//     stop 127.0.0.1:5001                   ->   stopped 127.0.0.1:5001: no new calls, the present ones end
//     enter etcd:/// NAME TTL 127.0.0.1:5001
//                                           ->   entered 127.0.0.1:5001: it is in the registry, as NAME, for TTL seconds
//                                                at a time
//
// A server that is in a registry leaves it before it stops. The end of the input ends everything. A server answers with
// its own address.

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "demo.grpc.pb.h"
#include "evener/grpc.hpp"

namespace {

constexpr std::chrono::seconds kGrace{3};
// How long clients have to hear that a server is leaving, and the registry to answer.
constexpr std::chrono::seconds kDrain{3};
constexpr std::chrono::seconds kPatience{60};
constexpr std::chrono::milliseconds kDelay{2};

class Demo final : public evener::demo::Demo::Service {
 public:
  explicit Demo(std::string name) : name_(std::move(name)) {}

  grpc::Status Unary(grpc::ServerContext*, const evener::demo::Request* request,
                     evener::demo::Reply* reply) override {
    std::this_thread::sleep_for(kDelay);
    reply->set_text(request->text());
    reply->set_server(name_);
    reply->set_received(1);
    return grpc::Status::OK;
  }

 private:
  const std::string name_;
};

// A line that other threads do not write into.
void Say(const std::string& line) {
  static std::mutex mutex;
  const std::lock_guard<std::mutex> lock(mutex);
  std::cout << line << std::endl;
}

// One server and the service it serves.
class Member {
 public:
  explicit Member(const std::string& address) : service_(address) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort(address, grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(&service_);
    // A dozen threads for each of a hundred servers would be too many.
    builder.SetSyncServerOption(grpc::ServerBuilder::SyncServerOption::NUM_CQS, 1);
    builder.SetSyncServerOption(grpc::ServerBuilder::SyncServerOption::MAX_POLLERS, 1);
    server_ = builder.BuildAndStart();
  }

  bool Listens() const { return server_ != nullptr && port_ != 0; }

  // Empty, or why it is not in the registry.
  std::string Enter(const std::string& registry, const std::string& name, const std::string& host, long ttl_seconds) {
    evener::grpc::Service service;
    service.name = name;
    service.host = host;
    service.port = static_cast<std::uint16_t>(port_);
    service.ttl = std::chrono::seconds(ttl_seconds);
    evener::Result<evener::grpc::Registration> begun = evener::grpc::Register(registry, service);
    if (!begun) {
      return begun.message();
    }
    registration_.emplace(begun.take());
    return registration_->wait(kPatience) ? "" : "not within a minute: " + registration_->last_error();
  }

  // False when the registry could not be asked to forget it.
  bool Stop() {
    const bool has_left = !registration_ || registration_->close(kDrain, kPatience);
    server_->Shutdown(std::chrono::system_clock::now() + kGrace);
    server_->Wait();
    return has_left;
  }

 private:
  Demo service_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
  std::optional<evener::grpc::Registration> registration_;
};

// Everything that runs. Used by the thread that reads the input alone.
class Fleet {
 public:
  void Start(const std::string& address) {
    auto member = std::make_unique<Member>(address);
    if (!member->Listens()) {
      Say("failed " + address);
      return;
    }
    members_[address] = std::move(member);
    Say("started " + address);
  }

  void Enter(const std::string& registry, const std::string& name, long ttl_seconds, const std::string& address) {
    const auto found = members_.find(address);
    if (found == members_.end()) {
      Say("failed " + address);
      return;
    }
    const std::string host = address.substr(0, address.rfind(':'));
    const std::string reason = found->second->Enter(registry, name, host, ttl_seconds);
    Say(reason.empty() ? "entered " + address : "failed " + address + ": " + reason);
  }

  void Stop(const std::string& address) {
    const auto found = members_.find(address);
    if (found == members_.end()) {
      Say("failed " + address);
      return;
    }
    std::shared_ptr<Member> member = std::move(found->second);
    members_.erase(found);
    stopping_.emplace_back([member, address] {
      Say((member->Stop() ? "stopped " : "failed ") + address);
    });
  }

  ~Fleet() {
    for (auto& [address, member] : members_) {
      member->Stop();
    }
    for (std::thread& thread : stopping_) {
      thread.join();
    }
  }

 private:
  std::map<std::string, std::unique_ptr<Member>> members_;
  std::vector<std::thread> stopping_;
};

}  // namespace

int main() {
  Fleet fleet;
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream words(line);
    std::string command;
    words >> command;
    std::string registry, name;
    long ttl_seconds = 0;
    if (command == "enter") {
      words >> registry >> name >> ttl_seconds;
    }
    for (std::string address; words >> address;) {
      if (command == "start") {
        fleet.Start(address);
      } else if (command == "stop") {
        fleet.Stop(address);
      } else if (command == "enter") {
        fleet.Enter(registry, name, ttl_seconds, address);
      }
    }
  }
  return EXIT_SUCCESS;
}
