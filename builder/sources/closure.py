"""What a package needs at run time on CPython 3.14: a whole, consistent set, found from metadata alone."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version
from resolvelib import AbstractProvider, BaseReporter, ResolutionImpossible, Resolver
from resolvelib.resolvers import ResolutionTooDeep

from builder.sources.cool_down import find_held
from builder.sources.markers import marker_applies
from builder.untrusted.names import UntrustedNameError, parse_requirement

if TYPE_CHECKING:
    from builder.sources.client import Index
    from builder.sources.releases import Release

_MAX_ROUNDS = 2000
"""Rounds of resolvelib, each of which settles one package or takes one back. pip allows a hundred times as many, for
one set that somebody waits for; here it would hold up a whole matrix. Not measured."""


_MAX_ASKED = 5_000
"""Projects that the index is asked for in one search, each with a request or more; far above any set. Not measured."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """A release of a package, with the extras that are asked of it.

    Attributes:
        requires: what it requires where that is known beforehand, as of a local sdist.
    """

    name: str
    version: Version
    extras: frozenset[str]
    release: Release | None = None
    requires: tuple[str, ...] | None = None


class NoSolutionError(Exception):
    """No set of releases satisfies every requirement."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rules:
    """What holds for a search besides what packages require.

    Attributes:
        constraints: allowed versions by name. They do not bring in a package: they count only where one is required.
        overrides: what replaces every requirement on a package, by name.
        excluded: packages that nobody gets, whoever requires them.
        takes_prereleases: whether pre-releases count like any other release; else only where one is asked for.
    """

    constraints: Mapping[str, SpecifierSet] = field(default_factory=dict)
    overrides: Mapping[str, SpecifierSet] = field(default_factory=dict)
    excluded: frozenset[str] = frozenset()
    takes_prereleases: bool = False

    def adapt(self, requirement: Requirement) -> Requirement | None:
        """Return a requirement as it counts here; None where it does not."""
        name = canonicalize_name(requirement.name)
        if name in self.excluded:
            return None
        if name not in self.overrides:
            return requirement

        adapted = copy(requirement)
        adapted.specifier = self.overrides[name]
        return adapted

    def limit(self, name: str) -> SpecifierSet:
        """Return what holds for a package, whoever requires it."""
        specifier = self.constraints.get(name, SpecifierSet())
        if self.takes_prereleases:
            specifier &= SpecifierSet(prereleases=True)
        return specifier


_NO_RULES = Rules()


def resolve_closure(
    root: Candidate,
    pinned: Mapping[str, Sequence[Candidate]],
    index: Index,
    python: Version,
    rules: Rules = _NO_RULES,
) -> list[Candidate]:
    """Return the releases that a package needs at run time, such that all requirements hold together.

    They include what its requirements require in turn, but not the package itself, and are sorted by name, with one
    release for each. The list is empty if the package requires nothing.

    Args:
        root: the package.
        pinned: releases to prefer over all others, by name, the best first; another is taken only where none fits.
        index: the package index, for all other releases and for what a release requires.
        python: the interpreter's version, for markers and `requires-python`.
        rules: what holds besides.

    Raises:
        NoSolutionError: no releases satisfy all requirements, or the search took too long.
        NoIndexAnswerError: the index does not answer.
    """
    # The root counts as pinned, too, so that its own version is found without the index. A local one is not on it.
    preferred = {**pinned, root.name: (root,)}
    provider = _Provider(preferred, index, python, rules)
    chosen = _search(Requirement(f"{root.name}=={root.version}"), provider)

    # resolvelib chooses `a` and `a[extra]` apart, but always at the same version: each name is returned once.
    by_name = {candidate.name: candidate for candidate in chosen}
    return [candidate for name, candidate in sorted(by_name.items()) if name != root.name]


def _search(start: Requirement, provider: _Provider) -> Iterable[Candidate]:
    """Return the candidates that resolvelib chooses for a requirement and for everything it requires in turn.

    Raises:
        NoSolutionError: there is no choice that satisfies everything, or resolvelib needs more than `_MAX_ROUNDS`.
    """
    resolver = Resolver(provider, BaseReporter())
    try:
        result = resolver.resolve([start], max_rounds=_MAX_ROUNDS)
    except ResolutionImpossible as error:
        # The same requirement may be a cause several times, once for each package that states it.
        conflicting = sorted({f"{cause.requirement}" for cause in error.causes})
        held = {provider.describe_held(cause.requirement) for cause in error.causes} - {""}
        explanation = f" ({'; '.join(sorted(held))})" if held else ""
        raise NoSolutionError(f"nothing satisfies {', '.join(conflicting)}{explanation}") from None
    except ResolutionTooDeep:
        raise NoSolutionError("the search for a consistent set was given up") from None

    candidates: Iterable[Candidate] = result.mapping.values()
    return candidates


