import random

import pytest

from builder.config.metrics import METRICS
from builder.judge.measurements.answers import Answer
from builder.judge.measurements.history import Basis, MeasuredRun, compare_with_record
from builder.judge.measurements.measurement import Measurement


def run(
    machine: str, *, variant: float, speed: float = 1.0, seed: int = 1, rounds: int = 20, name: str = "p50"
) -> MeasuredRun:  # fmt: skip
    chance = random.Random(seed)
    values = {
        "cp313": tuple(speed * chance.lognormvariate(0.0, 0.01) for _ in range(rounds)),
        "cp314": tuple(speed * variant * chance.lognormvariate(0.0, 0.01) for _ in range(rounds)),
    }
    measurement = Measurement(metric=METRICS[name], values=values)
    return MeasuredRun(machine=machine, measurement=measurement, baseline="cp313")


@pytest.mark.parametrize(
    ("now", "answer"), [(1.2, Answer.WORSE), (1.0, Answer.SAME), (0.8, Answer.BETTER)]
)
def test_on_the_same_machine_values_are_compared(now: float, answer: Answer):
    found = compare_with_record(
        run("a", variant=1.0), run("a", variant=now, seed=2), variant="cp314"
    )
    assert (found.answer, found.basis) == (answer, Basis.VALUES)
    assert found.ratio is not None
    assert found.ratio.estimate == pytest.approx(now, rel=0.02)


def test_on_another_machine_only_ratios_are_compared():
    """The other machine takes three times as long for everything, which is no change."""
    record = run("a", variant=1.1)
    same = compare_with_record(record, run("b", variant=1.1, speed=3.0, seed=2), variant="cp314")
    assert (same.answer, same.basis) == (Answer.SAME, Basis.RATIOS)
    worse = compare_with_record(record, run("b", variant=1.3, speed=3.0, seed=2), variant="cp314")
    assert worse.answer is Answer.WORSE


def test_few_rounds_say_nothing():
    found = compare_with_record(
        run("a", variant=1.0, rounds=3), run("a", variant=2.0, rounds=3), variant="cp314"
    )
    assert (found.answer, found.ratio) == (Answer.UNKNOWN, None)


def test_two_metrics_are_not_compared():
    with pytest.raises(ValueError, match="expected two measurements of p50, not one of p99"):
        compare_with_record(
            run("a", variant=1.0), run("a", variant=1.0, name="p99"), variant="cp314"
        )
