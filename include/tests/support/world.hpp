// Channels under test and what one asks of them.
#ifndef EVENER_TESTS_WORLD_HPP
#define EVENER_TESTS_WORLD_HPP

#include <evener/grpc.hpp>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "check.hpp"
#include "kinds.hpp"
#include "server.hpp"

namespace evener_tests {

using evener::grpc::ChannelOptions;
using evener::grpc::Endpoint;
using OwnChannel = std::shared_ptr<evener::grpc::Channel>;

inline std::chrono::system_clock::time_point In(std::chrono::milliseconds time) {
  return std::chrono::system_clock::now() + time;
}

inline std::unique_ptr<::grpc::ClientContext> NewContext(std::chrono::milliseconds deadline = kPatience) {
  auto context = std::make_unique<::grpc::ClientContext>();
  if (deadline.count() > 0) context->set_deadline(In(deadline));
  context->AddMetadata("x-key", "k1");
  return context;
}

// Quick to try again, so that tests of servers that come back are quick.
inline ::grpc::ChannelArguments QuickReconnect() {
  ::grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 300);
  return arguments;
}

inline OwnChannel ChannelTo(const std::vector<Endpoint>& endpoints, ChannelOptions options = {},
                            const ::grpc::ChannelArguments& arguments = QuickReconnect()) {
  options.endpoints = endpoints;
  return evener::grpc::CreateChannel("static:///under.test", ::grpc::InsecureChannelCredentials(), arguments,
                       std::move(options));
}

inline Request ThreeReplies() {
  Request request;
  request.set_count(3);
  return request;
}

// One blocking unary call. The server's name, or "" when it failed.
inline std::string Call(const ChannelPtr& channel, ::grpc::Status* status = nullptr, Request request = {}) {
  const auto context = NewContext();
  Reply reply;
  const auto ended = Demo::NewStub(channel)->Unary(context.get(), request, &reply);
  if (status != nullptr) *status = ended;
  return ended.ok() ? reply.server() : "";
}

// The sum of a number that Describe() has for each endpoint: {"in_flight":N}.
inline int64_t Sum(const OwnChannel& channel, const std::string& field) {
  const std::string text = channel->Describe(), key = "\"" + field + "\":";
  int64_t sum = 0;
  for (auto at = text.find(key); at != std::string::npos; at = text.find(key, at + 1)) {
    sum += std::atoll(text.c_str() + at + key.size());
  }
  return sum;
}

inline int64_t Finished(const OwnChannel& channel) {
  return Sum(channel, "ok") + Sum(channel, "failed") + Sum(channel, "rejected") + Sum(channel, "other");
}

inline bool IsReady(const OwnChannel& channel, const std::string& address) {
  const std::string text = channel->Describe();
  const auto at = text.find(address);
  if (at == std::string::npos) return false;
  const auto state = text.find("\"state\":", at);
  return state != std::string::npos && text.compare(state + 8, 7, "\"READY\"") == 0;
}

inline void WaitUntilReady(const OwnChannel& channel, const std::vector<std::string>& addresses) {
  channel->GetState(true);
  for (const auto& address : addresses) {
    CHECK(Eventually([&] { return IsReady(channel, address); }));
  }
}

// Until calls reach all of these servers. (An endpoint is said to be READY a little before calls are sent to it.)
inline void WaitUntilServing(const ChannelPtr& channel, const std::set<std::string>& servers) {
  std::set<std::string> seen;
  CHECK(Eventually([&] {
    seen.insert(Call(channel));
    seen.erase("");
    return seen == servers;
  }));
}

// How often each server was reached by `calls` calls, which must all succeed.
inline std::map<std::string, int> Share(const ChannelPtr& channel, int calls) {
  std::map<std::string, int> share;
  for (int i = 0; i < calls; ++i) {
    ::grpc::Status status;
    ++share[Call(channel, &status)];
    CHECK_EQUAL(status.error_message(), "");
  }
  return share;
}

// Runs it once for each kind of call, all at the same time.
template <class Run>
void WithEveryKind(Run run) {
  std::vector<std::thread> threads;
  for (const Kind& kind : Kinds()) {
    threads.emplace_back([&kind, &run, name = Context()] {
      Context() = name + ", " + kind.name;
      run(kind);
    });
  }
  for (auto& thread : threads) thread.join();
}

}  // namespace evener_tests

#endif  // EVENER_TESTS_WORLD_HPP
