/* Options of live targets, schemes of the program's own and configuration, through the C ABI, without a registry. */
#include "discovery.h"

/* Opening with these options is refused, and the reason names the option. */
static void refuses(const evener_channel_options *options, evener_status status, const char *word) {
    evener_channel *channel = NULL;
    evener_text reason = why();
    IS(evener_channel_open(driver, TEXT("static:///h:1"), options, &channel, &reason), status);
    if (strstr(why_bytes, word) == NULL) fprintf(stderr, "\"%s\" does not name %s\n", why_bytes, word), failures++;
    CHECK(channel == NULL);
}

static void wrong_options_are_named(void) {
    evener_channel_options options;
#define REFUSES(field, value, status, word) \
    do { \
        options = options_of(); \
        options.field = (value); \
        refuses(&options, (status), (word)); \
    } while (0)
    REFUSES(seeded, 2, EVENER_BAD_ARGUMENT, "seeded");
    REFUSES(max_drop_percent, 101, EVENER_BAD_ARGUMENT, "max_drop_ratio");
    REFUSES(max_drop_percent, 100000, EVENER_BAD_ARGUMENT, "max_drop_ratio");
    REFUSES(on_stale, 2, EVENER_BAD_ARGUMENT, "on_stale");
    REFUSES(on_stale, EVENER_STALE_DROP, EVENER_BAD_ARGUMENT, "max_stale");
    REFUSES(system_dns, 7, EVENER_BAD_ARGUMENT, "system_dns");
    REFUSES(service_config_from_dns, 2, EVENER_BAD_ARGUMENT, "service_config_from_dns");
    REFUSES(fallback_target_len, 1, EVENER_NULL_POINTER, "null");
    options = options_of();
    options.dns_server = "10.0.0.1,somewhere";
    options.dns_server_len = strlen(options.dns_server);
    refuses(&options, EVENER_BAD_ARGUMENT, "`somewhere`");
    options.dns_server = "\xff";
    options.dns_server_len = 1;
    refuses(&options, EVENER_BAD_UTF8, "UTF-8");
    options = options_of();
    options.fallback_target = "static:///h:1;weight=much";
    options.fallback_target_len = strlen(options.fallback_target);
    refuses(&options, EVENER_BAD_TARGET, "weight");
    options = options_of();
    options.service_config_source = "dns:///config";
    options.service_config_source_len = strlen(options.service_config_source);
    evener_channel *channel = NULL;
    evener_text reason = why();
    CHECK(evener_channel_open(driver, TEXT("static:///h:1"), &options, &channel, &reason) >= 100 && channel == NULL);
}

static evener_credentials credentials_of(void) {
    evener_credentials credentials;
    memset(&credentials, 0, sizeof credentials);
    credentials.struct_size = sizeof credentials;
    return credentials;
}

static void wrong_credentials_are_named(void) {
    evener_channel_options options = options_of();
    evener_credentials credentials = credentials_of();
    options.credentials = &credentials;
    credentials.struct_size = 9;
    refuses(&options, EVENER_BAD_SIZE, "credentials");
    credentials = credentials_of();
    credentials.tls = 2;
    refuses(&options, EVENER_BAD_ARGUMENT, "tls");
    credentials = credentials_of();
    credentials.user = "root";
    credentials.user_len = 4;
    refuses(&options, EVENER_BAD_ARGUMENT, "password");
    credentials.password = credentials.password_file = "secret";
    credentials.password_len = credentials.password_file_len = 6;
    refuses(&options, EVENER_BAD_ARGUMENT, "password_file");
    CHECK(strstr(why_bytes, "secret") == NULL);
    credentials = credentials_of();
    credentials.token_len = 3;
    refuses(&options, EVENER_NULL_POINTER, "credentials");
    options.credentials = (const evener_credentials *)(const void *)(why_bytes + 1);
    refuses(&options, EVENER_MISALIGNED, "credentials");
}

static evener_probe probe_of(const char *kind) {
    evener_probe probe;
    memset(&probe, 0, sizeof probe);
    probe.struct_size = sizeof probe;
    probe.kind = kind;
    probe.kind_len = strlen(kind);
    return probe;
}

