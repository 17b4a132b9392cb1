// A channel's transport as a whole: carries out the engine's orders for it, feeds the engine with its endpoints' connectivity,
// and keeps the calls that wait and the watchers of the channel's state. Shared by the Channel object, by calls that wait and by
// calls that run; it is taken down, on the loop, when the last of them is gone, as a stock channel is.
#ifndef EVENER_GRPC_CORE_HPP
#define EVENER_GRPC_CORE_HPP

#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/security/credentials.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "access.hpp"
#include "arguments.hpp"
#include "driver.hpp"
#include "engine.hpp"
#include "log.hpp"
#include "report.hpp"
#include "registry.hpp"
#include "subchannel.hpp"

namespace evener::grpc::detail {

// A call that waits for an endpoint. Used on the loop only.
class Waiter {
 public:
  virtual ~Waiter() = default;
  // Asks the engine again. True when the wait is over.
  virtual bool Settle() = 0;
};

inline gpr_timespec InMilliseconds(int64_t ms) {
  return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_millis(ms, GPR_TIMESPAN));
}

// The earlier one of a deadline and the end of a timeout that begins now; a negative timeout is none.
inline gpr_timespec Earlier(gpr_timespec deadline, std::chrono::nanoseconds timeout) {
  const auto given = gpr_convert_clock_type(deadline, GPR_CLOCK_MONOTONIC);
  if (timeout.count() < 0) return given;
  const auto length = gpr_time_from_nanos(timeout.count(), GPR_TIMESPAN);
  return gpr_time_min(given, gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), length));
}

// Puts the service config's timeout into the context for as long as the call is being created, which is when gRPC reads it; the
// application finds the deadline it set.
class TimeoutScope {
 public:
  TimeoutScope(::grpc::ClientContext* context, std::chrono::nanoseconds timeout)
      : context_(timeout.count() < 0 ? nullptr : context), before_(context->raw_deadline()) {
    if (context_ != nullptr) context_->set_deadline(Earlier(before_, timeout));
  }
  ~TimeoutScope() {
    if (context_ != nullptr) context_->set_deadline(before_);
  }
  TimeoutScope(const TimeoutScope&) = delete;
  TimeoutScope& operator=(const TimeoutScope&) = delete;

 private:
  ::grpc::ClientContext* const context_;
  const gpr_timespec before_;
};

// What the inner channels are made from.
struct Transport {
  std::shared_ptr<::grpc::ChannelCredentials> credentials;
  Arguments arguments;
  std::vector<std::shared_ptr<access::InterceptorFactory>> interceptors;
  std::string service_config;
};

class Core final : public EventHandler, public std::enable_shared_from_this<Core> {
 public:
  static ::grpc::Status Open(const std::string& target, const EngineSettings& settings, Transport transport,
                             CallObserver observer, std::shared_ptr<Core>* out) {
    auto& driver = Driver::Get();
    if (driver.engine() == nullptr) {
      return {::grpc::StatusCode::INTERNAL, "the engine's driver could not be started"};
    }
    // Whoever lets go of it last, it is deleted on the loop, to which all its state belongs.
    const std::shared_ptr<Core> core(new Core(std::move(transport), std::move(observer)),
                                     [](Core* dead) { Driver::Get().Post([dead] { delete dead; }); });
    driver.Route(core->token_, core);
    auto status = Engine::Open(driver.engine(), target, settings, core->token_, &core->ledger_.engine);
    if (!status.ok()) return status;
    core->authority_ = core->engine().Authority();
    *out = core;
    return status;
  }

  ~Core() override { Driver::Get().Unroute(token_); }

  const Engine& engine() const { return *ledger_.engine; }

  // Any thread: puts a started call onto its endpoint's channel. Nothing when the endpoint is not connected after all; the
  // ticket is given back then, and the engine is told what is the matter.
  std::optional<access::Call> Place(evener_call ticket, const access::Method& method,
                                    ::grpc::ClientContext* context, ::grpc::CompletionQueue* queue) {
    if (Subchannel* const subchannel = table_.Find(ticket.endpoint)) {
      const Use use(*subchannel);
      if (const Line* const line = use.ready()) {
        StartedCall started{ticket, Lease(), subchannel->target, line->owner, nullptr};
        return CreateStartedCall(line->channel.get(), std::move(started), method, context, queue);
      }
    }
    const auto endpoint = ticket.endpoint;
    engine().FinishCall(&ticket, ::grpc::StatusCode::UNAVAILABLE, true, {});
    Driver::Get().Post([weak = weak_from_this(), endpoint] {
      if (auto core = weak.lock()) core->Refresh(endpoint);
    });
    return std::nullopt;
  }

