// Targets that live in real registries, resolvers of the application's own, registration and configuration.
#include "support/registry.hpp"
#include "support/world.hpp"

using namespace evener_tests;

namespace {

OwnChannel Open(const std::string& target, ChannelOptions options = {}) {
  return evener::grpc::CreateChannel(target, ::grpc::InsecureChannelCredentials(), QuickReconnect(), std::move(options));
}

// Removals at once, so that a test need not wait for epochs.
ChannelOptions AtOnce() {
  ChannelOptions options;
  options.removal_epoch = options.empty_hold = options.debounce = std::chrono::milliseconds(0);
  return options;
}

int PortOf(const std::string& address) { return std::atoi(address.c_str() + address.rfind(':') + 1); }

// The user's form of a record.
void PutServer(const Etcd& etcd, const TestServer& server) {
  etcd.Put("/services/user-service/" + server.address(),
           R"({"ip":"127.0.0.1","port":)" + std::to_string(PortOf(server.address())) + R"(,"healthy":true,"version":"v1.0"})");
}

// Calls all the time from a few threads until it goes; counts those that fail.
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
    Await(20);
    stop_ = true;
    for (auto& thread : threads_) thread.join();
  }
  Traffic(const Traffic&) = delete;
  Traffic& operator=(const Traffic&) = delete;

  // Until so many more calls have been made.
  void Await(int calls) const {
    const int before = made_;
    CHECK(Eventually([&] { return made_ >= before + calls; }));
  }

 private:
  std::atomic<bool> stop_{false};
  std::atomic<int> made_{0};
  std::vector<std::thread> threads_;
};

TEST_CASE(etcd_servers_come_change_and_go) {
  const auto etcd = Etcd::Start();
  if (!etcd) return;
  TestServer a("A"), b("B"), c("C");
  PutServer(*etcd, a);
  PutServer(*etcd, b);
  const auto channel = Open("etcd://" + etcd->address() + "/user-service", AtOnce());
  WaitUntilServing(channel, {"A", "B"});
  const Traffic traffic(channel);
  PutServer(*etcd, c);
  WaitUntilServing(channel, {"A", "B", "C"});
  etcd->Put("/services/user-service/" + b.address(), R"({"ip":"127.0.0.1","port":)" + std::to_string(PortOf(b.address())) + R"(,"healthy":false})");
  CHECK(Eventually([&] { return Share(channel, 10)["B"] == 0; }));
  etcd->Delete("/services/user-service/" + a.address());
  CHECK(Eventually([&] { return Share(channel, 10)["C"] == 10; }));
  CHECK(Eventually([&] { return channel->Describe().find(a.address()) == std::string::npos; }));
}

// The registry dies under load and comes back: no call fails, the set is intact, and changes arrive again.
TEST_CASE(a_killed_etcd_fails_no_call) {
  const auto etcd = Etcd::Start();
  if (!etcd) return;
  TestServer a("A"), b("B"), c("C");
  PutServer(*etcd, a);
  PutServer(*etcd, b);
  const auto channel = Open("etcd://" + etcd->address() + "/user-service");
  WaitUntilServing(channel, {"A", "B"});
  const Traffic traffic(channel);
  etcd->Kill();
  CHECK(Eventually([&] { return channel->Describe().find("\"stale\"") != std::string::npos; }));
  auto share = Share(channel, 100);
  CHECK_EQUAL(share["A"] + share["B"], 100);
  CHECK(share["A"] > 0 && share["B"] > 0);
  CHECK(etcd->Restart());
  PutServer(*etcd, c);
  WaitUntilServing(channel, {"A", "B", "C"});
}

TEST_CASE(consul_servers_come_and_go) {
  const auto consul = Consul::Start();
  if (!consul) return;
  TestServer a("A"), b("B");
  consul->Register("a", "user-service", "127.0.0.1", PortOf(a.address()));
  const auto channel = Open("consul://" + consul->address() + "/user-service", AtOnce());
  WaitUntilServing(channel, {"A"});
  const Traffic traffic(channel);
  consul->Register("b", "user-service", "127.0.0.1", PortOf(b.address()));
  WaitUntilServing(channel, {"A", "B"});
  consul->Deregister("a");
  CHECK(Eventually([&] { return Share(channel, 10)["B"] == 10; }));
}

