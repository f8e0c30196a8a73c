"""The command `wheelfarm gc`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from builder.cli.options import MATRIX, WHEELHOUSE, JsonOption, MatrixOption, WheelhouseOption
from builder.cli.output import error_console, print_document, print_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from builder.farm.garbage import Garbage

EXAMPLES = "Example: [bold]wheelfarm gc --keep-days 7 --max-size 20g --dry-run[/bold]"


def gc(
    matrix: MatrixOption = MATRIX,
    wheelhouse: WheelhouseOption = WHEELHOUSE,
    keep_days: Annotated[
        float,
        typer.Option(
            "--keep-days",
            metavar="DAYS",
            min=0,
            help="Keep unreferenced files younger than this many days.",
        ),
    ] = 30.0,
    max_size: Annotated[
        str,
        typer.Option(
            "--max-size",
            metavar="SIZE",
            help="Remove unreferenced files, oldest first, until the wheelhouse fits into SIZE (e.g. 20g).",
            show_default="no limit",
        ),
    ] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be removed, and remove nothing.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Remove unreferenced evidence, files and logs, and unused images, compiler caches and leftover containers.

    Keeps everything used by the matrix, the index and its snapshots, plus sdists and replays.
    """
    from builder.config import matrix as matrices
    from builder.farm import garbage, sweep
    from builder.report.documents.commands import GcDocument
    from builder.report.terminal import progress
    from builder.store.store import Store

    loaded = matrices.load(matrix)
    limit_bytes = _parse_limit(max_size)
    swept: Mapping[str, int] | None = None
    with (
        Store(wheelhouse) as store,
        store.lock(),
        progress.make_observer(error_console) as observer,
    ):
        usage = sweep.find_usage(loaded, store, observer)
        found_garbage = garbage.find_garbage(
            store, usage, now=time.time(), keep_days=keep_days, most_bytes=limit_bytes
        )
        if not dry_run:
            left_bytes = (
                None if limit_bytes is None else max(0, limit_bytes - found_garbage.kept_bytes)
            )
            swept = sweep.sweep_engine(store, usage, found_garbage.images.values(), left_bytes)
            garbage.remove_garbage(found_garbage, store, images=swept is not None)

    if as_json:
        record = {
            "schema_version": 1,
            "dry_run": dry_run,
            **found_garbage.record(),
            "engine": swept or {},
        }
        print_document(GcDocument.model_validate(record))
        return

    _print_garbage(found_garbage, is_dry_run=dry_run)
    if swept:
        counts = ", ".join(f"{count} {kind}" for kind, count in swept.items())
        print_line(f"engine: {counts} removed")
    if limit_bytes is not None and found_garbage.kept_bytes > limit_bytes:
        print_line(
            f"{_megabytes(found_garbage.referenced_bytes)} are referred to, which is more than --max-size"
        )


def _parse_limit(max_size: str) -> int | None:
    """Return --max-size in bytes, `20g` -> 21474836480; None if the option was not given.

    Raises:
        typer.BadParameter: the value is not a size.
    """
    from builder.config.values import parse_size

    if not max_size:
        return None

    try:
        return parse_size(max_size)
    except ValueError as error:
        raise typer.BadParameter(f"--max-size: {error}") from None  # the message has the cause


def _print_garbage(found_garbage: Garbage, *, is_dry_run: bool) -> None:
    """Print on one line how many files and pieces of evidence are removed, and how many bytes stay."""
    verb = "would remove" if is_dry_run else "removed"
    files = f"{len(found_garbage.files)} files ({_megabytes(found_garbage.freed_bytes)})"
    evidence = f"{len(found_garbage.keys)} pieces of evidence"
    if is_dry_run and found_garbage.images:
        evidence += f" with {len(found_garbage.images)} images"
    print_line(f"{verb} {files} and {evidence}; {_megabytes(found_garbage.kept_bytes)} stay")


def _megabytes(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.1f} MB"
