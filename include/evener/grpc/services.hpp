// Registration and configuration from a registry for programs that use gRPC: the same as evener/registration.hpp and evener/config.hpp,
// on the process's one driver.
#ifndef EVENER_GRPC_SERVICES_HPP
#define EVENER_GRPC_SERVICES_HPP

#include <optional>
#include <string>

#include "../config.hpp"
#include "../registration.hpp"
#include "discovery.hpp"
#include "driver.hpp"

namespace evener::grpc {

using evener::Config;
using evener::ConfigWatch;
using evener::Registration;
using evener::RegistrationOptions;
using evener::Service;

// Registers a server that runs in this process, in "etcd:///" or "consul:", until the answer is destroyed. A server on
// gRPC begins this after BuildAndStart(), and closes it before Shutdown(). In a forked child: EVENER_SHUT_DOWN, and why.
inline Result<Registration> Register(const std::string& target, const Service& service, const RegistrationOptions& options = {}) {
  if (detail::Driver::IsInherited()) return {EVENER_SHUT_DOWN, detail::Inherited().error_message()};
  return Registration::begin(detail::Driver::Get().engine(), target, service, options);
}

// Watches a configuration: see evener::watch_config(). In a forked child as Register().
inline Result<ConfigWatch> WatchConfig(const std::string& target, const std::optional<Credentials>& credentials = std::nullopt) {
  if (detail::Driver::IsInherited()) return {EVENER_SHUT_DOWN, detail::Inherited().error_message()};
  return evener::watch_config(detail::Driver::Get().engine(), target, credentials);
}

}  // namespace evener::grpc

#endif  // EVENER_GRPC_SERVICES_HPP
