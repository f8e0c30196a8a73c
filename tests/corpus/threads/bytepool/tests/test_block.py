import bytepool
import pytest


def test_views_hold_the_block():
    block = bytepool.Block(4)
    with memoryview(block) as view:
        view[1] = 7
        with pytest.raises(BufferError):
            block.resize(8)
    block.resize(6)
    assert bytes(block) == b"\0\7\0\0\0\0"


def test_fill():
    block = bytepool.Block(3)
    block.fill(65)
    assert bytes(block) == b"AAA"
    with pytest.raises(ValueError):
        block.fill(256)
