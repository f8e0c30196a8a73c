"""The requirements of a wheel built elsewhere: other wheels, as pip would choose them from the index."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from packaging.utils import InvalidWheelFilename, parse_wheel_filename
from packaging.version import Version

from builder.distributions.tags import supported_tags
from builder.sources.closure import Candidate, NoSolutionError, resolve_closure
from builder.sources.errors import ANSWER_ERRORS

if TYPE_CHECKING:
    from builder.config.catalog import Base
    from builder.sources.client import Index
    from builder.sources.index_file import IndexFile

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
        except (NoSolutionError, *ANSWER_ERRORS) as error:
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
            pinned = {local.name: (_local_candidate(local),) for local in self._local_wheels}
            self._closures[key] = resolve_closure(root, pinned, self._index, self._python)

        return self._closures[key]

    def _find_wheel(self, candidate: Candidate, ranking: _TagRanking) -> tuple[str, str]:
        """Return (file name, sha256) of the wheel to install for a required release, downloaded if necessary.

        The choice among the release's wheels is pip's: the one whose tags the interpreter prefers on this base. Local
        wheels, i.e. those that are checked in the same command, come first; wheels of the index count only if no local
        wheel fits.

        Args:
            candidate: the required release, as the resolver chose it.
            ranking: the tags that the interpreter accepts on the base.

        Raises:
            MissingRequirementError: the release has no wheel for the interpreter on the base.
        """
        # Several builds of one release may be checked together.
        local_wheels: list[LocalWheel] = []
        for local in self._local_wheels:
            if (local.name, local.version) == (candidate.name, candidate.version):
                local_wheels.append(local)

        best_local = ranking.find_best(local_wheels)
        if best_local is not None:
            return best_local.filename, best_local.sha256

        # Without a release the candidate is a local wheel, and was not looked up in the index.
        index_wheels = () if candidate.release is None else candidate.release.wheels
        best_of_index = ranking.find_best(index_wheels)
        if best_of_index is not None:
            return best_of_index.filename, self._index.download(best_of_index)

        raise MissingRequirementError(
            f"it needs {candidate.name} {candidate.version}, of which there is no wheel"
            f" for {ranking.abi} on {ranking.base.name}"
        )


_Wheel = TypeVar("_Wheel", LocalWheel, "IndexFile")
"""A local wheel, or a wheel of the index: both have a `filename`."""


class _TagRanking:
    """Ranks wheels as pip does: by the tags that an interpreter accepts on a base, the preferred tags first."""

    def __init__(self, abi: str, base: Base) -> None:
        self.abi = abi
        self.base = base
        self._positions = {tag: position for position, tag in enumerate(supported_tags(abi, base))}

    def find_best(self, wheels: Iterable[_Wheel]) -> _Wheel | None:
        """Return the wheel with the best tag, of equals the first. None if the interpreter accepts none of them."""
        best: _Wheel | None = None
        best_position: int | None = None
        for wheel in wheels:
            position = self._find_position(wheel.filename)
            if position is None:
                continue  # the interpreter does not accept it

            if best_position is None or position < best_position:
                best, best_position = wheel, position

        return best

    def _find_position(self, filename: str) -> int | None:
        """Return the position of a wheel's best tag; 0 is the one that the interpreter prefers to all others.

        None if the interpreter accepts none of the wheel's tags, or the file name is malformed.
        """
        try:
            tags = parse_wheel_filename(filename)[3]
        except InvalidWheelFilename:
            return None

        return min((self._positions[tag] for tag in tags if tag in self._positions), default=None)


def _local_candidate(wheel: LocalWheel) -> Candidate:
    """Return a checked wheel in the resolver's form."""
    return Candidate(
        name=wheel.name,
        version=wheel.version,
        extras=frozenset(),
        requires=wheel.requires,
    )
