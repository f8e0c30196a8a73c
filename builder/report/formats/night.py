"""Two documents of verdicts -> what happened overnight, and the exit code that policy wants. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from builder.errors import ExitCode
from builder.report.formats.markdown import escape, render_counts, verdict_cell
from builder.report.history import VerdictChange, VerdictRecord, Verdicts, compare_runs
from builder.report.regressions import find_regressions
from builder.verdicts import ApplicationVerdict, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from builder.report.documents.alert import RegressionPart
    from builder.report.documents.applications import ApplicationPart
    from builder.report.documents.findings import FindingPart
    from builder.report.documents.verdicts_json import Document

_MAX_ROWS = 100
"""Rows of each of the four tables, so that all fit on the page of a CI step; verdicts.json has everything."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RunDiff:
    """The differences between a run of the whole matrix and the one before.

    Attributes:
        is_first: whether there is no run before.
        releases: (package, version before, version now) of each package with another version; a version is empty if
            that run did not have the package.
        changes: changes of verdicts, the worst first.
        findings: (package, ABI, finding) of new findings about packages that the run before had too, without infos.
        applications: (verdict before or None, application now) of each application, ABI and base with another verdict.
    """

    is_first: bool
    releases: tuple[tuple[str, str, str], ...]
    changes: tuple[VerdictChange, ...]
    findings: tuple[tuple[str, str, FindingPart], ...]
    applications: tuple[tuple[ApplicationVerdict | None, ApplicationPart], ...] = ()

    @property
    def regressions(self) -> tuple[RegressionPart, ...]:
        """What got worse, and what became undetermined, the packages first."""
        return find_regressions(self.changes, self.applications)


def compare_documents(before: Document | None, after: Document) -> RunDiff:
    """Return the differences between two runs. Without a run before, every verdict is new and no finding is listed.

    Args:
        before: the verdicts of the run before; None if there was none.
        after: the verdicts of this run.
    """
    findings = () if before is None else tuple(_find_new_findings(before, after))

    return RunDiff(
        is_first=before is None,
        releases=_compare_releases(before, after),
        changes=compare_runs(_collect_verdicts(before), _collect_verdicts(after)),
        findings=findings,
        applications=tuple(_compare_applications(before, after)),
    )


def exit_code(diff: RunDiff) -> ExitCode:
    """Return 1 if a verdict got worse, otherwise 3 if a changed or new verdict is undetermined, otherwise 0."""
    undetermined = [regression.is_undetermined for regression in diff.regressions]
    if not all(undetermined):
        return ExitCode.FAULTS
    if undetermined:
        return ExitCode.UNDETERMINED
    return ExitCode.ADMISSIBLE


def render(diff: RunDiff, after: Document) -> str:
    """Return the differences as Markdown: a headline, counts of verdicts, and tables of what is new.

    For the first run there are no tables.

    Args:
        diff: the differences to the run before.
        after: the verdicts of this run.
    """
    lines = ["# Tonight", "", _headline(diff), ""]
    lines += render_counts(after)
    if not diff.is_first:
        lines += _table("Releases", ("package", "before", "now"), _iter_release_rows(diff))
        change_heads = ("", "package", "ABI", "before", "now", "why")
        lines += _table("Verdicts", change_heads, _iter_change_rows(diff))
        application_heads = ("application", "on", "before", "now", "why, and the way out")
        lines += _table("Applications", application_heads, _iter_application_rows(diff))
        finding_heads = ("code", "package", "ABI", "what", "where")
        lines += _table("New findings", finding_heads, _iter_finding_rows(diff))

    return "\n".join(lines) + "\n"


def record(diff: RunDiff) -> dict[str, Any]:
    """Return the differences as JSON data, all of them."""
    releases: list[dict[str, str]] = []
    for package, before, after in diff.releases:
        releases.append({"package": package, "before": before, "after": after})

    findings: list[dict[str, Any]] = []
    for package, abi, finding in diff.findings:
        fields = {"id", "code", "severity", "title", "detail", "where"}
        findings.append({"package": package, "abi": abi, **finding.model_dump(include=fields)})

    return {
        "schema_version": 1,
        "first": diff.is_first,
        "releases": releases,
        "changes": [_record_change(change) for change in diff.changes],
        "applications": [_record_application(before, part) for before, part in diff.applications],
        "findings": findings,
    }


def _record_application(before: ApplicationVerdict | None, part: ApplicationPart) -> dict[str, Any]:
    return {
        "application": part.name,
        "abi": part.abi,
        "base": part.base,
        "before": before,
        "after": part.verdict,
        "reason": part.reason,
        "way_out": part.way_out,
    }


