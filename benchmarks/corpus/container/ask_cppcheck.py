"""Asks the add-on `threadsafety` of cppcheck about the C and C++ sources of an sdist; runs in a container.

Usage: ask_cppcheck.py TOOL-FOLDER SDIST UNPACK-PROGRAM ANSWER.json

The add-on reports variables that are static in a function, and calls of functions of the C library that threads must
not call. It names a file and a line: the function around it is the one that cppcheck itself has found there.
"""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

_SUFFIXES = {".c", ".cc", ".cpp", ".cxx"}
_MOST_PLACES = 500  # no page shows more, and an answer has a limit
_FILE_S = 60
"""For one source. cppcheck needs well below a second for most; files of 100,000 lines are given up."""

_ALL_S = 200
"""For all sources of an sdist, so that the container does not end before there is an answer."""

_LARGE_BYTES = 4 << 20
"""Of a source that is not looked at: amalgamations and tables, for which the add-on needs gigabytes."""

_FAILURES = (
    OSError, ValueError, SyntaxError, LookupError, AttributeError, subprocess.SubprocessError,
)  # fmt: skip
"""What cppcheck, the add-on, or its own reader of dumps may end with for one source; the next one is looked at."""


def main() -> None:
    """Unpack, look at each source, and write what was found."""
    tool, sdist, unpack_program, answer = map(Path, sys.argv[1:])
    # A copy, because what is put into a container belongs to root, and nobody may run it.
    data = Path(shutil.copytree(tool / "cppcheck" / "data", "/tmp/cppcheck"))
    (data / "cppcheck").chmod(0o755)
    sources = Path("/tmp/sources")
    sources.mkdir()
    subprocess.run(
        [sys.executable, "-I", "-S", unpack_program, sdist, "."], cwd=sources, check=True
    )

    sys.path.insert(0, str(data / "addons"))
    places: list[str] = []
    failed: list[str] = []
    looked_at = 0
    started = time.monotonic()
    for path in sorted(sources.rglob("*")):
        if path.suffix.lower() not in _SUFFIXES or not path.is_file():
            continue
        name = str(path.relative_to(sources))
        is_late = time.monotonic() - started > _ALL_S
        if is_late or path.stat().st_size > _LARGE_BYTES:
            failed.append(name)
            continue

        try:
            places += [f"{name}:{place}" for place in look_at(path, data)]
            looked_at += 1
        except _FAILURES as error:
            failed.append(f"{name} ({type(error).__name__})")

    note = f"{looked_at} sources"
    if failed:
        note += f", and not {len(failed)} others, such as {failed[0]}"
    answer.write_text(json.dumps({"places": places[:_MOST_PLACES], "note": note}))


def look_at(path: Path, data: Path) -> list[str]:
    """Return what the add-on says of a source, as `LINE FUNCTION: MESSAGE`."""
    subprocess.run(
        [data / "cppcheck", "--quiet", "--dump", "-DPy_GIL_DISABLED=1", path],
        check=False,
        timeout=_FILE_S,
        capture_output=True,
    )
    dump = path.with_name(f"{path.name}.dump")
    addon = subprocess.run(
        [sys.executable, data / "addons" / "threadsafety.py", "--cli", dump],
        check=True,
        timeout=_FILE_S,
        capture_output=True,
        text=True,
    )
    functions = list_functions(dump)
    dump.unlink()

    places: list[str] = []
    for line in addon.stdout.splitlines():
        if not line.startswith("{"):
            continue
        report = json.loads(line)
        number = report["linenr"]
        place = str(number)
        for name, first, last in functions:
            if first <= number <= last:
                place += f" {name}"
        places.append(f"{place}: {report['message']}")

    return places


def list_functions(dump: Path) -> list[tuple[str, int, int]]:
    """Return (name, first line, last line) of the functions in a dump of cppcheck."""
    import cppcheckdata  # type: ignore[import-not-found]  # comes with the tool

    functions: list[tuple[str, int, int]] = []
    for configuration in cppcheckdata.CppcheckData(str(dump)).iterconfigurations():
        for scope in configuration.scopes:
            if scope.type == "Function" and scope.bodyStart and scope.bodyEnd:
                function = (scope.className, scope.bodyStart.linenr, scope.bodyEnd.linenr)
                functions.append(function)

    return functions


if __name__ == "__main__":
    main()
