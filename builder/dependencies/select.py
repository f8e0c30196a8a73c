"""Which dependencies the farm takes on: the native ones, each with the sdist that the file's hashes allow."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
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
    Kind.PURE: "is pure Python: one wheel for every Python",
    Kind.SPEEDUPS: "has a pure wheel beside its native ones; --speedups takes it on",
    Kind.PROGRAM: "its wheels serve every Python alike: a program, or a library that Python does not import",
    Kind.EMPTY: "the index has neither a wheel nor an sdist of this release",
}

_BROKEN_ALGORITHMS = frozenset({"md5", "sha1"})
"""Hashes of which somebody can make another file; pip refuses them in requirements as well."""


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
    speedups: bool,
) -> SelectedPackages:
    """Return the dependencies that the farm builds, as entries for the matrix, and why the others are left out.

    Args:
        resolution: the dependencies, each with its release.
        index: the package index.
        store: where sdists are kept that must be looked into.
        say: shows progress.
        speedups: whether packages with a pure wheel beside native ones are built as well.

    Raises:
        IndexUnreachableError: the index does not answer.
    """

    def select(pin: Pin) -> Entry | SkippedDependency:
        return _make_entry(pin, index, store, speedups=speedups)

    entries, rejected = process_pins(resolution.pins, select, store, say, title="dependencies")
    left_out = sorted([*resolution.left_out, *rejected], key=lambda item: item.name)

    return SelectedPackages(entries=tuple(entries), left_out=tuple(left_out))


def _make_entry(
    pin: Pin, index: Index, store: Store, *, speedups: bool
) -> Entry | SkippedDependency:
    """Return a dependency as an entry for the matrix, or why it is not taken on.

    Only native ones are, and with `speedups` those with a pure wheel beside native ones. An entry has a hash only where
    the file states hashes.
    """
    if pin.refusal:
        why = f"{pin.version} has requires-python {pin.refusal}, which leaves this Python out"
        return _skip(pin, why)

    kind = classify_release(pin.release, index, store)
    is_wanted = kind is Kind.NATIVE or (kind is Kind.SPEEDUPS and speedups)
    if not is_wanted:
        return _skip(pin, _REJECTION_REASONS[kind])

    sdist = pin.release.sdist
    if sdist is None:
        return _skip(pin, f"the index has no sdist of {pin.version} to build from")
    if not pin.hashes:
        return Entry(name=pin.name, version=f"=={pin.version}")

    sha256 = _verify_sdist(sdist, pin.hashes, index, store)
    if sha256 is None:
        why = f"none of the file's {len(pin.hashes)} hashes is that of {sdist.filename}: it must not be built from that"
        return _skip(pin, why)
    return Entry(name=pin.name, version=f"=={pin.version}", sha256=sha256)


def _skip(pin: Pin, why: str) -> SkippedDependency:
    return SkippedDependency(name=pin.name, where=pin.where, why=why)


def _verify_sdist(
    sdist: DistributionPackage, hashes: tuple[str, ...], index: Index, store: Store
) -> str | None:
    """Return the sdist's sha256 if one of the file's hashes is the sdist's, or None if none is.

    The hash that the index promises is enough where it matches: the build checks the sdist itself against what is
    returned. Broken kinds of hash (md5, sha1) never match.
    """
    wanted = {value.lower() for value in hashes}
    algorithms = {value.partition(":")[0] for value in wanted}

    promised = (sdist.digests or {}).get("sha256", "").lower()
    is_promised = re.fullmatch(r"[0-9a-f]{64}", promised) is not None
    if is_promised and f"sha256:{promised}" in wanted:
        return promised
    if is_promised and algorithms == {"sha256"}:
        return None

    # The file has hashes of another kind than the index promises: only the sdist itself can tell.
    sha256 = index.download(sdist)
    usable = algorithms & hashlib.algorithms_guaranteed - _BROKEN_ALGORITHMS
    for name in usable:
        if name.startswith("shake"):
            continue  # its length is free, and no file of dependencies has it
        with store.file(sha256).open("rb") as file:
            actual = hashlib.file_digest(file, name).hexdigest()
        if f"{name}:{actual}" in wanted:
            return sha256
    return None
