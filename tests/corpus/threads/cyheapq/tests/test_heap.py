import random

import cyheapq
import pytest


def test_order():
    heap = cyheapq.Heap(1)
    values = random.sample(range(1000), 100)
    for value in values:
        heap.push(value, -value)
    assert [heap.pop() for _ in values] == [(float(value), -value) for value in sorted(values)]


def test_empty():
    with pytest.raises(IndexError):
        cyheapq.Heap().pop()
