"""What `wheelfarm parity` prints: differences that matter, a table of all that differs, lines for Dockerfiles."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from builder.judge.parity.model import NOTHING, Weight
from builder.report.documents.parity import TOPIC_WORDS
from builder.report.terminal.consoles import make_wide_console, print_table

if TYPE_CHECKING:
    from rich.console import Console

    from builder.report.documents.parity import ParityDocument, ParityPart, ParityRowPart

WEIGHT_STYLES = {
    Weight.BREAKS: "bold red",
    Weight.UNDETERMINED: "bold magenta",
    Weight.INSTALL: "yellow",
}
"""Styles of rich; rows of other weights have none."""


def print_parity(console: Console, document: ParityDocument) -> None:
    """Print every comparison of a document."""
    wide = make_wide_console(console)
    for part in document.comparisons:
        wide.print()
        wide.print(Text(f"{part.title} on {', '.join(part.bases)}", style="bold"), soft_wrap=True)
        _print_differences(wide, part)
        differing = part.rows_that_differ()
        if differing:
            wide.print()
            print_table(wide, _make_table(part, differing))
        _print_rest(wide, part)


def _print_differences(console: Console, part: ParityPart) -> None:
    if not part.differences:
        console.print(Text("  no difference that matters was recorded"), soft_wrap=True)
    for sentence in part.differences:
        console.print(Text(f"  - {sentence}"), soft_wrap=True)


def _make_table(part: ParityPart, rows: list[ParityRowPart]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", show_edge=False)
    for heading in ("weight", "what", "name", "ABI"):
        table.add_column(heading, no_wrap=heading != "name", overflow="fold")
    for base in part.bases:
        table.add_column(base, overflow="fold")

    for row in rows:
        weight = Text(row.weight.value, style=WEIGHT_STYLES.get(row.weight, ""))
        values = [Text(row.values.get(base, NOTHING)) for base in part.bases]
        table.add_row(
            weight,
            TOPIC_WORDS[row.topic],
            _describe_name(row),
            Text(", ".join(row.abis)),
            *values,
        )

    return table


def _describe_name(row: ParityRowPart) -> Text:
    """Return the name of a row, and below it who needs that."""
    name = Text(row.name)
    if row.detail:
        name.append(f"\n{row.detail}", style="dim")

    return name


def _print_rest(console: Console, part: ParityPart) -> None:
    """Print what is alike in one line, lines for Dockerfiles, and what was not recorded."""
    alike = len(part.rows_alike())
    if alike:
        console.print(
            Text(f"  {alike} more are alike, as far as recorded; --json lists them", style="dim"),
            soft_wrap=True,
        )
    for base, line in part.dockerfile.items():
        if line:
            console.print(Text(f"  # {base}\n  {line}"), soft_wrap=True)
    for sentence in part.not_recorded:
        console.print(Text(f"  not recorded: {sentence}", style="dim"), soft_wrap=True)
