"""Measure the detector on packages and releases whose threading faults are known.

Usage: python -m benchmarks.detection FOLDER OUTPUT.json [--only corpus|releases|popular] [--effort LEVEL] [--runs N]
[--packages NAME…] [--page FILE.md]

The farm is run on the packages of benchmarks/corpus.tsv and on the releases of benchmarks/releases.tsv. One run asks
all: importing alone, the package's own tests in threads, generated stress without a sanitizer, with one, and all
together, which is the verdict. More runs, each from nothing, tell whether the verdicts are the same.

Then what shows a release's fault best is replayed ten times with the sanitizer on it, and ten times on the release of
the same package that has none: a crash, if one was shown, or else a race.

On benchmarks/popular.toml, packages without labels, it is measured how much of their native code threads reach.

FOLDER keeps the wheelhouses. What is not measured in a call stays in OUTPUT.json as it was. With --page nothing is
measured: the page about what OUTPUT.json has is written.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from benchmarks.detection import replays
from benchmarks.detection.labels import SETS, Label, read_labels
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
    parser.add_argument("--page", type=Path)
    asked = parser.parse_args()

    results: dict[str, Any] = {"sets": {}}
    if asked.output.exists():
        results = json.loads(asked.output.read_text())
    if asked.page is not None:
        asked.page.write_text(render_page(results))
        return

    results["effort"] = asked.effort
    for name in [asked.only] if asked.only else (*SETS, POPULAR):
        if name == POPULAR:
            results[POPULAR] = measure_reach(asked.folder / POPULAR, asked.effort)
            write(results, asked.output)
            continue

        labels = read_labels(name, asked.packages)
        folder = asked.folder / name
        results["sets"][name] = measure(name, labels, folder, asked.effort, asked.runs)
        if name == "releases":
            results["pairs"] = replays.compare_releases(labels, folder / "run-1")

        write(results, asked.output)

    print(f"written: {asked.output}")


def write(results: dict[str, Any], output: Path) -> None:
    """Write what was measured so far."""
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(results, indent=1) + "\n")


def measure(name: str, labels: list[Label], folder: Path, effort: str, runs: int) -> dict[str, Any]:
    """Run the farm on one set, as often as asked; return what `score` makes of the first run, and the stability.

    Args:
        name: of the set.
        labels: its packages, with what is known of them.
        folder: where the wheelhouses are; a run that is there already is not repeated.
        effort: of the runs.
        runs: how many there are, each in a wheelhouse of its own.
    """
    examined: list[list[Package]] = []
    for number in range(1, runs + 1):
        examined.append(examine(name, labels, folder / f"run-{number}", effort))

    first = examined[0]
    scores = score(first)
    show_scores(name, scores)

    return {
        **scores,
        "packages": describe_packages(first),
        "stability": count_changes(examined),
    }


if __name__ == "__main__":
    main()
