"""The requirements of a wheel built elsewhere: other wheels, as pip would choose them from the index."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.utils import InvalidWheelFilename, parse_wheel_filename
from packaging.version import Version

from builder.distributions.tags import supported_tags
from builder.sources.closure import Candidate, NoSolutionError, resolve_closure
from builder.sources.errors import FileMismatchError, NoIndexAnswerError

if TYPE_CHECKING:
    from builder.config.catalog import Base
    from builder.sources.client import Index

WheelFiles = Mapping[str, tuple[str, str]]
"""(file name, sha256) by package."""


class MissingRequirementError(Exception):
    """A requirement of a wheel cannot be satisfied."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LocalWheel:
    """A wheel among those that are checked together; it is preferred to the index's.

    Attributes:
        requires: requirements of its metadata (PEP 508).
    """

    name: str
    version: Version
    filename: str
    sha256: str
    requires: tuple[str, ...]


class RuntimeRequirements:
    """Finds what wheels need, each release once."""

    def __init__(self, index: Index, python: Version, local_wheels: Iterable[LocalWheel]) -> None:
        self._index = index
        self._python = python
        self._local_wheels = tuple(local_wheels)
        self._closures: dict[tuple[str, Version, tuple[str, ...]], list[Candidate]] = {}

    def find_wheels(self, wheel: LocalWheel, abi: str, base: Base) -> WheelFiles:
        """Return the wheels that one wheel needs, for an interpreter on a base.

        Raises:
            MissingRequirementError: one is missing, no releases fit together, or the index does not answer.
        """
        ranking = _TagRanking(abi, base)
        files: dict[str, tuple[str, str]] = {}
        try:
            for candidate in self._resolve(wheel):
                files[candidate.name] = self._find_wheel(candidate, ranking)
        except (NoSolutionError, NoIndexAnswerError, FileMismatchError) as error:
            raise MissingRequirementError(
                f"its requirements cannot be satisfied: {error}"
            ) from None

        return files

    def _resolve(self, wheel: LocalWheel) -> Sequence[Candidate]:
        if not wheel.requires:
            return ()

        key = (wheel.name, wheel.version, wheel.requires)
        if key not in self._closures:
            root = _local_candidate(wheel)
            pinned = {local.name: _local_candidate(local) for local in self._local_wheels}
            self._closures[key] = resolve_closure(root, pinned, self._index, self._python)

        return self._closures[key]

    def _find_wheel(self, candidate: Candidate, ranking: _TagRanking) -> tuple[str, str]:
        """Return (file name, sha256) of the wheel that pip would take of a release."""
        beside: list[LocalWheel] = []
        for local in self._local_wheels:
            if (local.name, local.version) == (candidate.name, candidate.version):
                beside.append(local)
        best_local = min(beside, key=lambda local: ranking.rank(local.filename), default=None)
        if best_local is not None and ranking.accepts(best_local.filename):
            return best_local.filename, best_local.sha256

        wheels = () if candidate.release is None else candidate.release.wheels
        best = min(wheels, key=lambda file: ranking.rank(file.filename), default=None)
        if best is None or not ranking.accepts(best.filename):
            raise MissingRequirementError(
                f"it needs {candidate.name} {candidate.version}, of which there is no wheel"
                f" for {ranking.abi} on {ranking.base.name}"
            )

        return best.filename, self._index.download(best)


class _TagRanking:
    """The tags that an interpreter takes on a base, in the order in which pip prefers them."""

    def __init__(self, abi: str, base: Base) -> None:
        self.abi = abi
        self.base = base
        self._positions = {tag: position for position, tag in enumerate(supported_tags(abi, base))}

    def rank(self, filename: str) -> int:
        """Return the position of a wheel's best tag; of one that is not taken, a number behind all of them."""
        last = len(self._positions)
        try:
            tags = parse_wheel_filename(filename)[3]
        except InvalidWheelFilename:
            return last

        return min(self._positions.get(tag, last) for tag in tags)

    def accepts(self, filename: str) -> bool:
        """Return whether the interpreter takes a wheel there."""
        return self.rank(filename) < len(self._positions)


def _local_candidate(wheel: LocalWheel) -> Candidate:
    return Candidate(
        name=wheel.name,
        version=wheel.version,
        extras=frozenset(),
        requires=wheel.requires,
    )
