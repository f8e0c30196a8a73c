"""The call in progress, noted where another process can read it after the end of the one that makes it."""

import contextlib
import json
import mmap
import os
from pathlib import Path

from ...supervise.folders import read_file

_MAPPED_BYTES = 4096  # one page of the file: what is in it outlives the process
_ENTRY_BYTES = 4000  # a longer call is cut, and then cannot be read back


class Journal:
    """A file that has the text of the call in progress.

    It is mapped into memory: a write is no system call, and nothing is lost when the process crashes.
    """

    def __init__(self, path: str) -> None:
        handle = os.open(path, os.O_RDWR | os.O_CREAT)
        os.truncate(handle, _MAPPED_BYTES)
        self._map = mmap.mmap(handle, _MAPPED_BYTES)
        self._count = 0

    def write(self, text: str) -> None:
        """Note a call, as text, before it is made."""
        self._count += 1  # so that the same call, made again, makes another entry
        entry = json.dumps([self._count, text])[:_ENTRY_BYTES]
        self._map[:_ENTRY_BYTES] = entry.encode().ljust(_ENTRY_BYTES)


def read_entry(path: Path) -> bytes:
    """Return the newest entry of a journal as bytes; empty where the file does not exist yet."""
    return read_file(path, _ENTRY_BYTES) or b""


def read_last_call(path: Path) -> str | None:
    """Return the text of the call that was in progress last; None where there is none, or its entry was cut."""
    # No file, no entry in it, or one too long to be complete JSON.
    with contextlib.suppress(OSError, ValueError, IndexError):
        return str(json.loads(read_entry(path).rstrip(b"\0 "))[1])
    return None
