// One server of a list that the application gives: in a channel's options, to UpdateEndpoints(), from a resolver of its own.
#ifndef EVENER_GRPC_ENDPOINT_HPP
#define EVENER_GRPC_ENDPOINT_HPP

#include <evener.h>

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace evener::grpc {

// What whoever registered or checks a server says of it.
enum class Condition : uint32_t {
  kReady = EVENER_CONDITION_READY,
  // It still serves but is about to leave: calls go there only where nothing else of its tier can take them.
  kDraining = EVENER_CONDITION_DRAINING,
  // A check of it fails: no calls, whatever its connection says.
  kUnhealthy = EVENER_CONDITION_UNHEALTHY,
};

// One server: where it listens, and its part of the load.
struct Endpoint {
  // "host:port", "[v6]:port" or "unix:/path"; several addresses of the same server separated by commas. A host name is one server too,
  // whatever addresses it has: they are tried in turn, and one gets the calls.
  std::string addresses;
  // Share relative to the other endpoints, for weighted_round_robin. 0 = drain: no new calls, running ones finish.
  uint32_t weight = 1;
  // Its tier: 0 is used first, the next one only where no endpoint of the tiers before it can take calls.
  uint32_t priority = 0;
  // The zone the server stands in, and the region that zone is in; empty = unknown.
  std::string zone;
  std::string region;
  Condition condition = Condition::kReady;
  // Whatever else is known of it; not interpreted.
  std::map<std::string, std::string> metadata;

  Endpoint() = default;
  // An entry as in a "static:///..." target: "host:port", then perhaps ";weight=3", ";priority=1", ";zone=a", ";region=eu",
  // ";condition=draining", ";meta.version=v1"; several addresses of one server with "|" between. Special characters of a text are
  // written as %2C and the like. An entry that cannot be understood is refused by whoever takes the list.
  Endpoint(const std::string& entry) { Read(entry); }  // NOLINT: lists are written as strings
  Endpoint(const char* entry) { Read(entry); }         // NOLINT: the same for literals

 private:
  void Read(std::string_view entry);
  bool ReadSetting(std::string_view name, std::string_view value);
  bool ReadCondition(std::string_view value);
};

namespace detail {

inline bool ReadNumber(std::string_view text, uint32_t& number) {
  const auto read = std::from_chars(text.data(), text.data() + text.size(), number);
  return read.ec == std::errc() && read.ptr == text.data() + text.size();
}

// Takes %2C and the like for what they mean. False: a % without two hexadecimal digits.
inline bool Decode(std::string_view text, std::string& decoded) {
  decoded.clear();
  for (size_t at = 0; at < text.size(); ++at) {
    if (text[at] != '%') {
      decoded += text[at];
      continue;
    }
    unsigned byte = 0;
    const auto digits = text.substr(at + 1, 2);
    const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), byte, 16);
    if (digits.size() != 2 || read.ptr != digits.data() + 2) return false;
    decoded += static_cast<char>(byte);
    at += 2;
  }
  return true;
}

// Endpoints as the C ABI takes them, good as long as the list they are of, and this, are.
class BorrowedEndpoints {
 public:
  explicit BorrowedEndpoints(const std::vector<Endpoint>& endpoints) : pairs_(endpoints.size()) {
    for (size_t i = 0; i < endpoints.size(); ++i) list_.push_back(Borrow(endpoints[i], pairs_[i]));
  }
  BorrowedEndpoints(const BorrowedEndpoints&) = delete;
  BorrowedEndpoints& operator=(const BorrowedEndpoints&) = delete;

  // Never null, also where there are none: null would mean that no list was given.
  const evener_address_endpoint* data() const { return list_.empty() ? &none_ : list_.data(); }
  size_t size() const { return list_.size(); }

  static std::vector<evener_pair> Pairs(const std::map<std::string, std::string>& map) {
    std::vector<evener_pair> pairs;
    for (const auto& [key, value] : map) pairs.push_back({key.data(), key.size(), value.data(), value.size()});
    return pairs;
  }

 private:
  static evener_address_endpoint Borrow(const Endpoint& endpoint, std::vector<evener_pair>& pairs) {
    const auto lend = [](const std::string& text, const char*& data, size_t& length) {
      data = text.empty() ? nullptr : text.data();
      length = text.size();
    };
    evener_address_endpoint borrowed{};
    borrowed.addresses = endpoint.addresses.data();
    borrowed.addresses_len = endpoint.addresses.size();
    borrowed.weight = endpoint.weight;
    borrowed.priority = endpoint.priority;
    borrowed.condition = static_cast<uint32_t>(endpoint.condition);
    lend(endpoint.zone, borrowed.zone, borrowed.zone_len);
    lend(endpoint.region, borrowed.region, borrowed.region_len);
    pairs = Pairs(endpoint.metadata);
    borrowed.metadata = pairs.data();
    borrowed.metadata_len = pairs.size();
    return borrowed;
  }

  std::vector<std::vector<evener_pair>> pairs_;
  std::vector<evener_address_endpoint> list_;
  const evener_address_endpoint none_{};
};

// Lists by name as the C ABI takes them, good as long as the map they are of, and this, are.
class BorrowedLists {
 public:
  explicit BorrowedLists(const std::map<std::string, std::vector<Endpoint>>& lists) {
    for (const auto& [name, endpoints] : lists) {
      const auto& list = endpoints_.emplace_back(endpoints);
      lists_.push_back({name.data(), name.size(), list.data(), list.size()});
    }
  }
  BorrowedLists(const BorrowedLists&) = delete;
  BorrowedLists& operator=(const BorrowedLists&) = delete;

  const evener_named_list* data() const { return lists_.data(); }
  size_t size() const { return lists_.size(); }

 private:
  std::deque<BorrowedEndpoints> endpoints_;  // which do not move
  std::vector<evener_named_list> lists_;
};

}  // namespace detail

inline void Endpoint::Read(std::string_view entry) {
  auto at = entry.find(';');
  addresses = entry.substr(0, at);
  for (char& c : addresses) c = c == '|' ? ',' : c;
  while (at != std::string_view::npos) {
    const auto next = entry.find(';', at + 1);
    const auto setting = entry.substr(at + 1, next == std::string_view::npos ? next : next - at - 1);
    const auto equals = setting.find('=');
    const bool read = equals != std::string_view::npos && ReadSetting(setting.substr(0, equals), setting.substr(equals + 1));
    if (!read) addresses = entry;  // which is no address: the engine says so, in words
    at = next;
  }
}

inline bool Endpoint::ReadSetting(std::string_view name, std::string_view value) {
  constexpr std::string_view kMetadata = "meta.";
  if (name == "weight") return detail::ReadNumber(value, weight);
  if (name == "priority") return detail::ReadNumber(value, priority);
  if (name == "zone") return detail::Decode(value, zone) && !zone.empty();
  if (name == "region") return detail::Decode(value, region) && !region.empty();
  if (name == "condition") return ReadCondition(value);
  if (name.substr(0, kMetadata.size()) != kMetadata) return false;
  std::string key;
  return detail::Decode(name.substr(kMetadata.size()), key) && !key.empty() && detail::Decode(value, metadata[key]);
}

inline bool Endpoint::ReadCondition(std::string_view value) {
  for (const auto& [name, known] : {std::pair<std::string_view, Condition>{"ready", Condition::kReady},
                                    {"draining", Condition::kDraining},
                                    {"unhealthy", Condition::kUnhealthy}}) {
    if (name != value) continue;
    condition = known;
    return true;
  }
  return false;
}

}  // namespace evener::grpc

#endif  // EVENER_GRPC_ENDPOINT_HPP
