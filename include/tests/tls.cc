// TLS to servers that are known by address, under the service's name. The certificates are made by the build.
#include <fstream>
#include <sstream>

#include "support/world.hpp"

using namespace evener_tests;
using ::grpc::StatusCode;

namespace {

std::string Read(const std::string& name) {
  std::ifstream file(std::string(EVENER_TEST_CERTIFICATES) + "/" + name);
  std::stringstream text;
  text << file.rdbuf();
  CHECK(!text.str().empty());
  return text.str();
}

std::shared_ptr<::grpc::ServerCredentials> ServerSide() {
  ::grpc::SslServerCredentialsOptions options;
  options.pem_key_cert_pairs.push_back({Read("server.key"), Read("server.pem")});
  return ::grpc::SslServerCredentials(options);
}

std::shared_ptr<::grpc::ChannelCredentials> ClientSide() {
  ::grpc::SslCredentialsOptions options;
  options.pem_root_certs = Read("ca.pem");
  return ::grpc::SslCredentials(options);
}

OwnChannel Secure(const TestServer& server, const std::string& target, const ::grpc::ChannelArguments& arguments) {
  ChannelOptions options;
  options.endpoints = std::vector<Endpoint>{server.address()};
  return evener::grpc::CreateChannel(target, ClientSide(), arguments, std::move(options));
}

TEST_CASE(tls_checks_the_targets_name) {
  TestServer server("S", ServerSide());
  const auto channel = Secure(server, "dns:///service.evener.test", {});
  WithEveryKind([&](const Kind& kind) {
    const auto context = NewContext();
    CHECK_EQUAL(kind.run(channel, context.get(), ThreeReplies()).status.error_message(), "");
    const auto auth = context->auth_context();
    CHECK(auth && auth->IsPeerAuthenticated());
  });
  CHECK_EQUAL(server.service.last("authority"), "service.evener.test");
}

TEST_CASE(tls_refuses_another_name) {
  TestServer server("S", ServerSide());
  const auto channel = Secure(server, "dns:///other.evener.test", {});
  ::grpc::Status status;
  Call(channel, &status);
  CHECK_EQUAL(status.error_code(), StatusCode::UNAVAILABLE);
  CHECK(!status.error_message().empty());
  CHECK_EQUAL(server.service.calls.load(), 0);
}

TEST_CASE(tls_takes_the_applications_names) {
  TestServer server("S", ServerSide());
  ::grpc::ChannelArguments authority;
  authority.SetString(GRPC_ARG_DEFAULT_AUTHORITY, "service.evener.test");
  CHECK_EQUAL(Call(Secure(server, "dns:///other.evener.test", authority)), "S");
  CHECK_EQUAL(server.service.last("authority"), "service.evener.test");
  ::grpc::ChannelArguments override_name;
  override_name.SetSslTargetNameOverride("service.evener.test");
  CHECK_EQUAL(Call(Secure(server, "dns:///other.evener.test", override_name)), "S");
}

// Per-call credentials travel with a call that waits as with one that does not.
TEST_CASE(call_credentials_travel) {
  TestServer server("S", ServerSide());
  const auto channel = Secure(server, "dns:///service.evener.test", {});
  const auto stub = Demo::NewStub(channel);
  struct Plugin final : ::grpc::MetadataCredentialsPlugin {
    ::grpc::Status GetMetadata(::grpc::string_ref, ::grpc::string_ref, const ::grpc::AuthContext&,
                               std::multimap<::grpc::string, ::grpc::string>* metadata) override {
      metadata->insert({"x-key", "secret"});
      return ::grpc::Status::OK;
    }
  };
  for (int i = 0; i < 2; ++i) {
    ::grpc::ClientContext context;
    context.set_deadline(In(kPatience));
    context.set_credentials(::grpc::MetadataCredentialsFromPlugin(std::make_unique<Plugin>()));
    Reply reply;
    CHECK_EQUAL(stub->Unary(&context, {}, &reply).error_message(), "");
    CHECK_EQUAL(reply.text(), "secret");
  }
}

}  // namespace
