"""Doubling, natively."""

from meadow._core import twice

__all__ = ["twice"]
