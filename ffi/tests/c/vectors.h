/* Runs the shared vectors (testdata/vectors) through a binding: one source for hosted C, C++ and bare metal.
 *
 * Needs no libc: its own tokens and numbers, memory from the host, output through the host.
 * The files' grammar stands in testdata/vectors/README.md. */
#ifndef EVENER_TESTS_VECTORS_H
#define EVENER_TESTS_VECTORS_H

#include "evener.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How the vectors reach a balancer: through the C ABI (vectors_c_binding) or through the C++ wrapper. `self` is the binding's own. */
typedef struct vectors_binding {
    evener_status (*open)(void *self, void *memory, size_t length, const evener_limits *limits);
    void (*close)(void *self);
    evener_status (*update)(void *self, const evener_endpoint *list, size_t count, evener_changes *changes);
    evener_status (*set_policy)(void *self, uint32_t kind, int shuffle);
    evener_status (*set_connectivity)(void *self, evener_handle handle, uint32_t state);
    evener_status (*set_health)(void *self, evener_handle handle, uint32_t health);
    evener_status (*connect)(void *self);
    evener_status (*poll)(void *self, uint32_t now, evener_action *action);
    evener_status (*state)(void *self, uint32_t *state);
    evener_status (*handle)(void *self, const uint64_t id[2], evener_handle *handle);
    evener_status (*set_cursor)(void *self, uint32_t count, uint32_t key);
    evener_status (*pick)(void *self, evener_handle *handle, uint32_t *reason);
    evener_status (*start)(void *self, unsigned ticket, uint32_t now, uint64_t *user, uint32_t *reason);
    evener_status (*finish)(void *self, unsigned ticket, uint32_t outcome, uint32_t now, evener_finished *finished);
    evener_status (*counters)(void *self, evener_handle handle, evener_counters *counters);
} vectors_binding;

enum { VECTORS_TICKETS = 16 };

/* The C ABI as a binding; its `self` is one of these. */
typedef struct vectors_c {
    evener_balancer *balancer;
    evener_controller *controller;
    evener_cursor cursor;
    evener_ticket tickets[VECTORS_TICKETS];
} vectors_c;
extern const vectors_binding vectors_c_binding;

/* What the vectors run on. */
typedef struct vectors_host {
    const vectors_binding *binding;
    void *self;
    void *memory; /* aligned to EVENER_BALANCER_ALIGNMENT; a case that needs more is counted as skipped */
    size_t length;
    void (*say)(const char *text, size_t length);
} vectors_host;

typedef struct vectors_result {
    unsigned passed, failed, skipped;
} vectors_result;

/* Runs one file's cases and adds to the result. `file` is its name, for messages. */
void vectors_run(const vectors_host *host, const char *file, const char *text, size_t length, vectors_result *result);

#ifdef __cplusplus
}
#endif
#endif
