"""The commands a scheduled job is made of: `wheelfarm nightly`, `merge` and `publish`."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from builder.cli.signals import stop_on_signals
from builder.config.effort import EffortLevel
from builder.errors import ExitCode

if TYPE_CHECKING:
    from builder.plan.shards import Shard
    from builder.report.document import Document
    from builder.sources import Sources

MatrixOption = Annotated[
    Path, typer.Option("--matrix", help="What to build: a file of \\[packages.NAME] tables.")
]
WheelhouseOption = Annotated[
    Path, typer.Option("--wheelhouse", help="Where the index, the verdicts and the store are.")
]
EffortOption = Annotated[
    EffortLevel,
    typer.Option(
        "--effort",
        envvar="WHEELFARM_EFFORT",
        help="How hard to look for what breaks under threads; none: not at all.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]

_console = Console(emoji=False)
_error_console = Console(stderr=True, emoji=False)


def publish(
    target: Annotated[
        str,
        typer.Argument(
            metavar="TARGET", help="An address that takes uploads, or a name in .pypirc."
        ),
    ],
    wheelhouse: WheelhouseOption = Path("wheelhouse"),
    as_json: JsonOption = False,
) -> None:
    """Upload the wheels of `simple/` to an index, by twine. What it has already is not sent again.

    Credentials come from where twine takes them: TWINE_USERNAME and TWINE_PASSWORD, ~/.pypirc, the keyring.
    """
    from builder.index import upload
    from builder.store.store import Store

    stop = stop_on_signals(_error_console)
    to = upload.find_target(target)
    store = Store(wheelhouse)
    with store.lock(), _error_console.status("uploading") as status:
        done = upload.upload(store, to, status.update, stop)
    if as_json:
        typer.echo(
            json.dumps(
                {"schema_version": 1, "target": to.url, "files": [one.record() for one in done]},
                indent=1,
            )
        )
    else:
        for one in done:
            if one.outcome is not upload.UploadOutcome.PRESENT:
                line = f"{one.outcome.value:7}  {one.filename}" + (
                    f": {one.detail}" if one.detail else ""
                )
                _console.print(line, markup=False, highlight=False, soft_wrap=True)
        counted = Counter(one.outcome for one in done)
        counts = ", ".join(
            f"{counted[outcome]} {outcome.value}" for outcome in upload.UploadOutcome
        )
        _console.print(f"{to.url}: {counts}", markup=False, highlight=False, soft_wrap=True)
    refused = any(one.outcome is upload.UploadOutcome.REFUSED for one in done)
    raise typer.Exit(ExitCode.FAULTS if refused else ExitCode.ADMISSIBLE)


def nightly(
    matrix: MatrixOption = Path("matrix.toml"),
    wheelhouse: WheelhouseOption = Path("wheelhouse"),
    effort: EffortOption = EffortLevel.QUICK,
) -> None:
    """Take new releases, build and verify what changed, publish the index, and say what is different from last time.

    The exit code is about changes: 1 where a verdict got worse, 3 where the farm can no longer tell, 0 otherwise.
    """
    from builder.config import matrix as matrices
    from builder.farm import run
    from builder.report import document
    from builder.report.terminal import progress
    from builder.store.store import Store

    stop = stop_on_signals(_error_console)
    loaded = matrices.load(matrix)
    store = Store(wheelhouse)
    with store.lock(), progress.make_observer(_error_console) as observer:
        before = document.read(store.wheelhouse)
        run.run(loaded, store, run.RunRequest(max_age_s=0.0, effort=effort), observer, stop)
    _report_changes(before, store.wheelhouse)


def merge(
    wheelhouses: Annotated[
        list[Path], typer.Argument(metavar="STORE...", help="Wheelhouses of all shards of a run.")
    ],
    matrix: MatrixOption = Path("matrix.toml"),
    wheelhouse: WheelhouseOption = Path("wheelhouse"),
) -> None:
    """Merge what `run --shard` found out, publish the index, and say what is different from last time.

    Builds nothing. The exit code is that of `nightly`.
    """
    from builder.config import matrix as matrices
    from builder.farm import run
    from builder.report import document
    from builder.report.terminal import progress
    from builder.store.store import Store

    loaded = matrices.load(matrix)
    store = Store(wheelhouse)
    with store.lock(), progress.make_observer(_error_console) as observer:
        before = document.read(store.wheelhouse)
        run.merge(loaded, store, wheelhouses, observer)
    _report_changes(before, store.wheelhouse)


def parse_shard_option(text: str) -> Shard | None:
    """Read the value of --shard; None where it was not given."""
    from builder.plan import shards

    try:
        return shards.parse_shard(text) if text else None
    except ValueError as error:
        raise typer.BadParameter(f"--shard: {error}") from None


def shards_json(sources: Sources, count: int) -> list[dict[str, Any]]:
    """Return the shards of a plan as JSON data."""
    from builder.plan import shards

    return [
        {"shard": f"{number}/{count}", "packages": list(names)}
        for number, names in enumerate(shards.partition(sources, count), 1)
    ]


def _report_changes(before: Document | None, wheelhouse: Path) -> None:
    """Say what is different, leave it as Markdown, and end with the code that policy wants."""
    from builder.report import document
    from builder.report.formats import night
    from builder.store.files import replace_text

    after = document.read(wheelhouse)
    assert after is not None, "a whole run leaves verdicts.json"
    changed = night.compare_documents(before, after)
    text = night.render(changed, after)
    replace_text(wheelhouse / "report/night.md", text)
    typer.echo(text, nl=False)
    raise typer.Exit(night.exit_code(changed))
