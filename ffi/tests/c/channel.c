/* Channels through the C ABI, over a transport that connects nothing: it only says it did. */
#include "check.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <time.h>

#define METHOD TEXT("/demo.Demo/Unary")

static evener_driver *driver;
static evener_channel *channel;

/* The token of the channel under test; events of those before it still come, and are nobody's. */
static uint64_t token = 76;

/* What the transport has been told, per endpoint. */
enum { MOST = 64 };
static int connected[MOST], closed[MOST];
static evener_connectivity connects_to = EVENER_READY;

static void open_channel(const char *target, const evener_channel_options *options) {
    char why[256] = "";
    evener_text error = {why, sizeof why, 0};
    IS(evener_channel_open(driver, target, strlen(target), options, &channel, &error), EVENER_OK);
    if (why[0]) fprintf(stderr, "%s\n", why);
}

/* Does what the events ask for, until none comes within `timeout_ms`. */
static void transport(int64_t timeout_ms) {
    evener_event event;
    evener_status status;
    while ((status = evener_driver_next(driver, timeout_ms, &event)) == EVENER_OK) {
        if (event.token != token) continue;
        CHECK(event.kind == EVENER_EVENT_LOG ? event.text != NULL : event.endpoint < MOST);
        if (event.kind == EVENER_EVENT_CONNECT) {
            IS(evener_channel_set_state(channel, event.endpoint, EVENER_CONNECTING, NULL, 0), EVENER_OK);
            IS(evener_channel_set_state(channel, event.endpoint, connects_to, TEXT("refused")), EVENER_OK);
            connected[event.endpoint]++;
        } else if (event.kind == EVENER_EVENT_CLOSE) {
            IS(evener_channel_endpoint_closed(channel, event.endpoint), EVENER_OK);
            IS(evener_channel_endpoint_closed(channel, event.endpoint), EVENER_STALE);
            closed[event.endpoint]++;
        }
    }
    CHECK(status == EVENER_TIMEOUT);
}

static int sum(const int *counts) {
    int all = 0;
    for (int i = 0; i < MOST; i++) all += counts[i];
    return all;
}

static evener_channel_options options_of(void) {
    evener_channel_options options;
    memset(&options, 0, sizeof options);
    options.struct_size = sizeof options;
    options.token = ++token;
    return options;
}

static void end_channel(void) {
    IS(evener_channel_free(channel), EVENER_OK);
    channel = NULL;
    memset(connected, 0, sizeof connected);
    memset(closed, 0, sizeof closed);
    connects_to = EVENER_READY;
}

static evener_report report_of(uint32_t code) {
    evener_report report = {sizeof report, code, 0, 0, 1000};
    return report;
}

static void a_call_waits_then_goes(void) {
    evener_channel_options options = options_of();
    evener_call call;
    uint32_t state = 99;
    int calls[MOST] = {0};
    open_channel("static:///127.0.0.1:1,127.0.0.1:2", &options);
    IS(evener_channel_state(channel, 0, &state), EVENER_OK);
    CHECK(state == EVENER_IDLE);
    IS(evener_channel_start(channel, METHOD, 0, &call), EVENER_QUEUE);
    uint64_t epoch = call.epoch;
    IS(evener_channel_wait(channel, epoch, 0), EVENER_TIMEOUT);
    transport(200);
    CHECK(sum(connected) == 2);
    IS(evener_channel_wait(channel, epoch, 10000), EVENER_OK);
    IS(evener_channel_epoch(channel, &epoch), EVENER_OK);
    CHECK(epoch != call.epoch);
    for (int i = 0; i < 10; i++) {
        evener_report report = report_of(0);
        IS(evener_channel_start(channel, METHOD, 0, &call), EVENER_OK);
        CHECK(call.endpoint < MOST);
        calls[call.endpoint % MOST]++;
        report.struct_size = 4;
        IS(evener_channel_finish(channel, &call, &report), EVENER_BAD_SIZE);
        report = report_of(0);
        report.abandoned = 2;
        IS(evener_channel_finish(channel, &call, &report), EVENER_BAD_ARGUMENT);
        report = report_of(0);
        IS(evener_channel_finish(channel, &call, &report), EVENER_OK);
        IS(evener_channel_finish(channel, &call, &report), EVENER_STALE);
    }
    for (int i = 0; i < MOST; i++) CHECK(calls[i] == 5 * connected[i]);
    IS(evener_channel_wait_for_state_change(channel, EVENER_READY, 0), EVENER_TIMEOUT);
    IS(evener_channel_wait_for_state_change(channel, EVENER_IDLE, 0), EVENER_OK);
    IS(evener_channel_wait_for_state_change(channel, 9, 0), EVENER_BAD_ARGUMENT);
    IS(evener_channel_wait_until_ready(channel, 0, NULL), EVENER_OK);
    IS(evener_channel_wait_until_ready(NULL, 0, NULL), EVENER_NULL_POINTER);
    end_channel();
}

