"""Whether applications can move, as verdicts.json and `wheelfarm app` have it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from builder.report.documents.part import CleanLine, CleanText, Part
from builder.verdicts import ApplicationVerdict

if TYPE_CHECKING:
    from builder.judge.application import JudgedApplication


class BlockerPart(Part):
    """What keeps an application from moving."""

    package: CleanLine
    """The package that does; empty where it is the application itself."""

    version: CleanLine
    """The release that is locked; empty where it is the application itself."""

    what: CleanText

    ways_out: list[CleanText]
    """What helps, the shortest way first."""


class RiskPart(Part):
    """What does not keep an application from moving, and has to be known."""

    package: CleanLine
    """The package that it is about; empty where it is the application itself."""

    what: CleanText

    code: str = ""
    """Of the kind of finding; empty where it has none."""

    remedy: CleanText = ""
    """What to do about it; empty where `what` says all."""


class ApplicationPart(Part):
    """The verdict of an application on one ABI and one base."""

    name: CleanLine
    abi: str
    base: str
    verdict: ApplicationVerdict

    reason: CleanText
    """One sentence for a person."""

    way_out: CleanText
    """The shortest way out; empty where nothing blocks, or no way is known."""

    packages: int
    """How many its lock has."""

    blockers: list[BlockerPart]
    risks: list[RiskPart]

    log: CleanLine
    """The log of the job that tried it, relative to this file; empty where it was not tried."""

    threads: CleanText = ""
    """What came of its native calls in several threads; empty where they were not made so."""

    def explain(self) -> str:
        """Return the reason, and the shortest way out where there is one."""
        return f"{self.reason}. Way out: {self.way_out}" if self.way_out else self.reason


def make_application_part(application: JudgedApplication) -> ApplicationPart:
    """Return an application's part of verdicts.json, for one ABI and base."""
    blockers = [
        BlockerPart(
            package=blocker.package,
            version=blocker.version,
            what=blocker.what,
            ways_out=list(blocker.ways_out),
        )
        for blocker in application.blockers
    ]
    risks = [
        RiskPart(
            package=risk.package,
            what=risk.what,
            code=risk.code or "",
            remedy=risk.remedy,
        )
        for risk in application.risks
    ]

    return ApplicationPart(
        name=application.name,
        abi=application.abi,
        base=application.base,
        verdict=application.verdict,
        reason=application.reason,
        way_out=application.way_out,
        packages=application.packages,
        blockers=blockers,
        risks=risks,
        log=application.log,
        threads=application.threads,
    )
