import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.judge.measurements.projections import (
    center,
    estimate_memory,
    find_direction,
    multiply,
    student_quantile,
)

VALUES = st.lists(st.integers(min_value=-50, max_value=50), min_size=6, max_size=6)


@pytest.mark.parametrize(
    ("chance", "freedom", "quantile"),
    [
        (0.995, 3, 5.841), (0.995, 10, 3.169), (0.995, 30, 2.750),
        (0.999, 5, 5.893), (0.999, 30, 3.385), (0.9995, 10, 4.587),
    ],
)  # fmt: skip
def test_quantiles_are_those_of_printed_tables(chance: float, freedom: float, quantile: float):
    assert student_quantile(chance, freedom) == pytest.approx(quantile, rel=0.01)


@given(VALUES, VALUES)
def test_a_direction_is_at_right_angles_to_the_others(one: list[int], other: list[int]):
    first = find_direction(center(one), [])
    if first is None:
        assert len(set(one)) == 1
        return
    second = find_direction(center(other), [first[0]])
    if second is not None:
        assert multiply(first[0], second[0]) == pytest.approx(0.0, abs=1e-6)
        assert multiply(second[0], second[0]) == pytest.approx(1.0)


def test_nothing_is_left_of_a_multiple():
    first = find_direction([1.0, 2.0, -3.0], [])
    assert first is not None
    assert find_direction([2.0, 4.0, -6.0], [first[0]]) is None


def test_memory_is_seen_where_there_is_some():
    assert estimate_memory([0.0] * 9) == 0.0
    assert estimate_memory([1.0, -1.0] * 16) == 0.0
    assert estimate_memory([1.0] * 16 + [-1.0] * 16) == 0.95