/* A server may send a status that gRPC does not have: the call ends all the same, as UNKNOWN. */
static void a_status_of_the_servers_own(void) {
    evener_channel_options options = options_of();
    evener_call call;
    char bytes[4096] = "";
    evener_text described = {bytes, sizeof bytes, 0};
    const uint32_t codes[] = {17, 42, UINT32_MAX};
    open_channel("static:///127.0.0.1:1", &options);
    IS(evener_channel_start(channel, METHOD, 0, &call), EVENER_QUEUE);
    transport(200);
    for (int i = 0; i < 3; i++) {
        evener_report report = report_of(codes[i]);
        IS(evener_channel_start(channel, METHOD, 0, &call), EVENER_OK);
        IS(evener_channel_finish(channel, &call, &report), EVENER_OK);
        IS(evener_channel_finish(channel, &call, &report), EVENER_STALE);
    }
    IS(evener_channel_describe(channel, &described), EVENER_OK);
    CHECK(strstr(bytes, "\"failed\":3") != NULL && strstr(bytes, "\"in_flight\":0") != NULL);
    end_channel();
}

static void failing_endpoints_fail_calls(void) {
    evener_channel_options options = options_of();
    evener_call call;
    char bytes[512] = "";
    evener_text why = {bytes, sizeof bytes, 0};
    open_channel("static:///127.0.0.1:1", &options);
    connects_to = EVENER_TRANSIENT_FAILURE;
    IS(evener_channel_start(channel, METHOD, 0, &call), EVENER_QUEUE);
    transport(200);
    IS(evener_channel_start(channel, METHOD, 0, &call), EVENER_FAIL);
    CHECK(call.code == 14);
    IS(evener_channel_failure(channel, &why), EVENER_OK);
    CHECK(strstr(bytes, "refused") != NULL);
    IS(evener_channel_start(channel, METHOD, 2, &call), EVENER_QUEUE); /* wait for ready */
    IS(evener_channel_start(channel, METHOD, 3, &call), EVENER_BAD_ARGUMENT);
    end_channel();
}

static evener_address_endpoint endpoint_of(const char *addresses) {
    evener_address_endpoint endpoint;
    memset(&endpoint, 0, sizeof endpoint);
    endpoint.addresses = addresses;
    endpoint.addresses_len = strlen(addresses);
    endpoint.weight = 1;
    return endpoint;
}

static void the_list_is_replaced(void) {
    evener_channel_options options = options_of();
    evener_address_endpoint list[2] = {endpoint_of("127.0.0.1:1"), endpoint_of("127.0.0.1:2,[::1]:2")};
    char bytes[512] = "";
    evener_text why = {bytes, sizeof bytes, 0};
    options.endpoints = list;
    options.endpoints_len = 2;
    open_channel("static:///service", &options);
    uint32_t state;
    IS(evener_channel_state(channel, 1, &state), EVENER_OK);
    transport(200);
    CHECK(sum(connected) == 2);
    IS(evener_channel_update_endpoints(channel, list, 1, &why), EVENER_OK);
    transport(200);
    CHECK(sum(closed) == 1);
    list[0] = endpoint_of("no port");
    IS(evener_channel_update_endpoints(channel, list, 1, &why), EVENER_BAD_ENDPOINT);
    CHECK(strstr(bytes, "endpoint 0") != NULL);
    list[0].reserved = 1;
    IS(evener_channel_update_endpoints(channel, list, 1, &why), EVENER_BAD_ARGUMENT);
    list[0] = endpoint_of("127.0.0.1:1");
    list[0].condition = 3;
    IS(evener_channel_update_endpoints(channel, list, 1, &why), EVENER_BAD_ARGUMENT);
    CHECK(strstr(bytes, "evener_condition") != NULL);
    list[0].condition = EVENER_CONDITION_READY;
    evener_pair metadata[] = {{TEXT("version"), TEXT("v1")}, {NULL, 1, TEXT("")}};
    list[0].metadata = metadata;
    list[0].metadata_len = 2;
    IS(evener_channel_update_endpoints(channel, list, 1, &why), EVENER_NULL_POINTER);
    list[0].metadata_len = 1;
    list[0].zone = "a";
    list[0].region = "eu";
    list[0].zone_len = 1;
    list[0].region_len = 2;
    list[0].priority = 2;
    IS(evener_channel_update_endpoints(channel, list, 1, &why), EVENER_OK);
    transport(200);
    static char described[8192];
    evener_text all = {described, sizeof described, 0};
    IS(evener_channel_describe(channel, &all), EVENER_OK);
    CHECK(strstr(described, "\"eu\"") != NULL && strstr(described, "\"version\":\"v1\"") != NULL);
    CHECK(strstr(described, "\"priority\":2") != NULL);
    IS(evener_channel_update_endpoints(channel, NULL, 1, NULL), EVENER_NULL_POINTER);
    end_channel();
}

