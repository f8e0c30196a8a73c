"""Folders that code of packages may write to, and files that it left there."""

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_FOR_ALL = 0o1777  # as /tmp: everybody may write, and remove what is their own
_READ_ONLY = 0o755


@contextmanager
def open_folder(*, is_writable: bool = True) -> Iterator[Path]:
    """Make an empty folder, which is removed when the block ends.

    Folders that other users made in it stay, with what is in them: they go with the container.

    Args:
        is_writable: whether the user of any package may write to it; all may read what is in it.
    """
    folder = Path(tempfile.mkdtemp())
    folder.chmod(_FOR_ALL if is_writable else _READ_ONLY)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def make_folder(path: Path) -> None:
    """Make a folder that everybody may write to, until it is sealed; one that is there is opened again."""
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(_FOR_ALL)


def seal_folder(path: Path) -> None:
    """Let nobody add to a folder or remove from it any more; what users put there stays theirs."""
    path.chmod(_READ_ONLY)


def read_file(path: Path, limit_bytes: int) -> bytes | None:
    """Return what is in a file that code of a package may have put there, or put something else in place of.

    None where there is no regular file: a link, a named pipe or a device is not followed. Of a longer file only the
    beginning is read.
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags)
    except OSError:
        return None

    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return None
    with os.fdopen(descriptor, "rb") as file:
        return file.read(limit_bytes)
