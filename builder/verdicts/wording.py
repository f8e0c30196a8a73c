"""Phrases that reports, findings and messages share."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def join_names(names: Sequence[str], most: int) -> str:
    """Return names for a sentence: all of them, or the first few with the count of the others.

    Args:
        names: the names, the most important first.
        most: how many to list.
    """
    listed = ", ".join(names[:most])
    hidden = len(names) - most
    if hidden <= 0:
        return listed

    return f"{listed} and {hidden} more"
