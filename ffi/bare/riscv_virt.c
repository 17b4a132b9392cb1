/* Start-up code for QEMU's RISC-V board `virt`: traps, memory, UART, the finisher device. */
#include "board.h"

extern uint32_t board_bss_start[], board_bss_end[];

__asm__(".section .init, \"ax\"\n"
        ".globl start\n"
        "start:\n"
        "  la sp, board_stack_top\n"
        "  la t0, fault\n"
        "  csrw mtvec, t0\n"
        "  j reset\n");

void board_say(const char *text, size_t length) {
    while (length--) *(volatile uint8_t *)0x10000000 = (uint8_t)*text++; /* ns16550: transmit */
}

void board_exit(int code) {
    volatile uint32_t *finisher = (volatile uint32_t *)0x100000;
    for (;;) *finisher = code ? (uint32_t)code << 16 | 0x3333 : 0x5555;
}

__attribute__((used, aligned(4))) void fault(void) {
    static const char text[] = "FAULT\n";
    board_say(text, sizeof text - 1);
    board_exit(99);
}

__attribute__((used)) void reset(void) {
    for (uint32_t *to = board_bss_start; to < board_bss_end;) *to++ = 0;
    board_exit(main());
}