static void wrong_probes_are_named(void) {
    evener_channel_options options = options_of();
    evener_probe probe;
    options.probe = &probe;
#define REFUSES_PROBE(field, value, status, word) \
    do { \
        probe = probe_of("tcp"); \
        probe.field = (value); \
        refuses(&options, (status), (word)); \
    } while (0)
    REFUSES_PROBE(struct_size, 9, EVENER_BAD_SIZE, "probe");
    REFUSES_PROBE(kind, NULL, EVENER_NULL_POINTER, "probe");
    REFUSES_PROBE(kind_len, 2, EVENER_BAD_ARGUMENT, "`tc`");
    REFUSES_PROBE(interval_ms, 9, EVENER_BAD_ARGUMENT, "interval");
    REFUSES_PROBE(timeout_ms, EVENER_OFF, EVENER_BAD_ARGUMENT, "timeout");
    REFUSES_PROBE(jitter_percent, 101, EVENER_BAD_ARGUMENT, "jitter");
    REFUSES_PROBE(fail_closed, 2, EVENER_BAD_ARGUMENT, "fail_closed");
    REFUSES_PROBE(tls, 2, EVENER_BAD_ARGUMENT, "tls");
    REFUSES_PROBE(reserved, 1, EVENER_BAD_ARGUMENT, "reserved");
    probe = probe_of("");
    refuses(&options, EVENER_BAD_ARGUMENT, "grpc-watch");
    probe = probe_of("tcp");
    options.static_file = "lists.json";
    options.static_file_len = strlen(options.static_file);
    evener_channel *channel = NULL;
    evener_text reason = why();
    CHECK(evener_channel_open(driver, TEXT("static:///user-service"), &options, &channel, &reason) >= 100 && channel == NULL);
    CHECK(strstr(why_bytes, "static_file") != NULL);
}

/* The program is asked to resolve, and answers: with a failure, a config, a list, another list. */
static void a_scheme_of_the_programs_own(void) {
    evener_text reason = why();
    evener_channel *channel = NULL;
    evener_call call;
    IS(evener_channel_open(driver, TEXT("mine:///users"), NULL, &channel, &reason), EVENER_BAD_TARGET);
    IS(evener_driver_register_scheme(driver, TEXT("4mine"), &reason), EVENER_BAD_ARGUMENT);
    CHECK(reason.length > 0);
    IS(evener_driver_register_scheme(NULL, TEXT("mine"), NULL), EVENER_NULL_POINTER);
    IS(evener_driver_register_scheme(driver, TEXT("\xff"), NULL), EVENER_BAD_UTF8);
    IS(evener_driver_register_scheme(driver, TEXT("mine"), NULL), EVENER_OK);

    evener_channel_options options = options_of();
    options.removal_epoch_ms = options.debounce_ms = EVENER_OFF;
    options.token = 5;
    IS(evener_channel_open(driver, TEXT("mine:///users"), &options, &channel, &reason), EVENER_OK);
    IS(evener_channel_start(channel, TEXT("/demo.Demo/Unary"), 0, &call), EVENER_QUEUE);
    evener_event start = await_event(EVENER_EVENT_RESOLVE_START);
    CHECK(start.resolver != 0 && start.token == 0);
    reason = why();
    IS(evener_channel_wait_until_ready(channel, 10, &reason), EVENER_TIMEOUT);
    CHECK(strstr(why_bytes, "mine:///users has not been resolved yet") != NULL);
    CHECK(start.text_len == strlen("mine:///users") && memcmp(start.text, "mine:///users", start.text_len) == 0);

    uint64_t resolver = start.resolver;
    evener_address_endpoint list[2] = {endpoint_of("127.0.0.1:1"), endpoint_of("127.0.0.1:2")};
    IS(evener_resolver_push(driver, resolver + 1, list, 2, NULL), EVENER_STALE);
    IS(evener_resolver_push(NULL, resolver, list, 2, NULL), EVENER_NULL_POINTER);
    IS(evener_resolver_push(driver, resolver, NULL, 2, NULL), EVENER_NULL_POINTER);
    list[1].addresses_len = 3;
    IS(evener_resolver_push(driver, resolver, list, 2, &reason), EVENER_BAD_ENDPOINT);
    CHECK(strstr(why_bytes, "endpoint 1") != NULL);
    list[1] = endpoint_of("127.0.0.1:2");
    IS(evener_resolver_fail(driver, resolver + 1, TEXT("gone")), EVENER_STALE);
    IS(evener_resolver_fail(driver, resolver, NULL, 1), EVENER_NULL_POINTER);
    IS(evener_resolver_fail(driver, resolver, TEXT("the phone book burnt")), EVENER_OK);
    IS(evener_resolver_service_config(driver, resolver + 1, TEXT("{}")), EVENER_STALE);
    IS(evener_resolver_service_config(driver, resolver, TEXT("{\"loadBalancingConfig\":[{\"pick_random\":{}}]}")), EVENER_OK);
    IS(evener_resolver_push(driver, resolver, list, 2, &reason), EVENER_OK);
    for (int connected = 0; connected < 2; connected++) {
        evener_event event = await_event(EVENER_EVENT_CONNECT);
        CHECK(event.kind == EVENER_EVENT_CONNECT && event.token == 5);
        IS(evener_channel_set_state(channel, event.endpoint, EVENER_READY, NULL, 0), EVENER_OK);
    }
    IS(start_call(channel, &call), EVENER_OK);
    evener_report report = {sizeof report, 0, 0, 0, 1000};
    IS(evener_channel_finish(channel, &call, &report), EVENER_OK);
    CHECK(described(channel, "\"pick_random\"") && described(channel, "\"age_seconds\""));

    /* A connection is lost: the resolver is told that its list may be old. */
    IS(evener_channel_set_state(channel, call.endpoint, EVENER_TRANSIENT_FAILURE, TEXT("reset")), EVENER_OK);
    CHECK(await_event(EVENER_EVENT_RESOLVE_NOW).resolver == resolver);
    IS(evener_resolver_push(driver, resolver, list, 1, &reason), EVENER_OK);
    evener_event close = await_event(EVENER_EVENT_CLOSE);
    CHECK(close.kind == EVENER_EVENT_CLOSE);
    IS(evener_channel_endpoint_closed(channel, close.endpoint), EVENER_OK);
    CHECK(!described(channel, "127.0.0.1:2"));

    IS(evener_channel_free(channel), EVENER_OK);
    CHECK(await_event(EVENER_EVENT_RESOLVE_STOP).resolver == resolver);
    IS(evener_resolver_push(driver, resolver, list, 1, &reason), EVENER_STALE);
}

