import lrukit
import pytest


def test_the_oldest_goes():
    cache = lrukit.Cache(2)
    cache["a"] = 1
    cache["b"] = 2
    assert cache["a"] == 1
    cache["c"] = 3
    assert len(cache) == 2
    with pytest.raises(KeyError):
        cache["b"]
    assert cache.peek_oldest() == "a"
    del cache["a"]
    assert cache.peek_oldest() == "c"


def test_keys_are_str():
    with pytest.raises(TypeError):
        lrukit.Cache()[1] = 2
