"""Doubling, natively."""

from gravel._core import twice

__all__ = ["twice"]
