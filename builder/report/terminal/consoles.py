"""The console that tables are printed to."""

from __future__ import annotations

from rich.console import Console

_MIN_WIDTH = 160
"""Columns where the output is no terminal: rich would take 80, and break lines that somebody may search."""


def make_wide_console(console: Console) -> Console:
    """Return the given console if it is a terminal; otherwise one that is so wide that it hardly ever breaks a line."""
    if console.is_terminal:
        return console

    return Console(width=max(console.width, _MIN_WIDTH), file=console.file, emoji=False)
