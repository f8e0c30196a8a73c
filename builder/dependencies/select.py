"""Which dependencies the farm takes on, each with the file that the hashes allow: the native ones, or all of them."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from builder.config import catalog
from builder.config.edit import Entry
from builder.dependencies.files.model import SkippedDependency
from builder.dependencies.parallel import process_pins
from builder.sources.kind import Kind, classify_release
from builder.sources.upstream import choose_wheel, explain_lack

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from packaging.version import Version

    from builder.config.catalog import Base
    from builder.config.matrix import Matrix
    from builder.config.values import From
    from builder.dependencies.resolve import Pin, Resolution
    from builder.sources.client import Index
    from builder.sources.index_file import IndexFile
    from builder.store.store import Store

_REJECTION_REASONS = {
    Kind.PURE: "is pure Python: one wheel for every Python; --all takes it on",
    Kind.SPEEDUPS: "has a pure wheel beside its native ones; --speedups takes it on",
    Kind.PROGRAM: (
        "its wheels serve every Python alike: a program, or a library that Python does not import; "
        "--all takes it on"
    ),
    Kind.EMPTY: "the index has neither a wheel nor an sdist of this release",
}

_BROKEN_ALGORITHMS = frozenset({"md5", "sha1"})
"""Hashes of which somebody can make another file; pip refuses them in requirements as well."""


_NATIVE_GROUP = "native"
_PURE_GROUP = "pure Python"
"""Headings in the matrix: a person looks for the native packages, and there are many more pure ones."""


class Scope(StrEnum):
    """Which dependencies are taken on."""

    NATIVE = "native"
    """Those that have nothing but native wheels."""
    SPEEDUPS = "speedups"
    """Also those with a pure wheel beside native ones."""
    ALL = "all"
    """Everything, so that the farm's index installs all of it."""

    def includes(self, kind: Kind) -> bool:
        """Return whether packages of a kind are taken on."""
        if self is Scope.ALL:
            return kind is not Kind.EMPTY
        # Where only the build can tell, it is built.
        may_be_native = kind in {Kind.NATIVE, Kind.UNKNOWN}
        return may_be_native or (kind is Kind.SPEEDUPS and self is Scope.SPEEDUPS)


