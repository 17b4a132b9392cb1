// What a registry's record says of a server, zone, region, weight, health, counts for the calls.
#include "support/registry.hpp"
#include "support/world.hpp"

using namespace evener_tests;

namespace {

int PortOf(const std::string& address) { return std::atoi(address.c_str() + address.rfind(':') + 1); }

// gRPC's form of a record.
void Put(const Etcd& etcd, const TestServer& server, const std::string& metadata) {
  etcd.Put("user-service/" + server.address(), R"({"Op":0,"Addr":")" + server.address() + R"(","Metadata":{)" + metadata + "}}");
}

// The form that has a word for health.
void Put(const Etcd& etcd, const TestServer& server, bool healthy, const std::string& fields) {
  etcd.Put("/services/user-service/" + server.address(), R"({"ip":"127.0.0.1","port":)" + std::to_string(PortOf(server.address())) +
                                                             R"(,"healthy":)" + (healthy ? "true," : "false,") + fields + "}");
}

TEST_CASE(the_own_zone_of_a_registrys_records_is_first) {
  const auto etcd = Etcd::Start();
  if (!etcd) return;
  TestServer heavy("heavy"), light("light"), near("near"), far("far");
  const std::string own = R"("zone":"z1","region":"r1")";
  Put(*etcd, heavy, own + R"(,"weight":3)");
  Put(*etcd, light, true, own);
  Put(*etcd, near, R"("zone":"z2","region":"r1")");
  Put(*etcd, far, R"("zone":"z3","region":"r2","weight":100)");
  ChannelOptions options;
  options.removal_epoch = options.empty_hold = options.debounce = std::chrono::milliseconds(0);
  options.zone = "z1";
  options.region = "r1";
  options.service_config = R"({"loadBalancingConfig":[{"locality_weighted":{}}]})";
  const auto channel = evener::grpc::CreateChannel("etcd://" + etcd->address() + "/user-service", ::grpc::InsecureChannelCredentials(),
                                                   QuickReconnect(), options);
  const auto shares = [&](const std::map<std::string, int>& expected) {
    return Eventually([&] { return Share(channel, 8) == expected; });
  };
  CHECK(shares({{"heavy", 6}, {"light", 2}}));
  Put(*etcd, light, false, own);
  CHECK(shares({{"heavy", 8}}));
  Put(*etcd, heavy, own + R"(,"weight":0)");
  CHECK(shares({{"near", 8}}));
  etcd->Delete("user-service/" + near.address());
  CHECK(shares({{"far", 8}}));
  Put(*etcd, light, true, own);
  CHECK(shares({{"light", 8}}));
}

}  // namespace
