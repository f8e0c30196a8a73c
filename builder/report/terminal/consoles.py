"""The door to the terminal: what is printed steers neither the terminal nor the CI system that shows the output."""

from __future__ import annotations

import re
from typing import IO, TYPE_CHECKING, Any

from rich.console import Console
from rich.segment import Segment

from builder.untrusted.text import clean_text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import ConsoleOptions, RenderableType

_MIN_WIDTH = 160
"""Columns where the output is no terminal: rich would take 80, and break lines that somebody may search."""

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


def make_wide_console(console: Console) -> Console:
    """Return the given console if it is a terminal; otherwise one that is so wide that it hardly ever breaks a line."""
    if console.is_terminal:
        return console

    return SafeConsole(width=max(console.width, _MIN_WIDTH), file=console.file)
