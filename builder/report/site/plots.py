"""Plots of measurements as SVG in a page: the interval of a ratio, and a trend. Coordinates alone; templates draw.

They have no text: the table says the same in figures.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from builder.config.metrics import METRICS
from builder.config.thresholds import parse_threshold

if TYPE_CHECKING:
    from collections.abc import Sequence

    from builder.report.documents.measurements import MetricPart, ScenarioPart

WIDTH = 160
HEIGHT = 18
"""Of a plot in a row of a table, in the units of its drawing."""

_MARGIN = 4
_LEAST_REACH = math.log(1.2)
"""A plot reaches to 20 % on either side at least: noise of 1 % is not to look like much."""
_MOST_REACH = math.log(8)
"""And to 8 times at most; what lies beyond is drawn at the edge."""


@dataclass(frozen=True, kw_only=True, slots=True)
class IntervalPlot:
    """Where the parts of the plot of a ratio are, from the left.

    Attributes:
        middle: the ratio 1.
        band: where the band begins in which nothing is called a change, and its width.
        line: where the interval begins and ends.
        point: the ratio.
    """

    middle: float
    band: tuple[float, float]
    line: tuple[float, float]
    point: float


def find_reach(scenario: ScenarioPart) -> float:
    """Return how far the plots of a scenario reach on either side of 1, as a logarithm: all have one scale."""
    reach = _LEAST_REACH
    for variant in scenario.variants:
        for metric in variant.metrics:
            if metric.comparison is not None and metric.comparison.ratio is not None:
                reach = max(reach, abs(math.log(metric.comparison.ratio.ratio)) * 1.2)

    return min(reach, _MOST_REACH)


def plot_interval(metric: MetricPart, reach: float) -> IntervalPlot | None:
    """Return the plot of what a metric is beside its baseline; None where it has no interval.

    Args:
        metric: what is plotted.
        reach: see `find_reach`.
    """
    comparison = metric.comparison
    if comparison is None or comparison.ratio is None:
        return None

    limit = parse_threshold(metric.threshold).log_limit(METRICS[metric.name].direction)
    band_begin, band_end = _place(-limit, reach), _place(limit, reach)
    ratio = comparison.ratio
    return IntervalPlot(
        middle=_place(0.0, reach),
        band=(band_begin, round(band_end - band_begin, 1)),
        line=(_place(math.log(ratio.low), reach), _place(math.log(ratio.high), reach)),
        point=_place(math.log(ratio.ratio), reach),
    )


def _place(log_ratio: float, reach: float) -> float:
    """Return where the logarithm of a ratio is drawn, from the left."""
    inside = max(-reach, min(reach, log_ratio))
    half = WIDTH / 2 - _MARGIN
    return round(WIDTH / 2 + half * inside / reach, 1)


def plot_trend(values: Sequence[float]) -> str:
    """Return the points of a line through the values, the oldest on the left; empty for fewer than two.

    Its bottom is half of the largest value: a tenth is seen, and noise of a hundredth is not.
    """
    if len(values) < 2:  # noqa: PLR2004 - a line has two ends
        return ""

    most = max(values) or 1.0
    step = (WIDTH - 2 * _MARGIN) / (len(values) - 1)
    points: list[str] = []
    for place, value in enumerate(values):
        share = max(0.0, 2 * value / most - 1)
        height = HEIGHT - 2 - (HEIGHT - 4) * share
        points.append(f"{_MARGIN + step * place:.1f},{height:.1f}")

    return " ".join(points)
