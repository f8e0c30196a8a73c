"""A summary in Markdown, for the page of a CI step."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from builder.report.history import count_verdicts
from builder.untrusted.text import clean_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from builder.report.documents.applications import ApplicationPart
    from builder.report.documents.verdicts_json import Document
    from builder.report.history import VerdictChange, VerdictRecord

_MAX_ROWS = 200
"""Rows of a table: CI systems cut off the page of a step at 1 MiB or less, and a reason may be long."""


_MAX_CELL = 2500
"""Characters of a cell: a page whose tables are full stays below 1 MiB, above which a CI system shows none of it."""

_CUT_CELL = 250  # characters of what is longer: an escape may be ten times as long as its character

_LINK_MARKS = re.compile(r"(@|://|(?<=www)\.)", re.IGNORECASE)
"""What makes a mention, or a link without brackets, of the text around it. A comment behind it, which is not shown,
breaks both; no backslash does."""

_CHANGES_HEAD = (
    "",
    "## Since the last run",
    "",
    "| | package | ABI | before | now |",
    "|---|---|---|---|---|",
)
_APPLICATIONS_HEAD = (
    "",
    "## Applications",
    "",
    "| application | on | verdict | why, and the way out |",
    "|---|---|---|---|",
)
_NOT_GOOD_HEAD = ("", "## To look at", "", "| package | ABI | verdict | why |", "|---|---|---|---|")


def render(document: Document, changes: Sequence[VerdictChange]) -> str:
    """Return a summary of a run as Markdown.

    It has up to four sections: how many packages have which verdict, which verdicts have changed, the applications, and
    a table of the verdicts that are not good, each with its reason. An empty section but the first is left out. A table
    is cut off after `_MAX_ROWS` rows, and a last row says how many are missing.

    Args:
        document: the verdicts of this run: one for each package and ABI (`cp314`, `cp314t`).
        changes: how they differ from those of the run before.
    """
    lines = ["# Wheels for CPython 3.14 and 3.14t", ""]
    lines += render_counts(document)

    if changes:
        lines += _CHANGES_HEAD
        lines += _limit_rows([_render_change(change) for change in changes])

    if document.applications:
        lines += _APPLICATIONS_HEAD
        lines += _limit_rows([render_application(part) for part in document.applications])

    not_good_rows = _render_not_good(document)
    if not_good_rows:
        lines += _NOT_GOOD_HEAD
        lines += _limit_rows(not_good_rows)

    return "\n".join(lines) + "\n"


def _render_not_good(document: Document) -> list[str]:
    """Return a row for each verdict that is not good: `| lxml 6.0 | cp314t | crashes | exits with a signal |`."""
    rows: list[str] = []
    for package, abi, outcome in document.iter_verdicts():
        if outcome.verdict.is_good:
            continue

        title = escape(package.title)
        rows.append(f"| {title} | {escape(abi)} | {outcome.verdict} | {escape(outcome.reason)} |")

    return rows


def render_counts(document: Document) -> list[str]:
    """Return a list item for each ABI, with the number of packages by verdict.

    An item is `- **cp314t**: 12 compatible, 3 unproven`.
    """
    lines: list[str] = []
    for abi in document.list_abis():
        counts = count_verdicts(document.list_verdicts(abi))
        texts = [f"{count} {verdict.value}" for verdict, count in counts]
        lines.append(f"- **{escape(abi)}**: {', '.join(texts)}")

    return lines


def render_application(part: ApplicationPart) -> str:
    """Return the verdict of an application as a row: `| shop | cp314t, debian-12 | blocked | blocked by lxml … |`."""
    place = f"{part.abi}, {part.base}"
    return f"| {escape(part.name)} | {escape(place)} | {part.verdict} | {escape(part.explain())} |"


def verdict_cell(record: VerdictRecord | None) -> str:
    """Return a verdict for a table, or a dash where there is none."""
    return "—" if record is None else record.verdict.value


def _render_change(change: VerdictChange) -> str:
    """Return a change of a verdict as a row of a table: `| worse | lxml | cp314t | compatible | crashes |`."""
    cells = (
        change.direction,
        escape(change.package),
        escape(change.abi),
        verdict_cell(change.before),
        verdict_cell(change.after),
    )
    return f"| {' | '.join(cells)} |"


def _limit_rows(rows: Sequence[str]) -> list[str]:
    """Return the first rows of a table and, if that is not all, a row with the number of the others."""
    listed_rows = list(rows[:_MAX_ROWS])
    hidden_count = len(rows) - len(listed_rows)
    if hidden_count:
        listed_rows.append(f"| … and {hidden_count} more | | | |")

    return listed_rows


def escape(text: str) -> str:
    """Return text on one line, with HTML and the special characters of Markdown escaped.

    Nobody is mentioned by an `@name` in it, and an address does not become a link.
    """
    escaped = _escape_line(text)
    if len(escaped) > _MAX_CELL:
        return _escape_line(clean_line(text, _CUT_CELL))
    return escaped


def _escape_line(text: str) -> str:
    plain = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    escaped = re.sub(r"([\\`*_{}\[\]()#!|~$])", r"\\\1", plain)

    return _LINK_MARKS.sub(r"\1<!-- -->", escaped)
