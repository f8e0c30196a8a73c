"""What is said of a metric of a variant, and why nothing is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from builder.judge.measurements.intervals import Interval
    from builder.judge.measurements.rounds import Outlier


class Answer(StrEnum):
    """What is said of a metric of a variant."""

    WORSE = "worse"
    """The whole interval lies beyond the threshold."""
    BETTER = "better"
    """The whole interval lies beyond the threshold, on the good side."""
    SAME = "same"
    """The whole interval lies within the threshold."""
    UNKNOWN = "not measurable here"
    """None of them; a reason says why."""

    @property
    def is_change(self) -> bool:
        """Whether it claims a difference."""
        return self in {Answer.WORSE, Answer.BETTER}


class Reason(StrEnum):
    """Why nothing is said of a metric."""

    TOO_FEW_ROUNDS = "too few rounds"
    TOO_FEW_CALLS = "too few calls"
    TOO_WIDE = "too much noise"
    NEAR_THRESHOLD = "too near the threshold"
    DRIFT = "the ratio drifted"
    CONTROL = "the machine is unfit"
    NO_RATIO = "no ratio"


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """What is said of one metric of one variant.

    Attributes:
        metric: its name.
        variant: what was compared with the baseline.
        answer: what is said.
        rounds: how many rounds it rests on.
        ratio: variant by baseline, and its interval; None where there are too few rounds, or no ratio.
        reason: why nothing is said; None where something is.
        explanation: the same as a sentence with figures; empty where something is said.
        outliers: rounds that lie far from the others.
    """

    metric: str
    variant: str
    answer: Answer
    rounds: int
    ratio: Interval | None = None
    reason: Reason | None = None
    explanation: str = ""
    outliers: tuple[Outlier, ...] = ()

    def describe(self) -> str:
        """Return what is said as a sentence without its end.

        `p99 of cp314t/1 is worse: 1.12 times the baseline (1.08 to 1.16)`
        """
        subject = f"{self.metric} of {self.variant} is {self.answer}"
        if self.answer is Answer.UNKNOWN or self.ratio is None:
            return f"{subject}: {self.explanation}"

        low, high = f"{self.ratio.low:.3g}", f"{self.ratio.high:.3g}"
        return f"{subject}: {self.ratio.estimate:.3g} times the baseline ({low} to {high})"
