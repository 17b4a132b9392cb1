/* What a board gives the tests: text out, an exit code, the ends of its stack. */
#ifndef EVENER_BARE_BOARD_H
#define EVENER_BARE_BOARD_H

#include <stddef.h>
#include <stdint.h>

void board_say(const char *text, size_t length);
_Noreturn void board_exit(int code);

/* Called by the start-up code with memory set up; its answer is the exit code. */
int main(void);

/* The stack grows down from top to limit (linker script). */
extern uint32_t board_stack_top[], board_stack_limit[];

#endif
