"""Curves that grow without a leak, and which of them explain a series."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING

from builder.judge.measurements.intervals import Interval
from builder.judge.measurements.projections import (
    center,
    estimate_memory,
    find_direction,
    multiply,
    remove_direction,
    student_quantile,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_STEP_MARGIN = 2
"""Fewest values on either side of a step: what happens in the last two of them is no growth yet."""
_LAST_PLATEAU = 0.625
"""Share of the run at which growth may end, and be known to have ended."""
_CURVE_OFFSETS = (0.0, 0.005, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.08, 0.1)
"""How late, as shares of the run, a logarithm may begin to flatten. They lie so close that a curve between two of them
is explained by either."""
_EVIDENT_STEP = 15.0
"""By how much more, in variances of the noise, a step has to explain to be beyond doubt. Only then may a curve and a
step explain a series together: with both at will, there is no small leak that they do not explain."""
_LEAST_FREEDOM = 3.0
"""Fewest degrees of freedom of Student's distribution: with fewer, its expansion does not hold."""
_ROUNDING = 1e-9
"""Share of a series' square that is rounding."""


_Curves = tuple[list[float], ...]


class Kind(StrEnum):
    """Why a series grows without a leak, for sentences."""

    NOTHING = "chance"
    STEP = "one step"
    PLATEAU = "growth that ended"
    CURVE = "growth that gets slower and slower"
    CURVE_AND_STEP = "growth that gets slower and slower, and one step"


@dataclass(frozen=True, kw_only=True, slots=True)
class Explanation:
    """A family of curves, and what of a straight line they do not explain.

    Attributes:
        kind: which family.
        directions: of the curves, at right angles and of length 1.
        line: the direction of what is left of a straight line beside them.
        length: its length, in calls.
    """

    kind: Kind
    directions: tuple[list[float], ...]
    line: list[float]
    length: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Rest:
    """The growth that is left beside an explanation.

    Attributes:
        kind: of the explanation.
        square: what it leaves unexplained without a leak, as the sum of squares.
        square_with_leak: the same with a leak, which is never negative.
        slope: of the leak beside it, value by call.
        variance: of a value's noise, as if values had no memory.
        length: of the part of the line that is not explained, in calls.
        freedom: degrees of freedom.
    """

    kind: Kind
    square: float
    square_with_leak: float
    slope: float
    variance: float
    length: float
    freedom: float

    def interval(self, tail: float) -> Interval:
        """Return the interval of the slope that misses it on one side with the chance `tail`."""
        reach = math.sqrt(self.variance) / self.length * student_quantile(1 - tail, self.freedom)
        return Interval(low=self.slope - reach, estimate=self.slope, high=self.slope + reach)


@dataclass(frozen=True, kw_only=True, slots=True)
class Assessment:
    """Which explanations hold.

    Attributes:
        leak: the leak beside the explanation with which it fits best.
        survivors: the explanations that need no leak, the one that explains most first.
        has_step: whether there was a step beyond doubt.
    """

    leak: Rest
    survivors: tuple[Rest, ...]
    has_step: bool


@lru_cache(maxsize=16)  # all resources of a run are sampled at the same moments
def list_explanations(calls: tuple[float, ...], first: int) -> tuple[Explanation, ...]:
    """Return every single explanation for the part of a run from a block on; the first is chance alone.

    Args:
        calls: the work done by the middle of each block of the whole run.
        first: the first block of the part.
    """
    return tuple(_iter_explanations(calls, first, _iter_curves(calls, first)))


@lru_cache(maxsize=16)
def list_curves_with_step(calls: tuple[float, ...], first: int) -> tuple[Explanation, ...]:
    """Return what explains a part of a run as growth that gets slower and slower, and one step."""
    return tuple(_iter_explanations(calls, first, _iter_curves_with_step(calls, first)))


