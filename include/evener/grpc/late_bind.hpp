// Late binding: a call that finds no endpoint waits without blocking anybody, and is bound to an endpoint's channel afterwards.
//
// The stub's call is made on an anchor, a channel without a transport whose only interceptor holds every batch of operations that
// the stub starts. When the engine names an endpoint, a call is made on its inner channel, with the same completion queue, and
// the batches are led onto it in their order, through the inner channel's interceptors. From there on everything (message
// types, flags, flow control, status) is gRPC's own work, for every kind of call. A wait that fails is bound to a channel that
// ends every call with that status.
//
// What it touches of gRPC, all through access.hpp: the call that an intercepted batch belongs to (exchanged before the batch
// starts, together with the one reference the batch holds), and the call of the ClientContext (exchanged under the context's
// mutex, so that peer(), auth_context() and TryCancel() act on the inner call). The anchor's call stays referenced as long as the
// context lives, because stubs keep its bare pointer.
//
// Known limits: until it is bound, such a call does not notice that the server call it was propagated from was cancelled; and the
// user's interceptors see the inner call's ClientContext, not the stub's.
#ifndef EVENER_GRPC_LATE_BIND_HPP
#define EVENER_GRPC_LATE_BIND_HPP

#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "access.hpp"
#include "core.hpp"
#include "driver.hpp"
#include "engine.hpp"

namespace evener::grpc::detail {

class WaitingCall final : public Waiter, public std::enable_shared_from_this<WaitingCall> {
 public:
  WaitingCall(std::shared_ptr<Core> core, access::RpcInfo* info)
      : core_(std::move(core)),
        context_(info->client_context()),
        method_(info->method()),  // a copy: a GenericStub's name dies when its function returns
        type_(static_cast<access::Method::RpcType>(info->type())),
        wait_for_ready_(access::Door::WaitForReady(context_)),
        deadline_(Earlier(context_->raw_deadline(), core_->engine().TimeoutOf(method_))) {}

  ~WaitingCall() override {
    if (anchor_ != nullptr) grpc_call_unref(anchor_);
  }

  // Any thread: a batch of the stub's passes the anchor's interceptor.
  void Take(access::Batch* batch) {
    std::unique_lock<std::mutex> lock(mutex_);
    if (anchor_ == nullptr) Adopt(*access::CallOf(batch));
    if (access::CallOf(batch)->call() != anchor_) {  // its results, on the way back to the stub
      lock.unlock();
      return batch->Proceed();
    }
    if (open_) {
      lock.unlock();
      return Move(batch);
    }
    held_.push_back(batch);
    if (std::exchange(posted_, true)) return;
    lock.unlock();
    Driver::Get().Post([self = shared_from_this()] { self->Begin(); });
  }

  // Any thread. The context's mutex is held: nothing may be done here.
  void CancelSoon() {
    Driver::Get().Post([self = shared_from_this()] { self->Cancel(); });
  }

  // Loop.
  bool Settle() override {
    if (bound_) return true;
    const Engine& engine = core_->engine();
    evener_call ticket{};
    auto answer = Engine::Start::kWait;
    do {
      answer = engine.StartCall(method_, wait_for_ready_, &ticket);
    } while (answer == Engine::Start::kWait && !engine.StillWaits(ticket));
    if (answer == Engine::Start::kStarted) return BindTo(ticket);
    if (answer == Engine::Start::kFail) Fail(engine.FailureOf(ticket));
    return bound_;
  }

 private:
  void Adopt(const access::Call& call) {
    anchor_ = call.call();
    queue_ = call.cq();
    grpc_call_ref(anchor_);
  }

  // What follows runs on the loop, but for Move().

  void Begin() {
    begun_ = true;
    if (cancelled_) return Fail(Cancelled());
    if (gpr_time_cmp(deadline_, gpr_inf_future(GPR_CLOCK_MONOTONIC)) != 0) {
      timer_ = Driver::Get().At(deadline_, [self = shared_from_this()](bool passed) {
        if (passed) self->GiveUp({::grpc::StatusCode::DEADLINE_EXCEEDED, "no endpoint was ready in time"});
      });
    }
    core_->Await(shared_from_this());
  }

  void Cancel() {
    cancelled_ = true;
    if (bound_) return inner_context_.TryCancel();
    if (begun_) GiveUp(Cancelled());
  }

  static ::grpc::Status Cancelled() { return {::grpc::StatusCode::CANCELLED, "cancelled while waiting"}; }

  void GiveUp(const ::grpc::Status& status) {
    if (bound_) return;
    const auto self = shared_from_this();
    core_->Forget(self);
    Fail(status);
  }

