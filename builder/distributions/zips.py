"""Zip archives from outside, read within bounds: their directory, and members by the methods that wheels have."""

from __future__ import annotations

import io
import zipfile
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

MAX_MEMBERS = 50_000
"""Members of an archive. The largest known packages have some ten thousand."""

_MAX_READ_BYTES = 16 << 20
"""Most that is read at a time: the directory, which is read as a whole. One of 50,000 members has about 8 MiB."""

_ENTRY_MARK = b"PK\x01\x02"
"""How each entry of the directory begins (APPNOTE.TXT, 4.3.12)."""

_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
"""What pip's and every other installer unpack. `zipfile` undoes bzip2 and LZMA without a bound on what comes out."""

_ENCRYPTED = 1  # the bit of a member's flags


class BadZipError(ValueError):
    """An archive has more members than the farm takes, or such as no wheel has."""


class _BoundedFile(io.RawIOBase):
    """A file for `zipfile`, which reads the directory in one piece, of whatever size the archive states."""

    def __init__(self, file: IO[bytes] | io.RawIOBase) -> None:
        self._file = file

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer)
        content = self.read(len(view))
        view[: len(content)] = content
        return len(content)

    def read(self, size: int | None = -1) -> bytes:
        wanted = _MAX_READ_BYTES + 1 if size is None or size < 0 else size
        if wanted > _MAX_READ_BYTES + 1:
            raise BadZipError(f"its directory has more than {_MAX_READ_BYTES >> 20} MiB")

        content = self._file.read(wanted) or b""
        if len(content) > _MAX_READ_BYTES:
            raise BadZipError(f"its directory has more than {_MAX_READ_BYTES >> 20} MiB")
        # Before zipfile makes an object of each.
        if content.count(_ENTRY_MARK) > MAX_MEMBERS:
            raise BadZipError(f"it has more than {MAX_MEMBERS} members")
        return content


def open_zip(file: IO[bytes] | io.RawIOBase) -> zipfile.ZipFile:
    """Return an archive, to be used as a context manager.

    Args:
        file: the archive, open; it stays open when the archive is closed.

    Raises:
        BadZipError: its directory is too large.
        zipfile.BadZipFile: it is no archive.
    """
    return zipfile.ZipFile(_BoundedFile(file))


def open_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> IO[bytes]:
    """Return the content of a member, to be read in pieces.

    Raises:
        BadZipError: it is encrypted, or compressed in a way that no wheel has.
    """
    if info.flag_bits & _ENCRYPTED:
        raise BadZipError(f"{info.filename!a} is encrypted")
    if info.compress_type not in _METHODS:
        raise BadZipError(f"{info.filename!a} is compressed by method {info.compress_type}")
    return archive.open(info)
