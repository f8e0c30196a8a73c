"""Amounts of metrics as people read them."""

from __future__ import annotations

_SECOND_UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))
_BYTE_UNITS = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))


def show_amount(value: float, unit: str) -> str:
    """Return an amount with three digits: `12.3 ms`, `48.1 MiB`, `812 /s`.

    Args:
        value: the amount.
        unit: `s`, `B` or `1/s`.
    """
    if unit == "1/s":
        return f"{_show_digits(value)} /s"

    units = _SECOND_UNITS if unit == "s" else _BYTE_UNITS
    for size, name in units:
        if value >= size:
            return f"{_show_digits(value / size)} {name}"
    return f"{_show_digits(value)} {unit}"


def _show_digits(value: float) -> str:
    """Return a number with three digits, and all of those before the point."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"  # noqa: PLR2004 - three digits


def show_change(ratio: float) -> str:
    """Return a ratio as a change: `+8.1 %`, `-12 %`, and from twice as much on `2.4 times`."""
    if ratio >= 2:  # noqa: PLR2004 - twice
        return f"{ratio:.3g} times"
    percent = (ratio - 1) * 100
    return f"{percent:+.1f} %" if abs(percent) < 10 else f"{percent:+.0f} %"  # noqa: PLR2004
