"""What a package needs at run time on CPython 3.14: a whole, consistent set, found from metadata alone."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version
from resolvelib import AbstractProvider, BaseReporter, ResolutionImpossible, Resolver
from resolvelib.resolvers import ResolutionTooDeep

from builder.sources.markers import marker_environment

if TYPE_CHECKING:
    from builder.sources.client import Index, Release

_MAX_ROUNDS = 2000


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


def resolve_closure(
    root: Candidate,
    pinned: Mapping[str, Candidate],
    index: Index,
    python: Version,
    constraints: Mapping[str, SpecifierSet] | None = None,
) -> list[Candidate]:
    """Return the releases a package needs, itself left out.

    Args:
        root: the package.
        pinned: releases the matrix has chosen, preferred over all others.
        index: where the rest is found.
        python: the interpreter's version, for markers and `requires-python`.
        constraints: which releases of a package will do, should anything require it.

    Raises:
        NoSolutionError: there is no consistent set.
        NoIndexAnswerError: the index does not answer.
    """
    provider = _Provider({**pinned, root.name: root}, index, python, constraints or {})
    start = Requirement(f"{root.name}=={root.version}")
    try:
        result = Resolver(provider, BaseReporter()).resolve([start], max_rounds=_MAX_ROUNDS)
    except ResolutionImpossible as error:
        causes = sorted({f"{cause.requirement}" for cause in error.causes})
        raise NoSolutionError(f"nothing satisfies {', '.join(causes)}") from None
    except ResolutionTooDeep:
        raise NoSolutionError("the search for a consistent set was given up") from None
    found = {candidate.name: candidate for candidate in result.mapping.values()}
    return [candidate for name, candidate in sorted(found.items()) if name != root.name]


class _Provider(AbstractProvider):  # type: ignore[misc] # resolvelib is followed as untyped
    """What resolvelib asks: who a requirement means, which releases there are, what each requires."""

    def __init__(
        self, pinned: Mapping[str, Candidate], index: Index, python: Version, constraints: Mapping[str, SpecifierSet]
    ) -> None:  # fmt: skip
        self._pinned = pinned
        self._constraints = constraints
        self._index = index
        self._python = python

    def identify(
        self, requirement_or_candidate: Requirement | Candidate
    ) -> tuple[str, frozenset[str]]:
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
        """Decide first on what leaves no choice, then on what was in the way, then on what is restricted at all."""
        name, extras = identifier
        wanted = [one.requirement.specifier for one in information[identifier]]
        causes = {self.identify(cause.requirement)[0] for cause in backtrack_causes}
        exact = any(part.operator in {"==", "==="} for specifier in wanted for part in specifier)
        return (
            name not in self._pinned,
            not exact,
            name not in causes,
            not any(map(len, wanted)),
            name,
            sorted(extras),
        )

    def find_matches(
        self,
        identifier: Any,  # noqa: ANN401 - as above
        requirements: Mapping[Any, Iterator[Requirement]],
        incompatibilities: Mapping[Any, Any],
    ) -> Callable[[], Iterator[Candidate]]:
        """Give what the matrix has chosen first; the index is asked only once that will not do."""
        name, extras = identifier
        wanted = self._constraints.get(name, SpecifierSet())
        for requirement in requirements[identifier]:
            wanted &= requirement.specifier
        refused = {candidate.version for candidate in incompatibilities[identifier]}
        return partial(self._iter_candidates, name, extras, wanted, refused)

    def _iter_candidates(
        self, name: str, extras: frozenset[str], wanted: SpecifierSet, refused: Container[Version]
    ) -> Iterator[Candidate]:  # fmt: skip
        first = self._pinned.get(name)
        if first is not None and first.version in refused:
            first = None
        if first is not None and wanted.contains(first.version, prereleases=True):
            yield replace(first, extras=extras)
        releases = [release for release in self._releases(name) if release.version not in refused]
        # All at once: pre-releases count only where one is asked for, or where nothing else is left (PEP 440).
        allowed = set(
            wanted.filter([*([first.version] if first else []), *(one.version for one in releases)])
        )
        for release in releases:
            if release.version in allowed and (first is None or release.version != first.version):
                yield Candidate(name=name, version=release.version, extras=extras, release=release)

    def is_satisfied_by(self, requirement: Requirement, candidate: Candidate) -> bool:
        return bool(requirement.specifier.contains(candidate.version, prereleases=True))

    def get_dependencies(self, candidate: Candidate) -> Iterable[Requirement]:
        stated = candidate.requires
        if stated is None:
            assert candidate.release is not None
            stated = self._index.requirements(candidate.name, candidate.release)
        if candidate.extras:
            yield Requirement(f"{candidate.name}=={candidate.version}")
        for text in stated:
            try:
                requirement = Requirement(text)
                requirement.specifier.contains("0")  # its versions are parsed when they are needed
                applies = self._marker_applies(requirement, candidate.extras)
            except ValueError:
                continue  # pip refuses such metadata too, and says so when the wheel is installed
            if applies:
                yield requirement

    def _marker_applies(self, requirement: Requirement, extras: frozenset[str]) -> bool:
        marker = requirement.marker
        if marker is None:
            return True
        return any(
            marker.evaluate(marker_environment(self._python, extra))
            for extra in ("", *sorted(extras))
        )

    def _releases(self, name: str) -> list[Release]:
        """Return the releases of a package that can be had."""
        known = self._index.releases(name) or ()
        return [
            release
            for release in known
            if release.allows_python(self._python) and not release.yanked
        ]
