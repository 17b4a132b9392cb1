// Tells the engine how each started call ended, exactly once: an interceptor on the inner channel, closest to the wire, sees the
// status and the trailers; a call that never asks for its status (an abandoned stream, a context dropped half-way) is told of by
// the interceptor's destructor.
#ifndef EVENER_GRPC_REPORT_HPP
#define EVENER_GRPC_REPORT_HPP

#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "access.hpp"
#include "engine.hpp"
#include "registry.hpp"

namespace evener::grpc {

// How one call on one endpoint ended. Valid during the observer's run only.
struct CallOutcome {
  std::string_view method;
  // The endpoint as gRPC names it, such as "ipv4:10.0.0.1:443".
  std::string_view endpoint;
  ::grpc::StatusCode code = ::grpc::StatusCode::OK;
  // The application dropped the call without asking for its status.
  bool abandoned = false;
  // From the pick to the status.
  std::chrono::nanoseconds latency{0};
  // The server's trailers; null for an abandoned call.
  const std::multimap<::grpc::string_ref, ::grpc::string_ref>* trailers = nullptr;
};

// Called once for every call that was started on an endpoint, on whatever thread its end is noticed. It must not block.
using CallObserver = std::function<void(const CallOutcome&)>;

namespace detail {

// What a running call needs of its channel. Whoever holds it keeps the channel's endpoints connected.
struct Ledger {
  std::unique_ptr<Engine> engine;
  CallObserver observer;
};

class Report;

// A call the engine has started, on its way through the inner channel's CreateCall(), whose interceptor factories take no
// argument of ours: hence the thread-local pointer, set for the length of that one call.
struct StartedCall {
  evener_call ticket{};
  std::shared_ptr<Ledger> ledger;
  std::shared_ptr<const std::string> endpoint;
  uint64_t owner = 0;
  Report* report = nullptr;

  static StartedCall*& Current() {
    static thread_local StartedCall* current = nullptr;
    return current;
  }
};

class StartedCallScope {
 public:
  explicit StartedCallScope(StartedCall* call) : before_(std::exchange(StartedCall::Current(), call)) {}
  ~StartedCallScope() { StartedCall::Current() = before_; }
  StartedCallScope(const StartedCallScope&) = delete;
  StartedCallScope& operator=(const StartedCallScope&) = delete;

 private:
  StartedCall* const before_;
};

class Report final : public access::Interceptor {
 public:
  Report(const access::RpcInfo& info, StartedCall& call)
      : ledger_(std::move(call.ledger)), ticket_(call.ticket), started_(std::chrono::steady_clock::now()) {
    call.report = this;
    if (!ledger_->observer) return;
    endpoint_ = std::move(call.endpoint);
    method_ = std::make_unique<std::string>(info.method());
  }

  ~Report() override { End(::grpc::StatusCode::CANCELLED, true, nullptr); }

  static void* operator new(size_t size) {
    static_cast<void>(size);
    static_assert(alignof(std::max_align_t) >= alignof(Ledger*));
    return CallRegistry::Get().Allocate();
  }
  static void operator delete(void* memory) { CallRegistry::Get().Free(memory); }

  // The call exists now: a drain may cancel it.
  void Attach(grpc_call* call, uint64_t owner) { CallRegistry::Get().Link(this, call, owner); }

  void Intercept(access::Batch* batch) override {
    if (batch->QueryInterceptionHookPoint(access::Hook::POST_RECV_STATUS)) {
      End(batch->GetRecvStatus()->error_code(), false, batch->GetRecvTrailingMetadata());
    }
    batch->Proceed();
  }

 private:
  using Trailers = std::multimap<::grpc::string_ref, ::grpc::string_ref>;

  void End(::grpc::StatusCode code, bool abandoned, const Trailers* trailers) {
    if (ended_) return;
    ended_ = true;
    CallRegistry::Get().Unlink(this);
    const std::chrono::nanoseconds latency = std::chrono::steady_clock::now() - started_;
    if (method_) ledger_->observer({*method_, *endpoint_, code, abandoned, latency, trailers});
    ledger_->engine->FinishCall(&ticket_, code, abandoned, latency);
  }

  std::shared_ptr<Ledger> ledger_;
  std::shared_ptr<const std::string> endpoint_;  // only for the observer, like method_
  std::unique_ptr<std::string> method_;
  evener_call ticket_;
  const std::chrono::steady_clock::time_point started_;
  bool ended_ = false;
};

static_assert(sizeof(Report) <= CallRegistry::kObjectBytes);

// For the inner channels. Calls that were not started by the engine (the connection probe) are not reported.
inline std::unique_ptr<access::InterceptorFactory> ReportFactory() {
  return access::Factory([](access::RpcInfo* info) -> access::Interceptor* {
    StartedCall* const call = StartedCall::Current();
    return call == nullptr ? nullptr : new Report(*info, *call);
  });
}

// Makes the call on the inner channel. From here on its end is reported, come what may.
inline access::Call CreateStartedCall(::grpc::ChannelInterface* inner, StartedCall started,
                                      const access::Method& method, ::grpc::ClientContext* context,
                                      ::grpc::CompletionQueue* queue) {
  const StartedCallScope scope(&started);
  access::Call call = access::Door::CreateCall(inner, method, context, queue);
  if (started.report != nullptr) {
    started.report->Attach(call.call(), started.owner);
  } else {
    started.ledger->engine->FinishCall(&started.ticket, ::grpc::StatusCode::CANCELLED, true, {});
  }
  return call;
}

}  // namespace detail
}  // namespace evener::grpc

#endif  // EVENER_GRPC_REPORT_HPP
