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
    """A wheel that is checked together with others, and is preferred to the index's wheels of the same name.

    Attributes:
        name: the package's canonical name.
        version: its version.
        filename: name of the wheel file.
        sha256: hash of its content.
        requires: requirements of its metadata (PEP 508).
    """

    name: str
    version: Version
    filename: str
    sha256: str
    requires: tuple[str, ...]


class RuntimeRequirements:
    """Finds the wheels that a checked wheel requires at run time; each set of requirements is resolved only once."""

    def __init__(self, index: Index, python: Version, local_wheels: Iterable[LocalWheel]) -> None:
        self._index = index
        self._python = python
        self._local_wheels = tuple(local_wheels)
        self._closures: dict[tuple[str, Version, tuple[str, ...]], list[Candidate]] = {}

    def find_wheels(self, wheel: LocalWheel, abi: str, base: Base) -> WheelFiles:
        """Return the wheels to install beside a wheel, for an interpreter on a base; none if it requires nothing.

        Args:
            wheel: the wheel whose requirements to satisfy.
            abi: name of the interpreter's ABI.
            base: the base, i.e. the image of a Debian or Ubuntu release.

        Raises:
            MissingRequirementError: a required wheel is missing, no releases fit together, or the index is silent.
        """
        ranking = _TagRanking(abi, base)
        files: dict[str, tuple[str, str]] = {}
        try:
            for candidate in self._resolve(wheel):
                files[candidate.name] = self._find_wheel(candidate, ranking)
        except (NoSolutionError, NoIndexAnswerError, FileMismatchError) as error:
            raise MissingRequirementError(
                f"its requirements cannot be satisfied: {error}"
            ) from None  # the message has the cause

        return files

    def _resolve(self, wheel: LocalWheel) -> Sequence[Candidate]:
        """Return the releases that satisfy a wheel's requirements, and theirs in turn.

        Wheels that are checked together are pinned: their own releases are taken, not others from the index.
        """
        if not wheel.requires:
            return ()

        key = (wheel.name, wheel.version, wheel.requires)
        if key not in self._closures:
            root = _local_candidate(wheel)
            pinned = {local.name: _local_candidate(local) for local in self._local_wheels}
            self._closures[key] = resolve_closure(root, pinned, self._index, self._python)

        return self._closures[key]

    def _find_wheel(self, candidate: Candidate, ranking: _TagRanking) -> tuple[str, str]:
        """Return (file name, sha256) of the wheel that pip would choose among a release's wheels.

        A wheel that is checked together with the others comes before the index's wheels of the same release.

        Raises:
            MissingRequirementError: the release has no wheel for the interpreter on the base.
        """
        local_wheels: list[LocalWheel] = []
        for local in self._local_wheels:
            if (local.name, local.version) == (candidate.name, candidate.version):
                local_wheels.append(local)
        best_local = min(local_wheels, key=lambda local: ranking.rank(local.filename), default=None)
        if best_local is not None and ranking.accepts(best_local.filename):
            return best_local.filename, best_local.sha256

        wheels = () if candidate.release is None else candidate.release.wheels
        best_file = min(wheels, key=lambda file: ranking.rank(file.filename), default=None)
        if best_file is None or not ranking.accepts(best_file.filename):
            raise MissingRequirementError(
                f"it needs {candidate.name} {candidate.version}, of which there is no wheel"
                f" for {ranking.abi} on {ranking.base.name}"
            )

        return best_file.filename, self._index.download(best_file)


class _TagRanking:
    """Ranks wheels as pip does: by the tags that an interpreter accepts on a base, the preferred tags first."""

    def __init__(self, abi: str, base: Base) -> None:
        self.abi = abi
        self.base = base
        self._positions = {tag: position for position, tag in enumerate(supported_tags(abi, base))}

    def rank(self, filename: str) -> int:
        """Return the position of a wheel's best tag; the lower, the better.

        A wheel that the interpreter does not accept, or whose name is malformed, gets a number behind all positions.
        """
        behind_all = len(self._positions)
        try:
            tags = parse_wheel_filename(filename)[3]
        except InvalidWheelFilename:
            return behind_all

        return min(self._positions.get(tag, behind_all) for tag in tags)

    def accepts(self, filename: str) -> bool:
        """Return whether the interpreter accepts a wheel on the base, by the tags in its file name."""
        return self.rank(filename) < len(self._positions)


def _local_candidate(wheel: LocalWheel) -> Candidate:
    """Return a checked wheel in the resolver's form."""
    return Candidate(
        name=wheel.name,
        version=wheel.version,
        extras=frozenset(),
        requires=wheel.requires,
    )
