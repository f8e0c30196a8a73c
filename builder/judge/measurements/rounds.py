"""What rounds show beside the ratio: rounds that lie far from the others, and a ratio that changes meanwhile."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist, median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

OUTLIER_SCORE = 3.5
"""Robust standard deviations from the median beyond which a round is an outlier (B. Iglewicz and D. Hoaglin, "How to
Detect and Handle Outliers", 1993)."""
_MAD_TO_SD = 1.4826
"""Standard deviation of a normal distribution by its median absolute deviation."""
_LEAST_SD = 0.001
"""A thousandth: where most rounds are alike to the last digit, the next digit makes none an outlier."""
_TREND_ERROR = 0.001
"""How often a trend is seen where there is none, at most."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outlier:
    """A round whose ratio lies far from the others. It counts like every round; ranks make it harmless.

    Attributes:
        round: its number, from 1; where a value is of several rounds, the first of them.
        ratio: variant by baseline in that round.
    """

    round: int
    ratio: float


def find_outliers(log_ratios: Sequence[float], rounds_per_value: int) -> tuple[Outlier, ...]:
    """Return the rounds that lie far from the others, by their median absolute deviation."""
    if not log_ratios:
        return ()

    center = median(log_ratios)
    deviation = median(abs(value - center) for value in log_ratios)
    limit = OUTLIER_SCORE * max(_MAD_TO_SD * deviation, _LEAST_SD)

    outliers: list[Outlier] = []
    for place, value in enumerate(log_ratios):
        if abs(value - center) > limit:
            number = place * rounds_per_value + 1
            outliers.append(Outlier(round=number, ratio=math.exp(value)))
    return tuple(outliers)


def find_trend(log_ratios: Sequence[float]) -> float | None:
    """Return by how much the logarithm of the ratio rose from the first round to the last; None where by chance only.

    Whether it did is Mann's test (H. B. Mann, "Nonparametric Tests Against Trend", 1945), by how much the median of all
    slopes (H. Theil, 1950; P. K. Sen, 1968).
    """
    count = len(log_ratios)
    balance = 0  # of pairs that rise and pairs that fall
    for place, earlier in enumerate(log_ratios):
        for later in log_ratios[place + 1 :]:
            balance += (later > earlier) - (later < earlier)

    spread = math.sqrt(count * (count - 1) * (2 * count + 5) / 18)
    critical = NormalDist().inv_cdf(1 - _TREND_ERROR / 2) * spread
    if abs(balance) <= critical:
        return None

    slopes: list[float] = []
    for place, earlier in enumerate(log_ratios):
        for steps, later in enumerate(log_ratios[place + 1 :], start=1):
            slopes.append((later - earlier) / steps)
    return median(slopes) * (count - 1)
