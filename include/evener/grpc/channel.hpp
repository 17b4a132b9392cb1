// The channel that applications and generated stubs are given.
#ifndef EVENER_GRPC_CHANNEL_HPP
#define EVENER_GRPC_CHANNEL_HPP

#include <grpcpp/support/time.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "access.hpp"
#include "core.hpp"
#include "late_bind.hpp"
#include "lint.hpp"
#include "log.hpp"

namespace evener::grpc {

// Everything a channel can be told beyond target, credentials and arguments. The defaults are good. How it finds its servers is in
// DiscoveryOptions, whose fields are set like the others: options.fallback_target = "static:///10.0.0.1:50051".
struct ChannelOptions : DiscoveryOptions {
  // The servers, instead of those the target names; replaced at any time by Channel::UpdateEndpoints().
  std::optional<std::vector<Endpoint>> endpoints;
  // gRPC's service config, in JSON. Wins over GRPC_ARG_SERVICE_CONFIG.
  std::string service_config;
  // How long calls on an endpoint that was removed may go on before they are cancelled. 0: the default, 30 s.
  std::chrono::milliseconds drain_timeout{0};
  // Servers by name, which targets such as "static:///NAME" are looked up in. A name that is not there has no server: its calls fail with a
  // text that says so.
  //
  //   options.lists = {{"user-service", {"10.0.0.1:50051", "10.0.0.2:50051;weight=3"}}, {"order-service", {"10.0.1.1:50051"}}};
  std::map<std::string, std::vector<Endpoint>> lists;
  // The JSON file that they are looked up in, read again when it changes. Not together with `lists`.
  std::string static_file;
  // Interceptors of every call, as grpc::experimental::CreateCustomChannelWithInterceptors() takes them; they see the call on the
  // endpoint it was sent to.
  std::vector<std::shared_ptr<::grpc::experimental::ClientInterceptorFactoryInterface>> interceptors;
  // Told how each call on an endpoint ended.
  CallObserver observer;
};

// A ChannelInterface that sends each call to the endpoint the engine picks. All functions may be called from any thread.
//
// Calls go on after the channel object is gone, as with a stock channel: they, and calls that still wait, keep alive what they
// need.
//
// A channel does not survive fork(). In the child it fails at once, with a text that says why, as does each that is made there: gRPC
// has none of its threads in there. A process that forks does so before its first channel, and makes its channels in its children.
class Channel final : public ::grpc::ChannelInterface {
 public:
  Channel(const std::string& target, std::shared_ptr<::grpc::ChannelCredentials> credentials,
          const ::grpc::ChannelArguments& arguments, ChannelOptions options);

  // IDLE, CONNECTING, READY or TRANSIENT_FAILURE, over all endpoints. An idle channel starts working when asked to connect here, or
  // by its first call. WaitForStateChange(), NotifyOnStateChange() and WaitForConnected(), which ChannelInterface declares,
  // behave as a stock channel's.
  grpc_connectivity_state GetState(bool try_to_connect) override;

  // Blocks until the channel is connected (READY), connecting it if it is idle. UNAVAILABLE when the time is up, with the reason: the
  // registry that does not answer, the list that is empty, what became of each server's connection. With a target or options that are no
  // good it answers at once. For a start that is to go on without the servers instead of hanging:
  //
  //   if (const auto status = channel->WaitUntilReady(); !status.ok()) UseWhatIsCached(status.error_message());
  ::grpc::Status WaitUntilReady(std::chrono::milliseconds timeout = std::chrono::seconds(5));

  // Replaces the servers. Those that stay keep their connections and calls; calls on those that go may finish within the drain
  // timeout. INVALID_ARGUMENT with the reason, and nothing is changed, when an endpoint cannot be understood.
  //
  // Entries may be written as strings: UpdateEndpoints({"10.0.0.1:50051", "10.0.0.2:50051;weight=3"}).
  ::grpc::Status UpdateEndpoints(const std::vector<Endpoint>& endpoints);
  template <class Text, class = std::enable_if_t<std::is_same_v<Text, std::string>>>
  ::grpc::Status UpdateEndpoints(const std::vector<Text>& entries) {
    return UpdateEndpoints(std::vector<Endpoint>(entries.begin(), entries.end()));
  }