TEST_CASE(a_killed_consul_fails_no_call) {
  const auto consul = Consul::Start();
  if (!consul) return;
  TestServer a("A"), b("B");
  consul->Register("a", "user-service", "127.0.0.1", PortOf(a.address()));
  consul->Register("b", "user-service", "127.0.0.1", PortOf(b.address()));
  const auto channel = Open("consul://" + consul->address() + "/user-service");
  WaitUntilServing(channel, {"A", "B"});
  const Traffic traffic(channel);
  consul->Kill();
  CHECK(Eventually([&] { return channel->Describe().find("\"stale\"") != std::string::npos; }));
  auto share = Share(channel, 100);
  CHECK_EQUAL(share["A"] + share["B"], 100);
  CHECK(share["A"] > 0 && share["B"] > 0);
  CHECK(consul->Restart());
  CHECK(Eventually([&] { return channel->Describe().find("\"stale\"") == std::string::npos; }));
  share = Share(channel, 100);
  CHECK(share["A"] > 0 && share["B"] > 0);
}

// Two hosts at one port, as A records; Consul is the DNS server. The hosts leave the registry and come back.
TEST_CASE(dns_answers_are_followed) {
  const auto consul = Consul::Start();
  if (!consul) return;
  TestServer a("A", nullptr, 0, "127.0.0.2");
  TestServer b("B", nullptr, PortOf(a.address()), "127.0.0.3");
  const int port = PortOf(a.address());
  consul->Register("a", "user-service", "127.0.0.2", port);
  ChannelOptions options = AtOnce();
  options.dns_refresh = std::chrono::seconds(1);
  options.dns_server = consul->dns();
  const auto channel = Open("dns:///user-service.service.consul:" + std::to_string(port), options);
  WaitUntilServing(channel, {"A"});
  consul->Register("b", "user-service", "127.0.0.3", port);
  WaitUntilServing(channel, {"A", "B"});
  consul->Deregister("a");
  CHECK(Eventually([&] { return Share(channel, 10)["B"] == 10; }));
}

// A server whose health service says NOT_SERVING leaves picks at once though the list goes on naming it and its connection is up; when it
// serves again it is back. Registry and service config know nothing of health.
TEST_CASE(a_server_whose_probe_fails_gets_no_calls_until_it_passes) {
  ::grpc::EnableDefaultHealthCheckService(true);
  TestServer a("A"), b("B");
  ChannelOptions options;
  evener::grpc::Probe probe;
  probe.kind = "grpc";
  probe.interval = std::chrono::milliseconds(20);
  probe.rise = probe.fall = 1;
  options.probe = probe;
  const auto channel = Open("static:///" + a.address() + "," + b.address(), options);
  WaitUntilServing(channel, {"A", "B"});
  for (int round = 0; round < 2; ++round) {
    b.SetServing("", false);
    CHECK(Eventually([&] { return Share(channel, 10)["A"] == 10; }));
    CHECK(Eventually([&] { return channel->Describe().find("\"failing_probes\":1") != std::string::npos; }));
    b.SetServing("", true);
    WaitUntilServing(channel, {"A", "B"});
  }
  probe.kind = "udp";
  options.probe = probe;
  ::grpc::Status status;
  Call(Open("static:///" + a.address(), options), &status);
  CHECK(status.error_message().find("udp") != std::string::npos);
}

// Of a service config in DNS the choice for "c++" is this channel's.
TEST_CASE(a_service_config_from_dns_may_be_meant_for_cpp) {
  evener_credentials credentials{};
  evener_channel_options options{};
  evener_probe probe{};
  evener::grpc::detail::Lend(evener::grpc::DiscoveryOptions{}, credentials, probe, options);
  CHECK_EQUAL(std::string(options.dns_language, options.dns_language_len), "c++");
}

// Ports from SRV records.
TEST_CASE(srv_records_name_ports) {
  const auto consul = Consul::Start();
  if (!consul) return;
  TestServer a("A"), b("B");
  consul->Register("a", "user-service", "127.0.0.1", PortOf(a.address()));
  consul->Register("b", "user-service", "127.0.0.1", PortOf(b.address()));
  const auto channel = Open("dns+srv://" + consul->dns() + "/user-service.service.consul");
  WaitUntilServing(channel, {"A", "B"});
}

