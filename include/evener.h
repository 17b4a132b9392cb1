/* evener: the load-balancing brain of a gRPC client. The C ABI.
 *
 * Generated from ffi/src by cbindgen; do not edit.  SPDX-License-Identifier: MIT OR Apache-2.0
 *
 * Two libraries have this header. The bare one (no libc, no allocation; define EVENER_BARE before including it) has the
 * balancer and the controller in memory that you give. The full one (libevener) has channels as well.
 *
 * Every function that can fail answers with an evener_status. Results are written only where the answer is below 100, unless
 * a text says otherwise; results that may be null say so. Texts are pointer and length, UTF-8, and need no zero at the end.
 * A pointer that is neither null nor misaligned must point to memory of the size its type has.
 * Structures that begin with struct_size are to be zeroed, then struct_size set to sizeof: so they may grow. A library takes
 * every size it ever knew, and a larger one if what it does not know is zero. Other structures never change.
 * Times are ticks: microseconds in 32 bits, from any start, wrapping.
 */

#ifndef EVENER_H
#define EVENER_H

#include <stddef.h>
#include <stdint.h>
#if !defined(EVENER_BARE) && !defined(EVENER_CHANNELS)
#define EVENER_CHANNELS 1
#endif

/* What asks registries; a library that was built without them lacks it. */
#if defined(EVENER_CHANNELS) && !defined(EVENER_NO_REGISTRIES) && !defined(EVENER_REGISTRIES)
#define EVENER_REGISTRIES 1
#endif

/* Bytes that are enough for a balancer of so many endpoints and schedule entries, for memory that must be sized when compiling.
 * evener_balancer_size says exactly how many it takes. */
#define EVENER_BALANCER_BYTES(endpoints, schedule) \
    (2048u + 136u * (size_t)(endpoints) + 4u * (size_t)(schedule))

/* An alignment that is enough for a balancer. */
#define EVENER_BALANCER_ALIGNMENT 64


/**
 * For pick_first: try the endpoints in random order. In `evener_policy.flags`.
 */
#define EVENER_POLICY_SHUFFLE 1

/**
 * The most addresses that evener_endpoint_id takes.
 */
#define EVENER_MAX_ADDRESSES 16

#if defined(EVENER_CHANNELS)
/**
 * In fields of milliseconds of which 0 is the default: none at all. What that means each field says.
 */
#define EVENER_OFF UINT32_MAX
#endif

/**
 * The library's version, first number. Equal to the package's; checked when the library is compiled.
 */
#define EVENER_VERSION_MAJOR 0

/**
 * The library's version, second number.
 */
#define EVENER_VERSION_MINOR 1

/**
 * The library's version, third number.
 */
#define EVENER_VERSION_PATCH 0

/**
 * The version of the ABI that this header describes.
 *
 * It grows when something that compiled programs rely on changes its meaning or goes: a function's signature, the layout of
 * a structure without `struct_size`, a number. New functions, new status numbers and new fields at the
 * end of a structure that begins with `struct_size` leave it as it is.
 */
#define EVENER_ABI_VERSION 1

/**
 * The answer of nearly every function. Numbers never change their meaning and are never reused.
 *
 * Below 100: ordinary answers. From 100: errors; nothing was changed, and results were not written unless the function's
 * text says otherwise. A program must expect numbers that its header does not know yet and treat them as errors when they are
 * 100 or more.
 */
enum evener_status
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * Done; results are written.
     */
    EVENER_OK = 0,
    /**
     * No endpoint can take the call now, but one may soon: wait and ask again.
     */
    EVENER_QUEUE = 1,
    /**
     * The call is to fail now (unless it waits for ready); the reason is written.
     */
    EVENER_FAIL = 2,
    /**
     * The call is to fail whatever it asked for, and is not to be retried.
     */
    EVENER_DROP = 3,
    /**
     * There is nothing: no action, no deadline, no such endpoint.
     */
    EVENER_NONE = 4,
    /**
     * The time given ran out first.
     */
    EVENER_TIMEOUT = 5,
    /**
     * A pointer that must not be null is null.
     */
    EVENER_NULL_POINTER = 100,
    /**
     * `struct_size` is none of the sizes this structure ever had, or a field this library does not know is not zero.
     */
    EVENER_BAD_SIZE = 101,
    /**
     * A pointer is not aligned as its type demands.
     */
    EVENER_MISALIGNED = 102,
    /**
     * The memory given is too short.
     */
    EVENER_TOO_SMALL = 103,
    /**
     * A number is out of its range, or a reserved field is not zero.
     */
    EVENER_BAD_ARGUMENT = 104,
    /**
     * The handle's endpoint is gone, or the ticket was finished or never started.
     */
    EVENER_STALE = 105,
    /**
     * The endpoint has reached its limit of calls, or the balancer its limit of endpoints.
     */
    EVENER_FULL = 106,
    /**
     * Another thread (or the code this interrupt stopped) is inside the same object.
     */
    EVENER_BUSY = 107,
    /**
     * A panic was caught inside this controller before: it takes no more orders. Picks go on.
     */
    EVENER_POISONED = 108,
    /**
     * The memory already holds a balancer, or is not zero-filled.
     */
    EVENER_CLAIMED = 109,
    /**
     * The pointer does not point to a live object of this kind, or the object was moved.
     */
    EVENER_NOT_A_BALANCER = 110,
    /**
     * A panic was caught: a bug of evener's. Please report it.
     */
    EVENER_PANIC = 111,
    /**
     * A text is not UTF-8.
     */
    EVENER_BAD_UTF8 = 112,
    /**
     * The target cannot be understood, or its scheme is not known.
     */
    EVENER_BAD_TARGET = 113,
    /**
     * The service config is not valid; the previous one stays in force.
     */
    EVENER_BAD_CONFIG = 114,
    /**
     * An endpoint's address, weight or zone is not valid.
     */
    EVENER_BAD_ENDPOINT = 115,
    /**
     * The driver or the channel was shut down.
     */
    EVENER_SHUT_DOWN = 116,
    /**
     * The operating system refused something.
     */
    EVENER_IO = 117,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum evener_status evener_status;
#else
typedef uint32_t evener_status;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * How a call ended.
 */
enum evener_outcome
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * The endpoint answered as it should.
     */
    EVENER_OUTCOME_SUCCESS = 0,
    /**
     * The endpoint failed, or the connection did.
     */
    EVENER_OUTCOME_FAILURE = 1,
    /**
     * The endpoint turned the call away without working on it.
     */
    EVENER_OUTCOME_REJECTED = 2,
    /**
     * The caller cancelled it.
     */
    EVENER_OUTCOME_CANCELLED = 3,
    /**
     * Its deadline passed.
     */
    EVENER_OUTCOME_TIMED_OUT = 4,
    /**
     * Nobody waited for its end.
     */
    EVENER_OUTCOME_ABANDONED = 5,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum evener_outcome evener_outcome;
#else
typedef uint32_t evener_outcome;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * Why a call is to fail (`EVENER_FAIL`).
 */
enum evener_fail_reason
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * The last update had no endpoints.
     */
    EVENER_FAIL_NO_ENDPOINTS = 1,
    /**
     * Every connection is failing.
     */
    EVENER_FAIL_ALL_FAILING = 2,
    /**
     * Connections are there, but no endpoint serves.
     */
    EVENER_FAIL_NOT_SERVING = 3,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum evener_fail_reason evener_fail_reason;
#else
typedef uint32_t evener_fail_reason;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * The ways to choose among endpoints.
 */
enum evener_policy_kind
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * The first endpoint that can be connected gets every call.
     */
    EVENER_POLICY_PICK_FIRST = 1,
    /**
     * One after another.
     */
    EVENER_POLICY_ROUND_ROBIN = 2,
    /**
     * Any, evenly.
     */
    EVENER_POLICY_PICK_RANDOM = 3,
    /**
     * By weight.
     */
    EVENER_POLICY_WEIGHTED_ROUND_ROBIN = 4,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum evener_policy_kind evener_policy_kind;
#else
typedef uint32_t evener_policy_kind;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * The state of a connection, or of the whole channel; gRPC's numbers.
 */
enum evener_connectivity
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * Not connected, and nobody tries.
     */
    EVENER_IDLE = 0,
    /**
     * Being connected.
     */
    EVENER_CONNECTING = 1,
    /**
     * Calls may go there.
     */
    EVENER_READY = 2,
    /**
     * Connecting failed; holds until `EVENER_READY`, further attempts notwithstanding.
     */
    EVENER_TRANSIENT_FAILURE = 3,
    /**
     * Gone for good.
     */
    EVENER_SHUTDOWN = 4,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum evener_connectivity evener_connectivity;
#else
typedef uint32_t evener_connectivity;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * What a health check says of an endpoint.
 */
enum evener_health
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * Nothing yet: counts as serving.
     */
    EVENER_HEALTH_UNKNOWN = 0,
    /**
     * Calls may go there.
     */
    EVENER_HEALTH_SERVING = 1,
    /**
     * No calls, the connection stays.
     */
    EVENER_HEALTH_NOT_SERVING = 2,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum evener_health evener_health;
#else
typedef uint32_t evener_health;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * What the host is to do (`evener_action.kind`).
 */
enum evener_action_kind
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * Connect to the endpoint and report its states.
     */
    EVENER_ACTION_CONNECT = 1,
    /**
     * Give up the endpoint's connection; it stays in the list. Its calls may end.
     */
    EVENER_ACTION_DISCONNECT = 2,
    /**
     * Cancel the calls that the endpoint still has: it was removed, and the drain timeout is over.
     */
    EVENER_ACTION_CANCEL_CALLS = 3,
    /**
     * The endpoint is gone and has no calls: close its connection, free what `user` stands for.
     */
    EVENER_ACTION_CLOSE = 4,
    /**
     * After an update that was refused for want of room: there is room again, try it again.
     */
    EVENER_ACTION_ROOM_AGAIN = 5,
    /**
     * Resolve the name again.
     */
    EVENER_ACTION_RERESOLVE = 6,
    /**
     * The state of the whole is now `state`.
     */
    EVENER_ACTION_STATE_CHANGED = 7,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum evener_action_kind evener_action_kind;
#else
typedef uint32_t evener_action_kind;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * What an event asks for (`evener_event.kind`).
 */
enum evener_event_kind
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * Connect the endpoint and report its states. May come again for an endpoint that fell back to `EVENER_IDLE`.
     */
    EVENER_EVENT_CONNECT = 1,
    /**
     * Give up the endpoint's connection; the endpoint stays.
     */
    EVENER_EVENT_DISCONNECT = 2,
    /**
     * Cancel the calls that the endpoint still has.
     */
    EVENER_EVENT_CANCEL_CALLS = 3,
    /**
     * The endpoint is gone and has no calls: free what belongs to it, then call evener_channel_endpoint_closed.
     */
    EVENER_EVENT_CLOSE = 4,
    /**
     * The channel's state is now `state`.
     */
    EVENER_EVENT_STATE_CHANGED = 5,
    /**
     * Start the calls that wait again.
     */
    EVENER_EVENT_PICK_AGAIN = 6,
    /**
     * `text` is a line for the application's log, of level `level`.
     */
    EVENER_EVENT_LOG = 7,
    /**
     * Another service config is in force, whoever gave it (the application, DNS, a registry); `text` is its JSON. Not sent for the
     * one of evener_channel_options.
     */
    EVENER_EVENT_SERVICE_CONFIG = 8,
    /**
     * Begin to resolve the target in `text`, of a scheme that evener_driver_register_scheme has made the program's own: say what is
     * known with evener_resolver_push and its siblings, now and at any time until `EVENER_EVENT_RESOLVE_STOP` names this `resolver`.
     * About no channel: `token` is 0. Channels with the same target and options share it.
     */
    EVENER_EVENT_RESOLVE_START = 9,
    /**
     * `resolver`'s target is no longer to be resolved. What is said of it from now on is dropped.
     */
    EVENER_EVENT_RESOLVE_STOP = 10,
    /**
     * Somebody has reason to think that what was pushed last for `resolver` is out of date.
     */
    EVENER_EVENT_RESOLVE_NOW = 11,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum evener_event_kind evener_event_kind;
