#!/bin/sh
# Writes, to standard output, an assembler file that holds the vector files given, for main.c's `embedded_vectors`.
set -eu
echo '    .section .rodata.vectors, "a"'
for file in "$@"; do
    name=$(basename "$file")
    id=$(printf %s "$name" | tr -c 'A-Za-z0-9' '_')
    printf 'name_%s: .asciz "%s"\nstart_%s: .incbin "%s"\nend_%s:\n' "$id" "$name" "$id" "$file" "$id"
done
printf '    .balign 4\n    .globl embedded_vectors\nembedded_vectors:\n'
for file in "$@"; do
    id=$(basename "$file" | tr -d '\n' | tr -c 'A-Za-z0-9' '_')
    printf '    .word name_%s, start_%s, end_%s\n' "$id" "$id" "$id"
done
printf '    .word 0, 0, 0\n'
