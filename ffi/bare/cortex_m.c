/* Start-up code for Cortex-M under QEMU: vectors, memory, FPU, semihosting. */
#include "board.h"

extern uint32_t board_data_start[], board_data_end[], board_data_load[], board_bss_start[], board_bss_end[];

enum { SYS_WRITEC = 0x03, SYS_EXIT_EXTENDED = 0x20, STOPPED_APPLICATION_EXIT = 0x20026 };

static int semihost(int operation, const void *argument) {
    register int r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

void board_say(const char *text, size_t length) {
    while (length--) semihost(SYS_WRITEC, text++);
}

void board_exit(int code) {
    const uint32_t block[2] = {STOPPED_APPLICATION_EXIT, (uint32_t)code};
    for (;;) semihost(SYS_EXIT_EXTENDED, block);
}

static void fault(void) {
    static const char text[] = "FAULT\n";
    board_say(text, sizeof text - 1);
    board_exit(99);
}

void reset(void) {
    const uint32_t *from = board_data_load;
    for (uint32_t *to = board_data_start; to < board_data_end;) *to++ = *from++;
    for (uint32_t *to = board_bss_start; to < board_bss_end;) *to++ = 0;
#ifdef __ARM_FP
    *(volatile uint32_t *)0xE000ED88 |= 0xFu << 20; /* CPACR: coprocessors 10 and 11, the FPU, before any of its instructions */
    __asm__ volatile("dsb\n isb");
#endif
    board_exit(main());
}

__attribute__((section(".vectors"), used)) static const void *const vectors[16] = {
    board_stack_top, (const void *)reset, (const void *)fault, (const void *)fault,
    (const void *)fault, (const void *)fault, (const void *)fault,
};
