"""Options that several commands share, each with one name, one help text and one default."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from builder.config import DEFAULT_MATRIX, DEFAULT_WHEELHOUSE
from builder.config.effort import EffortLevel


def _check_report_url(value: str) -> str:
    from builder.config.notify import check_url

    try:
        return check_url(value) if value else value
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


MATRIX = DEFAULT_MATRIX
WHEELHOUSE = DEFAULT_WHEELHOUSE

MatrixOption = Annotated[
    Path,
    typer.Option(
        "--matrix",
        metavar="FILE",
        help="Matrix file: one \\[packages.NAME] table per package to build (docs/matrix.md).",
    ),
]
WheelhouseOption = Annotated[
    Path,
    typer.Option(
        "--wheelhouse",
        metavar="DIR",
        help="Directory of the index, the verdicts, the logs and the store.",
    ),
]
OnlyOption = Annotated[
    list[str] | None,
    typer.Option(
        "--only",
        metavar="NAME",
        help="Restrict to this package and its dependencies; NAME==VERSION is one of several versions. Repeatable.",
        show_default="the whole matrix",
    ),
]
EffortOption = Annotated[
    EffortLevel,
    typer.Option(
        "--effort",
        envvar="WHEELFARM_EFFORT",
        help="How thoroughly to test thread safety; `none` skips these tests.",
    ),
]
RefreshOption = Annotated[
    bool,
    typer.Option(
        "--refresh",
        help="Ignore recorded answers of the package index; by default they are reused for an hour.",
    ),
]
ReportUrlOption = Annotated[
    str,
    typer.Option(
        "--report-url",
        metavar="URL",
        envvar="WHEELFARM_REPORT_URL",
        callback=_check_report_url,
        help="Where readers of alerts find the report; counts more than `report-url` of the matrix.",
    ),
]
ByOption = Annotated[
    str,
    typer.Option(
        "--by",
        metavar="WHO",
        help="Who does it, for the record.",
        show_default="this user, or who started the CI job",
    ),
]
ReasonOption = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why, for the record.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
