"""The command `wheelfarm check`."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from builder.cli.options import MATRIX, EffortOption, JsonOption
from builder.cli.output import console, error_console, print_json_text
from builder.cli.signals import stop_on_signals
from builder.config.effort import EFFORTS, EffortLevel
from builder.errors import EngineMissingError, ExitCode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from builder.check.load import LoadEnvironment
    from builder.check.read import CheckedWheel
    from builder.check.threads import Sdists, ThreadSettings
    from builder.config.catalog import Abi, Base
    from builder.config.matrix import Package
    from builder.engine.client import Engine
    from builder.store.store import Store

EXAMPLES = (
    "Examples: [bold]wheelfarm check dist/*.whl[/bold] · "
    "[bold]wheelfarm check numpy==2.5.5 --upstream --load[/bold]"
)


def check(
    wheels: Annotated[
        list[str],
        typer.Argument(
            metavar="WHEEL...",
            help="Wheel files, with --threads sdists as well; with --upstream, NAME==VERSION.",
        ),
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
    threads: Annotated[
        bool,
        typer.Option(
            "--threads",
            help="Let threads call the native code of wheels for a free-threaded interpreter as well; "
            "with the race detector where the sdist is named too, or the release is upstream's.",
        ),
    ] = False,
    effort: EffortOption = EffortLevel.QUICK,
    as_json: JsonOption = False,
) -> None:
    """Check wheels built elsewhere: inspect the files, and import them on every base they claim to support.

    Exits with the code of the worst finding: 0 none or info, 6 a warning, 1 an error; 3 if --load was not possible.
    """
    from builder.check.read import worst_exit_code
    from builder.check.threads import ThreadSettings
    from builder.store.store import Store

    if threads and load is False:
        raise typer.BadParameter("--static only reads the files, so --threads cannot go with it")
    if threads and effort is EffortLevel.NONE:
        raise typer.BadParameter("--threads needs an effort: quick, standard or deep")

    # Threads are tried in containers, so they insist on an engine as --load does.
    load = True if threads else load
    bases, abis, packages = _select_targets(matrix)
    with (
        tempfile.TemporaryDirectory(prefix="wheelfarm-") as folder,
        Store(Path(folder) / "wheelhouse") as store,
    ):
        names = wheels
        if threads and not upstream:
            names = [name for name in wheels if not _is_sdist(name)]
        paths = _find_wheels(names, Path(folder), store, upstream=upstream)
        checked = _check_wheels(paths, bases, abis, store, load=load)
        if threads:
            sdists = _find_sdists(wheels, store, upstream=upstream)
            settings = ThreadSettings(effort=EFFORTS[effort], sdists=sdists, packages=packages)
            checked = _try_threads(checked, settings, bases, abis, store)
        checked = _keep_logs(checked, store, logs)

    _print_checked(checked, is_static=load is False, as_json=as_json)

    code = worst_exit_code(checked)
    is_unloaded = any(wheel.not_loaded for wheel in checked)
    lacks_required_load = load and is_unloaded
    # An error in a wheel is certain, so it decides the exit code even if not every wheel was loaded.
    if lacks_required_load and code is not ExitCode.FAULTS:
        code = ExitCode.UNDETERMINED
    raise typer.Exit(code)


def _select_targets(
    matrix: Path,
) -> tuple[tuple[Base, ...], tuple[Abi, ...], Mapping[str, Package]]:
    """Return the bases and ABIs to check wheels for, and settings of packages.

    These are those of the matrix; without such a file, all enabled bases and all ABIs of the farm, and no settings.
    """
    from builder.config import catalog
    from builder.config import matrix as matrices

    catalog_tables = catalog.load()
    if not matrix.is_file():
        enabled = tuple(base for base in catalog_tables.bases.values() if base.enabled)
        return enabled, tuple(catalog_tables.abis.values()), {}

    loaded = matrices.load(matrix)
    bases = tuple(catalog_tables.bases[name] for name in loaded.bases)
    abis = tuple(catalog_tables.abis[name] for name in loaded.abis)
    return bases, abis, loaded.packages


def _is_sdist(name: str) -> bool:
    """Return whether a file's name is an sdist's: what wheels are made of, and no wheel to check."""
    return name.endswith((".tar.gz", ".zip"))


def _find_sdists(names: Sequence[str], store: Store, *, upstream: bool) -> Sdists:
    """Return the sdists that the race detector may compile: the named files, or those of upstream's releases."""
    from builder.check import threads

    if upstream:
        return threads.download_sdists(names, store)
    return threads.read_sdists([Path(name) for name in names if _is_sdist(name)], store)


def _try_threads(
    checked: list[CheckedWheel],
    settings: ThreadSettings,
    bases: Sequence[Base],
    abis: Sequence[Abi],
    store: Store,
) -> list[CheckedWheel]:
    """Let threads call the native code of wheels, and return the wheels with what that showed."""
    from builder.check import threads
    from builder.engine import connection
    from builder.report.terminal import progress

    engine = connection.connect(store.farm_id)
    environment = _make_environment(bases, abis, engine, store)
    stop = stop_on_signals(error_console)
    with progress.make_observer(error_console) as observer:
        return threads.try_threads(checked, settings, environment, observer, stop)


def _make_environment(
    bases: Sequence[Base], abis: Sequence[Abi], engine: Engine, store: Store
) -> LoadEnvironment:
    from builder.check.load import LoadEnvironment
    from builder.plan import resources

    return LoadEnvironment(
        bases=tuple(bases),
        abis=tuple(abis),
        engine=engine,
        store=store,
        resources=resources.host_resources(),
    )


def _find_wheels(names: Sequence[str], folder: Path, store: Store, *, upstream: bool) -> list[Path]:
    """Return the paths of the wheels to check: the named files or, with `upstream`, downloaded wheels of releases.

    Args:
        names: file names; with `upstream`, `NAME==VERSION`.
        folder: where links to downloaded wheels are put.
        store: takes downloaded wheels.
        upstream: whether the names are releases.
    """
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
    """Read each wheel, load it unless `load` is False, and add what changed for threads between releases.

    Args:
        paths: wheel files.
        bases: the bases to check for.
        abis: the ABIs to check for.
        store: takes wheels, logs and evidence of loading.
        load: True to require a container engine, None to load only if one answers, False to only read the files.
    """
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
    """Load wheels in containers. Without a container engine, return them with the reason why they are not loaded.

    Raises:
        EngineMissingError: no container engine answers, and `insist` is set.
    """
    from builder.check import load as loading
    from builder.engine import connection
    from builder.report.terminal import progress

    try:
        engine = connection.connect(store.farm_id)
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

    environment = _make_environment(bases, abis, engine, store)
    stop = stop_on_signals(error_console)
    with progress.make_observer(error_console) as observer:
        return loading.load_wheels(checked, environment, observer, stop)


def _keep_logs(
    checked: Sequence[CheckedWheel], store: Store, folder: Path | None
) -> list[CheckedWheel]:
    """Copy the logs of loading into a folder, and return the wheels unchanged.

    Without a folder the logs are deleted with the temporary store; the wheels that come back then have findings without
    a path to a log.
    """
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
    """Print the checked wheels as tables for a terminal, or as the JSON document of `check`."""
    from builder.report.documents.check import make_check_document
    from builder.report.terminal import checked as report

    if not as_json:
        report.render(checked, console)
        return

    document = make_check_document(checked, static=is_static)
    print_json_text(document.model_dump_json(indent=1))
