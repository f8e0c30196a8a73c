"""Two documents of verdicts -> what happened overnight, and the exit code that policy wants. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from builder.errors import ExitCode
from builder.report.formats.markdown import escape
from builder.report.history import (
    VerdictChange,
    VerdictRecord,
    Verdicts,
    compare_runs,
    count_verdicts,
)
from builder.verdicts import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from builder.report.document import Document, FindingPart

_MAX_ROWS = 100


@dataclass(frozen=True, kw_only=True, slots=True)
class RunDiff:
    """What is different.

    Attributes:
        is_first: nothing is known of a night before.
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
    old, new = _versions(before), _versions(after)
    return RunDiff(
        is_first=before is None,
        releases=tuple(
            (name, old.get(name, ""), new.get(name, ""))
            for name in sorted({**old, **new})
            if old.get(name, "") != new.get(name, "")
        ),
        changes=compare_runs(_verdicts(before), _verdicts(after)),
        findings=tuple(_new_findings(before, after)) if before else (),
    )


def exit_code(night: RunDiff) -> ExitCode:
    """Return 1 where a verdict got worse, 3 where a verdict can no longer be given, 0 otherwise.

    A package that is new has no verdict that could have got worse.
    """
    worse = {one.after.verdict for one in night.changes if one.direction == "worse" and one.after}
    if worse - {Verdict.UNDETERMINED}:
        return ExitCode.FAULTS
    lost = any(one.after and one.after.verdict is Verdict.UNDETERMINED for one in night.changes)
    return ExitCode.UNDETERMINED if lost else ExitCode.ADMISSIBLE


def render(night: RunDiff, after: Document) -> str:
    """Return the summary as Markdown."""
    lines = ["# Tonight", "", _headline(night), ""]
    for abi in dict.fromkeys(abi for package in after.packages for abi in package.abis):
        found = count_verdicts(
            Verdict(package.abis[abi].verdict) for package in after.packages if abi in package.abis
        )
        lines.append(
            f"- **{escape(abi)}**: "
            + ", ".join(f"{count} {verdict.value}" for verdict, count in found)
        )
    if not night.is_first:
        lines += _table("Releases", ("package", "before", "now"), _release_rows(night))
        lines += _table(
            "Verdicts", ("", "package", "ABI", "before", "now", "why"), _change_rows(night)
        )
        lines += _table(
            "New findings", ("code", "package", "ABI", "what", "where"), _finding_rows(night)
        )
    return "\n".join(lines) + "\n"


def _headline(night: RunDiff) -> str:
    if night.is_first:
        return "The first night: there is nothing to compare with."
    found = [one.direction for one in night.changes]
    said = [
        f"{found.count(word)} {word}"
        for word in ("worse", "better", "new", "gone")
        if word in found
    ]
    return f"Verdicts: {', '.join(said)}." if said else "No verdict changed."


def _versions(document: Document | None) -> dict[str, str]:
    return {package.name: package.version for package in document.packages} if document else {}


def _verdicts(document: Document | None) -> Verdicts:
    return {
        (package.name, abi): VerdictRecord(
            version=package.version, verdict=Verdict(part.verdict), reason=part.reason
        )
        for package in (document.packages if document else ())
        for abi, part in package.abis.items()
    }


def _new_findings(before: Document, after: Document) -> Iterator[tuple[str, str, FindingPart]]:
    """Give findings whose code, module and ABI a package did not have before: an id changes with every release."""
    known = {
        (package.name, abi, finding.code, finding.where)
        for package in before.packages
        for abi, part in package.abis.items()
        for finding in part.findings
    }
    names = {package.name for package in before.packages}
    for package in after.packages:
        for abi, part in package.abis.items():
            for finding in part.findings:
                seen = (package.name, abi, finding.code, finding.where) in known
                if package.name in names and finding.severity != "info" and not seen:
                    yield package.name, abi, finding


def _release_rows(night: RunDiff) -> Iterator[tuple[str, ...]]:
    for name, old, new in night.releases:
        yield name, old or "—", new or "—"


def _change_rows(night: RunDiff) -> Iterator[tuple[str, ...]]:
    for one in night.changes:
        before, after = (said.verdict.value if said else "—" for said in (one.before, one.after))
        yield (
            one.direction,
            one.package,
            one.abi,
            before,
            after,
            one.after.reason if one.after else "",
        )


def _finding_rows(night: RunDiff) -> Iterator[tuple[str, ...]]:
    for name, abi, finding in night.findings:
        yield finding.code, name, abi, f"{finding.title}: {finding.detail}", finding.where


def _table(title: str, heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    """Return a section with a table that fits what CI systems show, or nothing where it would be empty."""
    listed = list(rows)
    if not listed:
        return []
    lines = ["", f"## {title}", "", f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    lines += [f"| {' | '.join(escape(cell) for cell in row)} |" for row in listed[:_MAX_ROWS]]
    return (
        [*lines, "", f"… and {len(listed) - _MAX_ROWS} more"] if len(listed) > _MAX_ROWS else lines
    )