@dataclass(frozen=True, kw_only=True, slots=True)
class SelectedPackages:
    """What is taken on, and what is not."""

    entries: tuple[Entry, ...]
    left_out: tuple[SkippedDependency, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """What the matrix says that decides which files of a package are taken.

    Attributes:
        abis: names of the interpreters' ABIs.
        bases: where wheels are to run.
        take_from: what wheels are made of where a package does not say.
        python: the interpreters' version.
    """

    abis: tuple[str, ...]
    bases: tuple[Base, ...]
    take_from: From
    python: Version

    @classmethod
    def for_matrix(cls, matrix: Matrix, python: Version) -> Target:
        """Return what a matrix says."""
        bases = catalog.load().bases
        return cls(
            abis=matrix.abis,
            bases=tuple(bases[name] for name in matrix.bases),
            take_from=matrix.farm.take_from,
            python=python,
        )


def select_packages(
    resolution: Resolution,
    index: Index,
    store: Store,
    say: Callable[[str], None],
    *,
    scope: Scope,
    target: Target,
) -> SelectedPackages:
    """Return the dependencies that the farm takes on, as entries for the matrix, and why the others are left out.

    Args:
        resolution: the dependencies, each with its release.
        index: the package index.
        store: where sdists are kept that must be looked into.
        say: shows progress.
        scope: which dependencies are taken on.
        target: what the matrix says.

    Raises:
        IndexUnreachableError: the index does not answer.
    """
    selection = _Selection(index=index, store=store, scope=scope, target=target)
    entries, rejected = process_pins(
        resolution.pins, selection.make_entry, store, say, title="dependencies"
    )

    # The native ones first, which a person works on; within a group, by name as the pins are.
    entries.sort(key=lambda entry: entry.group == _PURE_GROUP)
    left_out = sorted([*resolution.left_out, *rejected], key=lambda item: item.name)

    return SelectedPackages(entries=tuple(entries), left_out=tuple(left_out))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Selection:
    """One selection: each dependency as an entry for the matrix, or why it is not taken on.

    An entry has hashes only where the file states some.
    """

    index: Index
    store: Store
    scope: Scope
    target: Target

    def make_entry(self, pin: Pin) -> Entry | SkippedDependency:
        """Return the entry of a dependency, or why it is not taken on."""
        if pin.refusal:
            why = f"{pin.version} has requires-python {pin.refusal}, which leaves this Python out"
            return _skip(pin, why)

        kind = classify_release(pin.release, self.index, self.store)
        if not self.scope.includes(kind):
            return _skip(pin, _REJECTION_REASONS[kind])
        if kind is Kind.PURE:
            return self._make_pure_entry(pin)
        return self._make_native_entry(pin)

    def _make_pure_entry(self, pin: Pin) -> Entry | SkippedDependency:
        """Return the entry of a pure dependency, by the hash of the wheel that the file names, or else of the sdist."""
        files = list(pin.release.pure_wheels)
        if pin.release.sdist is not None:
            files.append(pin.release.sdist)
        if not files:
            return _skip(pin, f"the index has no file of {pin.version} that this Python takes")
        if not pin.every_hash:
            return _make_entry(pin, _PURE_GROUP)

        for file in files:
            sha256 = self._verify(file, pin.every_hash)
            if sha256 is not None:
                return _make_entry(pin, _PURE_GROUP, sha256)
        return _skip_unnamed(pin, pin.every_hash, files, "it must not be taken")

    def _make_native_entry(self, pin: Pin) -> Entry | SkippedDependency:
        """Return the entry of a native dependency: built from its sdist, or upstream's wheels where it has none."""
        sdist = pin.release.sdist
        takes_wheels = self.target.take_from != "sdist"
        if sdist is None and not takes_wheels and self.scope is not Scope.ALL:
            return _skip(pin, f"the index has no sdist of {pin.version} to build from")

        take_from = ""
        wheels: list[IndexFile] = []
        if sdist is None or takes_wheels:
            wheels = self._choose_wheels(pin)
        if sdist is None and not wheels:
            abi = self.target.abis[0]
            lack = explain_lack(pin.release, abi, self.target.bases, self.target.python)
            return _skip(pin, f"there is no sdist of {pin.version} to build from, and {lack}")
        if sdist is None and self.target.take_from == "sdist":
            take_from = "wheel"

        if not pin.every_hash:
            return _make_entry(pin, _NATIVE_GROUP, take_from=take_from)

        hashes: dict[str, None] = {}
        if sdist is not None and pin.hashes:
            hashes[self._verify(sdist, pin.hashes) or ""] = None
        for wheel in wheels:
            hashes[self._verify(wheel, pin.every_hash) or ""] = None
        hashes.pop("", None)
        if not hashes and (pin.hashes or sdist is None):
            files = [sdist] if sdist is not None else wheels
            return _skip_unnamed(
                pin, pin.hashes or pin.every_hash, files, "it must not be built from that"
            )
        return _make_entry(pin, _NATIVE_GROUP, *hashes, take_from=take_from)

    def _choose_wheels(self, pin: Pin) -> list[IndexFile]:
        """Return the wheel of upstream's that an installer takes for each ABI; none where it takes none."""
        named = {value.removeprefix("sha256:") for value in pin.every_hash}
        chosen: list[IndexFile] = []
        for abi in self.target.abis:
            wheel = choose_wheel(pin.release, abi, self.target.bases, self.target.python, named)
            if wheel is not None and wheel not in chosen:
                chosen.append(wheel)
        return chosen

    def _verify(self, file: IndexFile, hashes: tuple[str, ...]) -> str | None:
        return _verify_file(file, hashes, self.index, self.store)


def _make_entry(pin: Pin, group: str, *hashes: str, take_from: str = "") -> Entry:
    return Entry(
        name=pin.name,
        version=f"=={pin.version}",
        hashes=hashes,
        take_from=take_from,
        group=group,
    )


def _skip_unnamed(
    pin: Pin, hashes: tuple[str, ...], files: Sequence[IndexFile], consequence: str
) -> SkippedDependency:
    """Leave a dependency out because none of the file's hashes is that of any of its files."""
    names = ", ".join(file.filename for file in files)
    why = f"none of the file's {len(hashes)} hashes is that of {names}: {consequence}"
    return _skip(pin, why)


def _skip(pin: Pin, why: str) -> SkippedDependency:
    return SkippedDependency(name=pin.name, where=pin.where, why=why)


def _verify_file(
    file: IndexFile, hashes: tuple[str, ...], index: Index, store: Store
) -> str | None:
    """Return a distribution's sha256 if one of the hashes that were stated is its own, or None if none is.

    The hash that the index promises is enough where it matches: the farm checks the file itself against what is
    returned. Broken kinds of hash (md5, sha1) never match.
    """
    wanted = {value.lower() for value in hashes}
    algorithms = {value.partition(":")[0] for value in wanted}

    promised = (file.digests or {}).get("sha256", "").lower()
    is_promised = re.fullmatch(r"[0-9a-f]{64}", promised) is not None
    if is_promised and f"sha256:{promised}" in wanted:
        return promised
    if is_promised and algorithms == {"sha256"}:
        return None

    # The hashes are of another kind than the index promises: only the file itself can tell.
    sha256 = index.download(file)
    usable = algorithms & hashlib.algorithms_guaranteed - _BROKEN_ALGORITHMS
    for name in usable:
        if name.startswith("shake"):
            continue  # its length is free, and no file of dependencies has it
        with store.file(sha256).open("rb") as content:
            actual = hashlib.file_digest(content, name).hexdigest()
        if f"{name}:{actual}" in wanted:
            return sha256
    return None
