"""The part of a build's log that its failure is read from, however large the log is and however long its lines are.

A package decides what its log has in it. What is not bounded here would be searched by patterns for minutes, while no
other thread of the farm runs.
"""

from __future__ import annotations

import re
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

FIRST_BYTES = 64 << 10
"""How much is kept of a call's beginning, where cibuildwheel says what it starts. That takes about 2 KiB."""

HEAD_BYTES = 2 << 20
"""How much is kept of the beginning of the last build, where it is configured. The largest log of a build of the
default matrix has 73 KB in all."""

TAIL_BYTES = 2 << 20
"""How much is kept of the end, where a build that stops at its first error has it."""

LINE_LIMIT = 4000
"""Characters of a line: paths have 4,096 bytes at most, and no error is longer in a report than 300 characters. The
longest line of a log of the default matrix has 1,944."""

WHOLE_BYTES = FIRST_BYTES + HEAD_BYTES + TAIL_BYTES
"""Logs up to this size are read as a whole."""

_STAGES = (
    "Setting up build environment",
    "Running before_all",
    "Building wheel",
    "Repairing wheel",
    "Copying project into container",
)

BUILD_START = re.compile(r"^Building (\w+)-manylinux", re.MULTILINE)
"""Where cibuildwheel begins to build for an ABI, such as `Building cp314-manylinux_x86_64 wheel`."""

STAGE_START = re.compile(rf"^({'|'.join(_STAGES)})\.\.\.", re.MULTILINE)
"""Where cibuildwheel begins a step of a build, in its own words."""

MARKERS = re.compile(
    rb"\n(?:(?P<build>Building \w{1,80}-manylinux)|(?:%s)\.\.\.)" % "|".join(_STAGES).encode()
)
"""What has to be known of a log, wherever it is in it: the beginnings of builds and of their steps."""

MARKER_BYTES = 200  # more than any of them has
_CHUNK_BYTES = 1 << 20

_LONG_LINE = re.compile(rf"^([^\n]{{{LINE_LIMIT}}})[^\n]+", re.MULTILINE)


def read_log(log: Path, start: int = 0, end: int | None = None) -> str:
    """Return what a call of cibuildwheel printed, or the parts of it that explain it where it printed more than fits.

    Those are its beginning, the beginning of the last build, the line with which its last step began, and its end.
    Lines between them say how much is left out. A line is cut after `LINE_LIMIT` characters.

    Args:
        log: the job's log.
        start: the byte of the log at which the output of the call begins.
        end: the byte after its last; None for the end of the log.
    """
    with log.open("rb") as file:
        size = file.seek(0, 2)
        end = size if end is None else min(end, size)
        start = min(start, end)

        ranges = [(start, end)]
        if end - start > WHOLE_BYTES:
            ranges = _choose_ranges(file, start, end)

        texts: list[str] = []
        last_end = start
        for range_start, range_end in ranges:
            if range_start > last_end:
                texts.append(f"\n[{range_start - last_end} bytes of the log are left out here]\n")
            file.seek(range_start)
            texts.append(file.read(range_end - range_start).decode(errors="replace"))
            last_end = range_end

    return cut_lines("".join(texts))


def cut_lines(text: str) -> str:
    """Return a text whose lines have `LINE_LIMIT` characters at most: the rest of longer ones is gone."""
    return _LONG_LINE.sub(r"\1", text)


def _choose_ranges(file: IO[bytes], start: int, end: int) -> list[tuple[int, int]]:
    """Return which bytes of a large log to read, as (first, one after the last), in order and without overlap.

    Args:
        file: the log.
        start: the byte at which the output of the call begins.
        end: the byte after its last.
    """
    build_start, stage_start = _find_last_markers(file, start, end)
    wanted = sorted(
        (
            (start, start + FIRST_BYTES),
            (build_start, build_start + HEAD_BYTES),
            (stage_start, stage_start + MARKER_BYTES),
            (end - TAIL_BYTES, end),
        )
    )
    return list(_join_ranges(wanted))


def _find_last_markers(file: IO[bytes], start: int, end: int) -> tuple[int, int]:
    """Return at which bytes of a log the last build began, and its last step; the start of the call where none did."""
    build_start = stage_start = start
    for offset, chunk in _iter_chunks(file, start, end):
        for marker in MARKERS.finditer(chunk):
            # Of the line, not of the line break before it.
            position = offset + marker.start() + 1
            stage_start = position
            if marker["build"] is not None:
                build_start = position

    return build_start, stage_start


def _iter_chunks(file: IO[bytes], start: int, end: int) -> Iterator[tuple[int, bytes]]:
    """Iterate over a part of a file as (where a chunk begins, the chunk). Chunks overlap by more than a marker has."""
    position = start
    while position < end:
        file.seek(position)
        yield position, file.read(min(_CHUNK_BYTES, end - position))
        position += _CHUNK_BYTES - MARKER_BYTES


def _join_ranges(ranges: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Iterate over ranges, sorted by their beginnings, with those joined that meet or overlap."""
    joined_start, joined_end = 0, 0
    for range_start, range_end in ranges:
        if range_start > joined_end:
            if joined_end > joined_start:
                yield joined_start, joined_end
            joined_start, joined_end = range_start, range_end
        joined_end = max(joined_end, range_end)

    yield joined_start, joined_end