/* A target that never answers: its calls go to the fallback's endpoints after the initial timeout. */
static void a_fallback_stands_in(void) {
    evener_channel *channel = NULL;
    evener_call call;
    evener_text reason = why();
    evener_channel_options options = options_of();
    options.initial_timeout_ms = 50;
    options.fallback_target = "static:///127.0.0.1:7";
    options.fallback_target_len = strlen(options.fallback_target);
    options.token = 6;
    IS(evener_channel_open(driver, TEXT("mine:///silent"), &options, &channel, &reason), EVENER_OK);
    IS(evener_channel_start(channel, TEXT("/demo.Demo/Unary"), 0, &call), EVENER_QUEUE);
    evener_event event = await_event(EVENER_EVENT_CONNECT);
    CHECK(event.kind == EVENER_EVENT_CONNECT && event.token == 6);
    CHECK(described(channel, "127.0.0.1:7"));
    IS(evener_channel_free(channel), EVENER_OK);
}

/* What can be said of a configuration without a registry: wrong targets, nothing yet, misuse. */
static void configurations(void) {
    evener_config_watch *watch = NULL;
    evener_config *config = NULL;
    evener_pair entry;
    uint64_t epoch = 0;
    size_t size = 0;
    static uint32_t nothing[64];
    evener_text reason = why();
    IS(evener_config_watch_open(driver, TEXT("static:///config/"), NULL, &watch, &reason), EVENER_BAD_TARGET);
    CHECK(reason.length > 0 && watch == NULL);
    IS(evener_config_watch_open(driver, TEXT("etcd:///config/"), NULL, NULL, &reason), EVENER_NULL_POINTER);
    IS(evener_config_watch_open(NULL, TEXT("etcd:///config/"), NULL, &watch, &reason), EVENER_NULL_POINTER);
    evener_credentials credentials = credentials_of();
    credentials.tls = 9;
    IS(evener_config_watch_open(driver, TEXT("etcd:///config/"), &credentials, &watch, &reason), EVENER_BAD_ARGUMENT);

    /* Nobody listens at port 1. */
    IS(evener_config_watch_open(driver, TEXT("etcd://127.0.0.1:1/config/"), NULL, &watch, &reason), EVENER_OK);
    IS(evener_config_watch_get(watch, &config), EVENER_NONE);
    IS(evener_config_watch_wait(watch, 0, 50), EVENER_TIMEOUT);
    reason = why();
    IS(evener_config_watch_describe(watch, &reason), EVENER_OK);
    CHECK(strstr(why_bytes, "\"epoch\":0") != NULL);
    IS(evener_config_watch_get(watch, NULL), EVENER_NULL_POINTER);
    IS(evener_config_watch_wait((evener_config_watch *)(void *)nothing, 0, 0), EVENER_NOT_A_BALANCER);
    IS(evener_config_watch_free(watch), EVENER_OK);
    IS(evener_config_watch_free(NULL), EVENER_OK);
    IS(evener_config_watch_free((evener_config_watch *)(void *)nothing), EVENER_NOT_A_BALANCER);
    config = (evener_config *)(void *)nothing;
    IS(evener_config_epoch(config, &epoch), EVENER_NOT_A_BALANCER);
    IS(evener_config_size(config, &size), EVENER_NOT_A_BALANCER);
    IS(evener_config_revision(config, &reason), EVENER_NOT_A_BALANCER);
    IS(evener_config_entry(config, 0, &entry), EVENER_NOT_A_BALANCER);
    IS(evener_config_find(config, TEXT("a"), &entry), EVENER_NOT_A_BALANCER);
    IS(evener_config_free(config), EVENER_NOT_A_BALANCER);
    IS(evener_config_free(NULL), EVENER_OK);
}