#else
typedef uint32_t evener_event_kind;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * How grave a line of log is (`evener_event.level`).
 */
enum evener_log_level
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * Something does not work.
     */
    EVENER_LOG_ERROR = 1,
    /**
     * Something is not as it should be.
     */
    EVENER_LOG_WARNING = 2,
    /**
     * Something changed.
     */
    EVENER_LOG_INFO = 3,
    /**
     * For those who look for a fault.
     */
    EVENER_LOG_DEBUG = 4,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum evener_log_level evener_log_level;
#else
typedef uint32_t evener_log_level;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

#if defined(EVENER_CHANNELS)
/**
 * What whoever registered or checks a server says of it (`evener_address_endpoint.condition`).
 */
enum evener_condition
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
#if defined(EVENER_CHANNELS)
    /**
     * It takes calls.
     */
    EVENER_CONDITION_READY = 0,
#endif
#if defined(EVENER_CHANNELS)
    /**
     * It still serves but is about to leave: calls go there only where nothing else of its tier can take them.
     */
    EVENER_CONDITION_DRAINING = 1,
#endif
#if defined(EVENER_CHANNELS)
    /**
     * A check of it fails: no calls, whatever its connection says.
     */
    EVENER_CONDITION_UNHEALTHY = 2,
#endif
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum evener_condition evener_condition;
#else
typedef uint32_t evener_condition;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus
#endif

#if (defined(EVENER_CHANNELS) && defined(EVENER_REGISTRIES))
/**
 * How a registry checks a server (`evener_check.kind`).
 */
enum evener_check_kind
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
#if (defined(EVENER_CHANNELS) && defined(EVENER_REGISTRIES))
    /**
     * The registration gives signs of life itself, each within `interval_ms` of the one before.
     */
    EVENER_CHECK_TTL = 1,
#endif
#if (defined(EVENER_CHANNELS) && defined(EVENER_REGISTRIES))
    /**
     * An HTTP request to the URL in `target` that is answered with 2xx.
     */
    EVENER_CHECK_HTTP = 2,
#endif
#if (defined(EVENER_CHANNELS) && defined(EVENER_REGISTRIES))
    /**
     * A TCP connection to `target`, HOST:PORT.
     */
    EVENER_CHECK_TCP = 3,
#endif
#if (defined(EVENER_CHANNELS) && defined(EVENER_REGISTRIES))
    /**
     * gRPC's health service at `target`, HOST:PORT or HOST:PORT/SERVICE.
     */
    EVENER_CHECK_GRPC = 4,
#endif
#if (defined(EVENER_CHANNELS) && defined(EVENER_REGISTRIES))
    /**
     * A program on the registry's agent, `target`, with `arguments`. Exit code 0 passes, 1 warns.
     */
    EVENER_CHECK_SCRIPT = 5,
#endif
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum evener_check_kind evener_check_kind;
#else
typedef uint32_t evener_check_kind;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus
#endif

#if (defined(EVENER_CHANNELS) && defined(EVENER_REGISTRIES))
/**
 * Where a registration stands.
 */
enum evener_registration_phase
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
#if (defined(EVENER_CHANNELS) && defined(EVENER_REGISTRIES))
    /**
     * It has not been in the registry yet.
     */
    EVENER_REGISTERING = 0,
#endif
#if (defined(EVENER_CHANNELS) && defined(EVENER_REGISTRIES))
    /**
     * It is in the registry.
     */
    EVENER_REGISTERED = 1,
#endif
#if (defined(EVENER_CHANNELS) && defined(EVENER_REGISTRIES))
    /**
     * It was in the registry, and as far as is known it is not now. It will be again.
     */
    EVENER_REGISTRATION_LOST = 2,
#endif
#if (defined(EVENER_CHANNELS) && defined(EVENER_REGISTRIES))
    /**
     * It is marked as leaving, and still kept alive.
     */
    EVENER_REGISTRATION_DRAINING = 3,
#endif
#if (defined(EVENER_CHANNELS) && defined(EVENER_REGISTRIES))
    /**
     * It is over.
     */
    EVENER_REGISTRATION_CLOSED = 4,
#endif
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum evener_registration_phase evener_registration_phase;
#else
typedef uint32_t evener_registration_phase;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus
#endif

#if defined(EVENER_CHANNELS)
/**
 * What becomes of endpoints that are older than `evener_channel_options.max_stale_ms`.
 */
enum evener_stale_policy
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
#if defined(EVENER_CHANNELS)
    /**
     * They stay in use, marked as stale: a registry that is down takes no healthy service away.
     */
    EVENER_STALE_KEEP = 0,
#endif
#if defined(EVENER_CHANNELS)
    /**
     * Where the registry cannot be asked they are dropped; for networks where an address may soon be somebody else's.
     */
    EVENER_STALE_DROP = 1,
#endif
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum evener_stale_policy evener_stale_policy;
#else
typedef uint32_t evener_stale_policy;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus
#endif

#if defined(EVENER_CHANNELS)
/**
 * What a text is that evener_lint looks at.
 */
enum evener_lint_kind
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
#if defined(EVENER_CHANNELS)
    /**
     * A JSON document, by what it holds: a Consul service definition (`service`, `services`, or a `name` by itself), a channel
     * (`target`, `service_config`, `channel_args`), a channel's arguments (`grpc.keepalive_time_ms`), else a service config.
     */
    EVENER_LINT_DOCUMENT = 1,
#endif
#if defined(EVENER_CHANNELS)
    /**
     * A channel's target.
     */
    EVENER_LINT_TARGET = 2,
#endif
#if defined(EVENER_CHANNELS)
    /**
     * A service config.
     */
    EVENER_LINT_SERVICE_CONFIG = 3,
#endif
#if defined(EVENER_CHANNELS)
    /**
     * A JSON object of gRPC's channel arguments, by their names (`grpc.keepalive_time_ms`).
     */
    EVENER_LINT_CHANNEL_ARGS = 4,
#endif
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum evener_lint_kind evener_lint_kind;
#else
typedef uint32_t evener_lint_kind;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus
#endif

/**
 * The side that picks: any number of threads, never waiting for one another or for the controller.
 *
 * It lives in the caller's memory, which must stay where it is until evener_balancer_fini.
 *
 * Used by: evener_pick, evener_begin, evener_start, evener_finish, evener_counters_read, evener_user, evener_published, evener_needs_poll.
 */
typedef struct evener_balancer evener_balancer;

#if defined(EVENER_CHANNELS)
/**
 * One channel: a target, its endpoints, and where the next call goes.
 *
 * Any thread may use it. Made by evener_channel_open, freed by evener_channel_free.
 *
 * Used by: evener_channel_start, evener_channel_finish, evener_channel_method, evener_channel_wait and all else named evener_channel.
 */
typedef struct evener_channel evener_channel;
#endif

#if (defined(EVENER_CHANNELS) && defined(EVENER_REGISTRIES))
/**
 * A configuration as of one instant; never changes. Any thread may use it. Made by evener_config_watch_get, freed by
 * evener_config_free; it outlives its watch.
 *
 * Used by: evener_config_epoch, evener_config_revision, evener_config_size, evener_config_entry, evener_config_find.
 */
typedef struct evener_config evener_config;
#endif

#if (defined(EVENER_CHANNELS) && defined(EVENER_REGISTRIES))
/**
 * A configuration that is being watched. Any thread may use it. Made by evener_config_watch_open, freed by evener_config_watch_free.
 *
 * Used by: evener_config_watch_wait, evener_config_watch_get, evener_config_watch_describe.
 */
typedef struct evener_config_watch evener_config_watch;
#endif

/**
 * The side that decides: one thread at a time; a second one is answered `EVENER_BUSY`.
 *
 * It lives in the same memory as its balancer.
 *
 * Used by: evener_controller_update, evener_controller_set_policy, evener_controller_set_connectivity,
 * evener_controller_set_health, evener_controller_connect, evener_controller_poll, evener_controller_next_deadline,
 * evener_controller_state, evener_controller_handle, evener_controller_endpoint.
 */
typedef struct evener_controller evener_controller;

#if defined(EVENER_CHANNELS)
/**
 * Where a transport waits for what its channels ask of it; it also owns the background threads that ask the system's
 * resolver and the registries, each started when first needed.
 *
 * Any thread may use it; evener_driver_next is for one thread at a time. Made by evener_driver_new, freed by evener_driver_free. A child
 * that was forked off makes one of its own.
 *
 * Used by: evener_driver_next, evener_driver_shutdown, evener_driver_wake_fd, evener_driver_next_timeout, evener_channel_open,
 * evener_driver_register_scheme, evener_register, evener_config_watch_open.
 */
typedef struct evener_driver evener_driver;
#endif

#if (defined(EVENER_CHANNELS) && defined(EVENER_REGISTRIES))
/**
 * A server's record in a registry, kept there until this is closed or freed: written, kept alive, read back now and then, and written
 * again whenever it is gone, however long the registry was away. Any thread may use it. Made by evener_register, freed by
 * evener_registration_free. In a forked child it is over: the server is the parent's.
 *
 * Used by: evener_registration_state, evener_registration_wait, evener_registration_update, evener_registration_drain,
 * evener_registration_close, evener_registration_describe.
 */
typedef struct evener_registration evener_registration;
#endif

/**
 * Where one thread's picks stand: make one per thread, or one per channel where picks are rare.
 *
 * All zero is a valid cursor; it starts at a random place with its first pick. An update of the endpoints never resets it.
 * It belongs to the caller and holds nothing: forget it when done. Two threads (or an interrupt handler and the code it
 * stopped) that use one by mistake lose or repeat a step, no more.
 *
 * Used by: evener_pick, evener_start.
 */
typedef struct evener_cursor {
    /**
     * The library's.
     */
    uint32_t opaque[4];
} evener_cursor;

/**
 * Where a call may go: a slot, and which endpoint in it. Plain data; copy it freely. It proves nothing: the endpoint may be
 * gone by the time it is used, and then the answer is `EVENER_STALE`.
 */
typedef struct evener_handle {
    /**
     * Number of the slot, below `evener_limits.endpoints`.
     */
    uint32_t slot;
    /**
     * How often the slot was given to an endpoint; never 0 in a handle that the library gave.
     */
    uint32_t generation;
} evener_handle;

/**
 * A call under way. The caller's memory; zero it or leave it as it is before starting. It pins its endpoint: neither slot nor `user`
 * changes hands before evener_finish has taken it, exactly once. Do not copy it, and do not change it: a ticket made up by hand that
 * names a live endpoint cannot be told from a real one, and spoils that endpoint's counts (never memory).
 */
