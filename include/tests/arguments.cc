// Which ChannelArguments have what effect, and the small parts that have no server.
#include "support/world.hpp"

using namespace evener_tests;
using evener::grpc::detail::FindJsonMember;
using evener::grpc::detail::InnerServiceConfig;
using ::grpc::StatusCode;

namespace {

TEST_CASE(arguments_reach_the_inner_channels) {
  TestServer a("A");
  ::grpc::ChannelArguments arguments = QuickReconnect();
  arguments.SetUserAgentPrefix("tested/1.0");
  arguments.SetMaxReceiveMessageSize(1000);
  arguments.SetCompressionAlgorithm(GRPC_COMPRESS_GZIP);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 600'000);
  arguments.SetString(GRPC_ARG_DEFAULT_AUTHORITY, "named.test");
  const auto channel = ChannelTo({a.address()}, {}, arguments);
  CHECK_EQUAL(Call(channel), "A");
  const std::string agent = a.service.last("user agent");
  CHECK_EQUAL(agent.substr(0, agent.find("grpc-c/")), "tested/1.0 grpc-c++/" + ::grpc::Version() + " ");
  CHECK_EQUAL(a.service.last("authority"), "named.test");
  Request big;
  big.set_text("big");
  ::grpc::Status status;
  Call(channel, &status, big);
  CHECK_EQUAL(status.error_code(), StatusCode::RESOURCE_EXHAUSTED);
  CHECK(channel->IgnoredArguments().empty());
}

TEST_CASE(the_authority_is_the_targets_name) {
  TestServer a("A");
  const auto channel = ChannelTo({a.address()});
  CHECK_EQUAL(Call(channel), "A");
  CHECK_EQUAL(a.service.last("authority"), "under.test");
}

TEST_CASE(the_policy_of_the_arguments_is_obeyed_unless_the_config_names_one) {
  TestServer a("A"), b("B");
  ::grpc::ChannelArguments arguments = QuickReconnect();
  arguments.SetLoadBalancingPolicyName("pick_first");
  CHECK_EQUAL(Share(ChannelTo({a.address(), b.address()}, {}, arguments), 10)["A"], 10);
  arguments.SetServiceConfigJSON(R"({ "loadBalancingConfig" : [{"round_robin":{}}]})");
  const auto channel = ChannelTo({a.address(), b.address()}, {}, arguments);
  WaitUntilServing(channel, {"A", "B"});
  CHECK_EQUAL(Share(channel, 10)["A"], 5);
}

TEST_CASE(arguments_that_are_not_obeyed_are_listed_and_warned_about) {
  std::mutex mutex;
  std::string warnings;
  evener::grpc::SetLogSink([&](evener::grpc::LogLevel, std::string_view text) {
    const std::lock_guard<std::mutex> lock(mutex);
    warnings += text;
  });
  ::grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_CLIENT_IDLE_TIMEOUT_MS, 1000);
  arguments.SetInt(GRPC_ARG_DNS_MIN_TIME_BETWEEN_RESOLUTIONS_MS, 1000);
  arguments.SetGrpclbFallbackTimeout(1);
  arguments.SetUserAgentPrefix("x");
  const auto channel = ChannelTo({}, {}, arguments);
  const std::vector<std::string> expected = {GRPC_ARG_CLIENT_IDLE_TIMEOUT_MS, "grpc.grpclb_fallback_timeout_ms"};
  CHECK(channel->IgnoredArguments() == expected);
  const std::lock_guard<std::mutex> lock(mutex);
  for (const auto& name : expected) CHECK(warnings.find(name + " is not obeyed") != std::string::npos);
  CHECK(warnings.find(GRPC_ARG_DNS_MIN_TIME_BETWEEN_RESOLUTIONS_MS " counts for servers given by a host name") != std::string::npos);
  CHECK(warnings.find("user_agent") == std::string::npos);
  evener::grpc::SetLogSink(nullptr);
}

TEST_CASE(arguments_about_names_reach_servers_given_by_a_host_name) {
  ::grpc::ChannelArguments given;
  given.SetInt(GRPC_ARG_DNS_MIN_TIME_BETWEEN_RESOLUTIONS_MS, 100);
  const evener::grpc::detail::Arguments arguments(given);
  const auto passed = [&](const char* target) {
    const auto inner = arguments.ForInnerChannel({target, "svc", "{}", "1"});
    const auto list = inner.c_channel_args();
    int value = -1;
    for (size_t i = 0; i < list.num_args; ++i) {
      if (std::string(list.args[i].key) == GRPC_ARG_DNS_MIN_TIME_BETWEEN_RESOLUTIONS_MS) value = list.args[i].value.integer;
    }
    return value;
  };
  CHECK_EQUAL(passed("dns:///svc:80"), 100);
  CHECK_EQUAL(passed("ipv4:10.0.0.1:80"), -1);
  CHECK_EQUAL(passed("unix:/run/dns:"), -1);
}

// Of the addresses of one server, or of those behind its name, one gets the calls.
TEST_CASE(grpc_does_not_balance_behind_the_engine) {
  for (const char* target : {"dns:///svc:80", "ipv4:10.0.0.1:80,10.0.0.2:80"}) {
    CHECK_EQUAL(InnerServiceConfig("", target), R"({"loadBalancingConfig":[{"pick_first":{}}]})");
  }
  for (const char* target : {"ipv4:10.0.0.1:80", "unix:/run/svc"}) {
    CHECK_EQUAL(InnerServiceConfig("", target), R"({"loadBalancingConfig":[{"round_robin":{}}]})");
  }
}

