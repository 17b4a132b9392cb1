/* How deep a call goes below its caller: the free stack is painted before, and looked at after. */
#ifndef EVENER_BARE_STACK_H
#define EVENER_BARE_STACK_H

#include "board.h"

/* Paints the stack below the caller's frame. */
void stack_paint(void);

/* Bytes below the caller's frame that were written since; at least those this function's own frame took. */
size_t stack_depth(void);

#endif
