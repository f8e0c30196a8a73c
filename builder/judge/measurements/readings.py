"""What was measured round by round -> the values to compare, and the figures to show."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from builder.config.metrics import LATENCY_SHARES, METRICS
from builder.config.thresholds import DEFAULT_THRESHOLD
from builder.judge.measurements.measurement import Measurement
from builder.judge.measurements.quantiles import compute_round_quantiles, pool_quantile

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from builder.config.metrics import Metric
    from builder.config.thresholds import Threshold
    from builder.evidence.measurement import Reading

Round = dict[str, "Reading"]
"""By variant, what it took in one round."""


def list_complete_rounds(rounds: Sequence[Round], variants: Sequence[str]) -> list[Round]:
    """Return the rounds in which every one of some variants was measured."""
    return [readings for readings in rounds if all(name in readings for name in variants)]


def list_metrics(rounds: Sequence[Round]) -> list[Metric]:
    """Return the metrics that readings have, or whose values can be made of them, in the order of the table."""
    names: set[str] = set()
    for readings in rounds:
        for reading in readings.values():
            names.update(reading.metrics)
            if reading.latencies_s:
                names.update(LATENCY_SHARES)

    return [metric for name, metric in METRICS.items() if name in names]


def collect_measurement(
    metric: Metric,
    rounds: Sequence[Round],
    variants: Sequence[str],
    threshold: Threshold = DEFAULT_THRESHOLD,
) -> Measurement | None:
    """Return the values of a metric in rounds that are complete.

    Args:
        metric: what is compared.
        rounds: they have a reading of each variant.
        variants: names of what is compared.
        threshold: how much worse the metric may get.

    Returns:
        None where there are no such values: of a quantile, where all rounds together have too few calls.
    """
    columns = {name: [readings[name] for readings in rounds] for name in variants}
    values: dict[str, tuple[float, ...]] = {}
    for name, readings in columns.items():
        amounts = [reading.metrics.get(metric.name) for reading in readings]
        values[name] = tuple(amount for amount in amounts if amount is not None)

    if all(len(amounts) == len(rounds) for amounts in values.values()):
        return Measurement(metric=metric, values=values, threshold=threshold)
    if metric.name not in LATENCY_SHARES:
        return None

    latencies: dict[str, list[tuple[float, ...]]] = {}
    for name, readings in columns.items():
        latencies[name] = [reading.latencies_s for reading in readings]
    quantiles = compute_round_quantiles(latencies, LATENCY_SHARES[metric.name])
    if quantiles is None:
        return None
    return Measurement(
        metric=metric,
        values=quantiles.values,
        rounds_per_value=quantiles.rounds_per_value,
        threshold=threshold,
    )


def summarize(metric: Metric, rounds: Sequence[Round], variant: str) -> float | None:
    """Return the figure of a variant to show: the median of its rounds, or the quantile of all its calls.

    None where there is none. Where a round has calls enough for a quantile of its own, it is the median of these.
    """
    readings = [readings[variant] for readings in rounds if variant in readings]
    values = [reading.metrics.get(metric.name) for reading in readings]
    amounts = [value for value in values if value is not None]
    if amounts:
        return median(amounts)

    calls = [reading.latencies_s for reading in readings if reading.latencies_s]
    if metric.name in LATENCY_SHARES and calls:
        return pool_quantile(calls, LATENCY_SHARES[metric.name])
    return None


def find_gil_state(rounds: Sequence[Round], variant: str) -> bool | None:
    """Return whether the GIL of a variant was on in the end of any round; None where that is not known."""
    states: Mapping[bool | None, None] = dict.fromkeys(
        readings[variant].gil for readings in rounds if variant in readings
    )
    if True in states:
        return True
    return False if False in states else None