static void methods_are_configured(void) {
    static const char config[] = "{\"methodConfig\":[{\"name\":[{\"service\":\"demo.Demo\"}],\"timeout\":\"1.5s\",\"waitForReady\":true,"
                                 "\"maxRequestMessageBytes\":100}]}";
    evener_channel_options options = options_of();
    evener_method_config method;
    char bytes[64] = "";
    evener_text why = {bytes, sizeof bytes, 0};
    options.service_config = config;
    options.service_config_len = sizeof config - 1;
    open_channel("static:///127.0.0.1:1", &options);
    IS(evener_channel_method(channel, METHOD, &method), EVENER_OK);
    CHECK(method.timeout_ns == 1500000000 && method.wait_for_ready == 2);
    CHECK(method.max_request_bytes == 100 && method.max_response_bytes == -1);
    IS(evener_channel_method(channel, TEXT("/other.Service/Method"), &method), EVENER_OK);
    CHECK(method.timeout_ns == -1 && method.wait_for_ready == 0 && method.max_request_bytes == -1);
    IS(evener_channel_set_service_config(channel, TEXT("{\"methodConfig\":7}"), &why), EVENER_BAD_CONFIG);
    CHECK(why.length > 0 && strstr(bytes, "methodConfig") != NULL);
    IS(evener_channel_set_service_config(channel, TEXT("{}"), NULL), EVENER_OK);
    IS(evener_channel_method(channel, METHOD, &method), EVENER_OK);
    CHECK(method.timeout_ns == -1);
    end_channel();
}

static void texts_fit_or_say_how_long_they_are(void) {
    evener_channel_options options = options_of();
    char small[8];
    evener_text text = {small, sizeof small, 0};
    open_channel("static:///127.0.0.1:1", &options);
    IS(evener_channel_describe(channel, &text), EVENER_TOO_SMALL);
    CHECK(text.length > sizeof small && small[0] == '{');
    char *large = malloc(text.length);
    text.data = large;
    text.capacity = text.length;
    IS(evener_channel_describe(channel, &text), EVENER_OK);
    CHECK(large && large[text.length - 1] == '}');
    free(large);
    text.data = NULL;
    IS(evener_channel_describe(channel, &text), EVENER_NULL_POINTER);
    text.capacity = 0;
    IS(evener_channel_describe(channel, &text), EVENER_TOO_SMALL);
    IS(evener_channel_endpoint_target(channel, 1234, &text), EVENER_NONE);
    IS(evener_channel_authority(channel, NULL), EVENER_NULL_POINTER);
    end_channel();
}

