// What becomes of the application's ChannelArguments. Almost all of them reach the inner channels (one gRPC channel per endpoint)
// as they are: keepalive, message sizes, user agent, compression, reconnect backoff, socket and TLS options, retry buffer, ...
//
// Those that do not:
//
//   grpc.service_config               taken by the engine; of its methodConfig, waitForReady, message limits and retryPolicy
//                                     reach the inner channels as well, so that gRPC itself obeys them
//   grpc.lb_policy_name               taken by the engine, unless the service config names a policy
//   grpc.client_idle_timeout_ms       not obeyed: the channel does not go idle; a warning says so
//   grpc.service_config_disable_resolution
//                                     not obeyed: the engine resolves the name, not gRPC; a warning says so
//   grpc.dns_*                        reach the inner channels of servers given by a host name, which gRPC looks up; the engine resolves
//                                     the target's own name; a warning says so
//   grpc.grpclb_*, grpc.xds_*, grpc.lb.*
//                                     not obeyed: they configure gRPC's own balancing; a warning says so
//
// And those that get another default inside, each only if the application has not set it:
//
//   grpc.default_authority            the target's name, so that TLS checks the service's name, not an address
//   grpc.enable_retries               0: the engine decides about retries. Set to 1, gRPC retries by the service config's
//                                     retryPolicy, always on the endpoint that was picked first
#ifndef EVENER_GRPC_ARGUMENTS_HPP
#define EVENER_GRPC_ARGUMENTS_HPP

#include <grpc/grpc.h>
#include <grpcpp/support/channel_arguments.h>

#include <climits>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "json.hpp"

namespace evener::grpc::detail {

// What an inner channel is for.
struct InnerChannelSpec {
  std::string target;
  std::string authority;
  std::string service_config;
  // Distinct per endpoint and channel; see Arguments::ForInnerChannel().
  std::string connection_group;
};

// Whether an endpoint is given by a host name, which gRPC looks up in its inner channel.
inline bool IsName(std::string_view endpoint_target) { return endpoint_target.substr(0, 4) == "dns:"; }

class Arguments {
 public:
  explicit Arguments(const ::grpc::ChannelArguments& given) {
    const auto list = given.c_channel_args();
    for (size_t i = 0; i < list.num_args; ++i) Sort(list.args[i]);
    if (const auto policy = TakePolicy(); !policy.empty()) PutPolicy(policy);
  }

  // grpc.service_config, with the policy of grpc.lb_policy_name in it. Empty: neither was set.
  const std::string& service_config() const { return service_config_; }

  // grpc.default_authority; empty: not set.
  const std::string& authority() const { return authority_; }

  // Names of the arguments that are not obeyed, sorted.
  std::vector<std::string> ignored() const { return {ignored_.begin(), ignored_.end()}; }

  // Names of those that count for servers given by a host name only, sorted.
  std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (const auto& [name, value] : names_) names.push_back(name);
    return names;
  }

  // Those of keepalive, as a JSON object.
  std::string KeepaliveJson() const {
    std::string json;
    for (const auto& [name, value] : keepalive_) {
      json.append(json.empty() ? "\"" : ",\"").append(name).append("\":").append(std::to_string(value));
    }
    return "{" + json + "}";
  }

  ::grpc::ChannelArguments ForInnerChannel(const InnerChannelSpec& spec) const {
    ::grpc::ChannelArguments inner = passed_;
    if (IsName(spec.target)) {
      for (const auto& [name, value] : names_) inner.SetInt(name, value);
    }
    if (!Has(GRPC_ARG_DEFAULT_AUTHORITY)) inner.SetString(GRPC_ARG_DEFAULT_AUTHORITY, spec.authority);
    if (!Has(GRPC_ARG_ENABLE_RETRIES)) inner.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
    inner.SetInt(GRPC_ARG_CLIENT_IDLE_TIMEOUT_MS, INT_MAX);
    inner.SetInt(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1);
    inner.SetServiceConfigJSON(spec.service_config);
    // gRPC shares connections between channels whose arguments are equal. This one (which means nothing to gRPC) keeps
    // different endpoints and channels apart, while two inner channels of one endpoint, the former and the latter service
    // config's, share their connection: replacing the config costs no reconnect. A local subchannel pool would not do that.
    inner.SetString("evener.connection_group", spec.connection_group);
    return inner;
  }

 private:
  void Sort(const grpc_arg& arg) {
    const std::string key = arg.key;
    if (!seen_.insert(key).second) return;  // as in gRPC, the first one counts
    if (key == GRPC_ARG_SERVICE_CONFIG || key == GRPC_ARG_LB_POLICY_NAME) return Keep(arg);
    if (key == GRPC_ARG_DEFAULT_AUTHORITY && arg.type == GRPC_ARG_STRING) authority_ = arg.value.string;
    if (key.compare(0, 14, "grpc.keepalive") == 0 && arg.type == GRPC_ARG_INTEGER) keepalive_[key] = arg.value.integer;
    if (key.compare(0, 9, "grpc.dns_") == 0 && arg.type == GRPC_ARG_INTEGER) {
      names_[key] = arg.value.integer;
      return;
    }
    if (IsIgnored(key)) {
      ignored_.insert(key);
      return;
    }
    Pass(key, arg);
  }