// A service config that lives in the registry is obeyed, and so is the next one; a wrong one is refused and the former stays.
TEST_CASE(a_service_config_from_the_registry_is_live) {
  const auto etcd = Etcd::Start();
  if (!etcd) return;
  TestServer a("A"), b("B");
  etcd->Put("/config/user-service", R"({"loadBalancingConfig":[{"pick_first":{}}]})");
  ChannelOptions options;
  options.endpoints = std::vector<Endpoint>{a.address(), b.address()};
  options.service_config_source = "etcd://" + etcd->address() + "/config/user-service";
  const auto channel = Open("static:///user-service", std::move(options));
  CHECK(Eventually([&] {
    Call(channel);
    return channel->Describe().find("\"policy\":\"pick_first\"") != std::string::npos;
  }));
  const std::string limited = R"({"methodConfig":[{"name":[{}],"maxRequestMessageBytes":1000}]})";
  etcd->Put("/config/user-service", limited);
  WaitUntilServing(channel, {"A", "B"});
  Request large;
  large.set_text(std::string(2000, 'x'));
  const auto is_limited = [&] {
    ::grpc::Status status;
    Call(channel, &status, large);
    return status.error_code() == ::grpc::StatusCode::RESOURCE_EXHAUSTED;
  };
  CHECK(Eventually(is_limited));
  std::mutex mutex;
  std::string warnings;
  evener::grpc::SetLogSink([&](evener::grpc::LogLevel, std::string_view text) {
    const std::lock_guard<std::mutex> lock(mutex);
    warnings += text;
  });
  etcd->Put("/config/user-service", R"({"methodConfig":7})");
  CHECK(Eventually([&] {
    const std::lock_guard<std::mutex> lock(mutex);
    return warnings.find("methodConfig") != std::string::npos;
  }));
  CHECK(is_limited());
  evener::grpc::SetLogSink(nullptr);
}

// A registry that cannot be reached: the fallback takes the calls.
TEST_CASE(a_fallback_target_stands_in) {
  TestServer a("A");
  ChannelOptions options;
  options.initial_timeout = std::chrono::milliseconds(100);
  options.fallback_target = "static:///" + a.address();
  const auto channel = Open("etcd://" + DeadAddress() + "/user-service", options);
  WaitUntilServing(channel, {"A"});
}

// Without one, calls fail with the reason once the initial timeout is over; those that wait for ready do not.
TEST_CASE(an_unreachable_registry_fails_calls_with_the_reason) {
  ChannelOptions options;
  options.initial_timeout = std::chrono::milliseconds(200);
  const std::string address = DeadAddress();
  const auto channel = Open("etcd://" + address + "/user-service", options);
  const auto begun = std::chrono::steady_clock::now();
  ::grpc::Status status;
  Call(channel, &status);
  CHECK_EQUAL(status.error_code(), ::grpc::StatusCode::UNAVAILABLE);
  CHECK(status.error_message().find("etcd") != std::string::npos);
  CHECK(std::chrono::steady_clock::now() - begun < std::chrono::seconds(20));
  const auto context = NewContext(std::chrono::milliseconds(300));
  context->set_wait_for_ready(true);
  Reply reply;
  CHECK_EQUAL(Demo::NewStub(channel)->Unary(context.get(), {}, &reply).error_code(), ::grpc::StatusCode::DEADLINE_EXCEEDED);
}

// ---- registration ----

evener::Service ServiceOf(const TestServer& server) {
  evener::Service service;
  service.name = "user-service";
  service.host = "127.0.0.1";
  service.port = static_cast<uint16_t>(PortOf(server.address()));
  service.zone = "z1";
  service.metadata["version"] = "v1";
  service.ttl = std::chrono::seconds(3);
  return service;
}

