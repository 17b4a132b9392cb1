// Resolvers of the application's own, for schemes of its own.
//
//   class Users final : public evener::grpc::Resolver {
//    public:
//     void Start(const std::string& target, evener::grpc::ResolverSink sink) override { sink.Push({"10.0.0.1:50051"}); }
//   };
//   evener::grpc::RegisterScheme("users", [] { return std::make_unique<Users>(); });
//   auto channel = evener::grpc::CreateChannel("users:///all", credentials);
#ifndef EVENER_GRPC_RESOLVER_HPP
#define EVENER_GRPC_RESOLVER_HPP

#include <evener.h>
#include <grpc/support/time.h>
#include <grpcpp/support/status.h>

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "driver.hpp"
#include "endpoint.hpp"
#include "engine.hpp"
#include "log.hpp"

namespace evener::grpc {

// Where a resolver says what it knows. To be copied and used from any thread; nothing here blocks. After the target is no longer
// resolved, what is said is dropped and answered FAILED_PRECONDITION.
class ResolverSink {
 public:
  explicit ResolverSink(uint64_t resolver) : resolver_(resolver) {}

  // All the servers there are, as of now. None at all means that there is none, which is another thing than not to know: see Fail().
  // INVALID_ARGUMENT with the reason when an endpoint cannot be understood: what was pushed before stays, and the target's resolution shows
  // the reason.
  ::grpc::Status Push(const std::vector<Endpoint>& endpoints) const {
    if (detail::Driver::IsInherited()) return detail::Inherited();
    const detail::BorrowedEndpoints list(endpoints);
    detail::ErrorText error;
    const auto status = evener_resolver_push(Driver(), resolver_, list.data(), list.size(), error.out());
    if (status >= 100 && status != EVENER_STALE) {
      Fail(error.str());
      return {::grpc::StatusCode::INVALID_ARGUMENT, error.str()};
    }
    return Answer(status);
  }

  // The servers cannot be found out now, and why, for people. What was pushed before stays in use.
  ::grpc::Status Fail(const std::string& reason) const {
    return Answer(evener_resolver_fail(Driver(), resolver_, reason.data(), reason.size()));
  }

  // The service config that goes with the servers, or none any more. Said before Push() it is in force when they come. One that is
  // wrong is refused by the channels, in their log; the one before stays.
  ::grpc::Status SetServiceConfig(const std::optional<std::string>& json) const {
    const char* const data = json ? json->data() : nullptr;
    return Answer(evener_resolver_service_config(Driver(), resolver_, data, json ? json->size() : 0));
  }

 private:
  static const evener_driver* Driver() { return detail::Driver::Get().engine(); }

  static ::grpc::Status Answer(evener_status status) {
    if (detail::Driver::IsInherited()) return detail::Inherited();
    if (status == EVENER_OK) return ::grpc::Status::OK;
    if (status == EVENER_STALE) return {::grpc::StatusCode::FAILED_PRECONDITION, "the target is no longer resolved"};
    return {::grpc::StatusCode::INVALID_ARGUMENT, evener_status_message(status)};
  }

  uint64_t resolver_;
};

// Resolves one target. Its functions are called one at a time, on a thread that all such resolvers share: one that blocks holds up the
// others, but no call. What they throw ends up in the target's resolution and in the log; nothing else suffers.
class Resolver {
 public:
  Resolver() = default;
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;
  virtual ~Resolver() = default;

  // Begins to resolve. What becomes known is pushed into `sink`, from any thread, now or at any time until Stop(). If this throws, another
  // resolver is made and started after a pause: a second, then twice as long each time, at most a minute.
  virtual void Start(const std::string& target, ResolverSink sink) = 0;
  // Somebody has reason to think that what was pushed last is out of date: a connection was lost, say.
  virtual void ResolveNow() {}
  // The target is no longer resolved: the last thing that is called. The object is destroyed after it.
  virtual void Stop() {}
};

using ResolverFactory = std::function<std::unique_ptr<Resolver>()>;

namespace detail {

// Runs code of the user's; why it failed, or nothing.
template <class Code>
std::optional<std::string> RunGuarded(Code code) {
#if defined(__cpp_exceptions)
  try {
    code();
    return std::nullopt;
  } catch (const std::exception& thrown) {
    return thrown.what();
  } catch (...) {
    return "something that is no std::exception was thrown";
  }
#else
  code();
  return std::nullopt;
#endif
}

// The thread that runs resolvers, and the resolvers that run. It starts with the first scheme and lives until the process ends.
class ResolverHost {
 public:
  static ResolverHost& Get() {
    static auto* const host = new ResolverHost;
    return *host;
  }

