"""The simulation behind docs/measurements.md runs, and counts what it says: benchmarks/measurements.py."""

from __future__ import annotations

import random
import statistics

import pytest

from benchmarks import measurements as simulation
from benchmarks.measurements import MACHINES, Machine
from builder.judge.measurements.measurement import Measurement


def log_ratios(machine: Machine, change: float) -> tuple[list[float], list[float]]:
    """Return those of the metric that changes, and of another one."""
    first, other, *_ = simulation.simulate(machine, change, random.Random(1))
    return list_ratios(first), list_ratios(other)


def list_ratios(measurement: Measurement) -> list[float]:
    return measurement.log_ratios("baseline", "variant", simulation.MOST_ROUNDS)


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.name)
def test_only_the_first_metric_changes(machine: Machine):
    first, other = log_ratios(machine, 2.0)
    assert statistics.median(first) == pytest.approx(0.69, abs=0.1)
    assert statistics.median(other) == pytest.approx(0.0, abs=0.1)


def test_noise_is_that_of_the_ratio():
    noise = {machine.name: statistics.stdev(log_ratios(machine, 1.0)[0]) for machine in MACHINES}
    assert noise["quiet"] == pytest.approx(0.01, rel=0.4)
    assert noise["10 % noise"] == pytest.approx(0.1, rel=0.4)
    assert noise["3 %, drifts by 20 %"] == pytest.approx(0.03, rel=0.4)


def test_shapes_grow_as_they_say():
    shapes = simulation.make_shapes()
    chance = random.Random(1)
    assert shapes["flat"](chance)(1.0) == 0.0
    warm_up = shapes["warm-up of 30 %"](chance)
    assert warm_up(0.1) < warm_up(0.3) == warm_up(1.0)
    logarithm = shapes["fragmentation like log(t)"](chance)
    assert logarithm(1.0) - logarithm(0.9) < logarithm(0.2) - logarithm(0.1)


def test_a_leak_is_counted_in_standard_deviations_of_the_noise():
    samples = list(simulation.simulate_series(lambda _: 0.0, 50.0, random.Random(1)))
    assert len(samples) == simulation.SAMPLES
    assert samples[-1].value == pytest.approx(50_000, rel=0.2)
    differences = [
        later.value - earlier.value
        for earlier, later in zip(samples[::400], samples[200::400], strict=False)
    ]
    assert statistics.median(differences) == pytest.approx(50_000 * 200 / 3600, rel=0.6)


def test_a_small_run_prints_its_tables(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(simulation, "SAMPLES", 480)
    monkeypatch.setattr(simulation, "LEAK_SIZES", (50.0,))
    simulation.count_comparisons(len(MACHINES))
    simulation.count_leaks(len(simulation.make_shapes()))
    lines = capsys.readouterr().out.splitlines()
    assert "8 % slower | quiet | 1 | 100.00 % | 0.00 % | 0.00 % | 14" in lines
    assert "equal | quiet | 1 | 0.00 % | 0.00 % | 100.00 % | 14" in lines
    assert "flat | 1 | 0.00 % | 100.00 %" in lines
