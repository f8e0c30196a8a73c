"""What `wheelfarm add` and `wheelfarm survey` show: tables for a person, JSON for a program."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from builder.config.edit import Action
from builder.dependencies.files.text import escape_control_characters, shorten
from builder.dependencies.survey import MOVES, PURE, MoveOutlook, Status, SurveyRow, summarize
from builder.report.terminal.consoles import print_table
from builder.sources.kind import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console

    from builder.config.edit import MatrixEdit
    from builder.dependencies.files.model import DependencyFile, SkippedDependency
    from builder.dependencies.gather import Survey
    from builder.dependencies.select import SelectedPackages

SCHEMA_VERSION = 1
"""Version of the JSON that `add --json` and `survey --json` print."""

_STYLES = {
    Status.READY: "green",
    Status.UPGRADE: "yellow",
    Status.BUILD: "magenta",
    Status.BLOCKED: "bold red",
}

_SIGNS = {Action.ADDED: "+", Action.CHANGED: "~", Action.SAME: "=", Action.DIFFERS: "!"}

_HEADINGS = (
    "package",
    "release",
    "kind",
    "wheels",
    "sdist",
    "on 3.14",
    "on 3.14t",
    "classifier",
    "newest",
    "age",
)

_WRAPPED_COLUMNS = frozenset({"wheels", "on 3.14", "on 3.14t"})
"""Columns of sentences and lists; a name or a version that is broken over lines cannot be copied."""

_DAYS_PER_MONTH = 30.4

_MONTHS_SHOWN = 24
"""From two years on an age is given in years: months would claim to matter."""


def print_survey(console: Console, survey: Survey, today: datetime.date) -> None:
    """Print the table of a survey, native packages first, then what was left out, notes, and a summary.

    The columns "classifier" (of free-threading support) and "age" are about a package's newest release.

    Args:
        console: where to print.
        survey: the dependencies, with what upstream offers for them.
        today: the date that ages are counted to.
    """
    table = Table(box=None, pad_edge=False, header_style="bold", collapse_padding=True)
    for heading in _HEADINGS:
        table.add_column(heading, no_wrap=heading not in _WRAPPED_COLUMNS, overflow="fold")
    for row in sorted(survey.rows, key=lambda row: (row.kind is Kind.PURE, row.name)):
        table.add_row(*_row_cells(row, today))

    print_table(console, table)
    _print_left_out(console, survey.left_out)
    _print_notes(console, survey.notes)
    console.print(Text(summarize(survey.rows), style="bold"), soft_wrap=True)


def _row_cells(row: SurveyRow, today: datetime.date) -> tuple[Text, ...]:
    """Return the cells of a dependency's row, in the order of the headings.

    The newest version is left empty if it is the version in use.
    """
    newest_version = row.newest if row.newest != row.version else ""
    classifier = row.newest_metadata.free_threading.rpartition(" - ")[2]

    return (
        Text(row.name),
        Text(row.version),
        Text(str(row.kind)),
        Text(_format_wheels(row)),
        Text("yes" if row.sdist else "no"),
        _render_outlook(row.outlooks["3.14"]),
        _render_outlook(row.outlooks["3.14t"]),
        Text(shorten(classifier)),
        Text(newest_version),
        Text(_format_age(row.newest_metadata.day, today)),
    )


def _format_wheels(row: SurveyRow) -> str:
    """Return the ABIs that a release has wheels for, grouped by the oldest glibc: `cp314 cp314t 2_17, abi3 2_28`.

    That is `pure` for a release with only a pure wheel, and `none` for one without wheels.
    """
    if set(row.wheels) == {PURE}:
        return PURE

    abis_by_floor: dict[str, list[str]] = {}
    for abi, floor in row.wheels.items():
        floor_key = "" if abi == PURE else floor
        abis_by_floor.setdefault(floor_key, []).append(abi)

    groups: list[str] = []
    for floor, abis in abis_by_floor.items():
        glibc = floor.removeprefix("manylinux_")
        groups.append(f"{' '.join(abis)} {glibc}".strip())

    return ", ".join(groups) or "none"


def _render_outlook(outlook: MoveOutlook) -> Text:
    """Return a cell that says whether a package is ready for 3.14 or 3.14t.

    It also names the release to upgrade to, and what blocks the package, if there is such a thing.
    """
    text = Text(str(outlook.status), style=_STYLES[outlook.status])
    if outlook.upgrade:
        text.append(f" {outlook.upgrade}")

    details = list(outlook.blockers)
    if outlook.remark:
        details.append(outlook.remark)
    if details:
        text.append(f": {shorten('; '.join(details))}", style="not bold default")

    return text


def _format_age(day: datetime.date | None, today: datetime.date) -> str:
    """Return how old a release is, in months, or in years from two years on: `5 mo`, `3 y`.

    It is `?` if the date is not known or lies in the future.
    """
    if day is None or day > today:
        return "?"

    months = (today - day).days / _DAYS_PER_MONTH
    if months < _MONTHS_SHOWN:
        return f"{months:.0f} mo"
    return f"{months / 12:.0f} y"


def survey_json(file: DependencyFile, survey: Survey) -> dict[str, Any]:
    """Return a survey as JSON data: the summary, counts of each status for each move, and every dependency.

    A move is the step to 3.14 or to 3.14t.
    """
    counts = {move: _count_statuses(survey.rows, move) for move in MOVES}

    return {
        "schema_version": SCHEMA_VERSION,
        "file": str(file.path),
        "format": file.format,
        "summary": summarize(survey.rows),
        "counts": counts,
        "dependencies": [row.record() for row in survey.rows],
        "left_out": _left_out_json(survey.left_out),
        "notes": list(survey.notes),
    }


def _count_statuses(rows: Iterable[SurveyRow], move: str) -> dict[str, int]:
    """Return how many packages have each status for a move (`3.14` or `3.14t`), including statuses that none has."""
    counts = dict.fromkeys(map(str, Status), 0)
    for row in rows:
        counts[str(row.outlooks[move].status)] += 1

    return counts


def print_selection(
    console: Console,
    edited: MatrixEdit,
    selected: SelectedPackages,
    notes: Sequence[str],
) -> None:
    """Print how `add` changes the matrix, one line per package, then which dependencies were left out and why."""
    for change in edited.changes:
        sign = _SIGNS[change.action]
        detail = escape_control_characters(change.detail)
        console.print(Text(f"{sign} {change.name} {detail}"), soft_wrap=True)

    _print_left_out(console, selected.left_out)
    _print_notes(console, notes)


def selection_json(
    file: DependencyFile,
    edited: MatrixEdit,
    selected: SelectedPackages,
    notes: Sequence[str],
) -> dict[str, Any]:
    """Return as JSON data how `add` changes the matrix, and which dependencies were left out and why."""
    packages: list[dict[str, Any]] = []
    for entry, change in zip(selected.entries, edited.changes, strict=True):
        packages.append(
            {
                "name": change.name,
                "action": str(change.action),
                "version": entry.version,
                "sha256": entry.hashes[0] if entry.hashes else None,
                "hashes": list(entry.hashes),
                "from": entry.take_from,
                "group": entry.group,
                "detail": change.detail,
            }
        )

    return {
        "schema_version": SCHEMA_VERSION,
        "file": str(file.path),
        "format": file.format,
        "packages": packages,
        "left_out": _left_out_json(selected.left_out),
        "notes": list(notes),
    }


def count_changes(edited: MatrixEdit, selected: SelectedPackages) -> str:
    """Return how many packages were added to the matrix, changed, there already, or left out, in one sentence."""
    actions = [change.action for change in edited.changes]
    return (
        f"{actions.count(Action.ADDED)} added, {actions.count(Action.CHANGED)} changed, "
        f"{actions.count(Action.SAME)} there already, {actions.count(Action.DIFFERS)} there with another pin, "
        f"{len(selected.left_out)} left out"
    )


def _left_out_json(left_out: Sequence[SkippedDependency]) -> list[dict[str, str]]:
    return [{"name": item.name, "where": item.where, "why": item.why} for item in left_out]


def _print_left_out(console: Console, left_out: Sequence[SkippedDependency]) -> None:
    """Print the dependencies that were left out, one line for each reason: `  a, b: REASON`. Print nothing for none."""
    if not left_out:
        return

    names_by_reason: dict[str, list[str]] = {}
    for item in left_out:
        names_by_reason.setdefault(item.why, []).append(shorten(item.name))

    console.print(Text("left out:", style="bold"))
    for reason, names in names_by_reason.items():
        listed = ", ".join(dict.fromkeys(names))
        console.print(Text(f"  {listed}: {escape_control_characters(reason)}"), soft_wrap=True)


def _print_notes(console: Console, notes: Sequence[str]) -> None:
    for note in notes:
        text = Text(f"note: {escape_control_characters(note)}", style="yellow")
        console.print(text, soft_wrap=True)
