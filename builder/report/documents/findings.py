"""Findings, as verdicts.json has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from builder.judge.threads.headlines import describe_fault
from builder.report.documents.part import CleanLine, CleanText, Part
from builder.verdicts import Severity
from builder.verdicts.levels import Consequence, Need

if TYPE_CHECKING:
    from builder.judge.findings import Finding


class LocationPart(Part):
    """A line of source code."""

    path: CleanLine
    """In the sdist or as installed; of an extension module where only that is known."""

    line: int | None
    """From 1; null where it is not known."""

    function: CleanLine
    """Empty where it is not known."""


class TrialPart(Part):
    """How often a fault showed in one variant of the program that shows it."""

    how: str
    """What the variant is: `with nothing shared`."""

    shown: int
    ran: int


class FindingPart(Part):
    """One judged fact."""

    id: str
    """Stays the same from run to run."""

    code: str
    """See docs/findings.md."""

    severity: Severity
    title: CleanText
    detail: CleanText

    where: CleanLine
    """The module, file, functions or stage it is about."""

    needs: Need | None = None
    """What threads have to share for it to show; null where it is no fault under threads."""

    headline: CleanText = ""
    """When a fault under threads shows and what happens then, for someone who knows no C; empty for any other."""

    consequence: Consequence | None = None
    """What a fault under threads does; null where it is none."""

    calls: CleanText = ""
    """The calls that show a fault under threads, in words, as Markdown; empty for any other."""

    seen: CleanText = ""
    """A wrong result that was met, beside the right one; empty where there was none."""

    trials: list[TrialPart] = Field(default=[])
    """How often a fault under threads showed, as it was found and with less shared; empty where that was not tried."""

    program: CleanText = ""
    """A program of a few lines with the same calls, to be read; empty where there is none."""

    locations: list[LocationPart] = Field(default=[])
    """The lines of source code it is about, where they are known: of a race, both accesses."""

    also: list[CleanLine] = Field(default=[])
    """Of one cause that shows at several places, the names these would have as findings of their own."""

    bases: list[str]
    """Where it was seen."""

    remedy: CleanText

    log: CleanLine
    """The job's log, relative to this file; empty where there is none."""

    replay: CleanLine
    """A command that reproduces it."""


def make_finding_part(finding: Finding) -> FindingPart:
    """Return a finding's part of verdicts.json. A finding without a remedy of its own gets that of its code."""
    # A finding without a program that reproduces it is reproduced by running all jobs of the package again.
    if finding.script:
        command = f"wheelfarm replay {finding.id}"
    else:
        command = f"wheelfarm run --only {finding.package} --again"

    fault = finding.threads
    trials: list[TrialPart] = []
    if fault is not None:
        for trial in fault.trials:
            trials.append(TrialPart(how=trial.how, shown=trial.shown, ran=trial.ran))

    return FindingPart(
        id=finding.id,
        code=finding.code,
        severity=finding.severity,
        title=finding.kind.title,
        detail=finding.detail,
        where=finding.where,
        needs=None if fault is None else fault.needs,
        headline="" if fault is None else describe_fault(fault),
        consequence=None if fault is None else fault.consequence,
        calls=finding.calls,
        seen=finding.seen,
        trials=trials,
        program=finding.short,
        locations=make_location_parts(finding),
        also=list(finding.also),
        bases=list(finding.bases),
        remedy=finding.remedy or finding.kind.remedy,
        log=finding.log,
        replay=command,
    )


def make_location_parts(finding: Finding) -> list[LocationPart]:
    """Return the lines of source code that a finding is about, in the form of a document."""
    return [
        LocationPart(path=location.path, line=location.line, function=location.function)
        for location in finding.locations
    ]
