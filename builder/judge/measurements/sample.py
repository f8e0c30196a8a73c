"""The ratios of one metric of a variant after some rounds -> what their interval says."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from builder.config.thresholds import Direction
from builder.judge.measurements.answers import Answer, Comparison, Reason
from builder.judge.measurements.intervals import Interval, PairAverages
from builder.judge.measurements.rounds import find_outliers, find_trend

if TYPE_CHECKING:
    from builder.judge.measurements.measurement import Measurement


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """The ratios of one metric after some rounds.

    Attributes:
        measurement: what they are of.
        variant: what was compared with the baseline.
        rounds: how many rounds they are of.
        log_ratios: the logarithms of variant by baseline, in order.
        averages: of every two of them.
    """

    measurement: Measurement
    variant: str
    rounds: int
    log_ratios: tuple[float, ...]
    averages: PairAverages

    @classmethod
    def take(cls, measurement: Measurement, baseline: str, variant: str, rounds: int) -> Sample:
        """Return the ratios of the first rounds."""
        log_ratios = measurement.log_ratios(baseline, variant, rounds)
        return cls(
            measurement=measurement,
            variant=variant,
            rounds=rounds,
            log_ratios=tuple(log_ratios),
            averages=PairAverages.of(log_ratios),
        )

    def answer(self, tail: float) -> Answer:
        """Return what the interval says, whether or not the ratio drifted.

        Args:
            tail: how likely the interval may miss on one side.
        """
        interval = self.averages.interval(tail)
        if interval is None:
            return Answer.UNKNOWN

        return answer_interval(
            interval, self.measurement.log_limit, self.measurement.metric.direction
        )

    def drift(self) -> float | None:
        """Return the ratio of the last round's ratio to the first one's, by the trend; None where it is no change.

        A trend that is shared by all variants leaves no trace in their ratios.
        """
        trend = find_trend(self.log_ratios)
        if trend is None or abs(trend) <= self.measurement.log_limit:
            return None
        return math.exp(trend)

    def say(self, answer: Answer, tail: float) -> Comparison:
        """Return an answer with its interval."""
        return self._compare(answer, tail, None, "")

    def explain(self, tail: float) -> Comparison:
        """Return why nothing can be said."""
        reason, explanation = self._find_reason(self.averages.interval(tail))
        return self._compare(Answer.UNKNOWN, tail, reason, explanation)

    def _find_reason(self, interval: Interval | None) -> tuple[Reason, str]:
        """Return why an interval says nothing, and the same as a sentence."""
        if interval is None:
            return Reason.TOO_FEW_ROUNDS, self._explain_too_few_rounds()

        drift = self.drift()
        if drift is not None:
            explanation = f"from the first round to the last, the ratio changed {drift:.3g}-fold"
            return Reason.DRIFT, explanation

        threshold = self.measurement.threshold
        shown = f"after {self.rounds} rounds the ratio may be anything in {show_range(interval)}"
        if interval.high - interval.low > 2 * self.measurement.log_limit:
            return Reason.TOO_WIDE, f"{shown}, which is wider than ±{threshold.percent:g}%"
        return Reason.NEAR_THRESHOLD, f"{shown}, on either side of the threshold {threshold}"

    def _explain_too_few_rounds(self) -> str:
        explanation = f"{self.rounds} rounds are too few for an interval"
        if self.measurement.rounds_per_value == 1:
            return explanation
        return f"{explanation}: one value takes {self.measurement.rounds_per_value} of them"

    def _compare(
        self, answer: Answer, tail: float, reason: Reason | None, explanation: str
    ) -> Comparison:
        interval = self.averages.interval(tail)
        outliers = find_outliers(self.log_ratios, self.measurement.rounds_per_value)
        return Comparison(
            metric=self.measurement.metric.name,
            variant=self.variant,
            answer=answer,
            rounds=self.rounds,
            ratio=None if interval is None else interval.map(math.exp),
            reason=reason,
            explanation=explanation,
            outliers=outliers,
        )


def answer_interval(interval: Interval, log_limit: float, direction: Direction) -> Answer:
    """Return what an interval of the logarithm of a ratio says.

    Args:
        interval: variant by baseline.
        log_limit: the least change, without its sign.
        direction: which way the metric gets better.
    """
    is_less = direction is Direction.LESS
    if interval.low > log_limit:
        return Answer.WORSE if is_less else Answer.BETTER
    if interval.high < -log_limit:
        return Answer.BETTER if is_less else Answer.WORSE
    if -log_limit < interval.low and interval.high < log_limit:
        return Answer.SAME
    return Answer.UNKNOWN


def show_range(interval: Interval) -> str:
    """Return the interval of a logarithm as ratios: `0.97 to 1.12`."""
    return f"{math.exp(interval.low):.3g} to {math.exp(interval.high):.3g}"
