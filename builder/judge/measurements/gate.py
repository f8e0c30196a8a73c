"""What was measured of releases that wait in `canary/` -> whether they may be promoted, and why."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from builder.judge.measurements.answers import Answer
from builder.judge.measurements.scenario import judge_measurement

if TYPE_CHECKING:
    from collections.abc import Iterator

    from builder.evidence.measurement import MeasurementFacts
    from builder.judge.measurements.scenario import JudgedScenario


class Admission(StrEnum):
    """What a measurement says of the releases that it is about."""

    PASSED = "passed"
    WORSE = "worse"
    UNKNOWN = "unknown"
    """It says too little."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Opinion:
    """What a measurement says of the releases that it is about, and why, in a sentence."""

    admission: Admission
    reason: str


def admit(facts: MeasurementFacts) -> Opinion:
    """Return what a measurement of `canary/` beside `simple/` says.

    Anything worse refuses. Of each scenario something has to be known, and all that the matrix sets a threshold for.
    """
    scenarios = judge_measurement(facts)
    worse: list[str] = []
    lacks: list[str] = []
    for name, reason in {**facts.lacking, **facts.errors}.items():
        lacks.append(f"{name}: {reason}")
    for scenario in scenarios:
        worse += _list_worse(scenario)
        lacks += _list_lacks(scenario)

    if worse:
        return Opinion(admission=Admission.WORSE, reason="; ".join(worse))
    if lacks or not scenarios:
        reason = "; ".join(lacks) or "nothing was measured"
        return Opinion(admission=Admission.UNKNOWN, reason=reason)

    names = ", ".join(scenario.name for scenario in scenarios)
    return Opinion(admission=Admission.PASSED, reason=f"nothing got worse in {names}")


def _list_worse(scenario: JudgedScenario) -> Iterator[str]:
    """Yield what got worse: metrics, and variants that fail where what they are compared with does not."""
    broken = {judged.variant.name for judged in scenario.variants if judged.has_failed}
    for judged in scenario.variants:
        variant = judged.variant
        if judged.has_failed and variant.baseline and variant.baseline not in broken:
            yield f"{scenario.name}: {variant.name} fails: {judged.failure}"

    for comparison in scenario.comparisons:
        if comparison.answer is Answer.WORSE:
            yield f"{scenario.name}: {comparison.describe()}"


def _list_lacks(scenario: JudgedScenario) -> Iterator[str]:
    """Yield what of a scenario has to be known and is not."""
    for judged in scenario.variants:
        if judged.has_failed:
            yield f"{scenario.name}: {judged.variant.name} fails: {judged.failure}"

    comparisons = scenario.comparisons
    for comparison in comparisons:
        is_asked_for = comparison.metric in scenario.thresholds
        if is_asked_for and comparison.answer is Answer.UNKNOWN:
            yield f"{scenario.name}: {comparison.describe()}"
    if all(comparison.answer is Answer.UNKNOWN for comparison in comparisons):
        yield f"{scenario.name}: no metric is measurable here"
