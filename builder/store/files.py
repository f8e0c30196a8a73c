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

if TYPE_CHECKING:
    from collections.abc import Iterator


def file_sha256(path: Path) -> str:
    """Return a file's sha256 in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def atomic_write(target: Path) -> Iterator[Path]:
    """Give a temporary path beside `target`, and rename it there when the block succeeds.

    The content is on the disk before the name is: evidence that names a file is never recorded of one that a power cut
    left empty (docs/recovery.md).
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    os.close(handle)
    aside = target.parent / name
    try:
        yield aside
        aside.chmod(0o644)
        _flush_to_disk(aside)
        aside.replace(target)
    finally:
        aside.unlink(missing_ok=True)


def _flush_to_disk(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def replace_text(target: Path, text: str) -> None:
    """Make a file hold a text: replaced whole, and not touched where it holds it already."""
    if target.exists() and target.read_text(encoding="utf-8", errors="replace") == text:
        return

    with atomic_write(target) as aside:
        aside.write_text(text, encoding="utf-8", errors="replace")


@contextlib.contextmanager
def translate_disk_full(place: Path | str) -> Iterator[None]:
    """Say that the disk is full where that is why something failed.

    Args:
        place: what it is full for.

    Raises:
        NoSpaceError: it is.
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
