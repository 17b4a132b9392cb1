// The one file that reaches behind gRPC's "private" and the one file that knows gRPC's versions.
//
// Why it is needed: gRPC C++ lets anybody derive from ChannelInterface but nobody call another channel's CreateCall(), which
// is what a channel that spreads calls over other channels must do. Two doors are used, and both are checked by the
// compiler: a member that is renamed or removed does not build, so nothing can break silently.
//
//   1. ChannelInterface, ClientContext and CompletionQueue befriend every specialisation of the class template
//      grpc::internal::BlockingUnaryCallImpl. Specialising it for a tag type of our own is what the language allows for
//      any template; nothing of gRPC is redefined. (Door, below.)
//   2. InterceptorBatchMethodsImpl keeps the call that a batch will be started on in a private member. Access is not checked
//      in an explicit instantiation ([temp.spec.general]/6), which can thus name it. (BatchCall, below.)
//
// Tried with gRPC 1.51 and 1.83. What differs between them is told apart by the types themselves, never by a version number.
#ifndef EVENER_GRPC_ACCESS_HPP
#define EVENER_GRPC_ACCESS_HPP

#include <grpc/grpc.h>
#include <grpc/support/time.h>
#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/completion_queue.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/impl/call.h>
#include <grpcpp/impl/call_op_set_interface.h>
#include <grpcpp/impl/channel_interface.h>
#include <grpcpp/impl/rpc_method.h>
#include <grpcpp/support/client_interceptor.h>
#if __has_include(<grpcpp/impl/interceptor_common.h>)
#include <grpcpp/impl/interceptor_common.h>
#else
#include <grpcpp/impl/codegen/interceptor_common.h>
#endif

#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace evener::grpc::access {

struct Tag {};

using Call = ::grpc::internal::Call;
using Method = ::grpc::internal::RpcMethod;
using Batch = ::grpc::experimental::InterceptorBatchMethods;
using BatchImpl = ::grpc::internal::InterceptorBatchMethodsImpl;
using Hook = ::grpc::experimental::InterceptionHookPoints;
using Interceptor = ::grpc::experimental::Interceptor;
using InterceptorFactory = ::grpc::experimental::ClientInterceptorFactoryInterface;
using Interceptors = std::vector<std::unique_ptr<InterceptorFactory>>;
using RpcInfo = ::grpc::experimental::ClientRpcInfo;

// Door 2. Instantiating Publish defines the friend, which returns the pointer to the private member.
template <class Key, typename Key::Member Pointer>
struct Publish {
  friend typename Key::Member PointerOf(Key) { return Pointer; }
};
struct BatchCall {
  using Member = Call* BatchImpl::*;
  friend Member PointerOf(BatchCall);
};
template struct Publish<BatchCall, &BatchImpl::call_>;

// The call that the batch now passing through an interceptor is to be started on. The batch owns one reference to it.
inline Call* CallOf(Batch* batch) {
  return static_cast<BatchImpl*>(batch)->*PointerOf(BatchCall{});
}

}  // namespace evener::grpc::access

namespace grpc::internal {

// Door 1. See the top of the file.
template <>
class BlockingUnaryCallImpl<::evener::grpc::access::Tag, ::evener::grpc::access::Tag> {
 public:
  static Call CreateCall(ChannelInterface* channel, const RpcMethod& method, ClientContext* context,
                         CompletionQueue* queue) {
    return channel->CreateCall(method, context, queue);
  }

  static void NotifyOnStateChange(ChannelInterface* channel, grpc_connectivity_state last,
                                  gpr_timespec deadline, CompletionQueue* queue, void* tag) {
    channel->NotifyOnStateChangeImpl(last, deadline, queue, tag);
  }

  static CompletionQueue* CallbackQueue(ChannelInterface* channel) { return channel->CallbackCQ(); }

