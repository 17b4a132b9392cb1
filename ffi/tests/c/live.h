/* A program in C in front of a registry that is up. */
#ifndef LIVE_H
#define LIVE_H

#ifdef __cplusplus
extern "C" {
#endif

/* The registry, and what happens to it behind the program's back. */
typedef struct live_registry {
    /* Targets: where servers register, where user-service is found, what lies below /config/user-service/. */
    const char *registrations;
    const char *service;
    const char *config;
    const void *context;
    /* Writes a key below /config/user-service/. */
    void (*put)(const void *context, const char *key, const char *value);
    /* Whether a server of user-service is registered. */
    int (*has_servers)(const void *context);
} live_registry;

/* Registers, finds itself, follows a configuration, leaves. How many checks failed. */
int live_run(const live_registry *registry);

#ifdef __cplusplus
}
#endif

#endif
