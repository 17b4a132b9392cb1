#include "abuse.h"

static void (*speak)(const char *text, size_t length);
static unsigned failures;

static void say(const char *text) {
    size_t length = 0;
    while (text[length]) length++;
    speak(text, length);
}

static void check(int good, const char *what) {
    if (good) return;
    failures++;
    say("abuse: ");
    say(what);
    say("\n");
}
#define CHECK(condition) check(condition, #condition)
#define IS(call, status) check((call) == (status), #call " is not " #status)

static evener_limits limits_of(uint32_t endpoints) {
    evener_limits limits = {0};
    limits.struct_size = sizeof limits;
    limits.endpoints = endpoints;
    return limits;
}

static evener_endpoint endpoint_of(uint64_t id) {
    evener_endpoint endpoint = {{id, 0}, id, 1, 0};
    return endpoint;
}

/* The object at a misaligned address: never read, since the address alone is refused. */
#define MISALIGNED(pointer) ((void *)((char *)(void *)(pointer) + 1))

static void *memory;
static size_t length;
static evener_balancer *balancer;
static evener_controller *controller;

static void open_with(uint32_t endpoints) {
    evener_limits limits = limits_of(endpoints);
    IS(evener_balancer_init(memory, length, &limits, &balancer, &controller), EVENER_OK);
}

static void finish_all(void) { IS(evener_balancer_fini(balancer, controller), EVENER_OK); }

static void settle(void) {
    evener_action action;
    unsigned bound = 100;
    evener_status status = EVENER_OK;
    while (bound-- && status == EVENER_OK) status = evener_controller_poll(controller, 0, &action);
    CHECK(status == EVENER_NONE);
}

/* One endpoint, READY. */
static evener_handle ready_one(uint64_t id) {
    evener_endpoint endpoint = endpoint_of(id);
    evener_handle handle = {0, 0};
    IS(evener_controller_update(controller, &endpoint, 1, NULL), EVENER_OK);
    settle();
    IS(evener_controller_handle(controller, endpoint.id, &handle), EVENER_OK);
    IS(evener_controller_set_connectivity(controller, handle, EVENER_READY), EVENER_OK);
    settle();
    return handle;
}

static void sizes(void) {
    evener_limits limits = limits_of(3);
    size_t size = 0;
    IS(evener_balancer_size(&limits, NULL), EVENER_NULL_POINTER);
    IS(evener_balancer_size(NULL, &size), EVENER_NULL_POINTER);
    IS(evener_balancer_size(MISALIGNED(&limits), &size), EVENER_MISALIGNED);
    IS(evener_balancer_size(&limits, MISALIGNED(&size)), EVENER_MISALIGNED);
    IS(evener_balancer_size(&limits, &size), EVENER_OK);
    CHECK(size > 0 && size % evener_balancer_align() == 0);
    CHECK(evener_balancer_align() <= EVENER_BALANCER_ALIGNMENT);

    limits.struct_size = 0;
    IS(evener_balancer_size(&limits, &size), EVENER_BAD_SIZE);
    limits.struct_size = sizeof limits - 4;
    IS(evener_balancer_size(&limits, &size), EVENER_BAD_SIZE);
    limits.struct_size = 0xFFFFFFFF;
    IS(evener_balancer_size(&limits, &size), EVENER_BAD_SIZE);

    limits = limits_of(0);
    IS(evener_balancer_size(&limits, &size), EVENER_BAD_ARGUMENT);
    limits = limits_of(65535);
    IS(evener_balancer_size(&limits, &size), EVENER_BAD_ARGUMENT);
    limits = limits_of(0xFFFFFFFF);
    IS(evener_balancer_size(&limits, &size), EVENER_BAD_ARGUMENT);
    limits = limits_of(3);
    limits.schedule = 65537;
    IS(evener_balancer_size(&limits, &size), EVENER_BAD_ARGUMENT);
    limits = limits_of(3);
    limits.failover_timeout = 0x7FFFFFFF;
    IS(evener_balancer_size(&limits, &size), EVENER_OK);
    limits.failover_timeout = 0x80000000;
    IS(evener_balancer_size(&limits, &size), EVENER_BAD_ARGUMENT);
    limits = limits_of(3);
    limits.drain_timeout = 0x7FFFFFFF;
    IS(evener_balancer_size(&limits, &size), EVENER_OK);
    limits.drain_timeout = 0x80000000; /* would lie in the past */
    IS(evener_balancer_size(&limits, &size), EVENER_BAD_ARGUMENT);
}

