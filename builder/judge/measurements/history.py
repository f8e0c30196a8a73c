"""A measurement and an earlier one -> whether the metric changed in between.

Values of two machines are never compared. Their ratios are: both were taken in pairs, each on its own machine.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from builder.judge.measurements.answers import Answer
from builder.judge.measurements.intervals import Interval, estimate_shift
from builder.judge.measurements.sample import answer_interval

if TYPE_CHECKING:
    from builder.judge.measurements.measurement import Measurement


_ERROR = 0.01
"""How likely a metric is called worse or better although it did not change that much: 1 in 100, for it is asked of each
metric in each run."""


class Basis(StrEnum):
    """What of two measurements was compared."""

    VALUES = "values on the same machine"
    RATIOS = "ratios to the baseline on either machine"


@dataclass(frozen=True, kw_only=True, slots=True)
class MeasuredRun:
    """A measurement, and where it was made.

    Attributes:
        machine: what names the machine: the same text only where nothing that matters for speed differs.
        measurement: one metric of all variants.
        baseline: the variant that others are compared with.
    """

    machine: str
    measurement: Measurement
    baseline: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """What became of a metric since an earlier measurement.

    Attributes:
        answer: what is said.
        basis: what was compared.
        ratio: now by then, and its interval; None where there are too few rounds.
    """

    answer: Answer
    basis: Basis
    ratio: Interval | None


def compare_with_record(
    record: MeasuredRun, run: MeasuredRun, variant: str, *, error: float = _ERROR
) -> Change:
    """Return what became of a variant's metric since it was recorded.

    On the same machine that is told by the values, on another one by the ratios to the baseline. Rounds of two runs are
    no pairs, so the interval is that for two samples, and wider. What changed between two runs for all of their rounds
    is in the difference: a change of the variant alone is told by `decide`.

    Args:
        record: the earlier measurement.
        run: the later one, of the same metric; its threshold counts.
        variant: a variant of both.
        error: how likely "worse" or "better" may be wrong.

    Raises:
        ValueError: a value is not above 0, or they are of different metrics.
    """
    if record.measurement.metric.name != run.measurement.metric.name:
        raise ValueError(
            f"expected two measurements of {record.measurement.metric.name},"
            f" not one of {run.measurement.metric.name}"
        )

    basis = Basis.VALUES if record.machine == run.machine else Basis.RATIOS
    before = _list_logarithms(record, variant, basis)
    after = _list_logarithms(run, variant, basis)
    shift = estimate_shift(before, after, error / 2)
    if shift is None:
        return Change(answer=Answer.UNKNOWN, basis=basis, ratio=None)

    answer = answer_interval(shift, run.measurement.log_limit, run.measurement.metric.direction)
    return Change(answer=answer, basis=basis, ratio=shift.map(math.exp))


def _list_logarithms(run: MeasuredRun, variant: str, basis: Basis) -> list[float]:
    values = run.measurement.values[variant]
    if basis is Basis.VALUES:
        return [math.log(value) for value in values]

    rounds = len(values) * run.measurement.rounds_per_value
    return run.measurement.log_ratios(run.baseline, variant, rounds)
