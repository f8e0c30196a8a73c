"""Measure the detector on packages and releases whose threading faults are known.

Usage: python -m benchmarks.detection FOLDER OUTPUT.json [--only corpus|releases|popular] [--effort LEVEL] [--runs N]
[--packages NAME…] [--no-run] [--page FILE.md]

The farm is run on the packages of benchmarks/corpus.tsv and on the releases of benchmarks/releases.tsv. One run asks
all: importing alone, the package's own tests in threads, generated stress without a sanitizer, with one, and all
together, which is the verdict. More runs, each from nothing, tell whether the verdicts are the same.

Then what shows a release's fault best is replayed ten times with the sanitizer on it, and ten times on the release of
the same package that has none: a crash, if one was shown, or else a race.

On benchmarks/popular.toml, packages without labels, it is measured how much of their native code threads reach.

FOLDER keeps the wheelhouses: a measurement that was stopped goes on there. With --no-run nothing is run, and what
FOLDER has is read. What is not measured in a call stays in OUTPUT.json as it was. A package that could not be measured
counts as missed, and is named. With --packages only these are measured, and no popular ones.

With --page nothing is measured: the page about what OUTPUT.json has is written.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from benchmarks.detection import replays
from benchmarks.detection.labels import SETS, Label, read_sets
from benchmarks.detection.machine import describe_measurement
from benchmarks.detection.page import render_page
from benchmarks.detection.reach import measure_reach
from benchmarks.detection.runs import Package, examine
from benchmarks.detection.score import count_changes, describe_packages, score, show_scores

POPULAR = "popular"


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
    for name, labels in sets.items():
        folder = asked.folder / name
        results["sets"][name] = measure(
            name, labels, folder, asked.effort, asked.runs, reads_only=asked.no_run
        )
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


def measure(
    name: str,
    labels: list[Label],
    folder: Path,
    effort: str,
    runs: int,
    *,
    reads_only: bool = False,
) -> dict[str, Any]:
    """Run the farm on one set, as often as asked; return what `score` makes of the first run, and the stability.

    Args:
        name: of the set.
        labels: its packages, with what is known of them.
        folder: where the wheelhouses are.
        effort: of the runs.
        runs: how many there are, each in a wheelhouse of its own.
        reads_only: whether nothing is run, and what is in the folder is read.
    """
    examined: list[list[Package]] = []
    for number in range(1, runs + 1):
        run_folder = folder / f"run-{number}"
        examined.append(examine(name, labels, run_folder, effort, reads_only=reads_only))

    first = examined[0]
    scores = score(first)
    show_scores(name, scores)

    return {
        **scores,
        "packages": describe_packages(first),
        "stability": count_changes(examined),
        "measured": describe_measurement(folder / "run-1/0/wheelhouse/verdicts.json", effort),
    }


if __name__ == "__main__":
    main()
