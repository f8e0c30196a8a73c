"""Compute once, remember by name."""

from memoir._memo import Memo

__all__ = ["Memo", "shared"]

shared = Memo()
