"""Options that several commands share, each with one name, one help text and one default."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from builder.config.effort import EffortLevel

MATRIX = Path("matrix.toml")
WHEELHOUSE = Path("wheelhouse")

MatrixOption = Annotated[
    Path,
    typer.Option(
        "--matrix",
        metavar="FILE",
        help="Matrix: one \\[packages.NAME] table per package to build (docs/matrix.md).",
    ),
]
WheelhouseOption = Annotated[
    Path,
    typer.Option(
        "--wheelhouse",
        metavar="DIR",
        help="Folder of the index, the verdicts, the logs and the store.",
    ),
]
OnlyOption = Annotated[
    list[str] | None,
    typer.Option(
        "--only",
        metavar="NAME",
        help="Only this package, and the packages it requires. Repeatable.",
        show_default="the whole matrix",
    ),
]
EffortOption = Annotated[
    EffortLevel,
    typer.Option(
        "--effort",
        envvar="WHEELFARM_EFFORT",
        help="How long to search for thread-safety problems; none: not at all.",
    ),
]
RefreshOption = Annotated[
    bool,
    typer.Option(
        "--refresh",
        help="Query the package index for new releases now, even within an hour of the last query.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
