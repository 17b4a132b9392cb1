// evener for C++17: header-only owners and views over evener.h. No exceptions are thrown; it compiles with -fno-exceptions.
//
// What can fail answers a Result or a Status that must be looked at. Owners (Balancer, Ticket, Driver, Channel, Call) move and do not
// copy; each frees what it has. Thread-safety is that of the C functions: a Balancer's picks, a Channel and a Driver belong to all
// threads, a Controller to one at a time.
//
// With EVENER_BARE defined only the balancer is here, for use with the bare library.
//
// SPDX-License-Identifier: MIT OR Apache-2.0
#ifndef EVENER_HPP
#define EVENER_HPP

#include "evener.h"

#include <cassert>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace evener {

// ---- answers ----

// What a call answered, when it answers nothing else.
class [[nodiscard]] Status {
 public:
  Status(evener_status code) : code_(code) {}  // NOLINT: the C answer is the status
  bool ok() const { return code_ == EVENER_OK; }
  explicit operator bool() const { return ok(); }
  evener_status code() const { return code_; }
  const char* message() const { return evener_status_message(code_); }
  friend bool operator==(Status a, evener_status b) { return a.code_ == b; }
  friend bool operator!=(Status a, evener_status b) { return a.code_ != b; }

 private:
  evener_status code_;
};

// A value, or why there is none, in words where words were given.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : status_(EVENER_OK), value_(std::move(value)) {}  // NOLINT: as one writes `return value`
  Result(Status status, std::string why = {}) : status_(status), why_(std::move(why)) {}  // NOLINT: as one writes `return status`
  bool ok() const { return value_.has_value(); }
  explicit operator bool() const { return ok(); }
  Status status() const { return status_; }
  // Why there is no value.
  std::string message() const { return why_.empty() ? std::string(status_.message()) : why_; }
  // The value, which must be there.
  T& operator*() { return assert(ok()), *value_; }
  const T& operator*() const { return assert(ok()), *value_; }
  T* operator->() { return assert(ok()), &*value_; }
  const T* operator->() const { return assert(ok()), &*value_; }
  T take() { return assert(ok()), std::move(*value_); }

 private:
  Status status_;
  std::string why_;
  std::optional<T> value_;
};

// Zeroed, with its struct_size set: what the C functions want.
template <class T>
T sized() {
  T value{};
  value.struct_size = sizeof(T);
  return value;
}

// ---- the balancer ----

// Where one thread's picks stand. Not to be copied: two copies would repeat each other's picks.
class Cursor {
 public:
  Cursor() = default;
  // Gives the same picks every time: for tests.
  Cursor(std::uint32_t count, std::uint32_t key) { (void)evener_cursor_at(&raw_, count, key); }
  Cursor(const Cursor&) = delete;
  Cursor& operator=(const Cursor&) = delete;
  evener_cursor* raw() { return &raw_; }

 private:
  evener_cursor raw_{};
};

// What a pick answered: a handle if `status` is EVENER_OK; an evener_fail_reason if it is EVENER_FAIL.
struct [[nodiscard]] Pick {
  Status status;
  evener_handle handle;
  std::uint32_t reason;
};

// A call under way. Destroyed unfinished, it is counted as abandoned at the time it began.
class [[nodiscard]] Ticket {
 public:
  Ticket() = default;
  Ticket(const evener_balancer* balancer, const evener_ticket& raw) : balancer_(balancer), raw_(raw) {}
  Ticket(Ticket&& other) noexcept : balancer_(std::exchange(other.balancer_, nullptr)), raw_(other.raw_) {}
  Ticket& operator=(Ticket&& other) noexcept {
    if (this != &other) {
      abandon();
      balancer_ = std::exchange(other.balancer_, nullptr);
      raw_ = other.raw_;
    }
    return *this;
  }
  ~Ticket() { abandon(); }

  bool open() const { return balancer_ != nullptr; }
  evener_handle handle() const { return {raw_.slot, raw_.generation}; }
  std::uint64_t user() const { return raw_.user; }
  std::uint32_t start() const { return raw_.start; }

  Result<evener_finished> finish(evener_outcome outcome, std::uint32_t now) {
    evener_finished finished{};
    if (!balancer_) return Status(EVENER_STALE);
    Status status = evener_finish(std::exchange(balancer_, nullptr), &raw_, outcome, now, &finished);
    if (!status) return status;
    return finished;
  }

 private:
  void abandon() {
    if (balancer_) (void)finish(EVENER_OUTCOME_ABANDONED, raw_.start);
  }
  const evener_balancer* balancer_ = nullptr;
  evener_ticket raw_{};
};

