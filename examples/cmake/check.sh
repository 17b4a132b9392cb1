#!/bin/sh
# Installs evener into a prefix of its own and uses it as projects outside the tree do: find_package, pkg-config, FetchContent.
#
#   examples/cmake/check.sh LIBRARY_DIRECTORY [BUILD_DIRECTORY]
#
# LIBRARY_DIRECTORY holds the libevener.a and libevener.so that cargo has built.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
library=${1:?the folder of libevener.a}
build=${2:-$root/target/install}
prefix=$build/prefix
rm -rf "$build"

cmake -S "$root" -B "$build/evener" -DEVENER_LIBRARY_DIR="$library" -DCMAKE_INSTALL_PREFIX="$prefix" -DCMAKE_INSTALL_LIBDIR=lib >/dev/null
cmake --build "$build/evener" >/dev/null
cmake --install "$build/evener" >/dev/null
# Moved after it was installed: nothing in it may name the place it was made for.
mv "$prefix" "$prefix.moved"
prefix=$prefix.moved

echo "== find_package"
cmake -S "$root/examples/cmake/find_package" -B "$build/find_package" -DCMAKE_PREFIX_PATH="$prefix" >/dev/null
cmake --build "$build/find_package" >/dev/null
ctest --test-dir "$build/find_package" --output-on-failure --no-tests=error

echo "== pkg-config"
export PKG_CONFIG_PATH="$prefix/lib/pkgconfig"
# shellcheck disable=SC2046
cc -std=c11 "$root/examples/cmake/main.c" $(pkg-config --cflags --libs evener) -o "$build/with_shared"
LD_LIBRARY_PATH="$prefix/lib" "$build/with_shared"
# shellcheck disable=SC2046
cc -std=c11 "$root/examples/cmake/main.c" $(pkg-config --cflags evener) "$(pkg-config --variable=libdir evener)/libevener.a" -lpthread -ldl -lm -o "$build/with_static"
"$build/with_static"

echo "== FetchContent"
cmake -S "$root/examples/cmake/fetch_content" -B "$build/fetch_content" -DFETCHCONTENT_SOURCE_DIR_EVENER="$root" -DEVENER_LIBRARY_DIR="$library" >/dev/null
cmake --build "$build/fetch_content" >/dev/null
ctest --test-dir "$build/fetch_content" --output-on-failure --no-tests=error
