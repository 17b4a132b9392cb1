#!/bin/sh
# Prints the sizes, as 0x numbers, of the .text and .rodata sections that a linker map says came from libevener.a's own objects.
set -eu
awk '
    /^Linker script and memory map/ { inside = 1 }
    !inside { next }
    # A long section name stands on a line of its own.
    NF == 1 && $1 ~ /^\.(text|rodata|srodata)/ { name = $1; next }
    $1 ~ /^\.(text|rodata|srodata)/ && NF >= 4 { show($3, $4); name = ""; next }
    name != "" { show($2, $3); name = "" }
    function show(size, from) { if (from ~ /libevener\.a\((evener|core-)/) print size }
' "$1"
