// Real etcd and Consul servers. Their programs are in the folder that the environment variable EVENER_SERVERS names, otherwise where
// `cargo xtask servers` puts them. A case whose program is missing says so and is skipped; with CI=true it fails.
#ifndef EVENER_TESTS_REGISTRY_HPP
#define EVENER_TESTS_REGISTRY_HPP

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "check.hpp"
#include "process.hpp"

namespace evener_tests {

inline std::string ServerProgram(const std::string& name) {
  const char* const given = std::getenv("EVENER_SERVERS");
  const std::string built = std::string(given != nullptr ? given : EVENER_TEST_SERVERS) + "/" + name;
  if (std::filesystem::exists(built) || name == "consul") return built;
  return "/usr/bin/" + name;  // Debian has an etcd
}

// Whether the case cannot be run, which it says then.
inline bool IsMissing(const std::string& name) {
  if (std::filesystem::exists(ServerProgram(name))) return false;
  const char* const ci = std::getenv("CI");
  const bool fails = ci != nullptr && std::string(ci) == "true";
  if (fails) Fail(__FILE__, __LINE__, "no " + name + "; cargo xtask servers builds it");
  std::fprintf(stderr, "%s: %s: no %s; cargo xtask servers builds it\n", fails ? "MISSING" : "SKIPPED", Context().c_str(), name.c_str());
  return true;
}

// A single etcd with data of its own.
class Etcd {
 public:
  // Null: there is none, which was said.
  static std::unique_ptr<Etcd> Start() {
    if (IsMissing("etcd") || IsMissing("etcdctl")) return nullptr;
    std::unique_ptr<Etcd> etcd;
    // A port that was free may be taken by the time it is wanted.
    for (int attempt = 0; attempt < 3; ++attempt) {
      etcd.reset(new Etcd);
      if (etcd->Restart()) return etcd;
    }
    CHECK(!"etcd does not start");
    return nullptr;
  }

  bool Restart() {
    return process_.Start([this] { return Http(port_, "GET", "/health").find("\"true\"") != std::string::npos; });
  }
  void Kill() { process_.Kill(); }
  void Pause() const { process_.Pause(); }
  void Resume() const { process_.Resume(); }

  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  std::string Ctl(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), {ServerProgram("etcdctl"), "--endpoints", address()});
    return Output(arguments);
  }
  void Put(const std::string& key, const std::string& value) const { Ctl({"put", "--", key, value}); }
  void Delete(const std::string& key) const { Ctl({"del", "--", key}); }
  // The value of a key; empty where there is none.
  std::string Get(const std::string& key) const { return Ctl({"get", "--print-value-only", "--", key}); }

 private:
  Etcd() : port_(FreePort()), peer_(FreePort()), process_(Command()) {}

  std::vector<std::string> Command() const {
    const std::string client = "http://" + address(), peer = "http://127.0.0.1:" + std::to_string(peer_);
    return {ServerProgram("etcd"), "--name", "m0", "--data-dir", scratch_.File("data"), "--listen-client-urls", client,
            "--advertise-client-urls", client, "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
            "--initial-cluster", "m0=" + peer, "--log-level", "warn"};
  }

  const Scratch scratch_;
  const int port_, peer_;
  Process process_;
};

// A single Consul server that keeps its data over a restart.
class Consul {
 public:
  // Null: there is none, which was said.
  static std::unique_ptr<Consul> Start() {
    if (IsMissing("consul")) return nullptr;
    std::unique_ptr<Consul> consul;
    for (int attempt = 0; attempt < 3; ++attempt) {
      consul.reset(new Consul);
      if (consul->Restart()) return consul;
    }
    CHECK(!"Consul does not start");
    return nullptr;
  }

  // Ready when it has a leader and knows its own node.
  bool Restart() {
    return process_.Start([this] { return Request("GET", "/v1/catalog/nodes").find("\"Node\"") != std::string::npos; });
  }
  void Kill() { process_.Kill(); }

  std::string address() const { return "127.0.0.1:" + std::to_string(http_); }
  std::string dns() const { return "127.0.0.1:" + std::to_string(dns_); }
  std::string Request(const std::string& method, const std::string& path, const std::string& body = {}) const {
    return Http(http_, method, path, body);
  }
  // As /v1/agent/service/register takes it.
  void Register(const std::string& id, const std::string& name, const std::string& host, int port) const {
    const auto answer = Request("PUT", "/v1/agent/service/register",
                                R"({"ID":")" + id + R"(","Name":")" + name + R"(","Address":")" + host + R"(","Port":)" +
                                    std::to_string(port) + "}");
    CHECK(answer.find(" 200 ") != std::string::npos);
  }
  void Deregister(const std::string& id) const {
    CHECK(Request("PUT", "/v1/agent/service/deregister/" + id).find(" 200 ") != std::string::npos);
  }

 private:
  Consul() : http_(FreePort()), dns_(FreePort()), server_(FreePort()), serf_(FreePort()), process_(Command()) {}

  std::vector<std::string> Command() const {
    return {ServerProgram("consul"), "agent", "-server", "-bootstrap-expect=1", "-data-dir", scratch_.File("data"),
            "-node=n0", "-bind=127.0.0.1", "-client=127.0.0.1", "-http-port=" + std::to_string(http_),
            "-dns-port=" + std::to_string(dns_), "-server-port=" + std::to_string(server_),
            "-serf-lan-port=" + std::to_string(serf_), "-serf-wan-port=-1", "-grpc-port=-1", "-grpc-tls-port=-1",
            "-log-level=warn", "-hcl=performance { raft_multiplier = 1 }", "-hcl=disable_update_check = true"};
  }

  const Scratch scratch_;
  const int http_, dns_, server_, serf_;
  Process process_;
};

}  // namespace evener_tests

#endif  // EVENER_TESTS_REGISTRY_HPP
