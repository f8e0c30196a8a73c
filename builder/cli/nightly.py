"""The commands of a scheduled CI job: `wheelfarm nightly` and `wheelfarm merge`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from builder.cli.notify import send_alerts, warn_of_missing_variables
from builder.cli.options import (
    MATRIX,
    WHEELHOUSE,
    EffortOption,
    JsonOption,
    MatrixOption,
    ReportUrlOption,
    WheelhouseOption,
)
from builder.cli.output import error_console, print_document
from builder.cli.signals import stop_on_signals
from builder.config.effort import EffortLevel

if TYPE_CHECKING:
    from builder.config.matrix import Matrix
    from builder.report.documents.verdicts_json import Document

NIGHTLY_EXAMPLES = "Example: [bold]wheelfarm nightly --effort standard[/bold]"
MERGE_EXAMPLES = "Example: [bold]wheelfarm merge shards/shard-*[/bold]"


def nightly(
    matrix: MatrixOption = MATRIX,
    wheelhouse: WheelhouseOption = WHEELHOUSE,
    effort: EffortOption = EffortLevel.QUICK,
    report_url: ReportUrlOption = "",
    as_json: JsonOption = False,
) -> None:
    """Check for new releases, run what changed, publish the index, and print the changes since the last run.

    The targets that the matrix names in its tables `notify` are told what got worse.
    Exits with 1 if a verdict got worse, with 3 if one became undetermined, with 0 otherwise.
    """
    from builder.config import matrix as matrices
    from builder.farm import run
    from builder.farm.prepare import RunRequest
    from builder.report.documents import verdicts_json
    from builder.report.terminal import progress
    from builder.store.store import Store

    stop = stop_on_signals(error_console)
    loaded = matrices.load(matrix)
    warn_of_missing_variables(loaded)
    request = RunRequest(max_age_s=0.0, effort=effort)
    with (
        Store(wheelhouse) as store,
        store.lock(),
        progress.make_observer(error_console) as observer,
    ):
        before = verdicts_json.read(store.wheelhouse)
        run.run(loaded, store, request, observer, stop)

    _report_changes(before, loaded, wheelhouse, report_url, as_json=as_json)


def merge(
    wheelhouses: Annotated[
        list[Path],
        typer.Argument(metavar="SHARD...", help="Wheelhouses of all the shards of one run."),
    ],
    matrix: MatrixOption = MATRIX,
    wheelhouse: WheelhouseOption = WHEELHOUSE,
    report_url: ReportUrlOption = "",
    as_json: JsonOption = False,
) -> None:
    """Merge the wheelhouses of `run --shard`, publish the index, and print the changes since the last run.

    Builds nothing; tries the applications of the matrix, for which it needs a container engine.
    Exit codes and alerts are those of `nightly`.
    """
    from builder.config import matrix as matrices
    from builder.farm import run
    from builder.report.documents import verdicts_json
    from builder.report.terminal import progress
    from builder.store.store import Store

    stop = stop_on_signals(error_console)
    loaded = matrices.load(matrix)
    warn_of_missing_variables(loaded)
    with (
        Store(wheelhouse) as store,
        store.lock(),
        progress.make_observer(error_console) as observer,
    ):
        before = verdicts_json.read(store.wheelhouse)
        run.merge(loaded, store, wheelhouses, observer, stop)

    _report_changes(before, loaded, wheelhouse, report_url, as_json=as_json)


def _report_changes(
    before: Document | None, matrix: Matrix, wheelhouse: Path, report_url: str, *, as_json: bool
) -> None:
    """Print how the verdicts changed since the last run, write that to report/night.md, and exit with its code.

    The targets of the matrix are told what got worse; that none can be reached changes nothing.

    Args:
        before: verdicts.json before this run; None if this was the first one.
        matrix: what was run.
        report_url: where readers of alerts find the report; empty for nowhere.
        wheelhouse: the folder of results, which has the verdicts.json of this run.
        as_json: whether to print JSON in place of Markdown.
    """
    from builder.report.documents import verdicts_json
    from builder.report.documents.commands import NightDocument
    from builder.report.formats import night
    from builder.report.notify.last_night import record_night
    from builder.store.files import replace_text

    after = verdicts_json.read(wheelhouse)
    assert after is not None, "a whole run leaves verdicts.json"

    changes = night.compare_documents(before, after)
    text = night.render(changes, after)
    replace_text(wheelhouse / "report/night.md", text)
    if as_json:
        print_document(NightDocument.model_validate(night.record(changes)))
    else:
        typer.echo(text, nl=False)

    send_alerts(matrix, record_night(changes, after, matrix.file, wheelhouse, report_url))
    raise typer.Exit(night.exit_code(changes))
