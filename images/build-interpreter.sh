#!/bin/sh
# Compile one CPython into a prefix, strip it, and refuse it if a standard extension module is missing.
# Usage: build-interpreter.sh SOURCE.tar.xz PREFIX [CONFIGURE-OPTION…]
set -eu
source=$1 prefix=$2
shift 2

work=$(mktemp -d)
tar -xf "$source" -C "$work" --strip-components=1
cd "$work"
./configure --quiet --prefix="$prefix" --disable-test-modules --without-static-libpython --with-ensurepip=install "$@"
make -s -j"$(nproc)"
make -s install

cd "$prefix"
python=$(echo bin/python3.[0-9]*[0-9t])
python=${python%% *}
ln -sf "$(basename "$python")" bin/python
pip=$(echo bin/pip3.*)
ln -sf "$(basename "$pip")" bin/pip
strip --strip-unneeded "$python"
find . -name '*.so' -exec strip --strip-unneeded {} +
find . -name '*.opt-[12].pyc' -delete
rm -rf share "$work"

"$prefix/bin/python" - <<'PYTHON'
import importlib, sys

# Each of these is left out in silence when a development package is missing.
required = ["_bz2", "_ctypes", "_curses", "_hashlib", "_lzma", "_sqlite3", "_ssl", "_uuid", "readline", "zlib",
            "bz2", "ctypes", "lzma", "sqlite3", "ssl", "uuid"]
if sys.version_info >= (3, 14):
    required += ["_zstd", "compression.zstd"]
missing = []
for name in required:
    try:
        importlib.import_module(name)
    except ImportError as error:
        missing.append(f"{name} ({error})")
if missing:
    sys.exit("this interpreter lacks standard extension modules: " + ", ".join(missing))
print(sys.version, "has every standard extension module")
PYTHON
