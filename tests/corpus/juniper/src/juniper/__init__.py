"""Doubling, natively."""

from juniper._core import twice

__all__ = ["twice"]
