"""Who upstream already supports CPython 3.14 and 3.14t: facts per dependency, from index pages and metadata. Pure.

Only wheels for x86-64 Linux with glibc count: that is what the farm builds for.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from builder.distributions.tags import accepts_tag, glibc_floors
from builder.distributions.thread_statements import read_grade
from builder.sources.kind import Kind, wheel_tags

if TYPE_CHECKING:
    import datetime
    from collections.abc import Iterable, Mapping, Sequence

    from packaging.tags import Tag
    from packaging.version import Version

    from builder.sources.releases import Release

ABIS = ("cp314", "cp314t", "abi3", "cp315", "abi3t")
"""What a survey looks for among wheels."""

MOVES = {"3.14": ("cp314", "abi3"), "3.14t": ("cp314t",)}
"""A move, and the ABIs that serve it. `abi3` never serves 3.14t; `abi3t` starts with 3.15 (PEP 803)."""

PURE = "pure"
"""Stands among the ABIs for a wheel that serves every Python."""

_INTERPRETERS = (("cp314", "cp314"), ("cp314t", "cp314t"), ("cp315", "cp315"), ("cp315", "cp315t"))
"""What a survey calls an ABI, and the interpreter that takes its wheels: both builds of 3.15 are still one to it."""

_ANY_FLOOR = "any"
_TAG_PARTS = 3  # interpreter, ABI, platform (PEP 425)


class Status(StrEnum):
    """How a dependency stands towards a move."""

    READY = "ready"
    """The release that is asked for installs as it is."""
    UPGRADE = "upgrade"
    """A newer release does."""
    BUILD = "build"
    """No release has a wheel; there is an sdist to build from."""
    BLOCKED = "blocked"
    """There is neither a wheel nor an sdist that this Python may have."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MoveOutlook:
    """How a dependency stands towards one move.

    Attributes:
        upgrade: the newest release that has what is missing; empty where none or not needed.
        blockers: what stands in the way, for a person; empty where nothing does.
        remark: what to know although nothing stands in the way.
    """

    status: Status
    upgrade: str = ""
    blockers: tuple[str, ...] = ()
    remark: str = ""

    def record(self) -> dict[str, Any]:
        """Return the fields as JSON data."""
        return {
            "status": str(self.status),
            "upgrade": self.upgrade,
            "blockers": list(self.blockers),
            "remark": self.remark,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class ReleaseMetadata:
    """What metadata says about a release.

    Attributes:
        classifiers: trove classifiers about Python versions and free threading.
        day: when the release was made; None where nothing tells.
        day_from: what told: `index` (PEP 700), `wheel` (the date inside it, which a build may have set) or nothing.
    """

    classifiers: tuple[str, ...] = ()
    day: datetime.date | None = None
    day_from: str = ""

    @property
    def free_threading(self) -> str:
        """The grade in the free-threading classifier, such as `3 - Stable`.

        `stated` where the classifier has no grade, empty where there is no such classifier; of several grades the best.
        """
        return read_grade(self.classifiers)


@dataclass(frozen=True, kw_only=True, slots=True)
class SurveyRow:
    """One dependency.

    Attributes:
        wheels: of the release that is asked for: by ABI the lowest manylinux floor, `any` where a wheel needs none;
            the key `pure` where one wheel serves every Python.
        newest: the newest stable release.
        newest_wheels: the same of the newest release.
        newest_with: by ABI the newest release that has a wheel for it.
        outlooks: by move, `3.14` and `3.14t`.
    """

    name: str
    version: str
    where: str
    kind: Kind
    sdist: bool
    requires_python: str
    wheels: Mapping[str, str]
    newest: str
    newest_wheels: Mapping[str, str]
    newest_with: Mapping[str, str]
    metadata: ReleaseMetadata
    newest_metadata: ReleaseMetadata
    outlooks: Mapping[str, MoveOutlook]

    def record(self) -> dict[str, Any]:
        """Return the row as JSON data; what is about the newest release is nested under `newest`."""
        newest_day = self.newest_metadata.day
        newest = {
            "version": self.newest,
            "wheels": dict(self.newest_wheels),
            "free_threading": self.newest_metadata.free_threading,
            "day": newest_day.isoformat() if newest_day else None,
            "day_from": self.newest_metadata.day_from,
        }
        outlooks = {move: outlook.record() for move, outlook in self.outlooks.items()}

        return {
            "name": self.name,
            "version": self.version,
            "where": self.where,
            "kind": str(self.kind),
            "sdist": self.sdist,
            "requires_python": self.requires_python,
            "wheels": dict(self.wheels),
            "classifiers": list(self.metadata.classifiers),
            "free_threading": self.metadata.free_threading,
            "newest": newest,
            "newest_with": dict(self.newest_with),
            "outlooks": outlooks,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class _Candidates:
    """The releases that are compared for one dependency.

    Attributes:
        asked: the one that is asked for.
        stable: those a person would upgrade to, none older than what is asked for, the newest first.
        floors: of each by version, for which ABIs it has wheels.
        admitted: versions whose `requires-python` lets the interpreter have them.
    """

    asked: Release
    stable: list[Release]
    floors: Mapping[Version, Mapping[str, str]]
    admitted: set[Version]

    def serving(self, move: str) -> set[Version]:
        """Return the versions that install without a build after a move.

        They have a wheel for one of its ABIs or for every Python, and their `requires-python` allows the interpreter.
        """
        wanted = {*MOVES[move], PURE}
        return {
            version
            for version, floors in self.floors.items()
            if version in self.admitted and wanted & floors.keys()
        }

    def can_build(self, release: Release) -> bool:
        """Return whether a release is no older than what is asked for and has an sdist for this interpreter."""
        is_recent = release.version >= self.asked.version
        return is_recent and release.sdist is not None and release.version in self.admitted


def survey_release(
    *,
    name: str,
    where: str,
    release: Release,
    releases: Sequence[Release],
    kind: Kind,
    python: Version,
    described: ReleaseMetadata,
    newest_described: ReleaseMetadata,
) -> SurveyRow:
    """Return a dependency's row of the survey: its wheels, its newest release, and its outlook for each move.

    Args:
        name: canonical (PEP 503).
        where: the line or dotted path that names it.
        release: the one that is asked for.
        releases: all of the project, the newest first.
        kind: what the release brings.
        python: the interpreter's version.
        described: what metadata says about the release.
        newest_described: what metadata says about the newest.
    """
    stable: list[Release] = []
    for other in releases:
        if other.version < release.version:
            break  # the newest come first
        if _is_stable(other):
            stable.append(other)
    compared = [*stable, release]
    candidates = _Candidates(
        asked=release,
        stable=stable,
        floors={other.version: wheel_floors(other) for other in compared},
        admitted={other.version for other in compared if other.allows_python(python)},
    )

    newest = newest_release(release, releases)
    return SurveyRow(
        name=name,
        version=str(release.version),
        where=where,
        kind=kind,
        sdist=release.sdist is not None,
        requires_python=release.requires_python,
        wheels=candidates.floors[release.version],
        newest=str(newest.version),
        newest_wheels=candidates.floors[newest.version],
        newest_with=_find_newest_with(release, releases),
        metadata=described,
        newest_metadata=newest_described,
        outlooks={move: _judge_move(move, candidates, kind) for move in MOVES},
    )


def _find_newest_with(asked: Release, releases: Sequence[Release]) -> dict[str, str]:
    """Return by ABI the newest stable version that has a wheel for it, what is asked for counting as stable.

    A project may have thousands of releases; only those whose files may be for one of the ABIs are looked into.
    """
    versions: dict[str, str] = {}
    missing = set(ABIS)
    for release in releases:
        if not missing:
            break
        if not release.may_name(_shorten_marks(missing)):
            continue
        if release is not asked and not _is_stable(release):
            continue

        for abi in missing & wheel_floors(release).keys():
            versions[abi] = str(release.version)
        missing -= versions.keys()

    return {abi: versions[abi] for abi in ABIS if abi in versions}


def _shorten_marks(abis: set[str]) -> list[str]:
    """Return what the names of wheels for some ABIs have in them: `cp314` stands for `cp314t` as well."""
    return [abi for abi in ABIS if abi in abis and abi.removesuffix("t") not in abis - {abi}]


def _is_stable(release: Release) -> bool:
    return not release.yanked and not release.version.is_prerelease


def newest_release(release: Release, releases: Sequence[Release]) -> Release:
    """Return a project's newest release that is stable and not yanked, or the given one where there is none."""
    for other in releases:
        if _is_stable(other):
            return other
    return release


def wheel_floors(release: Release) -> dict[str, str]:
    """Return by ABI the lowest manylinux floor among a release's wheels: `{"cp314": "manylinux_2_17"}`.

    `any` stands for a wheel that needs no certain glibc. Wheels for other systems or C libraries are skipped.
    """
    lowest: dict[str, tuple[int, int]] = {}
    for wheel in release.wheels:
        tags_text = "-".join(wheel.filename.rsplit("-", _TAG_PARTS)[-_TAG_PARTS:])
        for abi, floor in _floors_of_tags(tags_text):
            lowest[abi] = min(floor, lowest.get(abi, floor))

    return {abi: _describe_floor(lowest[abi]) for abi in (*ABIS, PURE) if abi in lowest}


@lru_cache(maxsize=65536)
def _floors_of_tags(tags_text: str) -> tuple[tuple[str, tuple[int, int]], ...]:
    """Return (ABI, oldest glibc) of what a wheel with some tags serves, the tags as the end of its file name has them.

    Hundreds of releases have wheels with the same tags; they are looked at once.
    """
    filename = f"x-1-{tags_text}"
    tags = wheel_tags(filename)
    floor = _find_floor(filename, tags)
    if floor is None:
        return ()  # it is for another system, or another C library

    abis: set[str] = set()
    for tag in tags:
        abis.update(_abis_for_tag(tag))
    return tuple((abi, floor) for abi in sorted(abis))


def _find_floor(filename: str, tags: frozenset[Tag]) -> tuple[int, int] | None:
    """Return the oldest glibc that a wheel runs on; (0, 0) where any will do, None where it is for another system."""
    if not tags:
        return None

    floors = glibc_floors(filename)
    if floors:
        return floors[0]
    has_no_floor = any(tag.platform in {"any", "linux_x86_64"} for tag in tags)
    return (0, 0) if has_no_floor else None


def _describe_floor(glibc: tuple[int, int]) -> str:
    major, minor = glibc
    return f"manylinux_{major}_{minor}" if major else _ANY_FLOOR


def _abis_for_tag(tag: Tag) -> set[str]:
    """Return which of the survey's ABIs one wheel tag serves; empty where it serves none."""
    if tag.platform == "any" and tag.interpreter.startswith("py"):
        return {PURE} if accepts_tag(tag, "cp314") else set()
    if tag.abi == "abi3":
        return {"abi3"} if accepts_tag(tag, "cp314") else set()
    if tag.abi == "abi3t":
        return {"abi3t"} if accepts_tag(tag, "cp315t") else set()

    return {abi for abi, interpreter in _INTERPRETERS if accepts_tag(tag, interpreter)}


def _judge_move(move: str, candidates: _Candidates, kind: Kind) -> MoveOutlook:
    """Return whether a dependency can be installed after a move to another Python, and what has to be done for that.

    The first of these that applies is returned:
    READY: the release asked for has a wheel that fits, or it is a pure sdist, i.e. it has no wheel and no native code,
    and so installs without a compiler.
    UPGRADE: a newer stable release has a wheel that fits; the newest of them is named.
    BUILD: the release asked for, or else the next newer one possible, can be built from its sdist.
    BLOCKED: none of these.

    Args:
        move: the Python to move to: `3.14`, or `3.14t` (free-threaded).
        candidates: the release asked for and the stable releases of the same project.
        kind: what the release asked for brings: `SPEEDUPS` is extension modules that the package can do without.
    """
    asked = candidates.asked
    installable = candidates.serving(move)  # versions with a wheel that fits
    is_pure_sdist = kind is Kind.PURE and not asked.wheels and candidates.can_build(asked)

    if asked.version in installable or is_pure_sdist:
        lacks_speedups = kind is Kind.SPEEDUPS and not _has_native_wheel(move, candidates)
        remark = "pure wheel, without its native part" if lacks_speedups else ""
        return MoveOutlook(status=Status.READY, remark=remark)

    blocker = _describe_blocker(move, candidates)
    newer = [version for version in installable if version > asked.version]
    if newer:
        return MoveOutlook(status=Status.UPGRADE, upgrade=str(max(newer)), blockers=(blocker,))

    # The release asked for comes first, then newer ones, the oldest first: the version changes as little as possible.
    # Stable releases older than the one asked for are skipped by can_build.
    for release in (asked, *reversed(candidates.stable)):
        if candidates.can_build(release):
            upgrade = str(release.version) if release.version > asked.version else ""
            return MoveOutlook(status=Status.BUILD, upgrade=upgrade, blockers=(blocker,))

    return MoveOutlook(status=Status.BLOCKED, blockers=(blocker, "no newer sdist either"))


def _has_native_wheel(move: str, candidates: _Candidates) -> bool:
    """Return whether the release asked for has a wheel with extension modules for one of a move's ABIs."""
    floors = candidates.floors[candidates.asked.version]
    return any(abi in floors for abi in MOVES[move])


def _describe_blocker(move: str, candidates: _Candidates) -> str:
    """Return why the release that is asked for does not install after a move, such as `no wheel for cp314t`."""
    asked = candidates.asked
    if asked.version not in candidates.admitted:
        return f"requires-python {asked.requires_python}"

    floors = candidates.floors[asked.version]
    if move == "3.14t" and "abi3" in floors:
        return "abi3 wheels do not serve 3.14t"
    if move == "3.14t" and "cp314" in floors:
        return "wheels for cp314 only"

    missing = f"no wheel for {' or '.join(MOVES[move])}"
    return missing if asked.sdist else f"{missing}, no sdist"


def summarize(rows: Sequence[SurveyRow]) -> str:
    """Return one sentence on all rows: how many dependencies are pure or native, and how they stand to each move."""
    dependencies = "1 dependency" if len(rows) == 1 else f"{len(rows)} dependencies"
    pure = sum(row.kind is Kind.PURE for row in rows)
    native = len(rows) - pure

    clauses = []
    for move in MOVES:
        outlooks = [row.outlooks[move] for row in rows]
        clauses.append(f"for {move} {_count_outlooks(outlooks)}")
    return f"{dependencies}, {pure} pure and {native} native: {'; '.join(clauses)}."


STATUS_WORDS = {
    Status.READY: "ready as pinned",
    Status.UPGRADE: "after an upgrade",
    Status.BUILD: "to be built from source",
    Status.BLOCKED: "blocked",
}
"""How people are shown a status, after a number."""


def _count_outlooks(outlooks: Iterable[MoveOutlook]) -> str:
    """Return how many outlooks have each status, `3 ready as pinned, 1 blocked`; a status that none has is left out."""
    counts = Counter(outlook.status for outlook in outlooks)
    parts = [
        f"{counts[status]} {words}" for status, words in STATUS_WORDS.items() if counts[status]
    ]

    return ", ".join(parts) or "nothing to say"
