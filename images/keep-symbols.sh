#!/bin/sh
# What compiles, links and strips packages for the race detector, under the names of the programs that it stands for: the
# names and lines stay in what was compiled, whatever a build asks for, as a report without them names no function.
name=$(basename "$0")

case $name in
  *strip*)
    # It does nothing to a file in its place, and copies one that is to be written elsewhere.
    output='' input=''
    while [ $# -gt 0 ]; do
      case $1 in
        -o) output=$2; shift ;;
        -[FIKNOR]) shift ;;  # their values are names of formats, symbols and sections
        -*) ;;
        *) input=$1 ;;
      esac
      shift
    done
    if [ -n "$output" ]; then cp -p "$input" "$output"; fi
    exit 0
    ;;
esac

for argument; do
  shift
  case $name:$argument in
    wheelfarm-*:-g0 | wheelfarm-*:-ggdb0) ;;
    # However a build asks a compiler for it (-s, -Wl,-s, -Xlinker -s, a file of options), it comes to the linker.
    ld*:-s | ld*:-S | ld*:-x | ld*:-X) ;;
    ld*:-strip-all | ld*:-strip-debug | ld*:-discard-all | ld*:-discard-locals) ;;
    ld*:--strip-all | ld*:--strip-debug | ld*:--discard-all | ld*:--discard-locals) ;;
    *) set -- "$@" "$argument" ;;
  esac
done

case $name in
  ld*)
    # Every shared library notes which of its stores change anything.
    for argument; do
      case $argument in -shared | --shared | -Bshareable) set -- "$@" /opt/race/stores.o; break ;; esac
    done
    exec "/usr/bin/$name" "$@"
    ;;
esac
# Where clang looks for a linker first is the folder in which this program has the linkers' names.
exec "/opt/race/compilers/${name#wheelfarm-}" -B/opt/race/linkers "$@"