  ::grpc::Status Register(const std::string& scheme, ResolverFactory factory) {
    const auto* const driver = Driver::Get().engine();
    if (driver == nullptr) return {::grpc::StatusCode::INTERNAL, "the engine's driver could not be started"};
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      factories_[Lower(scheme)] = std::make_shared<const ResolverFactory>(std::move(factory));
    }
    ErrorText error;
    const auto status = evener_driver_register_scheme(driver, scheme.data(), scheme.size(), error.out());
    if (status == EVENER_OK) return ::grpc::Status::OK;
    const auto text = error.str();
    return {::grpc::StatusCode::INVALID_ARGUMENT, text.empty() ? evener_status_message(status) : text};
  }

 private:
  using Task = std::function<void()>;

  struct Running {
    std::string target;
    std::unique_ptr<Resolver> resolver;  // null while it is to be started again
    int failures = 0;
  };

  ResolverHost() {
    std::thread([this] { RunTasks(); }).detach();
    Driver::Get().RouteResolvers([this](const Event& event) { Post([this, event] { Handle(event); }); });
  }

  void Post(Task task) {
    const std::lock_guard<std::mutex> lock(mutex_);
    tasks_.push_back(std::move(task));
    changed_.notify_one();
  }

  void RunTasks() {
    for (;;) {
      Task task;
      {
        std::unique_lock<std::mutex> lock(mutex_);
        changed_.wait(lock, [this] { return !tasks_.empty(); });
        task = std::move(tasks_.front());
        tasks_.pop_front();
      }
      task();
    }
  }

  // What follows runs on the host's thread.

  void Handle(const Event& event) {
    switch (event.kind) {
      case EVENER_EVENT_RESOLVE_START:
        running_[event.resolver].target = event.text;
        return Start(event.resolver);
      case EVENER_EVENT_RESOLVE_STOP:
        return Stop(event.resolver);
      default:
        return ResolveNow(event.resolver);
    }
  }

  void Start(uint64_t number) {
    const auto found = running_.find(number);
    if (found == running_.end() || found->second.resolver) return;
    Running& running = found->second;
    const auto factory = FactoryOf(running.target);
    const auto failure = RunGuarded([&] {
      if (factory) running.resolver = (*factory)();
      if (running.resolver) running.resolver->Start(running.target, ResolverSink(number));
    });
    if (!failure && running.resolver) {
      running.failures = 0;
      return;
    }
    Drop(running);
    const std::string reason = failure ? *failure : "the factory made no resolver";
    Log(LogLevel::kWarning, "resolver of " + Redacted(running.target) + ": " + reason);
    static_cast<void>(ResolverSink(number).Fail(reason));
    StartLater(number, running.failures++);
  }

  void StartLater(uint64_t number, int failures) {
    constexpr int64_t kLongest = 60'000;
    const int64_t pause = failures < 6 ? int64_t{1000} << failures : kLongest;
    const auto when = gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                                   gpr_time_from_millis(pause < kLongest ? pause : kLongest, GPR_TIMESPAN));
    Driver::Get().At(when, [this, number](bool) { Post([this, number] { Start(number); }); });
  }

  void ResolveNow(uint64_t number) {
    const auto found = running_.find(number);
    if (found == running_.end() || !found->second.resolver) return;
    Warn(found->second, RunGuarded([&] { found->second.resolver->ResolveNow(); }));
  }

  void Stop(uint64_t number) {
    const auto found = running_.find(number);
    if (found == running_.end()) return;
    Running& running = found->second;
    if (running.resolver) Warn(running, RunGuarded([&] { running.resolver->Stop(); }));
    Drop(running);
    running_.erase(found);
  }

  static void Drop(Running& running) {
    Warn(running, RunGuarded([&] { running.resolver.reset(); }));
  }

  static void Warn(const Running& running, const std::optional<std::string>& failure) {
    if (failure) Log(LogLevel::kWarning, "resolver of " + Redacted(running.target) + ": " + *failure);
  }

  std::shared_ptr<const ResolverFactory> FactoryOf(const std::string& target) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = factories_.find(target.substr(0, target.find(':')));
    return found == factories_.end() ? nullptr : found->second;
  }

  static std::string Lower(std::string text) {
    for (char& c : text) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    return text;
  }

  std::map<uint64_t, Running> running_;  // the host's thread only

  std::mutex mutex_;  // guards what follows; never held while anything of the user's is called
  std::condition_variable changed_;
  std::deque<Task> tasks_;
  std::map<std::string, std::shared_ptr<const ResolverFactory>> factories_;
};

}  // namespace detail

// Makes a scheme the application's own: for each target ("scheme:///...") that channels opened after this have, the factory makes a
// resolver, on the resolvers' thread. A built-in scheme may be taken over; a scheme that is registered again has the new factory from
// then on. INVALID_ARGUMENT with the reason for what is no scheme; UNAVAILABLE in a forked child, as for its channels. Any thread.
inline ::grpc::Status RegisterScheme(const std::string& scheme, ResolverFactory factory) {
  if (detail::Driver::IsInherited()) return detail::Inherited();
  return detail::ResolverHost::Get().Register(scheme, std::move(factory));
}

}  // namespace evener::grpc

#endif  // EVENER_GRPC_RESOLVER_HPP
