"""Which dependencies the farm takes on: the native ones, each with the sdist that the file's hashes allow."""

from __future__ import annotations

import hashlib
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from builder.config.edit import Entry
from builder.dependencies.files.model import SkippedDependency
from builder.dependencies.resolve import MAX_PARALLEL, Pin
from builder.errors import IndexUnreachableError
from builder.sources.client import FileMismatchError, NoIndexAnswerError
from builder.sources.kind import Kind, classify_release

if TYPE_CHECKING:
    from collections.abc import Callable

    from pypi_simple import DistributionPackage

    from builder.dependencies.resolve import Resolution
    from builder.sources.client import Index
    from builder.store.store import Store

_REJECTION_REASONS = {
    Kind.PURE: "is pure Python: one wheel for every Python",
    Kind.SPEEDUPS: "has a pure wheel beside its native ones; --speedups takes it on",
    Kind.PROGRAM: "its wheels serve every Python alike: a program, or a library that Python does not import",
    Kind.EMPTY: "the index has neither a wheel nor an sdist of this release",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class SelectedPackages:
    """What is taken on, and what is not."""

    entries: tuple[Entry, ...]
    left_out: tuple[SkippedDependency, ...]


def select_packages(
    resolution: Resolution, index: Index, store: Store, say: Callable[[str], None], *, speedups: bool
) -> SelectedPackages:  # fmt: skip
    """Choose what the farm builds.

    Args:
        resolution: the dependencies, each with its release.
        index: the package index.
        store: where sdists are kept that must be looked into.
        say: shows progress.
        speedups: whether packages with a pure wheel beside native ones are built as well.

    Raises:
        IndexUnreachableError: the index does not answer.
    """
    entries: list[Entry] = []
    left_out = list(resolution.left_out)

    def one(pin: Pin) -> Entry | SkippedDependency:
        try:
            return _make_entry(pin, index, store, speedups=speedups)
        except FileMismatchError as error:
            return SkippedDependency(name=pin.name, where=pin.where, why=str(error))

    with ThreadPoolExecutor(MAX_PARALLEL) as pool:
        try:
            for done, answer in enumerate(pool.map(one, resolution.pins), 1):
                say(f"dependencies: {done} of {len(resolution.pins)}")
                (entries if isinstance(answer, Entry) else left_out).append(answer)  # type: ignore[arg-type]
        except NoIndexAnswerError as error:
            raise IndexUnreachableError(str(error)) from None
    return SelectedPackages(
        entries=tuple(entries), left_out=tuple(sorted(left_out, key=lambda item: item.name))
    )


def _make_entry(
    pin: Pin, index: Index, store: Store, *, speedups: bool
) -> Entry | SkippedDependency:
    if pin.refusal:
        why = f"{pin.version} has requires-python {pin.refusal}, which leaves this Python out"
        return SkippedDependency(name=pin.name, where=pin.where, why=why)
    kind = classify_release(pin.release, index, store)
    if kind is not Kind.NATIVE and not (speedups and kind is Kind.SPEEDUPS):
        return SkippedDependency(name=pin.name, where=pin.where, why=_REJECTION_REASONS[kind])
    sdist = pin.release.sdist
    if sdist is None:
        return SkippedDependency(
            name=pin.name,
            where=pin.where,
            why=f"the index has no sdist of {pin.version} to build from",
        )
    if not pin.hashes:
        return Entry(name=pin.name, version=f"=={pin.version}")
    sha256 = _verify_sdist(sdist, pin.hashes, index, store)
    if sha256 is None:
        why = f"none of the file's {len(pin.hashes)} hashes is that of {sdist.filename}: it must not be built from that"
        return SkippedDependency(name=pin.name, where=pin.where, why=why)
    return Entry(name=pin.name, version=f"=={pin.version}", sha256=sha256)


def _verify_sdist(
    sdist: DistributionPackage, hashes: tuple[str, ...], index: Index, store: Store
) -> str | None:
    """Return the sdist's sha256 if one of the hashes is the sdist's; None if none is.

    What the index promises is enough where it matches: the build checks the file itself against what is returned.
    """
    wanted = {value.lower() for value in hashes}
    promised = (sdist.digests or {}).get("sha256", "").lower()
    if not re.fullmatch(r"[0-9a-f]{64}", promised):
        promised = ""
    if f"sha256:{promised}" in wanted:
        return promised
    algorithms = {value.partition(":")[0] for value in wanted}
    if promised and algorithms == {"sha256"}:
        return None
    sha256 = index.download(sdist)
    content = store.file(sha256).read_bytes()
    known = algorithms & hashlib.algorithms_guaranteed - {"md5", "sha1"}
    fitting = (name for name in known if not name.startswith("shake"))
    return (
        sha256
        if any(f"{name}:{hashlib.new(name, content).hexdigest()}" in wanted for name in fitting)
        else None
    )