def _record_change(change: VerdictChange) -> dict[str, Any]:
    latest = change.after or change.before
    return {
        "package": change.package,
        "abi": change.abi,
        "direction": change.direction,
        "before": change.before.verdict if change.before else None,
        "after": change.after.verdict if change.after else None,
        "reason": latest.reason if latest else "",
    }


def _headline(diff: RunDiff) -> str:
    """Return the sentence that sums up how verdicts changed, such as `Verdicts: 1 worse, 2 new`."""
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
    """Return (package, version before, version now) of each package whose version differs, sorted by name.

    A version is empty if that run did not have the package.
    """
    old_versions = _collect_versions(before)
    new_versions = _collect_versions(after)
    releases: list[tuple[str, str, str]] = []
    for name in sorted({**old_versions, **new_versions}):
        old_version = old_versions.get(name, "")
        new_version = new_versions.get(name, "")
        if old_version != new_version:
            releases.append((name, old_version, new_version))

    return tuple(releases)


def _collect_versions(document: Document | None) -> dict[str, str]:
    if document is None:
        return {}
    return {package.name: package.version for package in document.packages}


def _collect_verdicts(document: Document | None) -> Verdicts:
    """Return the verdicts of a document by package and ABI; none if there is no document."""
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


def _compare_applications(
    before: Document | None, after: Document
) -> Iterator[tuple[ApplicationVerdict | None, ApplicationPart]]:
    """Iterate over (verdict before or None, application now) of each application whose verdict is another one."""
    earlier: dict[tuple[str, str, str], ApplicationVerdict] = {}
    for part in before.applications if before is not None else ():
        earlier[part.name, part.abi, part.base] = part.verdict

    for part in after.applications:
        verdict = earlier.get((part.name, part.abi, part.base))
        if verdict is not part.verdict:
            yield verdict, part


def _find_new_findings(before: Document, after: Document) -> Iterator[tuple[str, str, FindingPart]]:
    """Iterate over (package, ABI, finding) of each finding that the run before did not have.

    Findings are compared by package, ABI, code and module, not by id, since the same finding has another id in another
    release. What a finding joins counts as well: a cause is not new where one of its places was a finding before, or
    goes by another name now. Packages that are new, and findings that only inform, are skipped.
    """
    old_findings: set[tuple[str, str, str, str]] = set()
    for package, abi, part in before.iter_verdicts():
        for finding in part.findings:
            for where in (finding.where, *finding.also):
                old_findings.add((package.name, abi, finding.code, where))

    old_names = {package.name for package in before.packages}
    for package, abi, part in after.iter_verdicts():
        if package.name not in old_names:
            continue
        for finding in part.findings:
            names = (finding.where, *finding.also)
            is_old = any((package.name, abi, finding.code, name) in old_findings for name in names)
            if finding.severity is not Severity.INFO and not is_old:
                yield package.name, abi, finding


def _iter_release_rows(diff: RunDiff) -> Iterator[tuple[str, ...]]:
    for name, old, new in diff.releases:
        yield name, old or "—", new or "—"


def _iter_change_rows(diff: RunDiff) -> Iterator[tuple[str, ...]]:
    """Iterate over the rows of the table of verdicts; a package that is gone has no reason."""
    for change in diff.changes:
        before = verdict_cell(change.before)
        after = verdict_cell(change.after)
        reason = "" if change.after is None else change.after.reason
        yield change.direction, change.package, change.abi, before, after, reason


def _iter_application_rows(diff: RunDiff) -> Iterator[tuple[str, ...]]:
    for before, part in diff.applications:
        place = f"{part.abi}, {part.base}"
        yield part.name, place, before or "—", part.verdict, part.explain()


def _iter_finding_rows(diff: RunDiff) -> Iterator[tuple[str, ...]]:
    for name, abi, finding in diff.findings:
        yield finding.code, name, abi, f"{finding.title}: {finding.detail}", finding.where


def _table(title: str, headings: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    """Return the lines of a section with a table, cut after a number of rows; no lines if there are no rows."""
    all_rows = list(rows)
    if not all_rows:
        return []

    lines = ["", f"## {title}", "", f"| {' | '.join(headings)} |", "|---" * len(headings) + "|"]
    for row in all_rows[:_MAX_ROWS]:
        cells = [escape(cell) for cell in row]
        lines.append(f"| {' | '.join(cells)} |")
    hidden = len(all_rows) - _MAX_ROWS
    if hidden > 0:
        lines += ["", f"… and {hidden} more"]

    return lines
