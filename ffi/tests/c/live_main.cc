// Starts the registries for the program in C, with what the C++ tests start them with.
#include "live.h"

#include <support/registry.hpp>

using namespace evener_tests;

namespace {

TEST_CASE(c_and_etcd) {
  const auto etcd = Etcd::Start();
  if (!etcd) return;
  const std::string authority = "etcd://" + etcd->address();
  const std::string service = authority + "/services/user-service", config = authority + "/config/user-service/";
  const std::string registrations = authority + "/services";
  const auto put = [](const void* context, const char* key, const char* value) {
    static_cast<const Etcd*>(context)->Put(std::string("/config/user-service/") + key, value);
  };
  const auto has_servers = [](const void* context) {
    return static_cast<int>(!static_cast<const Etcd*>(context)->Ctl({"get", "--prefix", "services/user-service/"}).empty());
  };
  const live_registry registry{registrations.c_str(), service.c_str(), config.c_str(), etcd.get(), put, has_servers};
  CHECK_EQUAL(live_run(&registry), 0);
}

TEST_CASE(c_and_consul) {
  const auto consul = Consul::Start();
  if (!consul) return;
  const std::string authority = "consul://" + consul->address();
  const std::string service = authority + "/user-service", config = authority + "/config/user-service/";
  const auto put = [](const void* context, const char* key, const char* value) {
    const auto answer = static_cast<const Consul*>(context)->Request("PUT", std::string("/v1/kv/config/user-service/") + key, value);
    CHECK(answer.find("true") != std::string::npos);
  };
  const auto has_servers = [](const void* context) {
    const auto services = static_cast<const Consul*>(context)->Request("GET", "/v1/agent/services");
    return static_cast<int>(services.find("user-service") != std::string::npos);
  };
  const live_registry registry{authority.c_str(), service.c_str(), config.c_str(), consul.get(), put, has_servers};
  CHECK_EQUAL(live_run(&registry), 0);
}

}  // namespace
