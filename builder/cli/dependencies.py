"""The commands that take a file of dependencies: `wheelfarm add` and `wheelfarm survey`."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from packaging.utils import InvalidName, canonicalize_name
from packaging.version import Version

from builder.cli.options import (
    MATRIX,
    WHEELHOUSE,
    JsonOption,
    MatrixOption,
    WheelhouseOption,
)
from builder.cli.output import console, error_console, print_document, print_line

if TYPE_CHECKING:
    from builder.config.cool_down import CoolDown
    from builder.dependencies.files import Selection

ADD_EXAMPLES = (
    "Examples: [bold]wheelfarm add uv.lock[/bold] · "
    "[bold]wheelfarm add --all pyproject.toml --extra postgres --dry-run[/bold]"
)
SURVEY_EXAMPLES = "Example: [bold]wheelfarm survey requirements.txt[/bold]"

_PAGE_FRESH_S = 600.0
"""How long a survey believes a page of the index: as long as public indexes let installers keep one."""

FileArgument = Annotated[
    Path,
    typer.Argument(
        metavar="FILE",
        help="requirements.txt or .in, pylock.toml, uv.lock, poetry.lock, Pipfile.lock or pyproject.toml; "
        "of a folder, the best of these.",
    ),
]
ExtraOption = Annotated[
    list[str] | None,
    typer.Option(
        "--extra",
        metavar="NAME",
        help="Include this extra (optional dependencies). Repeatable.",
        show_default="none",
    ),
]
GroupOption = Annotated[
    list[str] | None,
    typer.Option(
        "--group",
        metavar="NAME",
        help="Include this dependency group. Repeatable.",
        show_default="none",
    ),
]


def add(  # noqa: PLR0913, PLR0917 - one parameter per option
    file: FileArgument,
    matrix: MatrixOption = MATRIX,
    wheelhouse: WheelhouseOption = WHEELHOUSE,
    extra: ExtraOption = None,
    group: GroupOption = None,
    everything: Annotated[
        bool,
        typer.Option(
            "--all",
            help="Add pure packages as well: the index then installs the whole file by itself.",
        ),
    ] = False,
    speedups: Annotated[
        bool,
        typer.Option(
            "--speedups", help="Also add packages that have a pure wheel beside native ones."
        ),
    ] = False,
    update: Annotated[
        bool,
        typer.Option(
            "--update", help="Set packages that the matrix already has to the file's release."
        ),
    ] = False,
    beside: Annotated[
        bool,
        typer.Option(
            "--beside",
            help="Add a version that the matrix does not have beside the one it has: both are built and served.",
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be written, and write nothing.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Add the native dependencies of a project, or with --all every one, to the matrix: pinned, by the file's hashes.

    What the file leaves open is resolved for CPython 3.14 from metadata alone; no code of a package is run.
    """
    from builder.config import edit
    from builder.config.cool_down import CoolDown
    from builder.dependencies import files, resolve, select
    from builder.host import settings as host
    from builder.report.documents.commands import AddDocument
    from builder.report.terminal import dependencies as report
    from builder.sources.client import Index
    from builder.store.store import Store

    scope = select.Scope.SPEEDUPS if speedups else select.Scope.NATIVE
    if everything:
        scope = select.Scope.ALL
    selection = _parse_selection(extra, group)
    read = files.read(files.find_file(file), selection)
    # A matrix that is wrong is reported before anything is downloaded.
    settings = edit.read_matrix(matrix)
    target = select.Target.for_matrix(settings, selection.python)

    with Store(wheelhouse) as store:
        index = Index(host.index_settings(), store, CoolDown.for_matrix(settings))
        with error_console.status("reading") as status:
            resolved = resolve.resolve(read, index, selection.python, status.update)
            chosen = select.select_packages(
                resolved, index, store, status.update, scope=scope, target=target
            )

    selected = select.SelectedPackages(
        entries=chosen.entries, left_out=(*read.left_out, *chosen.left_out)
    )
    edited = edit.plan_edit(
        matrix,
        selected.entries,
        f"from {read.path.name}",
        update=update,
        beside=beside,
    )
    if not dry_run:
        edit.write_edit(matrix, edited)

    notes = (*read.notes, *resolved.notes)
    if as_json:
        print_document(
            AddDocument.model_validate(report.selection_json(read, edited, selected, notes))
        )
        return

    report.print_selection(console, edited, selected, notes)
    subject = f"{matrix} would change" if dry_run else f"{matrix}"
    print_line(f"{subject}: {report.count_changes(edited, selected)}")


