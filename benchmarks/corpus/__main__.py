"""Pack the corpus for another detector, or score what one answered: README.md beside this file says how.

Usage: python -m benchmarks.corpus pack FOLDER
       python -m benchmarks.corpus score ANSWERS.tsv
"""

from __future__ import annotations

import argparse
import csv
import shutil
from pathlib import Path

from benchmarks.corpus.scoring import Answer, score_answers
from benchmarks.detection.labels import read_labels
from tests.corpus import make_sdist

_LABELS = Path(__file__).parents[1] / "corpus.tsv"


def main() -> None:
    """Do what is asked."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.corpus",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, dest="command")
    pack_parser = commands.add_parser("pack")
    pack_parser.add_argument("folder", type=Path)
    score_parser = commands.add_parser("score")
    score_parser.add_argument("answers", type=Path)
    asked = parser.parse_args()

    if asked.command == "pack":
        pack(asked.folder)
    else:
        for line in score_answers(read_labels("corpus", []), read_answers(asked.answers)):
            print(line)


def pack(folder: Path) -> None:
    """Write an sdist of each package, and the table of labels."""
    folder.mkdir(parents=True, exist_ok=True)
    labels = read_labels("corpus", [])
    for label in labels:
        make_sdist(label.package, folder)

    shutil.copy(_LABELS, folder / "labels.tsv")
    print(f"{len(labels)} sdists and labels.tsv: {folder}")


def read_answers(path: Path) -> dict[str, Answer]:
    """Read what a detector answered, by package: columns `package`, `blamed` (yes or no) and `where`.

    Raises:
        SystemExit: a column is missing, or `blamed` is neither yes nor no.
    """
    answers: dict[str, Answer] = {}
    with path.open(newline="") as file:
        reader = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        missing = {"package", "blamed", "where"}.difference(reader.fieldnames or ())
        if missing:
            raise SystemExit(f"{path}: no column {', '.join(sorted(missing))}")

        for number, row in enumerate(reader, start=2):
            if row["blamed"] not in {"yes", "no"}:
                raise SystemExit(
                    f"{path}, line {number}: blamed is {row['blamed']!r}, not yes or no"
                )
            answers[row["package"]] = Answer(
                is_blamed=row["blamed"] == "yes", where=row["where"] or ""
            )

    return answers


if __name__ == "__main__":
    main()
