// Runs the vector files named on the command line through evener.hpp.
#include "evener.hpp"
#include "vectors.h"

#include <cstdio>
#include <fstream>
#include <iterator>

namespace {

// The wrapper as the vectors see it. It brings its own memory; the host's is used for the runner's tables alone.
struct Wrapped {
  std::optional<evener::Balancer> balancer;
  std::optional<evener::Cursor> cursor;
  evener::Ticket tickets[VECTORS_TICKETS];
  evener::Controller controller() const { return balancer->controller(); }
  evener::Picker picker() const { return balancer->picker(); }
};

Wrapped& of(void* self) { return *static_cast<Wrapped*>(self); }

// A result's value goes to `*value`; its status is the answer.
template <class T, class U>
evener_status unpack(const evener::Result<T>& result, U* value) {
  if (result) *value = *result;
  return result.status().code();
}

evener_status open(void* self, void*, size_t, const evener_limits* limits) {
  auto made = evener::Balancer::make(*limits);
  if (made) of(self).balancer.emplace(made.take());
  return made.status().code();
}

void close(void* self) {
  for (auto& ticket : of(self).tickets) ticket = evener::Ticket();
  of(self).balancer.reset();
}

evener_status update(void* self, const evener_endpoint* list, size_t count, evener_changes* changes) {
  return unpack(of(self).controller().update(list, count), changes);
}

evener_status set_policy(void* self, uint32_t kind, int shuffle) {
  return of(self).controller().set_policy(static_cast<evener_policy_kind>(kind), shuffle != 0).code();
}

evener_status set_connectivity(void* self, evener_handle handle, uint32_t state) {
  return of(self).controller().set_connectivity(handle, static_cast<evener_connectivity>(state)).code();
}

evener_status set_health(void* self, evener_handle handle, uint32_t health) {
  return of(self).controller().set_health(handle, static_cast<evener_health>(health)).code();
}

evener_status connect(void* self) { return of(self).controller().connect().code(); }

evener_status poll(void* self, uint32_t now, evener_action* action) { return unpack(of(self).controller().poll(now), action); }

evener_status state(void* self, uint32_t* state) { return unpack(of(self).controller().state(), state); }

evener_status handle(void* self, const uint64_t* id, evener_handle* handle) {
  const std::uint64_t words[2] = {id[0], id[1]};
  return unpack(of(self).controller().handle(words), handle);
}

evener_status set_cursor(void* self, uint32_t count, uint32_t key) {
  of(self).cursor.emplace(count, key);
  return EVENER_OK;
}

evener_status pick(void* self, evener_handle* handle, uint32_t* reason) {
  evener::Pick picked = of(self).picker().pick(*of(self).cursor);
  *handle = picked.handle;
  *reason = picked.reason;
  return picked.status.code();
}

evener_status start(void* self, unsigned ticket, uint32_t now, uint64_t* user, uint32_t* reason) {
  evener::Start started = of(self).picker().start(*of(self).cursor, now);
  *user = started.ticket.user();
  *reason = started.reason;
  of(self).tickets[ticket] = std::move(started.ticket);
  return started.status.code();
}

evener_status finish(void* self, unsigned ticket, uint32_t outcome, uint32_t now, evener_finished* finished) {
  return unpack(of(self).tickets[ticket].finish(static_cast<evener_outcome>(outcome), now), finished);
}

evener_status counters(void* self, evener_handle handle, evener_counters* counters) {
  return unpack(of(self).picker().counters(handle), counters);
}

const vectors_binding binding = {open,  close,  update,     set_policy, set_connectivity, set_health, connect, poll,
                                 state, handle, set_cursor, pick,       start,            finish,     counters};

void say(const char* text, size_t length) { std::fwrite(text, 1, length, stdout); }

}  // namespace

int main(int count, char** paths) {
  Wrapped wrapped;
  std::vector<evener_endpoint> memory(1 << 19);
  vectors_host host = {&binding, &wrapped, memory.data(), memory.size() * sizeof memory[0], say};
  vectors_result result = {0, 0, 0};
  for (int i = 1; i < count; i++) {
    std::ifstream file(paths[i], std::ios::binary);
    if (!file) return std::fprintf(stderr, "%s: cannot be read\n", paths[i]), 1;
    std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    vectors_run(&host, paths[i], text.data(), text.size(), &result);
  }
  std::printf("vectors: %u passed, %u failed, %u skipped\n", result.passed, result.failed, result.skipped);
  return result.failed || result.skipped || !result.passed;
}
