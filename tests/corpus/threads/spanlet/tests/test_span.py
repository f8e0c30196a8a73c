import pytest
from spanlet import Span


def test_span():
    span = Span(2, 5)
    assert len(span) == 3
    assert 4 in span
    assert 5 not in span
    assert span & Span(4, 9) == Span(4, 5)
    assert repr(span.split(3)[1]) == "Span(3, 5)"


def test_order():
    with pytest.raises(ValueError):
        Span(2, 1)
