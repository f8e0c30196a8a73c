"""The commands that take a file of dependencies: `wheelfarm add` and `wheelfarm survey`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from packaging.utils import InvalidName, canonicalize_name
from packaging.version import Version
from rich.console import Console

if TYPE_CHECKING:
    from builder.dependencies.files import Selection

FileArgument = Annotated[
    Path,
    typer.Argument(
        metavar="FILE", help="requirements.txt, pylock.toml, uv.lock or pyproject.toml."
    ),
]
ExtraOption = Annotated[
    list[str] | None, typer.Option("--extra", help="Optional dependencies to take. Repeatable.")
]
GroupOption = Annotated[
    list[str] | None, typer.Option("--group", help="A dependency group to take. Repeatable.")
]
WheelhouseOption = Annotated[
    Path, typer.Option("--wheelhouse", help="Where sdists that must be read are kept.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]

_console = Console(emoji=False)
_error_console = Console(stderr=True, emoji=False)


def add(  # noqa: PLR0913, PLR0917 - one parameter per option
    file: FileArgument,
    matrix: Annotated[Path, typer.Option("--matrix", help="The matrix to write to.")] = Path(
        "matrix.toml"
    ),
    wheelhouse: WheelhouseOption = Path("wheelhouse"),
    extra: ExtraOption = None,
    group: GroupOption = None,
    speedups: Annotated[
        bool,
        typer.Option(
            "--speedups", help="Also take packages that have a pure wheel beside native ones."
        ),
    ] = False,
    update: Annotated[
        bool,
        typer.Option("--update", help="Give packages that are there already the file's release."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be written, and write nothing.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Take the native dependencies of a project into the matrix, pinned, and with the file's hashes where it has any.

    What the file leaves open is resolved for CPython 3.14 from metadata alone: nothing of a package is run.
    """
    from builder import host
    from builder.config import edit
    from builder.dependencies import files, resolve, select
    from builder.report.terminal import dependencies as report
    from builder.sources.client import Index
    from builder.store.store import Store

    selection = _parse_selection(extra, group)
    read = files.read(file, selection)
    edit.plan_edit(
        matrix, (), "", update=False
    )  # a matrix that is wrong is found before anything is fetched
    store = Store(wheelhouse)
    index = Index(host.index_settings(), store)
    with _error_console.status("reading") as status:
        resolved = resolve.resolve(read, index, selection.python, status.update)
        taken = select.select_packages(resolved, index, store, status.update, speedups=speedups)
    taken = select.SelectedPackages(
        entries=taken.entries, left_out=(*read.left_out, *taken.left_out)
    )
    edited = edit.plan_edit(matrix, taken.entries, f"from {file.name}", update=update)
    if not dry_run:
        edit.write_edit(matrix, edited)
    notes = (*read.notes, *resolved.notes)
    if as_json:
        typer.echo(json.dumps(report.selection_json(read, edited, taken, notes), indent=1))
        return
    report.print_selection(_console, edited, taken, notes)
    done = f"{matrix} would change" if dry_run else f"{matrix}"
    _console.print(
        f"{done}: {report.count_changes(edited, taken)}",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )


def survey(
    file: FileArgument,
    wheelhouse: WheelhouseOption = Path("wheelhouse"),
    extra: ExtraOption = None,
    group: GroupOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say which dependencies upstream supports on 3.14 and 3.14t, and what is in the way. Builds nothing."""
    import datetime

    from builder import host
    from builder.dependencies import files, gather, resolve
    from builder.report.terminal import dependencies as report
    from builder.sources.client import Index
    from builder.store.store import Store

    selection = _parse_selection(extra, group)
    read = files.read(file, selection)
    store = Store(wheelhouse)
    index = Index(host.index_settings(), store)
    with _error_console.status("reading") as status:
        resolved = resolve.resolve(read, index, selection.python, status.update)
        found = gather.survey_dependencies(resolved, index, store, selection.python, status.update)
    found = gather.Survey(
        rows=found.rows,
        left_out=(*read.left_out, *found.left_out),
        notes=(*read.notes, *found.notes),
    )
    if as_json:
        typer.echo(json.dumps(report.survey_json(read, found), indent=1))
    else:
        report.print_survey(_console, found, datetime.datetime.now(tz=datetime.UTC).date())


def _parse_selection(extras: list[str] | None, groups: list[str] | None) -> Selection:
    from builder.config import catalog
    from builder.dependencies.files import Selection

    table = catalog.load()
    python = Version(next(iter(table.releases.values())).version)
    return Selection(
        python=python,
        extras=_parse_names("--extra", extras),
        groups=_parse_names("--group", groups),
    )


def _parse_names(option: str, given: list[str] | None) -> frozenset[str]:
    try:
        return frozenset(str(canonicalize_name(name, validate=True)) for name in given or ())
    except InvalidName as error:
        raise typer.BadParameter(f"{option}: {error}") from None
