"""Which dependencies the farm takes on, each with the file that the hashes allow: the native ones, or all of them."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from builder.config.edit import Entry
from builder.dependencies.files.model import SkippedDependency
from builder.dependencies.parallel import process_pins
from builder.sources.kind import Kind, classify_release

if TYPE_CHECKING:
    from collections.abc import Callable

    from pypi_simple import DistributionPackage

    from builder.dependencies.resolve import Pin, Resolution
    from builder.sources.client import Index
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
        return kind is Kind.NATIVE or (kind is Kind.SPEEDUPS and self is Scope.SPEEDUPS)


@dataclass(frozen=True, kw_only=True, slots=True)
class SelectedPackages:
    """What is taken on, and what is not."""

    entries: tuple[Entry, ...]
    left_out: tuple[SkippedDependency, ...]


def select_packages(
    resolution: Resolution,
    index: Index,
    store: Store,
    say: Callable[[str], None],
    *,
    scope: Scope,
) -> SelectedPackages:
    """Return the dependencies that the farm takes on, as entries for the matrix, and why the others are left out.

    Args:
        resolution: the dependencies, each with its release.
        index: the package index.
        store: where sdists are kept that must be looked into.
        say: shows progress.
        scope: which dependencies are taken on.

    Raises:
        IndexUnreachableError: the index does not answer.
    """

    def select(pin: Pin) -> Entry | SkippedDependency:
        return _make_entry(pin, index, store, scope)

    entries, rejected = process_pins(resolution.pins, select, store, say, title="dependencies")
    # The native ones first, which a person works on; within a group, by name as the pins are.
    entries.sort(key=lambda entry: entry.group == _PURE_GROUP)
    left_out = sorted([*resolution.left_out, *rejected], key=lambda item: item.name)

    return SelectedPackages(entries=tuple(entries), left_out=tuple(left_out))


def _make_entry(pin: Pin, index: Index, store: Store, scope: Scope) -> Entry | SkippedDependency:
    """Return a dependency as an entry for the matrix, or why it is not taken on.

    An entry has a hash only where the file states hashes.
    """
    if pin.refusal:
        why = f"{pin.version} has requires-python {pin.refusal}, which leaves this Python out"
        return _skip(pin, why)

    kind = classify_release(pin.release, index, store)
    if not scope.includes(kind):
        return _skip(pin, _REJECTION_REASONS[kind])
    if kind is Kind.PURE and pin.release.pure_wheels:
        return _make_pure_entry(pin, index, store)
    return _make_sdist_entry(pin, index, store, _PURE_GROUP if kind is Kind.PURE else _NATIVE_GROUP)


def _make_pure_entry(pin: Pin, index: Index, store: Store) -> Entry | SkippedDependency:
    """Return the entry of a dependency with pure wheels, by the hash of the one that the file names.

    Where the file names the sdist alone, that is what may be taken.
    """
    if not pin.every_hash:
        return Entry(name=pin.name, version=f"=={pin.version}", group=_PURE_GROUP)

    for wheel in pin.release.pure_wheels:
        sha256 = _verify_file(wheel, pin.every_hash, index, store)
        if sha256 is not None:
            return Entry(
                name=pin.name, version=f"=={pin.version}", sha256=sha256, group=_PURE_GROUP
            )

    if pin.release.sdist is not None:
        return _make_sdist_entry(pin, index, store, _PURE_GROUP)
    names = ", ".join(wheel.filename for wheel in pin.release.pure_wheels)
    why = (
        f"none of the file's {len(pin.every_hash)} hashes is that of {names}: it must not be served"
    )
    return _skip(pin, why)


def _make_sdist_entry(
    pin: Pin, index: Index, store: Store, group: str
) -> Entry | SkippedDependency:
    """Return the entry of a dependency that is built from its sdist, by the sdist's hash where the file has hashes."""
    sdist = pin.release.sdist
    if sdist is None:
        return _skip(pin, f"the index has no sdist of {pin.version} to build from")
    if not pin.hashes:
        return Entry(name=pin.name, version=f"=={pin.version}", group=group)

    sha256 = _verify_file(sdist, pin.hashes, index, store)
    if sha256 is None:
        why = f"none of the file's {len(pin.hashes)} hashes is that of {sdist.filename}: it must not be built from that"
        return _skip(pin, why)
    return Entry(name=pin.name, version=f"=={pin.version}", sha256=sha256, group=group)


def _skip(pin: Pin, why: str) -> SkippedDependency:
    return SkippedDependency(name=pin.name, where=pin.where, why=why)


def _verify_file(
    file: DistributionPackage, hashes: tuple[str, ...], index: Index, store: Store
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
