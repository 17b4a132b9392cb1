/* Lists that a target names, through the C ABI. */
#include "discovery.h"

static evener_named_list list_of(const char *name, const evener_address_endpoint *endpoints, size_t endpoints_len) {
    return (evener_named_list){name, strlen(name), endpoints, endpoints_len};
}

/* What calls on a channel fail with. */
static int fails_for(evener_channel *channel, const char *words) {
    evener_text reason = why();
    IS(evener_channel_failure(channel, &reason), EVENER_OK);
    if (strstr(why_bytes, words) == NULL) fprintf(stderr, "\"%s\" does not say %s\n", why_bytes, words);
    return strstr(why_bytes, words) != NULL;
}

static void a_name_stands_for_its_list(const evener_channel_options *options) {
    evener_channel *channel = NULL;
    evener_call call;
    evener_text reason = why();
    IS(evener_channel_open(driver, TEXT("static:///user-service"), options, &channel, &reason), EVENER_OK);
    IS(evener_channel_start(channel, TEXT("/demo.Demo/Unary"), 0, &call), EVENER_QUEUE);
    for (int connected = 0; connected < 2; connected++) {
        evener_event event = await_event(EVENER_EVENT_CONNECT);
        CHECK(event.kind == EVENER_EVENT_CONNECT);
        IS(evener_channel_set_state(channel, event.endpoint, EVENER_READY, NULL, 0), EVENER_OK);
    }
    CHECK(described(channel, "127.0.0.1:1") && described(channel, "127.0.0.1:2") && !described(channel, "127.0.0.1:3"));
    IS(start_call(channel, &call), EVENER_OK);
    evener_report report = {sizeof report, 0, 0, 0, 1000};
    IS(evener_channel_finish(channel, &call, &report), EVENER_OK);
    IS(evener_channel_free(channel), EVENER_OK);
}

/* An unknown name is an empty list: a call may have to wait until the channel has begun, and then fails with the name. */
static void a_name_that_stands_for_nothing_fails(const evener_channel_options *options) {
    evener_channel *channel = NULL;
    evener_call call;
    evener_text reason = why();
    IS(evener_channel_open(driver, TEXT("static:///nobody"), options, &channel, &reason), EVENER_OK);
    IS(start_call(channel, &call), EVENER_FAIL);
    CHECK(call.code == 14); /* UNAVAILABLE */
    CHECK(fails_for(channel, "static:///nobody"));
    IS(evener_channel_free(channel), EVENER_OK);
}

static void a_wrong_list_is_named(evener_channel_options options) {
    evener_channel *channel = NULL;
    evener_address_endpoint users[2] = {endpoint_of("127.0.0.1:1"), endpoint_of("nowhere:")};
    evener_named_list list = list_of("user-service", users, 2);
    evener_text reason = why();
    options.lists = &list;
    options.lists_len = 1;
    IS(evener_channel_open(driver, TEXT("static:///order-service"), &options, &channel, &reason), EVENER_BAD_ENDPOINT);
    CHECK(channel == NULL && strstr(why_bytes, "list `user-service`: endpoint 1") != NULL);
    list.name = NULL;
    IS(evener_channel_open(driver, TEXT("static:///order-service"), &options, &channel, &reason), EVENER_NULL_POINTER);
    options.lists = NULL;
    IS(evener_channel_open(driver, TEXT("static:///order-service"), &options, &channel, &reason), EVENER_NULL_POINTER);
}

int main(void) {
    const evener_address_endpoint users[2] = {endpoint_of("127.0.0.1:1"), endpoint_of("127.0.0.1:2")};
    const evener_address_endpoint order = endpoint_of("127.0.0.1:3");
    const evener_named_list lists[2] = {list_of("user-service", users, 2), list_of("order-service", &order, 1)};
    evener_channel_options options = options_of();
    IS(evener_driver_new(&driver), EVENER_OK);
    a_name_that_stands_for_nothing_fails(NULL);
    options.lists = lists;
    options.lists_len = 2;
    a_name_stands_for_its_list(&options);
    a_name_that_stands_for_nothing_fails(&options);
    a_wrong_list_is_named(options_of());
    IS(evener_driver_free(driver), EVENER_OK);
    return failures != 0;
}