typedef struct evener_ticket {
    /**
     * The slot the call runs in.
     */
    uint32_t slot;
    /**
     * Which endpoint in that slot.
     */
    uint32_t generation;
    /**
     * When the call began, in ticks.
     */
    uint32_t start;
    /**
     * The library's.
     */
    uint32_t mark;
    /**
     * The application's own value of the endpoint: stays valid until the ticket is finished.
     */
    uint64_t user;
} evener_ticket;

/**
 * What finishing a call tells.
 */
typedef struct evener_finished {
    /**
     * Ticks since the call began.
     */
    uint32_t elapsed;
    /**
     * 1: have evener_controller_poll called soon, something waits for it (an endpoint has drained); else 0.
     */
    uint32_t wake;
} evener_finished;

/**
 * What has happened at one endpoint. The first four wrap at 2^32; add differences up.
 */
typedef struct evener_counters {
    /**
     * Calls that succeeded.
     */
    uint32_t ok;
    /**
     * Calls that failed or timed out.
     */
    uint32_t failed;
    /**
     * Calls that the endpoint turned away.
     */
    uint32_t rejected;
    /**
     * Calls that were cancelled or abandoned.
     */
    uint32_t other;
    /**
     * Calls under way.
     */
    uint32_t in_flight;
} evener_counters;

/**
 * How much a balancer can hold, and how it behaves for good. Zero it, set `struct_size`, then set what you need.
 */
typedef struct evener_limits {
    /**
     * `sizeof(evener_limits)`.
     */
    uint32_t struct_size;
    /**
     * Endpoints at once, those that still drain included: 1 to 65 534.
     */
    uint32_t endpoints;
    /**
     * Entries of the exact weighted schedule: 0 (none) to 65 536. Weights whose sum, divided by their greatest common divisor, fits
     * are served exactly (3:2:1 needs 6 entries); others evenly over time.
     */
    uint32_t schedule;
    /**
     * Ticks (microseconds) after which the calls of a removed endpoint are to be cancelled; 0 = never. At most 2^31 - 1.
     */
    uint32_t drain_timeout;
    /**
     * Calls in flight that one endpoint may have; 0 = no limit.
     */
    uint32_t calls_per_endpoint;
    /**
     * Ticks that a tier of priorities may take to connect before the next one is connected too; 0 = 10 s. At most 2^31 - 1.
     */
    uint32_t failover_timeout;
    /**
     * Start of everything random. The same seed and the same inputs give the same picks on every platform.
     */
    uint64_t seed;
} evener_limits;

/**
 * One server of the list given to evener_controller_update.
 */
typedef struct evener_endpoint {
    /**
     * Who it is: 128 bits that the application chooses, or that evener_endpoint_id computes. All else may change during its life.
     */
    uint64_t id[2];
    /**
     * The application's own value, a pointer perhaps. Taken when the endpoint is added and held until its `EVENER_ACTION_CLOSE`.
     */
    uint64_t user;
    /**
     * Share of the picks under weighted_round_robin. 0: no picks under any policy, but it stays connected; if all are 0, all count as 1.
     */
    uint32_t weight;
    /**
     * Its tier, 0 being the first: calls go to the first tier that has an endpoint which can take them. A later tier is connected when
     * all of the ones before it have failed, or after `evener_limits.failover_timeout`. For pick_first it only orders the list.
     */
    uint32_t priority;
} evener_endpoint;

/**
 * What an update changed.
 */
typedef struct evener_changes {
    /**
     * Endpoints that are new.
     */
    uint32_t added;
    /**
     * Endpoints that are no longer in the list; their calls go on, and a close action comes after the last.
     */
    uint32_t removed;
    /**
     * Endpoints that stayed.
     */
    uint32_t kept;
    /**
     * Endpoints that had been removed, still had calls, and are back.
     */
    uint32_t returned;
} evener_changes;

/**
 * A policy and its settings. Zero it, set `struct_size`, then set what you need.
 */
typedef struct evener_policy {
    /**
     * `sizeof(evener_policy)`.
     */
    uint32_t struct_size;
    /**
     * An evener_policy_kind.
     */
    uint32_t kind;
    /**
     * `EVENER_POLICY_SHUFFLE` or zero.
     */
    uint32_t flags;
    /**
     * Zero.
     */
    uint32_t reserved;
} evener_policy;

/**
 * One thing for the host to do.
 */
typedef struct evener_action {
    /**
     * An evener_action_kind; expect, and ignore, kinds that this header does not know.
     */
    uint32_t kind;
    /**
     * The endpoint's slot, for kinds about an endpoint; else 0.
     */
    uint32_t slot;
    /**
     * The endpoint's generation, for kinds about an endpoint; else 0.
     */
    uint32_t generation;
    /**
     * An evener_connectivity for `EVENER_ACTION_STATE_CHANGED`; else 0.
     */
    uint32_t state;
    /**
     * The application's own value of the endpoint; else 0.
     */
    uint64_t user;
} evener_action;

/**
 * What the controller knows of an endpoint.
 */
typedef struct evener_endpoint_status {
    /**
     * An evener_connectivity.
     */
    uint32_t connectivity;
    /**
     * An evener_health.
     */
    uint32_t health;
    /**
     * Its weight, as the last update had it.
     */
    uint32_t weight;
    /**
     * 1: removed, and waiting for its last calls; else 0.
     */
    uint32_t draining;
} evener_endpoint_status;

#if defined(EVENER_CHANNELS)
/**
 * A call, from evener_channel_start to evener_channel_finish. The caller's memory; zero it, or leave it as it is, before
 * starting. Do not copy it, and do not change it while the call is under way.
 */
typedef struct evener_call {
    /**
     * After `EVENER_OK`: where the call goes.
     */
    uint32_t endpoint;
    /**
     * After `EVENER_FAIL`: the gRPC status code to fail with.
     */
    uint32_t code;
    /**
     * After `EVENER_QUEUE`: what evener_channel_wait waits with, and what evener_channel_epoch is compared with.
     */
    uint64_t epoch;
    /**
     * The library's.
     */
    uint32_t block;
    /**
     * The library's.
     */
    uint32_t slot;
    /**
     * The library's.
     */
    uint32_t generation;
    /**
     * The library's: when it began.
     */
    uint32_t start;
    /**
     * The library's: not 0 while the call is under way.
     */
    uint32_t mark;
    /**
     * The library's.
     */
    uint32_t reserved;
} evener_call;
#endif

#if defined(EVENER_CHANNELS)
/**
 * Where the library writes a text: the caller's buffer.
 *
 * `length` becomes the text's full length in bytes. If that is more than `capacity`, the buffer holds its beginning (cut between
 * characters) and the answer is `EVENER_TOO_SMALL`: give more and ask again. A zero byte follows where there is room for it; `length` never
 * counts it. `data` may be null if `capacity` is 0. For texts that explain an error, too small a buffer does not change the
 * status of the function.
 */
typedef struct evener_text {
    /**
     * The buffer.
     */
    char *data;
    /**
     * Its size in bytes.
     */
    size_t capacity;
    /**
     * Written: the text's length.
     */
    size_t length;
} evener_text;
#endif

#if defined(EVENER_CHANNELS)
/**
 * How a call ended. Zero it, set `struct_size`, then set what you know.
 */
typedef struct evener_report {
    /**
     * `sizeof(evener_report)`.
     */
    uint32_t struct_size;
    /**
     * Its gRPC status code, 0 to 16. Any other number, which a server may send, counts as UNKNOWN (2).
     */
    uint32_t code;
    /**
     * 1: the application dropped it before it had a status; then `code` counts for nothing. Else 0.
     */
    uint32_t abandoned;
    /**
     * Zero.
     */
    uint32_t reserved;
    /**
     * How long it took, in nanoseconds.
     */
    uint64_t latency_ns;
} evener_report;
#endif

#if defined(EVENER_CHANNELS)
/**
 * What the service config says about calls of a method.
 */
typedef struct evener_method_config {
    /**
     * The longest a call may take, in nanoseconds; -1 = nothing said.
     */
    int64_t timeout_ns;
    /**
     * The largest request, in bytes; -1 = nothing said.
     */
    int64_t max_request_bytes;
    /**
     * The largest response, in bytes; -1 = nothing said.
     */
    int64_t max_response_bytes;
    /**
     * 0 = nothing said, 1 = false, 2 = true.
     */
    uint32_t wait_for_ready;
    /**
     * Zero.
     */
    uint32_t reserved;
} evener_method_config;
#endif

#if defined(EVENER_CHANNELS)
/**
 * A key and its value.
 */
typedef struct evener_pair {
    /**
     * The key, UTF-8.
     */
    const char *key;
    /**
     * Bytes in `key`.
     */
    size_t key_len;
    /**
     * The value: UTF-8, but for the values of an evener_config, which are whatever bytes the registry holds.
     */
    const char *value;
    /**
     * Bytes in `value`.
     */
    size_t value_len;
} evener_pair;
#endif

#if defined(EVENER_CHANNELS)
/**
 * One endpoint, by its addresses. Zero it, then set what you need.
 */
typedef struct evener_address_endpoint {
    /**
     * `host:port`, `[v6]:port` or `unix:path`; several addresses of the same endpoint with commas between.
     */
    const char *addresses;
    /**
     * Bytes in `addresses`.
     */
    size_t addresses_len;
    /**
     * Its zone; null for none.
     */
    const char *zone;
    /**
     * Bytes in `zone`.
     */
    size_t zone_len;
    /**
     * The region that zone is in; null for none.
     */
    const char *region;
    /**
     * Bytes in `region`.
     */
    size_t region_len;
    /**
     * Whatever else is known of it, each key once; null for nothing. Not interpreted.
     */
    const struct evener_pair *metadata;
    /**
     * How many.
     */
    size_t metadata_len;
    /**
     * Share of the picks under weighted_round_robin; 0 = no picks under any policy, but it stays connected.
     */
    uint32_t weight;
    /**
     * Its tier: 0 is used first, the next one only where no endpoint of the tiers before it can take calls.
     */
    uint32_t priority;
    /**
     * An evener_condition.
     */
    uint32_t condition;
    /**
     * Zero.
     */
    uint32_t reserved;
} evener_address_endpoint;
#endif

#if defined(EVENER_CHANNELS)
/**
 * A list of endpoints that `static:///NAME` names.
 */
typedef struct evener_named_list {
    /**
     * The name.
     */
    const char *name;
    /**
     * Bytes in `name`.
     */
    size_t name_len;
    /**
     * The list.
     */
    const struct evener_address_endpoint *endpoints;
    /**
     * How many.
     */
    size_t endpoints_len;
} evener_named_list;
#endif

#if defined(EVENER_CHANNELS)
/**
 * What a registry is asked with. Zero it, set `struct_size`, then set what you need. Texts are copied; a secret's copy is wiped
 * when it is no longer needed. Files are read again when they change, within a minute.
 *
 * Without one the registry's usual environment variables count (`CONSUL_HTTP_TOKEN` and the like).
 */