  // Replaces the service config. INVALID_ARGUMENT with path and reason when it is not valid; the former one stays then. What
  // is understood but not obeyed yet is logged as a warning. Connections are kept.
  ::grpc::Status SetServiceConfig(const std::string& json);

  // JSON: endpoints with state, weight, calls in flight and last error; policy; config. For people and tests; fields may be added.
  std::string Describe() const;

  // Names of the arguments given that this channel does not obey. See arguments.hpp for why.
  const std::vector<std::string>& IgnoredArguments() const { return ignored_; }

 private:
  ::grpc::internal::Call CreateCall(const ::grpc::internal::RpcMethod& method, ::grpc::ClientContext* context,
                                    ::grpc::CompletionQueue* queue) override;
  ::grpc::CompletionQueue* CallbackCQ() override { return access::SharedCallbackQueue(); }
  void NotifyOnStateChangeImpl(grpc_connectivity_state last, gpr_timespec deadline,
                               ::grpc::CompletionQueue* queue, void* tag) override;
  bool WaitForStateChangeImpl(grpc_connectivity_state last, gpr_timespec deadline) override;

  // Never reached through our calls, which know the inner channel; this body is right in every version.
  void PerformOpsOnCall(::grpc::internal::CallOpSetInterface* ops, ::grpc::internal::Call* call) override {
    ops->FillOps(call);
  }
  // A registration belongs to one real channel. Without one, gRPC goes by the method's name.
  void* RegisterMethod(const char*) override { return nullptr; }

  // Whether there is anything to ask. Nothing of the core may be touched in a forked child.
  bool IsGood() const { return core_ && !detail::Driver::IsInherited(); }
  // What all calls end with where it is not.
  ::grpc::Status Failure() const { return core_ ? detail::Inherited() : failure_; }

  std::shared_ptr<detail::Core> core_;  // null when the target or the options were no good
  ::grpc::Status failure_;              // why
  std::vector<std::string> ignored_;
};

// Like grpc::CreateCustomChannel(): never fails at once. With a target or options that cannot be understood it gives a channel all
// of whose calls fail with the reason, which is logged as well. Arguments that are not obeyed are warned about. Neither has the
// target's secrets in it: user, password, and parameters such as "token".
//
// Without a service config the policy is round_robin, not gRPC's pick_first.
inline std::shared_ptr<Channel> CreateChannel(
    const std::string& target, const std::shared_ptr<::grpc::ChannelCredentials>& credentials,
    const ::grpc::ChannelArguments& arguments = {}, ChannelOptions options = {}) {
  return std::make_shared<Channel>(target, credentials, arguments, std::move(options));
}

inline Channel::Channel(const std::string& target, std::shared_ptr<::grpc::ChannelCredentials> credentials,
                        const ::grpc::ChannelArguments& arguments, ChannelOptions options) {
  if (detail::Driver::IsInherited()) {  // not even logged: that takes a lock
    failure_ = detail::Inherited();
    return;
  }
  const std::string who = "channel to " + detail::Redacted(target) + ": ";
  detail::Arguments sorted(arguments);
  ignored_ = sorted.ignored();
  for (const auto& name : ignored_) {
    detail::Log(LogLevel::kWarning, who + "the argument " + name + " is not obeyed");
  }
  for (const auto& name : sorted.names()) {
    detail::Log(LogLevel::kWarning,
                who + "the argument " + name + " counts for servers given by a host name, not for the target's own name");
  }
  for (const auto& finding : detail::LintArguments(sorted.KeepaliveJson())) {
    detail::Log(LogLevel::kWarning, who + finding);
  }
  detail::EngineSettings settings;
  settings.service_config =
      options.service_config.empty() ? sorted.service_config() : std::move(options.service_config);
  settings.has_endpoints = options.endpoints.has_value();
  if (settings.has_endpoints) settings.endpoints = std::move(*options.endpoints);
  settings.lists = std::move(options.lists);
  settings.static_file = std::move(options.static_file);
  settings.authority = sorted.authority();
  settings.drain_timeout = options.drain_timeout;
  settings.discovery = std::move(static_cast<DiscoveryOptions&>(options));
  detail::Transport transport{std::move(credentials), std::move(sorted), std::move(options.interceptors),
                              settings.service_config};
  failure_ = detail::Core::Open(target, settings, std::move(transport), std::move(options.observer), &core_);
  if (core_) return;
  failure_ = {::grpc::StatusCode::UNAVAILABLE, who + failure_.error_message()};
  detail::Log(LogLevel::kError, failure_.error_message());
}

// The call path. A READY endpoint: one pick, one look, and the call is made on the endpoint's channel.
inline ::grpc::internal::Call Channel::CreateCall(const ::grpc::internal::RpcMethod& method,
                                                  ::grpc::ClientContext* context,
                                                  ::grpc::CompletionQueue* queue) {
  const auto fail = [&](const ::grpc::Status& status) {
    const auto code = static_cast<grpc_status_code>(status.error_code());
    const auto lame = access::LameChannel(code, status.error_message());
    return access::Door::CreateCall(lame.get(), method, context, queue);
  };
  if (!IsGood()) return fail(Failure());
  // More than once only where an endpoint has just been lost; then the next pick is another one. What cannot be placed
  // waits, which is always right.
  constexpr int kAttempts = 3;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    evener_call ticket{};
    const auto start = core_->engine().StartCall(method.name(), access::Door::WaitForReady(context), &ticket);
    if (start == detail::Engine::Start::kFail) return fail(core_->engine().FailureOf(ticket));
    if (start == detail::Engine::Start::kWait) break;
    const detail::TimeoutScope timeout(context, core_->engine().TimeoutOf(method.name()));
    if (const auto call = core_->Place(ticket, method, context, queue)) return *call;
  }
  return detail::CreateWaitingCall(core_, method, context, queue);
}

