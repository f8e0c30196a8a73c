"""Zip archives from outside: their directory is bounded before it is read, and judged before any member is.

`zipfile` makes an object of some hundred bytes for each entry of the directory as soon as it opens an archive, however
many there are: 60 MB of a file become gigabytes of memory.
"""

from __future__ import annotations

import io
import zipfile
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

MOST_MEMBERS = 100_000
"""As in builder/inside/audit/wheelfile.py, which calls a wheel with more a bomb; three times what large ones have."""
MOST_UNPACKED_BYTES = 4 << 30
"""What the farm unpacks of one wheel on its own machine; the largest have 3 GiB. Not measured."""

_MOST_ENTRIES = 150_000
"""More than that is not even opened, to be called a bomb: each takes 600 bytes and its name."""

_ENTRY_MARK = b"PK\x01\x02"
"""How each entry of a directory begins (APPNOTE.TXT, 4.3.12)."""

_ENCRYPTED = 1  # the bit of a member's flags
_DIRECTORY_BYTES = 16 << 20  # 100,000 members with names of 100 characters
_BOMB_BYTES = 256 << 20  # these two as in wheelfile.py
_BOMB_RATIO = 100
_USUAL_COMPRESSION = frozenset(
    {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
)  # others may ask for any memory


class _BoundedFile:
    """A file that gives no large pieces: the only one that zipfile asks for is the directory."""

    def __init__(self, file: IO[bytes] | io.RawIOBase) -> None:
        self._file = file
        self.seek = file.seek
        self.tell = file.tell
        self.seekable = file.seekable
        self.close = file.close

    def read(self, size: int = -1) -> bytes:
        """Return so many bytes, or what is left of the file.

        Raises:
            zipfile.BadZipFile: that is more than a directory may have.
        """
        is_rest = size < 0
        wanted = _DIRECTORY_BYTES + 1 if is_rest else min(size, _DIRECTORY_BYTES + 1)
        content = self._file.read(wanted) or b""
        if len(content) > _DIRECTORY_BYTES:
            raise zipfile.BadZipFile(f"its directory has more than {_DIRECTORY_BYTES >> 20} MiB")
        # Before zipfile makes an object of each.
        if content.count(_ENTRY_MARK) > _MOST_ENTRIES:
            raise zipfile.BadZipFile(f"it has more than {_MOST_ENTRIES} members")
        return content


@contextmanager
def open_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    """Return a context with an archive whose directory has a bounded size.

    Raises:
        zipfile.BadZipFile: it is no archive, or its directory is too large.
        OSError: the file cannot be read.
        ValueError: its directory makes no sense.
    """
    with path.open("rb") as file, open_zip_file(file) as archive:
        yield archive


def open_zip_file(file: IO[bytes] | io.RawIOBase) -> zipfile.ZipFile:
    """Return an archive whose directory has a bounded size, to be used as a context manager.

    Args:
        file: the archive, open.

    Raises:
        zipfile.BadZipFile: as for `open_zip`.
        OSError: as for `open_zip`.
        ValueError: as for `open_zip`.
    """
    return zipfile.ZipFile(_BoundedFile(file))


def open_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> IO[bytes]:
    """Return the content of a member, to be read in pieces: no piece takes more memory than is asked for.

    zipfile undoes bzip2 and LZMA without a bound on what comes out.

    Raises:
        zipfile.BadZipFile: it is damaged, encrypted, or compressed in a way that wheels are not.
    """
    if member.flag_bits & _ENCRYPTED:
        raise zipfile.BadZipFile(f"{member.filename!a} is encrypted")
    if member.compress_type not in _USUAL_COMPRESSION:
        raise zipfile.BadZipFile(
            f"{member.filename!a} is compressed by method {member.compress_type}"
        )
    return archive.open(member)


def explain_bomb(archive: zipfile.ZipFile, members: Sequence[zipfile.ZipInfo], size: int) -> str:
    """Return why the members of an archive are not to be unpacked on this machine, to be read after `it`.

    Empty where they may be. zipfile gives no more of a member than the directory states, so what is judged here is all
    that there can be.

    Args:
        archive: the archive.
        members: those that would be unpacked.
        size: of the archive's file, in bytes.
    """
    unpacked = sum(member.file_size for member in members)
    packed = sum(member.compress_size for member in archive.infolist())

    if len(archive.infolist()) > MOST_MEMBERS:
        return f"has more than {MOST_MEMBERS} members"
    if unpacked > MOST_UNPACKED_BYTES:
        return f"unpacks to more than {MOST_UNPACKED_BYTES >> 30} GiB"
    if unpacked > _BOMB_BYTES and unpacked > _BOMB_RATIO * size:
        return f"has {size} bytes and unpacks to {unpacked}"
    if packed > size:
        return "has members that share their bytes"
    # Before the beginning, or so far after the end that no file can be read there.
    if not all(0 <= member.header_offset < size for member in members):
        return "has members outside of its file"
    if any(member.compress_type not in _USUAL_COMPRESSION for member in members):
        return "is compressed in a way that wheels are not"

    return ""