  // Loop: the waiter is settled now or later.
  void Await(std::shared_ptr<Waiter> waiter) {
    if (!waiter->Settle()) waiters_.push_back(std::move(waiter));
  }
  void Forget(const std::shared_ptr<Waiter>& waiter) { waiters_.remove(waiter); }

  // Any thread.
  ::grpc::Status SetServiceConfig(const std::string& json) {
    return engine().SetServiceConfig(json);  // which orders AdoptServiceConfig()
  }

  // Any thread. The tag comes out of the queue with ok = true when the state is no longer `last`, with ok = false at the
  // deadline.
  void NotifyOnStateChange(grpc_connectivity_state last, gpr_timespec deadline, ::grpc::CompletionQueue* queue,
                           void* tag);

  void Handle(const Event& event) override;

  // How many watches on the connectivity of inner channels run in this process: one for each channel. For tests.
  static int64_t Watches() { return watches_; }

 private:
  struct StateWatcher {
    uint32_t last = 0;
    std::shared_ptr<::grpc::Channel> trigger;
    std::shared_ptr<::grpc::Alarm> timer;
  };

  Core(Transport transport, CallObserver observer)
      : token_(Driver::Get().NewToken()), transport_(std::move(transport)) {
    ledger_.observer = std::move(observer);
  }

  std::shared_ptr<Ledger> Lease() { return {shared_from_this(), &ledger_}; }

  // The engine's orders.
  void Connect(uint32_t endpoint);
  void Disconnect(uint32_t endpoint);
  void CancelCalls(uint32_t endpoint);
  static void CancelCallsOf(const std::shared_ptr<Subchannel>& subchannel, uint64_t owner);
  void Close(uint32_t endpoint);
  void SettleWaiters();
  void TriggerStateWatchers();

  // Connections.
  Subchannel* FindOwned(uint32_t endpoint);
  std::shared_ptr<::grpc::Channel> NewInnerChannel(Subchannel& subchannel);
  void Watch(const Subchannel& subchannel, const std::shared_ptr<::grpc::Channel>& channel,
             grpc_connectivity_state seen);
  void Changed(uint32_t endpoint, uint64_t id, const std::shared_ptr<::grpc::Channel>& channel);
  void Refresh(uint32_t endpoint);
  void Observe(Subchannel& subchannel, grpc_connectivity_state state);
  void Tell(Subchannel& subchannel, uint32_t state, const std::string& error);
  void ObserveHealth(Subchannel& subchannel);
  void WatchHealth(Subchannel& subchannel);
  void AskWhy(Subchannel& subchannel);
  void TakeOver(const std::shared_ptr<Subchannel>& subchannel);
  static void Retire(const std::shared_ptr<Subchannel>& subchannel, std::shared_ptr<const Line> line);
  void AdoptServiceConfig(const std::string& json);

  inline static std::atomic<int64_t> watches_{0};

  const uint64_t token_;
  Ledger ledger_;
  SubchannelTable table_;
  std::string authority_;

  // Loop only.
  Transport transport_;
  std::map<uint32_t, std::shared_ptr<Subchannel>> subchannels_;
  std::list<std::shared_ptr<Waiter>> waiters_;
  std::list<StateWatcher> state_watchers_;
};

inline void Core::Handle(const Event& event) {
  switch (event.kind) {
    case EVENER_EVENT_CONNECT:
      return Connect(event.endpoint);
    case EVENER_EVENT_DISCONNECT:
      return Disconnect(event.endpoint);
    case EVENER_EVENT_CANCEL_CALLS:
      return CancelCalls(event.endpoint);
    case EVENER_EVENT_CLOSE:
      return Close(event.endpoint);
    case EVENER_EVENT_STATE_CHANGED:
      return TriggerStateWatchers();
    case EVENER_EVENT_PICK_AGAIN:
      return SettleWaiters();
    case EVENER_EVENT_SERVICE_CONFIG:
      return AdoptServiceConfig(event.text);
    case EVENER_EVENT_LOG:
      return Log(static_cast<LogLevel>(event.level), event.text);
    default:
      return Log(LogLevel::kDebug, "unknown order " + std::to_string(event.kind) + " of the engine");
  }
}

