"""A file of dependencies, resolved for CPython 3.14: one release of each, from metadata alone."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from builder.dependencies.files.model import SkippedDependency
from builder.errors import IndexUnreachableError
from builder.sources.client import FileMismatchError, NoIndexAnswerError, Release
from builder.sources.closure import Candidate, NoSolutionError, resolve_closure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from builder.dependencies.files.model import Dependency, DependencyFile
    from builder.sources.client import Index

MAX_PARALLEL = 8
"""Requests to the index at a time."""

_ROOT = "what-the-file-asks-for"


@dataclass(frozen=True, kw_only=True, slots=True)
class Pin:
    """One dependency with its release.

    Attributes:
        name: canonical (PEP 503).
        hashes: what one of its files must hash to, as `sha256:…`; empty where the file has none.
        where: the line or dotted path that names it; empty where another dependency brings it.
        refusal: the `requires-python` that leaves the interpreter out; empty where it does not.
    """

    name: str
    release: Release
    hashes: tuple[str, ...] = ()
    where: str = ""
    refusal: str = ""

    @property
    def version(self) -> Version:
        """The release's version."""
        return self.release.version


@dataclass(frozen=True, kw_only=True, slots=True)
class Resolution:
    """Every dependency with its release.

    Attributes:
        pins: by name.
        left_out: what has no release, and why.
        notes: what else a person should know.
    """

    pins: tuple[Pin, ...]
    left_out: tuple[SkippedDependency, ...] = ()
    notes: tuple[str, ...] = ()


def resolve(
    file: DependencyFile, index: Index, python: Version, say: Callable[[str], None]
) -> Resolution:
    """Find a release for everything a file asks for and, unless it lists that itself, for what those need.

    Args:
        file: the file.
        index: where releases are found.
        python: the interpreter's version.
        say: shows progress.

    Raises:
        IndexUnreachableError: the index does not answer.
    """
    try:
        return _DependencyResolver(file, index, python, say).resolve()
    except NoIndexAnswerError as error:
        raise IndexUnreachableError(str(error)) from None


@dataclass(slots=True)
class _DependencyResolver:
    """One resolution under way."""

    file: DependencyFile
    index: Index
    python: Version
    say: Callable[[str], None]
    pins: dict[str, Pin] = field(default_factory=dict)
    left_out: list[SkippedDependency] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def resolve(self) -> Resolution:
        """Resolve."""
        wanted: dict[str, list[Dependency]] = {}
        for dependency in self.file.dependencies:
            wanted.setdefault(dependency.name, []).append(dependency)
        self._fetch_pages(wanted)
        usable = {
            name: asked for name, asked in wanted.items() if self._choose_release(name, asked)
        }
        if not self.file.is_complete:
            self._add_requirements(usable)
        pins = tuple(self.pins[name] for name in sorted(self.pins))
        return Resolution(pins=pins, left_out=tuple(self.left_out), notes=tuple(self.notes))

    def _fetch_pages(self, names: Iterable[str]) -> None:
        listed = list(names)
        with ThreadPoolExecutor(MAX_PARALLEL) as pool:
            for done, _ in enumerate(pool.map(self.index.releases, listed), 1):
                self.say(f"index: {done} of {len(listed)} pages")

    def _choose_release(self, name: str, asked: list[Dependency]) -> bool:
        """Give a name the newest release that its own lines allow; return whether this interpreter can have it."""
        where = asked[0].where
        releases = self.index.releases(name)
        if releases is None:
            self.left_out.append(
                SkippedDependency(name=name, where=where, why="the index knows no such name")
            )
            return False
        specifier = SpecifierSet(",".join(filter(None, (one.specifier for one in asked))))
        constraint = _constraints(self.file).get(name, SpecifierSet())
        matching = matching_releases(
            specifier & constraint, releases, exact=any(one.version for one in asked)
        )
        if not matching:
            newest = f"; the newest is {releases[0].version}" if releases else ""
            wanted = str(specifier & constraint) or "any stable version"
            why = f"the index has no release that matches {wanted!r}{newest}"
            self.left_out.append(SkippedDependency(name=name, where=where, why=why))
            return False
        admitting = [release for release in matching if release.allows_python(self.python)]
        chosen = (admitting or matching)[0]
        hashes = tuple(dict.fromkeys(value for one in asked for value in one.hashes))
        refused = "" if admitting else requires_python_of(chosen)
        self.pins[name] = Pin(
            name=name, release=chosen, hashes=hashes, where=where, refusal=refused
        )
        return bool(admitting)

    def _add_requirements(self, usable: Mapping[str, list[Dependency]]) -> None:
        """Replace the choice by a consistent set of everything; where there is none, keep the choice and say so."""
        self.say("resolving what the file leaves open")
        root = Candidate(
            name=_ROOT,
            version=Version("0"),
            extras=frozenset(),
            requires=tuple(one.requirement for asked in usable.values() for one in asked),
        )
        exact = {name for name, asked in usable.items() if any(one.version for one in asked)}
        pinned = {
            name: Candidate(name=name, version=pin.version, extras=frozenset(), release=pin.release)
            for name, pin in self.pins.items()
            if name in exact
        }
        try:
            found = resolve_closure(root, pinned, self.index, self.python, _constraints(self.file))
        except (NoSolutionError, FileMismatchError) as error:
            self.notes.append(
                f"no consistent set for Python {self.python}: {error}; each dependency of the file stands "
                "for itself, and what they need in turn is left out"
            )
            return
        for candidate in found:
            asked = self.pins.get(candidate.name)
            assert candidate.release is not None
            self.pins[candidate.name] = Pin(
                name=candidate.name,
                release=candidate.release,
                hashes=asked.hashes if asked else (),
                where=asked.where if asked else "",
            )


def matching_releases(
    specifier: SpecifierSet, releases: tuple[Release, ...], *, exact: bool
) -> list[Release]:
    """Return the releases a specifier allows, the newest first: yanked ones only where they are asked for by version.

    A pre-release is among them where one is asked for or where there is nothing else (PEP 440).
    """
    usable = [release for release in releases if exact or not release.yanked]
    allowed = set(specifier.filter([release.version for release in usable]))
    return [release for release in usable if release.version in allowed]


def requires_python_of(release: Release) -> str:
    """Return a release's `requires-python`; empty where it has none."""
    return next((file.requires_python for file in release.files if file.requires_python), "")


def _constraints(file: DependencyFile) -> dict[str, SpecifierSet]:
    gathered: dict[str, SpecifierSet] = {}
    for one in file.constraints:
        gathered[one.name] = gathered.get(one.name, SpecifierSet()) & SpecifierSet(one.specifier)
    return gathered