typedef struct evener_credentials {
    /**
     * `sizeof(evener_credentials)`.
     */
    uint32_t struct_size;
    /**
     * 1: TLS, also where no file below is given. 0: TLS if the target, the environment or one of these files says so.
     */
    uint32_t tls;
    /**
     * A user's name (etcd; HTTP basic authentication for Consul); null for none.
     */
    const char *user;
    /**
     * Bytes in `user`.
     */
    size_t user_len;
    /**
     * The user's password; null for none, or where `password_file` has it.
     */
    const char *password;
    /**
     * Bytes in `password`.
     */
    size_t password_len;
    /**
     * A file that holds the password; white space at its end does not count.
     */
    const char *password_file;
    /**
     * Bytes in `password_file`.
     */
    size_t password_file_len;
    /**
     * A token (Consul's ACL token, a bearer token for Kubernetes); null for none, or where `token_file` has it.
     */
    const char *token;
    /**
     * Bytes in `token`.
     */
    size_t token_len;
    /**
     * A file that holds the token.
     */
    const char *token_file;
    /**
     * Bytes in `token_file`.
     */
    size_t token_file_len;
    /**
     * A file of certificates to trust (PEM); null trusts the system's.
     */
    const char *ca_file;
    /**
     * Bytes in `ca_file`.
     */
    size_t ca_file_len;
    /**
     * A file with the client's certificate chain (PEM); needs `key_file`.
     */
    const char *cert_file;
    /**
     * Bytes in `cert_file`.
     */
    size_t cert_file_len;
    /**
     * A file with the key of `cert_file` (PEM).
     */
    const char *key_file;
    /**
     * Bytes in `key_file`.
     */
    size_t key_file_len;
    /**
     * The name to check the server's certificate against, where it is not the host's.
     */
    const char *server_name;
    /**
     * Bytes in `server_name`.
     */
    size_t server_name_len;
} evener_credentials;
#endif

#if defined(EVENER_CHANNELS)
/**
 * How a channel's endpoints are probed. Zero it, set `struct_size` and `kind`, then set what you need. Texts are copied.
 */
typedef struct evener_probe {
    /**
     * `sizeof(evener_probe)`.
     */
    uint32_t struct_size;
    /**
     * Milliseconds from the end of one check of an endpoint to the next one; 0 = 10 s, at least 10.
     */
    uint32_t interval_ms;
    /**
     * Percent by which the interval varies to both sides, at most 100; 0 = 10. `EVENER_OFF`: none.
     */
    uint32_t jitter_percent;
    /**
     * The longest a check may take, milliseconds; 0 = 3 s.
     */
    uint32_t timeout_ms;
    /**
     * Checks in a row that must succeed before an unhealthy endpoint is healthy; 0 = 2.
     */
    uint32_t rise;
    /**
     * Checks in a row that must fail before a healthy endpoint is unhealthy; 0 = 3. One that was never checked is healthy.
     */
    uint32_t fall;
    /**
     * Checks that may run at the same time, over all endpoints; 0 = 64.
     */
    uint32_t concurrency;
    /**
     * 1: where no endpoint passes, all that fail are out. 0: none is, since a wrong check must not stop a service.
     */
    uint32_t fail_closed;
    /**
     * 1: TLS for HTTP and gRPC, also where no file below is given. 0: TLS if one is.
     */
    uint32_t tls;
    /**
     * Zero.
     */
    uint32_t reserved;
    /**
     * What a check does: `tcp` connects; `http:/path` or `http::8081/path` gets 200 to 299; `grpc` or `grpc:service` asks
     * grpc.health.v1's Check; `grpc-watch` or `grpc-watch:service` is told by its Watch, which counts at once.
     */
    const char *kind;
    /**
     * Bytes in `kind`.
     */
    size_t kind_len;
    /**
     * A file of certificates to trust (PEM); null trusts the system's.
     */
    const char *ca_file;
    /**
     * Bytes in `ca_file`.
     */
    size_t ca_file_len;
    /**
     * A file with the client's certificate chain (PEM); needs `key_file`.
     */
    const char *cert_file;
    /**
     * Bytes in `cert_file`.
     */
    size_t cert_file_len;
    /**
     * A file with the key of `cert_file` (PEM).
     */
    const char *key_file;
    /**
     * Bytes in `key_file`.
     */
    size_t key_file_len;
    /**
     * The name to check certificates against, where it is not the endpoint's address.
     */
    const char *server_name;
    /**
     * Bytes in `server_name`.
     */
    size_t server_name_len;
} evener_probe;
#endif

#if defined(EVENER_CHANNELS)
/**
 * What a channel is opened with. Zero it, set `struct_size`, then set what you need. Texts and lists are copied.
 */
typedef struct evener_channel_options {
    /**
     * `sizeof(evener_channel_options)`.
     */
    uint32_t struct_size;
    /**
     * Milliseconds after which calls on a removed endpoint are to be cancelled; 0 = 30 s. `EVENER_OFF`: never.
     */
    uint32_t drain_timeout_ms;
    /**
     * Milliseconds from one DNS answer to the next lookup; 0 = what the records' time to live says (5 s to 5 minutes), and 30 s
     * with the system's resolver.
     */
    uint32_t dns_refresh_ms;
    /**
     * 1: `seed` counts. 0: the channel starts at random.
     */
    uint32_t seeded;
    /**
     * Start of everything random, for tests.
     */
    uint64_t seed;
    /**
     * The application's own value: comes back in each evener_event of this channel.
     */
    uint64_t token;
    /**
     * Milliseconds that the first calls wait for the target's first answer before they fail (and `fallback_target` is used); 0 = 5 s.
     * `EVENER_OFF`: they wait for ever. Calls that wait for ready go on waiting.
     */
    uint32_t initial_timeout_ms;
    /**
     * Milliseconds that a set which becomes empty stays as it was before the emptiness is believed; 0 = 30 s. `EVENER_OFF`: it is
     * believed as any other removal. It does not concern the first answer.
     */
    uint32_t empty_hold_ms;
    /**
     * Milliseconds of the epoch by which removals are delayed: an endpoint that the registry no longer names leaves after one to two
     * of them; 0 = 10 s. `EVENER_OFF`: it leaves at once.
     */
    uint32_t removal_epoch_ms;
    /**
     * Percent of the endpoints that one epoch may take out, 1 to 100; 0 = 50.
     */
    uint32_t max_drop_percent;
    /**
     * Milliseconds that it must be quiet before changes count that come soon after others; 0 = 100. `EVENER_OFF`: none.
     */
    uint32_t debounce_ms;
    /**
     * Milliseconds after which what is known counts as stale though nothing went wrong, and `on_stale` applies; 0 = never.
     */
    uint32_t max_stale_ms;
    /**
     * An evener_stale_policy.
     */
    uint32_t on_stale;
    /**
     * 1: names are looked up by the system's resolver (getaddrinfo) instead of DNS servers. 0: not.
     */
    uint32_t system_dns;
    /**
     * 1: a service config is taken from TXT records at _grpc_config.NAME. 0: not, since whoever can write there can turn this client's
     * traffic.
     */
    uint32_t service_config_from_dns;
    /**
     * Milliseconds that what `snapshot_dir` keeps may be old to be used at a start; 0 = 7 days. `EVENER_OFF`: however old.
     */
    uint32_t snapshot_max_age_ms;
    /**
     * The service config to start with (JSON, as gRPC's); null for none.
     */
    const char *service_config;
    /**
     * Bytes in `service_config`.
     */
    size_t service_config_len;
    /**
     * The endpoints, instead of what the target resolves to; null for none.
     */
    const struct evener_address_endpoint *endpoints;
    /**
     * How many.
     */
    size_t endpoints_len;
    /**
     * Lists that `static:///NAME` finds; null for none.
     */
    const struct evener_named_list *lists;
    /**
     * How many.
     */
    size_t lists_len;
    /**
     * Path of a file of such lists, read again when it changes; null for none. Refused together with `lists`.
     */
    const char *static_file;
    /**
     * Bytes in `static_file`.
     */
    size_t static_file_len;
    /**
     * The authority, where the target's own is not right; null for none.
     */
    const char *default_authority;
    /**
     * Bytes in `default_authority`.
     */
    size_t default_authority_len;
    /**
     * A target to use while the main one has never answered; null for none. Refused together with `endpoints`.
     */
    const char *fallback_target;
    /**
     * Bytes in `fallback_target`.
     */
    size_t fallback_target_len;
    /**
     * A key in a registry whose value is the service config, live ("consul:///config/user-service"); null for none. The first calls
     * wait for it, unless it cannot be asked, for as long as `initial_timeout_ms` says. A value that is wrong is refused with a warning, and
     * the one before stays.
     */
    const char *service_config_source;
    /**
     * Bytes in `service_config_source`.
     */
    size_t service_config_source_len;
    /**
     * A directory where the last known endpoints are kept for a start at which the registry is down; null keeps nothing. Of what the
     * system's resolver says nothing is kept, unless the endpoints are probed.
     */
    const char *snapshot_dir;
    /**
     * Bytes in `snapshot_dir`.
     */
    size_t snapshot_dir_len;
    /**
     * DNS servers to ask, in this order, with commas between: `10.0.0.2`, `10.0.0.2:53`, `[::1]:53`; null asks the system's.
     */
    const char *dns_server;
    /**
     * Bytes in `dns_server`.
     */
    size_t dns_server_len;
    /**
     * The client's language, which a service config from DNS may be meant for (`clientLanguage`): `python`, say; null is `c++`, as
     * gRPC's own C core calls itself.
     */
    const char *dns_language;
    /**
     * Bytes in `dns_language`.
     */
    size_t dns_language_len;
    /**
     * The zone this client runs in, for policies that prefer their own; null for what the environment says (`EVENER_ZONE`).
     */
    const char *zone;
    /**
     * Bytes in `zone`.
     */
    size_t zone_len;
    /**
     * The region that zone is in; null for what the environment says (`EVENER_REGION`).
     */
    const char *region;
    /**
     * Bytes in `region`.
     */
    size_t region_len;
    /**
     * What registries are asked with: the target's, the fallback's and the service config's; null for what the environment says.
     */
    const struct evener_credentials *credentials;
    /**
     * How the endpoints are probed, where the registry knows nothing of their health; null for not at all. It goes with every
     * target, and not with `endpoints` and `static_file`, whose conditions are yours to say.
     */
    const struct evener_probe *probe;
} evener_channel_options;
#endif

#if defined(EVENER_CHANNELS)
/**
 * Something for a transport to do.
 */
typedef struct evener_event {
    /**
     * An evener_event_kind; expect, and ignore, kinds that this header does not know.
     */
    uint32_t kind;
    /**
     * The endpoint, for kinds about an endpoint: a small number, which means something else only after evener_channel_endpoint_closed.
     */
    uint32_t endpoint;
    /**
     * An evener_connectivity, for `EVENER_EVENT_STATE_CHANGED`.
     */
    uint32_t state;
    /**
     * An evener_log_level, for `EVENER_EVENT_LOG`.
     */
    uint32_t level;
    /**
     * The channel's own value, from its options.
     */
    uint64_t token;
    /**
     * The resolver, for kinds about one: a number that never comes again. Else 0.
     */
    uint64_t resolver;
    /**
     * For kinds that have one: UTF-8, no zero at the end, valid until the next evener_driver_next on this driver. Else null.
     */
    const char *text;
    /**
     * Bytes in `text`.
     */
    size_t text_len;
} evener_event;
#endif

#if (defined(EVENER_CHANNELS) && defined(EVENER_REGISTRIES))
/**
 * A text of a list.
 */
typedef struct evener_word {
    /**
     * The text, UTF-8.
     */
    const char *text;
    /**
     * Bytes in `text`.
     */
    size_t text_len;
} evener_word;
#endif

#if (defined(EVENER_CHANNELS) && defined(EVENER_REGISTRIES))
/**
 * A check that the registry is to make of a server (Consul). Zero it, then set what you need.
 */
