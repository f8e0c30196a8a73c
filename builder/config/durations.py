"""Durations as a person writes them: `7 days`, `36 hours`, or in ISO 8601 as `P7D`, as pip and uv take them."""

from __future__ import annotations

import datetime
import re

_UNITS = {
    "minute": datetime.timedelta(minutes=1),
    "hour": datetime.timedelta(hours=1),
    "day": datetime.timedelta(days=1),
    "week": datetime.timedelta(weeks=1),
}
"""Months and years have no fixed length; uv takes none either."""

_WORDS = re.compile(r"(\d{1,6})\s*(minute|hour|day|week)s?", re.ASCII)
_ISO = re.compile(
    r"P(?=[\dT])(?:(?P<week>\d{1,6})W)?(?:(?P<day>\d{1,6})D)?"
    r"(?:T(?=\d)(?:(?P<hour>\d{1,6})H)?(?:(?P<minute>\d{1,6})M)?)?",
    re.ASCII,
)
_MAX = datetime.timedelta(days=3650)
"""Ten years: beyond that it is a slip, and dates before the first of the calendar would follow."""


def parse_duration(value: object) -> datetime.timedelta:
    """Return a duration: `7 days` -> 7 days, `P1DT12H` -> 36 hours.

    Raises:
        ValueError: it is none; the text says how to write one.
    """
    duration = _parse(value) if isinstance(value, str) else None
    if duration is None:
        raise ValueError(
            f"expected a duration such as '7 days', '36 hours' or 'P7D', not {value!r}"
        )
    if duration > _MAX:
        raise ValueError(f"expected at most 3650 days, not {value!r}")
    return duration


def _parse(text: str) -> datetime.timedelta | None:
    words = _WORDS.fullmatch(text.strip())
    if words is not None:
        return int(words[1]) * _UNITS[words[2]]

    iso = _ISO.fullmatch(text.strip())
    if iso is None:
        return None
    parts = [int(iso[name] or 0) * unit for name, unit in _UNITS.items()]
    return sum(parts, start=datetime.timedelta())