#define NOBODY TEXT("etcd://127.0.0.1:1/services")

/* Registering is refused, and the reason names what is wrong. */
static void refuses_service(const evener_service *service, const evener_registration_options *options, evener_status status, const char *word) {
    evener_registration *registration = NULL;
    evener_text reason = why();
    IS(evener_register(driver, NOBODY, service, options, &registration, &reason), status);
    if (strstr(why_bytes, word) == NULL) fprintf(stderr, "\"%s\" does not name %s\n", why_bytes, word), failures++;
    CHECK(registration == NULL);
}

static void wrong_registrations_are_named(void) {
    evener_service service = service_of();
    evener_registration *registration = NULL;
    evener_text reason = why();
    IS(evener_register(driver, TEXT("static:///x"), &service, NULL, &registration, &reason), EVENER_BAD_TARGET);
    CHECK(reason.length > 0);
    IS(evener_register(driver, NOBODY, NULL, NULL, &registration, &reason), EVENER_NULL_POINTER);
    IS(evener_register(driver, NOBODY, &service, NULL, NULL, &reason), EVENER_NULL_POINTER);
    IS(evener_register(NULL, NOBODY, &service, NULL, &registration, &reason), EVENER_NULL_POINTER);
    service.struct_size = 12;
    IS(evener_register(driver, NOBODY, &service, NULL, &registration, &reason), EVENER_BAD_SIZE);
    service = service_of();
    service.port = 65536;
    refuses_service(&service, NULL, EVENER_BAD_ARGUMENT, "port");
    service.port = 0;
    refuses_service(&service, NULL, EVENER_BAD_ARGUMENT, "port");
    service = service_of();
    service.ttl_ms = 10;
    refuses_service(&service, NULL, EVENER_BAD_ARGUMENT, "ttl");
    service.ttl_ms = EVENER_OFF;
    refuses_service(&service, NULL, EVENER_BAD_ARGUMENT, "ttl");
    service = service_of();
    service.tags_len = 1;
    refuses_service(&service, NULL, EVENER_NULL_POINTER, "service");
    service = service_of();
    evener_check check;
    memset(&check, 0, sizeof check);
    service.checks = &check;
    service.checks_len = 1;
    refuses_service(&service, NULL, EVENER_BAD_ARGUMENT, "check 0");
    check.kind = EVENER_CHECK_GRPC;
    check.tls = 2;
    refuses_service(&service, NULL, EVENER_BAD_ARGUMENT, "tls");
    check.tls = 0;
    check.reserved = 1;
    refuses_service(&service, NULL, EVENER_BAD_ARGUMENT, "reserved");
    service = service_of();
    service.json = "{\"service\":{\"name\":\"a\",\"port\":1}}";
    service.json_len = strlen(service.json);
    refuses_service(&service, NULL, EVENER_BAD_ARGUMENT, "json");

    service = service_of();
    evener_registration_options options;
    memset(&options, 0, sizeof options);
    refuses_service(&service, &options, EVENER_BAD_SIZE, "options");
    options.struct_size = sizeof options;
    options.wait_for_listening = 2;
    refuses_service(&service, &options, EVENER_BAD_ARGUMENT, "wait_for_listening");
    options.wait_for_listening = 0;
    options.verify_interval_ms = 10;
    refuses_service(&service, &options, EVENER_BAD_ARGUMENT, "verify_interval_ms");
    options.verify_interval_ms = 0;
    options.reserved = "x";
    refuses_service(&service, &options, EVENER_BAD_ARGUMENT, "reserved");
}

