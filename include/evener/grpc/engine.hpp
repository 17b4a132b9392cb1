// The channel engine behind the C ABI (evener.h, full build), in C++ clothes: texts are std::string, errors are grpc::Status,
// what is opened is freed. It decides everything; this adapter owns the transport only.
#ifndef EVENER_GRPC_ENGINE_HPP
#define EVENER_GRPC_ENGINE_HPP

#include <evener.h>
#include <grpcpp/support/status.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "discovery.hpp"
#include "endpoint.hpp"

namespace evener::grpc::detail {

// What the engine is told when it is opened. Durations of zero mean the engine's default.
struct EngineSettings {
  std::string service_config;
  std::vector<Endpoint> endpoints;
  bool has_endpoints = false;
  std::map<std::string, std::vector<Endpoint>> lists;
  std::string static_file;
  std::string authority;
  std::chrono::milliseconds drain_timeout{0};
  DiscoveryOptions discovery;
};

// Asks for a text until the buffer is long enough.
template <class Ask>
std::string ReadText(Ask ask) {
  std::string text(256, '\0');
  for (;;) {
    evener_text out{};
    out.data = text.data();
    out.capacity = text.size();
    if (ask(&out) != EVENER_TOO_SMALL || out.length <= text.size()) {
      text.resize(out.length < text.size() ? out.length : text.size());
      return text;
    }
    text.resize(out.length);
  }
}

// The text without the secrets of targets in it, for logs and statuses.
inline std::string Redacted(const std::string& target) {
  return ReadText([&](evener_text* out) { return evener_redact_target(target.data(), target.size(), out); });
}

// An error's text. One that does not fit is cut: the call is not repeated for it.
class ErrorText {
 public:
  ErrorText() {
    text_.data = buffer_;
    text_.capacity = sizeof buffer_;
  }
  evener_text* out() { return &text_; }
  std::string str() const {
    return std::string(buffer_, text_.length < sizeof buffer_ ? text_.length : sizeof buffer_);
  }

 private:
  char buffer_[2048];
  evener_text text_{};
};

// All functions may be called from any thread.
class Engine {
 public:
  enum class Start { kStarted, kWait, kFail };

  // On failure the answer's text says what is wrong, and *out stays empty.
  static ::grpc::Status Open(const evener_driver* driver, const std::string& target,
                             const EngineSettings& settings, uint64_t token,
                             std::unique_ptr<Engine>* out) {
    const BorrowedEndpoints endpoints(settings.endpoints);
    const BorrowedLists lists(settings.lists);
    evener_channel_options options{};
    options.struct_size = sizeof options;
    evener_credentials credentials{};
    evener_probe probe{};
    Lend(settings.discovery, credentials, probe, options);
    Lend(settings.service_config, options.service_config, options.service_config_len);
    Lend(settings.static_file, options.static_file, options.static_file_len);
    Lend(settings.authority, options.default_authority, options.default_authority_len);
    if (settings.has_endpoints) options.endpoints = endpoints.data();
    options.endpoints_len = endpoints.size();
    options.lists = lists.data();
    options.lists_len = lists.size();
    options.drain_timeout_ms = Milliseconds(settings.drain_timeout);
    options.token = token;
    ErrorText error;
    evener_channel* channel = nullptr;
    const auto status =
        evener_channel_open(driver, target.data(), target.size(), &options, &channel, error.out());
    if (status != EVENER_OK) return Failure(status, error);
    out->reset(new Engine(channel));
    return ::grpc::Status::OK;
  }

  ~Engine() {
    evener_channel_close(channel_);
    evener_channel_free(channel_);
  }
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // The call path: no lock, no allocation. wait_for_ready: 0 unset, 1 false, 2 true.
  Start StartCall(std::string_view method, uint32_t wait_for_ready, evener_call* call) const {
    switch (evener_channel_start(channel_, method.data(), method.size(), wait_for_ready, call)) {
      case EVENER_OK:
        return Start::kStarted;
      case EVENER_QUEUE:
        return Start::kWait;
      default:
        return Start::kFail;
    }
  }

  // Whether the answer "wait" still stands. To be asked after the caller has put itself where it is woken: if not, ask again.
  bool StillWaits(const evener_call& call) const {
    uint64_t epoch = 0;
    return evener_channel_epoch(channel_, &epoch) != EVENER_OK || epoch == call.epoch;
  }

