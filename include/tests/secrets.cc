// What a target holds of secrets is in no log and no status.
#include <stdexcept>

#include "support/world.hpp"

using namespace evener_tests;

namespace {

constexpr const char* kPassword = "pa55";
constexpr const char* kToken = "t0k3n";

bool HasSecrets(const std::string& text) {
  return text.find(kPassword) != std::string::npos || text.find(kToken) != std::string::npos;
}

bool Has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

// What is logged as long as it lives.
class Logged {
 public:
  Logged() {
    evener::grpc::SetLogSink([this](evener::grpc::LogLevel, std::string_view text) {
      const std::lock_guard<std::mutex> lock(mutex_);
      text_.append(text).append("\n");
    });
  }
  ~Logged() { evener::grpc::SetLogSink(nullptr); }
  Logged(const Logged&) = delete;
  Logged& operator=(const Logged&) = delete;

  std::string text() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return text_;
  }

 private:
  mutable std::mutex mutex_;
  std::string text_;
};

std::string Target(const std::string& scheme, const std::string& more = {}) {
  return scheme + "://me:" + kPassword + "@127.0.0.1:1/svc?token=" + kToken + more;
}

// The status of a call, which fails.
::grpc::Status Failed(const OwnChannel& channel) {
  ::grpc::Status status;
  Call(channel, &status);
  CHECK_EQUAL(status.error_code(), ::grpc::StatusCode::UNAVAILABLE);
  return status;
}

OwnChannel Open(const std::string& target, const ::grpc::ChannelArguments& arguments = {}) {
  ChannelOptions options;
  options.initial_timeout = std::chrono::milliseconds(100);
  return evener::grpc::CreateChannel(target, ::grpc::InsecureChannelCredentials(), arguments, std::move(options));
}

TEST_CASE(warnings_about_arguments_are_without_the_targets_secrets) {
  const Logged logged;
  ::grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_CLIENT_IDLE_TIMEOUT_MS, 1000);
  arguments.SetInt(GRPC_ARG_DNS_MIN_TIME_BETWEEN_RESOLUTIONS_MS, 1000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 10'000);
  const auto channel = Open(Target("consul"), arguments);
  const auto status = Failed(channel);
  CHECK(!HasSecrets(status.error_message()));
  CHECK(!HasSecrets(channel->Describe()));
  const std::string text = logged.text();
  CHECK(!HasSecrets(text));
  for (const char* about : {GRPC_ARG_CLIENT_IDLE_TIMEOUT_MS, GRPC_ARG_DNS_MIN_TIME_BETWEEN_RESOLUTIONS_MS, "too_many_pings"}) {
    CHECK(Has(text, about));
  }
  CHECK(Has(text, "channel to consul://***@127.0.0.1:1/svc?token=***: "));
}

TEST_CASE(a_target_that_is_refused_keeps_its_secrets) {
  const Logged logged;
  const auto status = Failed(Open(Target("consul", "&colour=red")));
  CHECK(!HasSecrets(status.error_message()));
  CHECK(Has(status.error_message(), "channel to consul://***@127.0.0.1:1/svc?token=***&colour=red: "));
  CHECK(Has(status.error_message(), "colour"));
  CHECK(!HasSecrets(logged.text()));
  CHECK(Has(logged.text(), status.error_message()));
}

struct Refusing final : evener::grpc::Resolver {
  void Start(const std::string& target, evener::grpc::ResolverSink) override {
    CHECK(HasSecrets(target));  // which are the resolver's to use
    throw std::runtime_error("the phone book burnt");
  }
};

struct Impatient final : evener::grpc::Resolver {
  void Start(const std::string&, evener::grpc::ResolverSink sink) override { CHECK(sink.Push({DeadAddress()}).ok()); }
  void Stop() override { throw std::runtime_error("I stay"); }
};

TEST_CASE(warnings_about_resolvers_are_without_the_targets_secrets) {
  const Logged logged;
  CHECK(evener::grpc::RegisterScheme("refusing", [] { return std::make_unique<Refusing>(); }).ok());
  CHECK(evener::grpc::RegisterScheme("impatient", [] { return std::make_unique<Impatient>(); }).ok());
  CHECK(!HasSecrets(Failed(Open(Target("refusing"))).error_message()));
  Failed(Open(Target("impatient")));
  CHECK(Eventually([&] { return Has(logged.text(), "I stay"); }));
  const std::string text = logged.text();
  CHECK(!HasSecrets(text));
  for (const char* scheme : {"refusing", "impatient"}) {
    CHECK(Has(text, std::string("resolver of ") + scheme + "://***@127.0.0.1:1/svc?token=***: "));
  }
}

}  // namespace
