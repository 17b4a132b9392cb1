#!/bin/sh
# Shows that the pick path has no reachable panic: a program that picks, starts and finishes, linked with the bare library for this
# machine, holds no panicking symbol.
#
#   ffi/bare/no_panic.sh [BUILD_DIRECTORY]        (default: target/bare)
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
build=${1:-$root/target/bare}
here=$root/ffi/bare

export RUSTC_BOOTSTRAP=1 RUSTC="${RUSTC:-/usr/bin/rustc}" RUSTDOC="${RUSTDOC:-/usr/bin/rustdoc}"
triple=$("$RUSTC" -vV | sed -n 's/^host: //p')
(cd "$root" && "${CARGO:-/usr/bin/cargo}" rustc --lib --crate-type staticlib --quiet --locked --profile bare -Zbuild-std=core --target "$triple" \
    --target-dir "$build" --package evener-ffi --no-default-features --features panic-loop)

work=$build/image/no_panic
mkdir -p "$work"
"${CC:-cc}" -std=c11 -O2 -ffreestanding -fno-stack-protector -DEVENER_BARE -I "$root/include" -c "$here/no_panic.c" -o "$work/no_panic.o"
"${CC:-cc}" -nostdlib -static -no-pie -Wl,--gc-sections -Wl,-z,noexecstack "$work/no_panic.o" "$build/$triple/bare/libevener.a" -o "$work/no_panic"
nm "$work/no_panic" >"$work/symbols"

for needed in evener_pick evener_begin evener_start evener_finish; do
    grep -q " T $needed\$" "$work/symbols" || { echo "no_panic: $needed was not linked: nothing is shown" >&2; exit 1; }
done
if grep -E 'panicking|panic_fmt|panic_loop|unwrap_failed|rust_begin_unwind|slice_index_fail' "$work/symbols"; then
    echo "no_panic: a panic is reachable from pick, begin, start or finish" >&2
    exit 1
fi
echo "no panic is reachable from pick, begin, start and finish"