  // The status of calls that fail now.
  ::grpc::Status FailureOf(const evener_call& call) const {
    auto text = ReadText([&](evener_text* out) { return evener_channel_failure(channel_, out); });
    const auto code = call.code != 0 ? call.code : static_cast<uint32_t>(::grpc::StatusCode::UNAVAILABLE);
    return {static_cast<::grpc::StatusCode>(code), std::move(text)};
  }

  void FinishCall(evener_call* call, ::grpc::StatusCode code, bool abandoned,
                  std::chrono::nanoseconds latency) const {
    evener_report report{};
    report.struct_size = sizeof report;
    report.code = static_cast<uint32_t>(code);
    report.abandoned = abandoned ? 1 : 0;
    report.latency_ns = static_cast<uint64_t>(latency.count());
    evener_channel_finish(channel_, call, &report);
  }

  // The timeout that the service config gives this method; negative: none.
  std::chrono::nanoseconds TimeoutOf(std::string_view method) const {
    evener_method_config config{};
    const auto status = evener_channel_method(channel_, method.data(), method.size(), &config);
    return std::chrono::nanoseconds(status == EVENER_OK ? config.timeout_ns : -1);
  }

  void SetState(uint32_t endpoint, uint32_t state, const std::string& error) const {
    evener_channel_set_state(channel_, endpoint, state, error.data(), error.size());
  }
  void EndpointClosed(uint32_t endpoint) const { evener_channel_endpoint_closed(channel_, endpoint); }

  std::string EndpointTarget(uint32_t endpoint) const {
    return ReadText(
        [&](evener_text* out) { return evener_channel_endpoint_target(channel_, endpoint, out); });
  }
  // The service whose health the servers are to be asked for; nothing: they are not asked.
  std::optional<std::string> HealthService() const {
    evener_status status = EVENER_OK;
    auto service = ReadText([&](evener_text* out) { return status = evener_channel_health_service(channel_, out); });
    if (status != EVENER_OK) return std::nullopt;
    return service;
  }
  std::string Authority() const {
    return ReadText([&](evener_text* out) { return evener_channel_authority(channel_, out); });
  }
  std::string Describe() const {
    return ReadText([&](evener_text* out) { return evener_channel_describe(channel_, out); });
  }

  ::grpc::Status UpdateEndpoints(const std::vector<Endpoint>& endpoints) const {
    const BorrowedEndpoints list(endpoints);
    ErrorText error;
    return Answer(evener_channel_update_endpoints(channel_, list.data(), list.size(), error.out()), error);
  }

  ::grpc::Status SetServiceConfig(const std::string& json) const {
    ErrorText error;
    return Answer(evener_channel_set_service_config(channel_, json.data(), json.size(), error.out()), error);
  }

  // An evener_connectivity, whose numbers are gRPC's.
  uint32_t State(bool try_to_connect) const {
    uint32_t state = EVENER_SHUTDOWN;
    evener_channel_state(channel_, try_to_connect ? 1 : 0, &state);
    return state;
  }

  // Blocks. Negative: for ever. UNAVAILABLE with what is missing when the time is up.
  ::grpc::Status WaitUntilReady(int64_t timeout_ms) const {
    ErrorText error;
    const auto status = evener_channel_wait_until_ready(channel_, timeout_ms, error.out());
    if (status == EVENER_OK) return ::grpc::Status::OK;
    return {::grpc::StatusCode::UNAVAILABLE, error.str()};
  }

  // Blocks. Negative: for ever. False: the time ran out.
  bool WaitForStateChange(uint32_t last, int64_t timeout_ms) const {
    return evener_channel_wait_for_state_change(channel_, last, timeout_ms) == EVENER_OK;
  }

 private:
  explicit Engine(evener_channel* channel) : channel_(channel) {}

  static ::grpc::Status Answer(evener_status status, const ErrorText& error) {
    return status == EVENER_OK ? ::grpc::Status::OK : Failure(status, error);
  }

  static ::grpc::Status Failure(evener_status status, const ErrorText& error) {
    auto text = error.str();
    if (text.empty()) text = "evener answered status " + std::to_string(static_cast<uint32_t>(status));
    return {::grpc::StatusCode::INVALID_ARGUMENT, std::move(text)};
  }

  evener_channel* const channel_;
};

}  // namespace evener::grpc::detail

#endif  // EVENER_GRPC_ENGINE_HPP
