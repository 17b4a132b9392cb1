/* The layouts that compiled programs rely on, and the versions. A change here is a change of the ABI. */
#include "evener.h"

#include <stdio.h>
#include <string.h>

#define SIZE(type, bytes) _Static_assert(sizeof(type) == (bytes), "size of " #type)
#define AT(type, field, bytes) _Static_assert(offsetof(type, field) == (bytes), "place of " #type "." #field)

SIZE(evener_status, 4);

SIZE(evener_cursor, 16);
_Static_assert(_Alignof(evener_cursor) == 4, "alignment of evener_cursor");
SIZE(evener_handle, 8);
AT(evener_handle, generation, 4);
SIZE(evener_ticket, 24);
AT(evener_ticket, generation, 4);
AT(evener_ticket, start, 8);
AT(evener_ticket, mark, 12);
AT(evener_ticket, user, 16);
SIZE(evener_finished, 8);
AT(evener_finished, wake, 4);
SIZE(evener_counters, 20);
AT(evener_counters, failed, 4);
AT(evener_counters, rejected, 8);
AT(evener_counters, other, 12);
AT(evener_counters, in_flight, 16);
SIZE(evener_limits, 32);
AT(evener_limits, struct_size, 0);
AT(evener_limits, endpoints, 4);
AT(evener_limits, schedule, 8);
AT(evener_limits, drain_timeout, 12);
AT(evener_limits, calls_per_endpoint, 16);
AT(evener_limits, failover_timeout, 20);
AT(evener_limits, seed, 24);
SIZE(evener_endpoint, 32);
AT(evener_endpoint, user, 16);
AT(evener_endpoint, weight, 24);
AT(evener_endpoint, priority, 28);
SIZE(evener_changes, 16);
SIZE(evener_policy, 16);
AT(evener_policy, struct_size, 0);
AT(evener_policy, kind, 4);
AT(evener_policy, flags, 8);
SIZE(evener_action, 24);
AT(evener_action, slot, 4);
AT(evener_action, generation, 8);
AT(evener_action, state, 12);
AT(evener_action, user, 16);
SIZE(evener_endpoint_status, 16);

SIZE(evener_text, 3 * sizeof(void *));
SIZE(evener_event, 32 + 2 * sizeof(void *));
AT(evener_event, endpoint, 4);
AT(evener_event, state, 8);
AT(evener_event, level, 12);
AT(evener_event, token, 16);
AT(evener_event, resolver, 24);
AT(evener_event, text, 32);
SIZE(evener_pair, 4 * sizeof(void *));
SIZE(evener_address_endpoint, 8 * sizeof(void *) + 16);
AT(evener_address_endpoint, zone, 2 * sizeof(void *));
AT(evener_address_endpoint, metadata, 6 * sizeof(void *));
AT(evener_address_endpoint, weight, 8 * sizeof(void *));
AT(evener_address_endpoint, condition, 8 * sizeof(void *) + 8);
SIZE(evener_credentials, 8 + 18 * sizeof(void *));
AT(evener_credentials, user, 8);
SIZE(evener_word, 2 * sizeof(void *));
SIZE(evener_check, 24 + 6 * sizeof(void *));
AT(evener_check, target, 16);
AT(evener_check, tls, 16 + 6 * sizeof(void *));
SIZE(evener_service, 24 + 18 * sizeof(void *));
AT(evener_service, port, 4);
AT(evener_service, json, 24);
AT(evener_service, checks, 24 + 16 * sizeof(void *));
SIZE(evener_registration_options, 16 + 2 * sizeof(void *));
AT(evener_registration_options, credentials, 16);
SIZE(evener_named_list, 4 * sizeof(void *));
SIZE(evener_channel_options, 72 + 26 * sizeof(void *));
AT(evener_channel_options, struct_size, 0);
AT(evener_channel_options, seed, 16);
AT(evener_channel_options, token, 24);
AT(evener_channel_options, initial_timeout_ms, 32);
AT(evener_channel_options, service_config, 72);
AT(evener_channel_options, fallback_target, 72 + 10 * sizeof(void *));
AT(evener_channel_options, dns_language, 72 + 18 * sizeof(void *));
AT(evener_channel_options, credentials, 72 + 24 * sizeof(void *));
AT(evener_channel_options, probe, 72 + 25 * sizeof(void *));
SIZE(evener_probe, 40 + 10 * sizeof(void *));
AT(evener_probe, kind, 40);
AT(evener_probe, server_name, 40 + 8 * sizeof(void *));
SIZE(evener_call, 40);
AT(evener_call, code, 4);
AT(evener_call, epoch, 8);
SIZE(evener_report, 24);
AT(evener_report, struct_size, 0);
AT(evener_report, latency_ns, 16);
SIZE(evener_method_config, 32);
AT(evener_method_config, wait_for_ready, 24);

