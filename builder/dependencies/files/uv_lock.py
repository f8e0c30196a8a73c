"""uv.lock: a graph of packages, walked from the project's own outwards."""

from __future__ import annotations

import re
from collections import deque
from typing import TYPE_CHECKING, Annotated, Any

from packaging.markers import Marker
from packaging.specifiers import SpecifierSet
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
    SpecifierText,
    VersionText,
    check_table,
)
from builder.errors import DependencyFileError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from builder.dependencies.files.model import Selection

_VERSION = 1
"""The version of the format; uv raises it when older readers would misunderstand a file."""

_CONFLICT_CLAUSE = re.compile(r"""extra (==|!=) ["']((?:extra|group|project)-[0-9]+-[^"']+)["']""")
"""How uv writes into a marker that an extra or a group of a package is selected: `extra == "extra-4-shop-cpu"`, with
the length of the package's name. These are not the extras of PEP 508, of which one at a time is asked for."""
_ALWAYS = 'python_version >= "0"'
_NEVER = 'python_version < "0"'

_LOCAL_SOURCES = ("virtual", "editable", "directory")
"""Keys of `source` in packages that are folders: the project itself and the members of its workspace."""


class _Part(BaseModel):
    """A part of the file. uv adds keys within a version of the format, which mean nothing here."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


class _File(_Part):
    """An sdist or a wheel, and what it hashes to if the lock says."""

    hash: Annotated[str, Field(pattern=r"^[a-z0-9]+:[0-9a-f]+$")] | None = None


class _Edge(_Part):
    """What a package needs: a name, and a version where the lock has several of that name."""

    name: NameText
    version: VersionText | None = None
    marker: MarkerText = ""
    extra: tuple[NameText, ...] = ()


class _Metadata(_Part):
    """What a folder of the project states of itself, its empty extras and groups among it."""

    extras: tuple[NameText, ...] = Field(default=(), alias="provides-extras")
    groups: dict[NameText, Any] = Field(default_factory=dict, alias="requires-dev")


class _Package(_Part):
    """One release, or a folder of the project."""

    name: NameText
    version: VersionText | None = None
    """None where a build backend computes it."""
    source: dict[str, Any] = Field(default_factory=dict)
    """One key that says what kind of source it is, such as `registry`, with its address."""
    dependencies: tuple[_Edge, ...] = ()
    optional: dict[NameText, tuple[_Edge, ...]] = Field(
        default_factory=dict, alias="optional-dependencies"
    )
    groups: dict[NameText, tuple[_Edge, ...]] = Field(
        default_factory=dict, alias="dev-dependencies"
    )
    """Dependency groups (PEP 735), under the name they had in uv before there was a standard."""
    metadata: _Metadata = Field(default_factory=_Metadata)
    markers: tuple[MarkerText, ...] = Field(default=(), alias="resolution-markers")
    """For which environments this one is meant, where the lock has several of the name."""
    sdist: _File | None = None
    wheels: tuple[_File, ...] = ()

    @property
    def is_local(self) -> bool:
        """Whether it is a folder: the project, or a member of its workspace."""
        return any(kind in self.source for kind in _LOCAL_SOURCES)

    @property
    def is_root(self) -> bool:
        """Whether it is the project at the lock file's side."""
        return any(self.source.get(kind) == "." for kind in _LOCAL_SOURCES)


class _Conflicting(_Part):
    """One part of a project that excludes others: an extra or a group of a package, or the package itself."""

    package: NameText
    extra: NameText | None = None
    group: NameText | None = None


class _Lock(_Part):
    """The whole file."""

    version: int
    requires_python: SpecifierText = Field(default="", alias="requires-python")
    environments: tuple[MarkerText, ...] = Field(default=(), alias="supported-markers")
    """The only systems that it was made for; empty for all."""
    conflicts: tuple[tuple[_Conflicting, ...], ...] = ()
    """Sets of extras and groups of which one at most can be selected."""
    packages: tuple[_Package, ...] = Field(default=(), alias="package")


def read(path: Path, selection: Selection) -> DependencyFile:
    """Return everything that the project beside the lock file needs, for the selected Python, extras and groups.

    Args:
        path: the file.
        selection: which part of it is meant.

    Raises:
        DependencyFileError: it cannot be read or is wrong.
    """
    lock = _parse_lock(path)
    _check_environments(path, lock, selection)
    _check_conflicts(path, lock, selection)
    walk = _Walk(path, lock, selection)
    walk.run()

    return DependencyFile(
        path=path,
        format="uv.lock",
        dependencies=tuple(walk.wanted[number] for number in sorted(walk.wanted)),
        is_complete=True,
        parts=_list_parts(lock),
        left_out=tuple(_iter_left_out(lock, walk)),
        notes=(*_notes(lock, selection), *_note_registries(lock, walk)),
    )


