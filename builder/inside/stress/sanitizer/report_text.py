"""A sanitizer's report as people read it: what the package did first, the interpreter's part of each stack folded."""

from collections.abc import Iterator

from .attribution import IsOwn
from .frames import show_frame
from .reports import read_sections

_FRAMES_BEYOND = 2  # of the interpreter, after the last one of the package: how it came there
_FRAMES_WITHOUT = 5  # of a stack that has none of the package
_MOST_CHARS = (
    16_000  # of a report; the deepest of the default matrix has 9,000 as the tool writes it
)


def render_report(text: str, is_own: IsOwn) -> str:
    """Return a report with every section that it has, and of the interpreter's frames only the nearest.

    Args:
        text: of one report, as the sanitizer wrote it.
        is_own: whether a frame is the package's.
    """
    lines = list(_iter_lines(text, is_own))
    return "\n".join(lines)[:_MOST_CHARS]


def _iter_lines(text: str, is_own: IsOwn) -> Iterator[str]:
    for title, frames in read_sections(text.splitlines()):
        yield title
        own_places = [index for index, frame in enumerate(frames) if is_own(frame)]
        shown = _FRAMES_WITHOUT
        if own_places:
            shown = max(own_places) + 1 + _FRAMES_BEYOND
        for number, frame in enumerate(frames[:shown]):
            yield f"    #{number} {show_frame(frame)}"
        folded = len(frames) - shown
        if folded > 0:
            yield f"    ... and {folded} more of the interpreter"
