"""Scores the answers of any detector on the corpus, as wheelfarm's own are."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.detection.labels import Label
from benchmarks.detection.runs import contains_function
from benchmarks.detection.score import describe_share


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What a detector said of a package.

    Attributes:
        is_blamed: whether it reported a fault.
        where: whatever it named as the place.
    """

    is_blamed: bool
    where: str


def score_answers(labels: list[Label], answers: dict[str, Answer]) -> list[str]:
    """Return lines that say what was found, in which function, and what was blamed wrongly.

    A package without an answer counts as not blamed, and is named.
    """
    faulty = [label for label in labels if label.is_faulty]
    safe = [label for label in labels if not label.is_faulty]
    silent = Answer(is_blamed=False, where="")

    found = 0
    right = 0
    for label in faulty:
        answer = answers.get(label.package, silent)
        found += answer.is_blamed
        right += answer.is_blamed and contains_function(label.functions, answer.where)

    condemned: list[str] = []
    for label in safe:
        if answers.get(label.package, silent).is_blamed:
            condemned.append(label.package)

    lines = [
        f"found: {found} of {len(faulty)}, {describe_share(found, len(faulty))}",
        f"in the right function: {right} of {len(faulty)}, {describe_share(right, len(faulty))}",
        f"blamed without a fault: {len(condemned)} of {len(safe)}",
    ]
    if condemned:
        lines.append(f"  {', '.join(condemned)}")

    unanswered = [label.package for label in labels if label.package not in answers]
    if unanswered:
        lines.append(f"without an answer: {', '.join(unanswered)}")

    return lines
