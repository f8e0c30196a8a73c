from fixedacc import Accumulator
from hypothesis import given
from hypothesis import strategies as st


@given(st.lists(st.integers(0, 2**64 - 1), max_size=30))
def test_as_int(numbers):
    total = Accumulator()
    for number in numbers:
        total += number
    assert int(total) == sum(numbers)
    assert str(total) == str(sum(numbers))
    assert bool(total) == any(numbers)
