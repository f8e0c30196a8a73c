"""The command `wheelfarm notify`, and what `nightly` and `merge` say of alerts."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from builder.cli.options import (
    MATRIX,
    WHEELHOUSE,
    JsonOption,
    MatrixOption,
    ReportUrlOption,
    WheelhouseOption,
)
from builder.cli.output import error_console, print_document, print_error, print_line
from builder.errors import ExitCode, MatrixError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from builder.config.matrix import Matrix
    from builder.config.notify import Target
    from builder.report.notify.alert import Night
    from builder.report.notify.deliver import Delivery

EXAMPLES = (
    "Examples: [bold]wheelfarm notify chat --test[/bold] · [bold]wheelfarm notify --dry-run[/bold]"
)


def notify(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME...",
            help="Names of \\[notify.NAME] tables.",
            show_default="all of the matrix",
        ),
    ] = None,
    test: Annotated[
        bool, typer.Option("--test", help="Send a test message in place of the last night's alert.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be sent, and send nothing.")
    ] = False,
    report_url: ReportUrlOption = "",
    matrix: MatrixOption = MATRIX,
    wheelhouse: WheelhouseOption = WHEELHOUSE,
    as_json: JsonOption = False,
) -> None:
    """Send the alert of the last night again, or a test message.

    `nightly` and `merge` send alerts by themselves.
    Exits with 3 if a target did not take it.
    """
    from builder.config import matrix as matrices
    from builder.report.notify import deliver, last_night
    from builder.report.notify.alert import Night, make_test_alert

    loaded = matrices.load(matrix)
    targets = _find_targets(loaded, matrix, names)
    if not dry_run:
        _check_variables(targets, matrix)

    if test:
        night = Night(alert=make_test_alert(loaded.file.name, report_url))
    else:
        night = last_night.read_night(wheelhouse, report_url)

    if dry_run:
        deliveries = deliver.show(targets, night)
    else:
        deliveries = deliver.deliver(targets, night, os.environ)

    if as_json:
        _print_deliveries_as_json(deliveries)
    else:
        _print_deliveries(deliveries)

    has_failed = any(delivery.outcome is deliver.Outcome.FAILED for delivery in deliveries)
    raise typer.Exit(ExitCode.UNDETERMINED if has_failed else ExitCode.ADMISSIBLE)


def warn_of_missing_variables(matrix: Matrix) -> None:
    """Print which secrets of alerts are not there. A run goes on all the same: its results are worth more."""
    from builder.config.notify import find_missing_variables

    for path, mistake in find_missing_variables(matrix.notify, os.environ):
        print_error(f"{path}: {mistake}. The run goes on; this target will not be told.")


def send_alerts(matrix: Matrix, night: Night) -> None:
    """Tell all targets of a matrix of a night, and print what came of it to stderr."""
    from builder.report.notify.deliver import Outcome, deliver

    if not matrix.notify:
        return

    for delivery in deliver(matrix.notify, night, os.environ):
        if delivery.outcome is Outcome.FAILED:
            print_error(f"{_describe(delivery)}; `wheelfarm notify {delivery.name}` sends it again")
        elif delivery.outcome is Outcome.SENT:
            error_console.print(_describe(delivery), soft_wrap=True)


def _find_targets(loaded: Matrix, path: Path, names: Sequence[str] | None) -> Mapping[str, Target]:
    """Return the targets that a person names, or all.

    Raises:
        MatrixError: the matrix has none of that name, or none at all.
    """
    if not loaded.notify:
        raise MatrixError(path, [("notify", "expected at least one table [notify.NAME]")])
    if not names:
        return loaded.notify

    known = ", ".join(loaded.notify)
    unknown = [name for name in names if name not in loaded.notify]
    if unknown:
        mistake = f"there is no such table; the matrix has {known}"
        raise MatrixError(path, [(f"notify.{name}", mistake) for name in unknown])
    return {name: loaded.notify[name] for name in names}


def _check_variables(targets: Mapping[str, Target], path: Path) -> None:
    """Go on if every secret is there.

    Raises:
        MatrixError: one is not.
    """
    from builder.config.notify import find_missing_variables

    mistakes = list(find_missing_variables(targets, os.environ))
    if mistakes:
        raise MatrixError(path, mistakes)


def _print_deliveries(deliveries: Sequence[Delivery]) -> None:
    from builder.report.notify.deliver import Outcome

    for delivery in deliveries:
        if delivery.outcome is Outcome.FAILED:
            print_error(_describe(delivery))
        else:
            print_line(_describe(delivery))
        if delivery.content:
            print_line(delivery.content)


def _describe(delivery: Delivery) -> str:
    """Return what came of a delivery as one line: `alert chat (slack): sent`."""
    from builder.report.notify.deliver import Outcome

    match delivery.outcome:
        case Outcome.FAILED:
            text = f"not sent: {delivery.detail}"
        case Outcome.NOTHING:
            text = "nothing to tell"
        case Outcome.SHOWN:
            text = "would be sent:"
        case Outcome.SENT:
            text = delivery.detail
    return f"alert {delivery.name} ({delivery.kind}): {text}"


def _print_deliveries_as_json(deliveries: Sequence[Delivery]) -> None:
    from builder.report.documents.commands import SCHEMA_VERSION, DeliveryPart, NotifyDocument

    parts: list[DeliveryPart] = []
    for delivery in deliveries:
        part = DeliveryPart(
            name=delivery.name,
            kind=delivery.kind,
            outcome=delivery.outcome.value,
            detail=delivery.detail,
            content=delivery.content,
        )
        parts.append(part)
    print_document(NotifyDocument(schema_version=SCHEMA_VERSION, targets=parts))
