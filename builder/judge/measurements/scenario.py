"""The facts of a measurement -> what is said of each scenario: of every metric of every variant beside its baseline."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from builder.config.thresholds import DEFAULT_THRESHOLD, parse_threshold
from builder.judge.measurements.answers import Answer, Comparison, Reason
from builder.judge.measurements.decision import decide
from builder.judge.measurements.looks import plan_looks
from builder.judge.measurements.readings import (
    collect_measurement,
    find_gil_state,
    list_complete_rounds,
    list_metrics,
    summarize,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from builder.config.metrics import Metric
    from builder.config.thresholds import Threshold
    from builder.evidence.measurement import MeasuredVariant, MeasurementFacts, ScenarioReadings
    from builder.judge.measurements.measurement import Measurement
    from builder.judge.measurements.readings import Round


@dataclass(frozen=True, kw_only=True, slots=True)
class JudgedVariant:
    """What is said of one variant in one scenario.

    Attributes:
        variant: what was measured.
        figures: by metric, what it came to.
        comparisons: beside its baseline, one for each metric; none of a variant that is compared with nothing.
        rounds: in how many of them it was compared, or measured where it is compared with nothing.
        gil: whether the GIL was on in the end; None where that is not known.
        failure: what was seen of the last reading that failed; empty where none did.
    """

    variant: MeasuredVariant
    figures: Mapping[str, float]
    comparisons: tuple[Comparison, ...] = ()
    rounds: int = 0
    gil: bool | None = None
    failure: str = ""

    @property
    def has_failed(self) -> bool:
        """Whether it came to nothing, because readings failed; one that fails may be an accident."""
        return bool(self.failure) and not self.rounds


@dataclass(frozen=True, kw_only=True, slots=True)
class JudgedScenario:
    """What is said of one scenario.

    Attributes:
        name: of the scenario, in the matrix.
        variants: all that were measured but for the controls, in the order of the measurement.
        thresholds: by metric how much worse it may get, where the matrix says so.
    """

    name: str
    variants: tuple[JudgedVariant, ...]
    thresholds: Mapping[str, Threshold] = field(default_factory=dict)

    @property
    def comparisons(self) -> tuple[Comparison, ...]:
        """Every comparison of it."""
        comparisons: list[Comparison] = []
        for judged in self.variants:
            comparisons += judged.comparisons

        return tuple(comparisons)


def judge_measurement(facts: MeasurementFacts) -> tuple[JudgedScenario, ...]:
    """Return what is said of each scenario of a measurement."""
    return tuple(_judge_scenario(readings, facts) for readings in facts.scenarios)


def read_thresholds(facts: MeasurementFacts, scenario: str) -> dict[str, Threshold]:
    """Return by metric how much worse it may get in a scenario, where the matrix says so."""
    written = facts.thresholds.get(scenario, {})
    return {metric: parse_threshold(text) for metric, text in written.items()}


def _judge_scenario(readings: ScenarioReadings, facts: MeasurementFacts) -> JudgedScenario:
    thresholds = read_thresholds(facts, readings.name)
    controls = {one.baseline: one.name for one in facts.variants if one.is_control}

    judged: list[JudgedVariant] = []
    for variant in facts.variants:
        was_measured = any(variant.name in round_ for round_ in readings.rounds)
        failure = readings.failures.get(variant.name, "")
        if variant.is_control or not (was_measured or failure):
            continue
        control = controls.get(variant.baseline, "")
        judged.append(_judge_variant(readings, variant, control, thresholds))

    return JudgedScenario(name=readings.name, variants=tuple(judged), thresholds=thresholds)


def _judge_variant(
    readings: ScenarioReadings,
    variant: MeasuredVariant,
    control: str,
    thresholds: Mapping[str, Threshold],
) -> JudgedVariant:
    own_rounds = list_complete_rounds(readings.rounds, [variant.name])
    own_readings = [{variant.name: round_[variant.name]} for round_ in own_rounds]
    figures: dict[str, float] = {}
    for metric in list_metrics(own_readings):
        figure = summarize(metric, own_rounds, variant.name)
        if figure is not None:
            figures[metric.name] = figure

    rounds = own_rounds
    comparisons: tuple[Comparison, ...] = ()
    if variant.baseline:
        names = [variant.baseline, variant.name]
        has_control = any(control in round_ for round_ in readings.rounds)
        if has_control:
            names.append(control)
        rounds = list_complete_rounds(readings.rounds, names)
        comparisons = _compare(rounds, names, thresholds)

    return JudgedVariant(
        variant=variant,
        figures=figures,
        comparisons=comparisons,
        rounds=len(rounds),
        gil=find_gil_state(own_rounds, variant.name),
        failure=readings.failures.get(variant.name, ""),
    )


def _compare(
    rounds: Sequence[Round], names: Sequence[str], thresholds: Mapping[str, Threshold]
) -> tuple[Comparison, ...]:
    """Return what is said of each metric of a variant.

    Args:
        rounds: those in which all that is compared was measured.
        names: of the baseline, the variant, and the control if there is one.
        thresholds: by metric, where it is another one than the default.
    """
    baseline, variant, *controls = names
    measurements: list[Measurement] = []
    silent: list[Comparison] = []
    of_these = [{name: readings[name] for name in names} for readings in rounds]
    for metric in list_metrics(of_these):
        threshold = thresholds.get(metric.name, DEFAULT_THRESHOLD)
        measurement = collect_measurement(metric, rounds, names, threshold)
        if measurement is None:
            silent.append(_explain_lack(metric, variant, rounds))
        else:
            measurements.append(measurement)
    if not measurements:
        return tuple(silent)

    # They are judged once, when all rounds are done: so the one look has all of the error.
    plan = plan_looks(most_rounds=len(rounds), metrics=len(measurements), looks=1)
    decision = decide(
        measurements,
        plan,
        rounds=len(rounds),
        baseline=baseline,
        control=controls[0] if controls else None,
    )
    of_variant = [one for one in decision.comparisons if one.variant == variant]
    return (*of_variant, *silent)


def _explain_lack(metric: Metric, variant: str, rounds: Sequence[Round]) -> Comparison:
    calls = sum(readings[variant].count for readings in rounds)
    return Comparison(
        metric=metric.name,
        variant=variant,
        answer=Answer.UNKNOWN,
        rounds=len(rounds),
        reason=Reason.TOO_FEW_CALLS,
        explanation=f"{calls} calls in {len(rounds)} rounds are too few for {metric.name}",
    )
