"""The door to the terminal: what is printed steers neither the terminal nor the CI system that shows the output."""

from __future__ import annotations

import re
from typing import IO, TYPE_CHECKING, Any

from rich.console import Console
from rich.measure import Measurement
from rich.segment import Segment

from builder.untrusted.text import clean_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import ConsoleOptions, RenderableType
    from rich.table import Column, Table

_MIN_WIDTH = 160
"""Columns where the output is no terminal: rich would take 80, and break lines that somebody may search."""

_MIN_PROSE_WIDTH = 24
"""Columns that a cell of words gets at least: narrower, it is read word by word."""

_ANY_WIDTH = 100_000

_CI_COMMAND = re.compile(r"^(?=[^\S\n]*::)|(?<=#)(?=#\w*\[)", re.MULTILINE)
"""Where a command to a CI system begins that a line of output can give: `::add-mask::` and `##[group]` of GitHub,
`##vso[` of Azure, `##teamcity[`. The first counts at the beginning of a line, the others anywhere."""

_LONGEST_ESCAPE = 10  # characters of one character's escape: `\U000e0041`


class SafeConsole(Console):
    """A console on which nothing that is printed is markup, and no control character reaches the terminal.

    Styles are given by `Text` and `style`, and by rich's own control codes.
    """

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - rich's own
        """Make a console.

        Args:
            options: rich's, such as `file` and `width`.
        """
        super().__init__(emoji=False, markup=False, highlight=False, **options)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Render as rich does, with characters that cannot be seen as their escapes."""
        for segment in super().render(renderable, options):
            text = segment.text
            if segment.control or text == "\n" or (text.isascii() and text.isprintable()):
                yield segment
            else:
                yield Segment(clean_text(text, len(text) * _LONGEST_ESCAPE), segment.style)


class GuardedStream:
    """A stream of text that passes on everything but commands to a CI system: a backslash is put into them."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write a text. A line that it begins with counts as a whole one."""
        return self._stream.write(_CI_COMMAND.sub(r"\\", text))

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - of the stream
        return getattr(self._stream, name)


def print_table(console: Console, table: Table) -> None:
    """Print a table whole: rich leaves columns out where they do not fit.

    Where it is wider than the terminal its lines are as long as they have to be; the terminal breaks or scrolls them.

    Args:
        console: where to print; as wide as it has to be where it is no terminal.
        table: its columns with `no_wrap` are never broken, cut or left out, the others are broken between words.
    """
    wide = make_wide_console(console)
    for column in table.columns:
        column.min_width = _least_width(wide, column)

    options = wide.options.update(width=_ANY_WIDTH)
    needed = Measurement.get(wide, options, table).minimum
    if needed > wide.width:
        wide = SafeConsole(
            file=wide.file,
            width=needed,
            force_terminal=wide.is_terminal,
            color_system=wide.color_system,
            no_color=wide.no_color,
        )
    wide.print(table)


def _least_width(console: Console, column: Column) -> int:
    """Return the least width of a column in which its cells can be read."""
    options = console.options.update(width=_ANY_WIDTH)
    measured = [Measurement.get(console, options, cell) for cell in (column.header, *column.cells)]
    most = max(measurement.maximum for measurement in measured)
    return most if column.no_wrap else min(most, _MIN_PROSE_WIDTH)


def make_wide_console(console: Console) -> Console:
    """Return the given console if it is a terminal; otherwise one that is so wide that it hardly ever breaks a line."""
    if console.is_terminal:
        return console

    return SafeConsole(width=max(console.width, _MIN_WIDTH), file=console.file)
