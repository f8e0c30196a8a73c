"""A summary in Markdown, for the page of a CI step."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from builder.report.history import count_verdicts
from builder.verdicts import Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from builder.report.document import Document
    from builder.report.history import VerdictChange

_MAX_ROWS = 200


def render(document: Document, changes: Sequence[VerdictChange]) -> str:
    """Return the summary: counts, what changed, and every package that needs a look."""
    lines = ["# Wheels for CPython 3.14 and 3.14t", ""]
    for abi in dict.fromkeys(abi for package in document.packages for abi in package.abis):
        found = count_verdicts(
            Verdict(package.abis[abi].verdict)
            for package in document.packages
            if abi in package.abis
        )
        lines.append(
            f"- **{escape(abi)}**: "
            + ", ".join(f"{count} {verdict.value}" for verdict, count in found)
        )
    if changes:
        lines += [
            "",
            "## Since the last run",
            "",
            "| | package | ABI | before | now |",
            "|---|---|---|---|---|",
        ]
        lines += _limit_rows([_render_change(one) for one in changes])
    rows = [
        f"| {escape(f'{package.name} {package.version}')} | {escape(abi)} | {part.verdict} | {escape(part.reason)} |"
        for package in document.packages
        for abi, part in package.abis.items()
        if not Verdict(part.verdict).is_good
    ]
    if rows:
        lines += [
            "",
            "## To look at",
            "",
            "| package | ABI | verdict | why |",
            "|---|---|---|---|",
            *_limit_rows(rows),
        ]
    return "\n".join(lines) + "\n"


def _render_change(one: VerdictChange) -> str:
    before, after = (said.verdict.value if said else "—" for said in (one.before, one.after))
    return f"| {one.direction} | {escape(one.package)} | {escape(one.abi)} | {before} | {after} |"


def _limit_rows(rows: list[str]) -> list[str]:
    """Keep a table within what CI systems show."""
    rest = len(rows) - _MAX_ROWS
    return [*rows[:_MAX_ROWS], *([f"| … and {rest} more | | | |"] if rest > 0 else [])]


def escape(text: str) -> str:
    """Return text that Markdown shows as it is, on one line."""
    plain = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_{}\[\]()#!|~])", r"\\\1", plain)
