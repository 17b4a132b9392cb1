#include "kinds.hpp"

namespace evener_tests {
namespace {

using evener::demo::Demo;
using evener::demo::Reply;
using evener::demo::Request;

// Takes the next tag; true if its operation did what it was to do.
bool Next(grpc::CompletionQueue& queue) {
  void* tag = nullptr;
  bool ok = false;
  return queue.Next(&tag, &ok) && ok;
}

// Shuts the queue down and sees it become empty: nothing of ours may keep it from that.
void Drain(grpc::CompletionQueue& queue) {
  queue.Shutdown();
  void* tag = nullptr;
  bool ok = false;
  while (queue.Next(&tag, &ok)) {
  }
}

Result BlockingUnary(const ChannelPtr& channel, grpc::ClientContext* context, const Request& request) {
  Result result;
  result.status = Demo::NewStub(channel)->Unary(context, request, &result.reply);
  return result;
}

// Shut down while the call is under way, or waits.
Result QueueUnary(const ChannelPtr& channel, grpc::ClientContext* context, const Request& request) {
  Result result;
  grpc::CompletionQueue queue;
  const auto stub = Demo::NewStub(channel);
  const auto reader = stub->AsyncUnary(context, request, &queue);
  reader->Finish(&result.reply, &result.status, &result);
  Drain(queue);
  return result;
}

Result QueueUnaryWithMetadata(const ChannelPtr& channel, grpc::ClientContext* context, const Request& request) {
  Result result;
  grpc::CompletionQueue queue;
  const auto stub = Demo::NewStub(channel);
  const auto reader = stub->PrepareAsyncUnary(context, request, &queue);
  reader->StartCall();
  reader->ReadInitialMetadata(&result);
  reader->Finish(&result.reply, &result.status, &result);
  Next(queue);
  Next(queue);
  Drain(queue);
  return result;
}

Result CallbackUnary(const ChannelPtr& channel, grpc::ClientContext* context, const Request& request) {
  Result result;
  Latch done;
  const auto stub = Demo::NewStub(channel);
  stub->async()->Unary(context, &request, &result.reply, [&](const grpc::Status& status) {
    result.status = status;
    done.Open();
  });
  done.Wait();
  return result;
}

// What the reactors share: the end.
template <class Base>
struct Reactor : Base {
  Result result;
  Latch done;
  void OnDone(const grpc::Status& status) override {
    result.status = status;
    done.Open();
  }
  Result Wait() {
    done.Wait();
    return result;
  }
};

Result ReactorUnary(const ChannelPtr& channel, grpc::ClientContext* context, const Request& request) {
  Reactor<grpc::ClientUnaryReactor> reactor;
  const auto stub = Demo::NewStub(channel);
  stub->async()->Unary(context, &request, &reactor.result.reply, &reactor);
  reactor.StartCall();
  return reactor.Wait();
}

Result BlockingDown(const ChannelPtr& channel, grpc::ClientContext* context, const Request& request) {
  Result result;
  const auto stub = Demo::NewStub(channel);
  const auto reader = stub->Down(context, request);
  while (reader->Read(&result.reply)) {
  }
  result.status = reader->Finish();
  return result;
}

Result QueueDown(const ChannelPtr& channel, grpc::ClientContext* context, const Request& request) {
  Result result;
  grpc::CompletionQueue queue;
  const auto stub = Demo::NewStub(channel);
  const auto reader = stub->AsyncDown(context, request, &queue, &result);
  Next(queue);
  do {
    reader->Read(&result.reply, &result);
  } while (Next(queue));
  reader->Finish(&result.status, &result);
  Next(queue);
  Drain(queue);
  return result;
}

Result CallbackDown(const ChannelPtr& channel, grpc::ClientContext* context, const Request& request) {
  struct Reader : Reactor<grpc::ClientReadReactor<Reply>> {
    void OnReadDone(bool ok) override {
      if (ok) StartRead(&result.reply);
    }
  } reactor;
  const auto stub = Demo::NewStub(channel);
  stub->async()->Down(context, &request, &reactor);
  reactor.StartRead(&reactor.result.reply);
  reactor.StartCall();
  return reactor.Wait();
}

Result BlockingUp(const ChannelPtr& channel, grpc::ClientContext* context, const Request& request) {
  Result result;
  const auto stub = Demo::NewStub(channel);
  const auto writer = stub->Up(context, &result.reply);
  for (int i = 0; i < 5 && writer->Write(request); ++i) {
  }
  writer->WritesDone();
  result.status = writer->Finish();
  return result;
}

Result QueueUp(const ChannelPtr& channel, grpc::ClientContext* context, const Request& request) {
  Result result;
  grpc::CompletionQueue queue;
  const auto stub = Demo::NewStub(channel);
  const auto writer = stub->AsyncUp(context, &result.reply, &queue, &result);
  Next(queue);
  for (int i = 0; i < 5; ++i) {
    writer->Write(request, &result);
    if (!Next(queue)) break;
  }
  writer->WritesDone(&result);
  Next(queue);
  writer->Finish(&result.status, &result);
  Next(queue);
  Drain(queue);
  return result;
}

Result CallbackUp(const ChannelPtr& channel, grpc::ClientContext* context, const Request& request) {
  struct Writer : Reactor<grpc::ClientWriteReactor<Request>> {
    const Request* request = nullptr;
    int left = 4;
    void OnWriteDone(bool ok) override {
      if (!ok) return;
      if (left-- > 0) {
        StartWrite(request);
      } else {
        StartWritesDone();
      }
    }
  } reactor;
  reactor.request = &request;
  const auto stub = Demo::NewStub(channel);
  stub->async()->Up(context, &reactor.result.reply, &reactor);
  reactor.StartWrite(&request);
  reactor.StartCall();
  return reactor.Wait();
}

Result BlockingBidi(const ChannelPtr& channel, grpc::ClientContext* context, const Request& request) {
  Result result;
  const auto stub = Demo::NewStub(channel);
  const auto stream = stub->Bidi(context);
  for (int i = 0; i < 5 && stream->Write(request) && stream->Read(&result.reply); ++i) {
  }
  stream->WritesDone();
  Reply rest;
  while (stream->Read(&rest)) {
  }
  result.status = stream->Finish();
  return result;
}

Result QueueBidi(const ChannelPtr& channel, grpc::ClientContext* context, const Request& request) {
  Result result;
  grpc::CompletionQueue queue;
  const auto stub = Demo::NewStub(channel);
  const auto stream = stub->AsyncBidi(context, &queue, &result);
  Next(queue);
  stream->Read(&result.reply, &result);
  stream->Write(request, grpc::WriteOptions().set_last_message(), &result);
  Next(queue);
  Next(queue);
  stream->Finish(&result.status, &result);
  Next(queue);
  Drain(queue);
  return result;
}

Result CallbackBidi(const ChannelPtr& channel, grpc::ClientContext* context, const Request& request) {
  struct Stream : Reactor<grpc::ClientBidiReactor<Request, Reply>> {
    const Request* request = nullptr;
    std::atomic<int> pending{2};
    int rounds = 0;
    void Step(bool ok) {
      if (!ok || --pending != 0) return;
      if (++rounds == 5) {
        StartWritesDone();
        return;
      }
      pending = 2;
      StartRead(&result.reply);
      StartWrite(request);
    }
    void OnReadDone(bool ok) override { Step(ok); }
    void OnWriteDone(bool ok) override { Step(ok); }
  } reactor;
  reactor.request = &request;
  const auto stub = Demo::NewStub(channel);
  stub->async()->Bidi(context, &reactor);
  reactor.StartRead(&reactor.result.reply);
  reactor.StartWrite(&request);
  reactor.StartCall();
  return reactor.Wait();
}

grpc::ByteBuffer Serialized(const Request& request) {
  grpc::Slice slice(request.SerializeAsString());
  return {&slice, 1};
}

void Parse(const grpc::ByteBuffer& bytes, Reply* reply) {
  std::vector<grpc::Slice> slices;
  std::string text;
  if (!bytes.Dump(&slices).ok()) return;
  for (const auto& slice : slices) text.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  CHECK(reply->ParseFromString(text));
}

Result GenericUnary(const ChannelPtr& channel, grpc::ClientContext* context, const Request& request) {
  Result result;
  grpc::CompletionQueue queue;
  grpc::GenericStub stub(channel);
  grpc::ByteBuffer reply;
  // A name that is gone when the function returns, as generic callers have it.
  const auto reader = stub.PrepareUnaryCall(context, std::string("/evener.demo.Demo/") + "Unary",
                                            Serialized(request), &queue);
  reader->StartCall();
  reader->Finish(&reply, &result.status, &result);
  Drain(queue);
  if (result.status.ok()) Parse(reply, &result.reply);
  return result;
}

Result GenericBidi(const ChannelPtr& channel, grpc::ClientContext* context, const Request& request) {
  Result result;
  grpc::CompletionQueue queue;
  grpc::GenericStub stub(channel);
  grpc::ByteBuffer reply;
  const auto stream = stub.PrepareCall(context, std::string("/evener.demo.Demo/") + "Bidi", &queue);
  stream->StartCall(&result);
  Next(queue);
  stream->Write(Serialized(request), &result);
  Next(queue);
  stream->Read(&reply, &result);
  if (Next(queue)) Parse(reply, &result.reply);
  stream->WritesDone(&result);
  Next(queue);
  stream->Finish(&result.status, &result);
  Next(queue);
  Drain(queue);
  return result;
}

}  // namespace

const std::vector<Kind>& Kinds() {
  static const std::vector<Kind> kinds = {
      {"blocking unary", BlockingUnary},
      {"queue unary", QueueUnary},
      {"queue unary with metadata", QueueUnaryWithMetadata},
      {"callback unary", CallbackUnary},
      {"reactor unary", ReactorUnary},
      {"blocking down", BlockingDown},
      {"queue down", QueueDown},
      {"callback down", CallbackDown},
      {"blocking up", BlockingUp},
      {"queue up", QueueUp},
      {"callback up", CallbackUp},
      {"blocking bidi", BlockingBidi},
      {"queue bidi", QueueBidi},
      {"callback bidi", CallbackBidi},
      {"generic unary", GenericUnary},
      {"generic bidi", GenericBidi},
  };
  return kinds;
}

}  // namespace evener_tests
