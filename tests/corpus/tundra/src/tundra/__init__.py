"""Doubling, natively."""

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from tundra._core import twice

__all__ = ["twice"]
