"""Rounds of a baseline and of variants -> what is said of each metric of each variant, and whether to go on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from builder.judge.measurements.answers import Answer, Comparison, Reason
from builder.judge.measurements.looks import Look
from builder.judge.measurements.sample import Sample

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from builder.judge.measurements.intervals import Interval
    from builder.judge.measurements.measurement import Measurement


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """What is said after some rounds.

    Attributes:
        comparisons: of each variant, then of each metric.
        next_look: how many rounds have to be done before it is worth asking again; None where measuring ends.
    """

    comparisons: tuple[Comparison, ...]
    next_look: int | None


def decide(
    measurements: Sequence[Measurement],
    plan: Sequence[Look],
    *,
    rounds: int,
    baseline: str,
    control: str | None = None,
) -> Decision:
    """Return what can be said after some rounds, and whether more are needed.

    All looks that are past are taken again, so that the answer depends on the measurements alone. What one of them
    decided stays decided, and is given with the rounds and the interval of that look.

    Args:
        measurements: what was measured, of the same variants each.
        plan: the looks, by `plan_looks`, for as many metrics.
        rounds: how many are done.
        baseline: the variant that others are compared with.
        control: an equal copy of the baseline, run as one more variant. Where it differs from the baseline by more than
            the threshold, nothing is said of that metric for any variant.

    Raises:
        ValueError: there are values of fewer rounds than were done.
    """
    for measurement in measurements:
        measurement.check_rounds(rounds)

    comparisons: list[Comparison] = []
    is_open = False
    for variant in measurements[0].values:
        if variant == baseline:
            continue
        of_variant = _judge_variant(measurements, plan, rounds, baseline, variant)
        comparisons += of_variant
        is_open = is_open or (variant != control and any(map(_may_change, of_variant)))

    later_looks = [look.rounds for look in plan if look.rounds > rounds]
    next_look = later_looks[0] if is_open and later_looks else None
    after_control = tuple(_apply_control(comparisons, control))
    return Decision(comparisons=after_control, next_look=next_look)


def _may_change(comparison: Comparison) -> bool:
    """Return whether more rounds may say more."""
    return comparison.reason not in {None, Reason.NO_RATIO}


def _judge_variant(
    measurements: Sequence[Measurement],
    plan: Sequence[Look],
    rounds: int,
    baseline: str,
    variant: str,
) -> list[Comparison]:
    """Return what is said of each metric of one variant."""
    comparisons: dict[str, Comparison] = {}
    for measurement in measurements:
        bad_value = measurement.find_bad_value(baseline) or measurement.find_bad_value(variant)
        if bad_value:
            comparisons[measurement.metric.name] = _refuse_value(
                measurement, variant, rounds, bad_value
            )

    past_looks = [look for look in plan if look.rounds <= rounds]
    for look in past_looks:
        samples: list[Sample] = []
        for measurement in measurements:
            if measurement.metric.name not in comparisons:
                samples.append(Sample.take(measurement, baseline, variant, look.rounds))
        comparisons |= _take_look(samples, look.error, _count_unchanged(measurements, comparisons))

    # Between looks, the last one counts; before the first, there is no interval.
    last_look = past_looks[-1] if past_looks else Look(rounds=rounds, error=0.0)
    tail = last_look.error / 2 / _count_unchanged(measurements, comparisons)
    for measurement in measurements:
        if measurement.metric.name not in comparisons:
            sample = Sample.take(measurement, baseline, variant, last_look.rounds)
            comparisons[measurement.metric.name] = sample.explain(tail)

    return [comparisons[measurement.metric.name] for measurement in measurements]


def _refuse_value(
    measurement: Measurement, variant: str, rounds: int, explanation: str
) -> Comparison:
    return Comparison(
        metric=measurement.metric.name,
        variant=variant,
        answer=Answer.UNKNOWN,
        rounds=rounds,
        reason=Reason.NO_RATIO,
        explanation=explanation,
    )


def _count_unchanged(
    measurements: Sequence[Measurement], comparisons: Mapping[str, Comparison]
) -> int:
    """Return how many metrics share the error; at least 1."""
    changed_count = sum(comparison.answer.is_change for comparison in comparisons.values())
    return max(1, len(measurements) - changed_count)


def _take_look(
    samples: Sequence[Sample], error: float, unchanged_count: int
) -> dict[str, Comparison]:
    """Return what one look decides, by metric.

    It is Holm's procedure (S. Holm, "A Simple Sequentially Rejective Multiple Test Procedure", 1979): a metric that has
    changed leaves its share of the error to the others. "The same" is said by the intervals that are left then.

    Args:
        samples: of the metrics that are undecided.
        error: how likely any claim of this look may be wrong.
        unchanged_count: how many metrics share it.
    """
    comparisons: dict[str, Comparison] = {}
    open_samples = list(samples)
    while open_samples:
        tail = error / 2 / max(1, unchanged_count - len(comparisons))
        changes: dict[str, Comparison] = {}
        for sample in open_samples:
            answer = sample.answer(tail)
            if answer.is_change and sample.drift() is None:
                changes[sample.measurement.metric.name] = sample.say(answer, tail)
        if not changes:
            break
        comparisons |= changes
        open_samples = [
            one for one in open_samples if one.measurement.metric.name not in comparisons
        ]

    tail = error / 2 / max(1, unchanged_count - len(comparisons))
    for sample in open_samples:
        if sample.answer(tail) is Answer.SAME and sample.drift() is None:
            comparisons[sample.measurement.metric.name] = sample.say(Answer.SAME, tail)
    return comparisons


def _apply_control(comparisons: Sequence[Comparison], control: str | None) -> Iterator[Comparison]:
    """Yield the comparisons; where the control differs from the baseline, nothing is said of other variants."""
    ratios: dict[str, Interval] = {}
    for comparison in comparisons:
        is_control = comparison.variant == control
        if is_control and comparison.answer.is_change and comparison.ratio is not None:
            ratios[comparison.metric] = comparison.ratio

    for comparison in comparisons:
        if comparison.variant == control or comparison.metric not in ratios:
            yield comparison
            continue

        ratio = ratios[comparison.metric]
        explanation = (
            f"an equal copy of the baseline is {ratio.estimate:.3g} times the baseline"
            f" ({ratio.low:.3g} to {ratio.high:.3g}): this machine cannot measure it"
        )
        yield replace(
            comparison, answer=Answer.UNKNOWN, reason=Reason.CONTROL, explanation=explanation
        )