  // Without a deadline: on a call born after its deadline, later versions of gRPC answer CANCELLED to later batches.
  void Fail(const ::grpc::Status& status) {
    const auto code = static_cast<grpc_status_code>(status.error_code());
    const auto lame = access::LameChannel(code, status.error_message());
    access::Door::Inherit(context_, &inner_context_);
    inner_context_.set_deadline(gpr_inf_future(GPR_CLOCK_REALTIME));
    const access::Method method(method_.c_str(), type_);
    Bind(access::Door::CreateCall(lame.get(), method, &inner_context_, queue_));
  }

  bool BindTo(const evener_call& ticket) {
    access::Door::Inherit(context_, &inner_context_);
    inner_context_.set_deadline(deadline_);
    const access::Method method(method_.c_str(), type_);
    if (const auto call = core_->Place(ticket, method, &inner_context_, queue_)) {
      Bind(*call);
      return true;
    }
    // The engine is being told that this endpoint is not connected; after that it is asked again.
    Driver::Get().Post([self = shared_from_this()] {
      if (self->Settle()) self->core_->Forget(self);
    });
    return false;
  }

  void Bind(const access::Call& inner) {
    bound_ = true;
    if (timer_) timer_->Cancel();
    inner_ = inner;
    grpc_call_unref(access::Door::Exchange(context_, inner_.call()));
    Release();
  }

  // In order, because the initial metadata must reach the transport first, and without the lock: a moved batch may end at
  // once, and after the last one the stub and its context may be gone.
  void Release() {
    std::unique_lock<std::mutex> lock(mutex_);
    while (!held_.empty()) {
      access::Batch* const batch = held_.front();
      held_.pop_front();
      lock.unlock();
      Move(batch);
      lock.lock();
    }
    open_ = true;
  }

  // Any thread, once bound.
  void Move(access::Batch* batch) {
    auto* const impl = static_cast<access::BatchImpl*>(batch);
    access::Call* const call = access::CallOf(batch);
    access::RpcInfo* const outer = call->client_rpc_info();
    grpc_call_ref(inner_.call());
    grpc_call_unref(call->call());
    *call = inner_;
    if (!impl->InterceptorsListEmpty()) {
      impl->RunInterceptors();
      return;
    }
    // No interceptor inside. The anchor's list stays in force, since the queue, which has been told of interceptors, waits for the
    // way back through them: without it, its Shutdown() would never complete.
    *call = access::MakeCall(inner_.call(), inner_.cq(), outer);
    batch->Proceed();
  }

  const std::shared_ptr<Core> core_;
  ::grpc::ClientContext* const context_;
  const std::string method_;
  const access::Method::RpcType type_;
  const uint32_t wait_for_ready_;
  const gpr_timespec deadline_;

  std::mutex mutex_;  // guards the next five; the first two do not change once set
  grpc_call* anchor_ = nullptr;
  ::grpc::CompletionQueue* queue_ = nullptr;
  std::deque<access::Batch*> held_;
  bool posted_ = false;
  bool open_ = false;

  // Loop only; inner_ is read by others after open_ was seen.
  bool begun_ = false;
  bool cancelled_ = false;
  bool bound_ = false;
  std::shared_ptr<::grpc::Alarm> timer_;
  ::grpc::ClientContext inner_context_;  // owns the inner call and its interceptors
  access::Call inner_;
};

class LateBinder final : public access::Interceptor {
 public:
  LateBinder(std::shared_ptr<Core> core, access::RpcInfo* info)
      : call_(std::make_shared<WaitingCall>(std::move(core), info)) {}

  void Intercept(access::Batch* batch) override {
    const auto call = call_;  // the batch's end may be the context's, and with it this object's
    if (batch->QueryInterceptionHookPoint(access::Hook::PRE_SEND_CANCEL)) return call->CancelSoon();
    call->Take(batch);
  }

 private:
  const std::shared_ptr<WaitingCall> call_;
};

// Makes a call that will be bound when an endpoint is ready. One anchor serves all channels; whose call it is comes to the
// interceptor factory by a thread-local pointer, set for the length of this function.
inline access::Call CreateWaitingCall(const std::shared_ptr<Core>& core, const access::Method& method,
                                      ::grpc::ClientContext* context, ::grpc::CompletionQueue* queue) {
  static thread_local const std::shared_ptr<Core>* current = nullptr;
  static auto* const anchor = [] {
    access::Interceptors interceptors;
    interceptors.push_back(access::Factory([](access::RpcInfo* info) -> access::Interceptor* {
      return new LateBinder(*current, info);
    }));
    return new std::shared_ptr<::grpc::Channel>(
        access::LameChannel(GRPC_STATUS_INTERNAL, "a waiting call was not held", std::move(interceptors)));
  }();
  const auto* const before = std::exchange(current, &core);
  access::Call call = access::Door::CreateCall(anchor->get(), method, context, queue);
  current = before;
  return call;
}

}  // namespace evener::grpc::detail

#endif  // EVENER_GRPC_LATE_BIND_HPP