  // 0 unset, 1 false, 2 true: the numbers of evener_channel_start().
  static uint32_t WaitForReady(const ClientContext* context) {
    if (!context->wait_for_ready_explicitly_set_) return context->wait_for_ready_ ? 2 : 0;
    return context->wait_for_ready_ ? 2 : 1;
  }

  // Everything that a call made for `from` elsewhere must inherit, except metadata (which travels in the batches).
  // Elements of gRPC's internal call context registry (1.6x and later) are not copied: they have one owner.
  static void Inherit(const ClientContext* from, ClientContext* to) {
    to->deadline_ = from->deadline_;
    to->authority_ = from->authority_;
    to->creds_ = from->creds_;
    to->census_context_ = from->census_context_;
    to->propagate_from_call_ = from->propagate_from_call_;
    to->propagation_options_ = from->propagation_options_;
    to->compression_algorithm_ = from->compression_algorithm_;
    to->wait_for_ready_ = from->wait_for_ready_;
    to->wait_for_ready_explicitly_set_ = from->wait_for_ready_explicitly_set_;
  }

  // From now on peer(), auth_context() and TryCancel() of `context` act on `call`. The context takes a reference of its own
  // and gives up the one it held on its former call, which is returned and now belongs to the caller.
  static grpc_call* Exchange(ClientContext* context, grpc_call* call) {
    grpc_call_ref(call);
    Guard<MutexLock> guard(context->mu_);
    std::swap(context->call_, call);
    return call;
  }

 private:
  // MutexLock is made from a pointer in old versions, from a reference in new ones.
  template <class Lock, bool ByReference = std::is_constructible_v<Lock, Mutex&>>
  struct Guard {
    Lock lock;
    explicit Guard(Mutex& mutex) : lock(mutex) {}
  };
  template <class Lock>
  struct Guard<Lock, false> {
    Lock lock;
    explicit Guard(Mutex& mutex) : lock(&mutex) {}
  };
};

}  // namespace grpc::internal

namespace evener::grpc::access {

using Door = ::grpc::internal::BlockingUnaryCallImpl<Tag, Tag>;

// Call lost a constructor argument (a hook that only PerformOps() uses) in later versions.
template <class C = Call>
C MakeCall(grpc_call* call, ::grpc::CompletionQueue* queue, RpcInfo* info) {
  if constexpr (std::is_constructible_v<C, grpc_call*, ::grpc::CompletionQueue*, RpcInfo*>) {
    return C(call, queue, info);
  } else {
    return C(call, nullptr, queue, info);
  }
}

// A channel without a transport: a call made on it ends with this status, unless an interceptor leads it elsewhere.
inline std::shared_ptr<::grpc::Channel> LameChannel(grpc_status_code code, const std::string& text,
                                                    Interceptors interceptors = {}) {
  auto* channel = grpc_lame_client_channel_create("evener", code, text.c_str());
  return ::grpc::CreateChannelInternal("", channel, std::move(interceptors));
}

// Makes one stack of interceptors for each call; `make` may answer nullptr: none for this call.
template <class Make>
class FactoryOf final : public InterceptorFactory {
 public:
  explicit FactoryOf(Make make) : make_(std::move(make)) {}
  Interceptor* CreateClientInterceptor(RpcInfo* info) override { return make_(info); }

 private:
  Make make_;
};

template <class Make>
std::unique_ptr<InterceptorFactory> Factory(Make make) {
  return std::make_unique<FactoryOf<Make>>(std::move(make));
}

// The queue that callback calls run on. Stubs ask for it before they create the call, hence before the pick, so that it cannot
// belong to the picked endpoint's channel; and it must outlive every call, so that it belongs to a channel that is never freed.
inline ::grpc::CompletionQueue* SharedCallbackQueue() {
  static auto* const anchor =
      new std::shared_ptr<::grpc::Channel>(LameChannel(GRPC_STATUS_INTERNAL, "holds the callback queue"));
  return Door::CallbackQueue(anchor->get());
}

}  // namespace evener::grpc::access

#endif  // EVENER_GRPC_ACCESS_HPP