typedef struct evener_check {
    /**
     * An evener_check_kind.
     */
    uint32_t kind;
    /**
     * Milliseconds from one run to the next; 0 = 10 s.
     */
    uint32_t interval_ms;
    /**
     * Milliseconds that one run may take; 0 = the registry's default.
     */
    uint32_t timeout_ms;
    /**
     * Milliseconds in the critical state after which the registry forgets the server; 0 = a default, never none.
     */
    uint32_t deregister_after_ms;
    /**
     * What is checked; see evener_check_kind.
     */
    const char *target;
    /**
     * Bytes in `target`.
     */
    size_t target_len;
    /**
     * What the check is called; null lets the registry choose.
     */
    const char *name;
    /**
     * Bytes in `name`.
     */
    size_t name_len;
    /**
     * A script's arguments; null for none.
     */
    const struct evener_word *arguments;
    /**
     * How many.
     */
    size_t arguments_len;
    /**
     * 1: gRPC over TLS. Else 0.
     */
    uint32_t tls;
    /**
     * Zero.
     */
    uint32_t reserved;
} evener_check;
#endif

#if (defined(EVENER_CHANNELS) && defined(EVENER_REGISTRIES))
/**
 * One server of a service: what is written into a registry. Zero it, set `struct_size`, then either `name` and `port` and what else
 * you need, or `json` and nothing else. Texts and lists are copied.
 */
typedef struct evener_service {
    /**
     * `sizeof(evener_service)`.
     */
    uint32_t struct_size;
    /**
     * The port that clients dial, 1 to 65535.
     */
    uint32_t port;
    /**
     * Its share of the calls relative to the others'; 0 = 1. `EVENER_OFF`: none.
     */
    uint32_t weight;
    /**
     * Its share while a check of it warns (Consul); 0 = the registry's default. `EVENER_OFF`: none.
     */
    uint32_t warning_weight;
    /**
     * Its tier: 0 is used first.
     */
    uint32_t priority;
    /**
     * Milliseconds without a sign of life after which the registry drops it; 0 = 30 s. At least 1000.
     */
    uint32_t ttl_ms;
    /**
     * A Consul service definition, `{"service": {...}}`, unchanged: of one service. Null for none.
     */
    const char *json;
    /**
     * Bytes in `json`.
     */
    size_t json_len;
    /**
     * The service's name, under which clients look for it.
     */
    const char *name;
    /**
     * Bytes in `name`.
     */
    size_t name_len;
    /**
     * What tells this server from the service's others; null makes one of name, host and port.
     */
    const char *id;
    /**
     * Bytes in `id`.
     */
    size_t id_len;
    /**
     * The host name or IP address that clients dial, without a port; null takes what the environment says
     * (`EVENER_ADVERTISE_ADDRESS`), or else this machine's address on the way to the registry.
     */
    const char *host;
    /**
     * Bytes in `host`.
     */
    size_t host_len;
    /**
     * The zone it runs in; null for none.
     */
    const char *zone;
    /**
     * Bytes in `zone`.
     */
    size_t zone_len;
    /**
     * The region that zone is in; null for none.
     */
    const char *region;
    /**
     * Bytes in `region`.
     */
    size_t region_len;
    /**
     * Consul's tags; null for none.
     */
    const struct evener_word *tags;
    /**
     * How many.
     */
    size_t tags_len;
    /**
     * Whatever else clients may want to know, each key once; null for nothing.
     */
    const struct evener_pair *metadata;
    /**
     * How many.
     */
    size_t metadata_len;
    /**
     * Checks that the registry is to make (Consul); null for none.
     */
    const struct evener_check *checks;
    /**
     * How many.
     */
    size_t checks_len;
} evener_service;
#endif

#if (defined(EVENER_CHANNELS) && defined(EVENER_REGISTRIES))
/**
 * How a registration is kept. Zero it, set `struct_size`, then set what you need.
 */
typedef struct evener_registration_options {
    /**
     * `sizeof(evener_registration_options)`.
     */
    uint32_t struct_size;
    /**
     * 1: nothing is registered before a TCP connection to the address that is registered succeeds. 0: at once; whoever registers has
     * made sure that the server can take calls.
     */
    uint32_t wait_for_listening;
    /**
     * Milliseconds between two looks at what the registry holds, to repair what is wrong; 0 = 30 s. At least 1000.
     */
    uint32_t verify_interval_ms;
    /**
     * Milliseconds that evener_registration_free waits for the record to be taken away; 0 = 2 s. `EVENER_OFF`: it does not wait.
     */
    uint32_t free_timeout_ms;
    /**
     * What the registry is asked with; null for what the environment says.
     */
    const struct evener_credentials *credentials;
    /**
     * Null.
     */
    const char *reserved;
} evener_registration_options;
#endif

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * Chooses an endpoint, and starts nothing: for callers that keep no count of calls. `EVENER_OK` writes `*handle`,
 * `EVENER_FAIL` writes an evener_fail_reason to `*reason` (which may be null); also `EVENER_QUEUE` and `EVENER_DROP`.
 *
 * Any thread; may be called from an interrupt handler. Never waits; its time does not depend on the number of endpoints
 * nor on what the controller does.
 * Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`.
 */
evener_status evener_pick(const struct evener_balancer *balancer,
                          struct evener_cursor *cursor,
                          struct evener_handle *handle,
                          uint32_t *reason);

/**
 * Begins a call at the endpoint of a handle, at `now` ticks, and writes `*ticket`.
 *
 * Any thread; may be called from an interrupt handler (on targets without compare-and-swap: see the build's `single-core` and
 * `critical-section`). Never waits. The ticket is the caller's and must be finished.
 * Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`, `EVENER_STALE` (the endpoint drains or is gone: pick again),
 * `EVENER_FULL` (it has as many calls as it may).
 */
evener_status evener_begin(const struct evener_balancer *balancer,
                           struct evener_handle handle,
                           uint32_t now,
                           struct evener_ticket *ticket);

/**
 * Chooses an endpoint and begins a call there, at `now` ticks. `EVENER_OK` writes `*ticket`; otherwise as evener_pick.
 *
 * Any thread; may be called from an interrupt handler (as evener_begin). Never waits. The ticket is the caller's and must
 * be finished.
 * Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`.
 */
evener_status evener_start(const struct evener_balancer *balancer,
                           struct evener_cursor *cursor,
                           uint32_t now,
                           struct evener_ticket *ticket,
                           uint32_t *reason);

/**
 * Ends a call at `now` ticks with an evener_outcome, zeroes `*ticket`, and writes `*finished` (which may be null).
 *
 * Any thread, not only the one that started it, but one at a time for the same ticket; may be called from an interrupt handler
 * (as evener_begin). Never waits.
 * Errors, with nothing counted and the ticket as it was: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`, `EVENER_BAD_ARGUMENT` (no such
 * outcome), `EVENER_STALE` (finished before, never started, or of another balancer).
 */
evener_status evener_finish(const struct evener_balancer *balancer,
                            struct evener_ticket *ticket,
                            uint32_t outcome,
                            uint32_t now,
                            struct evener_finished *finished);

/**
 * Reads an endpoint's counters into `*counters`. They are read one by one while calls go on: each is right, their sum may be
 * of slightly different moments.
 *
 * Any thread; may be called from an interrupt handler. Never waits.
 * Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`, `EVENER_STALE`.
 */
evener_status evener_counters_read(const struct evener_balancer *balancer,
                                   struct evener_handle handle,
                                   struct evener_counters *counters);

/**
 * Reads the application's own value of an endpoint into `*user`. Only an open ticket pins the endpoint: with a handle alone it may be closed, and
 * what the value points to freed, at any moment.
 *
 * Any thread; may be called from an interrupt handler. Never waits.
 * Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`, `EVENER_STALE`.
 */
evener_status evener_user(const struct evener_balancer *balancer,
                          struct evener_handle handle,
                          uint64_t *user);

/**
 * Writes to `*count` how many tables the controller has published so far: a caller that waits asks again when it has moved.
 *
 * Any thread; may be called from an interrupt handler. Never waits.
 * Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`.
 */
evener_status evener_published(const struct evener_balancer *balancer,
                               uint32_t *count);

/**
 * Writes to `*needed` 1 if evener_controller_poll should be called, as something was left for it to look at, else 0. evener_finish says so by
 * itself; ask after an evener_begin or evener_start that met an endpoint which had just left.
 *
 * Any thread; may be called from an interrupt handler. Never waits.
 * Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`.
 */
evener_status evener_needs_poll(const struct evener_balancer *balancer,
                                uint32_t *needed);

/**
 * Makes a balancer and its controller in the caller's memory.
 *
 * `memory`: `length` bytes, at least what evener_balancer_size says, aligned to evener_balancer_align, and **zero-filled**
 * (static memory is; calloc gives it) or given back by evener_balancer_fini. It must neither move nor be freed before
 * evener_balancer_fini. Both pointers written point into it; nothing else is ever allocated.
 *
 * Any thread, an interrupt handler too if it may take the time (it writes the whole block).
 * Errors, with nothing written: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_BAD_SIZE`, `EVENER_BAD_ARGUMENT` (a limit out of
 * range), `EVENER_TOO_SMALL`, `EVENER_CLAIMED` (a balancer lives here already, or the memory is not zero-filled).
 */
evener_status evener_balancer_init(void *memory,
                                   size_t length,
                                   const struct evener_limits *limits,
                                   struct evener_balancer **shared,
                                   struct evener_controller **exclusive);

/**
 * Ends a balancer and its controller. Afterwards the memory is the caller's again, for anything, a new balancer included.
 *
 * The caller guarantees that no call of any kind on either is under way or comes later; tickets that are still open
 * are forgotten. Not from an interrupt handler that may have stopped such a call.
 * Errors, with nothing changed: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER` (one of them is not live),
 * `EVENER_BAD_ARGUMENT` (they do not belong together), `EVENER_BUSY`. A poisoned controller can be ended.
 */
evener_status evener_balancer_fini(struct evener_balancer *shared,
                                   struct evener_controller *exclusive);

/**
 * Replaces the list of endpoints by `count` others (in any order; of endpoints with the same id the first counts),
 * and writes `*changes` (which may be null). Picks see it after the next evener_controller_poll, which also starts the drain timeouts.
 *
 * The list is read during the call only. One thread at a time. An interrupt handler may call it, but is answered `EVENER_BUSY` if
 * it stopped code inside the controller. Takes time in proportion to the endpoints.
 * Errors, with nothing changed: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`, `EVENER_BUSY`, `EVENER_POISONED`,
 * `EVENER_BAD_ARGUMENT` (`count` is larger than any array), `EVENER_FULL` (more endpoints than fit beside those that drain; an
 * `EVENER_ACTION_ROOM_AGAIN` follows if draining makes room).
 */
evener_status evener_controller_update(struct evener_controller *controller,
                                       const struct evener_endpoint *endpoints,
                                       size_t count,
                                       struct evener_changes *changes);

/**
 * Sets the policy. Picks see it after the next evener_controller_poll.
 *
 * One thread at a time; interrupts as evener_controller_update. Keeps nothing.
 * Errors, with nothing changed: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_BAD_SIZE`, `EVENER_BAD_ARGUMENT` (no such kind or flag),
 * `EVENER_NOT_A_BALANCER`, `EVENER_BUSY`, `EVENER_POISONED`.
 */
evener_status evener_controller_set_policy(struct evener_controller *controller,
                                           const struct evener_policy *policy);

/**
 * Reports the state of an endpoint's connection, an evener_connectivity. Picks see it after the next evener_controller_poll.
 *
 * One thread at a time; interrupts as evener_controller_update.
 * Errors, with nothing changed: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`, `EVENER_BUSY`, `EVENER_POISONED`,
 * `EVENER_BAD_ARGUMENT` (no such state), `EVENER_STALE`.
 */
