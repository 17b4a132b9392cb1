// Schemes of the application's own, in C++.
#include <stdexcept>

#include "support/process.hpp"
#include "support/world.hpp"

using namespace evener_tests;
using evener::grpc::Resolver;
using evener::grpc::ResolverSink;

namespace {

// What the test lets the resolvers of a scheme do, and what they were asked.
struct Script {
  std::function<void(const std::string&, ResolverSink)> start;
  std::function<void()> resolve_now;
  std::function<void()> stop;
  std::atomic<int> started{0}, asked{0}, stopped{0}, destroyed{0};
};

class Scripted final : public Resolver {
 public:
  explicit Scripted(std::shared_ptr<Script> script) : script_(std::move(script)) {}
  ~Scripted() override { ++script_->destroyed; }
  void Start(const std::string& target, ResolverSink sink) override {
    ++script_->started;
    if (script_->start) script_->start(target, sink);
  }
  void ResolveNow() override {
    ++script_->asked;
    if (script_->resolve_now) script_->resolve_now();
  }
  void Stop() override {
    ++script_->stopped;
    if (script_->stop) script_->stop();
  }

 private:
  const std::shared_ptr<Script> script_;
};

std::shared_ptr<Script> Register(const std::string& scheme) {
  auto script = std::make_shared<Script>();
  const auto status = evener::grpc::RegisterScheme(scheme, [script] { return std::make_unique<Scripted>(script); });
  CHECK_EQUAL(status.error_message(), "");
  return script;
}

OwnChannel Open(const std::string& target, ChannelOptions options = {}) {
  options.removal_epoch = options.debounce = std::chrono::milliseconds(0);
  return evener::grpc::CreateChannel(target, ::grpc::InsecureChannelCredentials(), QuickReconnect(), std::move(options));
}

TEST_CASE(a_resolver_names_the_servers) {
  TestServer a("A"), b("B");
  const auto script = Register("Mine");  // a scheme has no case
  std::atomic<ResolverSink*> later{nullptr};
  script->start = [&](const std::string& target, ResolverSink sink) {
    CHECK_EQUAL(target, "mine:///users");
    later = new ResolverSink(sink);
    CHECK(sink.SetServiceConfig(R"({"loadBalancingConfig":[{"pick_random":{}}]})").ok());
    CHECK(sink.Push({a.address()}).ok());
  };
  {
    const auto channel = Open("mine:///users");
    CHECK_EQUAL(Share(channel, 10)["A"], 10);
    CHECK(channel->Describe().find("\"pick_random\"") != std::string::npos);
    CHECK(later.load()->Push({a.address(), Endpoint(b.address() + ";weight=3;zone=z1;meta.version=v1")}).ok());  // from another thread
    WaitUntilServing(channel, {"A", "B"});
    CHECK(channel->Describe().find("\"version\":\"v1\"") != std::string::npos);
    CHECK(later.load()->Push({b.address()}).ok());
    CHECK(Eventually([&] { return Share(channel, 10)["B"] == 10; }));
    b.Stop();
    CHECK(Eventually([&] { return script->asked > 0; }));  // a connection was lost
    CHECK(later.load()->Push({a.address()}).ok());
    WaitUntilServing(channel, {"A"});
  }
  CHECK(Eventually([&] { return script->destroyed == 1; }));
  CHECK_EQUAL(script->started.load(), 1);
  CHECK_EQUAL(script->stopped.load(), 1);
  CHECK_EQUAL(later.load()->Push({a.address()}).error_code(), ::grpc::StatusCode::FAILED_PRECONDITION);
  delete later.load();
}

// What was known is used by a start at which nobody answers, unless that is too long ago.
TEST_CASE(a_snapshot_serves_a_start_unless_it_is_too_old) {
  TestServer a("A");
  const auto script = Register("kept");
  script->start = [&](const std::string&, ResolverSink sink) {
    if (script->started == 1) CHECK(sink.Push({a.address()}).ok());
  };
  const Scratch scratch;
  ChannelOptions options;
  options.snapshot_dir = scratch.File("snapshots");
  {
    const auto first = Open("kept:///users", options);
    CHECK_EQUAL(Call(first), "A");
    CHECK(Eventually([&] { return Holds(options.snapshot_dir, ".json"); }));
  }
  options.snapshot_max_age = std::chrono::milliseconds(1);
  const auto strict = Open("kept:///users", options);
  strict->GetState(true);
  CHECK(Eventually([&] { return strict->Describe().find("is not used") != std::string::npos; }));
  options.snapshot_max_age = std::chrono::milliseconds(0);
  CHECK_EQUAL(Call(Open("kept:///users", options)), "A");
  CHECK_EQUAL(script->started.load(), 3);
}

// Whatever a resolver throws ends up in its target's resolution; it is started again, and others go on.
TEST_CASE(what_resolvers_throw_surfaces_and_harms_nobody) {
  TestServer a("A");
  std::mutex mutex;
  std::string warnings;
  evener::grpc::SetLogSink([&](evener::grpc::LogLevel, std::string_view text) {
    const std::lock_guard<std::mutex> lock(mutex);
    warnings.append(text).append("\n");
  });
  const auto script = Register("rough");
  std::atomic<int> starts{0};
  script->start = [&](const std::string&, ResolverSink sink) {
    if (++starts == 1) throw std::runtime_error("the phone book burnt");
    if (starts == 2) throw 7;
    CHECK(sink.Push({a.address()}).ok());
  };
  script->resolve_now = [] { throw std::runtime_error("do not hurry me"); };
  script->stop = [] { throw std::runtime_error("I stay"); };
  const auto rough = Open("rough:///users");
  ::grpc::Status failed, status;
  Call(rough, &failed);  // as gRPC does with a resolver's error
  CHECK_EQUAL(failed.error_code(), ::grpc::StatusCode::UNAVAILABLE);
  CHECK(failed.error_message().find("the phone book burnt") != std::string::npos);
  std::thread waiting([&] {
    const auto context = NewContext();
    context->set_wait_for_ready(true);
    Reply reply;
    status = Demo::NewStub(rough)->Unary(context.get(), {}, &reply);
  });
  CHECK(Eventually([&] { return rough->Describe().find("the phone book burnt") != std::string::npos; }));

  const auto calm = Register("calm");
  calm->start = [&](const std::string&, ResolverSink sink) { CHECK(sink.Push({a.address()}).ok()); };
  CHECK_EQUAL(Call(Open("calm:///users")), "A");

  waiting.join();
  CHECK_EQUAL(status.error_message(), "");
  CHECK_EQUAL(starts.load(), 3);
  CHECK_EQUAL(script->destroyed.load(), 2);
  a.Stop();
  CHECK(Eventually([&] { return script->asked > 0; }));
  const std::lock_guard<std::mutex> lock(mutex);
  for (const char* text : {"the phone book burnt", "no std::exception"}) CHECK(warnings.find(text) != std::string::npos);
  evener::grpc::SetLogSink(nullptr);
}

TEST_CASE(what_resolvers_push_is_checked) {
  TestServer a("A");
  const auto script = Register("wrong");
  std::atomic<bool> pushed{false};
  script->start = [&](const std::string&, ResolverSink sink) {
    CHECK(sink.Push({a.address()}).ok());
    const auto refused = sink.Push({a.address(), "nowhere"});
    CHECK_EQUAL(refused.error_code(), ::grpc::StatusCode::INVALID_ARGUMENT);
    CHECK(refused.error_message().find("endpoint 1") != std::string::npos);
    pushed = true;
  };
  const auto channel = Open("wrong:///users");
  CHECK_EQUAL(Call(channel), "A");
  CHECK(Eventually([&] { return pushed.load(); }));
  CHECK(Eventually([&] { return channel->Describe().find("endpoint 1") != std::string::npos; }));
  CHECK_EQUAL(Call(channel), "A");
}

TEST_CASE(a_resolver_that_knows_nothing_leaves_calls_to_the_fallback) {
  TestServer a("A");
  const auto script = Register("silent");
  ChannelOptions options;
  options.initial_timeout = std::chrono::milliseconds(100);
  options.fallback_target = "static:///" + a.address();
  const auto channel = Open("silent:///users", std::move(options));
  WaitUntilServing(channel, {"A"});
  CHECK_EQUAL(script->started.load(), 1);
}

TEST_CASE(schemes_have_names) {
  const auto factory = [] { return std::unique_ptr<Resolver>(); };
  for (const char* wrong : {"", "4you", "a b", "a:"}) {
    const auto status = evener::grpc::RegisterScheme(wrong, factory);
    CHECK_EQUAL(status.error_code(), ::grpc::StatusCode::INVALID_ARGUMENT);
    CHECK(!status.error_message().empty());
  }
  // A factory that makes nothing is an error of the target.
  CHECK(evener::grpc::RegisterScheme("empty", factory).ok());
  ChannelOptions options;
  options.initial_timeout = std::chrono::milliseconds(50);
  const auto channel = Open("empty:///users", std::move(options));
  ::grpc::Status status;
  Call(channel, &status);
  CHECK_EQUAL(status.error_code(), ::grpc::StatusCode::UNAVAILABLE);
  CHECK(status.error_message().find("made no resolver") != std::string::npos);
}

}  // namespace
