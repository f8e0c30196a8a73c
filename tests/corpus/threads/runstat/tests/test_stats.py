import math
import statistics

import pytest
import runstat
from hypothesis import given
from hypothesis import strategies as st

numbers = st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=40)


@given(numbers)
def test_as_the_statistics_module(values):
    stats = runstat.Stats()
    stats.extend(values)
    assert stats.count == len(values)
    assert math.isclose(stats.mean, statistics.fmean(values), rel_tol=1e-6, abs_tol=1e-3)
    assert math.isclose(stats.variance(ddof=1), statistics.variance(values), rel_tol=1e-6, abs_tol=1e-3)
    assert stats.range == (min(values), max(values))


def test_nothing_pushed():
    stats = runstat.Stats()
    assert stats.mean is None
    with pytest.raises(ValueError):
        stats.variance()


def test_not_finite():
    with pytest.raises(ValueError):
        runstat.Stats().push(math.inf)
