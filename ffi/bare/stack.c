#include "stack.h"

/* Deeper than any call is expected to go, so that painting before every call stays quick. */
enum { PAINT = 0xA5C3E187, DEPTH = 2048 };

static uint32_t *lowest(uintptr_t frame) {
    uintptr_t limit = (uintptr_t)board_stack_limit;
    return (uint32_t *)(frame - limit > DEPTH ? frame - DEPTH : limit);
}

__attribute__((noinline)) void stack_paint(void) {
    uintptr_t frame = (uintptr_t)__builtin_frame_address(0);
    /* From the far end up to just below this frame: what lies there belongs to nobody. */
    for (volatile uint32_t *at = lowest(frame); (uintptr_t)at < frame - 64; at++) *at = (uint32_t)PAINT;
}

__attribute__((noinline)) size_t stack_depth(void) {
    uintptr_t frame = (uintptr_t)__builtin_frame_address(0);
    volatile uint32_t *at = lowest(frame);
    while ((uintptr_t)at < frame && *at == (uint32_t)PAINT) at++;
    return frame - (uintptr_t)at;
}
