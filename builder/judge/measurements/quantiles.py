"""Latencies of rounds -> quantiles to compare, and quantiles to show. Percentiles are never averaged.

The quantile is that of type 7 (R. J. Hyndman, Y. Fan, "Sample Quantiles in Statistical Packages", 1996), which looks at
two neighbouring values. The estimator of F. E. Harrell and C. E. Davis (1982) weighs all values: docs/decisions/0040
has the figures by which it varies up to three times as much where one call in 200 stalls.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

MIN_CALLS_ABOVE = 10
"""Fewest calls beyond a quantile, on its thinner side. With two instead of ten, p99 varies two to six times as much."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RoundQuantiles:
    """A quantile of the latencies of each block of rounds.

    Attributes:
        values: by variant, in order.
        rounds_per_value: how many rounds in a row one value is of.
    """

    values: Mapping[str, tuple[float, ...]]
    rounds_per_value: int


def compute_quantile(latencies: Iterable[float], share: float) -> float:
    """Return a quantile of type 7: `share` 0.99 for p99.

    Raises:
        ValueError: there are no latencies, or the share is not between 0 and 1.
    """
    ordered = sorted(latencies)
    if not ordered or not 0 < share < 1:
        raise ValueError(f"expected latencies and a share in (0, 1), not {len(ordered)}, {share}")

    place = (len(ordered) - 1) * share
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def pool_quantile(rounds: Iterable[Sequence[float]], share: float) -> float:
    """Return the quantile of all calls of all rounds, as a figure to show.

    It is not the mean of the rounds' quantiles, which belongs to no call.
    """
    return compute_quantile((latency for calls in rounds for latency in calls), share)


def compute_round_quantiles(
    latencies: Mapping[str, Sequence[Sequence[float]]], share: float
) -> RoundQuantiles | None:
    """Return one quantile for each block of rounds, to be compared in pairs.

    A block is as many rounds in a row as it takes to have `MIN_CALLS_ABOVE` calls beyond the quantile, and the same for
    all variants. Rounds at the end that make no whole block are left out.

    Args:
        latencies: by variant, the latencies of each round.
        share: 0.99 for p99.

    Returns:
        None where all rounds together have too few calls.
    """
    least_calls = math.ceil(MIN_CALLS_ABOVE / min(share, 1 - share) - 1e-9)
    counts = [len(calls) for rounds in latencies.values() for calls in rounds]
    if not counts or min(counts) == 0:
        return None

    rounds_per_value = math.ceil(least_calls / min(counts))
    values: dict[str, tuple[float, ...]] = {}
    for variant, rounds in latencies.items():
        starts = range(0, len(rounds) - rounds_per_value + 1, rounds_per_value)
        blocks = [rounds[start : start + rounds_per_value] for start in starts]
        values[variant] = tuple(pool_quantile(block, share) for block in blocks)

    if not all(values.values()):
        return None
    return RoundQuantiles(values=values, rounds_per_value=rounds_per_value)