def survey(
    file: FileArgument,
    wheelhouse: WheelhouseOption = WHEELHOUSE,
    extra: ExtraOption = None,
    group: GroupOption = None,
    cool_down: Annotated[
        str,
        typer.Option(
            "--cool-down",
            metavar="DURATION",
            help="Leave out files that have not been on the index this long: '7 days' or P7D.",
            show_default="none",
        ),
    ] = "",
    as_json: JsonOption = False,
) -> None:
    """Show which dependencies upstream supports on 3.14 and 3.14t, and what blocks the others.

    Reads the package index; builds nothing. What it says of the file is kept for `migrate`.
    """
    from builder.dependencies import files, gather, resolve
    from builder.dependencies.survey_record import record_survey
    from builder.host import settings as host
    from builder.report.documents.commands import SurveyDocument
    from builder.report.terminal import dependencies as report
    from builder.sources.client import Index
    from builder.store.store import Store

    selection = _parse_selection(extra, group)
    read = files.read(files.find_file(file), selection)
    with Store(wheelhouse) as store:
        index = Index(
            host.index_settings(),
            store,
            _parse_cool_down(cool_down),
            page_fresh_s=_PAGE_FRESH_S,
        )
        with error_console.status("reading") as status:
            resolved = resolve.resolve(read, index, selection.python, status.update)
            gathered = gather.survey_dependencies(
                resolved, index, store, selection.python, status.update
            )

        result = gather.Survey(
            rows=gathered.rows,
            left_out=(*read.left_out, *gathered.left_out),
            notes=(*read.notes, *gathered.notes),
        )
        now = datetime.datetime.now(tz=datetime.UTC)
        record_survey(store, read.path, result, now)

    if as_json:
        print_document(SurveyDocument.model_validate(report.survey_json(read, result)))
        return

    report.print_survey(console, result, now.date())


def _parse_selection(extras: list[str] | None, groups: list[str] | None) -> Selection:
    """Return which part of a dependency file to read: extras, groups, and markers for the newest CPython release."""
    from builder.config import catalog
    from builder.dependencies.files import Selection

    versions = [Version(version) for version in catalog.load().abi_releases]
    return Selection(
        python=max(versions),
        extras=_parse_names("--extra", extras),
        groups=_parse_names("--group", groups),
    )


def _parse_cool_down(text: str) -> CoolDown | None:
    """Return the cool-down that an option asks for; None where it is not given.

    Raises:
        typer.BadParameter: it is no duration.
    """
    from builder.config.cool_down import CoolDown
    from builder.config.durations import parse_duration

    if not text:
        return None
    try:
        period = parse_duration(text)
    except ValueError as error:
        raise typer.BadParameter(f"--cool-down: {error}") from None
    return CoolDown(now=datetime.datetime.now(tz=datetime.UTC), default=period)


def _parse_names(option: str, names: list[str] | None) -> frozenset[str]:
    """Return the values of --extra or --group as normalized names (PEP 685, PEP 735): `Test_All` -> `test-all`.

    Raises:
        typer.BadParameter: a value is not a valid name.
    """
    try:
        return frozenset(str(canonicalize_name(name, validate=True)) for name in names or ())
    except InvalidName as error:
        raise typer.BadParameter(f"{option}: {error}") from None  # the message has the cause
