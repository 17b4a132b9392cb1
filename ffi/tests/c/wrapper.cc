// evener.hpp: owners free what they have, results say why, all without exceptions.
#include "evener.hpp"

#include <cstdio>

namespace {

int failures = 0;

#define CHECK(condition) \
  do { \
    if (!(condition)) { \
      std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
      failures++; \
    } \
  } while (0)

evener_endpoint endpoint_of(std::uint64_t id) {
  evener_endpoint endpoint{};
  endpoint.id[0] = endpoint.user = id;
  endpoint.weight = 1;
  return endpoint;
}

// Does what the actions ask for; counts closings.
int settle(evener::Controller controller, std::uint32_t now) {
  int closings = 0;
  while (auto action = controller.poll(now)) {
    if (action->kind == EVENER_ACTION_CONNECT)
      CHECK(controller.set_connectivity({action->slot, action->generation}, EVENER_READY));
    closings += action->kind == EVENER_ACTION_CLOSE;
  }
  return closings;
}

void balancer() {
  auto made = evener::Balancer::make(4);
  CHECK(made);
  evener::Balancer owner = made.take();
  evener::Balancer balancer = std::move(owner);  // the block stays where it is
  auto controller = balancer.controller();
  auto picker = balancer.picker();
  evener::Cursor cursor;

  CHECK(picker.pick(cursor).status == EVENER_QUEUE);
  auto changes = controller.update({endpoint_of(1), endpoint_of(2)});
  CHECK(changes && changes->added == 2);
  CHECK(controller.set_policy(EVENER_POLICY_ROUND_ROBIN));
  CHECK(settle(controller, 0) == 0);
  CHECK(controller.next_deadline().status() == EVENER_NONE);
  CHECK(controller.state() && *controller.state() == EVENER_READY);

  evener::Pick first = picker.pick(cursor), second = picker.pick(cursor);
  CHECK(first.status && second.status && first.handle.slot != second.handle.slot);

  evener::Start started = picker.start(cursor, 10);
  CHECK(started.status && started.ticket.open());
  evener_handle where = started.ticket.handle();
  evener::Ticket moved = std::move(started.ticket);
  CHECK(!started.ticket.open());  // NOLINT: what a moved ticket is, is what is tested
  auto finished = moved.finish(EVENER_OUTCOME_SUCCESS, 25);
  CHECK(finished && finished->elapsed == 15);
  CHECK(moved.finish(EVENER_OUTCOME_SUCCESS, 25).status() == EVENER_STALE);

  { auto forgotten = picker.begin(where, 30); CHECK(forgotten && picker.counters(where)->in_flight == 1); }
  CHECK(picker.counters(where)->in_flight == 0 && picker.counters(where)->other == 1);

  CHECK(controller.update(nullptr, 0));
  CHECK(settle(controller, 40) == 2);
  CHECK(picker.pick(cursor).reason == EVENER_FAIL_NO_ENDPOINTS);
}

void refusals() {
  CHECK(evener::Balancer::make(0).status() == EVENER_BAD_ARGUMENT);
  auto wrong = evener::sized<evener_limits>();
  wrong.struct_size = 3;
  auto refused = evener::Balancer::make(wrong);
  CHECK(!refused && refused.status() == EVENER_BAD_SIZE && !refused.message().empty());
}

void channel() {
  auto made = evener::Driver::make();
  CHECK(made);
  evener::Driver driver = made.take();
  CHECK(evener::Channel::open(driver, "xds:///x").message().find("xds") != std::string::npos);

  auto opened = evener::Channel::open(driver, "static:///127.0.0.1:1");
  CHECK(opened);
  evener::Channel channel = opened.take();
  auto started = channel.start("/demo.Demo/Unary");
  CHECK(started.status == EVENER_QUEUE);
  while (auto event = driver.next(std::chrono::milliseconds(200)))
    if (event->kind == EVENER_EVENT_CONNECT) {
      CHECK(*channel.endpoint_target(event->endpoint) == "ipv4:127.0.0.1:1");
      CHECK(channel.set_state(event->endpoint, EVENER_READY));
    }
  CHECK(channel.wait(started.epoch, std::chrono::seconds(10)));
  auto call = channel.start("/demo.Demo/Unary");
  CHECK(call.status && call.call.open());
  CHECK(call.call.finish(0, std::chrono::microseconds(5)));
  CHECK(call.call.finish(0, std::chrono::microseconds(5)) == EVENER_STALE);
  { auto abandoned = channel.start("/demo.Demo/Unary"); CHECK(abandoned.call.open()); }
  CHECK(channel.describe()->find("\"other\":1") != std::string::npos);

  std::string why;
  CHECK(channel.set_service_config("[]", &why) == EVENER_BAD_CONFIG && !why.empty());
  CHECK(channel.update_endpoints({evener::endpoint("127.0.0.1:1", 3, "a"), evener::endpoint("[::1]:2")}));
  CHECK(channel.update_endpoints({evener::endpoint("nowhere")}, &why) == EVENER_BAD_ENDPOINT);
  CHECK(channel.close());
  CHECK(channel.state() == EVENER_SHUTDOWN);
  auto failed = channel.start("/demo.Demo/Unary");
  CHECK(failed.status == EVENER_FAIL && failed.code == 1 && !failed.message.empty());
}

}  // namespace

int main() {
  balancer();
  refusals();
  channel();
  return failures != 0;
}
