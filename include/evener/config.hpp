// Configuration that lives in a registry: a map of keys to values, at the start and at every change.
#ifndef EVENER_CONFIG_HPP
#define EVENER_CONFIG_HPP

#include "../evener.hpp"
#include "credentials.hpp"

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace evener {

// A configuration as of one instant; never changes. Keys are what follows the prefix that is watched, or the last part of the one key;
// values are whatever bytes the registry holds.
class Config {
 public:
  explicit Config(evener_config* raw) : raw_(raw) {}

  // 1 for the first one of its watch, and one more for each that differs from the one before.
  std::uint64_t epoch() const {
    std::uint64_t epoch = 0;
    (void)evener_config_epoch(raw_.get(), &epoch);
    return epoch;
  }
  // How the registry counts its changes: etcd's revision, Consul's index.
  std::string revision() const {
    auto text = text_of([this](evener_text* out) { return evener_config_revision(raw_.get(), out); });
    return text ? text.take() : std::string();
  }
  std::size_t size() const {
    std::size_t size = 0;
    (void)evener_config_size(raw_.get(), &size);
    return size;
  }
  // The value of a key, good as long as this object.
  std::optional<std::string_view> get(std::string_view key) const {
    evener_pair entry{};
    if (evener_config_find(raw_.get(), key.data(), key.size(), &entry) != EVENER_OK) return std::nullopt;
    return std::string_view(entry.value, entry.value_len);
  }
  // All of it, as a copy.
  std::map<std::string, std::string> values() const {
    std::map<std::string, std::string> values;
    evener_pair entry{};
    for (std::size_t at = 0; evener_config_entry(raw_.get(), at, &entry) == EVENER_OK; ++at) {
      values.emplace(std::string(entry.key, entry.key_len), std::string(entry.value, entry.value_len));
    }
    return values;
  }

 private:
  struct Free {
    void operator()(evener_config* raw) const { (void)evener_config_free(raw); }
  };
  std::unique_ptr<evener_config, Free> raw_;
};

// A configuration that is being watched, until this is destroyed. Any thread.
class ConfigWatch {
 public:
  explicit ConfigWatch(evener_config_watch* raw) : raw_(raw) {}

  // The latest configuration; EVENER_NONE before the first one.
  Result<Config> get() const {
    evener_config* config = nullptr;
    Status status = evener_config_watch_get(raw_.get(), &config);
    if (!status) return status;
    return Config(config);
  }
  // The next one whose epoch is above `after` (0: the first one there is), waiting for it. EVENER_TIMEOUT; EVENER_SHUT_DOWN when there
  // will be none, and why. No timeout: for ever.
  Result<Config> wait(std::uint64_t after, std::optional<std::chrono::milliseconds> timeout) const {
    Status status = evener_config_watch_wait(raw_.get(), after, milliseconds(timeout));
    if (status) return get();
    return {status, status == EVENER_SHUT_DOWN ? describe() : std::string()};
  }
  // How the watch is doing, as JSON: epoch, age_seconds, revision, last_error, errors_total.
  std::string describe() const {
    auto text = text_of([this](evener_text* out) { return evener_config_watch_describe(raw_.get(), out); });
    return text ? text.take() : std::string();
  }

 private:
  struct Free {
    void operator()(evener_config_watch* raw) const { (void)evener_config_watch_free(raw); }
  };
  std::unique_ptr<evener_config_watch, Free> raw_;
};

// Watches a configuration: "consul:///config/user-service/" or "etcd:///config/user-service/" is every key below that prefix, the
// same without the last slash is that one key. It is read in the background: this waits for nothing. Ends with its driver.
inline Result<ConfigWatch> watch_config(const evener_driver* driver, std::string_view target,
                                        const std::optional<Credentials>& credentials = std::nullopt) {
  evener_config_watch* raw = nullptr;
  Reason why;
  evener_credentials borrowed{};
  if (credentials) borrowed = borrow(*credentials);
  Status status = evener_config_watch_open(driver, target.data(), target.size(), credentials ? &borrowed : nullptr, &raw, why.buffer());
  if (!status) return {status, why.text()};
  return ConfigWatch(raw);
}
inline Result<ConfigWatch> watch_config(const Driver& driver, std::string_view target,
                                        const std::optional<Credentials>& credentials = std::nullopt) {
  return watch_config(driver.raw(), target, credentials);
}

}  // namespace evener

#endif  // EVENER_CONFIG_HPP
