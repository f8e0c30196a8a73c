import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.judge.measurements.quantiles import (
    compute_quantile,
    compute_round_quantiles,
    pool_quantile,
)

LATENCIES = st.lists(st.floats(min_value=1e-6, max_value=1e3), min_size=2, max_size=60)


@given(LATENCIES, st.integers(min_value=1, max_value=99))
def test_it_is_the_quantile_of_the_standard_library(latencies: list[float], percent: int):
    expected = statistics.quantiles(latencies, n=100, method="inclusive")[percent - 1]
    assert compute_quantile(latencies, percent / 100) == pytest.approx(expected)


@given(LATENCIES, st.randoms(use_true_random=False))
def test_the_order_of_calls_does_not_matter(latencies: list[float], chance: random.Random):
    shuffled = list(latencies)
    chance.shuffle(shuffled)
    assert compute_quantile(shuffled, 0.9) == compute_quantile(latencies, 0.9)


@pytest.mark.parametrize(("latencies", "share"), [([], 0.5), ([1.0], 0.0), ([1.0], 1.0)])
def test_what_has_no_quantile_is_refused(latencies: list[float], share: float):
    with pytest.raises(ValueError, match="expected latencies"):
        compute_quantile(latencies, share)


def test_percentiles_are_pooled_and_never_averaged():
    fast = [1.0] * 99 + [2.0]
    slow = [100.0] * 100
    rounds = [fast, fast, fast, slow]
    assert pool_quantile(rounds, 0.5) == 1.0
    mean_of_medians = statistics.fmean(compute_quantile(calls, 0.5) for calls in rounds)
    assert mean_of_medians == pytest.approx(25.75)


def test_a_round_with_enough_calls_stands_for_itself():
    chance = random.Random(1)
    rounds = [[chance.random() for _ in range(1000)] for _ in range(6)]
    found = compute_round_quantiles({"a": rounds, "b": rounds}, 0.99)
    assert found is not None
    assert found.rounds_per_value == 1
    assert found.values["a"] == tuple(compute_quantile(calls, 0.99) for calls in rounds)


def test_rounds_with_few_calls_are_pooled_alike_for_all_variants():
    many = [[float(call) for call in range(1000)] for _ in range(7)]
    few = [[float(call) for call in range(400)] for _ in range(7)]
    found = compute_round_quantiles({"a": many, "b": few}, 0.99)
    assert found is not None
    assert found.rounds_per_value == 3  # 1,200 calls, of which 12 lie above
    assert {variant: len(values) for variant, values in found.values.items()} == {"a": 2, "b": 2}
    assert found.values["b"][1] == pool_quantile(few[3:6], 0.99)


@pytest.mark.parametrize("rounds", [[], [[]], [[1.0] * 100] * 9, [[1.0] * 2000, []]])
def test_too_few_calls_have_no_p99(rounds: list[list[float]]):
    assert compute_round_quantiles({"a": rounds}, 0.99) is None