/* A program compiled against a later header passes a larger structure: fine while what is unknown here is zero. */
static void newer_callers(void) {
    struct {
        evener_limits known;
        uint32_t later[2];
    } newer = {limits_of(3), {0, 0}};
    size_t size = 0;
    newer.known.struct_size = sizeof newer;
    IS(evener_balancer_size(&newer.known, &size), EVENER_OK);
    newer.later[1] = 1;
    IS(evener_balancer_size(&newer.known, &size), EVENER_BAD_SIZE);
}

/* The bound for memory that is sized when compiling holds for all limits. */
static void bounds(void) {
    static const uint32_t counts[] = {1, 2, 3, 7, 8, 31, 32, 33, 64, 100, 1000, 1024, 65534};
    static const uint32_t schedules[] = {0, 1, 2, 6, 100, 65536};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        for (size_t j = 0; j < sizeof schedules / sizeof *schedules; j++) {
            evener_limits limits = limits_of(counts[i]);
            size_t size = 0;
            limits.schedule = schedules[j];
            IS(evener_balancer_size(&limits, &size), EVENER_OK);
            CHECK(size <= EVENER_BALANCER_BYTES(counts[i], schedules[j]));
        }
}

static void initialising(void) {
    evener_limits limits = limits_of(3);
    size_t size = 0;
    IS(evener_balancer_size(&limits, &size), EVENER_OK);
    IS(evener_balancer_init(NULL, length, &limits, &balancer, &controller), EVENER_NULL_POINTER);
    IS(evener_balancer_init(memory, length, NULL, &balancer, &controller), EVENER_NULL_POINTER);
    IS(evener_balancer_init(memory, length, &limits, NULL, &controller), EVENER_NULL_POINTER);
    IS(evener_balancer_init(memory, length, &limits, &balancer, NULL), EVENER_NULL_POINTER);
    IS(evener_balancer_init(MISALIGNED(memory), length - 1, &limits, &balancer, &controller), EVENER_MISALIGNED);
    IS(evener_balancer_init(memory, size - 1, &limits, &balancer, &controller), EVENER_TOO_SMALL);
    IS(evener_balancer_init(memory, 0, &limits, &balancer, &controller), EVENER_TOO_SMALL);

    IS(evener_balancer_init(memory, size, &limits, &balancer, &controller), EVENER_OK);
    CHECK((char *)balancer >= (char *)memory && (char *)balancer < (char *)memory + size);
    CHECK((char *)controller >= (char *)memory && (char *)controller < (char *)memory + size);

    /* A second controller for the same memory. */
    evener_balancer *other_balancer = NULL;
    evener_controller *other_controller = NULL;
    IS(evener_balancer_init(memory, size, &limits, &other_balancer, &other_controller), EVENER_CLAIMED);
    CHECK(other_balancer == NULL && other_controller == NULL);
    finish_all();
    IS(evener_balancer_fini(balancer, controller), EVENER_NOT_A_BALANCER);
    IS(evener_balancer_init(memory, size, &limits, &balancer, &controller), EVENER_OK);
    finish_all();
}