// What a start answered: an open ticket if `status` is EVENER_OK; an evener_fail_reason if it is EVENER_FAIL.
struct [[nodiscard]] Start {
  Status status;
  Ticket ticket;
  std::uint32_t reason;
};

// The side that picks: a view, to be copied to every thread. Good as long as the Balancer it came from.
class Picker {
 public:
  explicit Picker(const evener_balancer* raw) : raw_(raw) {}
  const evener_balancer* raw() const { return raw_; }

  Pick pick(Cursor& cursor) const {
    evener_handle handle{};
    std::uint32_t reason = 0;
    Status status = evener_pick(raw_, cursor.raw(), &handle, &reason);
    return {status, handle, reason};
  }

  Start start(Cursor& cursor, std::uint32_t now) const {
    evener_ticket ticket{};
    std::uint32_t reason = 0;
    Status status = evener_start(raw_, cursor.raw(), now, &ticket, &reason);
    return {status, status ? Ticket(raw_, ticket) : Ticket(), reason};
  }

  Result<Ticket> begin(evener_handle handle, std::uint32_t now) const {
    evener_ticket ticket{};
    Status status = evener_begin(raw_, handle, now, &ticket);
    if (!status) return status;
    return Ticket(raw_, ticket);
  }

  Result<evener_counters> counters(evener_handle handle) const {
    evener_counters counters{};
    Status status = evener_counters_read(raw_, handle, &counters);
    if (!status) return status;
    return counters;
  }

 private:
  const evener_balancer* raw_;
};

// The side that decides: a view, for one thread at a time (others are answered EVENER_BUSY).
class Controller {
 public:
  explicit Controller(evener_controller* raw) : raw_(raw) {}
  evener_controller* raw() const { return raw_; }

  Result<evener_changes> update(const evener_endpoint* list, std::size_t count) const {
    evener_changes changes{};
    Status status = evener_controller_update(raw_, list, count, &changes);
    if (!status) return status;
    return changes;
  }
  Result<evener_changes> update(const std::vector<evener_endpoint>& list) const { return update(list.data(), list.size()); }

  Status set_policy(evener_policy_kind kind, bool shuffle = false) const {
    auto policy = sized<evener_policy>();
    policy.kind = kind;
    policy.flags = shuffle ? EVENER_POLICY_SHUFFLE : 0;
    return evener_controller_set_policy(raw_, &policy);
  }
  Status set_connectivity(evener_handle handle, evener_connectivity state) const {
    return evener_controller_set_connectivity(raw_, handle, state);
  }
  Status set_health(evener_handle handle, evener_health health) const {
    return evener_controller_set_health(raw_, handle, health);
  }
  Status set_drain_timeout(std::uint32_t ticks) const { return evener_controller_set_drain_timeout(raw_, ticks); }
  Status connect() const { return evener_controller_connect(raw_); }

  // The next thing to do; EVENER_NONE when there is nothing left.
  Result<evener_action> poll(std::uint32_t now) const {
    evener_action action{};
    Status status = evener_controller_poll(raw_, now, &action);
    if (!status) return status;
    return action;
  }
  // When to poll though nothing happens; EVENER_NONE if never.
  Result<std::uint32_t> next_deadline() const {
    std::uint32_t ticks = 0;
    Status status = evener_controller_next_deadline(raw_, &ticks);
    if (!status) return status;
    return ticks;
  }
  Result<evener_connectivity> state() const {
    std::uint32_t state = 0;
    Status status = evener_controller_state(raw_, &state);
    if (!status) return status;
    return static_cast<evener_connectivity>(state);
  }
  Result<evener_handle> handle(const std::uint64_t (&id)[2]) const {
    evener_handle handle{};
    Status status = evener_controller_handle(raw_, id, &handle);
    if (!status) return status;
    return handle;
  }
  Result<evener_endpoint_status> endpoint(evener_handle handle) const {
    evener_endpoint_status known{};
    Status status = evener_controller_endpoint(raw_, handle, &known);
    if (!status) return status;
    return known;
  }

 private:
  evener_controller* raw_;
};

// Owns the memory of a balancer and its controller, and ends both. Outlives every view and ticket of it.
class Balancer {
 public:
  // Room for so many endpoints; see evener_limits for the rest, made by sized<evener_limits>().
  static Result<Balancer> make(const evener_limits& limits) {
    std::size_t size = 0;
    Status status = evener_balancer_size(&limits, &size);
    if (!status) return status;
    Balancer made;
    made.memory_.reset(std::aligned_alloc(evener_balancer_align(), size));
    if (!made.memory_) return Status(EVENER_TOO_SMALL);
    std::memset(made.memory_.get(), 0, size);
    status = evener_balancer_init(made.memory_.get(), size, &limits, &made.balancer_, &made.controller_);
    if (!status) return status;
    return made;
  }
  static Result<Balancer> make(std::uint32_t endpoints) {
    auto limits = sized<evener_limits>();
    limits.endpoints = endpoints;
    limits.drain_timeout = 30'000'000;
    return make(limits);
  }

