/* What the tests of discovery in C share: a driver, the structures they fill, the events they wait for. */
#ifndef DISCOVERY_H
#define DISCOVERY_H

#include "check.h"

#include <time.h>

static evener_driver *driver;
static char why_bytes[512];

static inline evener_text why(void) {
    memset(why_bytes, 0, sizeof why_bytes);
    return (evener_text){why_bytes, sizeof why_bytes, 0};
}

static inline evener_channel_options options_of(void) {
    evener_channel_options options;
    memset(&options, 0, sizeof options);
    options.struct_size = sizeof options;
    return options;
}

static inline evener_address_endpoint endpoint_of(const char *addresses) {
    evener_address_endpoint endpoint;
    memset(&endpoint, 0, sizeof endpoint);
    endpoint.addresses = addresses;
    endpoint.addresses_len = strlen(addresses);
    endpoint.weight = 1;
    return endpoint;
}

static inline evener_service service_of(void) {
    evener_service service;
    memset(&service, 0, sizeof service);
    service.struct_size = sizeof service;
    service.name = "user-service";
    service.name_len = strlen(service.name);
    service.host = "127.0.0.1";
    service.host_len = strlen(service.host);
    service.port = 50051;
    return service;
}

/* The next event that is not a line of log; kind 0 if none comes. */
static inline evener_event next_event(void) {
    evener_event event;
    memset(&event, 0, sizeof event);
    for (time_t end = time(NULL) + 20; time(NULL) < end;) {
        if (evener_driver_next(driver, 1000, &event) == EVENER_OK && event.kind != EVENER_EVENT_LOG) return event;
    }
    memset(&event, 0, sizeof event);
    return event;
}

/* Events until one of this kind; kind 0 if none comes. */
static inline evener_event await_event(uint32_t kind) {
    evener_event event;
    do event = next_event();
    while (event.kind != kind && event.kind != 0);
    return event;
}

/* Starts a call, turning the driver while it must wait. */
static inline evener_status start_call(evener_channel *channel, evener_call *call) {
    evener_event ignored;
    evener_status status = EVENER_QUEUE;
    for (time_t end = time(NULL) + 20; time(NULL) < end;) {
        status = evener_channel_start(channel, TEXT("/demo.Demo/Unary"), 0, call);
        if (status != EVENER_QUEUE) break;
        evener_driver_next(driver, 100, &ignored);
    }
    return status;
}

static inline int described(evener_channel *channel, const char *word) {
    static char bytes[16384];
    evener_text text = {bytes, sizeof bytes, 0};
    IS(evener_channel_describe(channel, &text), EVENER_OK);
    return strstr(bytes, word) != NULL;
}

#endif
