// Real gRPC servers on loopback ports.
#ifndef EVENER_TESTS_SERVER_HPP
#define EVENER_TESTS_SERVER_HPP

#include <arpa/inet.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>

#include "check.hpp"
#include "demo.grpc.pb.h"

namespace evener_tests {

using evener::demo::Demo;
using evener::demo::Reply;
using evener::demo::Request;

// Answers as the request asks, and remembers what it saw.
class Service final : public Demo::Service {
 public:
  explicit Service(std::string name) : name_(std::move(name)) {}

  std::atomic<int> calls{0};
  std::atomic<int> running{0};
  std::atomic<int> cancelled{0};

  std::set<std::string> peers() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return peers_;
  }
  std::string last(const char* what) const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return std::string(what) == "authority" ? authority_ : user_agent_;
  }

  grpc::Status Unary(grpc::ServerContext* context, const Request* request, Reply* reply) override {
    const Running running_here(*this, context);
    Pause(context, *request);
    Fill(*context, reply, 1);
    if (request->text() == "big") reply->set_text(std::string(100'000, 'x'));
    return End(*request);
  }

  grpc::Status Down(grpc::ServerContext* context, const Request* request,
                    grpc::ServerWriter<Reply>* writer) override {
    const Running running_here(*this, context);
    Reply reply;
    Fill(*context, &reply, 1);
    for (int i = 0; i < request->count(); ++i) {
      Pause(context, *request);
      if (!writer->Write(reply)) break;
    }
    return End(*request);
  }

  grpc::Status Up(grpc::ServerContext* context, grpc::ServerReader<Request>* reader, Reply* reply) override {
    const Running running_here(*this, context);
    Request request;
    int received = 0;
    while (reader->Read(&request)) ++received;
    Fill(*context, reply, received);
    return End(request);
  }

  grpc::Status Bidi(grpc::ServerContext* context, grpc::ServerReaderWriter<Reply, Request>* stream) override {
    const Running running_here(*this, context);
    Request request;
    for (int received = 1; stream->Read(&request); ++received) {
      Reply reply;
      Fill(*context, &reply, received);
      stream->Write(reply);
    }
    return End(request);
  }

 private:
  struct Running {
    Running(Service& owner, grpc::ServerContext* call) : service(owner), context(call) {
      ++service.calls;
      ++service.running;
      context->AddTrailingMetadata("x-server", service.name_);
      const std::lock_guard<std::mutex> lock(service.mutex_);
      service.peers_.insert(context->peer());
      const auto authority = context->ExperimentalGetAuthority();
      service.authority_.assign(authority.data(), authority.size());
      const auto agent = context->client_metadata().find("user-agent");
      if (agent == context->client_metadata().end()) return;
      service.user_agent_.assign(agent->second.data(), agent->second.size());
    }
    ~Running() {
      if (context->IsCancelled()) ++service.cancelled;
      --service.running;
    }
    Service& service;
    grpc::ServerContext* const context;
  };

  static void Pause(grpc::ServerContext* context, const Request& request) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(request.delay_ms());
    while (std::chrono::steady_clock::now() < end && !context->IsCancelled()) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }

  // The reply's text is the metadata "x-key", to see that metadata arrives.
  void Fill(const grpc::ServerContext& context, Reply* reply, int received) const {
    reply->set_server(name_);
    reply->set_received(received);
    const auto key = context.client_metadata().find("x-key");
    if (key == context.client_metadata().end()) return;
    reply->set_text(std::string(key->second.data(), key->second.size()));
  }

  static grpc::Status End(const Request& request) {
    return {static_cast<grpc::StatusCode>(request.code()), request.code() == 0 ? "" : "as asked"};
  }

  const std::string name_;
  mutable std::mutex mutex_;
  std::set<std::string> peers_;
  std::string authority_;
  std::string user_agent_;
};

// Listens from construction; Stop() and Start() take it away and bring it back at the same port.
class TestServer {
 public:
  explicit TestServer(std::string name, std::shared_ptr<grpc::ServerCredentials> credentials = nullptr, int port = 0,
                      std::string host = "127.0.0.1")
      : service(std::move(name)),
        credentials_(credentials ? std::move(credentials) : grpc::InsecureServerCredentials()),
        host_(std::move(host)),
        port_(port) {
    Start();
  }
  ~TestServer() { Stop(); }
  TestServer(const TestServer&) = delete;
  TestServer& operator=(const TestServer&) = delete;

  void Start() {
    CHECK(Eventually([this] {
      grpc::ServerBuilder builder;
      int port = 0;
      builder.AddListeningPort(address(), credentials_, &port);
      builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
      builder.SetMaxReceiveMessageSize(-1);
      builder.RegisterService(&service);
      server_ = builder.BuildAndStart();  // with gRPC's own health service, after EnableDefaultHealthCheckService(true)
      if (server_) port_ = port;
      return server_ != nullptr;
    }));
  }

  // Calls that run are cut off.
  void Stop() {
    if (!server_) return;
    server_->Shutdown(std::chrono::system_clock::now());
    server_->Wait();
    server_.reset();
  }

  std::string address() const { return host_ + ":" + std::to_string(port_); }

  // What it answers to grpc.health.v1.Health about a service, where it has been built with that.
  void SetServing(const std::string& name, bool serving) {
    CHECK(server_->GetHealthCheckService() != nullptr);
    if (server_->GetHealthCheckService() != nullptr) server_->GetHealthCheckService()->SetServingStatus(name, serving);
  }

  Service service;

 private:
  const std::shared_ptr<grpc::ServerCredentials> credentials_;
  const std::string host_;
  int port_;
  std::unique_ptr<grpc::Server> server_;
};

// A port that accepts connections and never speaks: a channel to it stays CONNECTING.
class SilentPort {
 public:
  SilentPort() : socket_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    auto* const any = reinterpret_cast<sockaddr*>(&address);
    CHECK(bind(socket_, any, length) == 0);
    CHECK(listen(socket_, 64) == 0);
    CHECK(getsockname(socket_, any, &length) == 0);
    port_ = ntohs(address.sin_port);
  }
  ~SilentPort() { Close(); }
  SilentPort(const SilentPort&) = delete;
  SilentPort& operator=(const SilentPort&) = delete;

  // From now on connections to it are refused.
  void Close() {
    if (socket_ >= 0) close(socket_);
    socket_ = -1;
  }

  int port() const { return port_; }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

 private:
  int socket_;
  int port_ = 0;
};

// An address that refuses connections.
inline std::string DeadAddress() {
  SilentPort port;
  port.Close();
  return port.address();
}

}  // namespace evener_tests

#endif  // EVENER_TESTS_SERVER_HPP
