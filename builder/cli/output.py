"""The two streams that commands print to: results to stdout, progress and errors to stderr."""

from __future__ import annotations

import io
import sys
import traceback
from typing import TYPE_CHECKING, TextIO, cast

import typer

from builder.report.terminal.consoles import GuardedStream, SafeConsole, make_wide_console
from builder.untrusted.text import clean_text

if TYPE_CHECKING:
    from pydantic import BaseModel
    from rich.console import Console

console = SafeConsole()
error_console = SafeConsole(stderr=True)


def guard_streams() -> None:
    """Let what the process prints be safe to show, and let who follows a log see each line as it is printed.

    Characters that a stream cannot encode are printed as their escapes. Where the output is no terminal but, perhaps,
    the log of a CI system, no line of it is a command to that system.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(line_buffering=True, errors="backslashreplace")

    if not sys.stdout.isatty():
        sys.stdout = cast("TextIO", GuardedStream(sys.stdout))
    if not sys.stderr.isatty():
        sys.stderr = cast("TextIO", GuardedStream(sys.stderr))


def print_line(text: str) -> None:
    """Print a line of a result; it is never wrapped."""
    console.print(text, soft_wrap=True)


def print_error(text: str) -> None:
    """Print an error to stderr."""
    error_console.print(f"wheelfarm: {text}", soft_wrap=True, style="red")


def print_exception() -> None:
    """Print the exception that is being handled to stderr, with its traceback."""
    error_console.print(clean_text(traceback.format_exc()), soft_wrap=True)


def print_document(record: BaseModel, *, indent: int | None = 1) -> None:
    """Print what a command prints with `--json`, of which docs/COMMAND.schema.json is the schema."""
    print_json_text(record.model_dump_json(indent=indent, by_alias=True))


def print_json_text(text: str) -> None:
    """Print JSON. `##`, with which commands to a CI system begin, is written so that no such command is in it."""
    typer.echo(text.replace("##", r"#\u0023"))


def table_console() -> Console:
    """Return the console for a table: the terminal's width, and a wide one in a pipe."""
    return make_wide_console(console)