// Pings that servers punish: the user's own keepalive settings.
TEST_CASE(keepalive_below_what_servers_allow_is_warned_about) {
  std::mutex mutex;
  std::string warnings;
  evener::grpc::SetLogSink([&](evener::grpc::LogLevel, std::string_view text) {
    const std::lock_guard<std::mutex> lock(mutex);
    warnings += text;
  });
  ::grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 10'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 3'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  ChannelTo({}, {}, arguments);
  {
    const std::lock_guard<std::mutex> lock(mutex);
    CHECK(warnings.find(GRPC_ARG_KEEPALIVE_TIME_MS) != std::string::npos);
    CHECK(warnings.find("too_many_pings") != std::string::npos);
    warnings.clear();
  }
  ::grpc::ChannelArguments rare;
  rare.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 600'000);
  ChannelTo({}, {}, rare);
  const std::lock_guard<std::mutex> lock(mutex);
  CHECK_EQUAL(warnings, "");
  evener::grpc::SetLogSink(nullptr);
}

// Sees each call once, direct or bound late, and not the channel's own probes.
class CountingFactory final : public ::grpc::experimental::ClientInterceptorFactoryInterface {
 public:
  std::atomic<int> created{0}, ended{0};

  ::grpc::experimental::Interceptor* CreateClientInterceptor(::grpc::experimental::ClientRpcInfo*) override {
    ++created;
    return new Counting(*this);
  }

 private:
  struct Counting final : ::grpc::experimental::Interceptor {
    explicit Counting(CountingFactory& owner) : factory(owner) {}
    void Intercept(::grpc::experimental::InterceptorBatchMethods* batch) override {
      const auto end = ::grpc::experimental::InterceptionHookPoints::POST_RECV_STATUS;
      if (batch->QueryInterceptionHookPoint(end)) ++factory.ended;
      batch->Proceed();
    }
    CountingFactory& factory;
  };
};

TEST_CASE(interceptors_see_each_call_once) {
  TestServer a("A");
  const auto counting = std::make_shared<CountingFactory>();
  ChannelOptions options;
  options.interceptors = {counting};
  const auto channel = ChannelTo({a.address(), DeadAddress()}, std::move(options));
  CHECK(Eventually([&] {
    channel->GetState(true);
    return channel->Describe().find("refused") != std::string::npos;
  }));
  WithEveryKind([&](const Kind& kind) {
    const auto context = NewContext();
    CHECK_EQUAL(kind.run(channel, context.get(), ThreeReplies()).status.error_message(), "");
  });
  CHECK_EQUAL(counting->created.load(), static_cast<int>(Kinds().size()));
  CHECK(Eventually([&] { return counting->ended == counting->created; }));
}

TEST_CASE(json_members_are_found) {
  const std::string text = R"( { "a" : "x\",\"b\":1", "b": {"a": [1, {"c":"}"}]} ,"c":[ ] , "d" : true, "b":2 } )";
  CHECK_EQUAL(*FindJsonMember(text, "a"), R"("x\",\"b\":1")");
  CHECK_EQUAL(*FindJsonMember(text, "b"), "2");
  CHECK_EQUAL(*FindJsonMember(text, "c"), "[ ]");
  CHECK(!FindJsonMember(text, "e"));
  for (const char* broken : {"", "{", "{\"", "{\"a", "{\"a\"", "{\"a\":", "{\"a\":\"\\", "{\"a\":[", "[]", "\"a\"", "{\"a\\"}) {
    CHECK(!FindJsonMember(broken, "b"));
    FindJsonMember(broken, "a");
  }
}

TEST_CASE(entries_are_read) {
  const Endpoint plain("10.0.0.1:1"), full("10.0.0.1:1|10.0.0.2:2;weight=30;zone=a b");
  CHECK_EQUAL(plain.addresses, "10.0.0.1:1");
  CHECK_EQUAL(plain.weight, 1u);
  CHECK_EQUAL(full.addresses, "10.0.0.1:1,10.0.0.2:2");
  CHECK_EQUAL(full.weight, 30u);
  CHECK_EQUAL(full.zone, "a b");
  const Endpoint all("h:1;priority=2;zone=a%2Cb;region=eu;condition=draining;meta.build%3D=100%25;meta.v=");
  CHECK_EQUAL(all.addresses, "h:1");
  CHECK_EQUAL(all.priority, 2u);
  CHECK_EQUAL(all.zone, "a,b");
  CHECK_EQUAL(all.region, "eu");
  CHECK(all.condition == evener::grpc::Condition::kDraining);
  CHECK((all.metadata == std::map<std::string, std::string>{{"build=", "100%"}, {"v", ""}}));
  for (const char* wrong : {"h:1;zone=", "h:1;zone=%4", "h:1;zone=%zz", "h:1;condition=fine", "h:1;meta.=x", "h:1;priority=1.5", "h:1;"}) {
    CHECK_EQUAL(Endpoint(wrong).addresses, wrong);
  }
  CHECK_EQUAL(Endpoint("h:1;weight=-1").addresses, "h:1;weight=-1");
  CHECK_EQUAL(Endpoint("h:1;weight=4294967296").addresses, "h:1;weight=4294967296");
}

}  // namespace
