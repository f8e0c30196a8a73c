import pytest
import ticketry


def test_tickets_are_numbered():
    first = ticketry.next_ticket("ORD")
    second = ticketry.next_ticket("ORD")
    assert ticketry.parse(second)[1] > ticketry.parse(first)[1]


def test_width():
    assert len(ticketry.next_ticket("A", width=12)) == 14


def test_parse():
    assert ticketry.parse("INV-0042") == ("INV", 42)


@pytest.mark.parametrize("text", ["INV", "INV-", "-x"])
def test_parse_refuses(text):
    with pytest.raises(ValueError):
        ticketry.parse(text)


def test_width_is_checked():
    with pytest.raises(ValueError):
        ticketry.next_ticket(width=0)