/* A registry that nobody reaches: it goes on trying, says why, and is freed in time. */
static void a_registration_without_a_registry(void) {
    evener_service service = service_of();
    evener_registration *registration = NULL;
    evener_registration_options options;
    static uint32_t nothing[64];
    static char bytes[4096];
    evener_text text = {bytes, sizeof bytes, 0}, reason = why();
    uint32_t state = 99;
    memset(&options, 0, sizeof options);
    options.struct_size = sizeof options;
    options.free_timeout_ms = EVENER_OFF;
    IS(evener_register(driver, NOBODY, &service, &options, &registration, &reason), EVENER_OK);
    IS(evener_registration_wait(registration, 50), EVENER_TIMEOUT);
    IS(evener_registration_state(registration, &state, NULL), EVENER_OK);
    CHECK(state == EVENER_REGISTERING);
    IS(evener_registration_state(registration, NULL, NULL), EVENER_NULL_POINTER);
    IS(evener_registration_update(registration, -1, NULL, 0), EVENER_OK);
    IS(evener_registration_update(registration, 4294967296, NULL, 0), EVENER_BAD_ARGUMENT);
    IS(evener_registration_update(registration, 3, NULL, 1), EVENER_NULL_POINTER);
    IS(evener_registration_describe(registration, &text), EVENER_OK);
    CHECK(strstr(bytes, "user-service-127.0.0.1-50051") != NULL);
    IS(evener_registration_drain(registration), EVENER_OK);
    IS(evener_registration_close(registration, 0, 50), EVENER_OK); /* it never was in there */
    IS(evener_registration_state(registration, &state, &reason), EVENER_OK);
    CHECK(state == EVENER_REGISTRATION_CLOSED);
    IS(evener_registration_wait(registration, 1000), EVENER_SHUT_DOWN);
    IS(evener_registration_free(registration), EVENER_OK);
    IS(evener_registration_free(NULL), EVENER_OK);

    registration = (evener_registration *)(void *)nothing;
    IS(evener_registration_free(registration), EVENER_NOT_A_BALANCER);
    IS(evener_registration_state(registration, &state, NULL), EVENER_NOT_A_BALANCER);
    IS(evener_registration_wait(registration, 0), EVENER_NOT_A_BALANCER);
    IS(evener_registration_update(registration, 1, NULL, 0), EVENER_NOT_A_BALANCER);
    IS(evener_registration_drain(registration), EVENER_NOT_A_BALANCER);
    IS(evener_registration_close(registration, 0, 0), EVENER_NOT_A_BALANCER);
    IS(evener_registration_describe(registration, &text), EVENER_NOT_A_BALANCER);
}

int main(void) {
    IS(evener_driver_new(&driver), EVENER_OK);
    wrong_options_are_named();
    wrong_credentials_are_named();
    wrong_probes_are_named();
    a_scheme_of_the_programs_own();
    a_fallback_stands_in();
    configurations();
    wrong_registrations_are_named();
    a_registration_without_a_registry();
    IS(evener_driver_shutdown(driver), EVENER_OK);
    IS(evener_driver_register_scheme(driver, TEXT("other"), NULL), EVENER_SHUT_DOWN);
    evener_config_watch *watch = NULL;
    IS(evener_config_watch_open(driver, TEXT("etcd:///config/"), NULL, &watch, NULL), EVENER_SHUT_DOWN);
    evener_registration *registration = NULL;
    evener_service service = service_of();
    IS(evener_register(driver, NOBODY, &service, NULL, &registration, NULL), EVENER_SHUT_DOWN);
    IS(evener_driver_free(driver), EVENER_OK);
    return failures != 0;
}
