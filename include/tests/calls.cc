// Calls on endpoints that are there: every kind, deadlines, cancellation, abandoned streams; each reported exactly once.
#include "support/world.hpp"

using namespace evener_tests;
using evener::grpc::CallOutcome;
using ::grpc::StatusCode;

namespace {

// Right after evener::grpc::CreateChannel(), with no wait in between: the call waits for the connection by itself.
TEST_CASE(first_call_succeeds_in_every_kind) {
  TestServer a("A"), b("B");
  WithEveryKind([&](const Kind& kind) {
    const auto channel = ChannelTo({a.address(), b.address()});
    const auto context = NewContext();
    const Result result = kind.run(channel, context.get(), ThreeReplies());
    CHECK_EQUAL(result.status.error_message(), "");
    CHECK_EQUAL(result.reply.text(), "k1");
    CHECK(context->peer().find("127.0.0.1:") != std::string::npos);
    CHECK(context->GetServerTrailingMetadata().count("x-server") == 1);
    CHECK(Eventually([&] { return Sum(channel, "in_flight") == 0; }));
    CHECK_EQUAL(Sum(channel, "ok"), 1);
  });
}

TEST_CASE(every_kind_succeeds_on_a_ready_channel) {
  TestServer a("A"), b("B");
  const auto channel = ChannelTo({a.address(), b.address()});
  WaitUntilReady(channel, {a.address(), b.address()});
  for (int round = 0; round < 3; ++round) {
    WithEveryKind([&](const Kind& kind) {
      const auto context = NewContext();
      const Result result = kind.run(channel, context.get(), ThreeReplies());
      CHECK_EQUAL(result.status.error_message(), "");
      CHECK_EQUAL(result.reply.text(), "k1");
      CHECK(context->peer().find("127.0.0.1:") != std::string::npos);
    });
  }
  const auto calls = static_cast<int64_t>(3 * Kinds().size());
  CHECK(Eventually([&] { return Sum(channel, "in_flight") == 0; }));
  CHECK_EQUAL(Finished(channel), calls);
  CHECK_EQUAL(Sum(channel, "ok"), calls);
  CHECK_EQUAL(a.service.calls + b.service.calls, static_cast<int>(calls));
}

TEST_CASE(calls_are_spread_evenly) {
  TestServer a("A"), b("B"), c("C");
  const auto channel = ChannelTo({a.address(), b.address(), c.address()});
  WaitUntilServing(channel, {"A", "B", "C"});
  auto share = Share(channel, 300);
  CHECK_EQUAL(share["A"], 100);
  CHECK_EQUAL(share["B"], 100);
  CHECK_EQUAL(share["C"], 100);
}

TEST_CASE(many_threads_share_one_channel) {
  TestServer a("A"), b("B");
  const auto channel = ChannelTo({a.address(), b.address()});
  WaitUntilServing(channel, {"A", "B"});
  const int to_a = a.service.calls, to_b = b.service.calls;
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) threads.emplace_back([&] { Share(channel, 100); });
  for (auto& thread : threads) thread.join();
  CHECK_EQUAL(a.service.calls - to_a, 400);
  CHECK_EQUAL(b.service.calls - to_b, 400);
  CHECK(Eventually([&] { return Sum(channel, "in_flight") == 0; }));
  CHECK_EQUAL(Sum(channel, "ok"), 800 + to_a + to_b);
}

