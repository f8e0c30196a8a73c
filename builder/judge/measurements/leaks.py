"""Samples of a resource over a long run -> whether the process leaks it, and how much a call.

Much that grows is no leak: caches that fill, memory that is fragmented more and more slowly, a step when something is
loaded. So growth is called a leak only if each of these explanations is refuted, and if it is there in every third of
what follows the warm-up.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import TYPE_CHECKING

from builder.judge.measurements.explanations import (
    Kind,
    assess,
    list_curves_with_step,
    list_explanations,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from builder.judge.measurements.explanations import Explanation, Rest
    from builder.judge.measurements.intervals import Interval
    from builder.judge.measurements.resources import Resource, UsageSample

BLOCK_COUNT = 48
"""Parts of a run, of as many samples each. Their means have less noise and less memory than samples."""
WARM_UP_BLOCKS = 16
"""The first third, which is not judged by itself: applications fill caches and pools meanwhile."""
MIN_SAMPLES = 2 * BLOCK_COUNT
"""With fewer, a block has no mean to speak of."""
_TRIMMED_SHARE = 0.2
"""Share of a block's samples that is left out at either end (J. W. Tukey): peaks of one large call or collection."""
_FLOOR_SHARE = 0.1
"""The quantile that stands for the least of a third: what is left after collections, and no single odd sample."""
_TAIL = 0.002
"""How unlikely chance has to be for an explanation to be refuted. benchmarks/measurements.py counts what follows."""
_CURVE_STARTS = (1, 5, 10, WARM_UP_BLOCKS)
"""First blocks of the parts of the run over which growth is told from growth that gets slower and slower. The more of
the run, the better, unless a warm-up of another shape is in it: one part has to refute it."""
_EXPLAINED_SHARE = 0.5
"""Share of the growth below which a leak has to be for an explanation to be called better than a leak."""
_INTERVAL_TAIL = 0.005
"""How likely the interval of the slope misses it on one side: 99 % for both."""


