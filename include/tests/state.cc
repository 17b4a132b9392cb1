// GetState, WaitForStateChange, NotifyOnStateChange and WaitForConnected, as on a stock channel.
#include "support/world.hpp"

using namespace evener_tests;

namespace {

TEST_CASE(a_channel_is_idle_until_asked) {
  TestServer a("A");
  const auto channel = ChannelTo({a.address()});
  CHECK_EQUAL(channel->GetState(false), GRPC_CHANNEL_IDLE);
  CHECK(!channel->WaitForStateChange(GRPC_CHANNEL_IDLE, In(std::chrono::milliseconds(50))));
  CHECK_EQUAL(channel->GetState(false), GRPC_CHANNEL_IDLE);
  CHECK(channel->WaitForConnected(In(kPatience)));
  CHECK_EQUAL(channel->GetState(false), GRPC_CHANNEL_READY);
}

TEST_CASE(waiting_for_a_connection_ends_at_the_deadline) {
  const auto channel = ChannelTo({DeadAddress()});
  const auto begun = std::chrono::steady_clock::now();
  CHECK(!channel->WaitForConnected(In(std::chrono::milliseconds(100))));
  CHECK(std::chrono::steady_clock::now() - begun >= std::chrono::milliseconds(99));
  CHECK(Eventually([&] { return channel->GetState(true) == GRPC_CHANNEL_TRANSIENT_FAILURE; }));
}

// A start that waits for a connection, and goes on without one for a reason that can be read.
TEST_CASE(waiting_until_ready_tells_what_is_missing) {
  TestServer a("A");
  const auto channel = ChannelTo({a.address()});
  CHECK(channel->WaitUntilReady().ok());
  CHECK_EQUAL(channel->GetState(false), GRPC_CHANNEL_READY);
  CHECK(channel->WaitUntilReady(std::chrono::milliseconds(0)).ok());

  const auto refuses = [](const OwnChannel& other, const std::string& part) {
    const auto status = other->WaitUntilReady(std::chrono::milliseconds(300));
    CHECK_EQUAL(status.error_code(), ::grpc::StatusCode::UNAVAILABLE);
    if (status.error_message().find(part) == std::string::npos) CHECK_EQUAL(status.error_message(), "a text with " + part);
  };
  const std::string dead = DeadAddress();
  const auto failing = ChannelTo({dead});
  CHECK(!failing->WaitUntilReady(std::chrono::milliseconds(0)).ok());
  CHECK(Eventually([&] { return failing->GetState(false) == GRPC_CHANNEL_TRANSIENT_FAILURE; }));
  refuses(failing, dead);
  refuses(failing, "refused");
  SilentPort silent;
  refuses(ChannelTo({silent.address()}), silent.address() + ": no answer yet");
  refuses(ChannelTo(std::vector<Endpoint>{}), "is empty");
  const auto open = [](const std::string& target) {
    return evener::grpc::CreateChannel(target, ::grpc::InsecureChannelCredentials());
  };
  refuses(open("etcd://" + dead + "/user-service"), "etcd");
  refuses(open("dns:///user-service:http2"), "port");
}

TEST_CASE(a_state_change_wakes_whoever_waits_for_it) {
  TestServer a("A");
  const auto channel = ChannelTo({a.address()});
  CHECK(channel->WaitForConnected(In(kPatience)));
  std::thread stopper([&] { a.Stop(); });
  CHECK(channel->WaitForStateChange(GRPC_CHANNEL_READY, In(kPatience)));
  CHECK(channel->GetState(false) != GRPC_CHANNEL_READY);
  stopper.join();
}

TEST_CASE(a_state_change_is_notified_through_a_queue) {
  TestServer a("A");
  const auto channel = ChannelTo({a.address()});
  ::grpc::CompletionQueue queue;
  int changed = 0, expired = 0, at_once = 0;
  void* tag = nullptr;
  bool ok = false;

  channel->NotifyOnStateChange(GRPC_CHANNEL_READY, In(kPatience), &queue, &at_once);
  CHECK(queue.Next(&tag, &ok));
  CHECK(tag == &at_once && ok);

  channel->NotifyOnStateChange(GRPC_CHANNEL_IDLE, In(std::chrono::milliseconds(50)), &queue, &expired);
  CHECK(queue.Next(&tag, &ok));
  CHECK(tag == &expired && !ok);

  channel->NotifyOnStateChange(GRPC_CHANNEL_IDLE, In(kPatience), &queue, &changed);
  channel->GetState(true);
  CHECK(queue.Next(&tag, &ok));
  CHECK(tag == &changed && ok);

  // Pending at shutdown: the queue waits for it, as for a stock channel's.
  CHECK(channel->WaitForConnected(In(kPatience)));
  channel->NotifyOnStateChange(GRPC_CHANNEL_READY, In(std::chrono::milliseconds(50)), &queue, &expired);
  queue.Shutdown();
  CHECK(queue.Next(&tag, &ok));
  CHECK(tag == &expired && !ok);
  CHECK(!queue.Next(&tag, &ok));
}

TEST_CASE(description_is_of_use) {
  TestServer a("A");
  const auto channel = ChannelTo({Endpoint(a.address() + ";weight=7;zone=z1"), DeadAddress()});
  CHECK_EQUAL(Call(channel), "A");
  CHECK(Eventually([&] { return channel->Describe().find("refused") != std::string::npos; }));
  const std::string text = channel->Describe();
  for (const std::string& part : {a.address(), std::string("\"round_robin\""), std::string("\"weight\":7"),
                                  std::string("\"z1\""), std::string("\"READY\""), std::string("\"TRANSIENT_FAILURE\"")}) {
    if (text.find(part) == std::string::npos) CHECK_EQUAL(text, "a text with " + part);
  }
}

}  // namespace