evener_status evener_controller_set_connectivity(struct evener_controller *controller,
                                                 struct evener_handle handle,
                                                 uint32_t state);

/**
 * Reports an endpoint's health, an evener_health. Picks see it after the next evener_controller_poll.
 *
 * One thread at a time; interrupts as evener_controller_update.
 * Errors, with nothing changed: as evener_controller_set_connectivity.
 */
evener_status evener_controller_set_health(struct evener_controller *controller,
                                           struct evener_handle handle,
                                           uint32_t health);

/**
 * Leaves idleness: under pick_first, connects again after the chosen endpoint was lost. Call it when a pick answered `EVENER_QUEUE`
 * while the state of the whole is `EVENER_IDLE`.
 *
 * One thread at a time; interrupts as evener_controller_update.
 * Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`, `EVENER_BUSY`, `EVENER_POISONED`.
 */
evener_status evener_controller_connect(struct evener_controller *controller);

/**
 * Publishes what was changed, and writes the next thing to do to `*action`: `EVENER_OK`, or `EVENER_NONE` when there is nothing
 * left. Call it, until it says so, after every change, when evener_finish says `wake`, and at evener_controller_next_deadline.
 *
 * `now`: ticks; they wrap, and two times count as ordered while they are less than 2^31 us (35 minutes) apart.
 * One thread at a time; interrupts as evener_controller_update. Takes time in proportion to the endpoints when something changed.
 * Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`, `EVENER_BUSY`, `EVENER_POISONED`.
 */
evener_status evener_controller_poll(struct evener_controller *controller,
                                     uint32_t now,
                                     struct evener_action *action);

/**
 * Writes to `*ticks` when evener_controller_poll is to be called again though nothing happens; `EVENER_NONE` if never.
 *
 * One thread at a time; interrupts as evener_controller_update.
 * Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`, `EVENER_BUSY`, `EVENER_POISONED`.
 */
evener_status evener_controller_next_deadline(struct evener_controller *controller,
                                              uint32_t *ticks);

/**
 * Writes the state of the whole, an evener_connectivity, to `*state`.
 *
 * One thread at a time; interrupts as evener_controller_update.
 * Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`, `EVENER_BUSY`, `EVENER_POISONED`.
 */
evener_status evener_controller_state(struct evener_controller *controller,
                                      uint32_t *state);

/**
 * Finds the endpoint whose id is the two words at `id`, and writes its handle to `*handle`; `EVENER_NONE` if there is none.
 *
 * One thread at a time; interrupts as evener_controller_update.
 * Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`, `EVENER_BUSY`, `EVENER_POISONED`.
 */
evener_status evener_controller_handle(struct evener_controller *controller,
                                       const uint64_t *id,
                                       struct evener_handle *handle);

/**
 * Writes what is known of an endpoint to `*status`.
 *
 * One thread at a time; interrupts as evener_controller_update.
 * Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`, `EVENER_BUSY`, `EVENER_POISONED`, `EVENER_STALE`.
 */
evener_status evener_controller_endpoint(struct evener_controller *controller,
                                         struct evener_handle handle,
                                         struct evener_endpoint_status *status);

/**
 * Sets how long calls of removed endpoints may go on, in ticks, at most 2^31 - 1; 0 = for ever. Counts for endpoints that begin to
 * drain from now on.
 *
 * One thread at a time; interrupts as evener_controller_update.
 * Errors, with nothing changed: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`, `EVENER_BUSY`, `EVENER_POISONED`,
 * `EVENER_BAD_ARGUMENT` (out of range).
 */
evener_status evener_controller_set_drain_timeout(struct evener_controller *controller,
                                                  uint32_t ticks);

/**
 * Computes the id of an endpoint from its addresses, `count` of them (at most `EVENER_MAX_ADDRESSES`; any bytes, in any order; the order does not
 * matter), and writes two words to `id`. `key` is two words, random and secret where addresses come from strangers.
 *
 * Any thread; may be called from an interrupt handler. Keeps nothing.
 * Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_BAD_ARGUMENT` (too many addresses).
 */
evener_status evener_endpoint_id(const uint64_t *key,
                                 const char *const *addresses,
                                 const size_t *lengths,
                                 size_t count,
                                 uint64_t *id);

/**
 * Makes a cursor that gives the same picks every time: for tests.
 *
 * `count` is the position and `key` the start of its random numbers; both are taken as they are.
 * Any thread; may be called from an interrupt handler. Keeps nothing. Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`.
 */
evener_status evener_cursor_at(struct evener_cursor *cursor,
                               uint32_t count,
                               uint32_t key);

/**
 * The bytes a balancer of these limits takes, written to `*size`.
 *
 * Any thread; may be called from an interrupt handler. Keeps nothing.
 * Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_BAD_SIZE`, `EVENER_BAD_ARGUMENT` (a limit out of range).
 */
evener_status evener_balancer_size(const struct evener_limits *limits,
                                   size_t *size);

/**
 * The alignment that the memory of a balancer needs, in bytes: a power of two.
 *
 * Any thread; may be called from an interrupt handler. Never fails.
 */
size_t evener_balancer_align(void);

#if defined(EVENER_CHANNELS)
/**
 * Starts a call of `method` ("/package.Service/Method"). `wait_for_ready`: 0 = as the service config says, 1 = false, 2 = true.
 *
 * `EVENER_OK`: send it to `call->endpoint`, and finish it. `EVENER_QUEUE`: no endpoint can take it yet; start it again when
 * evener_channel_wait returns or after an `EVENER_EVENT_PICK_AGAIN`. A transport that puts the call into a queue of its own must
 * then compare evener_channel_epoch with `call->epoch`, and start again at once if it has moved. `EVENER_FAIL`: fail it with
 * `call->code`; evener_channel_failure tells why.
 *
 * Any thread; takes no lock and allocates nothing when it answers `EVENER_OK`. Not from an interrupt or signal handler.
 * Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`, `EVENER_BAD_UTF8`, `EVENER_BAD_ARGUMENT`.
 */
evener_status evener_channel_start(const struct evener_channel *channel,
                                   const char *method,
                                   size_t method_len,
                                   uint32_t wait_for_ready,
                                   struct evener_call *call);
#endif

#if defined(EVENER_CHANNELS)
/**
 * Writes why the last evener_channel_start of the calling thread that answered `EVENER_FAIL` did so.
 *
 * Any thread. Not from an interrupt or signal handler.
 * Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`, `EVENER_TOO_SMALL` (see evener_text).
 */
evener_status evener_channel_failure(const struct evener_channel *channel,
                                     struct evener_text *text);
#endif

#if defined(EVENER_CHANNELS)
/**
 * Reports how a call ended, and zeroes `*call`. Once per call that was started with `EVENER_OK`.
 *
 * Any thread, but one at a time for the same call; takes no lock, allocates nothing. Not from an interrupt or signal handler.
 * Errors, with nothing counted and the call as it was: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`, `EVENER_BAD_SIZE`,
 * `EVENER_BAD_ARGUMENT`, `EVENER_STALE` (finished before, never started, or of another channel).
 */
evener_status evener_channel_finish(const struct evener_channel *channel,
                                    struct evener_call *call,
                                    const struct evener_report *report);
#endif

#if defined(EVENER_CHANNELS)
/**
 * Writes what the service config says about calls of a method.
 *
 * Any thread; allocates nothing. Not from an interrupt or signal handler.
 * Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`, `EVENER_BAD_UTF8`.
 */
evener_status evener_channel_method(const struct evener_channel *channel,
                                    const char *method,
                                    size_t method_len,
                                    struct evener_method_config *config);
#endif

#if defined(EVENER_CHANNELS)
/**
 * Waits until something has changed for calls that were answered `EVENER_QUEUE` with this epoch, at most `timeout_ms` milliseconds
 * (negative: for ever). `EVENER_OK`: start the call again; else `EVENER_TIMEOUT`.
 *
 * Any thread; blocks. Not from an interrupt or signal handler.
 * Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`.
 */
evener_status evener_channel_wait(const struct evener_channel *channel,
                                  uint64_t epoch,
                                  int64_t timeout_ms);
#endif

#if defined(EVENER_CHANNELS)
/**
 * Writes the present epoch to `*epoch`: it moves whenever calls that wait should be started again.
 *
 * Any thread; takes no lock. Not from an interrupt or signal handler.
 * Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`.
 */
evener_status evener_channel_epoch(const struct evener_channel *channel, uint64_t *epoch);
#endif

#if defined(EVENER_CHANNELS)
/**
 * Opens a channel to a target: `static:///h:p;weight=3,h:p`, `static:///NAME`, `ipv4:...`, `ipv6:...`, `unix:...`, `dns:///...` or a bare
 * name. `options` and `error` may be null. It is idle, and resolves nothing, until its first call or evener_channel_state asks it to
 * connect.
 *
 * Any thread. The caller frees it with evener_channel_free. The driver must outlive this call only. Not from an interrupt or
 * signal handler.
 * Errors, told in words in `*error`: `EVENER_BAD_TARGET`, `EVENER_BAD_CONFIG`, `EVENER_BAD_ENDPOINT`, `EVENER_FULL`, `EVENER_BAD_ARGUMENT`; also
 * `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`, `EVENER_BAD_SIZE`, `EVENER_BAD_UTF8`, `EVENER_SHUT_DOWN`, `EVENER_IO`.
 */
evener_status evener_channel_open(const struct evener_driver *driver,
                                  const char *target,
                                  size_t target_len,
                                  const struct evener_channel_options *options,
                                  struct evener_channel **channel,
                                  struct evener_text *error);
#endif

#if defined(EVENER_CHANNELS)
/**
 * Frees a channel (null is nothing), after closing it. Events with its token may still come from the driver; nobody answers them.
 *
 * Any thread; no call on the channel may be under way. Calls that were started are forgotten. Not from an interrupt or signal
 * handler.
 * Errors: `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`.
 */
evener_status evener_channel_free(struct evener_channel *channel);
#endif

#if defined(EVENER_CHANNELS)
/**
 * Closes a channel: no call starts any more, its state is `EVENER_SHUTDOWN`, its endpoints drain and are closed through the driver.
 *
 * Any thread. Not from an interrupt or signal handler.
 * Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`.
 */
evener_status evener_channel_close(const struct evener_channel *channel);
#endif

#if defined(EVENER_CHANNELS)
/**
 * Reports the state of an endpoint's connection, an evener_connectivity, with the reason if it failed (null for none).
 *
 * Any thread. Not from an interrupt or signal handler.
 * Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`, `EVENER_BAD_UTF8`, `EVENER_BAD_ARGUMENT` (no such state),
 * `EVENER_STALE` (no such endpoint).
 */
evener_status evener_channel_set_state(const struct evener_channel *channel,
                                       uint32_t endpoint,
                                       uint32_t state,
                                       const char *error,
                                       size_t error_len);
#endif

#if defined(EVENER_CHANNELS)
/**
 * Reports an endpoint's health, an evener_health, where the transport checks it apart from the connection.
 *
 * Any thread. Not from an interrupt or signal handler.
 * Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`, `EVENER_BAD_ARGUMENT` (no such health), `EVENER_STALE` (no
 * such endpoint).
 */
evener_status evener_channel_set_health(const struct evener_channel *channel,
                                        uint32_t endpoint,
                                        uint32_t health);
#endif

