/* The misuse checks on a hosted system. */
#include "abuse.h"

#include <stdio.h>
#include <stdlib.h>

static void say(const char *text, size_t length) { fwrite(text, 1, length, stderr); }

int main(void) {
    /* Of exactly the size that is promised to be enough, so that a checker sees a step beyond it. */
    void *memory = aligned_alloc(EVENER_BALANCER_ALIGNMENT, ABUSE_BYTES);
    if (!memory) return 1;
    for (size_t i = 0; i < ABUSE_BYTES; i++) ((char *)memory)[i] = 0;
    unsigned failures = abuse_run(memory, ABUSE_BYTES, say);
    free(memory);
    return failures != 0;
}
