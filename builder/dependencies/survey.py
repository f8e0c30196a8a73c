"""Who upstream already supports CPython 3.14 and 3.14t: facts per dependency, from index pages and metadata. Pure.

Only wheels for x86-64 Linux with glibc count: that is what the farm builds for.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from packaging.version import Version

from builder.distributions.tags import accepts_tag, glibc_floors
from builder.sources.kind import Kind, wheel_tags

if TYPE_CHECKING:
    import datetime
    from collections.abc import Iterable, Mapping, Sequence

    from packaging.tags import Tag

    from builder.sources.releases import Release

ABIS = ("cp314", "cp314t", "abi3", "cp315", "abi3t")
"""What a survey looks for among wheels."""

MOVES = {"3.14": ("cp314", "abi3"), "3.14t": ("cp314t",)}
"""A move, and the ABIs that serve it. `abi3` never serves 3.14t; `abi3t` starts with 3.15 (PEP 803)."""

PURE = "pure"
"""Stands among the ABIs for a wheel that serves every Python."""

_INTERPRETERS = (("cp314", "cp314"), ("cp314t", "cp314t"), ("cp315", "cp315"), ("cp315", "cp315t"))
"""What a survey calls an ABI, and the interpreter that takes its wheels: both builds of 3.15 are still one to it."""

_FREE_THREADING = "Programming Language :: Python :: Free Threading"
_ANY_FLOOR = "any"


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
        """The free-threading classifier's grade, such as `3 - Stable`; empty where there is none."""
        stated = (text.partition(_FREE_THREADING) for text in self.classifiers)
        return max(
            (rest.removeprefix(" :: ") or "stated" for _, found, rest in stated if found),
            default="",
        )


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
        """Return the facts as JSON data."""
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
            "newest": {
                "version": self.newest,
                "wheels": dict(self.newest_wheels),
                "free_threading": self.newest_metadata.free_threading,
                "day": self.newest_metadata.day.isoformat() if self.newest_metadata.day else None,
                "day_from": self.newest_metadata.day_from,
            },
            "newest_with": dict(self.newest_with),
            "outlooks": {
                move: {
                    "status": str(one.status),
                    "upgrade": one.upgrade,
                    "blockers": list(one.blockers),
                    "remark": one.remark,
                }
                for move, one in self.outlooks.items()
            },
        }


def survey_release(
    *, name: str, where: str, release: Release, releases: Sequence[Release], kind: Kind, python: Version,
    described: ReleaseMetadata, newest_described: ReleaseMetadata,
) -> SurveyRow:  # fmt: skip
    """Judge one dependency.

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
    stable = [one for one in releases if not one.yanked and not one.version.is_prerelease]
    newest = newest_release(release, releases)
    floors = {one.version: wheel_floors(one) for one in (*stable, release)}
    admitted = {one.version for one in (*stable, release) if one.allows_python(python)}
    return SurveyRow(
        name=name,
        version=str(release.version),
        where=where,
        kind=kind,
        sdist=release.sdist is not None,
        requires_python=next((file.requires_python for file in release.files if file.requires_python), ""),
        wheels=floors[release.version],
        newest=str(newest.version),
        newest_wheels=wheel_floors(newest),
        newest_with={
            abi: str(found) for abi in ABIS if (found := max((v for v in floors if abi in floors[v]), default=None))
        },
        metadata=described,
        newest_metadata=newest_described,
        outlooks={
            move: _outlook(move, release, stable, floors, admitted, kind) for move in MOVES
        },
    )  # fmt: skip


def newest_release(release: Release, releases: Sequence[Release]) -> Release:
    """Return a project's newest stable release that is not yanked; the given one where there is none."""
    return next(
        (one for one in releases if not one.yanked and not one.version.is_prerelease), release
    )


def wheel_floors(release: Release) -> dict[str, str]:
    """Return for which ABIs a release has wheels: by ABI the lowest floor, `any` where glibc does not matter."""
    found: dict[str, list[tuple[int, int]]] = {}
    for wheel in release.wheels:
        tags = wheel_tags(wheel.filename)
        floor = next(iter(glibc_floors(wheel.filename)), None) if tags else None
        platforms = {tag.platform for tag in tags}
        if platforms & {"any", "linux_x86_64"}:
            floor = floor or (0, 0)
        if floor is not None:
            abis: set[str] = set()
            for tag in tags:
                abis |= _abis_for_tag(tag)
            for abi in abis:
                found.setdefault(abi, []).append(floor)
    return {abi: _floor(min(found[abi])) for abi in (*ABIS, PURE) if abi in found}


