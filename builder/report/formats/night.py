"""Two documents of verdicts -> what happened overnight, and the exit code that policy wants. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from builder.errors import ExitCode
from builder.report.formats.markdown import count_lines, escape, verdict_cell
from builder.report.history import VerdictChange, VerdictRecord, Verdicts, compare_runs
from builder.verdicts import Severity, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from builder.report.document import Document, FindingPart

_MAX_ROWS = 100
"""Of each of three tables, so that all of them fit on the page of a CI step; verdicts.json has the rest."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RunDiff:
    """What is different from the run before.

    Attributes:
        is_first: there is no run before.
        releases: (package, version before, version now); a version is empty where there was none, or is none any more.
        changes: verdicts, the worst first.
        findings: (package, ABI, finding) that were not there before, of packages that were; infos are left out.
    """

    is_first: bool
    releases: tuple[tuple[str, str, str], ...]
    changes: tuple[VerdictChange, ...]
    findings: tuple[tuple[str, str, FindingPart], ...]


def compare_documents(before: Document | None, after: Document) -> RunDiff:
    """Compare a run with the one before; None where there was none."""
    findings = () if before is None else tuple(_find_new_findings(before, after))

    return RunDiff(
        is_first=before is None,
        releases=_compare_releases(before, after),
        changes=compare_runs(_collect_verdicts(before), _collect_verdicts(after)),
        findings=findings,
    )


def exit_code(diff: RunDiff) -> ExitCode:
    """Return 1 where a verdict got worse, 3 where a verdict can no longer be given, 0 otherwise.

    A package that is new has no verdict that could have got worse.
    """
    worse: set[Verdict] = set()
    is_undetermined = False
    for change in diff.changes:
        if change.after is None:
            continue
        if change.direction == "worse":
            worse.add(change.after.verdict)
        if change.after.verdict is Verdict.UNDETERMINED:
            is_undetermined = True

    if worse - {Verdict.UNDETERMINED}:
        return ExitCode.FAULTS
    if is_undetermined:
        return ExitCode.UNDETERMINED
    return ExitCode.ADMISSIBLE


def render(diff: RunDiff, after: Document) -> str:
    """Return the summary as Markdown."""
    lines = ["# Tonight", "", _headline(diff), ""]
    lines += count_lines(after)
    if not diff.is_first:
        lines += _table("Releases", ("package", "before", "now"), _iter_release_rows(diff))
        change_heads = ("", "package", "ABI", "before", "now", "why")
        lines += _table("Verdicts", change_heads, _iter_change_rows(diff))
        finding_heads = ("code", "package", "ABI", "what", "where")
        lines += _table("New findings", finding_heads, _iter_finding_rows(diff))

    return "\n".join(lines) + "\n"


def _headline(diff: RunDiff) -> str:
    if diff.is_first:
        return "The first night: there is nothing to compare with."
    if not diff.changes:
        return "No verdict changed."

    directions = [change.direction for change in diff.changes]
    counts: list[str] = []
    for direction in ("worse", "better", "new", "gone"):
        if direction in directions:
            counts.append(f"{directions.count(direction)} {direction}")

    return f"Verdicts: {', '.join(counts)}."


def _compare_releases(before: Document | None, after: Document) -> tuple[tuple[str, str, str], ...]:
    old = _collect_versions(before)
    new = _collect_versions(after)
    releases: list[tuple[str, str, str]] = []
    for name in sorted({**old, **new}):
        old_version = old.get(name, "")
        new_version = new.get(name, "")
        if old_version != new_version:
            releases.append((name, old_version, new_version))

    return tuple(releases)


def _collect_versions(document: Document | None) -> dict[str, str]:
    if document is None:
        return {}
    return {package.name: package.version for package in document.packages}


def _collect_verdicts(document: Document | None) -> Verdicts:
    if document is None:
        return {}

    records: Verdicts = {}
    for package, abi, part in document.iter_verdicts():
        records[package.name, abi] = VerdictRecord(
            version=package.version,
            verdict=part.verdict,
            reason=part.reason,
        )

    return records


def _find_new_findings(before: Document, after: Document) -> Iterator[tuple[str, str, FindingPart]]:
    """Find what a package did not have before, by code, module and ABI: an id changes with every release."""
    known: set[tuple[str, str, str, str]] = set()
    for package, abi, part in before.iter_verdicts():
        for finding in part.findings:
            known.add((package.name, abi, finding.code, finding.where))

    old_names = {package.name for package in before.packages}
    for package, abi, part in after.iter_verdicts():
        if package.name not in old_names:
            continue
        for finding in part.findings:
            was_there = (package.name, abi, finding.code, finding.where) in known
            if finding.severity is not Severity.INFO and not was_there:
                yield package.name, abi, finding


def _iter_release_rows(diff: RunDiff) -> Iterator[tuple[str, ...]]:
    for name, old, new in diff.releases:
        yield name, old or "—", new or "—"


def _iter_change_rows(diff: RunDiff) -> Iterator[tuple[str, ...]]:
    for change in diff.changes:
        before = verdict_cell(change.before)
        after = verdict_cell(change.after)
        reason = "" if change.after is None else change.after.reason
        yield change.direction, change.package, change.abi, before, after, reason


def _iter_finding_rows(diff: RunDiff) -> Iterator[tuple[str, ...]]:
    for name, abi, finding in diff.findings:
        yield finding.code, name, abi, f"{finding.title}: {finding.detail}", finding.where


def _table(title: str, heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    """Return a section with a table that fits what CI systems show, or nothing where it would be empty."""
    all_rows = list(rows)
    if not all_rows:
        return []

    lines = ["", f"## {title}", "", f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for row in all_rows[:_MAX_ROWS]:
        cells = [escape(cell) for cell in row]
        lines.append(f"| {' | '.join(cells)} |")
    hidden = len(all_rows) - _MAX_ROWS
    if hidden > 0:
        lines += ["", f"… and {hidden} more"]

    return lines
