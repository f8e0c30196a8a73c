"""Upstream's own wheels of a release: the one that an installer would take, for each ABI.

Which file an interpreter takes is asked of `packaging.tags` alone (builder/distributions/tags.py), as pip does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.specifiers import SpecifierSet
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from builder.distributions.tags import accepts_wheel, floor_name, is_pure_wheel, supported_tags
from builder.untrusted.names import UntrustedNameError, parse_wheel_name
from builder.verdicts.wording import join_names

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from packaging.tags import Tag
    from packaging.utils import BuildTag
    from packaging.version import Version

    from builder.config.catalog import Base
    from builder.sources.index_file import IndexFile
    from builder.sources.releases import Release

_MAX_NAMED = 4  # wheels that are not taken, in one sentence

_MAX_SEARCHED = 40
"""Releases on either side of the one at hand that are looked through for a wheel: some projects have thousands."""

_EVERY_ABI_MARKS = ("abi3", "none-manylinux", "none-linux")
"""What the name of a wheel with native code has in it that serves more ABIs than the one it names."""


def choose_wheel(
    release: Release,
    abi: str,
    bases: Iterable[Base],
    python: Version,
    hashes: Collection[str] = (),
    *,
    only_pure: bool = False,
) -> IndexFile | None:
    """Return the wheel of a release that an installer takes for an ABI, or None where it takes none.

    It is the choice on the base with the oldest glibc for which there is a wheel at all: one file for each ABI, which
    runs on as many bases as possible.

    Args:
        release: the release.
        abi: such as `cp314t`.
        bases: where the wheel is to be installed.
        python: the interpreter's version.
        hashes: sha256 of the files that may be taken; empty for any. Where no usable wheel has one of them, the choice
            is made without, as pip's is: the hash of the file is then found to be wrong.
        only_pure: whether it must be without native code, i.e. for any platform.
    """
    usable = _find_usable(release, python)
    if only_pure:
        usable = [wheel for wheel in usable if is_pure_wheel(wheel.filename)]
    allowed = [wheel for wheel in usable if (wheel.digests or {}).get("sha256") in hashes]

    for base in sorted(bases, key=lambda base: base.glibc_version):
        ranks = {tag: rank for rank, tag in enumerate(supported_tags(abi, base))}
        wheel = _choose_best(allowed, ranks) or _choose_best(usable, ranks)
        if wheel is not None:
            return wheel

    return None


def explain_lack(release: Release, abi: str, bases: Iterable[Base], python: Version) -> str:
    """Return why an installer takes no wheel of a release for an ABI, in a sentence that goes on after the release.

    Args:
        release: the release, for which `choose_wheel` found nothing.
        abi: such as `cp314t`.
        bases: where a wheel was to be installed.
        python: the interpreter's version.
    """
    if not release.wheels:
        return "it has no wheel at all"

    usable = _find_usable(release, python)
    same_abi = [wheel.filename for wheel in usable if accepts_wheel(wheel.filename, abi)]
    if not same_abi:
        return f"none of its {len(release.wheels)} wheels is for {abi}"

    platforms = dict.fromkeys(floor_name(filename) for filename in same_abi)
    names = join_names(list(platforms), _MAX_NAMED)
    base_names = join_names([base.name for base in bases], _MAX_NAMED)
    return f"its wheels for {abi} are for {names}, which no base takes ({base_names})"


def find_offer(
    release: Release, releases: Iterable[Release], abi: str, bases: Sequence[Base], python: Version
) -> str:
    """Return the version of the release whose wheel with native code an installer takes for an ABI; empty without one.

    It is the release at hand where that has one, then the newest above it, then the newest below it. Of a pre-release
    or a yanked release nothing is offered, unless it is the one at hand.

    Args:
        release: the release at hand.
        releases: all of the project, the newest first.
        abi: such as `cp314t`.
        bases: where the wheel is to be installed; one of them is enough.
        python: the interpreter's version.
    """
    newer: list[Release] = []
    older: list[Release] = []
    for other in releases:
        if other.version > release.version:
            newer.append(other)
        elif other.version < release.version:
            older.append(other)

    for candidate in (release, *newer[:_MAX_SEARCHED], *older[:_MAX_SEARCHED]):
        is_at_hand = candidate is release
        is_withdrawn = candidate.yanked or candidate.version.is_prerelease
        if (is_withdrawn and not is_at_hand) or not _may_serve(candidate, abi):
            continue
        wheel = choose_wheel(candidate, abi, bases, python)
        if wheel is not None and not is_pure_wheel(wheel.filename):
            return str(candidate.version)

    return ""


def _may_serve(release: Release, abi: str) -> bool:
    """Return whether a wheel of a release may have native code for an ABI, by what its name has in it: soon told."""
    marks = (abi, *_EVERY_ABI_MARKS)
    if not release.may_name(marks):
        return False
    return any(mark in wheel.filename for wheel in release.wheels for mark in marks)


def find_offers(
    release: Release,
    releases: Iterable[Release],
    abis: Iterable[str],
    bases: Sequence[Base],
    python: Version,
) -> tuple[tuple[str, str], ...]:
    """Return for each ABI the version of the release that `find_offer` finds; an ABI without one is left out."""
    all_releases = tuple(releases)
    offers: list[tuple[str, str]] = []
    for abi in abis:
        version = find_offer(release, all_releases, abi, bases, python)
        if version:
            offers.append((abi, version))

    return tuple(offers)


def _find_usable(release: Release, python: Version) -> list[IndexFile]:
    """Return the wheels of a release that an interpreter may have; a yanked one only where the whole release is."""
    usable: list[IndexFile] = []
    for wheel in release.wheels:
        is_withdrawn = wheel.is_yanked and not release.yanked
        if is_withdrawn or not _allows_python(wheel, python):
            continue
        try:
            parse_wheel_filename(parse_wheel_name(wheel.filename))
        except (UntrustedNameError, InvalidWheelFilename):
            continue  # an installer passes over it, too
        usable.append(wheel)

    return usable


def _allows_python(wheel: IndexFile, python: Version) -> bool:
    """Return whether a file's own `requires-python` lets an interpreter have it."""
    try:
        specifier = SpecifierSet(wheel.requires_python or "")
    except ValueError:
        return True  # pip ignores what it cannot read, too
    return specifier.contains(python, prereleases=True)


def _choose_best(wheels: Iterable[IndexFile], ranks: dict[Tag, int]) -> IndexFile | None:
    """Return the wheel with the most specific tag, of several the one with the highest build tag (PEP 425, 427)."""
    best: IndexFile | None = None
    best_key: tuple[int, BuildTag] | None = None
    for wheel in wheels:
        _, _, build_tag, tags = parse_wheel_filename(wheel.filename)
        taken = [ranks[tag] for tag in tags if tag in ranks]
        if not taken:
            continue

        key = (-min(taken), build_tag)
        if best_key is None or key > best_key:
            best, best_key = wheel, key

    return best
