"""Verdicts across runs: what changed since the last one, and each package's timeline. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from builder.untrusted.text import clean_line, clean_text
from builder.verdicts import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Direction = Literal["better", "worse", "new", "gone"]


@dataclass(frozen=True, kw_only=True, slots=True)
class VerdictRecord:
    """A package's verdict for an ABI, as one run gave it."""

    version: str
    verdict: Verdict
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class VerdictChange:
    """How a verdict differs from the one of the run before.

    Attributes:
        before: the verdict of the run before; None if that run did not judge the package for this ABI.
        after: the verdict of this run; None if this run does not judge it any more.
    """

    package: str
    abi: str
    before: VerdictRecord | None
    after: VerdictRecord | None

    @property
    def direction(self) -> Direction:
        """The kind of change: worse or better, or "new" or "gone" if only one of both runs has a verdict."""
        if self.before is None:
            return "new"
        if self.after is None:
            return "gone"
        if self.after.verdict.rank > self.before.verdict.rank:
            return "worse"
        return "better"


Verdicts = dict[tuple[str, str], VerdictRecord]
"""The verdicts of one run, by package and ABI."""

_DIRECTIONS: tuple[Direction, ...] = ("worse", "gone", "new", "better")
"""The order in which changes are listed: what somebody has to look at comes first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class History:
    """The verdicts of all runs that are recorded.

    Attributes:
        runs: the verdicts of each run, by its id, the oldest run first.
    """

    runs: Mapping[str, Verdicts]

    def previous_run(self, run: str) -> Verdicts | None:
        """Return the verdicts of the run before a given one; None if it is the first run."""
        run_ids = list(self.runs)
        position = run_ids.index(run)
        if position == 0:
            return None

        return self.runs[run_ids[position - 1]]

    def changes_in(self, run: str) -> tuple[VerdictChange, ...]:
        """Return how verdicts changed in a run, the worst changes first.

        The result is empty for the first run: there is nothing to compare it with.
        """
        before = self.previous_run(run)
        if before is None:
            return ()

        return compare_runs(before, self.runs[run])

    def timeline(self, package: str, abi: str) -> tuple[tuple[str, VerdictRecord | None], ...]:
        """Return (id of the run, verdict) for every run, the oldest first; None for a run without such a verdict."""
        return tuple((run, verdicts.get((package, abi))) for run, verdicts in self.runs.items())


def compare_runs(before: Verdicts, after: Verdicts) -> tuple[VerdictChange, ...]:
    """Return the verdicts that differ between two runs, the worst changes first.

    A new version of a package with the same verdict is no change.
    """
    changes: list[VerdictChange] = []
    for package, abi in {**before, **after}:
        old = before.get((package, abi))
        new = after.get((package, abi))
        is_same = old is not None and new is not None and old.verdict is new.verdict
        if not is_same:
            changes.append(VerdictChange(package=package, abi=abi, before=old, after=new))

    changes.sort(
        key=lambda change: (_DIRECTIONS.index(change.direction), change.package, change.abi)
    )
    return tuple(changes)


def make_history(rows: Iterable[tuple[str, str, str, str, str, str]]) -> History:
    """Return the history of verdicts from rows of the ledger.

    Args:
        rows: (run, package, version, abi, verdict, reason) of each verdict, the oldest run first.
    """
    runs: dict[str, Verdicts] = {}
    for run, package, version, abi, verdict, reason in rows:
        # An older farm may have recorded what this one would have cleaned before.
        record = VerdictRecord(
            version=clean_line(version),
            verdict=Verdict(verdict),
            reason=clean_text(reason),
        )
        runs.setdefault(run, {})[clean_line(package), abi] = record

    return History(runs=runs)


def count_verdicts(verdicts: Iterable[Verdict]) -> Sequence[tuple[Verdict, int]]:
    """Return how often each verdict occurs, the best first; those that do not occur are left out."""
    counts = Counter(verdicts)
    return [(verdict, counts[verdict]) for verdict in Verdict if verdict in counts]
