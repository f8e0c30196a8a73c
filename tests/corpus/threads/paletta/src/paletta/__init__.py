"""Colours, and files of colours."""

from paletta._colour import from_hex, mix

__all__ = ["from_hex", "mix", "save"]


def save(colours, path):
    """Write colours as a swatch file."""
    from paletta import _swatch

    with open(path, "wb") as file:
        file.write(_swatch.encode(list(colours)))