static void misuse(void) {
    evener_channel_options options = options_of();
    evener_call call = {0};
    evener_report report = report_of(0);
    char bytes[256] = "";
    evener_text why = {bytes, sizeof bytes, 0};
    uint64_t nothing[64] = {0};
    channel = NULL;
    IS(evener_channel_open(NULL, TEXT("static:///h:1"), NULL, &channel, NULL), EVENER_NULL_POINTER);
    IS(evener_channel_open((evener_driver *)(void *)nothing, TEXT("static:///h:1"), NULL, &channel, NULL), EVENER_NOT_A_BALANCER);
    IS(evener_channel_open(driver, TEXT("static:///h:1"), NULL, NULL, NULL), EVENER_NULL_POINTER);
    IS(evener_channel_open(driver, NULL, 3, NULL, &channel, NULL), EVENER_NULL_POINTER);
    IS(evener_channel_open(driver, TEXT("static:///\xff"), NULL, &channel, NULL), EVENER_BAD_UTF8);
    IS(evener_channel_open(driver, TEXT("xds:///service"), NULL, &channel, &why), EVENER_BAD_TARGET);
    CHECK(strstr(bytes, "xds") != NULL);
    options.struct_size = 8;
    IS(evener_channel_open(driver, TEXT("static:///h:1"), &options, &channel, NULL), EVENER_BAD_SIZE);
    options = options_of();
    options.seeded = 2;
    IS(evener_channel_open(driver, TEXT("static:///h:1"), &options, &channel, &why), EVENER_BAD_ARGUMENT);
    options = options_of();
    options.service_config = "{";
    options.service_config_len = 1;
    IS(evener_channel_open(driver, TEXT("static:///h:1"), &options, &channel, &why), EVENER_BAD_CONFIG);
    CHECK(channel == NULL);
    IS(evener_channel_start((evener_channel *)(void *)nothing, METHOD, 0, &call), EVENER_NOT_A_BALANCER);
    IS(evener_channel_free((evener_channel *)(void *)nothing), EVENER_NOT_A_BALANCER);
    IS(evener_driver_free((evener_driver *)(void *)nothing), EVENER_NOT_A_BALANCER);
    IS(evener_channel_free(NULL), EVENER_OK);
    IS(evener_driver_free(NULL), EVENER_OK);

    options = options_of();
    open_channel("static:///127.0.0.1:1", &options);
    IS(evener_channel_finish(channel, &call, &report), EVENER_STALE); /* never started */
    IS(evener_channel_set_state(channel, 0, 5, NULL, 0), EVENER_BAD_ARGUMENT);
    IS(evener_channel_set_state(channel, 4000000000u, EVENER_READY, NULL, 0), EVENER_STALE);
    IS(evener_channel_start(channel, NULL, 1, 0, &call), EVENER_NULL_POINTER);
    IS(evener_channel_close(channel), EVENER_OK);
    IS(evener_channel_start(channel, METHOD, 0, &call), EVENER_FAIL);
    CHECK(call.code == 1);
    evener_address_endpoint endpoint = endpoint_of("127.0.0.1:2");
    IS(evener_channel_update_endpoints(channel, &endpoint, 1, &why), EVENER_SHUT_DOWN);
    CHECK(strstr(bytes, "closed") != NULL);
    transport(100);
    end_channel();
}

/* What is wrong with a text comes as JSON. */
static void texts_are_looked_at(void) {
    static char bytes[8192];
    evener_text found = {bytes, sizeof bytes, 0};
    IS(evener_lint(EVENER_LINT_SERVICE_CONFIG, TEXT("{\"retryPolicy\":{\"maxAttempts\":3}}"), &found), EVENER_OK);
    CHECK(strstr(bytes, "\"place\":\"retryPolicy\"") != NULL && strstr(bytes, "methodConfig") != NULL);
    IS(evener_lint(EVENER_LINT_TARGET, TEXT("user-service.default.svc.cluster.local:8080"), &found), EVENER_OK);
    CHECK(strstr(bytes, "kubernetes:///") != NULL);
    IS(evener_lint(EVENER_LINT_CHANNEL_ARGS, TEXT("{\"grpc.keepalive_time_ms\":10000}"), &found), EVENER_OK);
    CHECK(strstr(bytes, "too-many-pings") != NULL);
    IS(evener_lint(EVENER_LINT_CHANNEL_ARGS, TEXT("{"), &found), EVENER_OK);
    CHECK(strstr(bytes, "not-json") != NULL);
    IS(evener_lint(EVENER_LINT_DOCUMENT, TEXT("{\"service\":{\"name\":\"a\"}}"), &found), EVENER_OK);
    IS(evener_lint(0, TEXT("{}"), &found), EVENER_BAD_ARGUMENT);
    IS(evener_lint(EVENER_LINT_DOCUMENT, NULL, 2, &found), EVENER_NULL_POINTER);
    IS(evener_lint(EVENER_LINT_DOCUMENT, TEXT("\xff"), &found), EVENER_BAD_UTF8);
    found.capacity = 1;
    IS(evener_lint(EVENER_LINT_DOCUMENT, TEXT("{}"), &found), EVENER_TOO_SMALL);
}

