"""What was measured of applications, as `wheelfarm measure --json` prints it and the page of the report shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from builder.config.metrics import METRICS, MetricName
from builder.config.thresholds import DEFAULT_THRESHOLD
from builder.judge.measurements.answers import Answer, Reason
from builder.judge.measurements.history import Basis
from builder.judge.measurements.trend import FigureKey, name_machine
from builder.report.documents.part import CleanLine, CleanText, Part

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from builder.judge.measurements.answers import Comparison
    from builder.judge.measurements.application import JudgedMeasurement
    from builder.judge.measurements.intervals import Interval
    from builder.judge.measurements.scenario import JudgedScenario, JudgedVariant


class IntervalPart(Part):
    """A ratio, and what it is between."""

    ratio: float
    low: float
    high: float


class ComparisonPart(Part):
    """What is said of a metric beside the baseline."""

    answer: Answer

    ratio: IntervalPart | None
    """The variant by its baseline; null where there are too few rounds."""

    reason: Reason | None
    """Why nothing is said; null where something is."""

    explanation: CleanText
    """The same as a sentence with figures; empty where something is said."""

    rounds: int
    """How many rounds it rests on."""

    outliers: list[int]
    """Rounds that lie far from the others, by their numbers; they count all the same."""


class ChangePart(Part):
    """What is said of a metric beside an earlier measurement."""

    answer: Answer

    basis: Basis
    """What was compared: values, or ratios where the machine is another one."""

    ratio: IntervalPart | None
    """Now by then; null where there are too few rounds."""


class MetricPart(Part):
    """One metric of one variant."""

    name: MetricName

    title: str
    """In words."""

    unit: str
    """`s`, `B`, `1/s`."""

    value: float

    threshold: str
    """How much worse it may get."""

    comparison: ComparisonPart | None
    """Null for a variant that is compared with nothing."""

    change: ChangePart | None
    """Null where there is no earlier measurement of it."""

    trend: list[float]
    """What it came to in measurements on this machine, the oldest first, this one last."""


class VariantPart(Part):
    """One way to run an application."""

    name: CleanLine
    """`cp314t/4`."""

    interpreter: CleanLine
    """What it was run by, and how: `cp314-jit on`."""

    version: CleanLine
    """The release of CPython."""

    threads: int

    baseline: CleanLine
    """The variant that it is compared with; empty for none."""

    rounds: int

    gil: bool | None
    """Whether the GIL was on in the end; null where that is not known."""

    failure: CleanText
    """What was seen of the last reading that failed; empty where none did."""

    metrics: list[MetricPart]
    """In the order of docs/measurements.md."""

    def list_metrics(self, answer: str) -> list[str]:
        """Return the names of the metrics that are `worse` or `better` than the baseline's."""
        names: list[str] = []
        for metric in self.metrics:
            if metric.comparison is not None and metric.comparison.answer == answer:
                names.append(metric.name)

        return names


class ScenarioPart(Part):
    """What one scenario came to."""

    name: CleanLine
    variants: list[VariantPart]


class MeasurementPart(Part):
    """The newest measurement of an application on a base."""

    application: CleanLine
    base: CleanLine

    channel: Literal["", "canary"]
    """`canary` where what waits there was measured beside what `simple/` has; empty where interpreters were."""

    releases: list[CleanLine]
    """What waits in `canary/` and was measured; empty for interpreters."""

    measured_at: CleanLine
    """When it began, UTC."""

    machine: CleanLine

    earlier: CleanLine
    """When the measurement was that it is compared with; empty for none."""

    lacking: dict[str, CleanText]
    """By interpreter that could not be measured with, why."""

    scenarios: list[ScenarioPart]

    @property
    def title(self) -> str:
        """What it is about, for a heading."""
        compared = ", ".join(self.releases) if self.channel else "interpreters"
        return f"{self.application} on {self.base}: {compared}"


class MeasureDocument(Part):
    """What `wheelfarm measure --json` prints."""

    schema_version: Literal[1]
    measurements: list[MeasurementPart]

    failures: dict[str, CleanText]
    """By application that was not measured, why."""


def make_measure_document(
    judged: Iterable[JudgedMeasurement], failures: Mapping[str, str]
) -> MeasureDocument:
    """Return the document of some measurements.

    Args:
        judged: what is said of each.
        failures: by application that was not measured, why.
    """
    return MeasureDocument(
        schema_version=1,
        measurements=[_make_measurement(measurement) for measurement in judged],
        failures=dict(failures),
    )


def _make_measurement(judged: JudgedMeasurement) -> MeasurementPart:
    facts = judged.facts
    return MeasurementPart(
        application=judged.application,
        base=judged.base,
        channel="canary" if facts.pending else "",
        releases=[pending.release for pending in facts.pending],
        measured_at=facts.moment,
        machine=name_machine(facts),
        earlier=judged.earlier,
        lacking={**facts.lacking, **facts.errors},
        scenarios=[_make_scenario(scenario, judged) for scenario in judged.scenarios],
    )


def _make_scenario(scenario: JudgedScenario, judged: JudgedMeasurement) -> ScenarioPart:
    variants = [_make_variant(variant, scenario, judged) for variant in scenario.variants]
    return ScenarioPart(name=scenario.name, variants=variants)


def _make_variant(
    of_variant: JudgedVariant, scenario: JudgedScenario, judged: JudgedMeasurement
) -> VariantPart:
    variant = of_variant.variant
    comparisons = {one.metric: one for one in of_variant.comparisons}
    changes = {one.key: one.change for one in judged.changes}

    metrics: list[MetricPart] = []
    for name, value in of_variant.figures.items():
        key = FigureKey(scenario.name, variant.name, name)
        metric = METRICS[name]
        change = changes.get(key)
        part = MetricPart(
            name=metric.name,
            title=metric.title,
            unit=metric.unit,
            value=value,
            threshold=str(scenario.thresholds.get(name, DEFAULT_THRESHOLD)),
            comparison=_make_comparison(comparisons.get(name)),
            change=None,
            trend=list(judged.trends.get(key, ())),
        )
        if change is not None:
            of_change = ChangePart(
                answer=change.answer, basis=change.basis, ratio=_make_interval(change.ratio)
            )
            part = part.model_copy(update={"change": of_change})
        metrics.append(part)

    return VariantPart(
        name=variant.name,
        interpreter=variant.interpreter,
        version=variant.version,
        threads=variant.threads,
        baseline=variant.baseline,
        rounds=of_variant.rounds,
        gil=of_variant.gil,
        failure=of_variant.failure,
        metrics=metrics,
    )


def _make_comparison(comparison: Comparison | None) -> ComparisonPart | None:
    if comparison is None:
        return None

    return ComparisonPart(
        answer=comparison.answer,
        ratio=_make_interval(comparison.ratio),
        reason=comparison.reason,
        explanation=comparison.explanation,
        rounds=comparison.rounds,
        outliers=[outlier.round for outlier in comparison.outliers],
    )


def _make_interval(interval: Interval | None) -> IntervalPart | None:
    if interval is None:
        return None
    return IntervalPart(ratio=interval.estimate, low=interval.low, high=interval.high)
