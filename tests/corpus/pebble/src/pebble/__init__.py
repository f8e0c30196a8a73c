"""Doubling, natively."""

from pebble._core import twice

__all__ = ["twice"]
