/* Everything a call does, and nothing else: linked with the bare library, no panic may be reachable from here. */
#include "evener.h"

/* What the linker may drop is decided by what is called; where the objects come from does not matter. */
extern evener_balancer *const balancer;
evener_balancer *const balancer = 0;

void _start(void);
void _start(void) {
    static evener_cursor cursor;
    evener_handle handle = {0, 0};
    evener_ticket ticket = {0, 0, 0, 0, 0};
    evener_counters counters;
    uint32_t reason;
    (void)evener_pick(balancer, &cursor, &handle, &reason);
    (void)evener_begin(balancer, handle, 0, &ticket);
    (void)evener_finish(balancer, &ticket, EVENER_OUTCOME_SUCCESS, 0, 0);
    (void)evener_start(balancer, &cursor, 0, &ticket, &reason);
    (void)evener_finish(balancer, &ticket, EVENER_OUTCOME_SUCCESS, 0, 0);
    (void)evener_counters_read(balancer, handle, &counters);
    for (;;) {}
}
