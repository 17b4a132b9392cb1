/* A forked child: what it inherited says so at once, and what it makes anew works. */
#define _POSIX_C_SOURCE 200809L /* fork, alarm */

#include "discovery.h"

#include <sys/wait.h>
#include <unistd.h>

#define NOBODY TEXT("etcd://127.0.0.1:1/services")

static evener_registration *registration;
static evener_config_watch *watch;

static void says_why(void) {
    if (strstr(why_bytes, "forked") == NULL) fprintf(stderr, "\"%s\" does not tell of the fork\n", why_bytes), failures++;
}

static void is_refused(evener_status status) {
    CHECK(status >= 100);
    says_why();
}

static void what_was_inherited_says_so(void) {
    evener_registration *another = NULL;
    evener_config_watch *second = NULL;
    evener_service service = service_of();
    evener_text reason = why();
    is_refused(evener_register(driver, NOBODY, &service, NULL, &another, &reason));
    reason = why();
    is_refused(evener_config_watch_open(driver, NOBODY, NULL, &second, &reason));
    reason = why();
    is_refused(evener_driver_register_scheme(driver, TEXT("mine"), &reason));
    CHECK(another == NULL && second == NULL);
    evener_channel *channel = NULL;
    evener_call call;
    IS(evener_channel_open(driver, NOBODY, NULL, &channel, NULL), EVENER_OK);
    IS(start_call(channel, &call), EVENER_FAIL);
    reason = why();
    IS(evener_channel_failure(channel, &reason), EVENER_OK);
    says_why();
    IS(evener_channel_free(channel), EVENER_OK);
    IS(evener_registration_wait(registration, -1), EVENER_SHUT_DOWN);
    IS(evener_config_watch_wait(watch, 0, -1), EVENER_SHUT_DOWN);
    IS(evener_registration_free(registration), EVENER_OK);
    IS(evener_config_watch_free(watch), EVENER_OK);
}

static void what_is_made_anew_works(void) {
    evener_channel *channel = NULL;
    evener_call call;
    IS(evener_driver_new(&driver), EVENER_OK);
    IS(evener_channel_open(driver, TEXT("static:///127.0.0.1:1"), NULL, &channel, NULL), EVENER_OK);
    IS(evener_channel_start(channel, TEXT("/demo.Demo/Unary"), 0, &call), EVENER_QUEUE);
    CHECK(await_event(EVENER_EVENT_CONNECT).kind == EVENER_EVENT_CONNECT);
    evener_config_watch *live = NULL;
    IS(evener_config_watch_open(driver, NOBODY, NULL, &live, NULL), EVENER_OK);
    IS(evener_config_watch_wait(live, 0, 10), EVENER_TIMEOUT);
    IS(evener_config_watch_free(live), EVENER_OK);
    IS(evener_channel_free(channel), EVENER_OK);
    IS(evener_driver_free(driver), EVENER_OK);
}

int main(void) {
    const evener_service service = service_of();
    evener_registration_options options;
    memset(&options, 0, sizeof options);
    options.struct_size = sizeof options;
    options.free_timeout_ms = EVENER_OFF;
    IS(evener_driver_new(&driver), EVENER_OK);
    IS(evener_register(driver, NOBODY, &service, &options, &registration, NULL), EVENER_OK);
    IS(evener_config_watch_open(driver, NOBODY, NULL, &watch, NULL), EVENER_OK);
    const pid_t child = fork();
    if (child == 0) {
        alarm(60); /* ends a child that hangs */
        what_was_inherited_says_so();
        what_is_made_anew_works();
        _exit(failures != 0);
    }
    int status = -1;
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    IS(evener_registration_wait(registration, 0), EVENER_TIMEOUT); /* the parent's go on */
    IS(evener_registration_free(registration), EVENER_OK);
    IS(evener_config_watch_free(watch), EVENER_OK);
    IS(evener_driver_free(driver), EVENER_OK);
    return failures != 0;
}
