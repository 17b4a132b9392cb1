// The one driver of the process: the thread that takes the engine's orders, and the thread ("the loop") that carries them out,
// watches connections and runs timers. Both start with the first channel and live until the process ends: a call may outlive
// every channel object, and a thread that is never joined cannot be joined too early.
//
// Everything that changes a channel's transport runs on the loop, one thing after the other, so that this state needs no lock.
// Of the user's code only interceptors of calls that had to wait run there.
//
// A forked child has neither thread, nor gRPC's, and locks that they held stay locked in it: all it can do with the driver is say so.
// One that was forked off before there was a driver makes its own.
#ifndef EVENER_GRPC_DRIVER_HPP
#define EVENER_GRPC_DRIVER_HPP

#include <evener.h>
#include <grpcpp/alarm.h>
#include <grpcpp/completion_queue.h>
#include <grpcpp/support/status.h>
#include <pthread.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "log.hpp"

namespace evener::grpc::detail {

// An engine's order, copied out of the driver's buffer.
struct Event {
  uint32_t kind = 0;
  uint32_t endpoint = 0;
  uint32_t state = 0;
  uint32_t level = 0;
  uint64_t resolver = 0;
  std::string text;
};

// Takes the orders for one channel; called on the loop.
class EventHandler {
 public:
  virtual ~EventHandler() = default;
  virtual void Handle(const Event& event) = 0;
};

class Driver {
 public:
  using Task = std::function<void()>;
  using Completion = std::function<void(bool ok)>;

  static Driver& Get() {
    static auto* const driver = new Driver;
    return *driver;
  }

  // Whether this process was forked off the one that has the driver; see Inherited(). Takes no lock.
  static bool IsInherited() { return inherited_.load(std::memory_order_relaxed); }

  // Null when the engine's driver could not be made or is another process's; channels then fail with a text that says so.
  const evener_driver* engine() const { return IsInherited() ? nullptr : engine_; }

  // For operations whose end is to be handled on the loop, with a tag made by Tag().
  ::grpc::CompletionQueue* queue() { return &queue_; }
  static void* Tag(Completion done) { return new Completion(std::move(done)); }

  // Runs the task on the loop, after those posted before it. Any thread; never runs it at once. In a forked child, where there is no loop,
  // it is dropped.
  void Post(Task task) {
    if (IsInherited()) return;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      tasks_.push_back(std::move(task));
      if (waking_) return;
      waking_ = true;
    }
    // The far past rather than now: a timer that lies even 0 ms ahead costs a millisecond.
    At(gpr_inf_past(GPR_CLOCK_MONOTONIC), [this](bool) { RunTasks(); });
  }

  // Runs done(true) on the loop at that time, or done(false) soon after Cancel() of the answer. The alarm lives until then,
  // whether the caller keeps it or not.
  std::shared_ptr<::grpc::Alarm> At(gpr_timespec when, Completion done) {
    auto alarm = std::make_shared<::grpc::Alarm>();
    alarm->Set(&queue_, when, Tag([alarm, done = std::move(done)](bool ok) { done(ok); }));
    return alarm;
  }

  // Orders that carry the token go to the handler as long as it lives. Any thread.
  uint64_t NewToken() {
    std::lock_guard<std::mutex> lock(mutex_);
    return ++last_token_;
  }
  void Route(uint64_t token, std::weak_ptr<EventHandler> handler) {
    std::lock_guard<std::mutex> lock(mutex_);
    handlers_[token] = std::move(handler);
  }
  void Unroute(uint64_t token) {
    std::lock_guard<std::mutex> lock(mutex_);
    handlers_.erase(token);
  }

  // Orders about resolvers go there, on the thread that takes the orders, from now on.
  void RouteResolvers(std::function<void(const Event&)> handler) {
    std::lock_guard<std::mutex> lock(mutex_);
    resolvers_ = std::move(handler);
  }

 private:
  Driver() {
    evener_driver* engine = nullptr;
    if (pthread_atfork(nullptr, nullptr, [] { inherited_ = true; }) == 0 && evener_driver_new(&engine) == EVENER_OK) {
      engine_ = engine;
      std::thread([this] { TakeOrders(); }).detach();
    } else {
      Log(LogLevel::kError, "the engine's driver cannot be started");
    }
    std::thread([this] { RunLoop(); }).detach();
  }

  void RunLoop() {
    void* tag = nullptr;
    bool ok = false;
    while (queue_.Next(&tag, &ok)) {
      std::unique_ptr<Completion> done(static_cast<Completion*>(tag));
      (*done)(ok);
    }
  }

  void RunTasks() {
    std::vector<Task> tasks;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      tasks.swap(tasks_);
      waking_ = false;
    }
    for (auto& task : tasks) {
      task();
      task = nullptr;  // what it holds is let go before the next one runs
    }
  }

  void TakeOrders() {
    evener_event event{};
    for (;;) {
      const auto status = evener_driver_next(engine_, -1, &event);
      if (status == EVENER_TIMEOUT) continue;
      if (status != EVENER_OK) return Log(LogLevel::kError, "the engine's driver has stopped");
      Deliver(event);
    }
  }

  static bool IsAboutResolver(uint32_t kind) {
    return kind == EVENER_EVENT_RESOLVE_START || kind == EVENER_EVENT_RESOLVE_STOP || kind == EVENER_EVENT_RESOLVE_NOW;
  }

  void Deliver(const evener_event& event) {
    Event copy{event.kind, event.endpoint, event.state, event.level, event.resolver, {}};
    if (event.text != nullptr) copy.text.assign(event.text, event.text_len);
    if (!IsAboutResolver(event.kind)) return DeliverTo(event.token, std::move(copy));
    std::function<void(const Event&)> resolvers;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      resolvers = resolvers_;
    }
    if (resolvers) resolvers(copy);
  }

  void DeliverTo(uint64_t token, Event copy) {
    std::weak_ptr<EventHandler> handler;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      const auto found = handlers_.find(token);
      if (found == handlers_.end()) return;
      handler = found->second;
    }
    Post([handler, copy = std::move(copy)] {
      if (auto strong = handler.lock()) strong->Handle(copy);
    });
  }

  inline static std::atomic<bool> inherited_{false};

  evener_driver* engine_ = nullptr;
  ::grpc::CompletionQueue queue_;
  std::mutex mutex_;  // guards what follows; never held while anything is called
  std::vector<Task> tasks_;
  bool waking_ = false;
  uint64_t last_token_ = 0;
  std::unordered_map<uint64_t, std::weak_ptr<EventHandler>> handlers_;
  std::function<void(const Event&)> resolvers_;
};

// What everything is answered with in such a child.
inline ::grpc::Status Inherited() {
  return {::grpc::StatusCode::UNAVAILABLE,
          "this process was forked off one that had used evener already, and has none of its threads: fork before the first channel, "
          "registration or configuration is made, and make them in the child"};
}

}  // namespace evener::grpc::detail

#endif  // EVENER_GRPC_DRIVER_HPP