  Balancer(Balancer&& other) noexcept
      : memory_(std::move(other.memory_)),
        balancer_(std::exchange(other.balancer_, nullptr)),
        controller_(std::exchange(other.controller_, nullptr)) {}
  Balancer& operator=(Balancer&& other) noexcept {
    std::swap(memory_, other.memory_);
    std::swap(balancer_, other.balancer_);
    std::swap(controller_, other.controller_);
    return *this;
  }
  ~Balancer() {
    if (balancer_) (void)evener_balancer_fini(balancer_, controller_);
  }

  Picker picker() const { return Picker(balancer_); }
  Controller controller() const { return Controller(controller_); }

 private:
  struct Free {
    void operator()(void* memory) const { std::free(memory); }
  };
  Balancer() = default;
  std::unique_ptr<void, Free> memory_;
  evener_balancer* balancer_ = nullptr;
  evener_controller* controller_ = nullptr;
};

#ifndef EVENER_BARE

// ---- channels ----

// Calls a function that fills an evener_text, and again with more room until all fits. `fill` takes an evener_text*.
template <class Fill>
Result<std::string> text_of(Fill fill) {
  std::string text(256, '\0');
  for (;;) {
    evener_text buffer{text.data(), text.size(), 0};
    Status status = fill(&buffer);
    if (!status && status != EVENER_TOO_SMALL) return status;
    text.resize(buffer.length);
    if (status) return text;
  }
}

// Room for the words that explain a refusal.
class Reason {
 public:
  evener_text* buffer() { return &buffer_; }
  std::string text() const { return std::string(bytes_, buffer_.length < sizeof bytes_ ? buffer_.length : sizeof bytes_); }

 private:
  char bytes_[1024] = {};
  evener_text buffer_{bytes_, sizeof bytes_, 0};
};

// One endpoint of a list that the application gives. The texts must live until the call that takes it returns.
inline evener_address_endpoint endpoint(std::string_view addresses, std::uint32_t weight = 1, std::string_view zone = {}) {
  evener_address_endpoint made{};
  made.addresses = addresses.data();
  made.addresses_len = addresses.size();
  made.zone = zone.empty() ? nullptr : zone.data();
  made.zone_len = zone.size();
  made.weight = weight;
  return made;
}

inline std::int64_t milliseconds(std::optional<std::chrono::milliseconds> timeout) {
  return timeout ? (timeout->count() < 0 ? 0 : timeout->count()) : -1;
}

// Where a transport waits for what its channels ask of it.
class Driver {
 public:
  static Result<Driver> make() {
    evener_driver* raw = nullptr;
    Status status = evener_driver_new(&raw);
    if (!status) return status;
    return Driver(raw);
  }
  evener_driver* raw() const { return raw_.get(); }

  // The next event; EVENER_TIMEOUT, EVENER_SHUT_DOWN. No timeout: for ever. One thread at a time.
  Result<evener_event> next(std::optional<std::chrono::milliseconds> timeout = std::nullopt) const {
    evener_event event{};
    Status status = evener_driver_next(raw(), milliseconds(timeout), &event);
    if (!status) return status;
    return event;
  }
  Status shutdown() const { return evener_driver_shutdown(raw()); }

 private:
  struct Free {
    void operator()(evener_driver* raw) const { (void)evener_driver_free(raw); }
  };
  explicit Driver(evener_driver* raw) : raw_(raw) {}
  std::unique_ptr<evener_driver, Free> raw_;
};

// A call that a channel has started. Destroyed unfinished, it is reported as abandoned.
class [[nodiscard]] Call {
 public:
  Call() = default;
  Call(const evener_channel* channel, const evener_call& raw) : channel_(channel), raw_(raw) {}
  Call(Call&& other) noexcept : channel_(std::exchange(other.channel_, nullptr)), raw_(other.raw_) {}
  Call& operator=(Call&& other) noexcept {
    if (this != &other) {
      abandon();
      channel_ = std::exchange(other.channel_, nullptr);
      raw_ = other.raw_;
    }
    return *this;
  }
  ~Call() { abandon(); }

  bool open() const { return channel_ != nullptr; }
  std::uint32_t endpoint() const { return raw_.endpoint; }

  // Reports how it ended: a gRPC status code.
  Status finish(std::uint32_t code, std::chrono::nanoseconds latency) { return end(code, false, latency); }

