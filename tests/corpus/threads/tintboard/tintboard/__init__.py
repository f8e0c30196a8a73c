"""Boards of tints, one byte a field, that are read from small files."""

import zlib

from . import _raster

__all__ = ["Board", "read"]


class Board:
    """A board; `read` makes one."""

    def __init__(self, raster, /):
        if type(raster).__name__ != "Raster":
            raise TypeError("a Board is made by tintboard.read()")
        self._raster = raster

    def fill(self, tint):
        """Give all fields a tint, 0 to 255."""
        self._raster.fill(tint)

    def resize(self, width, height):
        """Make the board smaller or larger; what is new has the tint 0."""
        if not (0 < width <= 512 and 0 < height <= 512):
            raise ValueError("a board has 1 to 512 columns and rows")
        self._raster.resize(width * height)

    def total(self):
        """Return the sum of all tints."""
        return self._raster.total()

    def write(self):
        """Return the board as a file has it."""
        tints = self._raster.tints()
        return b"TINT" + zlib.crc32(tints).to_bytes(4) + tints


def read(content):
    """Return the board that a file has."""
    tints = content[8:]
    if content[:4] != b"TINT" or zlib.crc32(tints) != int.from_bytes(content[4:8]):
        raise ValueError("this is no file of a board")
    return Board(_raster.make(tints))
