"""What is on record of the releases that an application locks: surveys, verdicts, and the channels of the index."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.version import Version

from builder.config.versions import pinned_version
from builder.dependencies.survey import MOVES, STATUS_WORDS
from builder.distributions.tags import accepts_wheel
from builder.index import CANARY_CHANNEL, SERVED_CHANNEL
from builder.index.gates import GateOutcome
from builder.index.rollout import version_of
from builder.judge.migration.facts import (
    GateObjection,
    MatrixPlace,
    Objection,
    ReleaseFacts,
    WaitingRelease,
)
from builder.untrusted.package_names import version_of as stated_version

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from builder.config.catalog import Abi
    from builder.config.matrix import Matrix
    from builder.dependencies.survey_record import RecordedSurvey
    from builder.index import Entry, Manifest
    from builder.index.gates import GateResult
    from builder.index.promotion import Candidate
    from builder.judge.application import LockedPackage
    from builder.report.documents.packages import PackagePart
    from builder.report.documents.verdicts_json import Document

_LEFT_OUT = "left out by the survey"
_NO_MOVE = "surveyed for other interpreters"


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordedReleases:
    """What releases are looked up in.

    Attributes:
        parts: the packages of the last whole run, by project.
        channels: the content of each channel, by its name.
    """

    matrix: Matrix
    parts: Mapping[str, Sequence[PackagePart]]
    channels: Mapping[str, Manifest]

    @classmethod
    def open(
        cls, matrix: Matrix, document: Document | None, channels: Mapping[str, Manifest]
    ) -> RecordedReleases:
        """Return what is on record.

        Args:
            matrix: the packages.
            document: the verdicts of the last whole run; None where there was none.
            channels: the content of each channel, by its name.
        """
        parts: dict[str, list[PackagePart]] = {}
        for part in () if document is None else document.packages:
            parts.setdefault(part.project or part.name, []).append(part)

        return cls(matrix=matrix, parts=parts, channels=channels)

    def describe(
        self, locked: LockedPackage, abi: Abi, survey: RecordedSurvey | None
    ) -> ReleaseFacts:
        """Return what is on record of a release that is locked.

        Args:
            locked: the release.
            abi: the ABI that the application moves to.
            survey: of the lock; None where there is none.
        """
        part = self._find_part(locked)
        verdict = None if part is None else part.abis.get(abi.name)
        in_canary = self._select_entries(CANARY_CHANNEL, locked, abi)
        since = max((entry.since or entry.uploaded_at for entry in in_canary), default="")

        return ReleaseFacts(
            name=locked.name,
            version=locked.version,
            outlook="" if survey is None else _find_outlook(survey, locked, abi),
            place=self._find_place(locked, part),
            package="" if part is None else part.name,
            verdict=None if verdict is None else verdict.verdict,
            reason="" if verdict is None else verdict.reason,
            has_wheel=verdict is not None and bool(verdict.wheels),
            canary_since=_format_moment(since) if since else "",
            is_served=bool(self._select_entries(SERVED_CHANNEL, locked, abi)),
        )

    def _find_part(self, locked: LockedPackage) -> PackagePart | None:
        """Return the package of the last run that is a release, or may be: one without a source has no version."""
        unversioned: PackagePart | None = None
        for part in self.parts.get(locked.name, ()):
            version = part.version or stated_version(part.name)
            if not version:
                unversioned = part
            elif Version(version) == Version(locked.version):
                return part

        return unversioned

    def _find_place(self, locked: LockedPackage, part: PackagePart | None) -> MatrixPlace:
        """Return whether the farm has a release: by the last run, and where that says nothing by the matrix."""
        if part is not None or self.matrix.find_packages(f"{locked.name}=={locked.version}"):
            return MatrixPlace.HERE
        if self.parts.get(locked.name):
            return MatrixPlace.OTHER_RELEASE

        tables = self.matrix.find_packages(locked.name)
        if not tables:
            return MatrixPlace.MISSING
        # What names no release may be the one that is locked: the next run will tell.
        is_open = any(pinned_version(self.matrix.packages[name].version) is None for name in tables)
        return MatrixPlace.HERE if is_open else MatrixPlace.OTHER_RELEASE

    def _select_entries(self, channel: str, locked: LockedPackage, abi: Abi) -> list[Entry]:
        """Return the wheels of a release that a channel has for an ABI."""
        version = Version(locked.version)
        selected: list[Entry] = []
        for entry in self.channels.get(channel, {}).get(locked.name, ()):
            is_release = Version(version_of(entry)) == version
            if is_release and accepts_wheel(entry.filename, abi.name):
                selected.append(entry)

        return selected


def _find_outlook(survey: RecordedSurvey, locked: LockedPackage, abi: Abi) -> str:
    """Return what a survey says of a release, in words; empty where it does not have it."""
    surveyed = survey.releases.get(locked.name)
    if surveyed is None or Version(surveyed.version) != Version(locked.version):
        # A survey that left out everything found out nothing.
        return _LEFT_OUT if survey.releases and locked.name in survey.left_out else ""

    status = surveyed.outlooks.get(name_move(abi))
    return _NO_MOVE if status is None else STATUS_WORDS[status]


def name_move(abi: Abi) -> str:
    """Return what a survey calls the move to an ABI, `3.14` or `3.14t`; empty where it has none."""
    name = ".".join(abi.release.split(".")[:2])
    move = f"{name}t" if abi.free_threaded else name
    return move if move in MOVES else ""


def select_waiting(
    candidates: Iterable[Candidate], locked: Iterable[LockedPackage], abi: Abi
) -> Iterator[WaitingRelease]:
    """Iterate over the releases of a lock that wait in `canary/` with a wheel for an ABI.

    Args:
        candidates: everything that waits.
        locked: what the application locks.
        abi: the ABI that it moves to.
    """
    releases = {(package.name, Version(package.version)) for package in locked}
    for candidate in candidates:
        waiting = candidate.release
        if (waiting.project, Version(waiting.version)) not in releases:
            continue
        if any(accepts_wheel(file.entry.filename, abi.name) for file in waiting.files):
            objections = [_describe_gate(gate) for gate in candidate.gates if not gate.has_passed]
            yield WaitingRelease(name=waiting.name, objections=tuple(objections))


def _describe_gate(result: GateResult) -> GateObjection:
    """Return what a gate has against a promotion."""
    kind = Objection.REFUSES
    if result.outcome is GateOutcome.MISSING:
        kind = Objection.LACKS
    elif result.gate == "age":
        kind = Objection.WAITS

    return GateObjection(gate=result.gate, kind=kind, reason=result.reason)


def _format_moment(text: str) -> str:
    moment = datetime.datetime.fromisoformat(text)
    return moment.strftime("%Y-%m-%d %H:%M UTC")
