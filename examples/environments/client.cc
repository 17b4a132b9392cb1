// One client in three environments; only where the servers are, and how much is guarded against, differs:
//
//     environment_client development localhost:50051 [CALLS]
//     environment_client test dns:///user-service.test.example:50051 [CALLS]
//     environment_client production etcd://etcd-1:2379,etcd-2:2379/user-service [CALLS]
//
// In test and production SERVICE_CONFIG_FILE is the file of that name, test/service_config.json or production/service_config.json: one
// service config for all clients, whatever they are written in.
//
// In production SERVER_CA_FILE is the authority that signed the servers' certificates, SERVER_NAME the name in them where it is not the
// target's, and ETCD_CA_FILE, ETCD_CERT_FILE and ETCD_KEY_FILE are what etcd is asked with.
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <cstdlib>
#include <evener/grpc.hpp>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "demo.grpc.pb.h"

namespace {

constexpr std::chrono::seconds kPatience{5};

// What a channel is made from.
struct Environment {
  std::shared_ptr<grpc::ChannelCredentials> credentials = grpc::InsecureChannelCredentials();
  grpc::ChannelArguments arguments;
  evener::grpc::ChannelOptions options;
};

std::string Variable(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// What is in the file that a variable names.
std::string Contents(const char* name) {
  std::ifstream file(Variable(name));
  if (file) return {std::istreambuf_iterator<char>(file), {}};
  std::cerr << name << " names no file that can be read\n";
  std::exit(EXIT_FAILURE);
}

// A server on this machine, without TLS.
Environment Development() { return {}; }

// Names from DNS, turns, and servers that say that they do not serve get no calls.
Environment Test() {
  Environment environment;
  environment.options.service_config = Contents("SERVICE_CONFIG_FILE");
  return environment;
}

// Servers that register themselves in etcd; TLS to them and to etcd. The retry policy is understood and not obeyed yet: a warning says so.
Environment Production() {
  Environment environment;
  environment.options.service_config = Contents("SERVICE_CONFIG_FILE");
  evener::grpc::Credentials& etcd = environment.options.credentials.emplace();
  etcd.ca_file = Variable("ETCD_CA_FILE");
  etcd.cert_file = Variable("ETCD_CERT_FILE");
  etcd.key_file = Variable("ETCD_KEY_FILE");
  environment.options.snapshot_dir = Variable("SNAPSHOT_DIR");  // for a start while etcd is down

  grpc::SslCredentialsOptions tls;
  if (!Variable("SERVER_CA_FILE").empty()) tls.pem_root_certs = Contents("SERVER_CA_FILE");
  environment.credentials = grpc::SslCredentials(tls);
  if (const std::string name = Variable("SERVER_NAME"); !name.empty()) environment.arguments.SetSslTargetNameOverride(name);

  // No more often than servers allow unless they are told otherwise: they close connections that ping more (too_many_pings).
  environment.arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 300'000);
  environment.arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 3'000);
  return environment;
}

std::optional<Environment> Named(const std::string& name) {
  if (name == "development") return Development();
  if (name == "test") return Test();
  if (name == "production") return Production();
  return std::nullopt;
}

grpc::Status Greet(evener::demo::Demo::Stub& stub, evener::demo::Reply* reply) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kPatience);
  evener::demo::Request request;
  request.set_text("hello");
  return stub.Unary(&context, request, reply);
}

}  // namespace

int main(int argc, char** argv) {
  auto environment = argc > 2 ? Named(argv[1]) : std::nullopt;
  if (!environment) {
    std::cerr << "usage: environment_client development|test|production TARGET [CALLS]\n";
    return EXIT_FAILURE;
  }
  const auto channel = evener::grpc::CreateChannel(argv[2], environment->credentials, environment->arguments,
                                                   std::move(environment->options));
  // Here a program would go on with what it has cached.
  if (const auto ready = channel->WaitUntilReady(kPatience); !ready.ok()) {
    std::cerr << "not connected after " << kPatience.count() << " s: " << ready.error_message() << "\n";
    return EXIT_FAILURE;
  }
  const auto stub = evener::demo::Demo::NewStub(channel);
  std::map<std::string, int> share;
  const int calls = argc > 3 ? std::atoi(argv[3]) : 100;
  for (int call = 0; call < calls; ++call) {
    evener::demo::Reply reply;
    const grpc::Status status = Greet(*stub, &reply);
    ++share[status.ok() ? reply.server() : "failed: " + status.error_message()];
  }
  for (const auto& [server, count] : share) std::cout << count << "  " << server << "\n";
  return EXIT_SUCCESS;
}
