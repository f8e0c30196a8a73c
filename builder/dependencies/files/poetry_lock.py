"""poetry.lock: a list of packages, each with the groups and markers that lead to it.

Groups and markers are there since version 2.1 of the format (Poetry 2). Before that a package is optional or not, and
the extras that lead to the optional ones stand at the end of the file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from packaging.markers import Marker
from packaging.utils import canonicalize_name
from pydantic import BaseModel, ConfigDict, Field

from builder.dependencies.files.model import (
    Dependency,
    DependencyFile,
    SkippedDependency,
)
from builder.dependencies.files.text import read_toml, shorten
from builder.dependencies.files.values import (
    MarkerText,
    NameText,
    VersionText,
    check_table,
    select_hashes,
)
from builder.errors import DependencyFileError

if TYPE_CHECKING:
    from pathlib import Path

    from builder.dependencies.files.model import Selection

_VERSIONS = ("1.1", "2.0", "2.1")
_MAIN = "main"
"""The group of what the project needs to run."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


class _File(_Part):
    file: str
    hash: Annotated[str, Field(pattern=r"^[a-z0-9]+:[0-9a-f]+$")]


class _Source(_Part):
    """Where a package comes from; without one it is the index."""

    type: str
    url: str = ""

    @property
    def is_index(self) -> bool:
        """Whether it is an index; `legacy` is Poetry's word for any but the public one."""
        return self.type == "legacy"


class _Package(_Part):
    name: NameText
    version: VersionText
    optional: bool = False
    groups: Annotated[tuple[NameText, ...], Field(strict=False)] = ()
    markers: MarkerText | dict[NameText, MarkerText] = ""
    """For each group, where they differ."""
    files: Annotated[tuple[_File, ...], Field(strict=False)] = ()
    source: _Source | None = None
    dependencies: dict[str, Any] = Field(default_factory=dict)

    def marker_of(self, group: str) -> Marker | None:
        """Return under which condition a group needs the package; None for always."""
        text = self.markers if isinstance(self.markers, str) else self.markers.get(group, "")
        return Marker(text) if text else None


class _Metadata(_Part):
    version: Literal["1.1", "2.0", "2.1"] = Field(alias="lock-version")
    files: dict[NameText, Annotated[tuple[_File, ...], Field(strict=False)]] = Field(
        default_factory=dict
    )
    """Of all packages, in version 1.1."""


class _Lock(_Part):
    metadata: _Metadata
    packages: tuple[_Package, ...] = Field(default=(), alias="package", strict=False)
    extras: dict[NameText, Annotated[tuple[NameText, ...], Field(strict=False)]] = Field(
        default_factory=dict
    )

    @property
    def has_groups(self) -> bool:
        """Whether packages say which groups and markers lead to them."""
        return self.metadata.version == "2.1"


def read(path: Path, selection: Selection) -> DependencyFile:
    """Return what a lock file installs on the selected Python, with the selected extras and groups.

    Args:
        path: the file.
        selection: which part of it is meant.

    Raises:
        DependencyFileError: it cannot be read or is wrong, or has two releases of a package that are both meant.
    """
    lock = _parse_lock(path)
    reached = _reach_optional(lock, selection)

    taken: dict[str, Dependency] = {}
    left_out: list[SkippedDependency] = []
    for number, package in enumerate(lock.packages):
        where = f"package[{number}]"
        why = _explain_absence(package, lock, selection, reached)
        if why:
            left_out.append(SkippedDependency(name=package.name, where=where, why=why))
            continue

        earlier = taken.get(package.name)
        if earlier is not None:
            problem = f"{package.name!r} once more, beside {earlier.where}: both are meant for this Python"
            raise DependencyFileError(path, [(where, problem)])
        taken[package.name] = _make_dependency(package, lock, where)

    return DependencyFile(
        path=path,
        format="poetry.lock",
        dependencies=tuple(taken.values()),
        is_complete=True,
        parts=_list_parts(lock) if lock.has_groups else None,
        left_out=tuple(left_out),
        notes=tuple(_notes(lock, selection)),
    )


def _parse_lock(path: Path) -> _Lock:
    """Return the checked lock file; a version of the format that is not known is refused."""
    data = read_toml(path)
    metadata = data.get("metadata")
    version = metadata.get("lock-version") if isinstance(metadata, dict) else None
    if version not in _VERSIONS:
        text = f"expected one of {', '.join(_VERSIONS)}, not {shorten(version)!r}; lock again with a newer Poetry"
        raise DependencyFileError(path, [("metadata.lock-version", text)])

    return check_table(path, _Lock, data)


def _reach_optional(lock: _Lock, selection: Selection) -> frozenset[str]:
    """Return the names that the selected extras lead to, by the list of extras and what packages need in turn."""
    by_name: dict[str, list[_Package]] = {}
    for package in lock.packages:
        by_name.setdefault(package.name, []).append(package)

    reached: set[str] = set()
    waiting = [name for extra in selection.extras for name in lock.extras.get(extra, ())]
    while waiting:
        name = waiting.pop()
        if name in reached:
            continue
        reached.add(name)
        for package in by_name.get(name, ()):
            waiting += (str(canonicalize_name(needed)) for needed in package.dependencies)

    return frozenset(reached)


def _explain_absence(
    package: _Package, lock: _Lock, selection: Selection, reached: frozenset[str]
) -> str:
    """Return why a package of the lock file is left out, or an empty text where it is taken.

    Args:
        package: the package.
        lock: the whole file.
        selection: which part of it is meant.
        reached: the names that the selected extras lead to.
    """
    if lock.has_groups:
        groups = [group for group in package.groups if group in {_MAIN, *selection.groups}]
        if not groups:
            return f"nothing that is meant needs it (its groups: {', '.join(package.groups)})"
        markers = [package.marker_of(group) for group in groups]
        if not any(map(selection.matches_marker, markers)):
            return selection.explain_mismatch(markers[0])
    elif package.optional and package.name not in reached:
        return "nothing that is meant needs it (an extra does)"

    source = package.source
    if source is not None and not source.is_index:
        return f"comes from {shorten(source.url or source.type)} ({shorten(source.type)}), not from the index"
    return ""


def _make_dependency(package: _Package, lock: _Lock, where: str) -> Dependency:
    files = package.files or lock.metadata.files.get(package.name, ())
    wheels = [file for file in files if file.file.endswith(".whl")]

    return Dependency(
        name=package.name,
        specifier=f"=={package.version}",
        hashes=select_hashes([(file.file, file.hash) for file in files]),
        wheel_hashes=tuple(file.hash for file in wheels),
        where=where,
    )


def _list_parts(lock: _Lock) -> frozenset[str]:
    """Return the extras of the project, and the groups that packages say lead to them."""
    parts: set[str] = set(lock.extras)
    for package in lock.packages:
        parts.update(package.groups)
    return frozenset(parts - {_MAIN})


def _notes(lock: _Lock, selection: Selection) -> list[str]:
    """Return notes for a person: parts that are not taken, and what this version of the format does not say."""
    notes = selection.note_other_parts(_list_parts(lock))
    if not lock.has_groups:
        notes.append(
            f"version {lock.metadata.version} of poetry.lock does not say which packages are for groups such as dev, "
            "nor for other systems: all are taken that are not optional; Poetry 2 writes a file that says it"
        )

    sources = {package.source.url for package in lock.packages if package.source}
    if len(sources) > 1:
        listed = ", ".join(shorten(source) for source in sorted(sources))
        notes.append(
            f"the lock file names several sources ({listed}); the farm asks the index that pip here is configured with"
        )
    return notes