static void wrong_objects(void) {
    static evener_cursor cursor;
    static uint64_t nothing[64];
    evener_handle handle = {0, 0};
    evener_ticket ticket = {0};
    evener_action action;
    uint32_t value;
    open_with(3);
    IS(evener_pick(NULL, &cursor, &handle, NULL), EVENER_NULL_POINTER);
    IS(evener_pick(balancer, NULL, &handle, NULL), EVENER_NULL_POINTER);
    IS(evener_pick(balancer, &cursor, NULL, NULL), EVENER_NULL_POINTER);
    IS(evener_pick(balancer, MISALIGNED(&cursor), &handle, NULL), EVENER_MISALIGNED);
    IS(evener_pick(balancer, &cursor, MISALIGNED(&handle), NULL), EVENER_MISALIGNED);
    IS(evener_pick(MISALIGNED(balancer), &cursor, &handle, NULL), EVENER_MISALIGNED);
    IS(evener_pick((const evener_balancer *)(const void *)nothing, &cursor, &handle, NULL), EVENER_NOT_A_BALANCER);
    IS(evener_pick((const evener_balancer *)(const void *)controller, &cursor, &handle, NULL), EVENER_NOT_A_BALANCER);
    IS(evener_start((const evener_balancer *)(const void *)nothing, &cursor, 0, &ticket, NULL), EVENER_NOT_A_BALANCER);
    IS(evener_finish((const evener_balancer *)(const void *)nothing, &ticket, 0, 0, NULL), EVENER_NOT_A_BALANCER);
    IS(evener_controller_poll((evener_controller *)(void *)balancer, 0, &action), EVENER_NOT_A_BALANCER);
    IS(evener_controller_poll(NULL, 0, &action), EVENER_NULL_POINTER);
    IS(evener_controller_poll(controller, 0, NULL), EVENER_NULL_POINTER);
    IS(evener_controller_state(controller, MISALIGNED(&value)), EVENER_MISALIGNED);
    IS(evener_balancer_fini(balancer, (evener_controller *)(void *)balancer), EVENER_NOT_A_BALANCER);
    IS(evener_balancer_fini(NULL, controller), EVENER_NULL_POINTER);
    finish_all();
    IS(evener_pick(balancer, &cursor, &handle, NULL), EVENER_NOT_A_BALANCER);
    IS(evener_controller_connect(controller), EVENER_NOT_A_BALANCER);
}

static void bad_orders(void) {
    evener_endpoint endpoint = endpoint_of(1);
    evener_policy policy = {sizeof policy, EVENER_POLICY_ROUND_ROBIN, 0, 0};
    evener_changes changes;
    open_with(2);
    IS(evener_controller_update(controller, NULL, 1, &changes), EVENER_NULL_POINTER);
    IS(evener_controller_update(controller, MISALIGNED(&endpoint), 1, &changes), EVENER_MISALIGNED);
    IS(evener_controller_update(controller, &endpoint, (size_t)-1, &changes), EVENER_BAD_ARGUMENT);
    IS(evener_controller_update(controller, NULL, 0, &changes), EVENER_OK);

    evener_endpoint many[3] = {endpoint_of(1), endpoint_of(2), endpoint_of(3)};
    IS(evener_controller_update(controller, many, 3, &changes), EVENER_FULL);
    many[2] = endpoint_of(2); /* The same once more: the first counts. */
    IS(evener_controller_update(controller, many, 3, &changes), EVENER_OK);
    CHECK(changes.added == 2 && changes.removed == 0);

    IS(evener_controller_set_policy(controller, &policy), EVENER_OK);
    policy.kind = 0;
    IS(evener_controller_set_policy(controller, &policy), EVENER_BAD_ARGUMENT);
    policy.kind = 99;
    IS(evener_controller_set_policy(controller, &policy), EVENER_BAD_ARGUMENT);
    policy.kind = EVENER_POLICY_ROUND_ROBIN;
    policy.flags = EVENER_POLICY_SHUFFLE;
    IS(evener_controller_set_policy(controller, &policy), EVENER_BAD_ARGUMENT);
    policy.kind = EVENER_POLICY_PICK_FIRST;
    IS(evener_controller_set_policy(controller, &policy), EVENER_OK);
    policy.flags = 2;
    IS(evener_controller_set_policy(controller, &policy), EVENER_BAD_ARGUMENT);
    policy.struct_size = 8;
    IS(evener_controller_set_policy(controller, &policy), EVENER_BAD_SIZE);
    IS(evener_controller_set_policy(controller, NULL), EVENER_NULL_POINTER);
    IS(evener_controller_set_drain_timeout(controller, 0x7FFFFFFF), EVENER_OK);
    IS(evener_controller_set_drain_timeout(controller, 0x80000000), EVENER_BAD_ARGUMENT);
    finish_all();
}

