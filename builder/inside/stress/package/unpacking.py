"""Unpack an sdist as a user of its own: its tests and examples tell how a package is called.

Usage: python -m inside.stress.package.unpacking SDIST FOLDER unpacks an sdist into a folder; with a third argument, the
folder for tests, it moves the tests and their settings there. It ends with exit code 0, or with `NO_TESTS`. The
supervisor itself reads no archive of a package.
"""

import os
import sys
from pathlib import Path

from ...supervise.accounts import Account, take_account
from ...supervise.folders import make_folder, seal_folder
from ...supervise.process import choose_variables, run_to_end
from ..process.interpreter import PACKAGE, PROGRAMS
from . import sdists

NO_TESTS = 3
"""Exit code where an sdist has no tests."""

_FOLDERS = frozenset({"tests", "test", "testing"})
"""Names of folders of tests beside a package, in small letters; tests inside of it are installed with it, and not run.
"""

_SETTINGS = (
    "pyproject.toml",
    "setup.py",
    "setup.cfg",
    "tox.ini",
    "conftest.py",
    "pytest.ini",
)
"""Files that tests may read their settings from."""

_SEALED_FOLDER = "/tmp/sdist"
"""Where an sdist is unpacked to be read."""

_UNPACK_S = 120.0  # most sdists take less than a second


def unpack_apart(account: Account, sdist: str, folder: Path, *tests: Path) -> int | None:
    """Unpack an sdist as another user, into a folder; return the exit code of that, None where its time was up.

    Args:
        account: who unpacks it, and owns what comes out.
        sdist: the archive.
        folder: where to unpack it, which must not exist.
        tests: where to move its tests to, which must not exist; nowhere if it is left out.
    """
    for path in (folder, *tests):
        make_folder(path)
    exit_code, printed = run_apart(
        account, "package.unpacking", sdist, str(folder), *map(str, tests)
    )
    print(printed, end="", flush=True)

    return exit_code


def run_apart(account: Account, program: str, *arguments: str) -> tuple[int | None, str]:
    """Run a program of this package that reads what others made, as another user.

    Args:
        account: who runs it, and owns what comes out.
        program: the name of its module.
        arguments: what it is given.

    Returns:
        Its exit code, None where its time was up, and what it printed.
    """
    environment = choose_variables(("PATH", "LANG"), "/")
    return run_to_end(
        [sys.executable, "-P", "-m", f"{PACKAGE}.{program}", *arguments],
        account=account,
        seconds=_UNPACK_S,
        folder="/",
        environment={**environment, "PYTHONPATH": str(PROGRAMS)},
    )


def unpack_sealed(sdist: str | None) -> str | None:
    """Unpack an sdist, whose tests and examples show how the package is called; return its folder.

    None where there is no sdist, or it cannot be unpacked.
    """
    if sdist is None:
        return None

    folder = Path(_SEALED_FOLDER)
    if unpack_apart(take_account(), sdist, folder) != 0:
        return None  # an sdist only helps: learning works without one

    seal_folder(folder)
    return str(find_root(folder))


def find_root(folder: Path) -> Path:
    """Return the folder in which all files of an sdist are that was unpacked.

    A well-formed sdist has one folder at its top; without any, what was unpacked is the root itself.
    """
    folders = [path for path in folder.iterdir() if path.is_dir() and not path.is_symlink()]
    return min(folders, default=folder)


def move_tests(root: Path, tests: Path) -> bool:
    """Move the tests of an sdist and their settings to a folder of their own; return whether it has tests.

    The package's source stays behind: from the tests' folder it would be imported instead of what is installed.
    """
    has_tests = False
    for path in sorted(root.iterdir()):
        is_of_tests = path.name.lower() in _FOLDERS or path.match("test*.py")
        if is_of_tests or path.name in _SETTINGS:
            path.rename(tests / path.name)
            has_tests = has_tests or is_of_tests

    return has_tests


def main() -> None:
    """Unpack the sdist that the command line names, and move its tests where it says so."""
    sdist, folder, *tests = sys.argv[1:]
    os.umask(0o022)  # the learning program reads it as another user
    try:
        root = sdists.unpack(sdist, Path(folder))
    except sdists.SdistError as error:
        sys.exit(f"{Path(sdist).name}: {error}")

    for tests_folder in tests:
        if not move_tests(root, Path(tests_folder)):
            sys.exit(NO_TESTS)


if __name__ == "__main__":
    main()