/* Numbers that programs may have stored. */
_Static_assert(EVENER_OK == 0 && EVENER_QUEUE == 1 && EVENER_FAIL == 2 && EVENER_DROP == 3 && EVENER_NONE == 4 && EVENER_TIMEOUT == 5, "answers");
_Static_assert(EVENER_NULL_POINTER == 100 && EVENER_BAD_SIZE == 101 && EVENER_MISALIGNED == 102 && EVENER_TOO_SMALL == 103, "errors");
_Static_assert(EVENER_BAD_ARGUMENT == 104 && EVENER_STALE == 105 && EVENER_FULL == 106 && EVENER_BUSY == 107, "errors");
_Static_assert(EVENER_POISONED == 108 && EVENER_CLAIMED == 109 && EVENER_NOT_A_BALANCER == 110 && EVENER_PANIC == 111, "errors");
_Static_assert(EVENER_BAD_UTF8 == 112 && EVENER_BAD_TARGET == 113 && EVENER_BAD_CONFIG == 114 && EVENER_BAD_ENDPOINT == 115, "errors");
_Static_assert(EVENER_SHUT_DOWN == 116 && EVENER_IO == 117, "errors");
_Static_assert(EVENER_IDLE == 0 && EVENER_SHUTDOWN == 4 && EVENER_HEALTH_NOT_SERVING == 2, "states");
_Static_assert(EVENER_ACTION_CONNECT == 1 && EVENER_ACTION_STATE_CHANGED == 7, "actions");
_Static_assert(EVENER_EVENT_CONNECT == 1 && EVENER_EVENT_LOG == 7 && EVENER_EVENT_SERVICE_CONFIG == 8, "events");
_Static_assert(EVENER_EVENT_RESOLVE_START == 9 && EVENER_EVENT_RESOLVE_STOP == 10 && EVENER_EVENT_RESOLVE_NOW == 11, "events");
_Static_assert(EVENER_REGISTERED == 1 && EVENER_REGISTRATION_CLOSED == 4 && EVENER_CHECK_SCRIPT == 5, "registration");
_Static_assert(EVENER_LINT_DOCUMENT == 1 && EVENER_LINT_CHANNEL_ARGS == 4, "lint");
_Static_assert(EVENER_OFF == 0xffffffff && EVENER_STALE_DROP == 1, "options");
_Static_assert(EVENER_CONDITION_DRAINING == 1 && EVENER_CONDITION_UNHEALTHY == 2, "conditions");

int main(void) {
    char header[32];
    snprintf(header, sizeof header, "%d.%d.%d", EVENER_VERSION_MAJOR, EVENER_VERSION_MINOR, EVENER_VERSION_PATCH);
    if (strcmp(header, evener_version()) != 0 || evener_abi_version() != EVENER_ABI_VERSION) {
        fprintf(stderr, "header %s, library %s\n", header, evener_version());
        return 1;
    }
    return 0;
}