static void stale_handles(void) {
    evener_handle handle, wrong[] = {{0, 0}, {1, 7}, {65535, 1}, {65536, 1}, {0xFFFFFFFF, 0xFFFFFFFF}};
    evener_counters counters;
    evener_endpoint_status status;
    evener_ticket ticket = {0};
    uint64_t user = 0, missing[2] = {77, 0};
    open_with(2);
    handle = ready_one(5);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        IS(evener_begin(balancer, wrong[i], 0, &ticket), EVENER_STALE);
        IS(evener_counters_read(balancer, wrong[i], &counters), EVENER_STALE);
        IS(evener_user(balancer, wrong[i], &user), EVENER_STALE);
        IS(evener_controller_endpoint(controller, wrong[i], &status), EVENER_STALE);
        IS(evener_controller_set_connectivity(controller, wrong[i], EVENER_READY), EVENER_STALE);
        IS(evener_controller_set_health(controller, wrong[i], EVENER_HEALTH_SERVING), EVENER_STALE);
    }
    IS(evener_user(balancer, handle, &user), EVENER_OK);
    CHECK(user == 5);
    IS(evener_controller_set_connectivity(controller, handle, 5), EVENER_BAD_ARGUMENT);
    IS(evener_controller_set_health(controller, handle, 3), EVENER_BAD_ARGUMENT);
    IS(evener_controller_handle(controller, missing, &handle), EVENER_NONE);
    IS(evener_controller_handle(controller, NULL, &handle), EVENER_NULL_POINTER);
    finish_all();
}

static void stale_tickets(void) {
    static evener_cursor cursor;
    evener_ticket ticket = {0}, copy;
    evener_finished finished;
    evener_counters counters;
    open_with(2);
    evener_handle handle = ready_one(9);
    IS(evener_finish(balancer, &ticket, EVENER_OUTCOME_SUCCESS, 0, NULL), EVENER_STALE); /* never started */
    IS(evener_start(balancer, &cursor, 100, &ticket, NULL), EVENER_OK);
    CHECK(ticket.user == 9 && ticket.start == 100 && ticket.slot == handle.slot);
    IS(evener_finish(balancer, &ticket, 6, 150, &finished), EVENER_BAD_ARGUMENT); /* no such outcome: stays open */
    IS(evener_finish(balancer, NULL, 0, 150, &finished), EVENER_NULL_POINTER);
    IS(evener_finish(balancer, MISALIGNED(&ticket), 0, 150, &finished), EVENER_MISALIGNED);
    copy = ticket;
    IS(evener_finish(balancer, &ticket, EVENER_OUTCOME_SUCCESS, 150, &finished), EVENER_OK);
    CHECK(finished.elapsed == 50 && finished.wake == 0);
    CHECK(ticket.user == 0 && ticket.generation == 0);
    IS(evener_finish(balancer, &ticket, EVENER_OUTCOME_SUCCESS, 160, &finished), EVENER_STALE); /* twice */

    /* Tickets that no start gave: out of range, of another generation. The counts stay as they are. */
    static const uint32_t slots[] = {1, 2, 3, 65535, 65536, 0xFFFFFFFF};
    for (size_t i = 0; i < sizeof slots / sizeof *slots; i++) {
        evener_ticket forged = copy;
        forged.slot = slots[i] == handle.slot ? 2 : slots[i];
        IS(evener_finish(balancer, &forged, EVENER_OUTCOME_SUCCESS, 160, NULL), EVENER_STALE);
    }
    copy.generation += 1;
    IS(evener_finish(balancer, &copy, EVENER_OUTCOME_SUCCESS, 160, NULL), EVENER_STALE);
    IS(evener_counters_read(balancer, handle, &counters), EVENER_OK);
    CHECK(counters.ok == 1 && counters.in_flight == 0);
    finish_all();
}

