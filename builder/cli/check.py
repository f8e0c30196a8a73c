"""The command `wheelfarm check`: judge wheels built elsewhere."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from builder.cli.signals import stop_on_signals
from builder.errors import EngineMissingError, ExitCode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from builder.check.read import CheckedWheel
    from builder.config.catalog import Abi, Base
    from builder.store.store import Store

_console = Console(emoji=False)
_error_console = Console(stderr=True, emoji=False)


def check(
    wheels: Annotated[
        list[str], typer.Argument(help="Wheel files, or NAME==VERSION with --upstream.")
    ],
    upstream: Annotated[
        bool, typer.Option("--upstream", help="Take the release's own wheels from the index.")
    ] = False,
    load: Annotated[
        bool | None,
        typer.Option(
            "--load/--static",
            help="Insist on loading them in containers, or only read them, in under a second each. "
            "Default: load them if a container engine answers.",
        ),
    ] = None,
    matrix: Annotated[
        Path,
        typer.Option(
            "--matrix",
            help="Whose bases and ABIs to judge for; where there is no such file, for all.",
        ),
    ] = Path("matrix.toml"),
    logs: Annotated[
        Path | None,
        typer.Option("--logs", metavar="DIR", help="Keep the logs of loading in this folder."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON (docs/check.schema.json).")
    ] = False,
) -> None:
    """Judge wheels built elsewhere: read them, and import them in containers on every base they claim.

    The exit code is of the worst finding: 0 none or info, 6 a warning, 1 an error; 3 where --load could not be done.
    """
    from builder.check import read as checks
    from builder.store.store import Store

    bases, abis = _select_targets(matrix)
    with tempfile.TemporaryDirectory(prefix="wheelfarm-") as folder:
        store = Store(Path(folder) / "wheelhouse")
        try:
            paths = (
                [
                    path
                    for name in wheels
                    for path in checks.download_upstream_wheels(name, Path(folder), store)
                ]
                if upstream
                else [Path(name) for name in wheels]
            )
            found = [checks.check_wheel(path, bases, static=load is False) for path in paths]
            if load is not False:
                found = _load_wheels(found, bases, abis, store, insist=load is True)
            found = list(checks.add_thread_changes(found))
            if logs is not None and (store.wheelhouse / "logs").is_dir():
                shutil.copytree(store.wheelhouse / "logs", logs / "logs", dirs_exist_ok=True)
            if logs is None:  # they go with the folder
                found = [
                    replace(
                        one, findings=tuple(replace(finding, log="") for finding in one.findings)
                    )
                    for one in found
                ]
        finally:
            store.close()
    if as_json:
        from builder.report import check_document

        typer.echo(
            check_document.make_check_document(found, static=load is False).model_dump_json(
                indent=1
            )
        )
    else:
        from builder.report.terminal import checked as report

        report.render(found, _console)
    code = checks.worst_exit_code(found)
    if load and code is not ExitCode.FAULTS and any(one.not_loaded for one in found):
        code = ExitCode.UNDETERMINED
    raise typer.Exit(code)


def _select_targets(matrix: Path) -> tuple[tuple[Base, ...], tuple[Abi, ...]]:
    """Return the bases and interpreters of a matrix, or all enabled ones where there is none."""
    from builder.config import catalog
    from builder.config import matrix as matrices

    known = catalog.load()
    if not matrix.is_file():
        return tuple(base for base in known.bases.values() if base.enabled), tuple(
            known.abis.values()
        )
    loaded = matrices.load(matrix)
    return tuple(known.bases[name] for name in loaded.bases), tuple(
        known.abis[name] for name in loaded.abis
    )


def _load_wheels(
    found: list[CheckedWheel],
    bases: Sequence[Base],
    abis: Sequence[Abi],
    store: Store,
    *,
    insist: bool,
) -> list[CheckedWheel]:
    """Load what was read, or say why it was not."""
    from builder.check import load as loading
    from builder.engine import client
    from builder.plan import resources
    from builder.report.terminal import progress

    try:
        connected = client.connect(store.farm_id)
    except EngineMissingError as error:
        if insist:
            raise
        reason = (
            "no container engine answers: run `make engine`, or use --static to leave loading out"
        )
        _error_console.print(
            f"wheelfarm: the wheels are only read, not loaded: {error}",
            markup=False,
            highlight=False,
        )
        return [
            replace(one, not_loaded=loading.skip_loads(one, bases, abis, reason)) for one in found
        ]
    place = loading.LoadEnvironment(
        bases=tuple(bases),
        abis=tuple(abis),
        engine=connected,
        store=store,
        resources=resources.host_resources(),
    )
    stop = stop_on_signals(_error_console)
    with progress.make_observer(_error_console) as observer:
        return loading.load_wheels(found, place, observer, stop)
