"""Intervals for the centre of paired values, and for the shift between two samples, by ranks.

Sources: F. Wilcoxon, "Individual Comparisons by Ranking Methods", 1945; J. L. Hodges and E. L. Lehmann, "Estimates of
Location Based on Rank Tests", 1963; J. W. Tukey for the averages of pairs, which he named after Walsh.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from statistics import NormalDist, median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MAX_PAIRS = 200
"""Most pairs whose exact distribution is computed: it takes a fifth of a second there, and grows by the cube."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Interval:
    """An estimate with the interval around it."""

    low: float
    estimate: float
    high: float

    def map(self, function: Callable[[float], float]) -> Interval:
        """Return the interval with a rising function applied to it, such as `math.exp`."""
        return Interval(
            low=function(self.low), estimate=function(self.estimate), high=function(self.high)
        )


def count_least_pairs(tail: float) -> int:
    """Return the fewest pairs with which an interval misses the centre so rarely on each side: 2⁻ⁿ is at most that."""
    count = 1
    while 0.5**count > tail:
        count += 1
    return count


@dataclass(frozen=True, kw_only=True, slots=True)
class PairAverages:
    """The averages of every two values of a sample, each with itself included.

    Attributes:
        count: how many values there are.
        averages: sorted.
    """

    count: int
    averages: tuple[float, ...]

    @classmethod
    def of(cls, values: Sequence[float]) -> PairAverages:
        """Return the averages of up to MAX_PAIRS values."""
        ordered = sorted(values)
        sums = [one + other for place, one in enumerate(ordered) for other in ordered[place:]]
        averages = tuple(total / 2 for total in sorted(sums))
        return cls(count=len(ordered), averages=averages)

    def interval(self, tail: float) -> Interval | None:
        """Return the pseudomedian of the values, and its interval: Wilcoxon's signed-rank test, turned round.

        It is exact, for any number of values, where they are symmetric about their centre. Logarithms of ratios of two
        measurements are, if noise strikes both alike: then either of them is as likely to be the larger one.

        Args:
            tail: how likely the interval may miss the centre on one side.

        Returns:
            None where there are too few values for so small a tail.

        Raises:
            ValueError: there are more than MAX_PAIRS values.
        """
        rank = _find_rank(self.count, tail)
        if rank is None:
            return None

        low, high = self.averages[rank], self.averages[-rank - 1]
        return Interval(low=low, estimate=median(self.averages), high=high)


@lru_cache(maxsize=4096)
def _find_rank(count: int, tail: float) -> int | None:
    """Return which average from either end bounds the interval; None where not even the outermost does.

    The interval from the average `rank` to the one that mirrors it misses the centre on one side exactly if the sum of
    signed ranks is at most `rank`.
    """
    if count < 1:
        return None

    cumulated = _cumulate_rank_sums(count)
    if cumulated[0] > tail:
        return None

    rank = 0
    while cumulated[rank + 1] <= tail:
        rank += 1
    return rank


@lru_cache(maxsize=MAX_PAIRS)
def _cumulate_rank_sums(count: int) -> tuple[float, ...]:
    """Return how likely the sum of the positive ranks is at most 0, 1, 2 and so on, where signs are tossed."""
    if count > MAX_PAIRS:
        raise ValueError(f"expected at most {MAX_PAIRS} pairs, not {count}")

    chances = [1.0]
    for rank in range(1, count + 1):
        without_rank = chances + [0.0] * rank
        with_rank = [0.0] * rank + chances
        chances = [(one + other) / 2 for one, other in zip(without_rank, with_rank, strict=True)]
    return tuple(accumulate(chances))


def estimate_shift(before: Sequence[float], after: Sequence[float], tail: float) -> Interval | None:
    """Return by how much unpaired values rose: the median of all differences, and the interval of the rank-sum test.

    The distribution is the normal approximation (H. B. Mann, D. R. Whitney, 1947), good for eight values and more.

    Returns:
        None where there are too few values for so small a tail.
    """
    pair_count = len(before) * len(after)
    spread = (pair_count * (len(before) + len(after) + 1) / 12) ** 0.5
    rank = int(pair_count / 2 + NormalDist().inv_cdf(tail) * spread - 0.5)
    if rank < 1:
        return None

    differences = sorted(later - earlier for later in after for earlier in before)
    return Interval(
        low=differences[rank - 1], estimate=median(differences), high=differences[-rank]
    )
