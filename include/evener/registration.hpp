// Servers that register themselves, and stay registered.
//
//   evener::Service service;
//   service.name = "user-service";
//   service.port = 50051;
//   auto registration = evener::Registration::begin(driver, "etcd:///", service);
//   if (!registration || !registration->wait(std::chrono::seconds(5))) ...
#ifndef EVENER_REGISTRATION_HPP
#define EVENER_REGISTRATION_HPP

#include "../evener.hpp"
#include "credentials.hpp"

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace evener {

// A check that the registry is to make of a server (Consul).
struct Check {
  evener_check_kind kind = EVENER_CHECK_TCP;
  // HTTP: the URL. TCP: HOST:PORT. gRPC: HOST:PORT or HOST:PORT/SERVICE. Script: the program. TTL: nothing.
  std::string target;
  std::string name;
  // A script's arguments.
  std::vector<std::string> arguments;
  // From one run to the next, or between two signs of life; 0: 10 s.
  std::chrono::milliseconds interval{0};
  // How long one run may take; 0: the registry's default.
  std::chrono::milliseconds timeout{0};
  // How long it may be critical before the registry forgets the server; 0: a default, never none.
  std::chrono::milliseconds deregister_after{0};
  // gRPC over TLS.
  bool tls = false;
};

// One server of a service: either a name, a port and what else is known, or a Consul definition.
struct Service {
  // A Consul service definition, {"service": {...}}, unchanged; every field below is to be left alone then.
  std::string json;

  // The name under which clients look for it, and the port that they dial.
  std::string name;
  std::uint16_t port = 0;
  // The host name or IP address that they dial; empty: what EVENER_ADVERTISE_ADDRESS in the environment says, or else this machine's
  // address on the way to the registry.
  std::string host;
  // What tells it from the service's others; empty: made of name, host and port.
  std::string id;
  std::uint32_t weight = 1;
  // Its tier: 0 is used first.
  std::uint32_t priority = 0;
  std::string zone;
  std::string region;
  std::vector<std::string> tags;
  std::map<std::string, std::string> metadata;
  std::vector<Check> checks;
  // Without a sign of life for so long the registry drops it; 0: 30 s.
  std::chrono::milliseconds ttl{0};
};

struct RegistrationOptions {
  // Nothing is registered before a TCP connection to the address that is registered succeeds.
  bool wait_for_listening = false;
  // Between two looks at what the registry holds, to repair what is wrong; 0: 30 s.
  std::chrono::milliseconds verify_interval{0};
  // What the registry is asked with; unset: what the environment says.
  std::optional<Credentials> credentials;
};

// A server's record in a registry: written, kept alive, and written again whenever it is gone, however long the registry was away.
// Destroying it takes the record away, waiting at most two seconds for that. Any thread.
class Registration {
 public:
  // Begins in the background; wait() waits for it. Ends with its driver. What is wrong is told in words.
  static Result<Registration> begin(const evener_driver* driver, std::string_view target, const Service& service,
                                    const RegistrationOptions& options = {}) {
    const Borrowed borrowed(service);
    auto settings = sized<evener_registration_options>();
    settings.wait_for_listening = options.wait_for_listening ? 1 : 0;
    settings.verify_interval_ms = count(options.verify_interval);
    evener_credentials credentials{};
    if (options.credentials) credentials = borrow(*options.credentials);
    settings.credentials = options.credentials ? &credentials : nullptr;
    evener_registration* raw = nullptr;
    Reason why;
    Status status = evener_register(driver, target.data(), target.size(), &borrowed.service, &settings, &raw, why.buffer());
    if (!status) return {status, why.text()};
    return Registration(raw, why.text());
  }
  static Result<Registration> begin(const Driver& driver, std::string_view target, const Service& service,
                                    const RegistrationOptions& options = {}) {
    return begin(driver.raw(), target, service, options);
  }

  evener_registration_phase state() const {
    std::uint32_t state = EVENER_REGISTRATION_CLOSED;
    (void)evener_registration_state(raw_.get(), &state, nullptr);
    return static_cast<evener_registration_phase>(state);
  }
  // Why it is not in the registry, or what went wrong last; empty: nothing.
  std::string last_error() const {
    std::uint32_t state = 0;
    Reason why;
    (void)evener_registration_state(raw_.get(), &state, why.buffer());
    return why.text();
  }
  // Until it is in the registry. EVENER_TIMEOUT; EVENER_SHUT_DOWN when it is over. No timeout: for ever.
  Status wait(std::optional<std::chrono::milliseconds> timeout) const {
    return evener_registration_wait(raw_.get(), milliseconds(timeout));
  }
  // Changes the weight or the metadata in place; what is unset stays as it is.
  Status update(std::optional<std::uint32_t> weight,
                const std::optional<std::map<std::string, std::string>>& metadata = std::nullopt) const {
    const auto list = metadata ? pairs(*metadata) : std::vector<evener_pair>();
    static const evener_pair none{};
    const evener_pair* data = !metadata ? nullptr : list.empty() ? &none : list.data();
    return evener_registration_update(raw_.get(), weight ? std::int64_t{*weight} : -1, data, list.size());
  }
  // Marks the server as leaving: no new calls. It stays registered until close().
  Status drain() const { return evener_registration_drain(raw_.get()); }
  // Marks it as leaving, waits for `drain` and takes it away, which may take `timeout`. EVENER_TIMEOUT where the registry could not be
  // asked: it forgets the server after its time to live.
  Status close(std::chrono::milliseconds drain, std::chrono::milliseconds timeout) const {
    return evener_registration_close(raw_.get(), count(drain), count(timeout));
  }
  // What is known of it, as JSON: state, target, id, address, last error, and what was counted.
  std::string describe() const {
    auto text = text_of([this](evener_text* out) { return evener_registration_describe(raw_.get(), out); });
    return text ? text.take() : std::string();
  }
  // What of a JSON definition has no effect, a line each; mostly nothing.
  const std::string& warnings() const { return warnings_; }

 private:
  struct Free {
    void operator()(evener_registration* raw) const { (void)evener_registration_free(raw); }
  };

  static void lend(const std::string& text, const char*& data, std::size_t& length) {
    data = text.empty() ? nullptr : text.data();
    length = text.size();
  }
  static std::uint32_t count(std::chrono::milliseconds time) {
    const std::int64_t longest = EVENER_OFF - 1;
    return static_cast<std::uint32_t>(time.count() < 0 ? 0 : time.count() > longest ? longest : time.count());
  }
  static std::vector<evener_pair> pairs(const std::map<std::string, std::string>& map) {
    std::vector<evener_pair> list;
    for (const auto& [key, value] : map) list.push_back({key.data(), key.size(), value.data(), value.size()});
    return list;
  }
  static std::vector<evener_word> words(const std::vector<std::string>& texts) {
    std::vector<evener_word> list;
    for (const auto& text : texts) list.push_back({text.data(), text.size()});
    return list;
  }

  // The C form, good as long as the service and this.
  struct Borrowed {
    explicit Borrowed(const Service& from) : metadata(pairs(from.metadata)), tags(words(from.tags)), arguments(from.checks.size()) {
      for (std::size_t i = 0; i < from.checks.size(); ++i) checks.push_back(check_of(from.checks[i], arguments[i]));
      service = sized<evener_service>();
      lend(from.json, service.json, service.json_len);
      lend(from.name, service.name, service.name_len);
      lend(from.id, service.id, service.id_len);
      lend(from.host, service.host, service.host_len);
      lend(from.zone, service.zone, service.zone_len);
      lend(from.region, service.region, service.region_len);
      service.port = from.port;
      service.weight = from.weight == 0 ? EVENER_OFF : from.weight;
      service.priority = from.priority;
      service.ttl_ms = count(from.ttl);
      service.tags = tags.data();
      service.tags_len = tags.size();
      service.metadata = metadata.data();
      service.metadata_len = metadata.size();
      service.checks = checks.data();
      service.checks_len = checks.size();
    }
    Borrowed(const Borrowed&) = delete;
    Borrowed& operator=(const Borrowed&) = delete;

    static evener_check check_of(const Check& from, std::vector<evener_word>& arguments) {
      evener_check check{};
      check.kind = from.kind;
      check.interval_ms = count(from.interval);
      check.timeout_ms = count(from.timeout);
      check.deregister_after_ms = count(from.deregister_after);
      check.tls = from.tls ? 1 : 0;
      lend(from.target, check.target, check.target_len);
      lend(from.name, check.name, check.name_len);
      arguments = words(from.arguments);
      check.arguments = arguments.data();
      check.arguments_len = arguments.size();
      return check;
    }

    std::vector<evener_pair> metadata;
    std::vector<evener_word> tags;
    std::vector<std::vector<evener_word>> arguments;
    std::vector<evener_check> checks;
    evener_service service{};
  };

  Registration(evener_registration* raw, std::string warnings) : raw_(raw), warnings_(std::move(warnings)) {}

  std::unique_ptr<evener_registration, Free> raw_;
  std::string warnings_;
};

}  // namespace evener

#endif  // EVENER_REGISTRATION_HPP
