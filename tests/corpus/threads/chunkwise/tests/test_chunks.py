import operator

import chunkwise
import pytest
from hypothesis import given
from hypothesis import strategies as st


@given(st.binary(max_size=200), st.integers(1, 50))
def test_together_again(data, size):
    pieces = list(chunkwise.chunks(data, size))
    assert b"".join(pieces) == data
    assert len(pieces) == chunkwise.count(data, size)


def test_hint():
    it = chunkwise.chunks(b"abcdef", size=4)
    assert operator.length_hint(it) == 2
    next(it)
    assert operator.length_hint(it) == 1


def test_size():
    with pytest.raises(ValueError):
        chunkwise.chunks(b"", 0)
