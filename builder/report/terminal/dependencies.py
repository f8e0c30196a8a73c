"""What `wheelfarm add` and `wheelfarm survey` show: tables for a person, JSON for a program."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from builder.config.edit import Action
from builder.dependencies.files.text import escape_control_characters, shorten
from builder.dependencies.survey import MOVES, PURE, MoveOutlook, Status, SurveyRow, summarize
from builder.sources.kind import Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from builder.config.edit import MatrixEdit
    from builder.dependencies.files.model import DependencyFile, SkippedDependency
    from builder.dependencies.gather import Survey
    from builder.dependencies.select import SelectedPackages

SCHEMA_VERSION = 1

_STYLES = {
    Status.READY: "green",
    Status.UPGRADE: "yellow",
    Status.BUILD: "magenta",
    Status.BLOCKED: "bold red",
}
_SIGNS = {Action.ADDED: "+", Action.CHANGED: "~", Action.SAME: "=", Action.DIFFERS: "!"}
_HEADINGS = (
    "package", "release", "kind", "wheels", "sdist", "on 3.14", "on 3.14t", "classifier", "newest", "age"
)  # fmt: skip
_WRAPPED_COLUMNS = frozenset({"wheels", "on 3.14", "on 3.14t"})
_DAYS_PER_MONTH = 30.4
_MONTHS_SHOWN = 24


def print_survey(console: Console, found: Survey, today: datetime.date) -> None:
    """Print a table, native packages first, and the sentence that sums up.

    The free-threading classifier and the age are those of the newest release.
    """
    table = Table(box=None, pad_edge=False, header_style="bold", collapse_padding=True)
    for heading in _HEADINGS:
        table.add_column(heading, no_wrap=heading not in _WRAPPED_COLUMNS, overflow="fold")
    for row in sorted(found.rows, key=lambda row: (row.kind is Kind.PURE, row.name)):
        table.add_row(*_row_cells(row, today))
    console.print(table)
    _print_left_out(console, found.left_out)
    _print_notes(console, found.notes)
    console.print(Text(summarize(found.rows), style="bold"), soft_wrap=True)


def _row_cells(row: SurveyRow, today: datetime.date) -> tuple[Text, ...]:
    newest = row.newest if row.newest != row.version else ""
    grade = row.newest_metadata.free_threading
    return (
        Text(row.name),
        Text(row.version),
        Text(str(row.kind)),
        Text(_format_wheels(row)),
        Text("yes" if row.sdist else "no"),
        _render_outlook(row.outlooks["3.14"]),
        _render_outlook(row.outlooks["3.14t"]),
        Text(shorten(grade.rpartition(" - ")[2])),
        Text(newest),
        Text(_format_age(row.newest_metadata.day, today)),
    )


def _format_wheels(row: SurveyRow) -> str:
    """Group ABIs by floor: `cp314 cp314t 2_17, abi3 2_28`."""
    floors: dict[str, list[str]] = {}
    for abi, floor in row.wheels.items():
        floors.setdefault("" if abi == PURE else floor, []).append(abi)
    if set(row.wheels) == {PURE}:
        return PURE
    return (
        ", ".join(
            f"{' '.join(abis)} {floor.removeprefix('manylinux_')}".strip()
            for floor, abis in floors.items()
        )
        or "none"
    )


def _render_outlook(outlook: MoveOutlook) -> Text:
    text = Text(str(outlook.status), style=_STYLES[outlook.status])
    if outlook.upgrade:
        text.append(f" {outlook.upgrade}")
    if words := "; ".join((*outlook.blockers, *filter(None, (outlook.remark,)))):
        text.append(f": {shorten(words)}", style="not bold default")
    return text


def _format_age(day: datetime.date | None, today: datetime.date) -> str:
    if day is None or day > today:
        return "?"
    months = (today - day).days / _DAYS_PER_MONTH
    return f"{months:.0f} mo" if months < _MONTHS_SHOWN else f"{months / 12:.0f} y"


def survey_json(file: DependencyFile, found: Survey) -> dict[str, Any]:
    """Return a survey as JSON data."""
    counts = {
        move: {
            str(status): sum(row.outlooks[move].status is status for row in found.rows)
            for status in Status
        }
        for move in MOVES
    }
    return {
        "schema_version": SCHEMA_VERSION,
        "file": str(file.path),
        "format": file.format,
        "summary": summarize(found.rows),
        "counts": counts,
        "dependencies": [row.record() for row in found.rows],
        "left_out": _left_out_json(found.left_out),
        "notes": list(found.notes),
    }


def print_selection(
    console: Console, edited: MatrixEdit, taken: SelectedPackages, notes: Sequence[str]
) -> None:
    """Print what happens to the matrix, what is left out, and why."""
    for change in edited.changes:
        console.print(
            Text(
                f"{_SIGNS[change.action]} {change.name} {escape_control_characters(change.detail)}"
            ),
            soft_wrap=True,
        )
    _print_left_out(console, taken.left_out)
    _print_notes(console, notes)


def selection_json(
    file: DependencyFile, edited: MatrixEdit, taken: SelectedPackages, notes: Sequence[str]
) -> dict[str, Any]:
    """Return what happens to the matrix as JSON data."""
    entries = {entry.name: entry for entry in taken.entries}
    return {
        "schema_version": SCHEMA_VERSION,
        "file": str(file.path),
        "format": file.format,
        "packages": [
            {
                "name": change.name,
                "action": str(change.action),
                "version": entries[change.name].version,
                "sha256": entries[change.name].sha256 or None,
                "detail": change.detail,
            }
            for change in edited.changes
        ],
        "left_out": _left_out_json(taken.left_out),
        "notes": list(notes),
    }


def count_changes(edited: MatrixEdit, taken: SelectedPackages) -> str:
    """Say in one sentence what happened to the matrix."""
    actions = [change.action for change in edited.changes]
    return (
        f"{actions.count(Action.ADDED)} added, {actions.count(Action.CHANGED)} changed, "
        f"{actions.count(Action.SAME)} there already, {actions.count(Action.DIFFERS)} there with another pin, "
        f"{len(taken.left_out)} left out"
    )


def _left_out_json(left_out: Sequence[SkippedDependency]) -> list[dict[str, str]]:
    return [{"name": item.name, "where": item.where, "why": item.why} for item in left_out]


def _print_left_out(console: Console, left_out: Sequence[SkippedDependency]) -> None:
    """Print one line per reason, the packages it holds for behind it."""
    reasons: dict[str, list[str]] = {}
    for item in left_out:
        reasons.setdefault(item.why, []).append(item.name)
    if reasons:
        console.print(Text("left out:", style="bold"))
    for why, names in reasons.items():
        console.print(
            Text(
                f"  {', '.join(dict.fromkeys(map(shorten, names)))}: {escape_control_characters(why)}"
            ),
            soft_wrap=True,
        )


def _print_notes(console: Console, notes: Sequence[str]) -> None:
    for note in notes:
        console.print(
            Text(f"note: {escape_control_characters(note)}", style="yellow"), soft_wrap=True
        )