class _Provider(AbstractProvider):  # type: ignore[misc] # resolvelib is followed as untyped
    """What resolvelib asks: who a requirement means, which releases there are, what each requires."""

    def __init__(
        self,
        pinned: Mapping[str, Sequence[Candidate]],
        index: Index,
        python: Version,
        rules: Rules,
    ) -> None:
        self._pinned = pinned
        self._rules = rules
        self._index = index
        self._python = python
        self._asked: set[str] = set()

    def identify(
        self, requirement_or_candidate: Requirement | Candidate
    ) -> tuple[str, frozenset[str]]:
        """Return what resolvelib tells packages apart by: the canonical name and the extras that are asked for."""
        extras = frozenset(canonicalize_name(extra) for extra in requirement_or_candidate.extras)
        return canonicalize_name(requirement_or_candidate.name), extras

    def get_preference(
        self,
        identifier: Any,  # noqa: ANN401 - resolvelib's own types
        resolutions: Any,  # noqa: ANN401, ARG002 - as above
        candidates: Any,  # noqa: ANN401, ARG002 - as above
        information: Any,  # noqa: ANN401 - as above
        backtrack_causes: Any,  # noqa: ANN401 - as above
    ) -> tuple[bool | str | list[str], ...]:
        """Return a sort key that says how early resolvelib is to choose a release of this package.

        First come pinned packages, then those required at an exact version (`==`), then those whose requirements led
        to a dead end before, then those with any version limit. Names and extras make the order the same every time.
        """
        name, extras = identifier
        specifiers = [part.requirement.specifier for part in information[identifier]]
        was_in_the_way = any(
            self.identify(cause.requirement)[0] == name for cause in backtrack_causes
        )

        # resolvelib takes the smallest: False comes before True.
        return (
            name not in self._pinned,
            not any(map(_has_equality, specifiers)),
            not was_in_the_way,
            not any(map(len, specifiers)),
            name,
            sorted(extras),
        )

    def find_matches(
        self,
        identifier: Any,  # noqa: ANN401 - as above
        requirements: Mapping[Any, Iterator[Requirement]],
        incompatibilities: Mapping[Any, Any],
    ) -> Callable[[], Iterator[Candidate]]:
        """Return a function that yields the releases that satisfy all requirements for a package, the best first.

        It yields pinned releases first, and asks the index only if resolvelib wants more.
        """
        name, extras = identifier
        specifier = self._rules.limit(name)
        for requirement in requirements[identifier]:
            specifier &= requirement.specifier

        rejected = {candidate.version for candidate in incompatibilities[identifier]}
        return partial(self._iter_candidates, name, extras, specifier, rejected)

    def _iter_candidates(
        self,
        name: str,
        extras: frozenset[str],
        specifier: SpecifierSet,
        rejected: Container[Version],
    ) -> Iterator[Candidate]:
        """Yield the pinned releases that are allowed, and after them the other allowed ones, the newest first.

        `rejected` has the versions that resolvelib ruled out.
        """
        pinned = [
            candidate
            for candidate in self._pinned.get(name, ())
            if candidate.version not in rejected
        ]
        for candidate in pinned:
            if specifier.contains(candidate.version, prereleases=True):
                yield replace(candidate, extras=extras)

        # From here on only if the caller wants more: until then the index is not asked for this name.
        releases = [release for release in self._releases(name) if release.version not in rejected]
        pinned_versions = [candidate.version for candidate in pinned]
        versions = [*pinned_versions, *(release.version for release in releases)]

        # All at once: pre-releases count only where one is asked for, or where nothing else is left (PEP 440).
        allowed = set(specifier.filter(versions)).difference(pinned_versions)
        for release in releases:
            if release.version in allowed:
                yield Candidate(name=name, version=release.version, extras=extras, release=release)

    def is_satisfied_by(self, requirement: Requirement, candidate: Candidate) -> bool:
        return bool(requirement.specifier.contains(candidate.version, prereleases=True))

    def get_dependencies(self, candidate: Candidate) -> Iterable[Requirement]:
        """Yield the requirements of a candidate whose markers hold; requirements that cannot be parsed are skipped."""
        # With extras it is a candidate of its own to resolvelib, which must not end up at another version.
        if candidate.extras:
            yield Requirement(f"{candidate.name}=={candidate.version}")

        for text in self._stated_requirements(candidate):
            try:
                requirement = parse_requirement(text)
            except UntrustedNameError:
                continue  # pip refuses such metadata too, and says so when the wheel is installed
            if marker_applies(requirement.marker, self._python, candidate.extras):
                adapted = self._rules.adapt(requirement)
                if adapted is not None:
                    yield adapted

    def _stated_requirements(self, candidate: Candidate) -> tuple[str, ...]:
        """Return a candidate's requirements as its metadata states them, asking the index where they are unknown."""
        if candidate.requires is not None:
            return candidate.requires

        assert candidate.release is not None, "only what is known beforehand has no release"
        return self._index.requirements(candidate.name, candidate.release)

    def describe_held(self, requirement: Requirement) -> str:
        """Say which release the cool-down holds back that a requirement allows; empty where it holds none."""
        name = canonicalize_name(requirement.name)
        held = find_held(self._index.held_releases(name), requirement.specifier)
        return f"{name} {held.describe()}" if held is not None else ""

    def _releases(self, name: str) -> list[Release]:
        """Return a package's releases that are not yanked and allow this Python; empty where the index has none.

        Raises:
            NoSolutionError: the index was asked for very many packages already.
        """
        self._asked.add(name)
        if len(self._asked) > _MAX_ASKED:
            raise NoSolutionError(f"more than {_MAX_ASKED} packages were looked at to find a set")

        return [
            release
            for release in self._index.releases(name) or ()
            if release.allows_python(self._python) and not release.yanked
        ]


def _has_equality(specifier: SpecifierSet) -> bool:
    return any(clause.operator in {"==", "==="} for clause in specifier)
