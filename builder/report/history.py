"""Verdicts across runs: what changed since the last one, and each package's timeline. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Literal

from builder.verdicts import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Direction = Literal["better", "worse", "new", "gone"]


@dataclass(frozen=True, kw_only=True, slots=True)
class VerdictRecord:
    """A verdict of one run."""

    version: str
    verdict: Verdict
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class VerdictChange:
    """How a verdict differs from the one of the run before.

    Attributes:
        before: None where the package or the ABI was not there.
        after: None where it is there no more.
    """

    package: str
    abi: str
    before: VerdictRecord | None
    after: VerdictRecord | None

    @property
    def direction(self) -> Direction:
        """Whether that is good news."""
        if self.before is None:
            return "new"
        if self.after is None:
            return "gone"
        return "worse" if self.after.verdict.rank > self.before.verdict.rank else "better"


Verdicts = dict[tuple[str, str], VerdictRecord]
"""What one run said, by package and ABI."""


@dataclass(frozen=True, kw_only=True, slots=True)
class History:
    """The runs that are remembered, the oldest first."""

    runs: Mapping[str, Verdicts]

    def previous_run(self, run: str) -> Verdicts | None:
        """Return what the run before one said, or None for the first."""
        names = list(self.runs)
        place = names.index(run)
        return self.runs[names[place - 1]] if place else None

    def changes_in(self, run: str) -> tuple[VerdictChange, ...]:
        """Return what changed in a run, the worst first; nothing for the first run, in which all is new."""
        before = self.previous_run(run)
        return () if before is None else compare_runs(before, self.runs[run])

    def timeline(self, package: str, abi: str) -> tuple[tuple[str, VerdictRecord | None], ...]:
        """Return (run, what it said of a package, if anything)."""
        return tuple((run, said.get((package, abi))) for run, said in self.runs.items())


def compare_runs(before: Verdicts, after: Verdicts) -> tuple[VerdictChange, ...]:
    """Compare two runs. A new version with the same verdict is no change."""
    order = ("worse", "gone", "new", "better")
    found = (
        VerdictChange(
            package=package,
            abi=abi,
            before=before.get((package, abi)),
            after=after.get((package, abi)),
        )
        for package, abi in {**before, **after}
    )
    differing = (
        one
        for one in found
        if one.before is None or one.after is None or one.before.verdict is not one.after.verdict
    )
    return tuple(
        sorted(differing, key=lambda one: (order.index(one.direction), one.package, one.abi))
    )


def make_history(rows: Iterable[tuple[str, str, str, str, str, str]]) -> History:
    """Make the history from rows of (run, package, version, abi, verdict, reason), the oldest run first."""
    runs: dict[str, Verdicts] = {}
    for run, group in groupby(rows, key=itemgetter(0)):
        runs[run] = {
            (package, abi): VerdictRecord(version=version, verdict=Verdict(verdict), reason=reason)
            for _, package, version, abi, verdict, reason in group
        }
    return History(runs=runs)


def count_verdicts(verdicts: Iterable[Verdict]) -> Sequence[tuple[Verdict, int]]:
    """Return how often each verdict occurs, the best first, those that do not occur left out."""
    seen = list(verdicts)
    return [(verdict, seen.count(verdict)) for verdict in Verdict if verdict in seen]