def _check_environments(path: Path, lock: _Lock, selection: Selection) -> None:
    """Check that the lock file was made for this Python on Linux, where it says what it was made for."""
    markers = [Marker(text) for text in lock.environments if text]
    if not markers or any(map(selection.matches_marker, markers)):
        return

    listed = shorten("; ".join(map(str, markers)))
    text = f"the lock file is for other systems alone ({listed}); lock again, for Linux on x86-64 as well"
    raise DependencyFileError(path, [("supported-markers", text)])


def _check_conflicts(path: Path, lock: _Lock, selection: Selection) -> None:
    """Check that no two of the selected extras and groups exclude each other."""
    for number, conflict in enumerate(lock.conflicts):
        selected = sorted(
            f"{part.package}[{part.extra}]" if part.extra else f"{part.package}, group {part.group}"
            for part in conflict
            if part.extra in selection.extras or part.group in selection.groups
        )
        if len(selected) > 1:
            text = f"{' and '.join(selected)} exclude each other; select one of them"
            raise DependencyFileError(path, [(f"conflicts[{number}]", text)])


def _note_registries(lock: _Lock, walk: _Walk) -> list[str]:
    """Return a note where what is wanted comes from several indexes; none where it is one."""
    registries = {str(lock.packages[number].source["registry"]) for number in walk.wanted}
    if len(registries) <= 1:
        return []

    listed = ", ".join(shorten(registry) for registry in sorted(registries))
    note = (
        f"the lock file takes packages from several indexes ({listed}); the farm asks those that pip here is "
        "configured with, and takes files with the lock's hashes alone"
    )
    return [note]


def _parse_lock(path: Path) -> _Lock:
    """Return the checked lock file; another version of the format is refused."""
    data = read_toml(path)
    if data.get("version") != _VERSION:
        text = f"expected {_VERSION}, the version of the format the farm reads, not {shorten(data.get('version'))!r}"
        raise DependencyFileError(path, [("version", text)])
    return check_table(path, _Lock, data)


