"""Doubling, natively."""

from cobble._core import twice

__all__ = ["twice"]
