"""The command `wheelfarm replay`."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Annotated

import typer

from builder.cli.options import MATRIX, WHEELHOUSE, JsonOption, MatrixOption, WheelhouseOption
from builder.cli.output import error_console, print_document, print_line
from builder.cli.signals import stop_on_signals
from builder.errors import ExitCode, ReplayError
from builder.untrusted.text import clean_text

EXAMPLES = (
    "Examples: [bold]wheelfarm replay 55c50fda[/bold] · "
    "[bold]wheelfarm replay 55c50fda --version 2.5.2 --times 3[/bold] · "
    "[bold]wheelfarm replay 55c50fda --script > report.py[/bold]"
)


def replay(
    finding: Annotated[
        str,
        typer.Argument(
            metavar="FINDING",
            help="Id of a finding in verdicts.json, or a unique prefix.",
        ),
    ],
    matrix: MatrixOption = MATRIX,
    wheelhouse: WheelhouseOption = WHEELHOUSE,
    version: Annotated[
        str,
        typer.Option(
            "--version",
            metavar="VERSION",
            help="Package version to run it on.",
            show_default="the one it was found in",
        ),
    ] = "",
    times: Annotated[
        int, typer.Option("--times", metavar="N", min=1, max=1000, help="Number of runs.")
    ] = 10,
    sanitizer: Annotated[
        bool,
        typer.Option(
            "--sanitizer", help="Run under ThreadSanitizer even if the finding was made without it."
        ),
    ] = False,
    script: Annotated[
        bool | None,
        typer.Option(
            "--script/--short",
            help="Print the reproducer instead of running it: whole, or as a few lines for the maintainers.",
            show_default=False,
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Run the program that reproduces a finding, in a fresh container of the image it was found in.

    Exits with 1 if the finding was reproduced, otherwise with 0.
    """
    from builder.config import matrix as matrices
    from builder.farm import replay as replays
    from builder.farm import run
    from builder.report.documents.commands import SCHEMA_VERSION, ReplayDocument
    from builder.report.terminal import progress
    from builder.store.store import Store

    recorded = replays.load_replay(finding, wheelhouse)
    if script is False:
        if not recorded.short:
            raise ReplayError(
                recorded.id,
                "there is no short version of its calls: `--script` prints the whole program",
            )
        typer.echo(clean_text(recorded.short))
        return
    if script:
        # An escape in a program's text means what the character does.
        typer.echo(clean_text(recorded.script))
        return

    wanted = replace(recorded, race=recorded.race or sanitizer)
    stop = stop_on_signals(error_console)
    loaded = matrices.load(matrix)
    with (
        Store(wheelhouse) as store,
        store.lock(),
        progress.make_observer(error_console) as observer,
    ):
        result = run.replay(wanted, version, times, loaded, store, observer, stop)

    if as_json:
        record = {"schema_version": SCHEMA_VERSION, **asdict(result), "finding": wanted.id}
        print_document(ReplayDocument.model_validate(record))
    else:
        for number, outcome in enumerate(result.what, 1):
            print_line(f"run {number:3}  {outcome}")
        print_line(result.output)
        print_line(f"{wanted.code} {wanted.where}: shown {result.shown} of {result.runs} times")

    raise typer.Exit(ExitCode.FAULTS if result.shown else ExitCode.ADMISSIBLE)
