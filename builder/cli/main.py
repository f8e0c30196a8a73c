"""The command `wheelfarm`: parse, call one core function, render."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from builder import __version__
from builder.cli import automation, dependencies, gc, replay
from builder.cli import check as cli_check
from builder.cli.automation import EffortOption
from builder.cli.signals import stop_on_signals
from builder.config.effort import EffortLevel
from builder.errors import ExitCode, FarmError, Interrupted

_EPILOG = (
    "[bold]Exit codes[/bold]: 0 every verdict is admissible · 1 a fault was shown · 2 usage or matrix.toml · "
    "3 the farm could not tell · 4 no container engine · 5 the wheelhouse is held · 6 `check` found warnings only · "
    "130 interrupted. See docs/exit-codes.md."
)

app = typer.Typer(
    name="wheelfarm",
    help="Turn a list of native dependencies into a private index of manylinux wheels for CPython 3.14 and 3.14t, "
    "and into a verdict per package that says, with evidence anyone can replay, whether it is safe to run there.",
    epilog=_EPILOG,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

MatrixOption = Annotated[
    Path, typer.Option("--matrix", help="What to build: a file of \\[packages.NAME] tables.")
]
WheelhouseOption = Annotated[
    Path, typer.Option("--wheelhouse", help="Where the index, the verdicts and the store go.")
]
OnlyOption = Annotated[
    list[str] | None,
    typer.Option("--only", help="Only this package, and what it needs. Repeatable."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
RefreshOption = Annotated[
    bool, typer.Option("--refresh", help="Ask the index for new releases now, not once an hour.")
]

_console = Console(emoji=False)
_error_console = Console(stderr=True, emoji=False)


def _print_version(value: bool) -> None:
    if value:
        typer.echo(f"wheelfarm {__version__}")
        raise typer.Exit


@app.callback()
def _global_options(
    version: Annotated[  # noqa: ARG001 - its callback acts
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    return


@app.command()
def run(  # noqa: PLR0913, PLR0917 - one parameter per option
    matrix: MatrixOption = Path("matrix.toml"),
    wheelhouse: WheelhouseOption = Path("wheelhouse"),
    only: OnlyOption = None,
    refresh: RefreshOption = False,
    again: Annotated[
        bool, typer.Option("--again", help="Run the jobs even though their results are known.")
    ] = False,
    locked: Annotated[
        bool,
        typer.Option(
            "--locked", help="Give builds exactly the files of the index that they fetched before."
        ),
    ] = False,
    shard: Annotated[
        str, typer.Option("--shard", metavar="K/N", help="Only part K of N, for `merge`.")
    ] = "",
    effort: EffortOption = EffortLevel.QUICK,
    as_json: JsonOption = False,
) -> None:
    """Build, audit, import and judge everything in the matrix; publish the index. `make wheels` calls this.

    What an earlier run finished is not done again. Ctrl-C stops it; the next run goes on from there.
    A shard publishes nothing, and its verdicts do not decide its exit code: `wheelfarm merge` does both.
    """
    from builder.config import matrix as matrices
    from builder.farm import run as farm
    from builder.report import document
    from builder.report.terminal import progress, verdicts
    from builder.store.store import Store

    stop = stop_on_signals(_error_console)
    loaded = matrices.load(matrix)
    store = Store(wheelhouse)
    part = automation.parse_shard_option(shard)
    believed_s = farm.INDEX_MAX_AGE_S if part is None else farm.SHARD_INDEX_MAX_AGE_S
    request = farm.RunRequest(
        only=only or (),
        again=again,
        max_age_s=0.0 if refresh else believed_s,
        shard=part,
        effort=effort,
        locked=locked,
    )
    with store.lock(), progress.make_observer(_error_console if as_json else _console) as observer:
        ran = farm.run(loaded, store, request, observer, stop)
    if as_json and ran.unchanged_run is not None:
        typer.echo((wheelhouse / "verdicts.json").read_text(), nl=False)
    elif as_json:
        typer.echo(document.make_document(ran.judged, loaded).model_dump_json(indent=1))
    elif ran.unchanged_run is not None:
        few = sum(ran.unchanged_run.verdicts.values()) <= verdicts.MAX_ROWS
        verdicts.print_unchanged(
            _console,
            document.read(wheelhouse) if few else None,
            wheelhouse,
            run=ran.unchanged_run.run,
            jobs=ran.unchanged_run.jobs,
            verdicts=ran.unchanged_run.verdicts,
        )
    else:
        verdicts.print_verdicts(
            _console,
            document.make_document(ran.judged, loaded),
            verdicts.collect_remedies(ran.judged),
            wheelhouse,
            observer.times.seconds,
            whole=request.is_whole_matrix,
        )
    raise typer.Exit(farm.exit_code(ran.verdicts) if part is None else ExitCode.ADMISSIBLE)


@app.command()
def plan(
    matrix: MatrixOption = Path("matrix.toml"),
    wheelhouse: WheelhouseOption = Path("wheelhouse"),
    only: OnlyOption = None,
    refresh: RefreshOption = False,
    shards: Annotated[
        int, typer.Option("--shards", min=1, max=256, help="Cut it into N parts for `run --shard`.")
    ] = 1,
    effort: EffortOption = EffortLevel.QUICK,
    as_json: JsonOption = False,
) -> None:
    """Show what `run` would do, why (which input changed), and how long it should take. Starts nothing."""
    from builder.config import matrix as matrices
    from builder.farm import run as farm
    from builder.report.terminal import plan as report
    from builder.report.terminal import progress
    from builder.store.store import Store

    loaded = matrices.load(matrix)
    store = Store(wheelhouse)
    request = farm.RunRequest(
        only=only or (), max_age_s=0.0 if refresh else farm.INDEX_MAX_AGE_S, effort=effort
    )
    with progress.make_observer(_error_console) as observer:
        found = farm.forecast_run(loaded, store, request, observer, listed=as_json)
    parts = automation.shards_json(found.sources, shards)
    if as_json:
        faults = {name: fault.detail for name, fault in found.sources.faults.items()}
        told = report.forecast_json(found.forecast, request.resources)
        typer.echo(json.dumps({**told, "faults": faults, "shards": parts}))
        return
    for part in parts if shards > 1 else ():
        _console.print(
            f"shard {part['shard']}: {', '.join(part['packages'])}", markup=False, highlight=False
        )
    for line in report.render_lines(found.forecast, request.resources):
        typer.echo(line)


app.command()(cli_check.check)


@app.command()
def show(
    package: Annotated[str, typer.Argument(help="The package, by any spelling of its name.")],
    wheelhouse: WheelhouseOption = Path("wheelhouse"),
    as_json: JsonOption = False,
) -> None:
    """Tell a package's whole story: source, wheels, verdicts, findings, remedies, logs. Reads; starts nothing."""
    from builder.report.terminal import story
    from builder.store.store import Store

    told = story.read(package, Store(wheelhouse))
    if as_json:
        typer.echo(json.dumps(told.record(), indent=1))
        return
    console = _console if _console.is_terminal else Console(width=max(_console.width, 160))
    story.render(told, console)


