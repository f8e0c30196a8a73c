import datetime

import pytest

from builder.config.durations import parse_duration


@pytest.mark.parametrize(
    ("text", "hours"),
    [
        ("7 days", 168),
        ("1 day", 24),
        ("36 hours", 36),
        ("2 weeks", 336),
        ("0 days", 0),
        ("P7D", 168),
        ("P1W", 168),
        ("PT24H", 24),
        ("P1DT12H", 36),
        ("PT0H", 0),
    ],
)
def test_what_pip_and_uv_take(text: str, hours: int):
    assert parse_duration(text) == datetime.timedelta(hours=hours)


@pytest.mark.parametrize(
    "text",
    ["", "7", 7, "P", "PT", "P1M", "1 month", "P-1D", "-1 days", "2026-01-01", "7 days ago", "\u0667 days", True, None],
)  # fmt: skip
def test_anything_else_is_a_mistake_that_shows_how_to_write_it(text: object):
    with pytest.raises(ValueError, match="'7 days'"):
        parse_duration(text)


def test_what_is_longer_than_any_cool_down_is_a_slip():
    with pytest.raises(ValueError, match="at most 3650 days"):
        parse_duration("999999 weeks")