TEST_CASE(a_server_registers_itself_in_etcd) {
  const auto etcd = Etcd::Start();
  if (!etcd) return;
  TestServer a("A");
  const std::string target = "etcd://" + etcd->address() + "/user-service";
  evener::RegistrationOptions options;
  options.verify_interval = std::chrono::seconds(1);
  options.wait_for_listening = true;
  auto begun = evener::grpc::Register(target, ServiceOf(a), options);
  CHECK_EQUAL(begun ? "" : begun.message(), "");
  if (!begun) return;
  const auto registration = begun.take();
  CHECK(registration.wait(kPatience));
  CHECK_EQUAL(registration.state(), EVENER_REGISTERED);
  const auto stored = [&] { return etcd->Ctl({"get", "--prefix", ""}); };
  CHECK(stored().find("\"Addr\":\"" + a.address() + "\"") != std::string::npos);
  CHECK(registration.describe().find(a.address()) != std::string::npos);
  const auto channel = Open(target, AtOnce());
  WaitUntilServing(channel, {"A"});

  CHECK(registration.update(7));
  CHECK(Eventually([&] { return channel->Describe().find("\"weight\":7") != std::string::npos; }));
  CHECK(registration.update(std::nullopt, std::map<std::string, std::string>{{"version", "v2"}}));
  CHECK(Eventually([&] { return channel->Describe().find("\"v2\"") != std::string::npos; }));

  // Killed and back, with its data: it stays. Then the record is taken away behind its back: it is written again.
  etcd->Kill();
  CHECK(etcd->Restart());
  CHECK(Eventually([&] { return registration.state() == EVENER_REGISTERED; }));
  etcd->Ctl({"del", "--prefix", ""});
  CHECK(Eventually([&] { return stored().find(a.address()) != std::string::npos; }));

  CHECK(registration.drain());
  CHECK_EQUAL(registration.state(), EVENER_REGISTRATION_DRAINING);
  CHECK(registration.close(std::chrono::milliseconds(50), std::chrono::seconds(5)));
  CHECK_EQUAL(registration.state(), EVENER_REGISTRATION_CLOSED);
  CHECK(registration.wait(std::nullopt) == EVENER_SHUT_DOWN);
  CHECK_EQUAL(stored(), "");
}

// Leaving its scope deregisters it; a definition in JSON may name the address and any kind of check.
TEST_CASE(a_server_registers_itself_in_consul) {
  const auto consul = Consul::Start();
  if (!consul) return;
  TestServer a("A");
  const std::string port = std::to_string(PortOf(a.address()));
  evener::Service service;
  service.json = R"({"service": {"name": "user-service", "port": )" + port + R"(, "address": "127.0.0.1",
      "check": {"tcp": ")" + a.address() + R"(", "interval": "1s", "timeout": "1s"}}})";
  const std::string listed = "/v1/health/service/user-service?passing";
  {
    auto begun = evener::grpc::Register("consul://" + consul->address(), service);
    CHECK_EQUAL(begun ? "" : begun.message(), "");
    if (!begun) return;
    CHECK(begun->wait(kPatience));
    CHECK_EQUAL(begun->warnings(), "");
    CHECK(Eventually([&] { return consul->Request("GET", listed).find("\"Port\":" + port) != std::string::npos; }));
    const auto channel = Open("consul://" + consul->address() + "/user-service");
    WaitUntilServing(channel, {"A"});
  }
  CHECK(consul->Request("GET", "/v1/agent/services").find("user-service") == std::string::npos);

  service = ServiceOf(a);
  evener::Check check;
  check.kind = EVENER_CHECK_TCP;
  check.target = a.address();
  check.interval = std::chrono::seconds(1);
  service.checks = {check};
  service.tags = {"v1", "canary"};
  auto again = evener::grpc::Register("consul://" + consul->address(), service);
  CHECK_EQUAL(again ? "" : again.message(), "");
  CHECK(again && again->wait(kPatience));
  const auto services = consul->Request("GET", "/v1/agent/services");
  CHECK(services.find("canary") != std::string::npos && services.find("\"version\":\"v1\"") != std::string::npos);
}

// A definition as the first user has it, to the letter. Whether anybody answers at that URL is nothing to the test: Consul asks it.
TEST_CASE(a_consul_definition_is_registered_unchanged) {
  const auto consul = Consul::Start();
  if (!consul) return;
  evener::Service service;
  service.json =
      R"({"service": {"name": "user-service", "port": 8080, "check": {"http": "http://localhost:8080/health", "interval": "10s", "timeout": "3s"}}})";
  const auto begun = evener::grpc::Register("consul://" + consul->address(), service);
  CHECK_EQUAL(begun ? "" : begun.message(), "");
  if (!begun) return;
  CHECK(begun->wait(kPatience));
  CHECK_EQUAL(begun->warnings(), "");
  const auto services = consul->Request("GET", "/v1/agent/services");
  CHECK(services.find(R"("Service":"user-service")") != std::string::npos && services.find(R"("Port":8080)") != std::string::npos);
  const auto checks = [&] { return consul->Request("GET", "/v1/health/checks/user-service"); };
  for (const char* const field : {R"("Type":"http")", R"("Interval":"10s")", R"("Timeout":"3s")"}) {
    if (checks().find(field) == std::string::npos) CHECK_EQUAL(checks(), std::string("checks with ") + field);
  }
  // What became of the first one names the URL.
  CHECK(Eventually([&] { return consul->Request("GET", "/v1/agent/checks").find("http://localhost:8080/health") != std::string::npos; }));
}

