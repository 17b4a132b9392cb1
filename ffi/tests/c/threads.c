/* Two threads where one is allowed, and many where many are. */
#include "evener.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ENDPOINTS = 64, ORDERS = 20000, CALLS = 20000, PICKERS = 3 };

static evener_balancer *balancer;
static evener_controller *controller;
static evener_cursor shared_cursor; /* by mistake: each thread should have its own */
static atomic_uint busy, done, failures;

#define CHECK(condition) \
    do { \
        if (!(condition)) { \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            atomic_fetch_add(&failures, 1); \
        } \
    } while (0)

/* Gives orders to the controller, as another thread does at the same time: each is carried out or answered BUSY. */
static void *order(void *argument) {
    evener_endpoint list[ENDPOINTS];
    memset(list, 0, sizeof list);
    for (uint64_t i = 0; i < ENDPOINTS; i++) list[i].id[0] = list[i].user = i + 1, list[i].weight = 1;
    for (int i = 0; i < ORDERS; i++) {
        evener_action action;
        evener_status updated = evener_controller_update(controller, list, (size_t)(ENDPOINTS - i % 8), NULL);
        CHECK(updated == EVENER_OK || updated == EVENER_BUSY || updated == EVENER_FULL);
        evener_status polled = evener_controller_poll(controller, (uint32_t)i, &action);
        CHECK(polled == EVENER_OK || polled == EVENER_NONE || polled == EVENER_BUSY);
        if (polled == EVENER_OK && action.kind == EVENER_ACTION_CONNECT) {
            evener_handle handle = {action.slot, action.generation};
            evener_status set = evener_controller_set_connectivity(controller, handle, EVENER_READY);
            CHECK(set == EVENER_OK || set == EVENER_BUSY || set == EVENER_STALE);
        }
        if (updated == EVENER_BUSY || polled == EVENER_BUSY) atomic_fetch_add(&busy, 1);
    }
    (void)argument;
    return NULL;
}

/* Calls, on one cursor for all threads: every ticket is good once. */
static void *call(void *argument) {
    for (int i = 0; i < CALLS || !atomic_load(&done); i++) {
        evener_ticket ticket = {0};
        evener_finished finished;
        evener_status status = evener_start(balancer, &shared_cursor, 10, &ticket, NULL);
        CHECK(status == EVENER_OK || status == EVENER_QUEUE || status == EVENER_FAIL);
        if (status != EVENER_OK) continue;
        CHECK(ticket.user >= 1 && ticket.user <= ENDPOINTS);
        CHECK(evener_finish(balancer, &ticket, EVENER_OUTCOME_SUCCESS, 25, &finished) == EVENER_OK);
        CHECK(finished.elapsed == 15);
        CHECK(evener_finish(balancer, &ticket, EVENER_OUTCOME_SUCCESS, 25, &finished) == EVENER_STALE);
    }
    (void)argument;
    return NULL;
}

int main(void) {
    evener_limits limits = {0};
    limits.struct_size = sizeof limits;
    limits.endpoints = ENDPOINTS;
    size_t size = 0;
    CHECK(evener_balancer_size(&limits, &size) == EVENER_OK);
    void *memory = aligned_alloc(evener_balancer_align(), size);
    if (!memory) return 1;
    memset(memory, 0, size);
    CHECK(evener_balancer_init(memory, size, &limits, &balancer, &controller) == EVENER_OK);

    pthread_t orders[2], calls[PICKERS];
    for (int i = 0; i < PICKERS; i++) CHECK(pthread_create(&calls[i], NULL, call, NULL) == 0);
    for (int i = 0; i < 2; i++) CHECK(pthread_create(&orders[i], NULL, order, NULL) == 0);
    for (int i = 0; i < 2; i++) pthread_join(orders[i], NULL);
    atomic_store(&done, 1);
    for (int i = 0; i < PICKERS; i++) pthread_join(calls[i], NULL);

    printf("%u of %u orders met another thread\n", atomic_load(&busy), 2u * ORDERS);
    CHECK(atomic_load(&busy) > 0); /* Else nothing was tried. */
    CHECK(evener_balancer_fini(balancer, controller) == EVENER_OK);
    free(memory);
    return atomic_load(&failures) != 0;
}
