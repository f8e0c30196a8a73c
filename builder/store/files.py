"""Files that are never seen half-written, and their hashes."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import sqlite3
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from builder.errors import NoSpaceError
from builder.untrusted.names import Sha256

if TYPE_CHECKING:
    from collections.abc import Iterator


def file_sha256(path: Path) -> Sha256:
    """Return a file's sha256 in hexadecimal."""
    with path.open("rb") as file:
        return Sha256(hashlib.file_digest(file, "sha256").hexdigest())


_MAX_PREFIX = 60
"""Characters of a file's name in that of its temporary file: a name of 255 bytes has no room for more."""


@contextlib.contextmanager
def atomic_write(target: Path) -> Iterator[Path]:
    """Give a temporary path beside `target`, and rename it to `target` when the block ends without an exception.

    So nobody sees a file that is half written. The content reaches the disk before the rename does: otherwise a power
    cut could leave an empty file that evidence already names (docs/recovery.md).
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name[:_MAX_PREFIX]}.")
    os.close(handle)
    temporary_path = target.parent / name
    try:
        yield temporary_path
        temporary_path.chmod(0o644)
        flush_to_disk(temporary_path)
        temporary_path.replace(target)
    finally:
        temporary_path.unlink(missing_ok=True)


def flush_to_disk(path: Path) -> None:
    """Have the content of a file on the disk before anything names it: a power cut empties what is only in memory."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def replace_text(target: Path, text: str) -> None:
    """Make a file hold a text. It is replaced as a whole; one that holds the text already is not touched."""
    if target.exists() and target.read_text(encoding="utf-8", errors="replace") == text:
        return

    with atomic_write(target) as temporary_path:
        temporary_path.write_text(text, encoding="utf-8", errors="replace")


@contextlib.contextmanager
def translate_disk_full(place: Path | str) -> Iterator[None]:
    """Raise NoSpaceError in place of an error of the block that means a full disk or a reached quota.

    Other errors pass unchanged.

    Args:
        place: the path that was written to, for the message.

    Raises:
        NoSpaceError: the disk is full.
    """
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise NoSpaceError(place) from error
        raise
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_FULL:
            raise NoSpaceError(place) from error
        raise
