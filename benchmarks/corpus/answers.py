"""What a detector answered about packages: a table with a row for each."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_NEEDED = {"package", "blamed", "where"}
_COLUMNS = ("package", "version", "blamed", "where", "seconds", "note")


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What a detector said of a package.

    Attributes:
        is_blamed: whether it reported a fault.
        where: whatever it named as the place.
        seconds: how long it took; 0 where that is not known.
        note: what else there is to say, such as why it could not look.
    """

    is_blamed: bool
    where: str
    seconds: float = 0.0
    note: str = ""


Answers = dict[tuple[str, str], Answer]
"""Answers by package and version; the version is empty where a package has one in the set."""


def read_answers(path: Path) -> Answers:
    """Read a table of answers.

    It has the columns `package`, `blamed` (yes or no) and `where`; it may have `version`, `seconds` and `note`.

    Raises:
        SystemExit: a column is missing, or a cell is not what it should be.
    """
    answers: Answers = {}
    with path.open(newline="") as file:
        reader = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        missing = _NEEDED.difference(reader.fieldnames or ())
        if missing:
            raise SystemExit(f"{path}: no column {', '.join(sorted(missing))}")

        for number, row in enumerate(reader, start=2):
            place = f"{path}, line {number}"
            if row["blamed"] not in {"yes", "no"}:
                raise SystemExit(f"{place}: blamed is {row['blamed']!r}, not yes or no")

            answers[row["package"], row.get("version") or ""] = Answer(
                is_blamed=row["blamed"] == "yes",
                where=row["where"] or "",
                seconds=_read_seconds(row.get("seconds") or "0", place),
                note=row.get("note") or "",
            )

    return answers


def _read_seconds(cell: str, place: str) -> float:
    try:
        return float(cell)
    except ValueError:
        raise SystemExit(f"{place}: seconds is {cell!r}, not a number") from None


def write_answers(answers: Answers, path: Path) -> None:
    """Write a table of answers; what separates cells or lines in a text becomes a blank."""
    lines = ["\t".join(_COLUMNS)]
    for (package, version), answer in answers.items():
        cells = [
            package,
            version,
            "yes" if answer.is_blamed else "no",
            _flatten(answer.where),
            f"{answer.seconds:.1f}",
            _flatten(answer.note),
        ]
        lines.append("\t".join(cells))

    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


def _flatten(text: str) -> str:
    return " ".join(text.split())