TEST_CASE(what_cannot_be_registered_is_refused_in_words) {
  TestServer a("A");
  const auto refused = [&](const std::string& target, const evener::Service& service, evener_status status, const char* word) {
    const auto begun = evener::grpc::Register(target, service);
    CHECK(begun.status() == status);
    if (begun.message().find(word) == std::string::npos) CHECK_EQUAL(begun.message(), std::string("a text with ") + word);
  };
  auto service = ServiceOf(a);
  refused("static:///x", service, EVENER_BAD_TARGET, "static");
  service.port = 0;
  refused("etcd:///x", service, EVENER_BAD_ARGUMENT, "port");
  service = {};
  service.json = R"({"services":[{"name":"a","port":1},{"name":"b","port":2}]})";
  refused("consul:", service, EVENER_BAD_ARGUMENT, "2 services");
  service.json = "{";
  refused("consul:", service, EVENER_BAD_ARGUMENT, "json");
  service.name = "both";
  refused("consul:", service, EVENER_BAD_ARGUMENT, "json and name");
  service = ServiceOf(a);
  evener::Check check;
  check.kind = static_cast<evener_check_kind>(9);
  service.checks = {check};
  refused("consul:", service, EVENER_BAD_ARGUMENT, "evener_check_kind");
}

// ---- configuration ----

TEST_CASE(configuration_in_consul_is_live) {
  const auto consul = Consul::Start();
  if (!consul) return;
  const auto put = [&](const std::string& key, const std::string& value) {
    CHECK(consul->Request("PUT", "/v1/kv/config/user-service/" + key, value).find("true") != std::string::npos);
  };
  put("database_url", "postgres://db/users");
  put("cache_size", "100");
  auto opened = evener::grpc::WatchConfig("consul://" + consul->address() + "/config/user-service/");
  CHECK_EQUAL(opened ? "" : opened.message(), "");
  if (!opened) return;
  auto first = opened->wait(0, kPatience);
  CHECK(first);
  if (!first) return;
  CHECK((first->values() == std::map<std::string, std::string>{{"cache_size", "100"}, {"database_url", "postgres://db/users"}}));
  CHECK_EQUAL(first->epoch(), 1u);
  CHECK_EQUAL(first->size(), 2u);
  CHECK(!first->revision().empty());
  CHECK(!first->get("nothing"));

  const std::string before = first->revision();
  put("cache_size", "200");
  auto second = opened->wait(first->epoch(), kPatience);
  CHECK(second);
  if (!second) return;
  CHECK_EQUAL(second->get("cache_size").value_or("nothing"), "200");
  CHECK(second->revision() != before);
  CHECK_EQUAL(first->get("cache_size").value_or("nothing"), "100");  // a configuration never changes
  CHECK(opened->wait(second->epoch(), std::chrono::milliseconds(50)).status() == EVENER_TIMEOUT);
  CHECK(opened->describe().find("\"epoch\":2") != std::string::npos);
}

TEST_CASE(configuration_in_etcd_is_live_over_an_outage) {
  const auto etcd = Etcd::Start();
  if (!etcd) return;
  etcd->Put("/config/user-service/cache_size", "100");
  auto opened = evener::grpc::WatchConfig("etcd://" + etcd->address() + "/config/user-service/");
  CHECK(opened);
  if (!opened) return;
  const auto first = opened->wait(0, kPatience);
  CHECK(first && first->get("cache_size") == "100");
  etcd->Kill();
  CHECK(opened->get() && opened->get()->get("cache_size") == "100");
  CHECK(etcd->Restart());
  etcd->Put("/config/user-service/cache_size", "200");
  const auto second = opened->wait(1, kPatience);
  CHECK(second && second->get("cache_size") == "200");
}

TEST_CASE(a_configuration_needs_a_registry) {
  const auto refused = evener::grpc::WatchConfig("dns:///config/");
  CHECK(refused.status() == EVENER_BAD_TARGET);
  CHECK(!refused.message().empty());
}

}  // namespace
