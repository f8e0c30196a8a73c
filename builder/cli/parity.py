"""The command `wheelfarm parity`."""

from __future__ import annotations

from typing import Annotated

import typer

from builder.cli.options import MATRIX, WHEELHOUSE, JsonOption, MatrixOption, WheelhouseOption
from builder.cli.output import console, print_document

EXAMPLES = "Examples: [bold]wheelfarm parity[/bold] · [bold]wheelfarm parity shop --json[/bold]"


def parity(
    applications: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[APPLICATION]...",
            help="Names of applications of matrix.toml; the whole matrix without any.",
        ),
    ] = None,
    matrix: MatrixOption = MATRIX,
    wheelhouse: WheelhouseOption = WHEELHOUSE,
    as_json: JsonOption = False,
) -> None:
    """Show what differs between the bases: system packages, libraries, wheels, floors, trials.

    Reads what the last whole run recorded; starts no job.
    Exits with 1 if something runs on one base and not on another.
    """
    from builder.config import matrix as matrices
    from builder.farm.parity import compare_named, exit_code
    from builder.report.documents import verdicts_json
    from builder.report.documents.parity import make_parity_document
    from builder.report.terminal.parity import print_parity
    from builder.store.store import Store

    loaded = matrices.load(matrix)
    verdicts = verdicts_json.read(wheelhouse)
    with Store(wheelhouse) as store:
        parities = compare_named(loaded, store, verdicts, applications or ())

    document = make_parity_document(parities, "" if verdicts is None else verdicts.generated_at)
    if as_json:
        print_document(document)
    else:
        print_parity(console, document)

    raise typer.Exit(exit_code(parities))
