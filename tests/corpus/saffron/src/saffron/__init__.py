"""Doubling, natively."""

from saffron._core import twice

__all__ = ["twice"]
