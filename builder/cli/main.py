"""The command `wheelfarm`: its sub-commands, and how errors become messages and exit codes."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from builder import __version__
from builder.cli import (
    application,
    check,
    dependencies,
    gc,
    index,
    machine,
    measure,
    migrate,
    nightly,
    notify,
    parity,
    promote,
    replay,
    run,
    show,
)
from builder.cli.output import guard_streams, print_error, print_exception
from builder.cli.signals import SignalInterrupt, end_interrupted, exit_on_signals
from builder.errors import ExitCode, FarmError, Interrupted

_EPILOG = (
    "[bold]Exit codes[/bold]: 0 every verdict is compatible, distinct, unproven or gil-required · "
    "1 a package has a fault · 2 wrong usage or matrix.toml · "
    "3 inconclusive: infrastructure failed · 4 no container engine · 5 wheelhouse locked by another process · "
    "6 `check` found warnings only · 70 a bug in wheelfarm · 130 interrupted. See docs/exit-codes.md."
)

app = typer.Typer(
    name="wheelfarm",
    help="Build native dependencies as manylinux wheels for CPython 3.14 and 3.14t, test them under threads, "
    "and fill a private package index with them.\n\n"
    "Example: [bold]wheelfarm add uv.lock && wheelfarm run && wheelfarm show lxml[/bold]",
    epilog=_EPILOG,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


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


@app.command(hidden=True)
def schema() -> None:
    """Print the JSON Schema of verdicts.json."""
    from builder.report.documents.part import make_schema
    from builder.report.documents.verdicts_json import Document

    typer.echo(make_schema(Document), nl=False)


_BUILD = "Build and verify"
_READ = "Read results"
_INDEX = "Index"
_UPKEEP = "Machine and wheelhouse"

app.command(rich_help_panel=_BUILD, epilog=dependencies.ADD_EXAMPLES)(dependencies.add)
app.command(rich_help_panel=_BUILD, epilog=dependencies.SURVEY_EXAMPLES)(dependencies.survey)
app.command(rich_help_panel=_BUILD, epilog=run.PLAN_EXAMPLES)(run.plan)
app.command(rich_help_panel=_BUILD, epilog=run.RUN_EXAMPLES)(run.run)
app.command(rich_help_panel=_BUILD, epilog=nightly.NIGHTLY_EXAMPLES)(nightly.nightly)
app.command(rich_help_panel=_BUILD, epilog=nightly.MERGE_EXAMPLES)(nightly.merge)
app.command(rich_help_panel=_BUILD, epilog=notify.EXAMPLES)(notify.notify)
app.command(rich_help_panel=_BUILD, epilog=check.EXAMPLES)(check.check)
app.command(rich_help_panel=_BUILD, epilog=measure.EXAMPLES)(measure.measure)
app.command(rich_help_panel=_READ, epilog=show.EXAMPLES)(show.show)
app.command(rich_help_panel=_READ, epilog=application.EXAMPLES)(application.app)
app.command(rich_help_panel=_READ, epilog=parity.EXAMPLES)(parity.parity)
app.command(rich_help_panel=_READ, epilog=migrate.EXAMPLES)(migrate.migrate)
app.command(rich_help_panel=_READ, epilog=replay.EXAMPLES)(replay.replay)
app.command(rich_help_panel=_INDEX, epilog=index.SERVE_EXAMPLES)(index.serve)
app.command(rich_help_panel=_INDEX, epilog=index.PUBLISH_EXAMPLES)(index.publish)
app.command(rich_help_panel=_INDEX, epilog=promote.EXAMPLES)(promote.promote)
app.command(rich_help_panel=_INDEX, epilog=index.ROLLBACK_EXAMPLES)(index.rollback)
app.command(rich_help_panel=_UPKEEP)(machine.doctor)
app.command(rich_help_panel=_UPKEEP)(machine.engine)
app.command(rich_help_panel=_UPKEEP, epilog=gc.EXAMPLES)(gc.gc)


def main() -> None:
    """Run the command and exit with the code of its outcome (docs/exit-codes.md); an unexpected error is a bug, 70."""
    guard_streams()
    exit_on_signals()
    try:
        _run_app()
    except FarmError as error:
        print_error(str(error))
        sys.exit(error.exit_code)
    except (Interrupted, SignalInterrupt):
        end_interrupted()
    except Exception:
        print_exception()
        print_error("this is a bug in wheelfarm; please report it with the lines above")
        sys.exit(ExitCode.INTERNAL)


def _run_app() -> None:
    """Run the command line, with one message instead of a traceback if the disk gets full."""
    from builder.store.files import translate_disk_full

    with translate_disk_full("the wheelhouse"):  # any command may write to it
        app(prog_name="wheelfarm")
