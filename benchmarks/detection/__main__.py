"""Measure the detector on packages and releases whose threading faults are known.

Usage: python -m benchmarks.detection FOLDER OUTPUT.json [--only corpus|releases|popular] [--effort LEVEL] [--runs N]
[--packages NAME…] [--no-run] [--record FILE] [--page FILE.md]

The farm is run on the packages of benchmarks/corpus.tsv and on the releases of benchmarks/releases.tsv. One run asks
all: importing alone, the package's own tests in threads, generated stress without a sanitizer, with one, and all
together, which is the verdict. More runs, each from nothing, tell whether the verdicts are the same.

Then what shows a release's fault best is replayed ten times with the sanitizer on it, and ten times on the release of
the same package that has none: a crash, if one was shown, or else a race.

On benchmarks/popular.toml, packages without labels, it is measured how much of their native code threads reach.

FOLDER keeps the wheelhouses: a measurement that was stopped goes on there. On another machine it goes on from the
record (benchmarks/detection-record.json): what this very detector has answered there of a labelled package, in a run of
that number and effort, is not asked again. With --no-run nothing is run, and what record and FOLDER have is read.
What is not measured in a call stays in OUTPUT.json as it was. A package that could not be measured counts as missed,
and is named. With --packages only these are measured, and no popular ones.

With --page nothing is measured: the page about what OUTPUT.json has is written.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from benchmarks.detection import replays
from benchmarks.detection.labels import SETS, read_sets
from benchmarks.detection.page import render_page
from benchmarks.detection.reach import measure_reach
from benchmarks.detection.record import Record, Round, identify_detector
from benchmarks.detection.rounds import measure

POPULAR = "popular"
RECORD = Path(__file__).parents[1] / "detection-record.json"
"""Is committed: it is what docs/detection.md says of labelled packages, one by one."""


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(
        prog="make bench-detection",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--only", choices=(*SETS, POPULAR))
    parser.add_argument("--effort", default="standard")
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--packages", nargs="*", default=[])
    parser.add_argument("--no-run", action="store_true")
    parser.add_argument("--record", type=Path, default=RECORD)
    parser.add_argument("--page", type=Path)
    asked = parser.parse_args()

    results: dict[str, Any] = {"sets": {}}
    if asked.output.exists():
        results = json.loads(asked.output.read_text())
    if asked.page is not None:
        asked.page.write_text(render_page(results))
        return

    names = [asked.only] if asked.only else [*SETS, POPULAR]
    sets = read_sets([name for name in names if name in SETS], asked.packages)
    results["effort"] = asked.effort
    record = Record(asked.record, identify_detector(asked.effort))
    for name, labels in sets.items():
        folder = asked.folder / name
        rounds = [Round(name, number, asked.effort) for number in range(1, asked.runs + 1)]
        results["sets"][name] = measure(rounds, labels, folder, record, reads_only=asked.no_run)
        write(results, asked.output)
        if name == "releases" and not asked.no_run:
            results["pairs"] = replays.compare_releases(labels, folder / "run-1")
            write(results, asked.output)

    if POPULAR in names and not asked.packages:
        folder = asked.folder / POPULAR
        results[POPULAR] = measure_reach(folder, asked.effort, reads_only=asked.no_run)
        write(results, asked.output)

    print(f"written: {asked.output}")


def write(results: dict[str, Any], output: Path) -> None:
    """Write what was measured so far."""
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
