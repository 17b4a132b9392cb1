// The set of servers changes while calls run: lists replaced, servers drained, killed and back.
#include "support/world.hpp"

using namespace evener_tests;
using ::grpc::StatusCode;

namespace {

// Holds up one call in the middle of its creation.
class Gate final : public ::grpc::experimental::ClientInterceptorFactoryInterface {
 public:
  std::atomic<bool> shut{false};
  Latch entered, opened;

  ::grpc::experimental::Interceptor* CreateClientInterceptor(::grpc::experimental::ClientRpcInfo*) override {
    if (shut.exchange(false)) {
      entered.Open();
      opened.Wait();
    }
    return nullptr;
  }
};

// Until timers of a millisecond have run out this often.
void LetTimersRun(int times) {
  for (int i = 0; i < times; ++i) {
    Latch passed;
    evener::grpc::detail::Driver::Get().At(evener::grpc::detail::InMilliseconds(1), [&](bool) { passed.Open(); });
    passed.Wait();
  }
}

TEST_CASE(the_list_is_replaced_while_calls_run) {
  TestServer a("A"), b("B"), c("C");
  const auto channel = ChannelTo({a.address(), b.address()});
  WaitUntilReady(channel, {a.address(), b.address()});
  std::atomic<bool> stop{false};
  std::atomic<int> failed{0}, made{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      while (!stop) {
        ::grpc::Status status;
        Call(channel, &status);
        ++made;
        if (!status.ok()) ++failed;
      }
    });
  }
  const std::vector<std::vector<Endpoint>> lists = {
      {b.address(), c.address()}, {c.address()}, {a.address(), b.address(), c.address()}, {a.address(), b.address()}};
  for (int round = 0; round < 40; ++round) {
    const int before = made;
    CHECK(channel->UpdateEndpoints(lists[static_cast<size_t>(round) % lists.size()]).ok());
    CHECK(Eventually([&] { return made > before + 5; }));
  }
  stop = true;
  for (auto& thread : threads) thread.join();
  CHECK_EQUAL(failed.load(), 0);
  CHECK(c.service.calls > 0);
  CHECK(Eventually([&] { return Sum(channel, "in_flight") == 0; }));
}

TEST_CASE(a_removed_endpoint_finishes_its_calls) {
  TestServer a("A"), b("B");
  const auto channel = ChannelTo({a.address()});
  const auto context = NewContext();
  const auto stub = Demo::NewStub(channel);
  const auto stream = stub->Bidi(context.get());
  Request request;
  Reply reply;
  CHECK(stream->Write(request) && stream->Read(&reply));
  CHECK(channel->UpdateEndpoints({b.address()}).ok());
  CHECK(Eventually([&] { return Call(channel) == "B"; }));
  CHECK(stream->Write(request) && stream->Read(&reply));
  CHECK_EQUAL(reply.server(), "A");
  CHECK(channel->Describe().find(a.address()) != std::string::npos);
  stream->WritesDone();
  CHECK(!stream->Read(&reply));
  CHECK(stream->Finish().ok());
  CHECK(Eventually([&] { return channel->Describe().find(a.address()) == std::string::npos; }));
  // It is back, on a connection of its own.
  CHECK(channel->UpdateEndpoints({a.address()}).ok());
  CHECK(Eventually([&] { return Call(channel) == "A"; }));
}

TEST_CASE(an_endless_stream_is_cancelled_after_the_drain_timeout) {
  TestServer a("A"), b("B");
  ChannelOptions options;
  options.drain_timeout = std::chrono::milliseconds(200);
  const auto channel = ChannelTo({a.address(), b.address()}, std::move(options));
  WaitUntilReady(channel, {a.address(), b.address()});
  const auto stub = Demo::NewStub(channel);
  const auto left = NewContext(std::chrono::milliseconds(0)), right = NewContext(std::chrono::milliseconds(0));
  auto first = stub->Bidi(left.get()), second = stub->Bidi(right.get());
  Request request;
  Reply reply;
  CHECK(first->Write(request) && first->Read(&reply));
  if (reply.server() == "B") std::swap(first, second);
  CHECK(second->Write(request) && second->Read(&reply));
  CHECK_EQUAL(reply.server(), "B");

  const auto begun = std::chrono::steady_clock::now();
  CHECK(channel->UpdateEndpoints({b.address()}).ok());
  CHECK(!first->Read(&reply));  // until it is cancelled
  CHECK(std::chrono::steady_clock::now() - begun >= std::chrono::milliseconds(190));
  const auto status = first->Finish();
  CHECK_EQUAL(status.error_code(), StatusCode::UNAVAILABLE);
  CHECK(status.error_message().find("drain timeout") != std::string::npos);
  CHECK(Eventually([&] { return channel->Describe().find(a.address()) == std::string::npos; }));
  CHECK(Eventually([&] { return a.service.running == 0; }));
  // The other one goes on.
  CHECK(second->Write(request) && second->Read(&reply));
  second->WritesDone();
  CHECK(!second->Read(&reply));
  CHECK(second->Finish().ok());
  CHECK_EQUAL(Sum(channel, "in_flight"), 0);
}