inline grpc_connectivity_state Channel::GetState(bool try_to_connect) {
  if (!IsGood()) return GRPC_CHANNEL_TRANSIENT_FAILURE;
  return static_cast<grpc_connectivity_state>(core_->engine().State(try_to_connect));
}

inline bool Channel::WaitForStateChangeImpl(grpc_connectivity_state last, gpr_timespec deadline) {
  if (!IsGood()) {
    if (last != GRPC_CHANNEL_TRANSIENT_FAILURE) return true;
    gpr_sleep_until(deadline);
    return false;
  }
  const auto when = gpr_convert_clock_type(deadline, GPR_CLOCK_MONOTONIC);
  if (gpr_time_cmp(when, gpr_inf_future(GPR_CLOCK_MONOTONIC)) == 0) {
    return core_->engine().WaitForStateChange(last, -1);
  }
  const auto left = gpr_time_sub(when, gpr_now(GPR_CLOCK_MONOTONIC));
  const double ms = gpr_timespec_to_micros(left) / 1000.0 + 1.0;  // rounded up: not a moment too early
  constexpr double kLongest = 1e15;
  return core_->engine().WaitForStateChange(last, static_cast<int64_t>(ms < 0 ? 0 : ms > kLongest ? kLongest : ms));
}

inline void Channel::NotifyOnStateChangeImpl(grpc_connectivity_state last, gpr_timespec deadline,
                                             ::grpc::CompletionQueue* queue, void* tag) {
  if (IsGood()) return core_->NotifyOnStateChange(last, deadline, queue, tag);
  const auto lame = access::LameChannel(GRPC_STATUS_UNAVAILABLE, Failure().error_message());
  access::Door::NotifyOnStateChange(lame.get(), last, deadline, queue, tag);
}

inline ::grpc::Status Channel::WaitUntilReady(std::chrono::milliseconds timeout) {
  if (!IsGood()) return Failure();
  return core_->engine().WaitUntilReady(timeout.count() < 0 ? 0 : timeout.count());
}

inline ::grpc::Status Channel::UpdateEndpoints(const std::vector<Endpoint>& endpoints) {
  return IsGood() ? core_->engine().UpdateEndpoints(endpoints) : Failure();
}

inline ::grpc::Status Channel::SetServiceConfig(const std::string& json) {
  return IsGood() ? core_->SetServiceConfig(json) : Failure();
}

inline std::string Channel::Describe() const { return IsGood() ? core_->engine().Describe() : "{}"; }

}  // namespace evener::grpc

#endif  // EVENER_GRPC_CHANNEL_HPP
