import pytest
from tapelog import Tape


def test_records():
    tape = Tape(1)
    records = [b"x" * n for n in range(40)]
    assert [tape.append(record) for record in records] == list(range(40))
    assert [tape[number] for number in range(len(tape))] == records
    tape.rewind()
    with pytest.raises(IndexError):
        tape[0]


def test_too_long():
    with pytest.raises(ValueError):
        Tape().append(bytes(65536))
