#!/bin/sh
# Put the interpreter with ThreadSanitizer into a tree of its own, whose library is that of the plain interpreter, and
# compile the canaries every search for races begins with. Usage: race-tree.sh PLAIN-PREFIX
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
ln -s "$clang" /usr/local/bin/wheelfarm-clang
ln -s "${clang%/*}/clang++-${clang##*-}" /usr/local/bin/wheelfarm-clang++
ln -s "/usr/bin/llvm-symbolizer-${clang##*-}" /usr/local/bin/llvm-symbolizer
suffix=$("$plain/bin/python" -c 'import sysconfig; print(sysconfig.get_config_var("EXT_SUFFIX"))')
mkdir -p /opt/race/canaries
for canary in racy clean; do
  wheelfarm-clang -shared -fPIC -g -O1 -fsanitize=thread -DNAME="canary_$canary" -D"$canary" -I"$plain/include/$name" \
    /opt/race/canary.c -o "/opt/race/canaries/canary_$canary$suffix"
done
"$tree/bin/python" -c 'import sys, ssl; assert not sys._is_gil_enabled(); print(sys.version)'
