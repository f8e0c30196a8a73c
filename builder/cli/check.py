"""The command `wheelfarm check`."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from builder.cli.options import MATRIX, JsonOption
from builder.cli.output import console, error_console
from builder.cli.signals import stop_on_signals
from builder.errors import EngineMissingError, ExitCode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from builder.check.read import CheckedWheel
    from builder.config.catalog import Abi, Base
    from builder.store.store import Store

EXAMPLES = (
    "Examples: [bold]wheelfarm check dist/*.whl[/bold] · "
    "[bold]wheelfarm check numpy==2.5.5 --upstream --load[/bold]"
)


def check(
    wheels: Annotated[
        list[str],
        typer.Argument(metavar="WHEEL...", help="Wheel files; with --upstream, NAME==VERSION."),
    ],
    upstream: Annotated[
        bool, typer.Option("--upstream", help="Download the release's own wheels from the index.")
    ] = False,
    load: Annotated[
        bool | None,
        typer.Option(
            "--load/--static",
            help="--load: require that the wheels are loaded in containers. "
            "--static: only read the files, in under a second each.",
            show_default="load if a container engine answers",
        ),
    ] = None,
    matrix: Annotated[
        Path,
        typer.Option(
            "--matrix",
            metavar="FILE",
            help="Check for the bases and ABIs of this matrix (default: all).",
        ),
    ] = MATRIX,
    logs: Annotated[
        Path | None,
        typer.Option(
            "--logs",
            metavar="DIR",
            help="Keep the logs of loading in this folder.",
            show_default="not kept",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Check wheels built elsewhere: inspect the files, and import them on every base they claim to support.

    Exits with the code of the worst finding: 0 none or info, 6 a warning, 1 an error; 3 if --load was not possible.
    """
    from builder.check.read import worst_exit_code
    from builder.store.store import Store

    bases, abis = _select_targets(matrix)
    with (
        tempfile.TemporaryDirectory(prefix="wheelfarm-") as folder,
        Store(Path(folder) / "wheelhouse") as store,
    ):
        paths = _find_wheels(wheels, Path(folder), store, upstream=upstream)
        checked = _check_wheels(paths, bases, abis, store, load=load)
        checked = _keep_logs(checked, store, logs)

    _print_checked(checked, is_static=load is False, as_json=as_json)

    code = worst_exit_code(checked)
    is_unloaded = any(wheel.not_loaded for wheel in checked)
    if load and is_unloaded and code is not ExitCode.FAULTS:
        code = ExitCode.UNDETERMINED
    raise typer.Exit(code)


def _select_targets(matrix: Path) -> tuple[tuple[Base, ...], tuple[Abi, ...]]:
    """Return the bases and ABIs of a matrix, or all that are enabled where there is no such file."""
    from builder.config import catalog
    from builder.config import matrix as matrices

    known = catalog.load()
    if not matrix.is_file():
        enabled = tuple(base for base in known.bases.values() if base.enabled)
        return enabled, tuple(known.abis.values())

    loaded = matrices.load(matrix)
    bases = tuple(known.bases[name] for name in loaded.bases)
    abis = tuple(known.abis[name] for name in loaded.abis)
    return bases, abis


def _find_wheels(names: Sequence[str], folder: Path, store: Store, *, upstream: bool) -> list[Path]:
    """Return the files that are named, or download the wheels of the releases that are named."""
    from builder.check.read import download_upstream_wheels

    if not upstream:
        return [Path(name) for name in names]

    paths: list[Path] = []
    for release in names:
        paths.extend(download_upstream_wheels(release, folder, store))

    return paths


def _check_wheels(
    paths: Sequence[Path],
    bases: Sequence[Base],
    abis: Sequence[Abi],
    store: Store,
    *,
    load: bool | None,
) -> list[CheckedWheel]:
    from builder.check import read as checks

    is_static = load is False
    checked = [checks.check_wheel(path, bases, static=is_static) for path in paths]
    if not is_static:
        checked = _load_wheels(checked, bases, abis, store, insist=load is True)

    return list(checks.add_thread_changes(checked))


def _load_wheels(
    checked: list[CheckedWheel],
    bases: Sequence[Base],
    abis: Sequence[Abi],
    store: Store,
    *,
    insist: bool,
) -> list[CheckedWheel]:
    """Load the wheels that were read, or say why they were not.

    Raises:
        EngineMissingError: no container engine answers, and `insist` is set.
    """
    from builder.check import load as loading
    from builder.engine import client
    from builder.plan import resources
    from builder.report.terminal import progress

    try:
        engine = client.connect(store.farm_id)
    except EngineMissingError as error:
        if insist:
            raise
        error_console.print(
            f"wheelfarm: the wheels are only read, not loaded: {error}",
            markup=False,
            highlight=False,
        )
        reason = (
            "no container engine answers: run `make engine`, or use --static to leave loading out"
        )
        return [
            replace(wheel, not_loaded=loading.skip_loads(wheel, bases, abis, reason))
            for wheel in checked
        ]

    environment = loading.LoadEnvironment(
        bases=tuple(bases),
        abis=tuple(abis),
        engine=engine,
        store=store,
        resources=resources.host_resources(),
    )
    stop = stop_on_signals(error_console)
    with progress.make_observer(error_console) as observer:
        return loading.load_wheels(checked, environment, observer, stop)


def _keep_logs(
    checked: Sequence[CheckedWheel], store: Store, folder: Path | None
) -> list[CheckedWheel]:
    """Copy the logs into a folder; without one they are deleted with the store, and no finding names them."""
    if folder is not None:
        logs = store.wheelhouse / "logs"
        if logs.is_dir():
            shutil.copytree(logs, folder / "logs", dirs_exist_ok=True)
        return list(checked)

    unlogged = []
    for wheel in checked:
        findings = tuple(replace(finding, log="") for finding in wheel.findings)
        unlogged.append(replace(wheel, findings=findings))

    return unlogged


def _print_checked(checked: list[CheckedWheel], *, is_static: bool, as_json: bool) -> None:
    from builder.report import check_document
    from builder.report.terminal import checked as report

    if not as_json:
        report.render(checked, console)
        return

    document = check_document.make_check_document(checked, static=is_static)
    typer.echo(document.model_dump_json(indent=1))
