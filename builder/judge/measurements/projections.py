"""Least squares by directions at right angles, and how sure a slope is where noise has a memory."""

from __future__ import annotations

import math
from operator import mul
from statistics import NormalDist
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_LEAST_REST = 1e-9
"""Share of a vector's square below which its rest is rounding."""
_MOST_MEMORY = 0.95
"""Greatest autocorrelation that is reckoned with: beyond that there is hardly more than one independent value."""


def multiply(one: Sequence[float], other: Sequence[float]) -> float:
    """Return the inner product."""
    product: float = sum(map(mul, one, other))
    return product


def center(values: Sequence[float]) -> list[float]:
    """Return values without their mean."""
    mean = math.fsum(values) / len(values)
    return [value - mean for value in values]


def remove_direction(values: Sequence[float], direction: Sequence[float]) -> list[float]:
    """Return values without their part along a direction of length 1."""
    part = multiply(values, direction)
    return [value - part * place for value, place in zip(values, direction, strict=True)]


def find_direction(
    values: Sequence[float], others: Sequence[Sequence[float]]
) -> tuple[list[float], float] | None:
    """Return the direction of what is left of values beside other directions, and its length; None where nothing is.

    Twice is enough against rounding (W. Kahan, after B. Parlett, "The Symmetric Eigenvalue Problem", 1980).
    """
    whole = multiply(values, values)
    rest = list(values)
    for direction in (*others, *others):
        rest = remove_direction(rest, direction)

    square = multiply(rest, rest)
    if square <= _LEAST_REST * whole:
        return None

    length = math.sqrt(square)
    return [value / length for value in rest], length


def estimate_memory(residuals: Sequence[float]) -> float:
    """Return how much of a residual is still there in the next one, from 0 to 0.95.

    It is the autocorrelation, freed from the bias that a fitted line gives it (F. H. C. Marriott and J. A. Pope, "Bias
    in the Estimation of Autocorrelations", 1954).
    """
    square = multiply(residuals, residuals)
    if square == 0:
        return 0.0

    correlation = multiply(residuals[:-1], residuals[1:]) / square
    memory = correlation + (2 + 4 * correlation) / len(residuals)
    return min(max(memory, 0.0), _MOST_MEMORY)


def student_quantile(chance: float, freedom: float) -> float:
    """Return a quantile of Student's distribution, by its expansion around the normal one.

    Abramowitz and Stegun, "Handbook of Mathematical Functions", 26.7.5. Beside their tables it is within a thousandth
    for ten degrees of freedom and more; at three it is up to 5 % too small, for chances up to 0.9995.
    """
    z = NormalDist().inv_cdf(chance)
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return math.fsum(term / freedom**power for power, term in enumerate(terms))
