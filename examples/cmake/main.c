/* One picker over two servers, in memory of its own: what a program installs evener for, at its smallest. */
#include <evener.h>

#include <stdio.h>

static _Alignas(EVENER_BALANCER_ALIGNMENT) unsigned char memory[EVENER_BALANCER_BYTES(8, 0)];

int main(void) {
    evener_limits limits = {.struct_size = sizeof limits, .endpoints = 8, .drain_timeout = 30000000};
    const evener_endpoint servers[] = {{.id = {1}, .user = 1, .weight = 1}, {.id = {2}, .user = 2, .weight = 1}};
    evener_balancer *balancer;
    evener_controller *controller;
    evener_action action;
    evener_cursor cursor = {{0}};

    if (evener_abi_version() != EVENER_ABI_VERSION) return 1;
    if (evener_balancer_init(memory, sizeof memory, &limits, &balancer, &controller)) return 2;
    if (evener_controller_update(controller, servers, 2, NULL)) return 3;
    while (evener_controller_poll(controller, 0, &action) == EVENER_OK) {
        evener_handle handle = {action.slot, action.generation};
        /* A real program connects here, and reports what comes of it. */
        if (action.kind == EVENER_ACTION_CONNECT) evener_controller_set_connectivity(controller, handle, EVENER_READY);
    }
    for (uint32_t call = 0; call < 4; call++) {
        evener_ticket ticket;
        if (evener_start(balancer, &cursor, call, &ticket, NULL)) return 4;
        printf("call %u goes to server %u\n", (unsigned)call, (unsigned)ticket.user);
        if (evener_finish(balancer, &ticket, EVENER_OUTCOME_SUCCESS, call + 1, NULL)) return 5;
    }
    return evener_balancer_fini(balancer, controller) != EVENER_OK;
}
