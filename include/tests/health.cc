// gRFC A17: with healthCheckConfig each server is asked for its health over its own connection, against gRPC's own health service.
#include "support/world.hpp"

using namespace evener_tests;

namespace {

constexpr char kService[] = "user.UserService";
const std::string kChecked = R"({"loadBalancingConfig":[{"round_robin":{}}],"healthCheckConfig":{"serviceName":"user.UserService"}})";

// Two servers with gRPC's health service, both serving.
struct Pair {
  Pair() : made((::grpc::EnableDefaultHealthCheckService(true), true)), a("A"), b("B") {
    for (TestServer* server : {&a, &b}) server->SetServing(kService, true);
  }
  // Of several addresses each, if asked for: one where nobody listens, and the server's.
  OwnChannel Channel(const std::string& config, bool several = false) const {
    ChannelOptions options;
    options.service_config = config;
    const std::string before = several ? DeadAddress() + "|" : "";
    return ChannelTo({Endpoint(before + a.address()), Endpoint(before + b.address())}, std::move(options));
  }
  const bool made;  // before the servers are
  TestServer a, b;
};

// Calls all the time, until it goes. None may fail.
class Traffic {
 public:
  explicit Traffic(const OwnChannel& channel) {
    for (int i = 0; i < 3; ++i) {
      threads_.emplace_back([this, channel] {
        while (!stop_) {
          ::grpc::Status status;
          Call(channel, &status);
          if (!status.ok()) Fail(__FILE__, __LINE__, "a call failed: " + status.error_message());
          ++made_;
        }
      });
    }
  }
  ~Traffic() {
    CHECK(Eventually([this] { return made_ > 20; }));
    stop_ = true;
    for (auto& thread : threads_) thread.join();
  }
  Traffic(const Traffic&) = delete;
  Traffic& operator=(const Traffic&) = delete;

