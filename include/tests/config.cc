// The service config: what the engine obeys and what gRPC obeys for it, at the start and replaced live.
#include "support/world.hpp"

using namespace evener_tests;
using ::grpc::StatusCode;

namespace {

std::string MethodConfig(const std::string& fields) {
  return R"({"methodConfig":[{"name":[{"service":"evener.demo.Demo"}],)" + fields + "}]}";
}

OwnChannel WithConfig(const TestServer& server, const std::string& config) {
  ::grpc::ChannelArguments arguments = QuickReconnect();
  arguments.SetServiceConfigJSON(config);
  return ChannelTo({server.address()}, {}, arguments);
}

StatusCode CodeOf(const OwnChannel& channel, const Request& request) {
  ::grpc::Status status;
  Call(channel, &status, request);
  return status.error_code();
}

Request Slow() {
  Request request;
  request.set_delay_ms(60'000);
  return request;
}

TEST_CASE(the_timeout_bounds_running_calls) {
  TestServer a("A");
  const auto channel = WithConfig(a, MethodConfig(R"("timeout":"0.2s")"));
  WaitUntilReady(channel, {a.address()});
  CHECK_EQUAL(CodeOf(channel, Slow()), StatusCode::DEADLINE_EXCEEDED);
  CHECK_EQUAL(CodeOf(channel, {}), StatusCode::OK);
}

TEST_CASE(the_timeout_bounds_waiting_calls) {
  SilentPort silent;
  ChannelOptions options;
  options.service_config = MethodConfig(R"("timeout":"0.2s")");
  const auto channel = ChannelTo({silent.address()}, std::move(options));
  WithEveryKind([&](const Kind& kind) {
    const auto begun = std::chrono::steady_clock::now();
    const auto context = NewContext(std::chrono::milliseconds(0));
    CHECK_EQUAL(kind.run(channel, context.get(), {}).status.error_code(), StatusCode::DEADLINE_EXCEEDED);
    CHECK(std::chrono::steady_clock::now() - begun >= std::chrono::milliseconds(199));
  });
}

TEST_CASE(the_earlier_of_timeout_and_deadline_counts) {
  SilentPort silent;
  ChannelOptions options;
  options.service_config = MethodConfig(R"("timeout":"100s")");
  const auto channel = ChannelTo({silent.address()}, std::move(options));
  const auto context = NewContext(std::chrono::milliseconds(100));
  Reply reply;
  CHECK_EQUAL(Demo::NewStub(channel)->Unary(context.get(), {}, &reply).error_code(), StatusCode::DEADLINE_EXCEEDED);
}

TEST_CASE(wait_for_ready_of_the_config_is_the_default) {
  TestServer a("A");
  a.Stop();
  const auto channel = WithConfig(a, MethodConfig(R"("waitForReady":true)"));
  channel->GetState(true);
  CHECK(Eventually([&] { return channel->GetState(false) == GRPC_CHANNEL_TRANSIENT_FAILURE; }));
  const auto stub = Demo::NewStub(channel);
  Reply reply;
  const auto hurried = NewContext();
  hurried->set_wait_for_ready(false);  // the application's word wins
  CHECK_EQUAL(stub->Unary(hurried.get(), {}, &reply).error_code(), StatusCode::UNAVAILABLE);
  Latch done;
  ::grpc::Status patient;
  const auto context = NewContext();
  const Request request;
  stub->async()->Unary(context.get(), &request, &reply, [&](const ::grpc::Status& status) {
    patient = status;
    done.Open();
  });
  a.Start();
  done.Wait();
  CHECK_EQUAL(patient.error_message(), "");
}

TEST_CASE(message_limits_hold) {
  TestServer a("A");
  const auto channel = WithConfig(a, MethodConfig(R"("maxRequestMessageBytes":1000,"maxResponseMessageBytes":"1000")"));
  Request large;
  large.set_text(std::string(2000, 'x'));
  CHECK_EQUAL(CodeOf(channel, large), StatusCode::RESOURCE_EXHAUSTED);
  Request asks_for_large;
  asks_for_large.set_text("big");
  CHECK_EQUAL(CodeOf(channel, asks_for_large), StatusCode::RESOURCE_EXHAUSTED);
  CHECK_EQUAL(CodeOf(channel, {}), StatusCode::OK);
}

// Limits, timeout and policy change for the calls that follow; the connections stay, and running calls are left alone.
TEST_CASE(a_new_config_is_obeyed_without_reconnecting) {
  TestServer a("A");
  const auto channel = ChannelTo({a.address()});
  WaitUntilReady(channel, {a.address()});
  const auto context = NewContext();
  const auto stub = Demo::NewStub(channel);
  const auto stream = stub->Bidi(context.get());
  Request request;
  Reply reply;
  CHECK(stream->Write(request) && stream->Read(&reply));

  Request large;
  large.set_text(std::string(2000, 'x'));
  CHECK_EQUAL(CodeOf(channel, large), StatusCode::OK);
  CHECK(channel->SetServiceConfig(MethodConfig(R"("maxRequestMessageBytes":1000)")).ok());
  CHECK(Eventually([&] { return CodeOf(channel, large) == StatusCode::RESOURCE_EXHAUSTED; }));
  CHECK(channel->SetServiceConfig(MethodConfig(R"("timeout":"0.1s")")).ok());
  CHECK(Eventually([&] { return CodeOf(channel, large) == StatusCode::OK; }));
  CHECK_EQUAL(CodeOf(channel, Slow()), StatusCode::DEADLINE_EXCEEDED);

  CHECK(stream->Write(request) && stream->Read(&reply));
  stream->WritesDone();
  CHECK(!stream->Read(&reply));
  CHECK(stream->Finish().ok());
  CHECK_EQUAL(a.service.peers().size(), 1u);
}

TEST_CASE(calls_do_not_fail_while_configs_change) {
  TestServer a("A"), b("B");
  const auto channel = ChannelTo({a.address(), b.address()});
  WaitUntilReady(channel, {a.address(), b.address()});
  std::atomic<bool> stop{false};
  std::atomic<int> made{0}, failed{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      while (!stop) {
        ++made;
        if (CodeOf(channel, {}) != StatusCode::OK) ++failed;
      }
    });
  }
  for (int round = 0; round < 30; ++round) {
    const int before = made;
    const std::string limit = std::to_string(1000 + round);
    CHECK(channel->SetServiceConfig(MethodConfig("\"maxRequestMessageBytes\":" + limit)).ok());
    CHECK(Eventually([&] { return made > before + 5; }));
  }
  stop = true;
  for (auto& thread : threads) thread.join();
  CHECK_EQUAL(failed.load(), 0);
}

