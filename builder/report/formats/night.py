"""Two documents of verdicts -> what happened overnight, and the exit code that policy wants. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from builder.errors import ExitCode
from builder.report.formats.markdown import escaped
from builder.report.history import Change, Said, Verdicts, changes, counts
from builder.verdicts import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from builder.report.document import Document, FindingPart

_ROWS = 100


@dataclass(frozen=True, kw_only=True, slots=True)
class Night:
    """What is different.

    Attributes:
        first: nothing is known of a night before.
        releases: (package, version before, version now); a version is empty where there was none, or is none any more.
        changes: verdicts, the worst first.
        findings: (package, ABI, finding) that were not there before, of packages that were; infos are left out.
    """

    first: bool
    releases: tuple[tuple[str, str, str], ...]
    changes: tuple[Change, ...]
    findings: tuple[tuple[str, str, FindingPart], ...]


def compare(before: Document | None, after: Document) -> Night:
    """Compare a run with the one before; None where there was none."""
    old, new = _versions(before), _versions(after)
    return Night(
        first=before is None,
        releases=tuple(
            (name, old.get(name, ""), new.get(name, ""))
            for name in sorted({**old, **new})
            if old.get(name, "") != new.get(name, "")
        ),
        changes=changes(_verdicts(before), _verdicts(after)),
        findings=tuple(_fresh(before, after)) if before else (),
    )


def exit_code(night: Night) -> ExitCode:
    """Return 1 where a verdict got worse, 3 where a verdict can no longer be given, 0 otherwise.

    A package that is new has no verdict that could have got worse.
    """
    worse = {one.after.verdict for one in night.changes if one.direction == "worse" and one.after}
    if worse - {Verdict.UNDETERMINED}:
        return ExitCode.FAULTS
    lost = any(one.after and one.after.verdict is Verdict.UNDETERMINED for one in night.changes)
    return ExitCode.UNDETERMINED if lost else ExitCode.ADMISSIBLE


def render(night: Night, after: Document) -> str:
    """Return the summary as Markdown."""
    lines = ["# Tonight", "", _headline(night), ""]
    for abi in dict.fromkeys(abi for package in after.packages for abi in package.abis):
        found = counts(
            Verdict(package.abis[abi].verdict) for package in after.packages if abi in package.abis
        )
        lines.append(
            f"- **{escaped(abi)}**: "
            + ", ".join(f"{count} {verdict.value}" for verdict, count in found)
        )
    if not night.first:
        lines += _table("Releases", ("package", "before", "now"), _release_rows(night))
        lines += _table(
            "Verdicts", ("", "package", "ABI", "before", "now", "why"), _change_rows(night)
        )
        lines += _table(
            "New findings", ("code", "package", "ABI", "what", "where"), _finding_rows(night)
        )
    return "\n".join(lines) + "\n"


def _headline(night: Night) -> str:
    if night.first:
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
        (package.name, abi): Said(
            version=package.version, verdict=Verdict(part.verdict), reason=part.reason
        )
        for package in (document.packages if document else ())
        for abi, part in package.abis.items()
    }


def _fresh(before: Document, after: Document) -> Iterator[tuple[str, str, FindingPart]]:
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


def _release_rows(night: Night) -> Iterator[tuple[str, ...]]:
    for name, old, new in night.releases:
        yield name, old or "—", new or "—"


def _change_rows(night: Night) -> Iterator[tuple[str, ...]]:
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


def _finding_rows(night: Night) -> Iterator[tuple[str, ...]]:
    for name, abi, finding in night.findings:
        yield finding.code, name, abi, f"{finding.title}: {finding.detail}", finding.where


def _table(title: str, heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    """Return a section with a table that fits what CI systems show, or nothing where it would be empty."""
    listed = list(rows)
    if not listed:
        return []
    lines = ["", f"## {title}", "", f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    lines += [f"| {' | '.join(escaped(cell) for cell in row)} |" for row in listed[:_ROWS]]
    return [*lines, "", f"… and {len(listed) - _ROWS} more"] if len(listed) > _ROWS else lines
