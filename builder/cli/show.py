"""The command `wheelfarm show`."""

from __future__ import annotations

from typing import Annotated

import typer

from builder.cli.options import WHEELHOUSE, JsonOption, WheelhouseOption
from builder.cli.output import print_document, table_console

EXAMPLES = "Example: [bold]wheelfarm show lxml[/bold]"


def show(
    package: Annotated[
        str, typer.Argument(metavar="PACKAGE", help="Name of the package, in any spelling.")
    ],
    wheelhouse: WheelhouseOption = WHEELHOUSE,
    as_json: JsonOption = False,
) -> None:
    """Show all that is recorded about a package: source, wheels, verdicts, findings, remedies, logs.

    Reads the wheelhouse; starts no job.
    """
    from builder.report.documents.commands import SCHEMA_VERSION, ShowDocument
    from builder.report.terminal import story
    from builder.store.store import Store

    with Store(wheelhouse) as store:
        recorded = story.read(package, store)

    if as_json:
        record = {"schema_version": SCHEMA_VERSION, **recorded.record()}
        print_document(ShowDocument.model_validate(record))
        return

    story.render(recorded, table_console())
