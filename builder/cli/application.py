"""The command `wheelfarm app`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from builder.cli.options import WHEELHOUSE, JsonOption, WheelhouseOption
from builder.cli.output import console, print_document
from builder.errors import ExitCode, FarmError

if TYPE_CHECKING:
    from pathlib import Path

    from builder.report.documents.applications import ApplicationPart

EXAMPLES = "Examples: [bold]wheelfarm app[/bold] · [bold]wheelfarm app shop --json[/bold]"


class UnknownApplicationError(FarmError):
    """The last whole run had no such application."""

    exit_code = ExitCode.USAGE


def app(
    name: Annotated[
        str,
        typer.Argument(metavar="[NAME]", help="Name of the application; all without it."),
    ] = "",
    wheelhouse: WheelhouseOption = WHEELHOUSE,
    as_json: JsonOption = False,
) -> None:
    """Show whether applications can move to an ABI on a base, what blocks them, and the shortest way out.

    Reads the verdicts of the last whole run; starts no job. Exits with 1 if one is blocked.
    """
    from builder.farm.run import exit_code
    from builder.report.documents.commands import SCHEMA_VERSION, AppDocument
    from builder.report.terminal import applications as report

    selected = _select(name, wheelhouse)
    if as_json:
        print_document(AppDocument(schema_version=SCHEMA_VERSION, applications=selected))
    else:
        report.print_applications(console, selected)
        report.print_details(console, selected)

    raise typer.Exit(exit_code((), [part.verdict for part in selected]))


def _select(name: str, wheelhouse: Path) -> list[ApplicationPart]:
    """Return the applications of the last whole run, or the one that is named.

    Raises:
        UnknownApplicationError: there was no such run, or it had no application of this name.
    """
    from builder.report.documents import verdicts_json

    read = verdicts_json.read(wheelhouse)
    applications = [] if read is None else read.applications
    if not applications:
        raise UnknownApplicationError(
            f"{wheelhouse / 'verdicts.json'} has no applications; name one in matrix.toml as [applications.NAME] "
            'with `lock = "uv.lock"`, and start `wheelfarm run`'
        )

    selected = [part for part in applications if name in {"", part.name}]
    if not selected:
        known = ", ".join(dict.fromkeys(part.name for part in applications))
        raise UnknownApplicationError(f"no application {name!r} in the last run; it had {known}")
    return selected
