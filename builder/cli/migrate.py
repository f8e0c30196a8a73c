"""The command `wheelfarm migrate`."""

from __future__ import annotations

from typing import Annotated

import typer

from builder.cli.options import MATRIX, WHEELHOUSE, JsonOption, MatrixOption, WheelhouseOption
from builder.cli.output import console, print_document

EXAMPLES = (
    "Examples: [bold]wheelfarm migrate[/bold] · [bold]wheelfarm migrate shop --abi cp314t[/bold]"
)


def migrate(
    applications: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[APPLICATION]...",
            help="Names of applications of matrix.toml; all of them without any.",
        ),
    ] = None,
    abi: Annotated[
        list[str] | None,
        typer.Option(
            "--abi",
            metavar="NAME",
            help="Only the move to this ABI. Repeatable.",
            show_default="all of the matrix",
        ),
    ] = None,
    matrix: MatrixOption = MATRIX,
    wheelhouse: WheelhouseOption = WHEELHOUSE,
    as_json: JsonOption = False,
) -> None:
    """Show which steps of moving applications are done, by what evidence, what is next, and which command does it.

    Reads what is on record in the wheelhouse; starts no job.
    Exits with 1 if what is on record of a step says no, and with 3 if a step is not done.
    """
    from builder.config import matrix as matrices
    from builder.farm.migration import check_named, exit_code
    from builder.report.documents import verdicts_json
    from builder.report.documents.migration import make_migrate_document
    from builder.report.terminal.migration import print_checklists
    from builder.store.store import Store

    loaded = matrices.load_begun(matrix)
    verdicts = verdicts_json.read(wheelhouse)
    with Store(wheelhouse) as store:
        checklists = check_named(loaded, store, verdicts, applications or (), abi or ())

    document = make_migrate_document(checklists, "" if verdicts is None else verdicts.generated_at)
    if as_json:
        print_document(document)
    else:
        print_checklists(console, document)

    raise typer.Exit(exit_code(checklists))