 private:
  Status end(std::uint32_t code, bool abandoned, std::chrono::nanoseconds latency) {
    if (!channel_) return EVENER_STALE;
    auto report = sized<evener_report>();
    report.code = code;
    report.abandoned = abandoned ? 1 : 0;
    report.latency_ns = static_cast<std::uint64_t>(latency.count());
    return evener_channel_finish(std::exchange(channel_, nullptr), &raw_, &report);
  }
  void abandon() {
    if (channel_) (void)end(0, true, {});
  }
  const evener_channel* channel_ = nullptr;
  evener_call raw_{};
};

// What starting a call answered. EVENER_OK: `call` is open. EVENER_QUEUE: wait with `epoch`. EVENER_FAIL: fail with `code` and `message`.
struct [[nodiscard]] Started {
  Status status;
  Call call;
  std::uint64_t epoch = 0;
  std::uint32_t code = 0;
  std::string message;
};

// One channel. Outlives its calls.
class Channel {
 public:
  static Result<Channel> open(const Driver& driver, std::string_view target, const evener_channel_options* options = nullptr) {
    evener_channel* raw = nullptr;
    Reason why;
    Status status = evener_channel_open(driver.raw(), target.data(), target.size(), options, &raw, why.buffer());
    if (!status) return {status, why.text()};
    return Channel(raw);
  }
  evener_channel* raw() const { return raw_.get(); }

  // Starts a call; `wait_for_ready` unset means as the service config says.
  Started start(std::string_view method, std::optional<bool> wait_for_ready = std::nullopt) const {
    evener_call call{};
    std::uint32_t wait = wait_for_ready ? (*wait_for_ready ? 2 : 1) : 0;
    Status status = evener_channel_start(raw(), method.data(), method.size(), wait, &call);
    Started started{status, status ? Call(raw(), call) : Call(), call.epoch, call.code, {}};
    if (status == EVENER_FAIL) {
      auto why = text_of([this](evener_text* text) { return evener_channel_failure(raw(), text); });
      if (why) started.message = why.take();
    }
    return started;
  }
  // EVENER_OK when calls that wait with this epoch should start again, else EVENER_TIMEOUT.
  Status wait(std::uint64_t epoch, std::optional<std::chrono::milliseconds> timeout) const {
    return evener_channel_wait(raw(), epoch, milliseconds(timeout));
  }
  Result<evener_method_config> method(std::string_view name) const {
    evener_method_config config{};
    Status status = evener_channel_method(raw(), name.data(), name.size(), &config);
    if (!status) return status;
    return config;
  }

  Status set_state(std::uint32_t endpoint, evener_connectivity state, std::string_view error = {}) const {
    return evener_channel_set_state(raw(), endpoint, state, error.data(), error.size());
  }
  Status endpoint_closed(std::uint32_t endpoint) const { return evener_channel_endpoint_closed(raw(), endpoint); }
  Result<std::string> endpoint_target(std::uint32_t endpoint) const {
    return text_of([&](evener_text* text) { return evener_channel_endpoint_target(raw(), endpoint, text); });
  }
  Result<std::string> authority() const {
    return text_of([&](evener_text* text) { return evener_channel_authority(raw(), text); });
  }
  Result<std::string> describe() const {
    return text_of([&](evener_text* text) { return evener_channel_describe(raw(), text); });
  }

  // Both tell in `*why`, where it is given, what is wrong.
  Status update_endpoints(const std::vector<evener_address_endpoint>& list, std::string* why = nullptr) const {
    Reason reason;
    Status status = evener_channel_update_endpoints(raw(), list.data(), list.size(), reason.buffer());
    if (!status && why) *why = reason.text();
    return status;
  }
  Status set_service_config(std::string_view json, std::string* why = nullptr) const {
    Reason reason;
    Status status = evener_channel_set_service_config(raw(), json.data(), json.size(), reason.buffer());
    if (!status && why) *why = reason.text();
    return status;
  }

  evener_connectivity state(bool try_to_connect = false) const {
    std::uint32_t state = EVENER_SHUTDOWN;
    (void)evener_channel_state(raw(), try_to_connect ? 1 : 0, &state);
    return static_cast<evener_connectivity>(state);
  }
  Status wait_for_state_change(evener_connectivity last, std::optional<std::chrono::milliseconds> timeout) const {
    return evener_channel_wait_for_state_change(raw(), last, milliseconds(timeout));
  }
  Status close() const { return evener_channel_close(raw()); }

 private:
  struct Free {
    void operator()(evener_channel* raw) const { (void)evener_channel_free(raw); }
  };
  explicit Channel(evener_channel* raw) : raw_(raw) {}
  std::unique_ptr<evener_channel, Free> raw_;
};

#endif  // EVENER_BARE

}  // namespace evener

#endif  // EVENER_HPP