// It is listed again while a call that began before it was removed is still being created, and is waited for.
TEST_CASE(calls_on_an_endpoint_that_is_back_are_not_cancelled) {
  TestServer a("A"), b("B");
  const auto gate = std::make_shared<Gate>();
  ChannelOptions options;
  options.drain_timeout = std::chrono::milliseconds(50);
  options.interceptors = {gate};
  const auto channel = ChannelTo({a.address()}, std::move(options));
  CHECK_EQUAL(Call(channel), "A");
  const auto stub = Demo::NewStub(channel);
  const auto before = NewContext(), after = NewContext();
  const auto former = stub->Bidi(before.get());
  Request request;
  Reply reply;
  CHECK(former->Write(request) && former->Read(&reply));
  gate->shut = true;
  ::grpc::Status status;
  std::thread late([&] {
    Request slow;
    slow.set_delay_ms(30'000);
    Call(channel, &status, slow);
  });
  gate->entered.Wait();

  CHECK(channel->UpdateEndpoints({b.address()}).ok());
  CHECK(!former->Read(&reply));  // until it is cancelled
  CHECK_EQUAL(former->Finish().error_code(), StatusCode::UNAVAILABLE);
  CHECK(channel->UpdateEndpoints({a.address()}).ok());
  CHECK(Eventually([&] { return Call(channel) == "A"; }));
  const auto stream = stub->Bidi(after.get());
  CHECK(stream->Write(request) && stream->Read(&reply));
  CHECK_EQUAL(reply.server(), "A");
  LetTimersRun(20);
  CHECK(stream->Write(request) && stream->Read(&reply));

  gate->opened.Open();
  late.join();
  CHECK_EQUAL(status.error_code(), StatusCode::UNAVAILABLE);
  CHECK(status.error_message().find("drain timeout") != std::string::npos);
  CHECK(stream->Write(request) && stream->Read(&reply));
  stream->WritesDone();
  CHECK(!stream->Read(&reply));
  CHECK(stream->Finish().ok());
  CHECK(Eventually([&] { return Sum(channel, "in_flight") == 0; }));
}

TEST_CASE(a_killed_server_leaves_and_comes_back) {
  TestServer a("A"), b("B");
  const auto channel = ChannelTo({a.address(), b.address()});
  WaitUntilReady(channel, {a.address(), b.address()});
  a.Stop();
  CHECK(Eventually([&] { return !IsReady(channel, a.address()); }));
  auto share = Share(channel, 50);
  CHECK_EQUAL(share["B"], 50);
  a.Start();
  WaitUntilServing(channel, {"A", "B"});
  share = Share(channel, 100);
  CHECK_EQUAL(share["A"], 50);
  CHECK_EQUAL(share["B"], 50);
}

TEST_CASE(weights_are_kept_exactly) {
  TestServer a("A"), b("B"), c("C");
  ChannelOptions options;
  options.service_config = R"({"loadBalancingConfig":[{"weighted_round_robin":{}}]})";
  const auto channel = ChannelTo({a.address() + ";weight=3", b.address() + ";weight=2", c.address() + ";weight=1"},
                                 std::move(options));
  WaitUntilServing(channel, {"A", "B", "C"});
  for (int six = 0; six < 10; ++six) {
    auto share = Share(channel, 6);
    CHECK_EQUAL(share["A"], 3);
    CHECK_EQUAL(share["B"], 2);
    CHECK_EQUAL(share["C"], 1);
  }
}

TEST_CASE(weight_zero_gets_no_calls) {
  TestServer a("A"), b("B");
  const auto channel = ChannelTo({a.address(), b.address()});
  WaitUntilReady(channel, {a.address(), b.address()});
  const std::vector<std::string> entries = {a.address() + ";weight=0", b.address()};
  CHECK(channel->UpdateEndpoints(entries).ok());
  CHECK(Eventually([&] { return Share(channel, 10)["B"] == 10; }));
  CHECK_EQUAL(Share(channel, 50)["B"], 50);
  CHECK(IsReady(channel, a.address()));
}

TEST_CASE(pick_first_keeps_to_one_server_and_moves_on_when_it_dies) {
  TestServer a("A"), b("B");
  ChannelOptions options;
  options.service_config = R"({"loadBalancingConfig":[{"pick_first":{}}]})";
  const auto channel = ChannelTo({a.address(), b.address()}, std::move(options));
  CHECK_EQUAL(Share(channel, 20)["A"], 20);
  CHECK_EQUAL(b.service.calls.load(), 0);
  a.Stop();
  CHECK(Eventually([&] { return Call(channel) == "B"; }));
  CHECK_EQUAL(Share(channel, 20)["B"], 20);
}

TEST_CASE(an_endpoint_of_several_addresses_is_one_server) {
  TestServer a("A"), b("B");
  const auto channel = ChannelTo({Endpoint(DeadAddress() + "|" + a.address()), b.address()});
  WaitUntilServing(channel, {"A", "B"});
  auto share = Share(channel, 100);
  CHECK_EQUAL(share["A"], 50);
  CHECK_EQUAL(share["B"], 50);
}

// Its inner channel rests whenever a connection is lost, and the engine has it connect each time.
TEST_CASE(connections_that_are_lost_again_and_again_are_watched_once) {
  TestServer a("A");
  const auto channel = ChannelTo({Endpoint(DeadAddress() + "|" + a.address())});
  WaitUntilReady(channel, {a.address()});
  for (int round = 0; round < 10; ++round) {  // the engine does not see every short rest
    a.Stop();
    CHECK(Eventually([&] { return !IsReady(channel, a.address()); }));
    a.Start();
    CHECK(Eventually([&] { return IsReady(channel, a.address()); }));
  }
  CHECK(Eventually([] { return evener::grpc::detail::Core::Watches() == 1; }));
}

TEST_CASE(a_server_given_by_a_host_name_is_connected_again) {
  TestServer a("A");
  const std::string name = "localhost" + a.address().substr(a.address().find(':'));
  const auto channel = ChannelTo({name});
  CHECK_EQUAL(Call(channel), "A");
  a.Stop();
  CHECK(Eventually([&] { return !IsReady(channel, name); }));
  a.Start();
  CHECK(Eventually([&] { return IsReady(channel, name); }));  // without a call that would have it connect
  CHECK_EQUAL(Call(channel), "A");
}

TEST_CASE(a_list_that_cannot_be_understood_is_refused) {
  TestServer a("A");
  const auto channel = ChannelTo({a.address()});
  for (const char* entry : {"no port", "127.0.0.1:1;weight=much", "127.0.0.1:1;colour=red", ""}) {
    const auto status = channel->UpdateEndpoints({entry});
    CHECK_EQUAL(status.error_code(), StatusCode::INVALID_ARGUMENT);
    CHECK(!status.error_message().empty());
  }
  CHECK_EQUAL(Call(channel), "A");
}

TEST_CASE(targets_name_their_servers) {
  TestServer a("A"), b("B");
  for (const std::string& target : {"static:///" + a.address() + "," + b.address() + ";weight=1",
                                    "ipv4:" + a.address() + "," + b.address()}) {
    const auto channel = evener::grpc::CreateChannel(target, ::grpc::InsecureChannelCredentials());
    WaitUntilServing(channel, {"A", "B"});
    CHECK_EQUAL(Share(channel, 10)["A"], 5);
  }
}

TEST_CASE(a_bare_name_is_looked_up) {
  TestServer a("A");
  const std::string port = a.address().substr(a.address().find(':'));
  const auto channel = evener::grpc::CreateChannel("localhost" + port, ::grpc::InsecureChannelCredentials());
  // localhost may have an IPv6 address too, where nobody listens.
  CHECK_EQUAL(Call(channel), "A");
}

TEST_CASE(a_bad_target_fails_calls_with_the_reason) {
  const auto channel = evener::grpc::CreateChannel("static:///127.0.0.1:1;weight=x", ::grpc::InsecureChannelCredentials());
  CHECK_EQUAL(channel->GetState(true), GRPC_CHANNEL_TRANSIENT_FAILURE);
  WithEveryKind([&](const Kind& kind) {
    const auto context = NewContext();
    const auto status = kind.run(channel, context.get(), ThreeReplies()).status;
    CHECK_EQUAL(status.error_code(), StatusCode::UNAVAILABLE);
    CHECK(status.error_message().find("weight") != std::string::npos);
  });
  CHECK(!channel->UpdateEndpoints({"127.0.0.1:1"}).ok());
  CHECK(!channel->SetServiceConfig("{}").ok());
  CHECK(!channel->WaitForConnected(In(std::chrono::milliseconds(20))));
  CHECK_EQUAL(channel->Describe(), "{}");
}

}  // namespace
