"""The newest measurement of an application, and those before it -> what is said of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from builder.judge.measurements.answers import Answer
from builder.judge.measurements.scenario import judge_measurement
from builder.judge.measurements.trend import compare_with_earlier, list_figures, name_machine

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from builder.evidence.measurement import MeasurementFacts
    from builder.judge.measurements.scenario import JudgedScenario
    from builder.judge.measurements.trend import FigureKey, MetricChange

_MOST_IN_TREND = 20
"""Measurements that a trend goes back: three weeks of nights."""


@dataclass(frozen=True, kw_only=True, slots=True)
class JudgedMeasurement:
    """What is said of a measurement of an application.

    Attributes:
        application: its name in the matrix.
        base: what it was measured on.
        facts: what was measured.
        scenarios: what is said of each.
        earlier: when the measurement was that it is compared with; empty for none.
        changes: what changed since then.
        trends: by scenario, variant and metric, what it came to on this machine, the oldest first.
    """

    application: str
    base: str
    facts: MeasurementFacts
    scenarios: tuple[JudgedScenario, ...]
    earlier: str = ""
    changes: tuple[MetricChange, ...] = ()
    trends: Mapping[FigureKey, tuple[float, ...]] = field(default_factory=dict)

    @property
    def has_worse(self) -> bool:
        """Whether anything is worse than its baseline, or than in the earlier measurement."""
        changes = [change.change.answer for change in self.changes]
        return Answer.WORSE in {*self._list_answers(), *changes}

    @property
    def has_answer(self) -> bool:
        """Whether anything is said of any metric at all."""
        return bool(set(self._list_answers()) - {Answer.UNKNOWN})

    def _list_answers(self) -> list[Answer]:
        answers: list[Answer] = []
        for scenario in self.scenarios:
            answers += [comparison.answer for comparison in scenario.comparisons]

        return answers


def judge_with_history(
    application: str,
    base: str,
    history: Sequence[MeasurementFacts],
    record: MeasurementFacts | None,
) -> JudgedMeasurement:
    """Return what is said of the newest measurement of an application.

    Args:
        application: its name.
        base: what it was measured on.
        history: its measurements on this base, the newest last.
        record: the earlier one that it is compared with; None for none.
    """
    *_, newest = history
    machine = name_machine(newest)
    comparable = [facts for facts in history if name_machine(facts) == machine]

    trends: dict[FigureKey, list[float]] = {}
    for facts in comparable[-_MOST_IN_TREND:]:
        for key, figure in list_figures(facts).items():
            trends.setdefault(key, []).append(figure)

    return JudgedMeasurement(
        application=application,
        base=base,
        facts=newest,
        scenarios=judge_measurement(newest),
        earlier="" if record is None else record.moment,
        changes=() if record is None else compare_with_earlier(record, newest),
        trends={key: tuple(figures) for key, figures in trends.items()},
    )
