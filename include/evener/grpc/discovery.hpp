// How a channel finds its servers: what is held back, what is used while a registry is down, what it is asked with.
#ifndef EVENER_GRPC_DISCOVERY_HPP
#define EVENER_GRPC_DISCOVERY_HPP

#include <evener.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "../credentials.hpp"

namespace evener::grpc {

using evener::Credentials;

// How servers are probed, where the registry knows nothing of their health: DNS, written lists, a bare etcd prefix. One that fails gets no
// calls from then on, and calls again when it passes.
struct Probe {
  // What a check does: "tcp" connects; "http:/path" or "http::8081/path" gets 200 to 299; "grpc" or "grpc:service" asks grpc.health.v1's
  // Check; "grpc-watch" or "grpc-watch:service" is told by its Watch, which counts at once.
  std::string kind = "tcp";
  // From the end of one check of a server to the next one, at least 10 ms, and how much that varies to both sides, in percent.
  std::chrono::milliseconds interval{10'000};
  uint32_t jitter_percent = 10;
  // The longest a check may take.
  std::chrono::milliseconds timeout{3'000};
  // Checks in a row that must succeed before a server that was out is back, and fail before it is out; 0 is the default. One that was
  // never checked is healthy.
  uint32_t rise = 2;
  uint32_t fall = 3;
  // Checks that may run at the same time, over all servers.
  uint32_t concurrency = 64;
  // Whether none is out where none passes: a wrong check must not stop a service.
  bool fail_open = true;
  // TLS for HTTP and gRPC, also where none of these files (PEM) is given.
  bool tls = false;
  std::string ca_file;
  std::string cert_file;
  std::string key_file;
  // The name to check certificates against, where it is not the server's address.
  std::string server_name;
};

// The part of ChannelOptions that concerns live targets. Every field has a default that a careful operator would choose.
struct DiscoveryOptions {
  // How long the first calls wait for the target's first answer before they fail (and the fallback target is used). Unset: 5 s. 0: for
  // ever. Calls that wait for ready go on waiting.
  std::optional<std::chrono::milliseconds> initial_timeout;
  // A target to use while the main one has never answered. Not together with ChannelOptions::endpoints.
  std::string fallback_target;
  // How long a set that becomes empty stays as it was before the emptiness is believed. Unset: 30 s. 0: not at all.
  std::optional<std::chrono::milliseconds> empty_hold;
  // A server that the registry no longer names leaves after one to two of these. Unset: 10 s. 0: at once. One that is known to be down, or
  // whose check fails, gets no calls meanwhile.
  std::optional<std::chrono::milliseconds> removal_epoch;
  // How many percent of the servers one epoch may take out, 1 to 100. 0: the default, 50.
  uint32_t max_drop_percent = 0;
  // How long it must be quiet before changes count that come soon after others. Unset: 100 ms. 0: not at all.
  std::optional<std::chrono::milliseconds> debounce;
  // After how long what is known counts as stale though nothing went wrong. Unset: never.
  std::optional<std::chrono::milliseconds> max_stale;
  // Whether stale servers are dropped while the registry cannot be asked, instead of kept; for networks where an address may soon be
  // somebody else's. Needs max_stale.
  bool drop_stale = false;
  // A directory where the last known servers are kept for a start at which the registry is down. Of what the system's resolver says
  // nothing is kept, unless the servers are probed.
  std::string snapshot_dir;
  // How old what is there may be to be used at a start. Unset: 7 days. 0: however old. More than 49 days count as 49.
  std::optional<std::chrono::milliseconds> snapshot_max_age;
  // Where this client runs, for policies that prefer their own zone. Empty: what EVENER_ZONE and EVENER_REGION in the environment say.
  std::string zone;
  std::string region;
  // What registries are asked with. Unset: what the environment says.
  std::optional<Credentials> credentials;
  // How servers are probed. Unset: not at all. It goes with every target, and not with ChannelOptions::endpoints and static_file, whose
  // conditions are the application's to say.
  std::optional<Probe> probe;
  // How often a DNS name is looked up again. 0: as the records' time to live says, and every 30 s with the system's resolver.
  std::chrono::milliseconds dns_refresh{0};
  // DNS servers to ask, with commas between ("10.0.0.2,10.0.0.3:5353"). Empty: those of the system.
  std::string dns_server;
  // Whether names are looked up by the system's resolver instead of DNS servers.
  bool system_dns = false;
  // Whether a service config is taken from TXT records at _grpc_config.NAME. Of several choices there the first one counts that is meant
  // for this client: without a clientLanguage, or with "c++" among them.
  bool service_config_from_dns = false;
  // A key in a registry whose value is the service config, live: "consul:///config/user-service". The first calls wait for it, unless it
  // cannot be asked, for as long as initial_timeout says.
  std::string service_config_source;
};

namespace detail {

// Cut to what the engine can be told.
inline uint32_t Milliseconds(std::chrono::milliseconds duration) {
  constexpr int64_t kLongest = EVENER_OFF - 1;
  const int64_t count = duration.count();
  return static_cast<uint32_t>(count < 0 ? 0 : count > kLongest ? kLongest : count);
}

// Unset is the engine's default, 0 is none at all.
inline uint32_t Milliseconds(const std::optional<std::chrono::milliseconds>& duration) {
  if (!duration) return 0;
  return duration->count() <= 0 ? EVENER_OFF : Milliseconds(*duration);
}

inline void Lend(const std::string& text, const char*& data, size_t& length) {
  data = text.empty() ? nullptr : text.data();
  length = text.size();
}

// What a service config from DNS calls this channel (clientLanguage).
inline const std::string kLanguage = "c++";

// The C form. It borrows the texts. A rise, fall or concurrency of 0 is the default.
inline evener_probe Lend(const Probe& given) {
  const auto some = [](uint32_t number) { return number == 0 ? EVENER_OFF : number; };
  evener_probe probe{};
  probe.struct_size = sizeof probe;
  probe.interval_ms = some(Milliseconds(given.interval));
  probe.jitter_percent = some(given.jitter_percent);
  probe.timeout_ms = some(Milliseconds(given.timeout));
  probe.rise = given.rise;
  probe.fall = given.fall;
  probe.concurrency = given.concurrency;
  probe.fail_closed = given.fail_open ? 0 : 1;
  probe.tls = given.tls ? 1 : 0;
  Lend(given.kind, probe.kind, probe.kind_len);
  Lend(given.ca_file, probe.ca_file, probe.ca_file_len);
  Lend(given.cert_file, probe.cert_file, probe.cert_file_len);
  Lend(given.key_file, probe.key_file, probe.key_file_len);
  Lend(given.server_name, probe.server_name, probe.server_name_len);
  return probe;
}

// The discovery part of the C form. It borrows the texts, `credentials` and `probe`.
inline void Lend(const DiscoveryOptions& given, evener_credentials& credentials, evener_probe& probe,
                 evener_channel_options& options) {
  options.initial_timeout_ms = Milliseconds(given.initial_timeout);
  options.empty_hold_ms = Milliseconds(given.empty_hold);
  options.removal_epoch_ms = Milliseconds(given.removal_epoch);
  options.max_drop_percent = given.max_drop_percent;
  options.debounce_ms = Milliseconds(given.debounce);
  options.max_stale_ms = Milliseconds(given.max_stale);
  options.on_stale = given.drop_stale ? EVENER_STALE_DROP : EVENER_STALE_KEEP;
  options.dns_refresh_ms = Milliseconds(given.dns_refresh);
  options.system_dns = given.system_dns ? 1 : 0;
  Lend(kLanguage, options.dns_language, options.dns_language_len);
  options.service_config_from_dns = given.service_config_from_dns ? 1 : 0;
  Lend(given.fallback_target, options.fallback_target, options.fallback_target_len);
  Lend(given.service_config_source, options.service_config_source, options.service_config_source_len);
  Lend(given.snapshot_dir, options.snapshot_dir, options.snapshot_dir_len);
  options.snapshot_max_age_ms = Milliseconds(given.snapshot_max_age);
  Lend(given.dns_server, options.dns_server, options.dns_server_len);
  Lend(given.zone, options.zone, options.zone_len);
  Lend(given.region, options.region, options.region_len);
  if (given.probe) {
    probe = Lend(*given.probe);
    options.probe = &probe;
  }
  if (!given.credentials) return;
  credentials = evener::borrow(*given.credentials);
  options.credentials = &credentials;
}

}  // namespace detail
}  // namespace evener::grpc

#endif  // EVENER_GRPC_DISCOVERY_HPP
