#!/bin/sh
# Proves that an installed lum can be used: installs into a scratch prefix, then compiles and runs a program of somebody else, as C
# and as C++, found by pkg-config (shared and static) and by find_package, from a prefix that was moved after installation.
set -eu
build=$LUM_BUILD_DIR
sources=$LUM_SOURCE_DIR/tests/api
work=$(mktemp -d "${TMPDIR:-/tmp}/lum_install.XXXXXX")
trap 'rm -rf "$work"' EXIT INT TERM

cmake --install "$build" --prefix "$work/first" >"$work/install.log"
mv "$work/first" "$work/moved"
prefix=$work/moved
libdir=$(dirname "$(find "$prefix" -name liblum.a)")
for file in "$prefix/include/lum/lum.h" "$prefix/include/lum/status.h" "$libdir/liblum.so" "$prefix/bin/lum" \
    "$libdir/pkgconfig/lum.pc" "$libdir/cmake/lum/lumConfig.cmake" "$prefix/share/man/man1/lum.1" "$prefix/share/man/man1/lum-load.1" \
    "$prefix/share/bash-completion/completions/lum" "$prefix/share/zsh/site-functions/_lum"; do
    [ -e "$file" ] || { echo "not installed: $file"; exit 1; }
done
[ "$(find "$prefix/include" -name '*.h' | wc -l)" = 2 ] || { echo "inner headers are installed"; exit 1; }
export PKG_CONFIG_PATH="$libdir/pkgconfig" LD_LIBRARY_PATH="$libdir"
"$prefix/bin/lum" --help >/dev/null

run_count=0
run() { # PROGRAM
    run_count=$((run_count + 1))
    "$1" "$work/store$run_count.lum"
}

warnings="-Wall -Wextra -Werror"
# shellcheck disable=SC2046,SC2086 # lists of options
{
    cc -std=c11 $warnings -o "$work/shared_c" "$sources/consumer.c" $(pkg-config --cflags --libs lum)
    # g++ -Wextra counts the fields that the ..._INIT macros leave to be zero, which is their purpose
    c++ -x c++ -std=c++20 $warnings -Wno-missing-field-initializers -o "$work/shared_cxx" "$sources/consumer.c" -x none $(pkg-config --cflags --libs lum)
    c++ -x c++ -std=c++17 -Wall -Werror -fsyntax-only "$sources/consumer.c" $(pkg-config --cflags lum)
    cc -std=c11 $warnings $(pkg-config --cflags lum) -o "$work/static_c" "$sources/consumer.c" "$libdir/liblum.a" \
        $(pkg-config --static --libs lum | sed 's/-llum\>//')
}
run "$work/shared_c"
run "$work/shared_cxx"
run "$work/static_c"

mkdir "$work/project"
cp "$sources/consumer.c" "$work/project/consumer.c"
cp "$sources/consumer.c" "$work/project/consumer.cpp"
cat >"$work/project/CMakeLists.txt" <<'TEXT'
cmake_minimum_required(VERSION 3.25)
project(consumer C CXX)
set(CMAKE_CXX_STANDARD 20)
find_package(lum 0.1 REQUIRED COMPONENTS static)
add_executable(with_c consumer.c)
add_executable(with_cxx consumer.cpp)
add_executable(with_static consumer.c)
target_link_libraries(with_c lum::lum)
target_link_libraries(with_cxx lum::lum)
target_link_libraries(with_static lum::static)
TEXT
cmake -S "$work/project" -B "$work/project/build" -DCMAKE_PREFIX_PATH="$prefix" >"$work/cmake.log" 2>&1 &&
    cmake --build "$work/project/build" >>"$work/cmake.log" 2>&1 || { cat "$work/cmake.log"; exit 1; }
for program in with_c with_cxx with_static; do run "$work/project/build/$program"; done
echo "an installed lum works in $run_count programs"
