"""The command `wheelfarm measure`."""

from __future__ import annotations

from typing import Annotated

import typer

from builder.cli.options import MATRIX, WHEELHOUSE, JsonOption, MatrixOption, WheelhouseOption
from builder.cli.output import console, error_console, print_document
from builder.cli.signals import stop_on_signals
from builder.config.rounds import DEFAULT_ROUNDS, DEFAULT_SECONDS, MOST_ROUNDS

EXAMPLES = (
    "Examples: [bold]wheelfarm measure shop[/bold] · "
    "[bold]wheelfarm measure shop --interpreter cp313 --interpreter cp314t[/bold] · "
    "[bold]wheelfarm measure --canary[/bold] · [bold]wheelfarm measure --last --json[/bold]"
)


def measure(  # noqa: PLR0913, PLR0917 - one parameter per option
    applications: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[APPLICATION]...",
            help="Names of applications of matrix.toml; all that have scenarios without any.",
        ),
    ] = None,
    scenarios: Annotated[
        list[str] | None,
        typer.Option(
            "--scenario", metavar="NAME", help="Measure this one. Repeatable.", show_default="all"
        ),
    ] = None,
    interpreters: Annotated[
        list[str] | None,
        typer.Option(
            "--interpreter",
            metavar="NAME",
            help="Measure with this one; the others are compared with the first. Repeatable.",
            show_default="cp313, those of the matrix, cp314-jit",
        ),
    ] = None,
    base: Annotated[
        str,
        typer.Option(
            "--base", metavar="NAME", help="Measure on it.", show_default="the application's first"
        ),
    ] = "",
    canary: Annotated[
        bool,
        typer.Option(
            "--canary",
            help="Compare what waits in `canary/` with what `simple/` has: for its gate.",
        ),
    ] = False,
    rounds: Annotated[
        int,
        typer.Option("--rounds", min=1, max=MOST_ROUNDS, help="How often everything is measured."),
    ] = DEFAULT_ROUNDS,
    seconds: Annotated[
        float,
        typer.Option(
            "--seconds", min=0.01, max=30.0, help="How long the calls of one reading take, about."
        ),
    ] = DEFAULT_SECONDS,
    pin: Annotated[
        bool, typer.Option("--pin", help="Compare later measurements with this one.")
    ] = False,
    last: Annotated[
        bool, typer.Option("--last", help="Show the last measurement again and start nothing.")
    ] = False,
    matrix: MatrixOption = MATRIX,
    wheelhouse: WheelhouseOption = WHEELHOUSE,
    as_json: JsonOption = False,
) -> None:
    """Measure applications with several interpreters: latency, throughput, CPU time, memory.

    What is measured are the scenarios of the matrix; `wheelfarm run` has to have published what they need.
    The report gets a page of it. Exits with 1 if something is worse, with 3 if something could not be measured.
    """
    from builder.config import matrix as matrices
    from builder.farm import measure as farm
    from builder.farm.measure_request import MeasureRequest
    from builder.report.documents.measurements import make_measure_document
    from builder.report.terminal import progress
    from builder.report.terminal.measurements import print_measurements
    from builder.store.store import Store

    loaded = matrices.load(matrix)
    request = MeasureRequest(
        applications=applications or (),
        scenarios=scenarios or (),
        interpreters=interpreters or (),
        base=base,
        is_canary=canary,
        rounds=rounds,
        seconds=seconds,
        pins=pin,
    )
    if last:
        with Store(wheelhouse) as store:
            result = farm.recall_applications(loaded, store, request)
    else:
        stop = stop_on_signals(error_console)
        progress_console = error_console if as_json else console
        with (
            Store(wheelhouse) as store,
            store.lock(),
            progress.make_observer(progress_console) as observer,
        ):
            result = farm.measure_applications(loaded, store, request, observer, stop)

    document = make_measure_document(result.judged, result.failures)
    if as_json:
        print_document(document)
    else:
        print_measurements(console, document)

    raise typer.Exit(farm.exit_code(result))
