"""The night that targets are told of: made from a comparison of runs, left in the wheelhouse, and read again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import ValidationError

from builder.errors import NoNightError
from builder.report.documents import verdicts_json
from builder.report.documents.alert import ALERT_FILE, AlertDocument
from builder.report.notify.alert import Night, list_standings, make_alert
from builder.store.files import replace_text

if TYPE_CHECKING:
    from pathlib import Path

    from builder.report.documents.verdicts_json import Document
    from builder.report.formats.night import RunDiff


def record_night(
    diff: RunDiff, after: Document, matrix: Path, wheelhouse: Path, report_url: str
) -> Night:
    """Write the alert of a night to report/alert.json, and return the night.

    Args:
        diff: the differences to the run before.
        after: the verdicts of this run.
        matrix: the matrix's file.
        wheelhouse: the folder of results.
        report_url: where the report is; empty for nowhere.
    """
    alert = make_alert(diff.regressions, matrix.name, after.generated_at, report_url)
    replace_text(wheelhouse / ALERT_FILE, alert.model_dump_json(indent=1) + "\n")
    return Night(alert=alert, standings=list_standings(after))


def read_night(wheelhouse: Path, report_url: str) -> Night:
    """Return the last night that a wheelhouse has a record of.

    Args:
        wheelhouse: the folder of results.
        report_url: where the report is; empty for what the night was told.

    Raises:
        NoNightError: it has none.
    """
    path = wheelhouse / ALERT_FILE
    try:
        alert = AlertDocument.model_validate_json(path.read_bytes())
    except (FileNotFoundError, ValidationError):
        raise NoNightError(path) from None

    document = verdicts_json.read(wheelhouse)
    if document is None:
        raise NoNightError(wheelhouse / "verdicts.json")

    if report_url:
        alert = alert.model_copy(update={"report_url": report_url})
    return Night(alert=alert, standings=list_standings(document))