class LeakAnswer(StrEnum):
    """What is said of a resource."""

    LEAK = "leak"
    NO_LEAK = "no leak above"
    """There may be one, but not of more than `limit_per_call`."""
    UNKNOWN = "not measurable"
    """`explanation` says why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LeakJudgement:
    """What is said of a resource after a run.

    Attributes:
        resource: what of.
        answer: what is said.
        per_call: the slope after the warm-up, and its interval, in the resource's unit by call; None where there are
            too few samples.
        limit_per_call: the largest leak that fits the samples; None where nothing is said of it.
        explanation: a sentence with figures.
    """

    resource: Resource
    answer: LeakAnswer
    per_call: Interval | None = None
    limit_per_call: float | None = None
    explanation: str = ""


def judge_leak(
    resource: Resource, samples: Sequence[UsageSample], *, least_per_call: float = 0.0
) -> LeakJudgement:
    """Return whether a process leaks a resource.

    Args:
        resource: what the samples are of.
        samples: in the order of time, evenly spread over a run that repeats the same work.
        least_per_call: the smallest leak that matters, in the resource's unit. Smaller ones are not told, and "no leak"
            is only said where one of that size would have been seen; 0 where any matters.
    """
    too_little = _find_too_little(samples)
    if too_little:
        return LeakJudgement(resource=resource, answer=LeakAnswer.UNKNOWN, explanation=too_little)

    calls, values = _average_blocks(samples)
    late_values = values[WARM_UP_BLOCKS:]
    explanations = list_explanations(calls, WARM_UP_BLOCKS)
    assessment = assess(explanations, late_values, _TAIL)
    survivors = [rest for rest in assessment.survivors if rest.kind is not Kind.CURVE]
    survivors += _assess_slowing(calls, values, has_step=assessment.has_step)

    leak = assessment.leak.interval(_INTERVAL_TAIL)
    grows = _grows_in_each_third(samples)
    if grows and not survivors and leak.low > least_per_call:
        return LeakJudgement(
            resource=resource,
            answer=LeakAnswer.LEAK,
            per_call=leak,
            explanation=f"it grows steadily after the warm-up, by {_show(leak, resource)}",
        )

    plain = assess(explanations[:1], late_values, _TAIL).leak.interval(_INTERVAL_TAIL)
    is_chance = not grows or any(rest.kind is Kind.NOTHING for rest in survivors)
    return _limit_leak(
        resource, plain, survivors, is_chance=is_chance, least_per_call=least_per_call
    )


def _limit_leak(
    resource: Resource,
    plain: Interval,
    survivors: Sequence[Rest],
    *,
    is_chance: bool,
    least_per_call: float,
) -> LeakJudgement:
    """Return how large a leak may be.

    Args:
        resource: what is judged.
        plain: the slope after the warm-up, whatever it is due to. What is no leak only adds to it.
        survivors: what explains it without a leak.
        is_chance: whether there is no growth to explain.
        least_per_call: the smallest leak that matters.
    """
    limit = max(plain.high, plain.estimate - plain.low)
    explanation = ""
    if not is_chance and survivors:
        best = survivors[0]
        beside = best.interval(_INTERVAL_TAIL)
        is_explained = beside.high < _EXPLAINED_SHARE * plain.estimate
        explanation = (
            f"it grows by {_show(plain, resource)} after the warm-up; {best.kind} explains that"
        )
        if not is_explained:
            return LeakJudgement(
                resource=resource,
                answer=LeakAnswer.UNKNOWN,
                per_call=plain,
                explanation=f"{explanation} as well as a leak does: a longer run can tell",
            )
        limit = max(beside.high, 0.0)

    if least_per_call and limit > least_per_call:
        return LeakJudgement(
            resource=resource,
            answer=LeakAnswer.UNKNOWN,
            per_call=plain,
            explanation=(
                f"a leak of up to {limit:.3g} {resource.unit} a call would not have been seen,"
                f" and {least_per_call:g} matter: a longer run can tell"
            ),
        )
    return LeakJudgement(
        resource=resource,
        answer=LeakAnswer.NO_LEAK,
        per_call=plain,
        limit_per_call=limit,
        explanation=explanation,
    )


def _show(interval: Interval, resource: Resource) -> str:
    return f"{interval.estimate:.3g} {resource.unit} a call ({interval.low:.3g} to {interval.high:.3g})"


def _assess_slowing(
    calls: tuple[float, ...], values: Sequence[float], *, has_step: bool
) -> Sequence[Rest]:
    """Return what explains a series as growth that gets slower and slower; nothing where a part of the run refutes it.

    Args:
        calls: the work done by the middle of each block.
        values: of each block.
        has_step: whether there was a step beyond doubt; then a step may be a part of the explanation.
    """
    survivors: Sequence[Rest] = ()
    for first in reversed(_CURVE_STARTS):
        if has_step:
            curves: Sequence[Explanation] = list_curves_with_step(calls, first)
        else:
            curves = [one for one in list_explanations(calls, first) if one.kind is Kind.CURVE]

        survivors = assess(curves, values[first:], _TAIL).survivors
        if not survivors:
            break
    return survivors


def _find_too_little(samples: Sequence[UsageSample]) -> str:
    """Return why samples cannot be judged; empty where they can."""
    if len(samples) < MIN_SAMPLES:
        return f"{len(samples)} samples are too few: it takes {MIN_SAMPLES}"

    for earlier, later in pairwise(samples):
        if later.calls < earlier.calls:
            return f"the number of calls falls after {earlier.seconds:.0f} s: samples are in order"

    calls, _ = _average_blocks(samples)
    for earlier_calls, later_calls in pairwise(calls):
        if later_calls <= earlier_calls:
            return f"no call was made in a 48th of the run, after {earlier_calls:.0f} of them"
    return ""


def _average_blocks(samples: Sequence[UsageSample]) -> tuple[tuple[float, ...], list[float]]:
    """Return for each block the work done by its middle, and the trimmed mean of the values."""
    calls: list[float] = []
    values: list[float] = []
    for number in range(BLOCK_COUNT):
        begin = number * len(samples) // BLOCK_COUNT
        end = (number + 1) * len(samples) // BLOCK_COUNT
        block = samples[begin:end]

        ordered = sorted(sample.value for sample in block)
        trimmed_count = int(_TRIMMED_SHARE * len(ordered))
        middle = ordered[trimmed_count : len(ordered) - trimmed_count]
        calls.append(sum(sample.calls for sample in block) / len(block))
        values.append(sum(middle) / len(middle))
    return tuple(calls), values


def _grows_in_each_third(samples: Sequence[UsageSample]) -> bool:
    """Return whether the least of each third after the warm-up is more than that of the third before."""
    begin = len(samples) * WARM_UP_BLOCKS // BLOCK_COUNT
    rest = samples[begin:]

    floors: list[float] = []
    for number in range(3):
        third = rest[number * len(rest) // 3 : (number + 1) * len(rest) // 3]
        ordered = sorted(sample.value for sample in third)
        floors.append(ordered[int(_FLOOR_SHARE * len(ordered))])
    return floors[0] < floors[1] < floors[2]
