// Calls that find no endpoint ready: they wait without blocking anybody, or fail with the reasons.
#include "support/world.hpp"

using namespace evener_tests;
using ::grpc::StatusCode;

namespace {

// Nothing is known but a silent address: the calls wait, and go to the servers that come later.
TEST_CASE(calls_wait_for_endpoints_to_come) {
  TestServer a("A"), b("B");
  SilentPort silent;
  const auto channel = ChannelTo({silent.address()});
  std::atomic<int> started{0};
  std::thread updater([&] {
    CHECK(Eventually([&] { return started == static_cast<int>(Kinds().size()); }));
    CHECK(channel->UpdateEndpoints({a.address(), b.address()}).ok());
  });
  WithEveryKind([&](const Kind& kind) {
    const auto context = NewContext();
    ++started;
    const Result result = kind.run(channel, context.get(), ThreeReplies());
    CHECK_EQUAL(result.status.error_message(), "");
    CHECK_EQUAL(result.reply.text(), "k1");
    CHECK(context->peer().find("127.0.0.1:") != std::string::npos);
  });
  updater.join();
  CHECK(Eventually([&] { return Sum(channel, "in_flight") == 0; }));
  CHECK_EQUAL(Sum(channel, "ok"), static_cast<int64_t>(Kinds().size()));
}

// One thread starts calls of the asynchronous kinds and then lets the endpoints come: it would hang here if starting blocked.
TEST_CASE(starting_a_call_that_waits_blocks_nobody) {
  TestServer a("A");
  SilentPort silent;
  const auto channel = ChannelTo({silent.address()});
  const auto stub = Demo::NewStub(channel);
  const Request request = ThreeReplies();
  constexpr int kCalls = 50;
  ::grpc::CompletionQueue queue;
  std::vector<std::unique_ptr<::grpc::ClientContext>> contexts;
  std::vector<std::unique_ptr<::grpc::ClientAsyncResponseReader<Reply>>> readers;
  std::vector<Result> results(2 * kCalls);
  std::vector<Latch> done(kCalls);
  for (int i = 0; i < kCalls; ++i) {
    contexts.push_back(NewContext());
    readers.push_back(stub->AsyncUnary(contexts.back().get(), request, &queue));
    readers.back()->Finish(&results[i].reply, &results[i].status, &results[i]);
    contexts.push_back(NewContext());
    Result& result = results[kCalls + i];
    stub->async()->Unary(contexts.back().get(), &request, &result.reply, [&result, latch = &done[i]](const ::grpc::Status& status) {
      result.status = status;
      latch->Open();
    });
  }
  CHECK(channel->UpdateEndpoints({a.address()}).ok());
  queue.Shutdown();
  void* tag = nullptr;
  bool ok = false;
  while (queue.Next(&tag, &ok)) CHECK(ok);
  for (auto& latch : done) latch.Wait();
  for (const auto& result : results) CHECK_EQUAL(result.reply.server(), "A");
}

TEST_CASE(deadlines_hold_while_waiting) {
  SilentPort silent;
  const auto channel = ChannelTo({silent.address()});
  WithEveryKind([&](const Kind& kind) {
    const auto begun = std::chrono::steady_clock::now();
    const auto context = NewContext(std::chrono::milliseconds(150));
    const Result result = kind.run(channel, context.get(), ThreeReplies());
    CHECK_EQUAL(result.status.error_code(), StatusCode::DEADLINE_EXCEEDED);
    CHECK(std::chrono::steady_clock::now() - begun >= std::chrono::milliseconds(149));
  });
  CHECK_EQUAL(Finished(channel), 0);
  CHECK_EQUAL(Sum(channel, "in_flight"), 0);
}

TEST_CASE(cancelling_ends_the_wait) {
  SilentPort silent;
  const auto channel = ChannelTo({silent.address()});
  WithEveryKind([&](const Kind& kind) {
    const auto context = NewContext();
    std::thread canceller([&] {
      // The call exists when the context has one.
      CHECK(Eventually([&] { return context->c_call() != nullptr; }));
      context->TryCancel();
    });
    CHECK_EQUAL(kind.run(channel, context.get(), ThreeReplies()).status.error_code(), StatusCode::CANCELLED);
    canceller.join();
  });
  CHECK_EQUAL(Sum(channel, "in_flight"), 0);
}

TEST_CASE(a_context_cancelled_beforehand_does_not_wait) {
  SilentPort silent;
  const auto channel = ChannelTo({silent.address()});
  WithEveryKind([&](const Kind& kind) {
    const auto context = NewContext();
    context->TryCancel();
    CHECK_EQUAL(kind.run(channel, context.get(), ThreeReplies()).status.error_code(), StatusCode::CANCELLED);
  });
}

// The reasons are per endpoint. Also the path on which a waiting call is bound to a channel without interceptors: the queues of the
// queue kinds are shut down meanwhile and must become empty.
TEST_CASE(transient_failure_fails_calls_with_the_reasons) {
  const std::string dead = DeadAddress(), dead_too = DeadAddress();
  for (int round = 0; round < 2; ++round) {
    const auto channel = ChannelTo({dead, dead_too});
    if (round == 1) {
      channel->GetState(true);
      CHECK(Eventually([&] { return channel->GetState(false) == GRPC_CHANNEL_TRANSIENT_FAILURE; }));
    }
    WithEveryKind([&](const Kind& kind) {
      const auto context = NewContext();
      const Result result = kind.run(channel, context.get(), ThreeReplies());
      CHECK_EQUAL(result.status.error_code(), StatusCode::UNAVAILABLE);
      for (const std::string& part : {dead, dead_too, std::string("onnection refused")}) {
        const bool found = result.status.error_message().find(part) != std::string::npos;
        if (!found) CHECK_EQUAL(result.status.error_message(), "a text with " + part);
      }
    });
    CHECK_EQUAL(Sum(channel, "in_flight"), 0);
  }
}

TEST_CASE(an_empty_list_fails_calls) {
  const auto channel = ChannelTo({});
  ::grpc::Status status;
  Call(channel, &status);
  CHECK_EQUAL(status.error_code(), StatusCode::UNAVAILABLE);
  CHECK(!status.error_message().empty());
}

TEST_CASE(wait_for_ready_waits_through_transient_failure) {
  TestServer a("A");
  a.Stop();
  const auto channel = ChannelTo({a.address()});
  channel->GetState(true);
  CHECK(Eventually([&] { return channel->GetState(false) == GRPC_CHANNEL_TRANSIENT_FAILURE; }));
  std::atomic<int> started{0};
  std::thread starter([&] {
    CHECK(Eventually([&] { return started == static_cast<int>(Kinds().size()); }));
    a.Start();
  });
  WithEveryKind([&](const Kind& kind) {
    const auto context = NewContext();
    context->set_wait_for_ready(true);
    ++started;
    const Result result = kind.run(channel, context.get(), ThreeReplies());
    CHECK_EQUAL(result.status.error_message(), "");
  });
  starter.join();
}

// It waits while the first endpoint connects; that one fails, another one serves it.
TEST_CASE(a_waiting_call_is_not_tied_to_an_endpoint_that_fails) {
  TestServer a("A");
  a.Stop();
  SilentPort silent;
  const auto channel = ChannelTo({silent.address(), a.address()});
  std::thread events([&] {
    CHECK(Eventually([&] { return channel->Describe().find("refused") != std::string::npos; }));
    a.Start();
    CHECK(Eventually([&] { return IsReady(channel, a.address()); }));
    silent.Close();
  });
  WithEveryKind([&](const Kind& kind) {
    const auto context = NewContext();
    const Result result = kind.run(channel, context.get(), ThreeReplies());
    CHECK_EQUAL(result.status.error_message(), "");
    CHECK_EQUAL(result.reply.server(), "A");
  });
  events.join();
}

// The wait keeps what it needs, as on a stock channel.
TEST_CASE(waiting_calls_outlive_the_channel) {
  TestServer a("A");
  a.Stop();
  const auto context = NewContext();
  context->set_wait_for_ready(true);
  Request request;
  Result result;
  Latch done;
  {
    const auto channel = ChannelTo({a.address()});
    Demo::NewStub(channel)->async()->Unary(context.get(), &request, &result.reply, [&](const ::grpc::Status& status) {
      result.status = status;
      done.Open();
    });
  }
  a.Start();
  done.Wait();
  CHECK_EQUAL(result.status.error_message(), "");
  CHECK_EQUAL(result.reply.server(), "A");
}

// TryCancel() from other threads at every moment of the binding.
TEST_CASE(cancelling_races_with_binding) {
  TestServer a("A");
  for (int i = 0; i < 100; ++i) {
    const auto channel = ChannelTo({a.address()});
    const auto context = NewContext();
    std::thread canceller([&, i] {
      std::this_thread::sleep_for(std::chrono::microseconds(20 * i));
      context->TryCancel();
    });
    const Kind& kind = Kinds()[static_cast<size_t>(i) % Kinds().size()];
    Context() = std::string("cancelling_races_with_binding, ") + kind.name;
    const auto status = kind.run(channel, context.get(), ThreeReplies()).status;
    CHECK(status.ok() || status.error_code() == StatusCode::CANCELLED);
    canceller.join();
    CHECK(Eventually([&] { return Sum(channel, "in_flight") == 0; }));
  }
}

}  // namespace
