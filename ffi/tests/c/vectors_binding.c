/* The C ABI as the vectors see it. */
#include "vectors.h"

static evener_status c_open(void *self, void *memory, size_t length, const evener_limits *limits) {
    vectors_c *c = self;
    for (unsigned i = 0; i < VECTORS_TICKETS; i++) c->tickets[i].mark = 0;
    /* Memory is reused from case to case: init wants it zero-filled, or as fini left it, which has other sizes. */
    for (size_t i = 0; i < length; i++) ((volatile unsigned char *)memory)[i] = 0;
    return evener_balancer_init(memory, length, limits, &c->balancer, &c->controller);
}

static void c_close(void *self) {
    vectors_c *c = self;
    (void)evener_balancer_fini(c->balancer, c->controller);
}

static evener_status c_update(void *self, const evener_endpoint *list, size_t count, evener_changes *changes) {
    return evener_controller_update(((vectors_c *)self)->controller, list, count, changes);
}

static evener_status c_set_policy(void *self, uint32_t kind, int shuffle) {
    evener_policy policy = {0};
    policy.struct_size = sizeof policy;
    policy.kind = kind;
    policy.flags = shuffle ? EVENER_POLICY_SHUFFLE : 0;
    return evener_controller_set_policy(((vectors_c *)self)->controller, &policy);
}

static evener_status c_set_connectivity(void *self, evener_handle handle, uint32_t state) {
    return evener_controller_set_connectivity(((vectors_c *)self)->controller, handle, state);
}

static evener_status c_set_health(void *self, evener_handle handle, uint32_t health) {
    return evener_controller_set_health(((vectors_c *)self)->controller, handle, health);
}

static evener_status c_connect(void *self) { return evener_controller_connect(((vectors_c *)self)->controller); }

static evener_status c_poll(void *self, uint32_t now, evener_action *action) {
    return evener_controller_poll(((vectors_c *)self)->controller, now, action);
}

static evener_status c_state(void *self, uint32_t *state) {
    return evener_controller_state(((vectors_c *)self)->controller, state);
}

static evener_status c_handle(void *self, const uint64_t id[2], evener_handle *handle) {
    return evener_controller_handle(((vectors_c *)self)->controller, id, handle);
}

static evener_status c_set_cursor(void *self, uint32_t count, uint32_t key) {
    return evener_cursor_at(&((vectors_c *)self)->cursor, count, key);
}

static evener_status c_pick(void *self, evener_handle *handle, uint32_t *reason) {
    vectors_c *c = self;
    return evener_pick(c->balancer, &c->cursor, handle, reason);
}

static evener_status c_start(void *self, unsigned ticket, uint32_t now, uint64_t *user, uint32_t *reason) {
    vectors_c *c = self;
    evener_status status = evener_start(c->balancer, &c->cursor, now, &c->tickets[ticket], reason);
    *user = c->tickets[ticket].user;
    return status;
}

static evener_status c_finish(void *self, unsigned ticket, uint32_t outcome, uint32_t now, evener_finished *finished) {
    vectors_c *c = self;
    return evener_finish(c->balancer, &c->tickets[ticket], outcome, now, finished);
}

static evener_status c_counters(void *self, evener_handle handle, evener_counters *counters) {
    return evener_counters_read(((vectors_c *)self)->balancer, handle, counters);
}

const vectors_binding vectors_c_binding = {
    c_open,  c_close,  c_update,     c_set_policy, c_set_connectivity, c_set_health, c_connect,  c_poll,
    c_state, c_handle, c_set_cursor, c_pick,       c_start,            c_finish,     c_counters,
};