def _floor(glibc: tuple[int, int]) -> str:
    return f"manylinux_{glibc[0]}_{glibc[1]}" if any(glibc) else _ANY_FLOOR


def _abis_for_tag(tag: Tag) -> set[str]:
    """Return which of the ABIs one tag serves."""
    if tag.platform == "any" and tag.interpreter.startswith("py"):
        return {PURE} if accepts_tag(tag, "cp314") else set()
    if tag.abi == "abi3":
        return {"abi3"} if accepts_tag(tag, "cp314") else set()
    if tag.abi == "abi3t":
        return {"abi3t"} if accepts_tag(tag, "cp315t") else set()

    return {abi for abi, interpreter in _INTERPRETERS if accepts_tag(tag, interpreter)}


def _outlook(
    move: str, release: Release, stable: Sequence[Release], floors: Mapping[Version, Mapping[str, str]],
    admitted: set[Version], kind: Kind,
) -> MoveOutlook:  # fmt: skip
    """Say how a dependency stands towards a move, and what is in the way."""
    served = {
        version for version in floors if admitted >= {version} and _has_wheel(move, floors[version])
    }
    sourced = kind is Kind.PURE and release.sdist is not None and release.version in admitted
    if release.version in served or (sourced and not release.wheels):
        fallback = kind is Kind.SPEEDUPS and not any(
            abi in floors[release.version] for abi in MOVES[move]
        )
        return MoveOutlook(
            status=Status.READY, remark="pure wheel, without its native part" if fallback else ""
        )
    blockers = [_blocker(move, release, floors[release.version], admitted)]
    newer = [version for version in served if version > release.version]
    if newer:
        return MoveOutlook(status=Status.UPGRADE, upgrade=str(max(newer)), blockers=tuple(blockers))
    can_build = next(
        (one for one in (release, *reversed(stable)) if _can_build(one, release, admitted)), None
    )
    if can_build is None:
        return MoveOutlook(status=Status.BLOCKED, blockers=(*blockers, "no newer sdist either"))
    upgrade = str(can_build.version) if can_build.version > release.version else ""
    return MoveOutlook(status=Status.BUILD, upgrade=upgrade, blockers=tuple(blockers))


def _can_build(one: Release, asked: Release, admitted: set[Version]) -> bool:
    return one.sdist is not None and one.version >= asked.version and one.version in admitted


def _has_wheel(move: str, floors: Mapping[str, str]) -> bool:
    return any(abi in floors for abi in (*MOVES[move], PURE))


def _blocker(move: str, release: Release, floors: Mapping[str, str], admitted: set[Version]) -> str:
    if release.version not in admitted:
        stated = next((file.requires_python for file in release.files if file.requires_python), "")
        return f"requires-python {stated}"
    if move == "3.14t" and "abi3" in floors:
        return "abi3 wheels do not serve 3.14t"
    if move == "3.14t" and "cp314" in floors:
        return "wheels for cp314 only"
    return f"no wheel for {' or '.join(MOVES[move])}" + ("" if release.sdist else ", no sdist")


def summarize(rows: Sequence[SurveyRow]) -> str:
    """Say in one sentence how the whole stands."""
    pure = sum(row.kind is Kind.PURE for row in rows)
    natives = [row for row in rows if row.kind is not Kind.PURE]
    moves = "; ".join(
        f"for {move} {_count_outlooks(row.outlooks[move] for row in rows)}" for move in MOVES
    )
    return f"{_pluralize(len(rows), 'dependency', 'dependencies')}, {pure} pure and {len(natives)} native: {moves}."


def _count_outlooks(outlooks: Iterable[MoveOutlook]) -> str:
    counts = dict.fromkeys(Status, 0)
    for outlook in outlooks:
        counts[outlook.status] += 1
    words = {
        Status.READY: "ready as pinned",
        Status.UPGRADE: "after an upgrade",
        Status.BUILD: "to be built from source",
        Status.BLOCKED: "blocked",
    }
    return (
        ", ".join(f"{count} {words[status]}" for status, count in counts.items() if count)
        or "nothing to say"
    )


def _pluralize(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"
