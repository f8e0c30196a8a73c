"""Scores the answers of any detector on labelled packages, as wheelfarm's own are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.corpus.answers import Answer, Answers
from benchmarks.detection.counts import Outcome, count_outcomes, names_fault
from benchmarks.detection.score import describe_share

if TYPE_CHECKING:
    from benchmarks.detection.labels import Label

_SILENT = Answer(is_blamed=False, where="")


def count_answers(labels: list[Label], answers: Answers) -> dict[str, Any]:
    """Return what `count_outcomes` does, and the packages without an answer as `unanswered`.

    A package without an answer counts as not blamed.
    """
    outcomes: list[Outcome] = []
    unanswered: list[str] = []
    for label in labels:
        answer = answers.get((label.package, label.version))
        if answer is None:
            unanswered.append(f"{label.package} {label.version}".strip())
            answer = _SILENT

        outcome = Outcome(
            label=label,
            is_blamed=answer.is_blamed,
            names_fault=names_fault(label, answer.where),
            seconds=answer.seconds,
        )
        outcomes.append(outcome)

    return {**count_outcomes(outcomes), "unanswered": unanswered}


def count_changes(runs: list[Answers]) -> dict[str, Any]:
    """Return how many packages were not blamed alike in all runs of a detector: `packages`, `changed` and `runs`."""
    blamed: dict[tuple[str, str], set[bool]] = {}
    for answers in runs:
        for key, answer in answers.items():
            blamed.setdefault(key, set()).add(answer.is_blamed)

    changed = sum(len(seen) > 1 for seen in blamed.values())
    return {"packages": len(blamed), "changed": changed, "runs": len(runs)}


def describe_counts(counts: dict[str, Any]) -> list[str]:
    """Return lines that say what was found, in which function, and what was blamed wrongly."""
    blamed = counts["blamed"]
    right = counts["right"]
    faulty = counts["faulty"]
    condemned = counts["condemned"]
    lines = [
        f"found: {blamed} of {faulty}, {describe_share(blamed, faulty)}",
        f"in the right function: {right} of {faulty}, {describe_share(right, faulty)}",
        f"blamed without a fault: {len(condemned)} of {counts['safe']}",
    ]
    if condemned:
        lines.append(f"  {', '.join(condemned)}")
    if counts["unanswered"]:
        lines.append(f"without an answer: {', '.join(counts['unanswered'])}")

    return lines
