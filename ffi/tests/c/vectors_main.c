/* Runs the vector files named on the command line through the C ABI. */
#include "vectors.h"

#include <stdio.h>
#include <stdlib.h>

static void say(const char *text, size_t length) { fwrite(text, 1, length, stdout); }

static char *read_whole(const char *path, size_t *length) {
    FILE *file = fopen(path, "rb");
    if (!file) return NULL;
    char *text = NULL;
    size_t room = 0;
    *length = 0;
    do {
        if (*length == room) {
            char *larger = realloc(text, room = room ? 2 * room : 1 << 16);
            if (!larger) abort();
            text = larger;
        }
        *length += fread(text + *length, 1, room - *length, file);
    } while (*length == room);
    fclose(file);
    return text;
}

int main(int count, char **paths) {
    const size_t memory_bytes = 16u << 20;
    static vectors_c self;
    vectors_host host = {&vectors_c_binding, &self, aligned_alloc(EVENER_BALANCER_ALIGNMENT, memory_bytes), memory_bytes, say};
    vectors_result result = {0, 0, 0};
    for (int i = 1; i < count; i++) {
        size_t length;
        char *text = read_whole(paths[i], &length);
        if (!text) {
            perror(paths[i]);
            return 1;
        }
        vectors_run(&host, paths[i], text, length, &result);
        free(text);
    }
    free(host.memory);
    printf("vectors: %u passed, %u failed, %u skipped\n", result.passed, result.failed, result.skipped);
    return result.failed || result.skipped || !result.passed;
}
