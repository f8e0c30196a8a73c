"""What this system offers to native wheels, as JSON: what its interpreters export and which library versions it has.

Usage: python -m inside.audit.interfaces OUTPUT

The answer: `interpreters`, by folder of /opt/python, each exported name -> whether a public header reaches it in a
macro or inline function; `libraries`, soname -> the versions it provides; `c_library`, the names the C library exports.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

from .elf import Elf
from .elf_file import ElfError

PYTHONS = Path("/opt/python")
FOLDERS = (Path("/lib/x86_64-linux-gnu"), Path("/usr/lib/x86_64-linux-gnu"), Path("/lib64"))
C_LIBRARY = (
    "libc.so.6",
    "libm.so.6",
    "libdl.so.2",
    "libpthread.so.0",
    "librt.so.1",
    "libutil.so.1",
    "ld-linux-x86-64.so.2",
)
_COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
_DECLARATION = re.compile(r"\b(?:PyAPI_(?:FUNC|DATA)\([^)]*\)|extern\b(?! *\"C\" *{))[^;{]*;")


def read_interpreter(prefix: Path) -> dict[str, bool]:
    """Return each name that an interpreter exports -> whether a public header uses it in a macro or inline function.

    Code that uses such a macro refers to the name although its own source never mentions it.

    Args:
        prefix: the interpreter's folder, with `bin/` and `include/`.
    """
    folder = next(prefix.glob("include/python3*"))
    headers = sorted((*folder.glob("*.h"), *folder.glob("cpython/*.h")))
    text = "\n".join(path.read_text() for path in headers)

    # What is left without comments and declarations are macros and inline functions.
    macros_and_functions = _DECLARATION.sub("", _COMMENT.sub("", text))
    used_by_headers = set(re.findall(r"\b_?Py\w+", macros_and_functions))

    elf = Elf((prefix / "bin" / "python").read_bytes())
    exported = [symbol.name for symbol in elf.symbols if symbol.defined and symbol.name]
    return {name: name in used_by_headers for name in exported}


def read_libraries() -> dict[str, Elf]:
    """Return the shared libraries in the folders where the dynamic linker looks, by soname.

    A library without a soname is known by its file name. What is no ELF file is skipped.
    """
    libraries = {}
    for folder in FOLDERS:
        for path in sorted(folder.glob("*.so*")):
            try:
                elf = Elf(path.read_bytes())
                libraries[elf.soname or path.name] = elf
            except (ElfError, OSError):
                continue  # `*.so` may be a linker script, or a link to nowhere: neither can be loaded

    return libraries


def main() -> None:
    """Write what this system offers to the file named on the command line; the top of this module has the format."""
    interpreters = {}
    for prefix in PYTHONS.glob("cp3*-cp3*"):
        # Images have a link of an older name beside these, for cibuildwheel, without headers.
        if (prefix / "include").exists():
            interpreters[prefix.name] = read_interpreter(prefix)

    libraries = read_libraries()
    c_library: set[str] = set()
    for name in C_LIBRARY:
        if name in libraries:
            c_library.update(symbol.name for symbol in libraries[name].symbols if symbol.defined)
    c_library.discard("")  # names of local symbols are not read

    answer = {
        "interpreters": interpreters,
        "libraries": {soname: sorted(elf.provided_versions) for soname, elf in libraries.items()},
        "c_library": sorted(c_library),
    }
    Path(sys.argv[1]).write_text(json.dumps(answer))


if __name__ == "__main__":
    main()
