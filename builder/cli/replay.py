"""The command `wheelfarm replay`: see a finding with one's own eyes."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from builder.cli.signals import stop_on_signals
from builder.errors import ExitCode

_console = Console(emoji=False)
_error_console = Console(stderr=True, emoji=False)


def replay(
    finding: Annotated[
        str, typer.Argument(metavar="FINDING", help="A finding's id, or the beginning of it.")
    ],
    matrix: Annotated[Path, typer.Option("--matrix", help="The matrix it was found with.")] = Path(
        "matrix.toml"
    ),
    wheelhouse: Annotated[
        Path, typer.Option("--wheelhouse", help="Where the verdicts are.")
    ] = Path("wheelhouse"),
    version: Annotated[
        str,
        typer.Option(
            "--version", metavar="VERSION", help="Run it on this release of the package instead."
        ),
    ] = "",
    times: Annotated[
        int, typer.Option("--times", min=1, max=1000, help="How often to run it.")
    ] = 10,
    sanitizer: Annotated[
        bool,
        typer.Option(
            "--sanitizer", help="Run it with the race detector, though it was found without."
        ),
    ] = False,
    script: Annotated[
        bool, typer.Option("--script", help="Print the program, for the maintainers; run nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Run the program that shows a finding, in the right container, and say how often it did.

    The exit code is 1 when it was shown, 0 when it never was.
    """
    from builder.config import matrix as matrices
    from builder.farm import replay as replays
    from builder.farm import run
    from builder.report.terminal import progress
    from builder.store.store import Store

    wanted = replays.load_replay(finding, wheelhouse)
    if script:
        typer.echo(wanted.script)
        return
    wanted = replace(wanted, race=wanted.race or sanitizer)
    stop = stop_on_signals(_error_console)
    loaded = matrices.load(matrix)
    store = Store(wheelhouse)
    with store.lock(), progress.make_observer(_error_console) as observer:
        done = run.replay(wanted, version, times, loaded, store, observer, stop)
    if as_json:
        typer.echo(json.dumps({**asdict(done), "finding": wanted.id}, indent=1))
    else:
        for number, what in enumerate(done.what, 1):
            _console.print(f"run {number:3}  {what}", markup=False, highlight=False)
        _console.print(done.output, markup=False, highlight=False)
        _console.print(
            f"{wanted.code} {wanted.where}: shown {done.shown} of {done.runs} times", markup=False
        )
    raise typer.Exit(ExitCode.FAULTS if done.shown else ExitCode.ADMISSIBLE)