/* The transport learns what health it is to ask for, and of every other config. */
static void health_is_told(void) {
    static const char config[] = "{\"healthCheckConfig\":{\"serviceName\":\"user.UserService\"}}";
    evener_channel_options options = options_of();
    char bytes[64] = "";
    evener_text service = {bytes, sizeof bytes, 0};
    evener_event event;
    evener_status status;
    int told = 0;
    open_channel("static:///127.0.0.1:1", &options);
    IS(evener_channel_health_service(channel, &service), EVENER_NONE);
    IS(evener_channel_set_service_config(channel, config, sizeof config - 1, NULL), EVENER_OK);
    IS(evener_channel_health_service(channel, &service), EVENER_OK);
    CHECK(strcmp(bytes, "user.UserService") == 0);
    while ((status = evener_driver_next(driver, 100, &event)) == EVENER_OK)
        if (event.token == token && event.kind == EVENER_EVENT_SERVICE_CONFIG)
            told += event.text_len == sizeof config - 1 && memcmp(event.text, config, event.text_len) == 0;
    CHECK(status == EVENER_TIMEOUT && told == 1);
    IS(evener_channel_health_service(NULL, &service), EVENER_NULL_POINTER);
    IS(evener_channel_health_service(channel, NULL), EVENER_NULL_POINTER);
    service.capacity = 2;
    IS(evener_channel_health_service(channel, &service), EVENER_TOO_SMALL);
    end_channel();
}

/* A call is finished where it was started: another channel does not take it, and it stays open. */
static void calls_of_another_channel(void) {
    evener_channel_options options = options_of();
    evener_call here, there;
    evener_report report = report_of(0);
    open_channel("static:///127.0.0.1:1", &options);
    IS(evener_channel_start(channel, METHOD, 0, &here), EVENER_QUEUE);
    transport(100);
    IS(evener_channel_start(channel, METHOD, 0, &here), EVENER_OK);
    evener_channel *first = channel;
    options = options_of();
    open_channel("static:///127.0.0.1:1", &options);
    IS(evener_channel_start(channel, METHOD, 0, &there), EVENER_QUEUE);
    transport(100);
    IS(evener_channel_start(channel, METHOD, 0, &there), EVENER_OK);
    IS(evener_channel_finish(first, &there, &report), EVENER_STALE);
    IS(evener_channel_finish(channel, &there, &report), EVENER_OK);
    IS(evener_channel_finish(first, &here, &report), EVENER_OK);
    IS(evener_channel_finish(first, &here, &report), EVENER_STALE);
    IS(evener_channel_free(first), EVENER_OK);
    end_channel();
}

static void *sit_in_next(void *answer) {
    evener_event event;
    evener_status status;
    do status = evener_driver_next(driver, -1, &event);
    while (status == EVENER_OK || status == EVENER_BUSY); /* the other one may be inside first */
    *(evener_status *)answer = status;
    return NULL;
}

/* A thread waits in the driver: a second one is told so, and shutting down sends the first one home. */
static void one_thread_in_the_driver(void) {
    pthread_t thread;
    evener_status answer = EVENER_OK, second = EVENER_OK;
    evener_event event;
    int32_t fd = -1;
    IS(evener_driver_wake_fd(driver, &fd), EVENER_OK);
    CHECK(fd >= 0);
    CHECK(pthread_create(&thread, NULL, sit_in_next, &answer) == 0);
    /* Never long inside itself, so that the other one gets in however busy the machine is. */
    for (time_t end = time(NULL) + 20; second != EVENER_BUSY && time(NULL) < end; sched_yield())
        second = evener_driver_next(driver, 0, &event);
    CHECK(second == EVENER_BUSY);
    IS(evener_driver_shutdown(driver), EVENER_OK);
    pthread_join(thread, NULL);
    CHECK(answer == EVENER_SHUT_DOWN);
    IS(evener_driver_next(driver, 0, &event), EVENER_SHUT_DOWN);
    IS(evener_channel_open(driver, TEXT("static:///h:1"), NULL, &channel, NULL), EVENER_SHUT_DOWN);
}

int main(void) {
    IS(evener_driver_new(NULL), EVENER_NULL_POINTER);
    IS(evener_driver_new(&driver), EVENER_OK);
    a_call_waits_then_goes();
    a_status_of_the_servers_own();
    failing_endpoints_fail_calls();
    the_list_is_replaced();
    methods_are_configured();
    texts_fit_or_say_how_long_they_are();
    texts_are_looked_at();
    health_is_told();
    misuse();
    calls_of_another_channel();
    one_thread_in_the_driver();
    IS(evener_driver_free(driver), EVENER_OK);
    return failures != 0;
}
