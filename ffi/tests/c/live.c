/* What a program in C does with a registry, from its registration to its leave. It has no transport: it says of itself that it is connected. */
#include "live.h"

#include "discovery.h"

#define PATIENCE_MS 40000

static evener_registration *registration;
static evener_channel *channel;
static evener_config_watch *watch;

/* Turns the driver until the channel's description has the word. */
static int comes_to_say(const char *word) {
    evener_event ignored;
    for (time_t end = time(NULL) + PATIENCE_MS / 1000; time(NULL) < end;) {
        if (described(channel, word)) return 1;
        evener_driver_next(driver, 50, &ignored);
    }
    return 0;
}

static void a_server_registers(const live_registry *registry) {
    const evener_service service = service_of();
    evener_text reason = why();
    uint32_t state = 99;
    IS(evener_register(driver, registry->registrations, strlen(registry->registrations), &service, NULL, &registration, &reason), EVENER_OK);
    CHECK(reason.length == 0);
    IS(evener_registration_wait(registration, PATIENCE_MS), EVENER_OK);
    IS(evener_registration_state(registration, &state, &reason), EVENER_OK);
    CHECK(state == EVENER_REGISTERED);
    CHECK(registry->has_servers(registry->context));
}

static void a_channel_finds_it(const live_registry *registry) {
    evener_channel_options options = options_of();
    evener_text reason = why();
    evener_call call;
    options.removal_epoch_ms = options.empty_hold_ms = options.debounce_ms = EVENER_OFF;
    options.token = 7;
    IS(evener_channel_open(driver, registry->service, strlen(registry->service), &options, &channel, &reason), EVENER_OK);
    IS(evener_channel_start(channel, TEXT("/demo.Demo/Unary"), 0, &call), EVENER_QUEUE);
    const evener_event event = await_event(EVENER_EVENT_CONNECT);
    CHECK(event.kind == EVENER_EVENT_CONNECT && event.token == 7);
    CHECK(described(channel, "127.0.0.1:50051") && described(channel, "\"weight\":1"));
    IS(evener_channel_set_state(channel, event.endpoint, EVENER_READY, NULL, 0), EVENER_OK);
    IS(start_call(channel, &call), EVENER_OK);
    const evener_report report = {sizeof report, 0, 0, 0, 1000};
    IS(evener_channel_finish(channel, &call, &report), EVENER_OK);
    /* What the server changes of itself reaches the client. */
    IS(evener_registration_update(registration, 7, NULL, 0), EVENER_OK);
    CHECK(comes_to_say("\"weight\":7"));
}

/* Whether the value of a key is this one. */
static int holds(const evener_config *config, const char *key, const char *value) {
    evener_pair entry;
    if (evener_config_find(config, key, strlen(key), &entry) != EVENER_OK) return 0;
    return entry.value_len == strlen(value) && memcmp(entry.value, value, entry.value_len) == 0;
}

static void a_configuration_is_followed(const live_registry *registry) {
    evener_config *first = NULL, *second = NULL;
    evener_pair entry;
    static char revisions[2][64];
    evener_text former = {revisions[0], sizeof revisions[0], 0}, latter = {revisions[1], sizeof revisions[1], 0};
    evener_text reason = why();
    uint64_t epoch = 0;
    size_t size = 0;
    registry->put(registry->context, "database_url", "postgres://db/users");
    registry->put(registry->context, "cache_size", "100");
    IS(evener_config_watch_open(driver, registry->config, strlen(registry->config), NULL, &watch, &reason), EVENER_OK);
    IS(evener_config_watch_wait(watch, 0, PATIENCE_MS), EVENER_OK);
    IS(evener_config_watch_get(watch, &first), EVENER_OK);
    IS(evener_config_epoch(first, &epoch), EVENER_OK);
    IS(evener_config_size(first, &size), EVENER_OK);
    IS(evener_config_revision(first, &former), EVENER_OK);
    CHECK(epoch == 1 && size == 2 && former.length > 0);
    CHECK(holds(first, "cache_size", "100") && holds(first, "database_url", "postgres://db/users"));
    IS(evener_config_entry(first, 0, &entry), EVENER_OK);
    CHECK(entry.key_len == strlen("cache_size") && memcmp(entry.key, "cache_size", entry.key_len) == 0);
    IS(evener_config_entry(first, 2, &entry), EVENER_NONE);
    IS(evener_config_find(first, TEXT("nothing"), &entry), EVENER_NONE);

    registry->put(registry->context, "cache_size", "200");
    IS(evener_config_watch_wait(watch, epoch, PATIENCE_MS), EVENER_OK);
    IS(evener_config_watch_get(watch, &second), EVENER_OK);
    IS(evener_config_revision(second, &latter), EVENER_OK);
    CHECK(strcmp(revisions[0], revisions[1]) != 0);
    CHECK(holds(second, "cache_size", "200") && holds(second, "database_url", "postgres://db/users"));
    CHECK(holds(first, "cache_size", "100")); /* a configuration never changes */
    IS(evener_config_free(first), EVENER_OK);
    IS(evener_config_watch_free(watch), EVENER_OK);
    CHECK(holds(second, "cache_size", "200")); /* and outlives its watch */
    IS(evener_config_free(second), EVENER_OK);
}

/* In order: the record is gone, and then the client's endpoint. */
static void the_server_leaves(const live_registry *registry) {
    uint32_t state = 99;
    IS(evener_registration_close(registration, 0, PATIENCE_MS), EVENER_OK);
    IS(evener_registration_state(registration, &state, NULL), EVENER_OK);
    CHECK(state == EVENER_REGISTRATION_CLOSED);
    CHECK(!registry->has_servers(registry->context));
    const evener_event event = await_event(EVENER_EVENT_CLOSE);
    CHECK(event.kind == EVENER_EVENT_CLOSE && event.token == 7);
    IS(evener_channel_endpoint_closed(channel, event.endpoint), EVENER_OK);
    CHECK(!described(channel, "127.0.0.1:50051"));
    IS(evener_registration_free(registration), EVENER_OK);
    IS(evener_channel_free(channel), EVENER_OK);
}

int live_run(const live_registry *registry) {
    IS(evener_driver_new(&driver), EVENER_OK);
    a_server_registers(registry);
    a_channel_finds_it(registry);
    a_configuration_is_followed(registry);
    the_server_leaves(registry);
    IS(evener_driver_shutdown(driver), EVENER_OK);
    IS(evener_driver_free(driver), EVENER_OK);
    return failures;
}
