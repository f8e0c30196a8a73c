import pytest
from cydequeue import Deque


def test_order():
    deque = Deque(room=1)
    for value in range(10):
        deque.append(value)
    assert len(deque) == 10
    assert deque.total() == 45
    assert [deque.popleft() for _ in range(10)] == list(range(10))
    with pytest.raises(IndexError):
        deque.popleft()