 private:
  std::atomic<bool> stop_{false};
  std::atomic<int> made_{0};
  std::vector<std::thread> threads_;
};

void WaitUntilOnly(const OwnChannel& channel, const char* server) {
  CHECK(Eventually([&] { return Share(channel, 10)[server] == 10; }));
  CHECK_EQUAL(Share(channel, 30)[server], 30);
}

// A server that stops serving leaves while its connection stays, and is back when it serves again; meanwhile nothing fails.
void FlipHealth(bool several) {
  Pair servers;
  const auto channel = servers.Channel(kChecked, several);
  WaitUntilServing(channel, {"A", "B"});
  const Traffic traffic(channel);
  for (int round = 0; round < 3; ++round) {
    servers.a.SetServing(kService, false);
    WaitUntilOnly(channel, "B");
    CHECK(!IsReady(channel, servers.a.address()));
    servers.a.SetServing(kService, true);
    WaitUntilServing(channel, {"A", "B"});
  }
  CHECK_EQUAL(servers.a.service.peers().size(), 1u);
}

TEST_CASE(a_server_that_does_not_serve_gets_no_calls_until_it_does) { FlipHealth(false); }

TEST_CASE(a_server_of_several_addresses_is_watched_as_well) { FlipHealth(true); }

// The whole server's health is that of the empty name.
TEST_CASE(the_empty_name_is_the_server) {
  Pair servers;
  const auto channel = servers.Channel(R"({"healthCheckConfig":{"serviceName":""}})");
  WaitUntilServing(channel, {"A", "B"});
  servers.b.SetServing("", false);
  WaitUntilOnly(channel, "A");
}

// UNIMPLEMENTED: no health service, so nothing speaks against the server.
void ServeWithoutHealthService(bool several) {
  TestServer a("A");
  ChannelOptions options;
  options.service_config = kChecked;
  const std::string before = several ? DeadAddress() + "|" : "";
  const auto channel = ChannelTo({Endpoint(before + a.address())}, std::move(options));
  CHECK_EQUAL(Call(channel), "A");
  CHECK_EQUAL(Share(channel, 20)["A"], 20);
  CHECK(IsReady(channel, a.address()));
}

TEST_CASE(a_server_without_health_service_is_healthy) { ServeWithoutHealthService(false); }

TEST_CASE(a_server_of_several_addresses_without_health_service_is_healthy) { ServeWithoutHealthService(true); }

// Calls fail with a reason where no server serves, and those that wait for one go on when one does.
void FailUntilOneServes(bool several) {
  Pair servers;
  for (TestServer* server : {&servers.a, &servers.b}) server->SetServing(kService, false);
  const auto channel = servers.Channel(kChecked, several);
  channel->GetState(true);
  CHECK(Eventually([&] { return channel->GetState(false) == GRPC_CHANNEL_TRANSIENT_FAILURE; }));
  ::grpc::Status status;
  Call(channel, &status);
  CHECK_EQUAL(status.error_code(), ::grpc::StatusCode::UNAVAILABLE);
  CHECK(!status.error_message().empty());
  CHECK_EQUAL(servers.a.service.calls + servers.b.service.calls, 0);

  Latch done;
  ::grpc::Status waited;
  const auto context = NewContext();
  context->set_wait_for_ready(true);
  const Request request;
  Reply reply;
  const auto stub = Demo::NewStub(channel);
  stub->async()->Unary(context.get(), &request, &reply, [&](const ::grpc::Status& ended) {
    waited = ended;
    done.Open();
  });
  servers.b.SetServing(kService, true);
  done.Wait();
  CHECK_EQUAL(waited.error_message(), "");
  CHECK_EQUAL(reply.server(), "B");
}

TEST_CASE(calls_fail_while_no_server_serves) { FailUntilOneServes(false); }

TEST_CASE(calls_fail_while_no_server_of_several_addresses_serves) { FailUntilOneServes(true); }

TEST_CASE(a_service_that_the_server_does_not_know_is_not_served) {
  Pair servers;
  const auto channel = servers.Channel(R"({"healthCheckConfig":{"serviceName":"nobody.Knows"}})");
  channel->GetState(true);
  CHECK(Eventually([&] { return channel->GetState(false) == GRPC_CHANNEL_TRANSIENT_FAILURE; }));
}

// Switched on, to another service, and off at run time: calls go on, connections stay.
void SwitchLive(bool several) {
  Pair servers;
  servers.a.SetServing(kService, false);
  servers.a.SetServing("other", true);
  servers.b.SetServing("other", false);
  const auto channel = servers.Channel("{}", several);
  WaitUntilServing(channel, {"A", "B"});
  {
    const Traffic traffic(channel);
    CHECK(channel->SetServiceConfig(kChecked).ok());
    WaitUntilOnly(channel, "B");
    CHECK(channel->SetServiceConfig("{}").ok());
    WaitUntilServing(channel, {"A", "B"});
    CHECK(channel->SetServiceConfig(R"({"healthCheckConfig":{"serviceName":"other"}})").ok());
    WaitUntilOnly(channel, "A");
    CHECK(channel->SetServiceConfig("{}").ok());
    WaitUntilServing(channel, {"A", "B"});
  }
  for (TestServer* server : {&servers.a, &servers.b}) CHECK_EQUAL(server->service.peers().size(), 1u);
}

TEST_CASE(health_checks_are_switched_live) { SwitchLive(false); }

TEST_CASE(health_checks_of_several_addresses_are_switched_live) { SwitchLive(true); }

// A17 leaves pick_first without; the config's author is told so.
TEST_CASE(pick_first_checks_no_health) {
  std::mutex mutex;
  std::string warnings;
  evener::grpc::SetLogSink([&](evener::grpc::LogLevel level, std::string_view text) {
    const std::lock_guard<std::mutex> lock(mutex);
    if (level == evener::grpc::LogLevel::kWarning) warnings += std::string(text) + "\n";
  });
  Pair servers;
  servers.a.SetServing(kService, false);
  const auto channel =
      servers.Channel(R"({"loadBalancingConfig":[{"pick_first":{}}],"healthCheckConfig":{"serviceName":"user.UserService"}})");
  CHECK_EQUAL(Share(channel, 20)["A"], 20);
  CHECK(Eventually([&] {
    const std::lock_guard<std::mutex> lock(mutex);
    return warnings.find("healthCheckConfig") != std::string::npos;
  }));
  evener::grpc::SetLogSink(nullptr);
}

// A server that dies and comes back is asked again, on its new connection.
TEST_CASE(a_server_that_comes_back_is_asked_again) {
  Pair servers;
  for (const bool several : {false, true}) {
    const auto channel = servers.Channel(kChecked, several);
    WaitUntilServing(channel, {"A", "B"});
    servers.a.Stop();
    CHECK(Eventually([&] { return !IsReady(channel, servers.a.address()); }));
    servers.a.Start();
    WaitUntilOnly(channel, "B");  // it does not know the service yet
    servers.a.SetServing(kService, true);
    WaitUntilServing(channel, {"A", "B"});
  }
}

// What the servers say is read as protobuf says, also where it is not what is expected.
TEST_CASE(health_messages_are_read_as_protobuf) {
  using evener::grpc::detail::EncodeHealthRequest;
  using evener::grpc::detail::HealthResponse;
  using namespace std::string_literals;
  CHECK_EQUAL(EncodeHealthRequest(""), "\x0a\x00"s);
  CHECK_EQUAL(EncodeHealthRequest("ab"), "\x0a\x02" "ab"s);
  CHECK_EQUAL(EncodeHealthRequest(std::string(300, 'x')), "\x0a\xac\x02"s + std::string(300, 'x'));
  CHECK(HealthResponse::Decode("") == 0u);
  CHECK(HealthResponse::Decode("\x08\x01"s) == 1u);
  CHECK(HealthResponse::Decode("\x12\x02zz\x08\x02\x1d" "1234\x21" "12345678"s) == 2u);
  for (const auto& bad : {"\x08"s, "\x08\x80"s, "\x12\x05z"s, "\x0b\x01"s, "\x1d" "12"s, "\xff"s}) {
    CHECK(!HealthResponse::Decode(bad).has_value());
  }
}

}  // namespace
