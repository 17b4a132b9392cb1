/* C: the core alone, in memory of the caller's; the same on a microcontroller. Connecting and calling are the host's. */

#include <stdio.h>

/* readme: begin */
#include <evener.h>

static _Alignas(EVENER_BALANCER_ALIGNMENT) unsigned char memory[EVENER_BALANCER_BYTES(8, 0)];

int main(void) {
  const evener_limits limits = {.struct_size = sizeof limits, .endpoints = 8};
  const evener_endpoint servers[] = {{.id = {1}, .user = 1, .weight = 1}, {.id = {2}, .user = 2, .weight = 1}};
  evener_balancer *balancer;
  evener_controller *controller;
  if (evener_balancer_init(memory, sizeof memory, &limits, &balancer, &controller) != EVENER_OK) return 1;
  if (evener_controller_update(controller, servers, 2, NULL) != EVENER_OK) return 1;
  for (evener_action action; evener_controller_poll(controller, 0, &action) == EVENER_OK;) {
    const evener_handle handle = {action.slot, action.generation};
    if (action.kind == EVENER_ACTION_CONNECT) { /* The host connects, and says how it went. */
      evener_controller_set_connectivity(controller, handle, EVENER_READY);
    }
  }
  evener_cursor cursor = {{0}}; /* one a thread */
  for (uint32_t now = 0; now < 4; ++now) {
    evener_ticket ticket;
    if (evener_start(balancer, &cursor, now, &ticket, NULL) != EVENER_OK) return 1;
    printf("call %u goes to server %u\n", (unsigned)now, (unsigned)ticket.user);
    evener_finish(balancer, &ticket, EVENER_OUTCOME_SUCCESS, now + 1, NULL);
  }
  return evener_balancer_fini(balancer, controller) == EVENER_OK ? 0 : 1;
}
/* readme: end */
