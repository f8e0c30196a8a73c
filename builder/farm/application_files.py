"""What applications of a matrix name beside it: their locks, and the files of projects that commands need."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.version import Version

from builder.config import catalog
from builder.dependencies import files as dependency_files
from builder.errors import ExitCode, FarmError
from builder.judge.application import LockedPackage
from builder.store.files import file_sha256
from builder.store.hashing import digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from builder.config.catalog import Base, Interpreter
    from builder.config.matrix import Application, Matrix
    from builder.store.store import Store

_MOST_FILES_BYTES = 256 << 20
"""Of the files of a project for its commands: sources and data of tests, not a whole repository with its history."""


class ApplicationError(FarmError):
    """What an application names cannot be used: its lock leaves releases open, or its files are not there."""

    exit_code = ExitCode.USAGE


def read_lock(
    matrix: Matrix, application: Application, interpreter: Interpreter
) -> list[LockedPackage]:
    """Return what the lock of an application installs with an interpreter, each package once.

    Raises:
        ApplicationError: the lock leaves a release open.
        FarmError: it is none that can be read.
    """
    version = catalog.load().releases[interpreter.release].version
    selection = dependency_files.Selection(
        python=Version(version),
        extras=frozenset(application.extras),
        groups=frozenset(application.groups),
    )
    path = dependency_files.find_file(matrix.root / application.lock)
    read = dependency_files.read(path, selection)

    locked: dict[str, LockedPackage] = {}
    for dependency in read.dependencies:
        release = dependency.version
        if release is None:
            raise ApplicationError(
                f"{application.lock}: {dependency.where} leaves the release of {dependency.name} open; "
                "an application needs a lock file that names one release of everything"
            )
        locked[dependency.name] = LockedPackage(name=dependency.name, version=str(release))

    return list(locked.values())


def find_system_packages(
    matrix: Matrix, application: Application, packages: Iterable[str], base: Base
) -> tuple[str, ...]:
    """Return the system packages that an application needs on a base, and those of packages that it locks, sorted.

    Args:
        matrix: has the packages.
        application: its own `apt` counts.
        packages: names in the matrix; what it does not have needs none.
        base: that it is run on.
    """
    names = set(application.apt_packages(base))
    for package in packages:
        settings = matrix.packages.get(package)
        if settings is not None:
            names.update(settings.run_packages(base))

    return tuple(sorted(names))


def keep_files(matrix: Matrix, application: Application, store: Store) -> dict[str, str]:
    """Put the files of a project that its commands need into the store; return sha256 by path.

    Raises:
        ApplicationError: one is not there or leads out of the matrix's folder, or they are too many.
    """
    kept: dict[str, str] = {}
    size_bytes = 0
    for named in application.files:
        _check_inside(matrix.root, named)
        found = list(_iter_files(matrix.root / named))
        if not found:
            raise ApplicationError(
                f"there is no file {named} beside matrix.toml, and no folder of that name with files in it"
            )
        for file in found:
            size_bytes += file.stat().st_size
            if size_bytes > _MOST_FILES_BYTES:
                raise ApplicationError(
                    f"the files of the application have more than {_MOST_FILES_BYTES >> 20} MiB; "
                    "name those that its commands need"
                )
            kept[str(file.relative_to(matrix.root))] = store.add_file(file)

    return kept


def _check_inside(root: Path, named: str) -> None:
    """Go on where a path leads, over whatever links, to something in a folder.

    A project's links are its authors': one that leads elsewhere would hand this machine's files to their commands.

    Raises:
        ApplicationError: it leads out of the folder, or in a circle.
    """
    try:
        is_inside = (root / named).resolve().is_relative_to(root.resolve())
    except (OSError, RuntimeError):  # a circle of links is either, by the version of Python
        is_inside = False
    if not is_inside:
        raise ApplicationError(
            f"{named} is a link that leads out of the folder of matrix.toml; put the files themselves there"
        )


def _iter_files(path: Path) -> Iterator[Path]:
    """Iterate over a file, or the files below a folder, sorted; links and what Python leaves behind are skipped."""
    if path.is_file():
        yield path
        return

    for file in sorted(path.rglob("*")):
        is_cache = "__pycache__" in file.parts or ".git" in file.parts
        if file.is_file() and not file.is_symlink() and not is_cache:
            yield file


def hash_files(matrix: Matrix) -> str:
    """Return a hash of what the applications of a matrix name: all that they lock, and the files for their commands.

    A lock that cannot be read counts as what is wrong with it, and a file that is not there as nothing.
    """
    locks: list[object] = []
    hashes: dict[str, str] = {}
    for application in matrix.applications.values():
        for abi in matrix.abis:
            try:
                locked = read_lock(matrix, application, catalog.load().abis[abi])
                locks.append([(package.name, package.version) for package in locked])
            except FarmError as error:
                locks.append(str(error))
        for path in application.files:
            for file in _iter_files(matrix.root / path):
                hashes[str(file.relative_to(matrix.root))] = file_sha256(file)

    return digest(locks, hashes)