@app.command()
def doctor(
    wheelhouse: WheelhouseOption = Path("wheelhouse"),
    as_json: JsonOption = False,
) -> None:
    """Check whether this machine can run the farm, and say what to do about what is missing."""
    from builder.farm import doctor as checks

    results = checks.run_checks(wheelhouse)
    if as_json:
        typer.echo(json.dumps([check.record() for check in results], indent=1))
    else:
        checks.render(results, _console)
    raise typer.Exit(
        ExitCode.ADMISSIBLE
        if all(check.ok or not check.required for check in results)
        else ExitCode.ENGINE
    )


@app.command()
def engine() -> None:
    """Make sure a container engine answers; install and start the distribution's where none does. `make engine`."""
    from builder.engine import provision

    found = provision.ensure_engine(
        lambda text: _console.print(text, highlight=False, soft_wrap=True)
    )
    version = ".".join(map(str, found.api_version))
    _console.print(
        f"container engine: {found.address}, API {version}", highlight=False, soft_wrap=True
    )


@app.command()
def serve(
    wheelhouse: WheelhouseOption = Path("wheelhouse"),
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", help="Port to listen on; 0 for any that is free.")
    ] = 8314,
) -> None:
    """Serve the index and the report over HTTP, read-only. Only this machine reaches it unless --host says more."""
    from builder.index import serve as server

    server.serve(wheelhouse.resolve(), host, port)


@app.command()
def rollback(
    snapshot: Annotated[
        str, typer.Argument(help="Its id, or the beginning of it. Default: the one before.")
    ] = "",
    wheelhouse: WheelhouseOption = Path("wheelhouse"),
    listing: Annotated[
        bool, typer.Option("--list", help="Only list the snapshots there are.")
    ] = False,
) -> None:
    """Return the index to what it was before. Verdicts and report stay; the next run publishes anew."""
    import datetime

    from builder import index
    from builder.store.store import Store

    store = Store(wheelhouse)
    if not listing:
        with store.lock():
            published = index.rollback(store, snapshot)
        _console.print(f"the index holds snapshot {published.snapshot}", highlight=False)
        return
    for one in index.list_snapshots(store):
        at = datetime.datetime.fromtimestamp(one.published_at, datetime.UTC).strftime(
            "%Y-%m-%d %H:%M:%S UTC"
        )
        mark = "*" if one.is_current else " "
        _console.print(f"{mark} {one.id}  {at}  {one.projects} projects", highlight=False)


app.command()(dependencies.add)
app.command()(dependencies.survey)
app.command()(replay.replay)
app.command()(gc.gc)
app.command()(automation.publish)
app.command()(automation.nightly)
app.command()(automation.merge)


@app.command(hidden=True)
def schema() -> None:
    """Print the JSON Schema of verdicts.json."""
    from builder.report import document

    typer.echo(document.schema(), nl=False)


def main() -> None:
    """Run the command and turn errors into messages and exit codes."""
    for stream in (
        sys.stdout,
        sys.stderr,
    ):  # a log that somebody follows gets each line as it is printed
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(line_buffering=True)
    from builder.store.files import translate_disk_full

    try:
        with translate_disk_full("the wheelhouse"):  # whatever wrote to it
            app()
    except FarmError as error:
        _error_console.print(
            f"wheelfarm: {error}", markup=False, highlight=False, soft_wrap=True, style="red"
        )
        sys.exit(error.exit_code)
    except Interrupted:
        _error_console.print("wheelfarm: interrupted; run again to go on from here", style="red")
        sys.exit(ExitCode.INTERRUPTED)