  void Keep(const grpc_arg& arg) {
    if (arg.type != GRPC_ARG_STRING) return;
    (std::string_view(arg.key) == GRPC_ARG_SERVICE_CONFIG ? service_config_ : policy_) = arg.value.string;
  }

  static bool IsIgnored(std::string_view key) {
    const auto starts = [&](std::string_view prefix) { return key.substr(0, prefix.size()) == prefix; };
    return key == GRPC_ARG_CLIENT_IDLE_TIMEOUT_MS || key == GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION ||
           starts("grpc.grpclb_") || starts("grpc.xds_") || starts("grpc.lb.");
  }

  void Pass(const std::string& key, const grpc_arg& arg) {
    switch (arg.type) {
      case GRPC_ARG_STRING:
        if (key == GRPC_ARG_PRIMARY_USER_AGENT_STRING) return PassUserAgent(arg.value.string);
        return passed_.SetString(key, arg.value.string);
      case GRPC_ARG_INTEGER:
        return passed_.SetInt(key, arg.value.integer);
      case GRPC_ARG_POINTER:
        return passed_.SetPointerWithVtable(key, arg.value.pointer.p, arg.value.pointer.vtable);
    }
  }

  // Every ChannelArguments is born with "grpc-c++/VERSION", which the inner channels' have already: only what stands before
  // it is passed on.
  void PassUserAgent(std::string_view given) {
    const std::string own = OwnUserAgent();
    if (given.size() < own.size() || given.substr(given.size() - own.size()) != own) {
      passed_.SetUserAgentPrefix(std::string(given));
      return;
    }
    given.remove_suffix(own.size());
    while (!given.empty() && given.back() == ' ') given.remove_suffix(1);
    if (!given.empty()) passed_.SetUserAgentPrefix(std::string(given));
  }

  static std::string OwnUserAgent() {
    const ::grpc::ChannelArguments fresh;
    const auto list = fresh.c_channel_args();
    for (size_t i = 0; i < list.num_args; ++i) {
      if (std::string_view(list.args[i].key) == GRPC_ARG_PRIMARY_USER_AGENT_STRING) {
        return list.args[i].value.string;
      }
    }
    return {};
  }

  // The policy to put into the service config: it counts only where the config names none, as in gRPC.
  std::string TakePolicy() const {
    if (policy_.empty() || policy_.find_first_of("\"\\") != std::string::npos) return {};
    if (FindJsonMember(service_config_, "loadBalancingConfig")) return {};
    if (FindJsonMember(service_config_, "loadBalancingPolicy")) return {};
    return policy_;
  }

  void PutPolicy(const std::string& policy) {
    const std::string member = "\"loadBalancingConfig\":[{\"" + policy + "\":{}}]";
    const auto brace = service_config_.find('{');
    if (service_config_.empty()) {
      service_config_ = "{" + member + "}";
    } else if (brace != std::string::npos) {
      const auto next = service_config_.find_first_not_of(" \t\r\n", brace + 1);
      const bool empty = next == std::string::npos || service_config_[next] == '}';
      service_config_.insert(brace + 1, empty ? member : member + ",");
    }
  }

  bool Has(const char* key) const { return seen_.count(key) != 0; }

  ::grpc::ChannelArguments passed_;
  std::string service_config_;
  std::string policy_;
  std::string authority_;
  std::map<std::string, int> keepalive_;
  std::map<std::string, int> names_;
  std::set<std::string> seen_;
  std::set<std::string> ignored_;
};

// Of one methodConfig what gRPC obeys on the endpoint's channel. Not the timeout: a call that waits must count it from its beginning,
// so that this channel sets the deadline itself (and gRPC 1.51 is seen to end calls that have one at once).
inline std::string InnerMethodConfig(std::string_view method_config) {
  std::string kept;
  for (const auto& [name, value] : JsonScanner(method_config).Members()) {
    if (name != "name" && name != "waitForReady" && name != "maxRequestMessageBytes" &&
        name != "maxResponseMessageBytes" && name != "retryPolicy") {
      continue;
    }
    kept.append(kept.empty() ? "\"" : ",\"").append(name).append("\":").append(value);
  }
  return "{" + kept + "}";
}

// The service config of an inner channel. One address: gRPC's round_robin, because it reconnects by itself, which gRPC's
// pick_first does not. Several addresses of one server, or those behind its name: pick_first, because one connection is wanted, and
// gRPC is not to spread calls behind the engine's back; whoever watches it has it connect again.
//
// healthCheckConfig is not handed on: see health.hpp.
inline std::string InnerServiceConfig(const std::string& service_config, const std::string& endpoint_target) {
  const bool several = IsName(endpoint_target) || endpoint_target.find(',') != std::string::npos;
  std::string config = several ? "{\"loadBalancingConfig\":[{\"pick_first\":{}}]"
                               : "{\"loadBalancingConfig\":[{\"round_robin\":{}}]";
  if (const auto methods = FindJsonMember(service_config, "methodConfig")) {
    std::string list;
    for (const auto& method : JsonScanner(*methods).Elements()) {
      list.append(list.empty() ? "" : ",").append(InnerMethodConfig(method));
    }
    config += ",\"methodConfig\":[" + list + "]";
  }
  if (const auto throttling = FindJsonMember(service_config, "retryThrottling")) {
    config.append(",\"retryThrottling\":").append(*throttling);
  }
  return config + "}";
}

}  // namespace evener::grpc::detail

#endif  // EVENER_GRPC_ARGUMENTS_HPP