def _iter_explanations(
    calls: Sequence[float], first: int, curves_of_kinds: Iterable[tuple[Kind, _Curves]]
) -> Iterator[Explanation]:
    line = center(calls[first:])
    for kind, curves in curves_of_kinds:
        directions: list[list[float]] = []
        for curve in curves:
            found = find_direction(center(curve), directions)
            if found is not None:
                directions.append(found[0])

        rest = find_direction(line, directions)
        if rest is not None:
            yield Explanation(kind=kind, directions=tuple(directions), line=rest[0], length=rest[1])


def _iter_curves(calls: Sequence[float], first: int) -> Iterator[tuple[Kind, _Curves]]:
    part = calls[first:]
    yield Kind.NOTHING, ()
    for step in _iter_steps(len(part)):
        yield Kind.STEP, step
    for end in part[1:]:
        if end <= _LAST_PLATEAU * calls[-1]:
            yield Kind.PLATEAU, ([min(done, end) for done in part],)
    for offset in _CURVE_OFFSETS:
        yield Kind.CURVE, ([math.log(done + offset * calls[-1]) for done in part],)


def _iter_curves_with_step(calls: Sequence[float], first: int) -> Iterator[tuple[Kind, _Curves]]:
    part = calls[first:]
    for offset in _CURVE_OFFSETS:
        logarithm = [math.log(done + offset * calls[-1]) for done in part]
        for step in _iter_steps(len(part)):
            yield Kind.CURVE_AND_STEP, (logarithm, *step)


def _iter_steps(count: int) -> Iterator[tuple[list[float], list[float]]]:
    """Yield each step, and the value of the block in which it is: that lies anywhere between before and after."""
    for place in range(_STEP_MARGIN, count - _STEP_MARGIN):
        step = [0.0] * place + [1.0] * (count - place)
        block = [0.0] * count
        block[place] = 1.0
        yield step, block


def assess(explanations: Sequence[Explanation], values: Sequence[float], tail: float) -> Assessment:
    """Return which explanations hold without a leak.

    One is refuted if it leaves more unexplained than the best one with a leak does, by more than chance does (the ratio
    of likelihoods of J. Neyman and E. S. Pearson, 1928, for a slope that is not negative).

    Args:
        explanations: of the same part of the run as the values.
        values: one a block.
        tail: how unlikely chance has to be.
    """
    deviations = center(values)
    rests = [_fit(explanation, deviations) for explanation in explanations]
    leak = min(rests, key=lambda rest: rest.square_with_leak)
    critical = leak.variance * student_quantile(1 - tail, leak.freedom) ** 2
    survivors = [rest for rest in rests if rest.square - leak.square_with_leak <= critical]
    survivors.sort(key=lambda rest: rest.square)

    # What a leak and anything but a step leaves unexplained, and a leak and a step do not.
    without_step = [rest.square_with_leak for rest in rests if rest.kind is not Kind.STEP]
    step_gain = min(without_step, default=0.0) - leak.square_with_leak
    return Assessment(
        leak=leak, survivors=tuple(survivors), has_step=step_gain > _EVIDENT_STEP * leak.variance
    )


def _fit(explanation: Explanation, deviations: Sequence[float]) -> Rest:
    """Return the growth that is left beside an explanation.

    The variance counts as many values as are independent where each keeps a part of the one before (M. S. Bartlett,
    "Some Aspects of the Time-Correlation Problem", 1935).
    """
    residuals = list(deviations)
    for direction in explanation.directions:
        residuals = remove_direction(residuals, direction)
    square = multiply(residuals, residuals)

    growth = multiply(explanation.line, residuals)
    if growth > 0:
        residuals = remove_direction(residuals, explanation.line)

    count = len(deviations)
    parameters = 2 + len(explanation.directions)
    memory = estimate_memory(residuals)
    inflation = (1 + memory) / (1 - memory)
    rounding = _ROUNDING * multiply(deviations, deviations)
    square_with_leak = multiply(residuals, residuals) + rounding
    return Rest(
        kind=explanation.kind,
        square=square + rounding,
        square_with_leak=square_with_leak,
        slope=growth / explanation.length,
        variance=square_with_leak * inflation / (count - parameters),
        length=explanation.length,
        freedom=max(_LEAST_FREEDOM, count / inflation - parameters),
    )
