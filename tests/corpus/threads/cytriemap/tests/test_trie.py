import cytriemap
import pytest
from hypothesis import given
from hypothesis import strategies as st


@given(st.dictionaries(st.binary(max_size=8), st.integers(-1000, 1000), max_size=30))
def test_as_a_dict(content):
    trie = cytriemap.Trie()
    for key, value in content.items():
        assert trie.insert(key, value)
    assert len(trie) == len(content)
    assert all(trie[key] == value for key, value in content.items())


def test_prefix():
    trie = cytriemap.Trie()
    trie.insert(b"un", 1)
    trie.insert(b"under", 2)
    assert trie.longest_prefix(b"understand") == 5
    assert trie.longest_prefix(b"unit") == 2
    assert trie.longest_prefix(b"over") == -1
    with pytest.raises(KeyError):
        trie[b"und"]
