"""The command `wheelfarm gc`."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

MatrixOption = Annotated[Path, typer.Option("--matrix", help="What it asks for stays.")]
WheelhouseOption = Annotated[Path, typer.Option("--wheelhouse", help="What to tidy up.")]

_console = Console(emoji=False)
_error_console = Console(stderr=True, emoji=False)


def gc(
    matrix: MatrixOption = Path("matrix.toml"),
    wheelhouse: WheelhouseOption = Path("wheelhouse"),
    keep_days: Annotated[
        float,
        typer.Option(
            "--keep-days", min=0, help="What is younger stays, though nothing refers to it."
        ),
    ] = 30.0,
    max_size: Annotated[
        str,
        typer.Option(
            "--max-size", metavar="SIZE", help="As far as all fits into this, such as 20g."
        ),
    ] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Remove what nothing refers to: old evidence, its files and logs; in the engine, compiler caches and leftovers.

    What a run of the matrix would use, what snapshots and the index serve, sources, and replays of findings stay.
    """
    from builder.config import matrix as matrices
    from builder.farm import garbage, sweep
    from builder.report.terminal import progress
    from builder.store.store import Store

    loaded = matrices.load(matrix)
    try:
        most = matrices.parse_size(max_size) if max_size else None
    except ValueError as error:
        raise typer.BadParameter(f"--max-size: {error}") from None
    store = Store(wheelhouse)
    with store.lock(), progress.make_observer(_error_console) as observer:
        used = sweep.find_usage(loaded, store, observer)
        found = garbage.find_garbage(
            store, used, now=time.time(), keep_days=keep_days, most_bytes=most
        )
        swept = None
        if not dry_run:
            room = None if most is None else max(0, most - found.kept_bytes)
            swept = sweep.sweep_engine(store, used, found.images.values(), room)
            garbage.remove_garbage(found, store, images=swept is not None)
    if as_json:
        record = {"schema_version": 1, "dry_run": dry_run, **found.record(), "engine": swept or {}}
        typer.echo(json.dumps(record, indent=1))
        return
    verb = "would remove" if dry_run else "removed"
    also = f" with {len(found.images)} images" if dry_run and found.images else ""
    files = f"{len(found.files)} files ({found.freed_bytes / 1e6:.1f} MB)"
    text = f"{verb} {files} and {len(found.keys)} pieces of evidence{also}"
    _console.print(f"{text}; {found.kept_bytes / 1e6:.1f} MB stay", highlight=False, soft_wrap=True)
    if swept:
        _console.print(
            f"engine: {', '.join(f'{count} {what}' for what, count in swept.items())} removed",
            highlight=False,
        )
    if most is not None and found.kept_bytes > most:
        _console.print(
            f"{found.referenced_bytes / 1e6:.1f} MB are referred to, which is more than --max-size",
            highlight=False,
        )
