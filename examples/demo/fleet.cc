// Many gRPC servers in one process: what the tests replace by the dozen.
//
//     fleet
//
// Standard input says what to do, a line at a time, and standard output what has been done:
//
//     start 127.0.0.1:5001 127.0.0.1:5002   ->   started 127.0.0.1:5001, and so on; `failed ...` where it cannot listen
//     stop 127.0.0.1:5001                   ->   stopped 127.0.0.1:5001: no new calls, the present ones end
//
// The end of the input ends it. A server answers with its own address.

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <map>
#include <memory>
#include <mutex>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "demo.grpc.pb.h"

namespace {

constexpr std::chrono::seconds kGrace{3};
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

  void Stop() {
    server_->Shutdown(std::chrono::system_clock::now() + kGrace);
    server_->Wait();
  }

 private:
  Demo service_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
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

  void Stop(const std::string& address) {
    const auto found = members_.find(address);
    if (found == members_.end()) {
      Say("failed " + address);
      return;
    }
    std::shared_ptr<Member> member = std::move(found->second);
    members_.erase(found);
    stopping_.emplace_back([member, address] {
      member->Stop();
      Say("stopped " + address);
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
    for (std::string address; words >> address;) {
      if (command == "start") {
        fleet.Start(address);
      } else if (command == "stop") {
        fleet.Stop(address);
      }
    }
  }
  return EXIT_SUCCESS;
}
