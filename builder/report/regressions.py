"""What got worse between two runs: what alerts tell, and what the exit code of a night goes by. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from builder.report.documents.alert import RegressionPart
from builder.verdicts import ApplicationVerdict, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from builder.report.documents.applications import ApplicationPart
    from builder.report.history import VerdictChange


def find_regressions(
    changes: Iterable[VerdictChange],
    applications: Iterable[tuple[ApplicationVerdict | None, ApplicationPart]],
) -> tuple[RegressionPart, ...]:
    """Return what got worse, and what became undetermined, in the order given.

    A new package or application has no verdict that could have got worse, so a fault of it does not count. One that is
    undetermined does, whatever it was before.

    Args:
        changes: verdicts of packages that are not those of the run before.
        applications: (verdict before or None, application now) of each with another verdict.
    """
    return (*_iter_packages(changes), *_iter_applications(applications))


def _iter_packages(changes: Iterable[VerdictChange]) -> Iterator[RegressionPart]:
    for change in changes:
        if change.after is None:
            continue

        is_undetermined = change.after.verdict is Verdict.UNDETERMINED
        if is_undetermined or change.direction == "worse":
            yield RegressionPart(
                kind="undetermined" if is_undetermined else "worse",
                name=change.package,
                version=change.after.version,
                abi=change.abi,
                base="",
                before=None if change.before is None else change.before.verdict,
                after=change.after.verdict,
                reason=change.after.reason,
                way_out="",
            )


def _iter_applications(
    applications: Iterable[tuple[ApplicationVerdict | None, ApplicationPart]],
) -> Iterator[RegressionPart]:
    for before, part in applications:
        is_undetermined = part.verdict is ApplicationVerdict.UNDETERMINED
        is_worse = before is not None and part.verdict.rank > before.rank
        if is_undetermined or is_worse:
            yield RegressionPart(
                kind="application",
                name=part.name,
                version="",
                abi=part.abi,
                base=part.base,
                before=before,
                after=part.verdict,
                reason=part.reason,
                way_out=part.way_out,
            )
