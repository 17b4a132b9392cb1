#!/bin/sh
# Builds the bare library for a processor, links the vectors and the misuse checks with it, and runs them in QEMU.
#
#   ffi/bare/run.sh m4|rv32|m0 [BUILD_DIRECTORY]        (default: target/bare)
#
# Prints text size, bytes per endpoint and worst stack. Fails when a check does, or when one passes its cap.
# Needs Debian's rustc-web, cargo-web and rust-web-src, a cross gcc and QEMU; RUSTC, RUSTDOC and CARGO name others.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
processor=${1:?m4, rv32 or m0}
build=${2:-$root/target/bare}
here=$root/ffi/bare

features=panic-loop
case $processor in
m4)
    triple=thumbv7em-none-eabihf gcc=arm-none-eabi- start=cortex_m.c script=mps2.ld
    flags="-mcpu=cortex-m4 -mthumb -mfloat-abi=hard -mfpu=fpv4-sp-d16"
    qemu="qemu-system-arm -M mps2-an386 -serial none -semihosting-config enable=on,target=native"
    memory=1048576 skip=0 text_cap=20480 stack_cap=768
    ;;
rv32)
    triple=riscv32imac-unknown-none-elf gcc=riscv64-unknown-elf- start=riscv_virt.c script=virt.ld
    flags="-march=rv32imac_zicsr -mabi=ilp32"
    qemu="qemu-system-riscv32 -M virt -bios none -serial stdio"
    memory=4194304 skip=0 text_cap=24576 stack_cap=768
    ;;
m0)
    triple=thumbv6m-none-eabi gcc=arm-none-eabi- start=cortex_m.c script=microbit.ld
    flags="-mcpu=cortex-m0 -mthumb"
    qemu="qemu-system-arm -M microbit -serial none -semihosting-config enable=on,target=native"
    features=panic-loop,single-core
    # No division instruction and half the registers: more is spilled.
    memory=10240 skip=1 text_cap=21504 stack_cap=896
    ;;
*)
    echo "no such processor: $processor" >&2
    exit 2
    ;;
esac

export RUSTC_BOOTSTRAP=1 RUSTC="${RUSTC:-/usr/bin/rustc}" RUSTDOC="${RUSTDOC:-/usr/bin/rustdoc}"
(cd "$root" && "${CARGO:-/usr/bin/cargo}" rustc --lib --crate-type staticlib --quiet --locked --profile bare -Zbuild-std=core --target "$triple" --target-dir "$build" \
    --package evener-ffi --no-default-features --features "$features")
library=$build/$triple/bare/libevener.a

work=$build/image/$processor
mkdir -p "$work"
sh "$here/embed.sh" "${VECTORS:-$root/testdata/vectors}"/*.txt >"$work/vectors.S"
# shellcheck disable=SC2086
"${gcc}gcc" $flags -std=c11 -Os -Wall -Wextra -Werror -ffreestanding -nostdlib -ffunction-sections -fdata-sections \
    -fno-tree-loop-distribute-patterns -Wl,--gc-sections -Wl,-z,noexecstack -Wl,--no-warn-rwx-segments -Wl,-Map="$work/image.map" -L "$here" -T "$here/$script" \
    -DEVENER_BARE -DMEMORY_BYTES=$memory -DMAY_SKIP=$skip -DENDPOINT_CAP=136 -DSTACK_CAP=$stack_cap -I "$root/include" \
    "$here/$start" "$here/stack.c" "$here/main.c" "$root/ffi/tests/c/vectors.c" "$root/ffi/tests/c/vectors_binding.c" \
    "$root/ffi/tests/c/abuse.c" "$work/vectors.S" "$library" -lgcc -o "$work/image.elf"

# What the linker took from the library: code and constants, without compiler support routines that any program shares.
text=0
for size in $(sh "$here/text.sh" "$work/image.map"); do text=$((text + size)); done
echo "== $processor ($triple)"
echo "text: $text B (cap $text_cap)"

status=0
# shellcheck disable=SC2086
timeout 120 $qemu -nographic -monitor none -kernel "$work/image.elf" || status=$?
if [ "$text" -gt "$text_cap" ] || [ "$text" -eq 0 ]; then
    echo "text size: TOO MUCH (or not measured)"
    status=1
fi
[ "$status" -eq 0 ] && echo "ok" || echo "FAILED ($status)"
exit "$status"
