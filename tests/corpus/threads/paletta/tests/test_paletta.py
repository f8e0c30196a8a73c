import paletta
import pytest


def test_from_hex():
    assert paletta.from_hex("#ff8000") == (255, 128, 0)
    with pytest.raises(ValueError):
        paletta.from_hex("red")


def test_mix():
    assert paletta.mix((0, 0, 0), (200, 100, 50)) == (100, 50, 25)
    assert paletta.mix((0, 0, 0), (200, 100, 50), 0.0) == (0, 0, 0)