inline void Core::Connect(uint32_t endpoint) {
  auto& subchannel = subchannels_[endpoint];
  if (!subchannel) {
    subchannel = std::make_shared<Subchannel>();
    subchannel->endpoint = endpoint;
    subchannel->target = std::make_shared<const std::string>(engine().EndpointTarget(endpoint));
    table_.Put(endpoint, subchannel.get());
  }
  if (const auto channel = subchannel->channel()) {  // which is watched
    channel->GetState(/*try_to_connect=*/true);
    return;
  }
  Retire(subchannel, subchannel->Install(NewInnerChannel(*subchannel)));
  Changed(endpoint, subchannel->id, subchannel->channel());
}

inline void Core::Disconnect(uint32_t endpoint) {
  const auto found = subchannels_.find(endpoint);
  if (found == subchannels_.end()) return;
  const auto& subchannel = found->second;
  subchannel->next.reset();
  subchannel->health.reset();
  Retire(subchannel, subchannel->Install(nullptr));
  Tell(*subchannel, GRPC_CHANNEL_IDLE, {});
}

// The calls from now on are another owner's: should the endpoint be listed again, they are none of those that are cancelled.
inline void Core::CancelCalls(uint32_t endpoint) {
  const auto found = subchannels_.find(endpoint);
  if (found == subchannels_.end()) return;
  const auto subchannel = found->second;
  const auto owner = std::exchange(subchannel->owner, NewNumber());
  Retire(subchannel, subchannel->Install(subchannel->channel()));
  CancelCallsOf(subchannel, owner);
}

inline void Core::CancelCallsOf(const std::shared_ptr<Subchannel>& subchannel, uint64_t owner) {
  // Looked at first: who enters later gets another owner, who is inside now may not be in the registry yet.
  const bool again = subchannel->users.load() != 0;
  const std::string text =
      "the endpoint " + *subchannel->target + " was removed and this call outlasted the drain timeout";
  CallRegistry::Get().Cancel(owner, GRPC_STATUS_UNAVAILABLE, text.c_str());
  if (!again) return;
  Driver::Get().At(InMilliseconds(1), [subchannel, owner](bool) { CancelCallsOf(subchannel, owner); });
}

inline void Core::Close(uint32_t endpoint) {
  // No call is started on it any more, so that nobody looks at it but the loop.
  table_.Put(endpoint, nullptr);
  subchannels_.erase(endpoint);
  engine().EndpointClosed(endpoint);
}

inline void Core::SettleWaiters() {
  // A settled waiter's user may act at once, and even make the next call: the list is walked as it was.
  std::list<std::shared_ptr<Waiter>> again;
  again.swap(waiters_);
  while (!again.empty()) {
    auto waiter = std::move(again.front());
    again.pop_front();
    if (!waiter->Settle()) waiters_.push_back(std::move(waiter));
  }
}

inline Subchannel* Core::FindOwned(uint32_t endpoint) {
  const auto found = subchannels_.find(endpoint);
  return found == subchannels_.end() ? nullptr : found->second.get();
}

// The user's interceptors first, as on a stock channel; ours last, closest to the wire. Both skip calls that are not the user's.
inline std::shared_ptr<::grpc::Channel> Core::NewInnerChannel(Subchannel& subchannel) {
  access::Interceptors interceptors;
  for (const auto& factory : transport_.interceptors) {
    interceptors.push_back(access::Factory([factory](access::RpcInfo* info) -> access::Interceptor* {
      return StartedCall::Current() == nullptr ? nullptr : factory->CreateClientInterceptor(info);
    }));
  }
  interceptors.push_back(ReportFactory());
  subchannel.service_config = InnerServiceConfig(transport_.service_config, *subchannel.target);
  const auto arguments = transport_.arguments.ForInnerChannel(
      {*subchannel.target, authority_, subchannel.service_config, std::to_string(subchannel.id)});
  return ::grpc::experimental::CreateCustomChannelWithInterceptors(
      *subchannel.target, transport_.credentials, arguments, std::move(interceptors));
}

// Calls Changed() when the channel's state is no longer the one seen. gRPC ends the watch also when the channel is destroyed.
inline void Core::Watch(const Subchannel& subchannel, const std::shared_ptr<::grpc::Channel>& channel,
                        grpc_connectivity_state seen) {
  const auto changed = [weak = weak_from_this(), endpoint = subchannel.endpoint, id = subchannel.id,
                        watched = std::weak_ptr<::grpc::Channel>(channel)](bool) {
    --watches_;
    const auto core = weak.lock();
    const auto alive = watched.lock();
    if (core && alive) core->Changed(endpoint, id, alive);
  };
  ++watches_;
  access::Door::NotifyOnStateChange(channel.get(), seen, gpr_inf_future(GPR_CLOCK_REALTIME),
                                    Driver::Get().queue(), Driver::Tag(changed));
}

