#!/bin/sh
# Put the interpreter with ThreadSanitizer into a tree of its own, whose library is that of the plain interpreter, let
# keep-symbols.sh stand for the compilers, linkers and strip, and compile what is linked into every package, and the
# canaries every search for races begins with. Usage: race-tree.sh PLAIN-PREFIX
set -eu
plain=$1
tree=/opt/race/tree
name=$(basename "$("$plain/bin/python" -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')")

mkdir -p "$tree/bin" "$tree/lib/$name"
mv /opt/race/python "$tree/bin/$name"
ln -s "$name" "$tree/bin/python"
for entry in "$plain/lib/$name"/*; do
  case $(basename "$entry") in
    lib-dynload) mv /opt/race/lib-dynload "$tree/lib/$name/lib-dynload" ;;
    site-packages) mkdir "$tree/lib/$name/site-packages" ;;
    *) ln -s "$entry" "$tree/lib/$name/" ;;
  esac
done
ln -s "$plain/include" "$tree/include"

clang=$(echo /usr/bin/clang-[0-9]*[0-9])
mkdir -p /opt/race/compilers /opt/race/linkers
ln -s "$clang" /opt/race/compilers/clang
ln -s "${clang%/*}/clang++-${clang##*-}" /opt/race/compilers/clang++
chmod 755 /opt/race/keep-symbols.sh
for compiler in wheelfarm-clang wheelfarm-clang++; do
  ln -s /opt/race/keep-symbols.sh "/usr/local/bin/$compiler"
done
for linker in /usr/bin/ld /usr/bin/ld.*; do
  ln -s /opt/race/keep-symbols.sh "/opt/race/linkers/$(basename "$linker")"
done
# Each by all its names: CMake looks for it beside the compiler, others on the PATH.
for strip in /usr/bin/strip /usr/bin/*-strip /usr/bin/llvm-strip-* /usr/lib/llvm-*/bin/llvm-strip; do
  if [ -e "$strip" ]; then ln -sf /opt/race/keep-symbols.sh "$strip"; fi
done
ln -s "/usr/bin/llvm-symbolizer-${clang##*-}" /usr/local/bin/llvm-symbolizer
suffix=$("$plain/bin/python" -c 'import sysconfig; print(sysconfig.get_config_var("EXT_SUFFIX"))')
/opt/race/compilers/clang -O2 -fPIC -c /opt/race/stores.c -o /opt/race/stores.o
mkdir -p /opt/race/canaries
for canary in racy clean freed; do
  wheelfarm-clang -shared -fPIC -g -O1 -fsanitize=thread -DNAME="canary_$canary" -D"$canary" -I"$plain/include/$name" \
    /opt/race/canary.c -o "/opt/race/canaries/canary_$canary$suffix"
done
"$tree/bin/python" -c 'import sys, ssl; assert not sys._is_gil_enabled(); print(sys.version)'