#if defined(EVENER_CHANNELS)
/**
 * Writes the service whose health each server is to be asked for (gRPC's `grpc.health.v1.Health/Watch` on every connection, reported
 * by evener_channel_set_health; empty for the server as a whole); `EVENER_NONE` where the service config wants no health checks: then
 * a server that is connected counts as healthy. May change with every `EVENER_EVENT_SERVICE_CONFIG`.
 *
 * Any thread. Not from an interrupt or signal handler.
 * Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`, `EVENER_TOO_SMALL` (see evener_text).
 */
evener_status evener_channel_health_service(const struct evener_channel *channel,
                                            struct evener_text *text);
#endif

#if defined(EVENER_CHANNELS)
/**
 * Writes what to connect for an endpoint, as a target for gRPC ("ipv4:127.0.0.1:50051"); `EVENER_NONE` if there is no such endpoint.
 *
 * Any thread. Not from an interrupt or signal handler.
 * Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`, `EVENER_TOO_SMALL` (see evener_text).
 */
evener_status evener_channel_endpoint_target(const struct evener_channel *channel,
                                             uint32_t endpoint,
                                             struct evener_text *text);
#endif

#if defined(EVENER_CHANNELS)
/**
 * Tells that the transport has freed what belonged to an endpoint, after `EVENER_EVENT_CLOSE`: its number may be used again.
 *
 * Any thread. Not from an interrupt or signal handler.
 * Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`, `EVENER_STALE` (it was not to be closed).
 */
evener_status evener_channel_endpoint_closed(const struct evener_channel *channel,
                                             uint32_t endpoint);
#endif

#if defined(EVENER_CHANNELS)
/**
 * Replaces the endpoints; from now on the application's list counts, not what the target resolves to. `error` may be null.
 *
 * Any thread. The list is copied. Not from an interrupt or signal handler.
 * Errors, told in words in `*error`: `EVENER_BAD_ENDPOINT`, `EVENER_BAD_ARGUMENT`, `EVENER_BAD_UTF8`, `EVENER_SHUT_DOWN`, `EVENER_FULL` (more than a
 * channel can ever hold; or too many beside removed ones whose calls still run: then the list is kept, and counts once enough of
 * them have ended); also `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`. But for the one case nothing has changed.
 */
evener_status evener_channel_update_endpoints(const struct evener_channel *channel,
                                              const struct evener_address_endpoint *list,
                                              size_t count,
                                              struct evener_text *error);
#endif

#if defined(EVENER_CHANNELS)
/**
 * Replaces the service config (JSON, as gRPC's). What parses but is not obeyed comes as log events. `error` may be null.
 *
 * Any thread. The text is copied. Not from an interrupt or signal handler.
 * Errors: `EVENER_BAD_CONFIG` (the reason is in `*error`; the previous config stays in force), `EVENER_NULL_POINTER`,
 * `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`, `EVENER_BAD_UTF8`.
 */
evener_status evener_channel_set_service_config(const struct evener_channel *channel,
                                                const char *json,
                                                size_t json_len,
                                                struct evener_text *error);
#endif

#if defined(EVENER_CHANNELS)
/**
 * Writes the channel's state, an evener_connectivity, to `*state`; if `try_to_connect` is not 0 and it is idle, it begins to connect.
 *
 * Any thread. Not from an interrupt or signal handler.
 * Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`.
 */
evener_status evener_channel_state(const struct evener_channel *channel,
                                   uint32_t try_to_connect,
                                   uint32_t *state);
#endif

#if defined(EVENER_CHANNELS)
/**
 * Waits until the channel's state is another than `last`, an evener_connectivity, at most `timeout_ms` milliseconds (negative: for
 * ever): `EVENER_OK` or `EVENER_TIMEOUT`.
 *
 * Any thread; blocks. Not from an interrupt or signal handler.
 * Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`, `EVENER_BAD_ARGUMENT` (no such state).
 */
evener_status evener_channel_wait_for_state_change(const struct evener_channel *channel,
                                                   uint32_t last,
                                                   int64_t timeout_ms);
#endif

#if defined(EVENER_CHANNELS)
/**
 * Waits until the channel is READY, connecting it if it is idle, at most `timeout_ms` milliseconds (negative: for ever): `EVENER_OK`,
 * or `EVENER_TIMEOUT` with what is missing in `why`, which may be null: the resolution, the endpoints, or each one's last error.
 * The driver's events must be handled by another thread meanwhile.
 *
 * Any thread; blocks. Not from an interrupt or signal handler.
 * Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`, `EVENER_SHUT_DOWN`.
 */
evener_status evener_channel_wait_until_ready(const struct evener_channel *channel,
                                              int64_t timeout_ms,
                                              struct evener_text *why);
#endif

#if defined(EVENER_CHANNELS)
/**
 * Writes the authority that calls of this channel carry.
 *
 * Any thread. Not from an interrupt or signal handler.
 * Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`, `EVENER_TOO_SMALL` (see evener_text).
 */
evener_status evener_channel_authority(const struct evener_channel *channel,
                                       struct evener_text *text);
#endif

#if defined(EVENER_CHANNELS)
/**
 * Writes what is known of the channel, as JSON: endpoints with state, weight, calls in flight and last error, policy, config.
 *
 * Any thread. Not from an interrupt or signal handler.
 * Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`, `EVENER_TOO_SMALL` (see evener_text; it may have grown by
 * the next time).
 */
evener_status evener_channel_describe(const struct evener_channel *channel,
                                      struct evener_text *text);
#endif

#if (defined(EVENER_CHANNELS) && defined(EVENER_REGISTRIES))
/**
 * Watches a configuration: `consul:///config/user-service/` or `etcd:///config/user-service/` is every key below that prefix, the same
 * without the last slash is that one key. `credentials` (null: what the environment says) and `error` may be null. It is read in the
 * background: this waits for nothing.
 *
 * Any thread. The caller frees it with evener_config_watch_free; it ends with its driver. Not from an interrupt or signal handler.
 * Errors, told in words in `*error`: `EVENER_BAD_TARGET`, `EVENER_BAD_ARGUMENT` (credentials); also `EVENER_NULL_POINTER`,
 * `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`, `EVENER_BAD_SIZE`, `EVENER_BAD_UTF8`, `EVENER_SHUT_DOWN`.
 */
evener_status evener_config_watch_open(const struct evener_driver *driver,
                                       const char *target,
                                       size_t target_len,
                                       const struct evener_credentials *credentials,
                                       struct evener_config_watch **watch,
                                       struct evener_text *error);
#endif

#if (defined(EVENER_CHANNELS) && defined(EVENER_REGISTRIES))
/**
 * Frees a watch (null is nothing) and ends it. Configurations that came from it stay.
 *
 * Any thread; no call on the watch may be under way. Not from an interrupt or signal handler.
 * Errors: `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`.
 */
evener_status evener_config_watch_free(struct evener_config_watch *watch);
#endif

#if (defined(EVENER_CHANNELS) && defined(EVENER_REGISTRIES))
/**
 * Waits until the watch has a configuration whose epoch is above `after` (0: the first one there is), at most `timeout_ms`
 * milliseconds (negative: for ever): `EVENER_OK` or `EVENER_TIMEOUT`. Get it with evener_config_watch_get.
 *
 * Any thread; blocks. Not from an interrupt or signal handler.
 * Errors: `EVENER_SHUT_DOWN` (there will be none: the driver is shut down, or the registry refuses the target for good, which
 * evener_config_watch_describe tells), `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`.
 */
evener_status evener_config_watch_wait(const struct evener_config_watch *watch,
                                       uint64_t after,
                                       int64_t timeout_ms);
#endif

#if (defined(EVENER_CHANNELS) && defined(EVENER_REGISTRIES))
/**
 * Gives the latest configuration; `EVENER_NONE` before the first one.
 *
 * Any thread. The caller frees it with evener_config_free. Not from an interrupt or signal handler.
 * Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`.
 */
evener_status evener_config_watch_get(const struct evener_config_watch *watch, struct evener_config **config);
#endif

#if (defined(EVENER_CHANNELS) && defined(EVENER_REGISTRIES))
/**
 * Writes how the watch is doing, as JSON: `epoch`, `age_seconds`, `revision`, `last_error`, `errors_total`.
 *
 * Any thread. Not from an interrupt or signal handler.
 * Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`, `EVENER_TOO_SMALL` (see evener_text).
 */
evener_status evener_config_watch_describe(const struct evener_config_watch *watch,
                                           struct evener_text *text);
#endif

#if (defined(EVENER_CHANNELS) && defined(EVENER_REGISTRIES))
/**
 * Frees a configuration (null is nothing), and with it what its entries point to.
 *
 * Any thread; no call on it may be under way. Not from an interrupt or signal handler.
 * Errors: `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`.
 */
evener_status evener_config_free(struct evener_config *config);
#endif

#if (defined(EVENER_CHANNELS) && defined(EVENER_REGISTRIES))
/**
 * Writes which configuration of its watch this is: 1 for the first one, and one more for each that differs from the one before.
 *
 * Any thread. Not from an interrupt or signal handler.
 * Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`.
 */
evener_status evener_config_epoch(const struct evener_config *config,
                                  uint64_t *epoch);
#endif

#if (defined(EVENER_CHANNELS) && defined(EVENER_REGISTRIES))
/**
 * Writes how the registry counts its changes (etcd's revision, Consul's index), as a text.
 *
 * Any thread. Not from an interrupt or signal handler.
 * Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`, `EVENER_TOO_SMALL` (see evener_text).
 */
evener_status evener_config_revision(const struct evener_config *config,
                                     struct evener_text *text);
#endif

#if (defined(EVENER_CHANNELS) && defined(EVENER_REGISTRIES))
/**
 * Writes how many keys there are.
 *
 * Any thread. Not from an interrupt or signal handler.
 * Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`.
 */
evener_status evener_config_size(const struct evener_config *config, size_t *size);
#endif

#if (defined(EVENER_CHANNELS) && defined(EVENER_REGISTRIES))
/**
 * Writes the entry at `index`, from 0, in the order of the keys; `EVENER_NONE` beyond the last one. Its texts are good until
 * evener_config_free. A key is what follows the prefix that is watched, or the last part of the one key.
 *
 * Any thread. Takes time in proportion to `index`. Not from an interrupt or signal handler.
 * Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`.
 */
evener_status evener_config_entry(const struct evener_config *config,
                                  size_t index,
                                  struct evener_pair *entry);
#endif

#if (defined(EVENER_CHANNELS) && defined(EVENER_REGISTRIES))
/**
 * Writes the entry of a key; `EVENER_NONE` if there is none. Its texts are good until evener_config_free.
 *
 * Any thread. Not from an interrupt or signal handler.
 * Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`, `EVENER_BAD_UTF8`.
 */
evener_status evener_config_find(const struct evener_config *config,
                                 const char *key,
                                 size_t key_len,
                                 struct evener_pair *entry);
#endif

#if defined(EVENER_CHANNELS)
/**
 * Makes a driver.
 *
 * Any thread. The caller frees it with evener_driver_free. Not from an interrupt or signal handler.
 * Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_IO`.
 */
evener_status evener_driver_new(struct evener_driver **driver);
#endif

#if defined(EVENER_CHANNELS)
/**
 * Frees a driver (null is nothing), after shutting it down. Its channels live on, and answer `EVENER_SHUT_DOWN` where they need it.
 *
 * Any thread; no call on the driver may be under way (a thread in evener_driver_next is sent home by evener_driver_shutdown first).
 * Not from an interrupt or signal handler.
 * Errors: `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`.
 */
evener_status evener_driver_free(struct evener_driver *driver);
#endif