class _Walk:
    """Everything that can be reached from the project at the lock file's side.

    Attributes:
        seen: numbers of packages with the extra that was walked, empty for the package itself.
        wanted: by the package's number.
    """

    def __init__(self, path: Path, lock: _Lock, selection: Selection) -> None:
        self._path = path
        self._packages = lock.packages
        self._selection = selection
        self._active = frozenset(_iter_active(lock, selection))
        self.seen: set[tuple[int, str]] = set()
        self.wanted: dict[int, Dependency] = {}

        self._by_name: dict[str, list[int]] = {}
        for number, package in enumerate(lock.packages):
            self._by_name.setdefault(package.name, []).append(number)

    def run(self) -> None:
        """Visit all packages that the project needs, and record them in `seen` and `wanted`.

        The queue has pairs of a package's number and one of its extras, empty for the package itself. Edges whose
        markers do not hold are not followed.
        """
        queue: deque[tuple[int, str]] = deque()
        for number in self._find_roots():
            queue.extend((number, extra) for extra in ("", *sorted(self._selection.extras)))

        while queue:
            number, extra = queue.popleft()
            if (number, extra) in self.seen:
                continue  # another package needs it too
            self.seen.add((number, extra))
            self._add_package(number)

            for where, edge in self._iter_edges(number, extra):
                if self._matches(edge.marker):
                    target = self._find_target(where, edge)
                    queue.extend((target, wanted_extra) for wanted_extra in ("", *edge.extra))

    def _find_roots(self) -> list[int]:
        """Return the numbers of the packages to start from.

        That is the project at the lock file's side, or every member of the workspace where it has no project of its
        own.
        """
        local = [number for number, package in enumerate(self._packages) if package.is_local]
        roots = [number for number in local if self._packages[number].is_root]
        if not local:
            text = "none has a source 'virtual', 'editable' or 'directory': there is no project to start from"
            raise DependencyFileError(self._path, [("package", text)])

        # The members of a workspace without a project of its own stand side by side.
        return roots or local

    def _iter_edges(self, number: int, extra: str) -> Iterator[tuple[str, _Edge]]:
        """Yield (where it stands, edge) for what a package needs, or what one of its extras needs.

        To a local package the selected dependency groups belong as well.
        """
        package = self._packages[number]
        edge_lists: list[tuple[str, tuple[_Edge, ...]]] = []
        if extra:
            edge_lists.append((f"optional-dependencies.{extra}", package.optional.get(extra, ())))
        else:
            edge_lists.append(("dependencies", package.dependencies))
        if package.is_local and not extra:
            for group in sorted(self._selection.groups & set(package.groups)):
                edge_lists.append((f"dev-dependencies.{group}", package.groups[group]))

        for key, edges in edge_lists:
            for position, edge in enumerate(edges):
                yield f"package[{number}].{key}[{position}]", edge

    def _find_target(self, where: str, edge: _Edge) -> int:
        """Return the number of the package that an edge means.

        Packages of another version than the edge's are ruled out. Of several that are left it is the first whose
        markers match this Python, or else the first.
        """
        numbers = self._by_name.get(edge.name, [])
        if edge.version is not None:
            # None is the version of a package whose build backend computes it.
            versions = {edge.version, None}
            numbers = [number for number in numbers if self._packages[number].version in versions]
        if not numbers:
            release = f" {edge.version}" if edge.version else ""
            text = f"the lock file has no package {edge.name}{release}"
            raise DependencyFileError(self._path, [(where, text)])

        for number in numbers:
            if len(numbers) > 1 and self._matches_python(self._packages[number]):
                return number
        return numbers[0]

    def _matches_python(self, package: _Package) -> bool:
        return any(self._matches(text) for text in package.markers if text)

    def _matches(self, marker: str) -> bool:
        """Return whether a marker holds for this Python and for what is selected of the project."""
        if not marker:
            return True

        def decide(clause: re.Match[str]) -> str:
            is_equality, is_active = clause[1] == "==", clause[2] in self._active
            return _ALWAYS if is_equality == is_active else _NEVER

        return self._selection.matches_marker(Marker(_CONFLICT_CLAUSE.sub(decide, marker)))

    def _add_package(self, number: int) -> None:
        """Record a package as wanted.

        Skipped are local folders, sources other than an index, and packages without a version.
        """
        package = self._packages[number]
        is_on_index = "registry" in package.source and not package.is_local
        if not is_on_index or package.version is None:
            return  # `_iter_left_out` says why, unless it is a folder of the project

        # The sdist is what the farm builds from, so where there is one its hash alone counts for that.
        wheel_hashes = tuple(file.hash for file in package.wheels if file.hash)
        hashes = wheel_hashes
        if package.sdist is not None:
            hashes = (package.sdist.hash,) if package.sdist.hash else ()

        self.wanted[number] = Dependency(
            name=package.name,
            specifier=f"=={package.version}",
            hashes=hashes,
            wheel_hashes=wheel_hashes,
            where=f"package[{number}]",
        )


def _iter_active(lock: _Lock, selection: Selection) -> Iterator[str]:
    """Yield the names that uv's markers have for the selected extras and groups of the project's own packages."""
    for package in lock.packages:
        if not package.is_local:
            continue
        prefix = f"{len(package.name)}-{package.name}"
        yield f"project-{prefix}"
        yield from (f"extra-{prefix}-{extra}" for extra in selection.extras & set(package.optional))
        yield from (f"group-{prefix}-{group}" for group in selection.groups & set(package.groups))


def _iter_left_out(lock: _Lock, walk: _Walk) -> Iterator[SkippedDependency]:
    """Yield each package of the lock file that is not wanted, and why; folders of the project are skipped."""
    reached = {number for number, _ in walk.seen}
    for number, package in enumerate(lock.packages):
        if number in walk.wanted or package.is_local:
            continue

        if number not in reached:
            why = "nothing that is meant needs it on this Python and Linux (an extra, a group or a marker does)"
        elif package.version is None:
            why = "the lock file gives it no version"
        else:
            source = next(iter(package.source), "nowhere")
            why = f"comes from {shorten(source)!r}, not from the index"
        yield SkippedDependency(name=package.name, where=f"package[{number}]", why=why)


def _notes(lock: _Lock, selection: Selection) -> tuple[str, ...]:
    """Return notes for a person: the lock file is for another Python, or has extras or groups that are not taken."""
    notes: list[str] = []
    if not SpecifierSet(lock.requires_python).contains(selection.python, prereleases=True):
        notes.append(
            f"the lock file is made for Python {lock.requires_python}: lock again for {selection.python}"
        )

    notes += selection.note_other_parts(_list_parts(lock))
    return tuple(notes)


def _list_parts(lock: _Lock) -> frozenset[str]:
    """Return the extras and groups of the project and of the members of its workspace."""
    parts: set[str] = set()
    for package in lock.packages:
        if package.is_local:
            parts.update(package.optional, package.groups)
            parts.update(package.metadata.extras, package.metadata.groups)
    return frozenset(parts)
