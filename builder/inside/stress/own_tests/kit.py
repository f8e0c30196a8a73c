"""Choose which requirements of a package's own tests are installed: those that the tests import.

Usage: python -m inside.stress.own_tests.kit TESTS WHEELS REQUIREMENT… prints, as JSON, the numbers of the requirements,
from 0, that files in the folder of tests import and the folder of wheels has. It runs as a user of its own: the
supervisor itself reads no archive of a package.
"""

import json
import re
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

from ...supervise.accounts import Account
from ..package import unpacking

_MOST_FILES = 3000  # of tests
_MOST_FILE_BYTES = 400_000

_IMPORT = re.compile(r"^[ \t]*import[ \t]+([\w., \t]+)", re.MULTILINE)
_FROM = re.compile(r"^[ \t]*from[ \t]+(\w+)", re.MULTILINE)
_ASKED = re.compile(r"\b(?:importorskip|import_module)\(\s*[\"'](\w+)")
_PLUGINS = re.compile(r"^pytest_plugins\s*=\s*([^\n]*(?:\n[ \t)\]][^\n]*)*)", re.MULTILINE)
_QUOTED = re.compile(r"[\"'](\w+)")

_METADATA = (".dist-info", ".libs", ".data")
"""Ends of the names of folders in a wheel that hold no modules."""

_PINNED = re.compile(r"==\s*([^\s;,*]+)\s*(?:;|$)")
_TRAILING_ZEROS = re.compile(r"(?:\.0)+$")

_PLUGIN_SECTION = "[pytest11]"
"""The entry points by which pytest finds its plugins: their fixtures are used without an import."""


def choose_requirements(
    account: Account, tests: Path, wheels: str, requirements: list[str]
) -> list[str]:
    """Return those of some requirements that tests import; all of them where that cannot be told.

    Args:
        account: who reads the tests and the wheels.
        tests: the folder of tests.
        wheels: the folder of wheels.
        requirements: as pip takes them.
    """
    exit_code, printed = unpacking.run_apart(
        account, "own_tests.kit", str(tests), wheels, *requirements
    )
    lines = printed.splitlines()
    if exit_code != 0 or not lines:
        return requirements
    try:
        numbers = json.loads(lines[-1])
    except ValueError:
        return requirements
    if not isinstance(numbers, list):
        return requirements

    return [text for number, text in enumerate(requirements) if number in numbers]


def find_imports(folder: Path) -> set[str]:
    """Return the top-level names of what the files of Python in a folder import."""
    names: set[str] = set()
    for path in sorted(folder.rglob("*.py"))[:_MOST_FILES]:
        if path.is_file() and path.stat().st_size <= _MOST_FILE_BYTES and path.name != "setup.py":
            names.update(list_imports(path.read_text(encoding="utf-8", errors="replace")))

    return names


def list_imports(source: str) -> Iterator[str]:
    """Iterate over the top-level names that source text imports, or has pytest import."""
    yield from _FROM.findall(source)
    yield from _ASKED.findall(source)
    for imported in _IMPORT.findall(source):
        for module in imported.split(","):
            yield module.strip().partition(" ")[0].partition(".")[0]
    for plugins in _PLUGINS.findall(source):
        yield from _QUOTED.findall(plugins)


def is_needed(wheel: Path, imports: set[str]) -> bool:
    """Return whether a wheel has a module that is imported, or is a plugin of pytest."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            names = archive.namelist()
            for name in names:
                is_entry_points = name.endswith(".dist-info/entry_points.txt")
                if is_entry_points and _PLUGIN_SECTION in archive.read(name).decode(
                    errors="replace"
                ):
                    return True
    except (OSError, zipfile.BadZipFile):
        return True  # pip says what is wrong with it

    modules: set[str] = set()
    for name in names:
        first = name.partition("/")[0]
        if not first.endswith(_METADATA):
            modules.add(first.partition(".")[0])
    return not modules.isdisjoint(imports)


def is_wanted(wheel: Path, requirement: str) -> bool:
    """Return whether a wheel has the version that a requirement is pinned to; True where it is not pinned.

    One that is not there would make pip refuse all of them.
    """
    pinned = _PINNED.search(requirement)
    if pinned is None:
        return True
    version = wheel.name.split("-")[1]
    return _TRAILING_ZEROS.sub("", pinned[1]) == _TRAILING_ZEROS.sub("", version)


def choose(tests: Path, wheels: Path, requirements: list[str]) -> list[int]:
    """Return the numbers of the requirements that tests import and that there are wheels for."""
    by_project: dict[str, list[Path]] = {}
    for wheel in sorted(wheels.glob("*.whl")):
        by_project.setdefault(_normalize(wheel.name.partition("-")[0]), []).append(wheel)

    imports = find_imports(tests)
    chosen: list[int] = []
    for number, requirement in enumerate(requirements):
        name = re.match(r"[\w.-]*", requirement)
        candidates = by_project.get(_normalize(name[0]), []) if name else []
        fitting = [wheel for wheel in candidates if is_wanted(wheel, requirement)]
        if any(is_needed(wheel, imports) for wheel in fitting):
            chosen.append(number)

    return chosen


def _normalize(name: str) -> str:
    """Return a project's name as indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def main() -> None:
    """Print which of the requirements on the command line are needed."""
    tests, wheels, *requirements = sys.argv[1:]
    print(json.dumps(choose(Path(tests), Path(wheels), requirements)))


if __name__ == "__main__":
    main()