TEST_CASE(a_bad_config_is_refused_with_its_path_and_the_former_stays) {
  TestServer a("A");
  const auto channel = WithConfig(a, MethodConfig(R"("maxRequestMessageBytes":1000)"));
  const auto status = channel->SetServiceConfig(R"({"methodConfig":[{"name":[{}],"timeout":"soon"}]})");
  CHECK_EQUAL(status.error_code(), StatusCode::INVALID_ARGUMENT);
  CHECK(status.error_message().find("methodConfig") != std::string::npos);
  CHECK(status.error_message().find("timeout") != std::string::npos);
  Request large;
  large.set_text(std::string(2000, 'x'));
  CHECK_EQUAL(CodeOf(channel, large), StatusCode::RESOURCE_EXHAUSTED);
}

TEST_CASE(a_bad_config_at_the_start_fails_calls_with_the_reason) {
  TestServer a("A");
  const auto channel = WithConfig(a, R"({"loadBalancingConfig":[{"no_such_policy":{}}]})");
  ::grpc::Status status;
  Call(channel, &status);
  CHECK_EQUAL(status.error_code(), StatusCode::UNAVAILABLE);
  CHECK(status.error_message().find("loadBalancingConfig") != std::string::npos);
}

TEST_CASE(what_is_not_obeyed_yet_is_warned_about) {
  std::mutex mutex;
  std::string warnings;
  evener::grpc::SetLogSink([&](evener::grpc::LogLevel level, std::string_view text) {
    const std::lock_guard<std::mutex> lock(mutex);
    if (level == evener::grpc::LogLevel::kWarning) warnings += std::string(text) + "\n";
  });
  TestServer a("A");
  const auto channel = WithConfig(a, R"({"connectionScaling":{"maxConnectionsPerSubchannel":2}})");
  CHECK_EQUAL(Call(channel), "A");
  CHECK(Eventually([&] {
    const std::lock_guard<std::mutex> lock(mutex);
    return warnings.find("connectionScaling") != std::string::npos;
  }));
  evener::grpc::SetLogSink(nullptr);
}

}  // namespace
