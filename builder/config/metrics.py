"""What `wheelfarm measure` measures: the metrics, their units, and which way each gets better."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from builder.config.thresholds import Direction

MetricName = Literal[
    "p50",
    "p75",
    "p95",
    "p99",
    "throughput",
    "cpu",
    "import",
    "start",
    "rss",
    "rss_peak",
    "duration",
]
"""The metrics by the names that scenarios and evidence have for them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Metric:
    """Something that is measured once a round.

    Attributes:
        name: `p99`, as scenarios write it.
        title: for sentences: `99th percentile of the latency`.
        unit: `s`, `B`, `1/s`.
        direction: which way it gets better.
    """

    name: MetricName
    title: str
    unit: str
    direction: Direction = Direction.LESS


_ALL = (
    Metric(name="p50", title="median latency", unit="s"),
    Metric(name="p75", title="75th percentile of the latency", unit="s"),
    Metric(name="p95", title="95th percentile of the latency", unit="s"),
    Metric(name="p99", title="99th percentile of the latency", unit="s"),
    Metric(name="throughput", title="throughput", unit="1/s", direction=Direction.MORE),
    Metric(name="duration", title="duration of the command", unit="s"),
    Metric(name="cpu", title="CPU time of a call", unit="s"),
    Metric(name="import", title="import time", unit="s"),
    Metric(name="start", title="time to the first answer", unit="s"),
    Metric(name="rss", title="memory in the end", unit="B"),
    Metric(name="rss_peak", title="peak memory", unit="B"),
)

METRICS: dict[str, Metric] = {metric.name: metric for metric in _ALL}
"""By name, in the order in which people are shown them."""

LATENCY_SHARES: dict[str, float] = {"p50": 0.50, "p75": 0.75, "p95": 0.95, "p99": 0.99}
"""The quantiles of latencies: by metric, the share of calls that take no longer."""