inline void Core::Changed(uint32_t endpoint, uint64_t id, const std::shared_ptr<::grpc::Channel>& channel) {
  const auto found = subchannels_.find(endpoint);
  if (found == subchannels_.end() || found->second->id != id) return;
  const auto subchannel = found->second;
  if (channel != subchannel->channel() && channel != subchannel->next) return;
  const auto state = channel->GetState(/*try_to_connect=*/true);
  Watch(*subchannel, channel, state);
  if (channel == subchannel->channel()) return Observe(*subchannel, state);
  if (state == GRPC_CHANNEL_READY) TakeOver(subchannel);
}

inline void Core::Refresh(uint32_t endpoint) {
  Subchannel* const subchannel = FindOwned(endpoint);
  const auto channel = subchannel == nullptr ? nullptr : subchannel->channel();
  if (channel) Observe(*subchannel, channel->GetState(/*try_to_connect=*/true));
}

inline void Core::Observe(Subchannel& subchannel, grpc_connectivity_state state) {
  // A replacement is worth waiting for only while the former channel serves.
  if (state != GRPC_CHANNEL_READY && subchannel.next) return TakeOver(subchannels_[subchannel.endpoint]);
  if (state != GRPC_CHANNEL_READY) subchannel.health.reset();
  if (state == GRPC_CHANNEL_TRANSIENT_FAILURE) return AskWhy(subchannel);
  if (state == GRPC_CHANNEL_READY) return ObserveHealth(subchannel);
  Tell(subchannel, state, {});
}

// Connected: what counts now is the server's health, if it is to be asked for. As gRFC A17 has it, CONNECTING until the first
// answer, and a server that does not serve is a failure.
inline void Core::ObserveHealth(Subchannel& subchannel) {
  WatchHealth(subchannel);
  switch (subchannel.health ? subchannel.health->health() : HealthWatch::Health::kServing) {
    case HealthWatch::Health::kUnknown:
      return Tell(subchannel, GRPC_CHANNEL_CONNECTING, {});
    case HealthWatch::Health::kServing:
      return Tell(subchannel, GRPC_CHANNEL_READY, {});
    case HealthWatch::Health::kNotServing:
      return Tell(subchannel, GRPC_CHANNEL_TRANSIENT_FAILURE, subchannel.health->reason());
  }
}

// Begins or ends the watch of a connected endpoint, as the service config wants it now. One that has been taking calls takes
// them until the first answer.
inline void Core::WatchHealth(Subchannel& subchannel) {
  const auto service = engine().HealthService();
  if (!service || (subchannel.health && subchannel.health->service() != *service)) subchannel.health.reset();
  if (!service || subchannel.health) return;
  const bool serves = subchannel.reported == GRPC_CHANNEL_READY;
  const auto initial = serves ? HealthWatch::Health::kServing : HealthWatch::Health::kUnknown;
  subchannel.health = HealthWatch::Begin(subchannel.channel(), *service, initial,
                                         [weak = weak_from_this(), endpoint = subchannel.endpoint] {
                                           if (auto core = weak.lock()) core->Refresh(endpoint);
                                         });
}

inline void Core::Tell(Subchannel& subchannel, uint32_t state, const std::string& error) {
  const bool known = subchannel.reported == state && state != GRPC_CHANNEL_TRANSIENT_FAILURE;
  subchannel.reported = state;
  if (!known) engine().SetState(subchannel.endpoint, state, error);
}

