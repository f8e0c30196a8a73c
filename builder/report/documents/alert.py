"""What alerts say: the document that a webhook gets, and that a night leaves as report/alert.json."""

from __future__ import annotations

from typing import Literal

from builder.config.notify import Trigger
from builder.report.documents.part import CleanLine, CleanText, Part
from builder.verdicts import ApplicationVerdict, Verdict

SCHEMA_VERSION = 1
"""Version of the document: a key is added without another one, and removed or changed with one."""


ALERT_FILE = "report/alert.json"
"""Where a night leaves its alert in the wheelhouse, whether or not somebody was told."""


class RegressionPart(Part):
    """A verdict that got worse, or that could not be determined."""

    kind: Trigger
    """A package that got `worse`, a package that became `undetermined`, or an `application` of which either is true."""

    name: CleanLine
    """The package or the application."""

    version: CleanLine
    """The package's release; empty for an application."""

    abi: CleanLine

    base: CleanLine
    """The application's base; empty for a package, whose verdict is about all bases."""

    before: Verdict | ApplicationVerdict | None
    """Null where the run before did not have it."""

    after: Verdict | ApplicationVerdict

    reason: CleanText
    """One sentence for a person."""

    way_out: CleanText
    """The shortest way out for an application; empty where no way is known, and for a package."""

    @property
    def is_undetermined(self) -> bool:
        """Whether nothing could be said about it now."""
        return self.after in {Verdict.UNDETERMINED, ApplicationVerdict.UNDETERMINED}

    @property
    def place(self) -> tuple[str, str, str]:
        """What it is about: name, ABI and base."""
        return self.name, self.abi, self.base


class AlertDocument(Part):
    """An alert: what got worse between two runs, or a test message."""

    schema_version: Literal[1]

    kind: Literal["night", "test"]
    """A `test` is sent by a person who wants to see whether it arrives; it has no regressions."""

    id: str
    """The same for one that is sent again."""

    matrix: CleanLine
    """Name of the matrix's file."""

    generated_at: CleanLine
    """When the verdicts were given: UTC, ISO 8601."""

    summary: CleanLine
    """One line for a person."""

    report_url: CleanLine
    """Where the report is; empty where nobody said."""

    regressions: list[RegressionPart]
    """The worst first."""
