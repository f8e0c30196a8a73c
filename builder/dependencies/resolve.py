"""A file of dependencies, resolved for CPython 3.14: one release of each, from metadata alone."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from builder.dependencies.files.model import SkippedDependency
from builder.errors import IndexUnreachableError
from builder.sources.closure import Candidate, NoSolutionError, Rules, resolve_closure
from builder.sources.cool_down import find_held
from builder.sources.errors import NoIndexAnswerError
from builder.sources.guard import describe_trouble
from builder.sources.http import MAX_PARALLEL
from builder.sources.releases import choose_release

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from builder.dependencies.files.model import Dependency, DependencyFile
    from builder.sources.client import Index
    from builder.sources.releases import Release

_ROOT = "what-the-file-asks-for"
"""Name of the package that requires everything: no project, and it is never shown."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pin:
    """One dependency with its release.

    Attributes:
        name: canonical (PEP 503).
        hashes: what one of its files must hash to, as `sha256:…`; empty where the file has none. Of the sdist alone
            where the file tells them apart.
        wheel_hashes: the same of its wheels, where the file tells them apart.
        where: the line or dotted path that names it; empty where another dependency brings it.
        refusal: the `requires-python` that leaves the interpreter out; empty where it does not.
    """

    name: str
    release: Release
    hashes: tuple[str, ...] = ()
    wheel_hashes: tuple[str, ...] = ()
    where: str = ""
    refusal: str = ""

    @property
    def version(self) -> Version:
        """The release's version."""
        return self.release.version

    @property
    def every_hash(self) -> tuple[str, ...]:
        """What one of its files must hash to, whichever file it is."""
        return (*self.hashes, *self.wheel_hashes)


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
    """Return a release for each dependency of a file and, unless the file is complete, for what those need.

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
    rules: Rules = field(init=False)

    def __post_init__(self) -> None:
        self.rules = _make_rules(self.file)

    def resolve(self) -> Resolution:
        """Return the pins, i.e. dependencies with their releases, and what is left out.

        First each dependency gets a release for itself. Unless the file is complete, a consistent set then replaces
        these.
        """
        wanted: dict[str, list[Dependency]] = {}
        for dependency in self.file.dependencies:
            wanted.setdefault(dependency.name, []).append(dependency)
        self._fetch_pages(wanted)

        usable: dict[str, list[Dependency]] = {}
        for name, dependencies in wanted.items():
            if self._choose_release(name, dependencies):
                usable[name] = dependencies
        if not self.file.is_complete:
            self._add_requirements(usable)

        pins = tuple(self.pins[name] for name in sorted(self.pins))
        return Resolution(pins=pins, left_out=tuple(self.left_out), notes=tuple(self.notes))

    def _fetch_pages(self, names: Iterable[str]) -> None:
        """Fetch the index pages of all names in parallel; the index client keeps them for later questions."""
        listed = list(names)
        with ThreadPoolExecutor(MAX_PARALLEL) as pool:
            for done, _ in enumerate(pool.map(self._find_releases, listed), 1):
                self.say(f"index: {done} of {len(listed)} pages")

    def _find_releases(self, name: str) -> tuple[Release, ...] | str | None:
        """Return a project's releases, or None where the index does not know the name, or why they cannot be had."""
        try:
            return self.index.releases(name)
        except NoIndexAnswerError:
            raise
        except Exception as error:
            return describe_trouble(name, error, self.index.store)

    def _choose_release(self, name: str, dependencies: list[Dependency]) -> bool:
        """Pin a name to the newest release that its own lines and constraints allow.

        Return whether this interpreter can have it: False where the name or release is not on the index, or where
        `requires-python` leaves the interpreter out. Then the name is left out, or pinned with the refusal.
        """
        where = dependencies[0].where
        releases = self._find_releases(name)
        if releases is None:
            self._leave_out(name, where, "the index knows no such name")
            return False
        if isinstance(releases, str):
            self._leave_out(name, where, releases)
            return False

        specifier = self.rules.limit(name)
        for dependency in dependencies:
            specifier &= SpecifierSet(dependency.specifier)
        is_exact = any(dependency.version for dependency in dependencies)
        choice = choose_release(specifier, releases, self.python, exact=is_exact)
        if choice is None:
            self._leave_out(name, where, self._explain_lack(name, specifier, releases))
            return False

        hashes: dict[str, None] = {}
        wheel_hashes: dict[str, None] = {}
        for dependency in dependencies:
            hashes |= dict.fromkeys(dependency.hashes)
            wheel_hashes |= dict.fromkeys(dependency.wheel_hashes)
        self.pins[name] = Pin(
            name=name,
            release=choice.release,
            hashes=tuple(hashes),
            wheel_hashes=tuple(wheel_hashes),
            where=where,
            refusal=choice.refusal,
        )
        return not choice.refusal

    def _explain_lack(
        self, name: str, specifier: SpecifierSet, releases: tuple[Release, ...]
    ) -> str:
        """Say why no release of a project can be had: it is held back, or the index has none."""
        held = find_held(self.index.held_releases(name), specifier)
        if held is not None:
            return held.describe()

        newest = f"; the newest is {releases[0].version}" if releases else ""
        wanted = str(specifier) or "any stable version"
        return f"the index has no release that matches {wanted!r}{newest}"

    def _leave_out(self, name: str, where: str, why: str) -> None:
        self.left_out.append(SkippedDependency(name=name, where=where, why=why))

    def _add_requirements(self, usable: Mapping[str, list[Dependency]]) -> None:
        """Replace the pins by a consistent set of all dependencies and what they need.

        Where there is no such set, the pins stay as they are, and a note says so.
        """
        self.say("resolving what the file leaves open")
        requirements: list[str] = []
        pinned: dict[str, tuple[Candidate, ...]] = {}
        for name, dependencies in usable.items():
            requirements += [dependency.requirement for dependency in dependencies]
            if any(dependency.version for dependency in dependencies):
                pinned[name] = (_make_candidate(self.pins[name]),)

        root = Candidate(
            name=_ROOT,
            version=Version("0"),
            extras=frozenset(),
            requires=tuple(requirements),
        )
        try:
            closure = resolve_closure(root, pinned, self.index, self.python, self.rules)
        except NoIndexAnswerError:
            raise
        except Exception as error:
            is_conflict = isinstance(error, NoSolutionError)
            why = str(error) if is_conflict else describe_trouble(_ROOT, error, self.index.store)
            self.notes.append(
                f"no consistent set for Python {self.python}: {why}; each dependency of the file stands "
                "for itself, and what they need in turn is left out"
            )
            return

        for candidate in closure:
            self._pin_candidate(candidate)

    def _pin_candidate(self, candidate: Candidate) -> None:
        """Pin a release of the consistent set; hashes and place are taken from the file's own pin, if it has one."""
        assert candidate.release is not None, "the root alone has none, and is left out"
        chosen = self.pins.get(candidate.name)

        self.pins[candidate.name] = Pin(
            name=candidate.name,
            release=candidate.release,
            hashes=chosen.hashes if chosen else (),
            wheel_hashes=chosen.wheel_hashes if chosen else (),
            where=chosen.where if chosen else "",
        )


def _make_candidate(pin: Pin) -> Candidate:
    return Candidate(name=pin.name, version=pin.version, extras=frozenset(), release=pin.release)


def _make_rules(file: DependencyFile) -> Rules:
    """Return what a file says to whatever its dependencies require."""
    constraints: dict[str, SpecifierSet] = {}
    for constraint in file.constraints:
        specifier = constraints.get(constraint.name, SpecifierSet())
        constraints[constraint.name] = specifier & SpecifierSet(constraint.specifier)

    return Rules(
        constraints=constraints,
        overrides={one.name: SpecifierSet(one.specifier) for one in file.overrides},
        excluded=file.excluded,
        takes_prereleases=file.takes_prereleases,
    )
