import itertools
import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.judge.measurements.intervals import (
    MAX_PAIRS,
    PairAverages,
    count_least_pairs,
    estimate_shift,
)

VALUES = st.lists(st.floats(min_value=-5, max_value=5), min_size=8, max_size=30)


def test_the_rank_is_that_of_printed_tables():
    """With ten values, the signed ranks may sum up to 8 at 2.5 % a side: the ninth average bounds the interval."""
    values = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.5, 8.0, 9.0, 11.0]
    averages = sorted(
        (one + other) / 2 for one, other in itertools.combinations_with_replacement(values, 2)
    )
    found = PairAverages.of(values).interval(0.025)
    assert found is not None
    assert (found.low, found.high) == (averages[8], averages[-9])
    assert found.estimate == statistics.median(averages)


def test_five_values_are_too_few_for_a_fortieth_and_six_are_not():
    assert PairAverages.of([1.0] * 5).interval(0.025) is None
    assert PairAverages.of([1.0] * 6).interval(0.025) is not None
    assert count_least_pairs(0.025) == 6
    assert PairAverages.of([]).interval(0.4) is None


def test_the_interval_misses_as_rarely_as_it_says():
    """Of all signs that six values can have, one in 64 puts the interval above the centre."""
    sizes = (1.0, 2.0, 3.5, 5.0, 8.0, 13.0)
    misses = 0
    for signs in itertools.product((-1, 1), repeat=6):
        found = PairAverages.of([sign * size for sign, size in zip(signs, sizes, strict=True)])
        interval = found.interval(1 / 64)
        assert interval is not None
        misses += interval.low > 0
    assert misses == 1


def test_too_many_values_are_refused():
    with pytest.raises(ValueError, match="expected at most 200 pairs, not 201"):
        PairAverages.of([0.0] * (MAX_PAIRS + 1)).interval(0.01)


@given(VALUES, st.floats(min_value=-3, max_value=3))
def test_a_shift_moves_the_interval(values: list[float], shift: float):
    found = PairAverages.of(values).interval(0.01)
    moved = PairAverages.of([value + shift for value in values]).interval(0.01)
    assert found is not None
    assert moved is not None
    assert moved.low == pytest.approx(found.low + shift)
    assert moved.high == pytest.approx(found.high + shift)


@given(VALUES)
def test_turning_the_signs_turns_the_interval(values: list[float]):
    found = PairAverages.of(values).interval(0.01)
    turned = PairAverages.of([-value for value in values]).interval(0.01)
    assert found is not None
    assert turned is not None
    assert turned.low == pytest.approx(-found.high)
    assert turned.estimate == pytest.approx(-found.estimate)


def test_a_third_of_the_values_moves_an_interval_by_little():
    chance = random.Random(3)
    values = [chance.gauss(0.0, 0.01) for _ in range(24)]
    wild = [5.0] * 4 + values[4:]
    found = PairAverages.of(wild).interval(0.01)
    assert found is not None
    assert abs(found.estimate) < 0.02


def test_two_samples_are_shifted_by_the_median_of_their_differences():
    before = [float(value) for value in range(20)]
    after = [value + 3 for value in before]
    found = estimate_shift(before, after, 0.025)
    assert found is not None
    assert found.estimate == 3.0
    # 20 and 20 values: the 128th of 400 differences, by the tables of the rank-sum test.
    assert found.low == sorted(b - a for b in after for a in before)[127]
    assert estimate_shift([1.0, 2.0], [3.0, 4.0], 0.005) is None
