"""Doubling, natively."""

from thicket._core import twice

__all__ = ["twice"]
