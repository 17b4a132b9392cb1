// Targets that name a list: one of the options, or one of a file.
#include "support/process.hpp"
#include "support/world.hpp"

using namespace evener_tests;
using ::grpc::StatusCode;

namespace {

OwnChannel Open(const std::string& target, ChannelOptions options) {
  return evener::grpc::CreateChannel(target, ::grpc::InsecureChannelCredentials(), QuickReconnect(), std::move(options));
}

// A call fails, at once and not at its deadline, for a reason that has these words.
void FailsFor(const OwnChannel& channel, StatusCode code, const std::string& words) {
  ::grpc::Status status;
  CHECK_EQUAL(Call(channel, &status), "");
  CHECK_EQUAL(status.error_code(), code);
  if (status.error_message().find(words) == std::string::npos) CHECK_EQUAL(status.error_message(), "a text with " + words);
}

TEST_CASE(a_name_stands_for_a_list) {
  TestServer a("A"), b("B"), c("C");
  ChannelOptions options;
  options.lists = {{"user-service", {a.address(), b.address() + ";weight=3"}}, {"order-service", {c.address()}}, {"nobody", {}}};
  options.service_config = R"({"loadBalancingConfig":[{"weighted_round_robin":{}}]})";
  const auto users = Open("static:///user-service", options);
  CHECK(Eventually([&] { return Share(users, 8) == std::map<std::string, int>{{"A", 2}, {"B", 6}}; }));
  const auto orders = Open("static:///order-service", options);
  CHECK((Share(orders, 4) == std::map<std::string, int>{{"C", 4}}));
  FailsFor(Open("static:///nobody", options), StatusCode::UNAVAILABLE, "static:///nobody");
}

TEST_CASE(lists_are_written_as_literals) {
  ChannelOptions options;
  options.lists = {{"user-service", {"192.168.1.100:8080", "192.168.1.101:8080"}}, {"order-service", {"192.168.1.200:8080"}}};
  CHECK_EQUAL(options.lists.at("user-service").size(), 2u);
  CHECK_EQUAL(options.lists.at("user-service").back().addresses, "192.168.1.101:8080");
  CHECK_EQUAL(options.lists.at("order-service").size(), 1u);
}

TEST_CASE(a_name_that_stands_for_nothing_is_an_empty_list) {
  ChannelOptions options;
  FailsFor(Open("static:///user-service", options), StatusCode::UNAVAILABLE, "static:///user-service");
  options.lists = {{"order-service", {"127.0.0.1:1"}}};
  const auto channel = Open("static:///user-service", options);
  FailsFor(channel, StatusCode::UNAVAILABLE, "static:///user-service");
  const auto status = channel->WaitUntilReady(std::chrono::milliseconds(50));
  CHECK_EQUAL(status.error_code(), StatusCode::UNAVAILABLE);
  CHECK(status.error_message().find("static:///user-service") != std::string::npos);
}

TEST_CASE(a_list_that_cannot_be_understood_is_named) {
  ChannelOptions options;
  options.lists = {{"user-service", {"127.0.0.1:1", "127.0.0.1:1;weight=much"}}};
  const auto channel = Open("static:///user-service", options);
  FailsFor(channel, StatusCode::UNAVAILABLE, "list `user-service`: endpoint 1");
}

TEST_CASE(a_file_of_lists_is_followed) {
  TestServer a("A"), b("B"), c("C");
  const Scratch scratch;
  const auto write = [&](const std::string& list) { return scratch.Write("lists.json", R"({"user-service":[)" + list + "]}"); };
  const auto quoted = [](const TestServer& server) { return "\"" + server.address() + "\""; };
  ChannelOptions options;
  options.static_file = write(quoted(a) + "," + quoted(b));
  const auto channel = Open("static:///user-service", options);
  WaitUntilServing(channel, {"A", "B"});
  write(quoted(c));
  CHECK(Eventually([&] { return Share(channel, 10)["C"] == 10; }));
  write("7");  // is wrong: what was right stays
  CHECK(Eventually([&] { return channel->Describe().find("user-service[0]") != std::string::npos; }));
  CHECK_EQUAL(Share(channel, 10)["C"], 10);
  FailsFor(Open("static:///user-service", options), StatusCode::UNAVAILABLE, "user-service[0]");
  write(quoted(c));
  FailsFor(Open("static:///order-service", options), StatusCode::UNAVAILABLE, "static:///order-service");
  options.static_file = scratch.File("nothing.json");
  FailsFor(Open("static:///user-service", options), StatusCode::UNAVAILABLE, "nothing.json");
}

}  // namespace