/* Two balancers that have a call each, in the same slot of the same generation: only its own one ends it. */
static void tickets_of_another_balancer(void) {
    static evener_cursor cursor;
    evener_limits limits = limits_of(1);
    evener_ticket here = {0}, there = {0};
    evener_counters counters;
    size_t size = 0;
    IS(evener_balancer_size(&limits, &size), EVENER_OK);
    CHECK(2 * size <= length);
    IS(evener_balancer_init(memory, size, &limits, &balancer, &controller), EVENER_OK);
    evener_handle handle = ready_one(1);
    evener_balancer *first_balancer = balancer;
    evener_controller *first_controller = controller;
    IS(evener_start(balancer, &cursor, 0, &here, NULL), EVENER_OK);
    for (size_t i = size; i < 2 * size; i++) ((char *)memory)[i] = 0;
    IS(evener_balancer_init((char *)memory + size, size, &limits, &balancer, &controller), EVENER_OK);
    ready_one(2);
    IS(evener_start(balancer, &cursor, 0, &there, NULL), EVENER_OK);
    CHECK(here.slot == there.slot && here.generation == there.generation);

    IS(evener_finish(first_balancer, &there, EVENER_OUTCOME_SUCCESS, 1, NULL), EVENER_STALE);
    IS(evener_counters_read(first_balancer, handle, &counters), EVENER_OK);
    CHECK(counters.in_flight == 1 && counters.ok == 0);
    IS(evener_finish(balancer, &there, EVENER_OUTCOME_SUCCESS, 1, NULL), EVENER_OK);
    IS(evener_finish(first_balancer, &here, EVENER_OUTCOME_SUCCESS, 1, NULL), EVENER_OK);

    IS(evener_balancer_fini(balancer, first_controller), EVENER_BAD_ARGUMENT);
    finish_all();
    IS(evener_balancer_fini(first_balancer, first_controller), EVENER_OK);
}

/* Tickets keep a removed endpoint; its handle is of no use any more, its ticket is. */
static void removed_endpoints(void) {
    static evener_cursor cursor;
    evener_ticket ticket = {0};
    evener_finished finished;
    evener_action action = {0};
    uint32_t reason = 0;
    open_with(1);
    evener_handle handle = ready_one(4);
    IS(evener_start(balancer, &cursor, 0, &ticket, NULL), EVENER_OK);
    IS(evener_controller_update(controller, NULL, 0, NULL), EVENER_OK);
    settle();
    IS(evener_begin(balancer, handle, 1, &(evener_ticket){0}), EVENER_STALE);
    IS(evener_start(balancer, &cursor, 1, &(evener_ticket){0}, &reason), EVENER_FAIL);
    CHECK(reason == EVENER_FAIL_NO_ENDPOINTS);
    IS(evener_needs_poll(balancer, &reason), EVENER_OK);
    CHECK(reason == 0);
    IS(evener_needs_poll(balancer, NULL), EVENER_NULL_POINTER);
    IS(evener_finish(balancer, &ticket, EVENER_OUTCOME_FAILURE, 2, &finished), EVENER_OK);
    CHECK(finished.wake == 1);
    IS(evener_controller_poll(controller, 2, &action), EVENER_OK);
    CHECK(action.kind == EVENER_ACTION_CLOSE && action.user == 4);
    settle();
    finish_all();
}

