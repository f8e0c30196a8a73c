"""pylock.toml (PEP 751), read by packaging's model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from packaging.pylock import Package, Pylock, PylockUnsupportedVersionError, PylockValidationError

from builder.dependencies.files.model import Dependency, DependencyFile, SkippedDependency
from builder.dependencies.files.text import read_toml, shorten
from builder.errors import DependencyFileError
from builder.sources.markers import marker_environment

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from builder.dependencies.files.model import Selection


def read(path: Path, selection: Selection) -> DependencyFile:
    """Return what a lock file installs on the selected Python, with the selected extras and groups.

    A lock file may list packages for many systems, several times with different markers. Those that do not apply here,
    or that cannot be had from the index, are returned as left out, each with the reason. What remains must have each
    package once.

    Args:
        path: the file.
        selection: Python, extras and dependency groups to read it for; with no group, the file's default groups.

    Raises:
        DependencyFileError: it cannot be read, is no valid lock file, or has two entries that apply for one package.
    """
    lock = _parse_lock(path)
    _check_environments(path, lock, selection)

    taken: dict[str, Dependency] = {}
    skipped: list[SkippedDependency] = []
    for position, package in enumerate(lock.packages):
        where = f"packages[{position}]"  # shown to a person, as the place in the file

        skip_reason = _explain_skip(package, lock, selection)
        if skip_reason:
            skipped.append(SkippedDependency(name=package.name, where=where, why=skip_reason))
            continue

        earlier = taken.get(package.name)
        if earlier is not None:
            problem = f"{package.name!r} once more, beside {earlier.where}: both are meant for this Python"
            raise DependencyFileError(path, [(where, problem)])

        taken[package.name] = _make_dependency(package, where)

    return DependencyFile(
        path=path,
        format="pylock.toml",
        dependencies=tuple(taken.values()),
        is_complete=True,  # a lock file also lists what its dependencies need in turn
        parts=_list_parts(lock),
        left_out=tuple(skipped),
        notes=_notes(lock, selection),
    )


def _parse_lock(path: Path) -> Pylock:
    """Return a lock file as packaging's model; its errors become one that names the file and the place in it."""
    try:
        return Pylock.from_dict(read_toml(path))
    except PylockUnsupportedVersionError as error:
        raise DependencyFileError(path, [("lock-version", shorten(error))]) from None
    except PylockValidationError as error:
        where = shorten(error.context or "")
        raise DependencyFileError(path, [(where, shorten(error.message))]) from None


def _check_environments(path: Path, lock: Pylock, selection: Selection) -> None:
    """Check that the lock file was made for this Python on Linux, where it says what it was made for.

    Raises:
        DependencyFileError: it was made for other systems alone.
    """
    environments = lock.environments
    if environments is None or any(map(selection.matches_marker, environments)):
        return

    listed = shorten("; ".join(map(str, environments)))
    text = f"the lock file is for other systems alone ({listed}); lock again, for Linux on x86-64 as well"
    raise DependencyFileError(path, [("environments", text)])


def _explain_skip(package: Package, lock: Pylock, selection: Selection) -> str:
    """Return why a package of the lock file is left out, or an empty text where it is taken.

    It is left out where its marker does not hold, where it is not from the index, or where it has no version.
    """
    marker = package.marker
    if marker is not None:
        environment = cast("dict[str, Any]", _environment(lock, selection))
        if not marker.evaluate(environment, context="lock_file"):
            return selection.explain_mismatch(marker)
    if package.vcs is not None:
        return "comes from a repository, not from the index"
    if package.directory is not None:
        return "is a local folder, not a release on the index"
    if package.archive is not None:
        return "comes from an archive of its own, not from the index"
    if package.version is None:
        return "the lock file gives it no version"
    return ""


def _environment(lock: Pylock, selection: Selection) -> dict[str, str | frozenset[str]]:
    """Return the environment that a lock file's markers are evaluated in; it has extras and groups too (PEP 751)."""
    groups = selection.groups or frozenset(lock.default_groups or ())
    return {
        **marker_environment(selection.python),
        "extras": selection.extras,
        "dependency_groups": groups,
    }


def _make_dependency(package: Package, where: str) -> Dependency:
    """Return a package of the lock file as a dependency on exactly its version, with the hashes of its files."""
    wheel_hashes: list[str] = []
    for wheel in package.wheels or ():
        wheel_hashes += _list_hashes(wheel.hashes)

    # The sdist is what the farm builds from, so where there is one its hashes alone count for that.
    hashes = wheel_hashes
    if package.sdist is not None:
        hashes = _list_hashes(package.sdist.hashes)

    return Dependency(
        name=str(package.name),
        specifier=f"=={package.version}",
        hashes=tuple(hashes),
        wheel_hashes=tuple(wheel_hashes),
        where=where,
    )


def _list_hashes(hashes: Mapping[str, str]) -> list[str]:
    """Return a file's hashes as other formats write them: `sha256:…`."""
    return [f"{algorithm}:{value}" for algorithm, value in hashes.items()]


def _notes(lock: Pylock, selection: Selection) -> tuple[str, ...]:
    """Return notes for a person: the lock file is for another Python, or has extras or groups that are not taken."""
    notes: list[str] = []
    required = lock.requires_python
    if required is not None and not required.contains(selection.python, prereleases=True):
        notes.append(
            f"the lock file is made for Python {required}: lock again for {selection.python}"
        )

    notes += selection.note_other_parts(_list_parts(lock))
    return tuple(notes)


def _list_parts(lock: Pylock) -> frozenset[str]:
    return frozenset(map(str, (*(lock.extras or ()), *(lock.dependency_groups or ()))))
