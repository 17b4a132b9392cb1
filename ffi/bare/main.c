/* The shared vectors and the misuse checks on bare metal, with what they cost in memory and stack. */
#include "../tests/c/abuse.h"
#include "../tests/c/vectors.h"
#include "board.h"
#include "stack.h"

/* Made by embed.sh: the vector files, ended by an entry without a name. */
extern const struct embedded {
    const char *name, *start, *end;
} embedded_vectors[];

static _Alignas(EVENER_BALANCER_ALIGNMENT) char memory[MEMORY_BYTES];

static void say(const char *text) {
    size_t length = 0;
    while (text[length]) length++;
    board_say(text, length);
}

static void say_number(const char *before, size_t value, const char *after) {
    char digits[12];
    size_t at = sizeof digits;
    digits[--at] = 0;
    do digits[--at] = (char)('0' + value % 10);
    while (value /= 10);
    say(before);
    say(digits + at);
    say(after);
}

/* ---- stack, function by function: a binding that paints before and looks after ---- */

static size_t update_stack, poll_stack, pick_stack, start_stack, finish_stack;

static evener_status watch(evener_status status, size_t *worst) {
    size_t depth = stack_depth();
    if (depth > *worst) *worst = depth;
    return status;
}

static evener_status m_update(void *self, const evener_endpoint *list, size_t count, evener_changes *changes) {
    stack_paint();
    return watch(vectors_c_binding.update(self, list, count, changes), &update_stack);
}

static evener_status m_poll(void *self, uint32_t now, evener_action *action) {
    stack_paint();
    return watch(vectors_c_binding.poll(self, now, action), &poll_stack);
}

static evener_status m_pick(void *self, evener_handle *handle, uint32_t *reason) {
    stack_paint();
    return watch(vectors_c_binding.pick(self, handle, reason), &pick_stack);
}

static evener_status m_start(void *self, unsigned ticket, uint32_t now, uint64_t *user, uint32_t *reason) {
    stack_paint();
    return watch(vectors_c_binding.start(self, ticket, now, user, reason), &start_stack);
}

static evener_status m_finish(void *self, unsigned ticket, uint32_t outcome, uint32_t now, evener_finished *finished) {
    stack_paint();
    return watch(vectors_c_binding.finish(self, ticket, outcome, now, finished), &finish_stack);
}

static size_t larger(size_t a, size_t b) { return a > b ? a : b; }

/* Prints a figure beside its cap. 0 when it is within, else 1. */
static int capped(const char *what, size_t value, size_t cap) {
    say_number(what, value, "");
    say_number(" B (cap ", cap, value > cap ? ") TOO MUCH\n" : ")\n");
    return value > cap;
}

static int report_stack(void) {
    size_t worst = larger(larger(update_stack, poll_stack), larger(pick_stack, larger(start_stack, finish_stack)));
    say_number("stack: update ", update_stack, " B");
    say_number(", poll ", poll_stack, " B");
    say_number(", pick ", pick_stack, " B");
    say_number(", start ", start_stack, " B");
    say_number(", finish ", finish_stack, " B\n");
    return capped("stack, worst: ", worst, STACK_CAP);
}

/* ---- memory per endpoint ---- */

static size_t bytes_for(uint32_t endpoints) {
    evener_limits limits = {0};
    size_t size = 0;
    limits.struct_size = sizeof limits;
    limits.endpoints = endpoints;
    (void)evener_balancer_size(&limits, &size);
    return size;
}

static int report_memory(void) {
    say_number("memory: 8 endpoints ", bytes_for(8), " B");
    say_number(", 64 endpoints ", bytes_for(64), " B\n");
    return capped("bytes per endpoint: ", (bytes_for(64 + 8192) - bytes_for(64) + 8191) / 8192, ENDPOINT_CAP);
}

/* ---- the run ---- */

static vectors_result run_vectors(void) {
    static vectors_c self;
    vectors_binding measured = vectors_c_binding;
    measured.update = m_update;
    measured.poll = m_poll;
    measured.pick = m_pick;
    measured.start = m_start;
    measured.finish = m_finish;
    const vectors_host host = {&measured, &self, memory, sizeof memory, board_say};
    vectors_result result = {0, 0, 0};
    for (const struct embedded *file = embedded_vectors; file->name; file++)
        vectors_run(&host, file->name, file->start, (size_t)(file->end - file->start), &result);
    say_number("vectors: ", result.passed, " passed, ");
    say_number("", result.failed, " failed, ");
    say_number("", result.skipped, " too large for this memory\n");
    return result;
}

int main(void) {
    unsigned misused = abuse_run(memory, sizeof memory, board_say);
    say_number("misuse: ", misused, " checks failed\n");
    vectors_result result = run_vectors();
    int over = report_memory() + report_stack();
    int skipped_too_many = result.skipped > 0 && !MAY_SKIP;
    return misused || result.failed || !result.passed || skipped_too_many || over;
}