TEST_CASE(deadlines_end_running_calls) {
  TestServer a("A");
  const auto channel = ChannelTo({a.address()});
  WaitUntilReady(channel, {a.address()});
  for (const char* name : {"blocking unary", "queue unary", "callback unary", "blocking down", "queue down", "callback down"}) {
    for (const Kind& kind : Kinds()) {
      if (std::string(kind.name) != name) continue;
      Request slow = ThreeReplies();
      slow.set_delay_ms(60'000);
      const auto context = NewContext(std::chrono::milliseconds(100));
      CHECK_EQUAL(kind.run(channel, context.get(), slow).status.error_code(), StatusCode::DEADLINE_EXCEEDED);
    }
  }
  CHECK(Eventually([&] { return Sum(channel, "in_flight") == 0; }));
  CHECK_EQUAL(Sum(channel, "failed"), 6);
}

TEST_CASE(cancelling_ends_running_calls) {
  TestServer a("A");
  const auto channel = ChannelTo({a.address()});
  WaitUntilReady(channel, {a.address()});
  int calls = 0;
  for (const Kind& kind : Kinds()) {
    const std::string name = kind.name;
    if (name.find("unary") == std::string::npos && name.find("down") == std::string::npos) continue;
    Request slow = ThreeReplies();
    slow.set_delay_ms(60'000);
    const auto context = NewContext();
    const int before = a.service.calls;
    std::thread canceller([&] {
      CHECK(Eventually([&] { return a.service.calls > before; }));
      context->TryCancel();
    });
    CHECK_EQUAL(kind.run(channel, context.get(), slow).status.error_code(), StatusCode::CANCELLED);
    canceller.join();
    ++calls;
  }
  CHECK(Eventually([&] { return Sum(channel, "in_flight") == 0; }));
  CHECK_EQUAL(Sum(channel, "other"), calls);
}

TEST_CASE(a_context_cancelled_beforehand_ends_the_call) {
  TestServer a("A");
  const auto channel = ChannelTo({a.address()});
  WaitUntilReady(channel, {a.address()});
  WithEveryKind([&](const Kind& kind) {
    const auto context = NewContext();
    context->TryCancel();
    CHECK_EQUAL(kind.run(channel, context.get(), ThreeReplies()).status.error_code(), StatusCode::CANCELLED);
  });
  CHECK(Eventually([&] { return Sum(channel, "in_flight") == 0; }));
  CHECK_EQUAL(Sum(channel, "other"), static_cast<int64_t>(Kinds().size()));
}

// Dropped half-way, without Finish(): the server is told, and the engine counts it.
TEST_CASE(abandoned_streams_are_released_and_reported) {
  TestServer a("A");
  const auto channel = ChannelTo({a.address()});
  WaitUntilReady(channel, {a.address()});
  const auto stub = Demo::NewStub(channel);
  Request endless;
  endless.set_count(1'000'000);
  endless.set_delay_ms(1);
  for (int i = 0; i < 5; ++i) {
    const auto context = NewContext(std::chrono::milliseconds(0));
    const auto reader = stub->Down(context.get(), endless);
    Reply reply;
    CHECK(reader->Read(&reply));
    CHECK_EQUAL(Sum(channel, "in_flight"), 1);
  }
  {
    const auto context = NewContext(std::chrono::milliseconds(0));
    const auto stream = stub->Bidi(context.get());
    Reply reply;
    CHECK(stream->Write(endless) && stream->Read(&reply));
  }
  CHECK(Eventually([&] { return Sum(channel, "in_flight") == 0; }));
  CHECK_EQUAL(Sum(channel, "other"), 6);
  CHECK_EQUAL(Finished(channel), 6);
  CHECK(Eventually([&] { return a.service.running == 0; }));
}

// A stream that is never started beyond its creation.
TEST_CASE(a_prepared_call_that_is_dropped_is_reported) {
  TestServer a("A");
  const auto channel = ChannelTo({a.address()});
  WaitUntilReady(channel, {a.address()});
  const auto stub = Demo::NewStub(channel);
  // A call that has been answered shows that the server can be picked: what is prepared now does not wait.
  const auto before = NewContext();
  Reply reply;
  CHECK(stub->Unary(before.get(), Request(), &reply).ok());
  CHECK(Eventually([&] { return Sum(channel, "in_flight") == 0; }));
  ::grpc::CompletionQueue queue;
  {
    const auto context = NewContext();
    const auto prepared = stub->PrepareAsyncBidi(context.get(), &queue);
    CHECK_EQUAL(Sum(channel, "in_flight"), 1);
  }
  CHECK_EQUAL(Sum(channel, "in_flight"), 0);
  CHECK_EQUAL(Sum(channel, "other"), 1);
  queue.Shutdown();
}

TEST_CASE(every_status_is_counted_in_its_class_and_observed_once) {
  struct Seen {
    int code;
    std::string trailer, method, endpoint;
  };
  std::mutex mutex;
  std::vector<Seen> seen;
  TestServer a("A");
  ChannelOptions options;
  options.observer = [&](const CallOutcome& outcome) {
    const auto trailer = outcome.trailers->find("x-server");
    const std::lock_guard<std::mutex> lock(mutex);
    seen.push_back({outcome.code,
                    trailer == outcome.trailers->end() ? "" : std::string(trailer->second.data(), trailer->second.size()),
                    std::string(outcome.method), std::string(outcome.endpoint)});
    CHECK(outcome.latency.count() > 0);
    CHECK(!outcome.abandoned);
  };
  const auto channel = ChannelTo({a.address()}, std::move(options));
  for (int code = 0; code <= 16; ++code) {
    Request request;
    request.set_code(code);
    ::grpc::Status status;
    Call(channel, &status, request);
    CHECK_EQUAL(static_cast<int>(status.error_code()), code);
  }
  CHECK_EQUAL(Sum(channel, "in_flight"), 0);
  CHECK_EQUAL(Sum(channel, "ok"), 10);       // OK, and what any server would have answered
  CHECK_EQUAL(Sum(channel, "failed"), 5);    // UNKNOWN, DEADLINE_EXCEEDED, INTERNAL, UNAVAILABLE, DATA_LOSS
  CHECK_EQUAL(Sum(channel, "rejected"), 1);  // RESOURCE_EXHAUSTED
  CHECK_EQUAL(Sum(channel, "other"), 1);     // CANCELLED
  CHECK_EQUAL(seen.size(), 17u);
  for (size_t code = 0; code < seen.size(); ++code) {
    CHECK_EQUAL(seen[code].code, static_cast<int>(code));
    CHECK_EQUAL(seen[code].trailer, "A");
    CHECK_EQUAL(seen[code].method, "/evener.demo.Demo/Unary");
    CHECK_EQUAL(seen[code].endpoint, "ipv4:" + a.address());
  }
}

// As on a stock channel, calls go on when the application lets go of the channel.
TEST_CASE(calls_outlive_the_channel) {
  TestServer a("A");
  std::unique_ptr<::grpc::ClientContext> context = NewContext();
  std::unique_ptr<::grpc::ClientReader<Reply>> reader;
  Request request;
  request.set_count(5);
  request.set_delay_ms(20);
  {
    const auto channel = ChannelTo({a.address()});
    reader = Demo::NewStub(channel)->Down(context.get(), request);
  }
  Reply reply;
  int replies = 0;
  while (reader->Read(&reply)) ++replies;
  CHECK(reader->Finish().ok());
  CHECK_EQUAL(replies, 5);
}

// Channels come and go while their calls run.
TEST_CASE(channels_come_and_go_while_calls_run) {
  TestServer a("A"), b("B");
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, cancels = t % 2 == 0] {
      for (int i = 0; i < 20; ++i) {
        const auto context = NewContext();
        Latch done;
        Request request;
        request.set_delay_ms(i % 3);
        Reply reply;
        {
          const auto channel = ChannelTo({a.address(), b.address()});
          Demo::NewStub(channel)->async()->Unary(context.get(), &request, &reply, [&](const ::grpc::Status& status) {
            CHECK(status.ok() || (cancels && status.error_code() == StatusCode::CANCELLED));
            done.Open();
          });
          if (cancels) context->TryCancel();
        }
        done.Wait();
      }
    });
  }
  for (auto& thread : threads) thread.join();
}

}  // namespace
