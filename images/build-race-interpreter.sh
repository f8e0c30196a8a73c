#!/bin/sh
# Compile one CPython with ThreadSanitizer; keep its program, its extension modules and its own suppressions.
# Usage: build-race-interpreter.sh SOURCE.tar.xz PATCH FOLDER [CONFIGURE-OPTION…]
set -eu
source=$1 patch=$2 folder=$3
shift 3
clang=$(echo /usr/bin/clang-[0-9]*[0-9])

work=$(mktemp -d)
tar -xf "$source" -C "$work" --strip-components=1
cd "$work"
# A release that it does not fit would be an interpreter that sees less: the build fails instead.
patch -p1 --batch --forward -i "$patch"
# Line tables are all that a report's places need. `make install` would compile the library under the sanitizer.
./configure --quiet --disable-test-modules --without-ensurepip --with-thread-sanitizer "$@" \
  CC="$clang" CXX="${clang%/*}/clang++-${clang##*-}" CFLAGS="-O2 -gline-tables-only"
make -s -j"$(nproc)"

mkdir -p "$folder/lib-dynload"
cp python "$folder/python"
cp -L build/lib.*/*.so "$folder/lib-dynload/"
strip --strip-debug "$folder"/lib-dynload/*.so 2>/dev/null || llvm-strip-"${clang##*-}" --strip-debug "$folder"/lib-dynload/*.so
cp Tools/tsan/suppressions_free_threading.txt "$folder/suppressions.txt"
rm -rf "$work"
