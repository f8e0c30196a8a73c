"""A cup that one thread at a time may fill."""

from ._core import Cup

__all__ = ["Cup"]
