"""A summary in Markdown, for the page of a CI step."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from builder.report.history import counts
from builder.verdicts import Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from builder.report.document import Document
    from builder.report.history import Change

_ROWS = 200
_QUIET = frozenset({Verdict.COMPATIBLE, Verdict.UNPROVEN})


def render(document: Document, changes: Sequence[Change]) -> str:
    """Return the summary: counts, what changed, and every package that needs a look."""
    lines = ["# Wheels for CPython 3.14 and 3.14t", ""]
    for abi in dict.fromkeys(abi for package in document.packages for abi in package.abis):
        found = counts(
            Verdict(package.abis[abi].verdict)
            for package in document.packages
            if abi in package.abis
        )
        lines.append(
            f"- **{escaped(abi)}**: "
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
        lines += _limited([_change(one) for one in changes])
    rows = [
        f"| {escaped(f'{package.name} {package.version}')} | {escaped(abi)} | {part.verdict} | {escaped(part.reason)} |"
        for package in document.packages
        for abi, part in package.abis.items()
        if Verdict(part.verdict) not in _QUIET
    ]
    if rows:
        lines += [
            "",
            "## To look at",
            "",
            "| package | ABI | verdict | why |",
            "|---|---|---|---|",
            *_limited(rows),
        ]
    return "\n".join(lines) + "\n"


def _change(one: Change) -> str:
    before, after = (said.verdict.value if said else "—" for said in (one.before, one.after))
    return f"| {one.direction} | {escaped(one.package)} | {escaped(one.abi)} | {before} | {after} |"


def _limited(rows: list[str]) -> list[str]:
    """Keep a table within what CI systems show."""
    rest = len(rows) - _ROWS
    return [*rows[:_ROWS], *([f"| … and {rest} more | | | |"] if rest > 0 else [])]


def escaped(text: str) -> str:
    """Return text that Markdown shows as it is, on one line."""
    plain = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_{}\[\]()#!|~])", r"\\\1", plain)
