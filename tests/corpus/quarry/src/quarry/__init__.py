"""Doubling, natively."""

from quarry._core import twice

__all__ = ["twice"]
