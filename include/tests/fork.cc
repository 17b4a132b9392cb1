// A forked child has none of the threads that a channel rests on: everything says so at once, and nothing hangs.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <optional>

#include "support/world.hpp"

using namespace evener_tests;
using ::grpc::StatusCode;

namespace {

// Runs it in a forked child. Whether every check held there; a child that hangs is killed.
template <class Run>
bool HoldsInChild(Run run) {
  const pid_t child = fork();
  if (child == 0) {
    run();
    _exit(Failures() == 0 ? 0 : 1);
  }
  int status = 0;
  const bool ended = Eventually([&] { return waitpid(child, &status, WNOHANG) == child; });
  if (!ended) {
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
  }
  return ended && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

void TellsOfFork(const std::string& text) {
  if (text.find("forked") == std::string::npos) CHECK_EQUAL(text, "a text that tells of the fork");
}

void TellsOfFork(const ::grpc::Status& status) {
  CHECK_EQUAL(status.error_code(), StatusCode::UNAVAILABLE);
  TellsOfFork(status.error_message());
}

// Without a deadline: a call that hangs ends with its child.
void FailsForFork(const OwnChannel& channel) {
  ::grpc::ClientContext context;
  Reply reply;
  TellsOfFork(Demo::NewStub(channel)->Unary(&context, {}, &reply));
  CHECK_EQUAL(channel->GetState(true), GRPC_CHANNEL_TRANSIENT_FAILURE);
  TellsOfFork(channel->WaitUntilReady());
  TellsOfFork(channel->UpdateEndpoints({"127.0.0.1:1"}));
  TellsOfFork(channel->SetServiceConfig("{}"));
  CHECK_EQUAL(channel->Describe(), "{}");
}

TEST_CASE(a_channel_fails_in_a_forked_child_with_the_reason) {
  TestServer a("A");
  auto channel = ChannelTo({a.address()});
  CHECK_EQUAL(Call(channel), "A");
  CHECK(HoldsInChild([&] {
    FailsForFork(channel);
    channel.reset();
    FailsForFork(ChannelTo({a.address()}));
  }));
  CHECK_EQUAL(Share(channel, 10)["A"], 10);  // the parent's goes on
}

// Keeps the sink, and says nothing.
class Silent final : public evener::grpc::Resolver {
 public:
  explicit Silent(std::optional<evener::grpc::ResolverSink>& sink, Latch& started) : sink_(sink), started_(started) {}
  void Start(const std::string&, evener::grpc::ResolverSink sink) override {
    sink_ = sink;
    started_.Open();
  }

 private:
  std::optional<evener::grpc::ResolverSink>& sink_;
  Latch& started_;
};

TEST_CASE(a_resolver_of_the_parents_is_told_of_the_fork) {
  static std::optional<evener::grpc::ResolverSink> sink;
  static Latch started;
  const auto factory = [] { return std::make_unique<Silent>(sink, started); };
  CHECK(evener::grpc::RegisterScheme("silent", factory).ok());
  const auto channel = evener::grpc::CreateChannel("silent:///all", ::grpc::InsecureChannelCredentials());
  channel->GetState(true);
  started.Wait();
  CHECK(HoldsInChild([&] {
    TellsOfFork(sink->Push({"127.0.0.1:1"}));
    TellsOfFork(sink->Fail("gone"));
    TellsOfFork(sink->SetServiceConfig(std::nullopt));
    TellsOfFork(evener::grpc::RegisterScheme("another", factory));
  }));
  CHECK(sink->Push({"127.0.0.1:1"}).ok());
}

TEST_CASE(registries_are_not_asked_in_a_forked_child) {
  const std::string target = "etcd://" + DeadAddress() + "/services";
  evener::Service service;
  service.name = "user-service";
  service.host = "127.0.0.1";
  service.port = 50051;
  auto registered = evener::grpc::Register(target, service);
  auto watched = evener::grpc::WatchConfig(target);
  CHECK(registered && watched);
  if (!registered || !watched) return;
  auto registration = std::make_unique<evener::Registration>(registered.take());
  auto watch = std::make_unique<evener::ConfigWatch>(watched.take());
  CHECK(HoldsInChild([&] {
    const auto again = evener::grpc::Register(target, service);
    CHECK(again.status() == EVENER_SHUT_DOWN);
    TellsOfFork(again.message());
    const auto another = evener::grpc::WatchConfig(target);
    CHECK(another.status() == EVENER_SHUT_DOWN);
    TellsOfFork(another.message());
    CHECK(registration->wait(std::nullopt) == EVENER_SHUT_DOWN);
    CHECK(watch->wait(0, std::nullopt).status() == EVENER_SHUT_DOWN);
    registration.reset();
    watch.reset();
  }));
  CHECK_EQUAL(registration->state(), EVENER_REGISTERING);
}

// In a process that has not used gRPC yet, which this one is where it runs no other case.
TEST_CASE(a_child_forked_before_the_first_channel_has_channels) {
  CHECK(HoldsInChild([] {
    TestServer a("A");
    const auto channel = ChannelTo({a.address()});
    CHECK_EQUAL(Call(channel), "A");
  }));
}

}  // namespace