#if defined(EVENER_CHANNELS)
/**
 * Waits for the next event, at most `timeout_ms` milliseconds (negative: for ever; 0: not at all), and writes it to `*event`.
 * Timers of the channels run in here: keep a thread in it, or call it as evener_driver_wake_fd and evener_driver_next_timeout say.
 *
 * One thread at a time; a second one is answered `EVENER_BUSY`. Blocks. Not from an interrupt or signal handler.
 * Answers `EVENER_OK`, `EVENER_TIMEOUT`; errors: `EVENER_SHUT_DOWN`, `EVENER_BUSY`, `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`,
 * `EVENER_NOT_A_BALANCER`.
 */
evener_status evener_driver_next(const struct evener_driver *driver,
                                 int64_t timeout_ms,
                                 struct evener_event *event);
#endif

#if defined(EVENER_CHANNELS)
/**
 * Shuts a driver down: whoever waits in evener_driver_next, now or later, is answered `EVENER_SHUT_DOWN`.
 *
 * Any thread. Not from an interrupt or signal handler.
 * Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`.
 */
evener_status evener_driver_shutdown(const struct evener_driver *driver);
#endif

#if defined(EVENER_CHANNELS)
/**
 * Writes to `*fd` a file descriptor that is readable when events wait, for programs with an event loop of their own: then call
 * evener_driver_next with a timeout of 0 until it answers `EVENER_TIMEOUT`. Only wait on it; it is the driver's.
 *
 * Any thread. Not from an interrupt or signal handler.
 * Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`.
 */
evener_status evener_driver_wake_fd(const struct evener_driver *driver,
                                    int32_t *fd);
#endif

#if defined(EVENER_CHANNELS)
/**
 * Writes to `*ms` after how many milliseconds evener_driver_next must be called though the descriptor did not become readable;
 * `EVENER_NONE` if there is no such time.
 *
 * Any thread. Not from an interrupt or signal handler.
 * Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`.
 */
evener_status evener_driver_next_timeout(const struct evener_driver *driver,
                                         int64_t *ms);
#endif

#if defined(EVENER_CHANNELS)
/**
 * Writes what is wrong with a text, or likely meant otherwise, as a JSON list: for each finding `severity` ("error", "warning",
 * "advice"), `code`, `place`, `message`, `advice` and, where there is one, `corrected`. `kind` is an evener_lint_kind.
 *
 * Any thread. Not from an interrupt or signal handler.
 * Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_BAD_UTF8`, `EVENER_BAD_ARGUMENT` (no such kind), `EVENER_TOO_SMALL` (see
 * evener_text).
 */
evener_status evener_lint(uint32_t kind,
                          const char *document,
                          size_t document_len,
                          struct evener_text *findings);
#endif

#if (defined(EVENER_CHANNELS) && defined(EVENER_REGISTRIES))
/**
 * Registers a server, from now until evener_registration_close: in etcd (`etcd:///`), in Consul (`consul:` or
 * `consul://agent:8500`). `options` and `error` may be null. It begins in the background: evener_registration_wait waits for it.
 *
 * On `EVENER_OK` `*error` holds what of a `json` definition has no effect, mostly nothing.
 *
 * Any thread. The caller frees it with evener_registration_free; it ends with its driver. Several servers of a process may be
 * registered. Not from an interrupt or signal handler.
 * Errors, told in words in `*error`: `EVENER_BAD_TARGET` (also where a forked child has inherited the driver), `EVENER_BAD_ARGUMENT`; also
 * `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`, `EVENER_BAD_SIZE`, `EVENER_BAD_UTF8`, `EVENER_SHUT_DOWN`.
 */
evener_status evener_register(const struct evener_driver *driver,
                              const char *target,
                              size_t target_len,
                              const struct evener_service *service,
                              const struct evener_registration_options *options,
                              struct evener_registration **registration,
                              struct evener_text *error);
#endif

#if (defined(EVENER_CHANNELS) && defined(EVENER_REGISTRIES))
/**
 * Frees a registration (null is nothing), closing it first: the record is taken away, which is waited for as its options say.
 *
 * Any thread; no call on it may be under way. Not from an interrupt or signal handler.
 * Errors: `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`.
 */
evener_status evener_registration_free(struct evener_registration *registration);
#endif

#if (defined(EVENER_CHANNELS) && defined(EVENER_REGISTRIES))
/**
 * Writes where it stands, an evener_registration_phase, and in `*cause`, which may be null, why it is not in the registry or what went
 * wrong last.
 *
 * Any thread. Not from an interrupt or signal handler.
 * Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`.
 */
evener_status evener_registration_state(const struct evener_registration *registration,
                                        uint32_t *state,
                                        struct evener_text *cause);
#endif

#if (defined(EVENER_CHANNELS) && defined(EVENER_REGISTRIES))
/**
 * Waits until it is in the registry, at most `timeout_ms` milliseconds (negative: for ever): `EVENER_OK` or `EVENER_TIMEOUT`.
 *
 * Any thread; blocks. Not from an interrupt or signal handler.
 * Errors: `EVENER_SHUT_DOWN` (it is over), `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`.
 */
evener_status evener_registration_wait(const struct evener_registration *registration,
                                       int64_t timeout_ms);
#endif

#if (defined(EVENER_CHANNELS) && defined(EVENER_REGISTRIES))
/**
 * Changes its weight (negative: as it is), its metadata (null: as it is), or both, in place: the record keeps its id and its lease.
 *
 * Any thread. The list is copied. Not from an interrupt or signal handler.
 * Errors: `EVENER_BAD_ARGUMENT` (a weight above 2^32 - 1), `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`,
 * `EVENER_BAD_UTF8`.
 */
evener_status evener_registration_update(const struct evener_registration *registration,
                                         int64_t weight,
                                         const struct evener_pair *metadata,
                                         size_t metadata_len);
#endif

#if (defined(EVENER_CHANNELS) && defined(EVENER_REGISTRIES))
/**
 * Marks the server as leaving: clients give it no new calls. It stays registered until evener_registration_close.
 *
 * Any thread. Not from an interrupt or signal handler.
 * Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`.
 */
evener_status evener_registration_drain(const struct evener_registration *registration);
#endif

#if (defined(EVENER_CHANNELS) && defined(EVENER_REGISTRIES))
/**
 * Ends it in the right order, and waits for that: the server is marked as leaving, `drain_ms` milliseconds go by (from the first such
 * mark), the record is taken away, which may take `timeout_ms`. `EVENER_OK`, or `EVENER_TIMEOUT` where the registry could not be asked:
 * it forgets the server after its time to live. Doing it twice does no more.
 *
 * Any thread; blocks. Not from an interrupt or signal handler.
 * Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`.
 */
evener_status evener_registration_close(const struct evener_registration *registration,
                                        uint32_t drain_ms,
                                        uint32_t timeout_ms);
#endif

#if (defined(EVENER_CHANNELS) && defined(EVENER_REGISTRIES))
/**
 * Writes what is known of it, as JSON: state, target, id, address, last error, and what was counted.
 *
 * Any thread. Not from an interrupt or signal handler.
 * Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`, `EVENER_TOO_SMALL` (see evener_text).
 */
evener_status evener_registration_describe(const struct evener_registration *registration,
                                           struct evener_text *text);
#endif

#if (defined(EVENER_CHANNELS) && defined(EVENER_REGISTRIES))
/**
 * Makes a scheme the program's own: targets such as `mine:///users` are resolved by it, asked through `EVENER_EVENT_RESOLVE_START` and
 * its siblings. Concerns channels that are opened after this. A built-in scheme may be taken over. `error` may be null.
 *
 * Any thread. Not from an interrupt or signal handler.
 * Errors, told in words in `*error`: `EVENER_BAD_ARGUMENT` (a scheme is a letter, then letters, digits, `+`, `-` and `.`); also
 * `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`, `EVENER_BAD_UTF8`, `EVENER_SHUT_DOWN`.
 */
evener_status evener_driver_register_scheme(const struct evener_driver *driver,
                                            const char *scheme,
                                            size_t scheme_len,
                                            struct evener_text *error);
#endif

#if (defined(EVENER_CHANNELS) && defined(EVENER_REGISTRIES))
/**
 * Says all the endpoints that there are behind a resolver's target, as of now. None at all means that there is none, which is another
 * thing than not to know: see evener_resolver_fail. What of a change is held back the channels' options say. `error` may be null.
 *
 * Any thread. The list is copied. Not from an interrupt or signal handler.
 * Errors, told in words in `*error`: `EVENER_BAD_ENDPOINT`, `EVENER_BAD_ARGUMENT`; also `EVENER_STALE` (the resolver was stopped, or never
 * was), `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`, `EVENER_BAD_UTF8`. Nothing has changed then.
 */
evener_status evener_resolver_push(const struct evener_driver *driver,
                                   uint64_t resolver,
                                   const struct evener_address_endpoint *list,
                                   size_t count,
                                   struct evener_text *error);
#endif

#if (defined(EVENER_CHANNELS) && defined(EVENER_REGISTRIES))
/**
 * Says that the endpoints behind a resolver's target cannot be found out now, and why, for people. What was pushed before stays in use.
 *
 * Any thread. The text is copied. Not from an interrupt or signal handler.
 * Errors: `EVENER_STALE` (the resolver was stopped, or never was), `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`,
 * `EVENER_BAD_UTF8`.
 */
evener_status evener_resolver_fail(const struct evener_driver *driver,
                                   uint64_t resolver,
                                   const char *reason,
                                   size_t reason_len);
#endif

#if (defined(EVENER_CHANNELS) && defined(EVENER_REGISTRIES))
/**
 * Says the service config (JSON, as gRPC's) that goes with a resolver's endpoints; null for none any more. Said before the endpoints
 * it is in force when they come. One that is wrong is refused by the channels, in their log; the one before stays.
 *
 * Any thread. The text is copied. Not from an interrupt or signal handler.
 * Errors: `EVENER_STALE` (the resolver was stopped, or never was), `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_NOT_A_BALANCER`,
 * `EVENER_BAD_UTF8`.
 */
evener_status evener_resolver_service_config(const struct evener_driver *driver,
                                             uint64_t resolver,
                                             const char *json,
                                             size_t json_len);
#endif

#if defined(EVENER_CHANNELS)
/**
 * Writes a target, or a text with targets in it, without their secrets: user, password, and the value of each parameter whose name
 * says that it is one (`token`, `password`, `key` and the like) become `***`. For logs and error messages; the library's own
 * texts are like that already.
 *
 * Any thread. Not from an interrupt or signal handler.
 * Errors: `EVENER_NULL_POINTER`, `EVENER_MISALIGNED`, `EVENER_BAD_UTF8`, `EVENER_TOO_SMALL` (see evener_text).
 */
evener_status evener_redact_target(const char *target,
                                   size_t target_len,
                                   struct evener_text *redacted);
#endif

/**
 * One line of English for a status; "unknown status" for a number this library does not know. Static, never freed.
 *
 * Any thread; may be called from an interrupt handler. Never fails.
 */
const char *evener_status_message(uint32_t status);

/**
 * The ABI version of the library that runs; compare it with `EVENER_ABI_VERSION` of the header once at start.
 *
 * Any thread; may be called from an interrupt handler. Never fails.
 */
uint32_t evener_abi_version(void);

/**
 * The version of the library that runs, as text ("0.1.0"): static, never freed.
 *
 * Any thread; may be called from an interrupt handler. Never fails.
 */
const char *evener_version(void);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* EVENER_H */
