"""What a wheel built elsewhere needs to be imported: other wheels, as pip would choose them from the index."""

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
    """What a wheel needs cannot be had."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LocalWheel:
    """A wheel that is given together with others, and preferred to the index's.

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

    def __init__(self, index: Index, python: Version, neighbours: Iterable[LocalWheel]) -> None:
        self._index = index
        self._python = python
        self._neighbours = tuple(neighbours)
        self._needed: dict[tuple[str, Version, tuple[str, ...]], list[Candidate]] = {}

    def find_wheels(self, wheel: LocalWheel, abi: str, base: Base) -> WheelFiles:
        """Return the wheels that one wheel needs, for an interpreter on a base.

        Raises:
            MissingRequirementError: one is missing, no releases fit together, or the index does not answer.
        """
        try:
            return {need.name: self._find_wheel(need, abi, base) for need in self._closure(wheel)}
        except (NoSolutionError, NoIndexAnswerError, FileMismatchError) as error:
            raise MissingRequirementError(f"what it needs cannot be had: {error}") from None

    def _closure(self, wheel: LocalWheel) -> Sequence[Candidate]:
        key = (wheel.name, wheel.version, wheel.requires)
        if key not in self._needed:
            pinned = {one.name: _local_candidate(one) for one in self._neighbours}
            root = _local_candidate(wheel)
            self._needed[key] = (
                resolve_closure(root, pinned, self._index, self._python) if wheel.requires else []
            )
        return self._needed[key]

    def _find_wheel(self, need: Candidate, abi: str, base: Base) -> tuple[str, str]:
        order = {tag: place for place, tag in enumerate(supported_tags(abi, base))}

        def rank(filename: str) -> int:
            try:
                return min(order.get(tag, len(order)) for tag in parse_wheel_filename(filename)[3])
            except InvalidWheelFilename:
                return len(order)

        near = [
            one for one in self._neighbours if (one.name, one.version) == (need.name, need.version)
        ]
        beside = min(near, key=lambda one: rank(one.filename), default=None)
        if beside is not None and rank(beside.filename) < len(order):
            return beside.filename, beside.sha256
        wheels = need.release.wheels if need.release is not None else ()
        chosen = min(wheels, key=lambda file: rank(file.filename), default=None)
        if chosen is None or rank(chosen.filename) == len(order):
            raise MissingRequirementError(
                f"it needs {need.name} {need.version}, of which there is no wheel for {abi} on {base.name}"
            )
        return chosen.filename, self._index.download(chosen)


def _local_candidate(wheel: LocalWheel) -> Candidate:
    return Candidate(
        name=wheel.name, version=wheel.version, extras=frozenset(), requires=wheel.requires
    )
