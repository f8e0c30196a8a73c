"""Pack the corpus for another detector, ask one of the package index, or score what any of them answered.

Usage: python -m benchmarks.corpus pack FOLDER
       python -m benchmarks.corpus ask TOOL RUN-FOLDER ANSWERS.tsv [--set corpus|releases] [--packages NAME…]
       python -m benchmarks.corpus score ANSWERS.tsv… [--set corpus|releases] [--into DETECTION.json --as NAME]

README.md beside this file says how to measure a detector, and which the project measured itself. RUN-FOLDER is one run
of `benchmarks.detection` (benchmarks/out/detection/corpus/run-1), where the farm has compiled the packages: tools get
the same sdists, and the same wheels with ThreadSanitizer, as wheelfarm's own search.

The first table of answers is scored; more of them, of further runs, tell how stable the answers are.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

from benchmarks.corpus.answers import read_answers
from benchmarks.corpus.ask import TOOLS, ask_tool
from benchmarks.corpus.scoring import count_answers, count_changes, describe_counts
from benchmarks.detection.labels import SETS, read_labels, read_sets
from benchmarks.detection.machine import describe_measurement
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

    ask_parser = commands.add_parser("ask")
    ask_parser.add_argument("tool", choices=TOOLS)
    ask_parser.add_argument("folder", type=Path)
    ask_parser.add_argument("answers", type=Path)
    ask_parser.add_argument("--set", choices=SETS, default="corpus")
    ask_parser.add_argument("--packages", nargs="*", default=[])

    score_parser = commands.add_parser("score")
    score_parser.add_argument("answers", type=Path, nargs="+")
    score_parser.add_argument("--set", choices=SETS, default="corpus")
    score_parser.add_argument("--into", type=Path)
    score_parser.add_argument("--as", dest="name", default="")
    asked = parser.parse_args()

    if asked.command == "pack":
        pack(asked.folder)
    elif asked.command == "ask":
        labels = read_sets([asked.set], asked.packages)[asked.set]
        ask_tool(asked.tool, labels, asked.folder, asked.answers)
    else:
        if asked.into is not None and not asked.name:
            parser.error("--into needs --as, the name of the detector")
        score(asked.answers, asked.set, asked.into, asked.name)


def pack(folder: Path) -> None:
    """Write an sdist of each package, and the table of labels."""
    folder.mkdir(parents=True, exist_ok=True)
    labels = read_labels("corpus", [])
    for label in labels:
        make_sdist(label.package, folder)

    shutil.copy(_LABELS, folder / "labels.tsv")
    print(f"{len(labels)} sdists and labels.tsv: {folder}")


def score(paths: list[Path], set_name: str, into: Path | None, name: str) -> None:
    """Print what a detector's answers come to, and bring it into the measurement where that is asked.

    Args:
        paths: the tables of answers, one for each run.
        set_name: of the set that was looked at.
        into: detection.json; None to print only.
        name: of the detector there.
    """
    runs = [read_answers(path) for path in paths]
    counts = count_answers(read_labels(set_name, []), runs[0])
    changes = count_changes(runs)
    for line in describe_counts(counts):
        print(line)
    if len(runs) > 1:
        print(f"blamed in some runs only: {changes['changed']} of {changes['packages']}")
    if into is None:
        return

    results: dict[str, Any] = json.loads(into.read_text()) if into.exists() else {"sets": {}}
    others = results.setdefault("others", {}).setdefault(set_name, {})
    others[name] = {
        **counts,
        "stability": {**changes, "methods": {name: changes["changed"]}},
        "measured": describe_measurement(paths[0], ""),
    }
    into.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
