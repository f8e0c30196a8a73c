"""Measures a set of labelled packages in several runs, and counts what came out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.detection.labels import split_into_batches
from benchmarks.detection.machine import describe_measurement
from benchmarks.detection.runs import examine
from benchmarks.detection.score import count_changes, describe_packages, score, show_scores

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.detection.labels import Label
    from benchmarks.detection.record import Record, Round
    from benchmarks.detection.runs import Package


def measure(
    rounds: list[Round],
    labels: list[Label],
    folder: Path,
    record: Record,
    *,
    reads_only: bool = False,
) -> dict[str, Any]:
    """Run the farm on one set, as often as asked; return what `score` makes of the first run, and the stability.

    Args:
        rounds: the runs, each in wheelhouses of its own.
        labels: the packages of the set, with what is known of them.
        folder: where the wheelhouses are.
        record: has what was measured before, and gets what is measured now.
        reads_only: whether nothing is run, and what is on record and in the folder is read.
    """
    examined: list[list[Package]] = []
    for round_ in rounds:
        run_folder = folder / f"run-{round_.number}"
        examined.append(measure_round(round_, labels, run_folder, record, reads_only=reads_only))

    first = examined[0]
    scores = score(first)
    show_scores(rounds[0].name, scores)

    return {
        **scores,
        "packages": describe_packages(first),
        "stability": count_changes(examined),
        "measured": record.describe(rounds[0], labels),
    }


def measure_round(
    round_: Round, labels: list[Label], folder: Path, record: Record, *, reads_only: bool = False
) -> list[Package]:
    """Return what one run comes to for each package, in their order; what is on record is not asked again.

    Args:
        round_: the run.
        labels: the packages.
        folder: for a wheelhouse a batch.
        record: as in `measure`.
        reads_only: as in `measure`.
    """
    found: dict[Label, Package] = {}
    for number, batch in enumerate(split_into_batches(labels)):
        asked: list[Label] = []
        for label in batch:
            known = record.find(round_, label)
            if known is None:
                asked.append(label)
            else:
                found[label] = known
        if not asked:
            continue

        place = folder / str(number)
        packages = examine(round_.name, asked, place, round_.effort, reads_only=reads_only)
        found |= zip(asked, packages, strict=True)
        measured = describe_measurement(place / "wheelhouse/verdicts.json", round_.effort)
        record.add(round_, packages, measured)

    return [found[label] for label in labels]
