"""How verdicts and severities look: in a terminal, and on a badge."""

from __future__ import annotations

from dataclasses import dataclass

from builder.verdicts import ApplicationVerdict, Severity, Verdict


@dataclass(frozen=True, kw_only=True, slots=True)
class VerdictStyle:
    """The colours of a verdict.

    Attributes:
        terminal: a style of rich.
        badge: a colour of CSS, dark enough for white text upon it (4.5:1, WCAG 2.1 AA).
    """

    terminal: str
    badge: str


_FAULT_STYLE = VerdictStyle(terminal="bold red", badge="#b3261e")

_VERDICT_STYLES = {
    Verdict.COMPATIBLE: VerdictStyle(terminal="bold green", badge="#1a7f37"),
    Verdict.DISTINCT: VerdictStyle(terminal="bold cyan", badge="#1f5fa8"),
    Verdict.UNPROVEN: VerdictStyle(terminal="green", badge="#3f6b57"),
    Verdict.GIL_REQUIRED: VerdictStyle(terminal="yellow", badge="#8a5a00"),
    Verdict.UNDETERMINED: VerdictStyle(terminal="bold magenta", badge="#6e40a8"),
}

APPLICATION_STYLES = {
    ApplicationVerdict.READY: "bold green",
    ApplicationVerdict.READY_WITH_RISKS: "yellow",
    ApplicationVerdict.UNDETERMINED: "bold magenta",
    ApplicationVerdict.BLOCKED: "bold red",
}
"""Styles of rich."""

SEVERITY_STYLES = {
    Severity.ERROR: "bold red",
    Severity.WARNING: "yellow",
    Severity.INFO: "cyan",
}
"""Styles of rich."""


def verdict_style(verdict: Verdict) -> VerdictStyle:
    """Return the colours of a verdict; every fault has the same."""
    return _VERDICT_STYLES.get(verdict, _FAULT_STYLE)
