/* Misuse of the bare half of the C ABI: each has a status, none is undefined behaviour. Needs no libc. */
#ifndef EVENER_TESTS_ABUSE_H
#define EVENER_TESTS_ABUSE_H

#include "evener.h"

/* `memory` is aligned to EVENER_BALANCER_ALIGNMENT, zero-filled, and at least ABUSE_BYTES long. Returns how many checks failed. */
#define ABUSE_BYTES 4096
unsigned abuse_run(void *memory, size_t length, void (*say)(const char *text, size_t length));

#endif
