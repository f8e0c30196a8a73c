"""Doubling, natively."""

from harbor._core import twice

__all__ = ["twice"]
