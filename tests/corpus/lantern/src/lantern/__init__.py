"""Doubling, natively."""

from lantern._core import twice

__all__ = ["twice"]
