import pytest
import spanbuf


def test_write_and_take():
    buffer = spanbuf.Buffer()
    assert buffer.write("abc") == 3
    buffer.write(b"d" * 100)
    assert len(buffer) == 103
    assert buffer.find(ord("d")) == 3
    assert buffer.take() == b"abc" + b"d" * 100
    assert buffer.take() == b""


def test_find():
    buffer = spanbuf.Buffer()
    assert buffer.find(0) == -1
    with pytest.raises(ValueError):
        buffer.find(256)
