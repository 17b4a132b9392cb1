/* What the tests of channels in C share. */
#ifndef CHECK_H
#define CHECK_H

#include "evener.h"

#include <stdio.h>
#include <string.h>

static int failures;

#define CHECK(condition) \
    do { \
        if (!(condition)) { \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            failures++; \
        } \
    } while (0)
#define IS(call, status) \
    do { \
        evener_status is_ = (call); \
        if (is_ != (status)) { \
            fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #call, evener_status_message(is_)); \
            failures++; \
        } \
    } while (0)

/* A literal and its length, as the functions take them. */
#define TEXT(literal) (literal), sizeof(literal) - 1

#endif
