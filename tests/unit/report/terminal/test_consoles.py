"""What reaches a terminal, or the log of a CI system, is text: it neither steers nor commands."""

from __future__ import annotations

import io
from typing import Literal

import pytest
from rich.table import Table
from rich.text import Text

from builder.report.terminal.consoles import GuardedStream, SafeConsole, print_table

ATTACKS = {
    "a link": "\x1b]8;;https://bad.invalid\x1b\\click\x1b]8;;\x1b\\",
    "the title": "\x1b]0;you are safe\x07",
    "clearing the screen": "\x1b[2J\x1b[H",
    "overwriting the line": "failed\rpassed",
    "the bell": "\a",
    "C1 controls": "\x9b31m \x9d0;x\x9c",
    "half a pair": "\udcff",
    "bidirectional": "\u202egnp.exe\u2066",
    "nothing to see": "a\u200b\ufeff\U000e0041",
    "markup": "[link=https://bad.invalid]click[/link] [/bold] [blink]",
    "emoji": ":pile_of_poo:",
}


STYLES = ("\x1b[1m", "\x1b[31m", "\x1b[0m")
"""The control codes of rich's own that are printed below."""


def print_all(text: str, color_system: Literal["truecolor"] | None) -> str:
    """Return what a console writes of a text in every way that the reports use."""
    stream = io.StringIO()
    console = SafeConsole(
        file=stream, width=300, force_terminal=color_system is not None, color_system=color_system
    )
    table = Table(text, "plain")
    table.add_row(text, Text(text, style="bold"))
    console.print(text)
    console.print(Text(text, style="red"), soft_wrap=True)
    console.print(table)

    return stream.getvalue()


@pytest.mark.parametrize("color_system", [None, "truecolor"], ids=["pipe", "terminal"])
@pytest.mark.parametrize("name", ATTACKS)
def test_no_text_steers_the_terminal(name: str, color_system: Literal["truecolor"] | None) -> None:
    printed = print_all(ATTACKS[name], color_system)
    for style in STYLES:
        printed = printed.replace(style, "")

    assert all(line.isprintable() for line in printed.split("\n")), ascii(printed)


def test_what_looks_like_markup_is_printed_as_it_is() -> None:
    assert ATTACKS["markup"] in print_all(ATTACKS["markup"], "truecolor")


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("::add-mask::secret\n", "\\::add-mask::secret\n"),
        ("fine\n  ::set-output name=x::y\n", "fine\n\\  ::set-output name=x::y\n"),
        ("\n\n\t::stop-commands::x", "\n\n\\\t::stop-commands::x"),
        ("a ##[add-mask]b", "a #\\#[add-mask]b"),
        ("##vso[task.setvariable]x", "#\\#vso[task.setvariable]x"),
        ("a::b std::vector #[ ## x [", "a::b std::vector #[ ## x ["),
    ],
)
def test_no_line_is_a_command_to_a_ci_system(text: str, written: str) -> None:
    stream = io.StringIO()

    GuardedStream(stream).write(text)

    assert stream.getvalue() == written


def test_a_console_writes_through_a_guarded_stream() -> None:
    stream = io.StringIO()
    console = SafeConsole(file=GuardedStream(stream), width=80)

    console.print("x " * 39 + "::error::wrapped to the beginning of a line")
    console.print(Text("::add-mask::x", style="red"))

    lines = stream.getvalue().splitlines()
    assert lines[1:] == ["\\::error::wrapped to the beginning of a line", "\\::add-mask::x"]


def make_table() -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("package", no_wrap=True)
    table.add_column("what is to be done", overflow="fold")
    for name in ("short", "a-package-with-a-very-long-name" * 2):
        table.add_row(name, Text("compile it, and then wait for a while until that has ended"))
    return table


@pytest.mark.parametrize("width", [20, 60, 200])
@pytest.mark.parametrize("is_terminal", [True, False])
def test_no_column_of_a_table_is_cut_or_left_out(width: int, is_terminal: bool):  # noqa: FBT001 - a parameter
    file = io.StringIO()
    print_table(SafeConsole(file=file, width=width, force_terminal=is_terminal), make_table())
    text = Text.from_ansi(file.getvalue()).plain
    assert "a-package-with-a-very-long-name" * 2 in text
    words = " ".join(text.split())
    for word in ("what is to be done", "compile", "ended"):
        assert word in words
