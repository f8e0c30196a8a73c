"""The commands a scheduled job is made of: `wheelfarm publish`."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from builder.errors import ExitCode
from builder.stopping import stop_on_signals

WheelhouseOption = Annotated[
    Path, typer.Option("--wheelhouse", help="Where the index, the verdicts and the store are.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]

_console = Console(emoji=False)
_errors = Console(stderr=True, emoji=False)


def publish(
    target: Annotated[
        str, typer.Argument(metavar="TARGET", help="An address that takes uploads, or a name in .pypirc.")
    ],
    wheelhouse: WheelhouseOption = Path("wheelhouse"),
    as_json: JsonOption = False,
) -> None:
    """Upload the wheels of `simple/` to an index, by twine. What it has already is not sent again.

    Credentials come from where twine takes them: TWINE_USERNAME and TWINE_PASSWORD, ~/.pypirc, the keyring.
    """
    from builder.index import upload
    from builder.store import Store

    stop = stop_on_signals(_errors)
    to = upload.target(target)
    store = Store(wheelhouse)
    with store.held(), _errors.status("uploading") as status:
        done = upload.upload(store, to, status.update, stop)
    if as_json:
        typer.echo(
            json.dumps({"schema_version": 1, "target": to.url, "files": [one.record() for one in done]}, indent=1)
        )
    else:
        for one in done:
            if one.outcome is not upload.Outcome.THERE:
                line = f"{one.outcome.value:7}  {one.filename}" + (f": {one.detail}" if one.detail else "")
                _console.print(line, markup=False, highlight=False, soft_wrap=True)
        counted = Counter(one.outcome for one in done)
        counts = ", ".join(f"{counted[outcome]} {outcome.value}" for outcome in upload.Outcome)
        _console.print(f"{to.url}: {counts}", markup=False, highlight=False, soft_wrap=True)
    refused = any(one.outcome is upload.Outcome.REFUSED for one in done)
    raise typer.Exit(ExitCode.FAULTS if refused else ExitCode.ADMISSIBLE)