/* The limit of calls, and one cursor used by mistake for two balancers at once. */
static void limits_and_cursors(void) {
    evener_limits limits = limits_of(1);
    evener_cursor cursor = {{0xDEADBEEF, 0xFFFFFFFF, 7, 0x80000000}}; /* any bits are a cursor */
    evener_ticket one = {0}, two = {0};
    limits.calls_per_endpoint = 1;
    IS(evener_balancer_init(memory, length, &limits, &balancer, &controller), EVENER_OK);
    evener_handle handle = ready_one(3);
    IS(evener_begin(balancer, handle, 0, &one), EVENER_OK);
    IS(evener_begin(balancer, handle, 0, &two), EVENER_FULL);
    IS(evener_finish(balancer, &one, EVENER_OUTCOME_SUCCESS, 0, NULL), EVENER_OK);
    for (int i = 0; i < 100; i++) IS(evener_pick(balancer, &cursor, &handle, NULL), EVENER_OK);
    IS(evener_cursor_at(NULL, 0, 0), EVENER_NULL_POINTER);
    finish_all();
}

static int texts_equal(const char *a, const char *b) {
    while (*a && *a == *b) a++, b++;
    return *a == *b;
}

static void identities_and_messages(void) {
    const uint64_t key[2] = {1, 2};
    const char *addresses[17] = {"a:1", "b:2"}, *turned[2] = {"b:2", "a:1"};
    size_t lengths[17] = {3, 3};
    uint64_t one[2], two[2];
    IS(evener_endpoint_id(key, addresses, lengths, 2, one), EVENER_OK);
    IS(evener_endpoint_id(key, turned, lengths, 2, two), EVENER_OK);
    CHECK(one[0] == two[0] && one[1] == two[1]);
    IS(evener_endpoint_id(key, addresses, lengths, 1, two), EVENER_OK);
    CHECK(one[0] != two[0]);
    for (int i = 2; i < 17; i++) addresses[i] = "c:3", lengths[i] = 3;
    IS(evener_endpoint_id(key, addresses, lengths, 16, two), EVENER_OK);
    IS(evener_endpoint_id(key, addresses, lengths, 17, two), EVENER_BAD_ARGUMENT);
    IS(evener_endpoint_id(key, addresses, lengths, (size_t)-1, two), EVENER_BAD_ARGUMENT);
    IS(evener_endpoint_id(key, addresses, lengths, (size_t)-1 / sizeof(size_t), two), EVENER_BAD_ARGUMENT);
    IS(evener_endpoint_id(NULL, addresses, lengths, 1, two), EVENER_NULL_POINTER);
    IS(evener_endpoint_id(key, NULL, lengths, 1, two), EVENER_NULL_POINTER);
    addresses[0] = NULL;
    IS(evener_endpoint_id(key, addresses, lengths, 1, two), EVENER_NULL_POINTER);

    CHECK(evener_abi_version() == EVENER_ABI_VERSION);
    CHECK(texts_equal(evener_status_message(EVENER_OK), "ok"));
    CHECK(texts_equal(evener_status_message(99), "unknown status"));
    CHECK(texts_equal(evener_status_message(0xFFFFFFFF), "unknown status"));
    CHECK(evener_version()[0] == '0' + EVENER_VERSION_MAJOR);
}

unsigned abuse_run(void *given, size_t given_length, void (*output)(const char *text, size_t length)) {
    speak = output;
    memory = given;
    length = given_length;
    failures = 0;
    sizes();
    newer_callers();
    bounds();
    initialising();
    wrong_objects();
    bad_orders();
    stale_handles();
    stale_tickets();
    tickets_of_another_balancer();
    removed_endpoints();
    limits_and_cursors();
    identities_and_messages();
    return failures;
}
