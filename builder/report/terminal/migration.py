"""What `wheelfarm migrate` prints: a table of the steps of each move, then what is next and the commands for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from builder.judge.migration.model import State
from builder.report.terminal.consoles import make_wide_console, print_table

if TYPE_CHECKING:
    from rich.console import Console

    from builder.report.documents.migration import ChecklistPart, MigrateDocument, StepPart

STATE_STYLES = {
    State.DONE: "green",
    State.FAILED: "bold red",
    State.UNDETERMINED: "bold magenta",
    State.UNAVAILABLE: "dim",
}
"""Styles of rich; other states have none."""


def print_checklists(console: Console, document: MigrateDocument) -> None:
    """Print every checklist of a document."""
    wide = make_wide_console(console)
    for part in document.checklists:
        wide.print()
        wide.print(Text(part.title, style="bold"), soft_wrap=True)
        print_table(wide, _make_table(part))
        wide.print(Text(part.summary), soft_wrap=True)
        if part.next_part is not None:
            _print_commands(wide, part.next_part)


def _make_table(part: ChecklistPart) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", show_edge=False)
    table.add_column("")
    table.add_column("step", no_wrap=True)
    table.add_column("state", no_wrap=True)
    table.add_column("evidence", overflow="fold")

    for step in part.steps:
        mark = "→" if step.step is part.next else ""
        state = Text(step.state.value, style=STATE_STYLES.get(step.state, ""))
        table.add_row(mark, step.step.value, state, _describe_step(step))

    return table


def _describe_step(step: StepPart) -> Text:
    """Return what is on record for a step, and below it what else to do."""
    text = Text("\n".join(step.evidence))
    if step.advice:
        text.append(f"\n{step.advice}", style="dim")

    return text


def _print_commands(console: Console, step: StepPart) -> None:
    for command in step.commands:
        console.print(Text(f"  {command}"), soft_wrap=True)