// gRPC tells why a connection fails only to calls. So one is made that cannot leave the client while the channel is in transient
// failure, without interceptors of ours or the user's, and its status is the reason. (Should the connection succeed in the very
// moment, the server sees a call to a method that it does not have.)
inline void Core::AskWhy(Subchannel& subchannel) {
  if (subchannel.probing) return;
  subchannel.probing = true;
  if (subchannel.reported == GRPC_CHANNEL_READY) Tell(subchannel, GRPC_CHANNEL_CONNECTING, {});

  struct Probe {
    explicit Probe(const std::shared_ptr<::grpc::Channel>& channel) : stub(channel) {}
    ::grpc::ClientContext context;
    ::grpc::GenericStub stub;
    ::grpc::ByteBuffer reply;
    ::grpc::Status status;
    std::unique_ptr<::grpc::GenericClientAsyncResponseReader> reader;
  };
  const auto probe = std::make_shared<Probe>(subchannel.channel());
  probe->context.set_deadline(InMilliseconds(5000));
  const ::grpc::ByteBuffer empty;
  probe->reader = probe->stub.PrepareUnaryCall(&probe->context, "/evener.Probe/WhyNot", empty, Driver::Get().queue());
  probe->reader->StartCall();
  const auto answered = [weak = weak_from_this(), probe, endpoint = subchannel.endpoint, id = subchannel.id](bool) {
    const auto core = weak.lock();
    Subchannel* const asked = core ? core->FindOwned(endpoint) : nullptr;
    if (asked == nullptr || asked->id != id) return;
    asked->probing = false;
    const auto channel = asked->channel();
    if (!channel) return;
    const auto state = channel->GetState(/*try_to_connect=*/true);
    const bool still = state == GRPC_CHANNEL_TRANSIENT_FAILURE;
    core->Tell(*asked, state, still ? probe->status.error_message() : std::string());
  };
  probe->reader->Finish(&probe->reply, &probe->status, Driver::Tag(answered));
}

inline void Core::TakeOver(const std::shared_ptr<Subchannel>& subchannel) {
  Retire(subchannel, subchannel->Install(std::exchange(subchannel->next, nullptr)));
  Observe(*subchannel, subchannel->channel()->GetState(/*try_to_connect=*/true));
}

// Frees the exchanged line once nobody can be looking at it any more; see Use. Such looks last microseconds, so that a
// millisecond later is soon enough to try again.
inline void Core::Retire(const std::shared_ptr<Subchannel>& subchannel, std::shared_ptr<const Line> line) {
  if (!line || subchannel->users.load() == 0) return;
  Driver::Get().At(InMilliseconds(1), [subchannel, line = std::move(line)](bool) mutable {
    Retire(subchannel, std::move(line));
  });
}

// Inner channels get the new methodConfig. A connected one is replaced when its successor, which shares the connection, is ready.
inline void Core::AdoptServiceConfig(const std::string& json) {
  transport_.service_config = json;
  for (auto& [endpoint, subchannel] : subchannels_) {
    if (!subchannel->channel()) continue;
    if (subchannel->channel()->GetState(false) == GRPC_CHANNEL_READY) ObserveHealth(*subchannel);
    if (InnerServiceConfig(json, *subchannel->target) == subchannel->service_config) continue;
    subchannel->next = NewInnerChannel(*subchannel);
    if (subchannel->reported != GRPC_CHANNEL_READY) TakeOver(subchannel);
    Changed(endpoint, subchannel->id, subchannel->next ? subchannel->next : subchannel->channel());
  }
}

// gRPC delivers a tag with ok = true only for an operation of its own. So each notification is a watch on an idle channel of its
// own, whose state is changed, by asking it to connect to nowhere, when ours changes. The deadline is gRPC's work.
inline void Core::NotifyOnStateChange(grpc_connectivity_state last, gpr_timespec deadline,
                                      ::grpc::CompletionQueue* queue, void* tag) {
  ::grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  const auto trigger =
      ::grpc::CreateCustomChannel("unix:/nonexistent/evener", ::grpc::InsecureChannelCredentials(), arguments);
  access::Door::NotifyOnStateChange(trigger.get(), trigger->GetState(false), deadline, queue, tag);
  Driver::Get().Post([self = shared_from_this(), last, deadline, trigger] {
    if (self->engine().State(false) != static_cast<uint32_t>(last)) {
      trigger->GetState(/*try_to_connect=*/true);
      return;
    }
    const auto forget = [weak = self->weak_from_this(), trigger](bool) {
      const auto core = weak.lock();
      if (core) core->state_watchers_.remove_if([&](const StateWatcher& w) { return w.trigger == trigger; });
    };
    self->state_watchers_.push_back({static_cast<uint32_t>(last), trigger, Driver::Get().At(deadline, forget)});
  });
}

inline void Core::TriggerStateWatchers() {
  const auto state = engine().State(false);
  for (auto watcher = state_watchers_.begin(); watcher != state_watchers_.end();) {
    if (watcher->last == state) {
      ++watcher;
      continue;
    }
    watcher->trigger->GetState(/*try_to_connect=*/true);
    watcher->timer->Cancel();
    watcher = state_watchers_.erase(watcher);
  }
}

}  // namespace evener::grpc::detail

#endif  // EVENER_GRPC_CORE_HPP
