import pytest
from soundclip import Clip


def test_slices():
    clip = Clip(rate=8000)
    clip.silence(0.001)
    clip[2] = -7
    assert len(clip) == 8
    assert clip[:4] == [0, 0, -7, 0]
    assert clip[::-3] == [0, 0, 0]
    assert clip[-6] == -7
    clip.trim(3)
    assert len(clip) == 3


def test_arguments():
    with pytest.raises(ValueError):
        Clip(11025)
    with pytest.raises(IndexError):
        Clip()[0]
