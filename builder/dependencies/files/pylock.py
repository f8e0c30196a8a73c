"""pylock.toml (PEP 751), read by packaging's model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from packaging.pylock import Package, Pylock, PylockUnsupportedVersionError, PylockValidationError

from builder.dependencies.files.model import Dependency, DependencyFile, SkippedDependency
from builder.dependencies.files.text import read_toml, shorten
from builder.errors import DependencyFileError
from builder.sources.markers import marker_environment

if TYPE_CHECKING:
    from pathlib import Path

    from builder.dependencies.files.model import Selection


def read(path: Path, selection: Selection) -> DependencyFile:
    """Read a lock file.

    Args:
        path: the file.
        selection: which part of it is meant; its default groups are taken where no group is asked for.

    Raises:
        DependencyFileError: it cannot be read or is wrong.
    """
    lock = _parse_lock(path)
    wanted: dict[str, Dependency] = {}
    left_out: list[SkippedDependency] = []
    for number, package in enumerate(lock.packages):
        where = f"packages[{number}]"
        reason = _skip_reason(package, lock, selection)
        if reason:
            left_out.append(SkippedDependency(name=package.name, where=where, why=reason))
        elif package.name in wanted:
            text = f"{package.name!r} once more, beside {wanted[package.name].where}: both are meant for this Python"
            raise DependencyFileError(path, [(where, text)])
        else:
            wanted[package.name] = _make_dependency(package, where)
    return DependencyFile(
        path=path,
        format="pylock.toml",
        dependencies=tuple(wanted.values()),
        is_complete=True,
        left_out=tuple(left_out),
        notes=_notes(lock, selection),
    )


def _parse_lock(path: Path) -> Pylock:
    try:
        return Pylock.from_dict(read_toml(path))
    except PylockUnsupportedVersionError as error:
        raise DependencyFileError(path, [("lock-version", shorten(error))]) from None
    except PylockValidationError as error:
        raise DependencyFileError(
            path, [(shorten(error.context or ""), shorten(error.message))]
        ) from None


def _skip_reason(package: Package, lock: Pylock, selection: Selection) -> str:
    """Say why a package is not taken; nothing where it is."""
    if package.marker is not None and not package.marker.evaluate(
        cast("dict[str, Any]", _environment(lock, selection)), context="lock_file"
    ):
        return selection.explain_mismatch(package.marker)
    if package.vcs is not None:
        return "comes from a repository, not from the index"
    if package.directory is not None:
        return "is a local folder, not a release on the index"
    if package.archive is not None:
        return "comes from an archive of its own, not from the index"
    return "" if package.version is not None else "the lock file gives it no version"


def _environment(lock: Pylock, selection: Selection) -> dict[str, str | frozenset[str]]:
    groups = selection.groups or frozenset(lock.default_groups or ())
    return {
        **marker_environment(selection.python),
        "extras": selection.extras,
        "dependency_groups": groups,
    }


def _make_dependency(package: Package, where: str) -> Dependency:
    files = [package.sdist] if package.sdist is not None else list(package.wheels or ())
    return Dependency(
        name=str(package.name),
        specifier=f"=={package.version}",
        hashes=tuple(
            f"{algorithm}:{value}" for file in files for algorithm, value in file.hashes.items()
        ),
        where=where,
    )


def _notes(lock: Pylock, selection: Selection) -> tuple[str, ...]:
    notes = []
    if lock.requires_python is not None and not lock.requires_python.contains(
        selection.python, prereleases=True
    ):
        notes.append(
            f"the lock file is made for Python {lock.requires_python}: lock again for {selection.python}"
        )
    others = sorted(
        {*(lock.extras or ()), *(lock.dependency_groups or ())}
        - selection.extras
        - selection.groups
    )
    if others:
        notes.append(f"extras and groups that are not taken: {', '.join(map(str, others))}")
    return tuple(notes)
