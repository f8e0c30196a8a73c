"""A measurement and an earlier one of the same application -> what changed in each metric of each variant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from builder.config.metrics import METRICS
from builder.config.thresholds import DEFAULT_THRESHOLD
from builder.judge.measurements.history import Basis, MeasuredRun, compare_with_record
from builder.judge.measurements.readings import (
    collect_measurement,
    list_complete_rounds,
    list_metrics,
    summarize,
)
from builder.judge.measurements.scenario import read_thresholds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from builder.config.metrics import Metric
    from builder.config.thresholds import Threshold
    from builder.evidence.measurement import MeasuredVariant, MeasurementFacts, ScenarioReadings
    from builder.judge.measurements.history import Change


class FigureKey(NamedTuple):
    """What a figure of a measurement is of: names of a scenario, a variant and a metric."""

    scenario: str
    variant: str
    metric: str


@dataclass(frozen=True, kw_only=True, slots=True)
class MetricChange:
    """What became of a metric since an earlier measurement.

    Attributes:
        key: what it is of.
        change: what is said.
    """

    key: FigureKey
    change: Change


def name_machine(facts: MeasurementFacts) -> str:
    """Return what names the machine of a measurement: the same text where nothing that matters for speed differs."""
    machine = facts.machine
    memory_gib = machine.memory_bytes / (1 << 30)
    return f"{machine.processor}, {machine.cpus} CPUs, {memory_gib:.0f} GiB, Linux {machine.kernel}"


def list_figures(facts: MeasurementFacts) -> dict[FigureKey, float]:
    """Return what each metric of each variant came to."""
    figures: dict[FigureKey, float] = {}
    for readings in facts.scenarios:
        metrics = list_metrics(readings.rounds)
        for variant in facts.variants:
            for metric in metrics:
                figure = summarize(metric, readings.rounds, variant.name)
                if figure is not None:
                    figures[FigureKey(readings.name, variant.name, metric.name)] = figure

    return figures


def compare_with_earlier(
    earlier: MeasurementFacts, facts: MeasurementFacts
) -> tuple[MetricChange, ...]:
    """Return what changed since an earlier measurement, of every metric that both have.

    Args:
        earlier: what it is compared with.
        facts: the later measurement; its thresholds count.
    """
    changes: list[MetricChange] = []
    earlier_readings = {readings.name: readings for readings in earlier.scenarios}
    for readings in facts.scenarios:
        if readings.name not in earlier_readings:
            continue
        for variant in facts.variants:
            if not variant.is_control:
                pair = (earlier_readings[readings.name], readings)
                changes += _compare_variant(earlier, facts, pair, variant)

    return tuple(changes)


def _compare_variant(
    earlier: MeasurementFacts,
    facts: MeasurementFacts,
    pair: tuple[ScenarioReadings, ScenarioReadings],
    variant: MeasuredVariant,
) -> Iterator[MetricChange]:
    """Yield what changed of one variant.

    Args:
        earlier: the earlier measurement.
        facts: the later one.
        pair: the readings of one scenario, in either.
        variant: of the later measurement.
    """
    thresholds = read_thresholds(facts, pair[1].name)
    for metric in METRICS.values():
        threshold = thresholds.get(metric.name, DEFAULT_THRESHOLD)
        before = _take_run(earlier, pair[0], variant, metric, threshold)
        after = _take_run(facts, pair[1], variant, metric, threshold)
        if before is None or after is None:
            continue

        change = compare_with_record(before, after, variant.name)
        # The ratio of a baseline to itself is 1 on every machine.
        is_itself = not variant.baseline and change.basis is Basis.RATIOS
        if not is_itself:
            key = FigureKey(scenario=pair[1].name, variant=variant.name, metric=metric.name)
            yield MetricChange(key=key, change=change)


def _take_run(
    facts: MeasurementFacts,
    readings: ScenarioReadings,
    variant: MeasuredVariant,
    metric: Metric,
    threshold: Threshold,
) -> MeasuredRun | None:
    """Return the values of a metric of a variant and its baseline; None where there are none, or one is 0."""
    baseline = variant.baseline or variant.name
    names = list(dict.fromkeys((baseline, variant.name)))
    rounds = list_complete_rounds(readings.rounds, names)
    of_these = [{name: round_[name] for name in names} for round_ in rounds]
    if metric not in list_metrics(of_these):
        return None

    measurement = collect_measurement(metric, rounds, names, threshold)
    if measurement is None or any(measurement.find_bad_value(name) for name in names):
        return None
    return MeasuredRun(machine=name_machine(facts), measurement=measurement, baseline=baseline)
