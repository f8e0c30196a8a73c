"""The commands `wheelfarm run` and `wheelfarm plan`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from builder.cli.options import (
    MATRIX,
    WHEELHOUSE,
    EffortOption,
    JsonOption,
    MatrixOption,
    OnlyOption,
    RefreshOption,
    WheelhouseOption,
)
from builder.cli.output import console, error_console, print_document, print_json_text, print_line
from builder.cli.signals import stop_on_signals
from builder.config.effort import EffortLevel
from builder.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from builder.config.matrix import Matrix
    from builder.farm.prepare import RunRequest
    from builder.farm.run import RunResult
    from builder.plan.shards import Shard
    from builder.sources import Sources

RUN_EXAMPLES = (
    "Examples: [bold]wheelfarm run[/bold] · [bold]wheelfarm run --only lxml --effort deep[/bold] · "
    "[bold]wheelfarm run --shard 2/4[/bold]"
)
PLAN_EXAMPLES = (
    "Examples: [bold]wheelfarm plan[/bold] · [bold]wheelfarm plan --shards 4 --json[/bold]"
)


def run(  # noqa: PLR0913, PLR0917 - one parameter per option
    matrix: MatrixOption = MATRIX,
    wheelhouse: WheelhouseOption = WHEELHOUSE,
    only: OnlyOption = None,
    refresh: RefreshOption = False,
    again: Annotated[
        bool,
        typer.Option(
            "--again", help="Ignore recorded results and run the jobs again, image builds excepted."
        ),
    ] = False,
    locked: Annotated[
        bool,
        typer.Option("--locked", help="Rebuild offline from the files recorded by an earlier run."),
    ] = False,
    shard: Annotated[
        str,
        typer.Option(
            "--shard",
            metavar="K/N",
            help="Run shard K of N of the matrix; combine the shards with `merge`.",
        ),
    ] = "",
    effort: EffortOption = EffortLevel.QUICK,
    as_json: JsonOption = False,
) -> None:
    """Build, audit, import and judge the packages of a matrix, and publish the index.

    Results of earlier runs are reused. Ctrl-C stops a run; the next one resumes it.
    With --shard nothing is published and the exit code is 0 whatever the verdicts are; `wheelfarm merge` judges them.
    """
    from builder.config import matrix as matrices
    from builder.farm import prepare
    from builder.farm import run as farm
    from builder.report.terminal import progress
    from builder.store.store import Store

    part = parse_shard_option(shard)
    loaded = matrices.load(matrix)
    default_age_s = prepare.INDEX_MAX_AGE_S if part is None else prepare.SHARD_INDEX_MAX_AGE_S
    request = prepare.RunRequest(
        only=only or (),
        again=again,
        max_age_s=0.0 if refresh else default_age_s,
        shard=part,
        effort=effort,
        locked=locked,
    )

    stop = stop_on_signals(error_console)
    progress_console = error_console if as_json else console
    with (
        Store(wheelhouse) as store,
        store.lock(),
        progress.make_observer(progress_console) as observer,
    ):
        result = farm.run(loaded, store, request, observer, stop)

    if as_json:
        _print_document(result, loaded, wheelhouse)
    else:
        _print_result(result, loaded, wheelhouse, observer.times.seconds, request)

    if part is not None:
        raise typer.Exit(ExitCode.ADMISSIBLE)
    raise typer.Exit(farm.exit_code(result.verdicts, result.application_verdicts))


def _print_document(result: RunResult, matrix: Matrix, wheelhouse: Path) -> None:
    """Print verdicts.json.

    If nothing changed since the last whole run, print its file. After a run of only some packages, print the document
    that these packages make; it is not written to disk.
    """
    from builder.report.documents import verdicts_json

    if result.unchanged_run is not None:
        print_json_text((wheelhouse / "verdicts.json").read_text().removesuffix("\n"))
        return

    made = verdicts_json.make_document(result.judged, matrix, applications=result.applications)
    print_json_text(made.model_dump_json(indent=1))


def _print_result(
    result: RunResult,
    matrix: Matrix,
    wheelhouse: Path,
    thread_seconds: Mapping[str, float],
    request: RunRequest,
) -> None:
    """Print the verdicts and the remedies of this run or, if nothing changed since the last one, of that run."""
    from builder.report.documents import verdicts_json
    from builder.report.terminal import verdicts

    unchanged = result.unchanged_run
    if unchanged is None:
        verdicts.print_verdicts(
            console,
            verdicts_json.make_document(result.judged, matrix, applications=result.applications),
            verdicts.collect_remedies(result.judged),
            wheelhouse,
            thread_seconds,
            whole=request.is_whole_matrix,
        )
        return

    # A longer table is not printed, so verdicts.json need not be read.
    fits_a_table = sum(unchanged.verdicts.values()) <= verdicts.MAX_ROWS
    verdicts.print_unchanged(
        console,
        verdicts_json.read(wheelhouse) if fits_a_table else None,
        wheelhouse,
        run=unchanged.run,
        jobs=unchanged.jobs,
        verdicts=unchanged.verdicts,
    )


def plan(
    matrix: MatrixOption = MATRIX,
    wheelhouse: WheelhouseOption = WHEELHOUSE,
    only: OnlyOption = None,
    refresh: RefreshOption = False,
    shards: Annotated[
        int,
        typer.Option(
            "--shards",
            metavar="N",
            min=1,
            max=256,
            help="Split the matrix into N parts for `run --shard`.",
        ),
    ] = 1,
    effort: EffortOption = EffortLevel.QUICK,
    as_json: JsonOption = False,
) -> None:
    """Show what `run` would do, which inputs changed, and the estimated duration.

    Queries the package index; runs no job.
    """
    from builder.config import matrix as matrices
    from builder.farm import prepare
    from builder.report.documents.commands import SCHEMA_VERSION, PlanDocument
    from builder.report.terminal import plan as report
    from builder.report.terminal import progress
    from builder.store.store import Store

    loaded = matrices.load(matrix)
    max_age_s = 0.0 if refresh else prepare.INDEX_MAX_AGE_S
    request = prepare.RunRequest(only=only or (), max_age_s=max_age_s, effort=effort)
    with Store(wheelhouse) as store, progress.make_observer(error_console) as observer:
        planned = prepare.forecast_run(loaded, store, request, observer, listed=as_json)

    parts = describe_shards(planned.sources, shards)
    if as_json:
        record: dict[str, Any] = {"schema_version": SCHEMA_VERSION}
        record |= report.forecast_json(planned.forecast, request.resources)
        record["trials"] = {str(job): round(seconds, 1) for job, seconds in planned.trials.items()}
        record["faults"] = {name: fault.detail for name, fault in planned.sources.faults.items()}
        record["shards"] = parts
        # On one line: a plan of thousands of jobs is for programs.
        print_document(PlanDocument.model_validate(record), indent=None)
        return

    if shards > 1:
        for part in parts:
            print_line(f"shard {part['shard']}: {', '.join(part['packages'])}")
    for line in report.render_lines(planned.forecast, request.resources):
        print_line(line)
    for line in report.render_trials(planned.trials):
        print_line(line)


def parse_shard_option(text: str) -> Shard | None:
    """Return the shard that --shard names: `2/4` is the second of four. None if the option was not given.

    Raises:
        typer.BadParameter: the value is not K/N with 1 <= K <= N.
    """
    from builder.plan import shards

    if not text:
        return None

    try:
        return shards.parse_shard(text)
    except ValueError as error:
        raise typer.BadParameter(f"--shard: {error}") from None  # the message has the cause


def describe_shards(sources: Sources, count: int) -> list[dict[str, Any]]:
    """Return the shards of a plan as JSON data: `{"shard": "2/4", "packages": ["lxml", …]}` for each."""
    from builder.plan import shards

    parts = []
    for number, names in enumerate(shards.partition(sources, count), 1):
        parts.append({"shard": f"{number}/{count}", "packages": list(names)})

    return parts
