"""The log that a call of cibuildwheel writes: of one that is too long, the beginning and the end are kept.

Compilers print a hundred megabytes of warnings about a large package that builds. Such a build goes on, and one that
prints without end fills no disk: the limit on time ends it.
"""

from __future__ import annotations

import contextlib
import os
import select
import threading
from collections import deque
from typing import IO, TYPE_CHECKING

from builder.jobs.build.log_excerpt import MARKER_BYTES, MARKERS

if TYPE_CHECKING:
    from pathlib import Path

HEAD_BYTES = 24 << 20
"""How much is kept of the beginning of a call's output: several times what its explanation is read from
(log_excerpt.py)."""

TAIL_BYTES = 8 << 20
"""How much is kept of its end, in memory until the call has ended. A failed build has its error there."""

CALL_BYTES = HEAD_BYTES + TAIL_BYTES + (1 << 16)
"""The most that a call writes into the log: both, and the lines between them."""

_CHUNK_BYTES = 64 << 10  # what a pipe holds
_POLL_MS = 500
"""How often it is looked whether the writer was told to end, while nothing is printed."""
_STOP_S = 10
"""How long what was printed before the end may take to arrive. Not measured: it is in a pipe by then."""


class BoundedLog(threading.Thread):
    """Copies what comes out of a pipe to a log, until the pipe is closed at its other end or `close` is called."""

    def __init__(self, log: Path) -> None:
        """Make the pipe; `writer` is the end that a program writes to."""
        super().__init__(name=f"log {log.name}", daemon=True)
        self._log = log
        self._reader, self.writer = os.pipe()
        self._is_closing = threading.Event()
        self._tail: deque[bytes] = deque()
        self._tail_bytes = 0
        self._head_left = HEAD_BYTES
        self._dropped_bytes = 0
        self._build_line = b""
        self._step_line = b""
        self._before = b""

    def close_writer(self) -> None:
        """Close the farm's copy of the end that is written to: the program has its own."""
        os.close(self.writer)

    def close(self) -> None:
        """Wait until all that was printed is in the log.

        What a program prints that outlives the call, as a grandchild may, is not waited for.
        """
        self.join(_STOP_S)
        self._is_closing.set()
        self.join()
        os.close(self._reader)

    def run(self) -> None:
        """Copy."""
        poll = select.poll()
        poll.register(self._reader, select.POLLIN)
        with self._log.open("ab", buffering=0) as log:
            is_last_round = False
            while not is_last_round:
                is_last_round = self._is_closing.is_set()
                if not poll.poll(0 if is_last_round else _POLL_MS):
                    continue
                chunk = os.read(self._reader, _CHUNK_BYTES)
                if not chunk:
                    break
                self._take(chunk, log)

            self._write_rest(log)

    def _take(self, chunk: bytes, log: IO[bytes]) -> None:
        """Write a chunk to the log, or keep it as part of the end."""
        head, tail = chunk[: self._head_left], chunk[self._head_left :]
        if head:
            _write(log, head)
            self._head_left -= len(head)
        if not tail:
            return

        self._tail.append(tail)
        self._tail_bytes += len(tail)
        while self._tail_bytes - len(self._tail[0]) >= TAIL_BYTES:
            self._drop(self._tail.popleft())

    def _drop(self, chunk: bytes) -> None:
        """Leave a chunk out, but for the lines that say which build it is of, and which step."""
        self._tail_bytes -= len(chunk)
        self._dropped_bytes += len(chunk)

        text = self._before + chunk
        for marker in MARKERS.finditer(text):
            start = marker.start() + 1  # of the line, not of the line break before it
            line, _, _ = text[start : start + MARKER_BYTES].partition(b"\n")
            if marker["build"] is not None:
                self._build_line, self._step_line = line, b""
            else:
                self._step_line = line
        self._before = text[-MARKER_BYTES:]

    def _write_rest(self, log: IO[bytes]) -> None:
        """Write the end, and before it how much is missing."""
        if self._dropped_bytes:
            note = f"\n[{self._dropped_bytes} bytes of the log are left out here: it is too long]"
            lines = [note.encode(), self._build_line, self._step_line]
            _write(log, b"\n".join(line for line in lines if line) + b"\n")

        for chunk in self._tail:
            _write(log, chunk)


def _write(log: IO[bytes], data: bytes) -> None:
    """Write to the log. On a full disk nothing is written: who watches the call sees that, and it must not hang."""
    with contextlib.suppress(OSError):
        log.write(data)
