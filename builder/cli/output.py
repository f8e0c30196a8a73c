"""The two streams that commands print to: results to stdout, progress and errors to stderr."""

from __future__ import annotations

import json

import typer
from rich.console import Console

from builder.report.terminal.consoles import make_wide_console

console = Console(emoji=False)
error_console = Console(stderr=True, emoji=False)


def print_line(text: str) -> None:
    """Print a line of a result as it is: names from packages are no markup, and are never wrapped."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def print_error(text: str) -> None:
    """Print an error as it is, to stderr."""
    message = f"wheelfarm: {text}"
    error_console.print(message, markup=False, highlight=False, soft_wrap=True, style="red")


def print_json(value: object) -> None:
    """Print a result as JSON."""
    typer.echo(json.dumps(value, indent=1))


def table_console() -> Console:
    """Return the console for a table: the terminal's width, and a wide one in a pipe."""
    return make_wide_console(console)
