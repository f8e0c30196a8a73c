"""A tar archive of an sdist as `tarfile` sees it: read forwards, with bounds on memory and on what it unpacks to.

`tarfile` reads headers of any size into memory, and matches patterns over them whose time grows with the square.
"""

from __future__ import annotations

import bz2
import lzma
import re
import zlib
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_CHUNK_BYTES = 1 << 16

_MAX_HEADER_BYTES = 1 << 16
"""Largest header: it holds a path and a few short values (POSIX.1-2001, pax)."""

_MAX_HEADERS_BYTES = 1 << 18
"""Most bytes of headers before one member: maps of sparse files and names may be in several."""

_MAX_DIGITS = re.compile(rb"[0-9]{256}")
"""`tarfile` looks for numbers in headers by a pattern that is quadratic in their digits (CVE-2024-6232)."""

_BOMB_BYTES = 256 << 20
_BOMB_RATIO = 100
"""What unpacks to more than `_BOMB_BYTES` and `_BOMB_RATIO` times its size is a bomb; code packs to a third or less."""

_XZ_MEMORY_BYTES = 96 << 20
"""Memory that unpacking xz may take: its strongest usual level needs 65 MiB, and its format allows 4 GiB."""

_MAX_STREAMS = 1000
"""Compressed streams in a file, one after the other: `cat` makes two of two."""


class BadTarError(ValueError):
    """An archive has headers that no sdist has, or unpacks to more than the farm takes."""


class _Zlib:
    """A decoder of gzip data, as those of `bz2` and `lzma` are."""

    def __init__(self) -> None:
        self._decoder = zlib.decompressobj(wbits=31)

    @property
    def eof(self) -> bool:
        return self._decoder.eof

    @property
    def unused_data(self) -> bytes:
        return self._decoder.unused_data

    @property
    def needs_input(self) -> bool:
        return not self._decoder.unconsumed_tail and not self._decoder.eof

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._decoder.decompress(self._decoder.unconsumed_tail + data, max_length)


_Decoder = _Zlib | bz2.BZ2Decompressor | lzma.LZMADecompressor


def _make_xz_decoder() -> lzma.LZMADecompressor:
    return lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=_XZ_MEMORY_BYTES)


_DECODERS: tuple[tuple[bytes, Callable[[], _Decoder]], ...] = (
    (b"\x1f\x8b", _Zlib),
    (b"BZh", bz2.BZ2Decompressor),
    (b"\xfd7zXZ\0", _make_xz_decoder),
)
"""By the first bytes of a file, how it is compressed."""


class TarBytes:
    """The bytes of a tar archive, for `tarfile.open(fileobj=…, mode="r:")`.

    Attributes:
        in_content: whether the content of a member is read now, and not headers.
    """

    def __init__(self, file: IO[bytes], size_bytes: int, limit_bytes: int) -> None:
        """Begin at the start of an archive.

        Args:
            file: the archive, open; compressed by gzip, bzip2 or xz, or not at all.
            size_bytes: its size.
            limit_bytes: most that it may unpack to.
        """
        self.in_content = False
        self._file = file
        self._limit_bytes = min(limit_bytes, max(_BOMB_BYTES, size_bytes * _BOMB_RATIO))
        self._position = 0
        self._header_room = _MAX_HEADERS_BYTES
        self._streams = 1

        magic = file.read(8)
        file.seek(0)
        self._make_decoder: Callable[[], _Decoder] | None = None
        for start, make_decoder in _DECODERS:
            if magic.startswith(start):
                self._make_decoder = make_decoder
        self._decoder = self._make_decoder() if self._make_decoder else None
        self._rest = b""

    def begin_member(self) -> None:
        """Allow headers again: the one that comes next is another member's."""
        self.in_content = False
        self._header_room = _MAX_HEADERS_BYTES

    def tell(self) -> int:
        """Return the position in the unpacked archive."""
        return self._position

    def seek(self, position: int) -> int:
        """Skip to a position that is not before this one.

        Raises:
            BadTarError: it is before, or the archive unpacks to too much on the way.
        """
        if position < self._position:
            raise BadTarError("its members overlap")
        if position > self._limit_bytes:
            raise self._too_much()
        while self._position < position:
            if not self._take(min(_CHUNK_BYTES, position - self._position)):
                break
        return self._position

    def read(self, size: int = -1) -> bytes:
        """Return at most `size` bytes.

        Raises:
            BadTarError: these are headers, and too large, or the archive unpacks to too much.
        """
        if not self.in_content:
            self._header_room -= size
            if not 0 <= size <= _MAX_HEADER_BYTES or self._header_room < 0:
                raise BadTarError(f"it has headers of more than {_MAX_HEADER_BYTES >> 10} KiB")

        pieces = []
        missing = size
        while missing > 0:
            piece = self._take(min(_CHUNK_BYTES, missing))
            if not piece:
                break
            pieces.append(piece)
            missing -= len(piece)

        content = b"".join(pieces)
        if not self.in_content and _MAX_DIGITS.search(content):
            raise BadTarError("it has a header with a number of hundreds of digits")
        return content

    def _take(self, size: int) -> bytes:
        """Return some of the next bytes, at most `size`; none at the end."""
        content = self._file.read(size) if self._decoder is None else self._decode(size)
        self._position += len(content)
        if self._position > self._limit_bytes:
            raise self._too_much()
        return content

    def _decode(self, size: int) -> bytes:
        assert self._decoder is not None
        while True:
            if self._decoder.eof and not self._begin_stream():
                return b""

            data = b""
            if self._decoder.needs_input:
                data = self._rest or self._file.read(_CHUNK_BYTES)
                self._rest = b""
                if not data:
                    raise EOFError("its compressed data ends in the middle")
            content = self._decoder.decompress(data, size)
            if content:
                return content

    def _begin_stream(self) -> bool:
        """Go on with another compressed stream after one that ended; False where there is none."""
        assert self._decoder is not None
        assert self._make_decoder is not None
        rest = self._decoder.unused_data or self._file.read(_CHUNK_BYTES)
        is_padding = not rest.strip(b"\0")
        if is_padding or self._streams == _MAX_STREAMS:
            return False

        self._streams += 1
        self._rest = rest
        self._decoder = self._make_decoder()
        return True

    def _too_much(self) -> BadTarError:
        return BadTarError(f"it unpacks to more than {self._limit_bytes >> 20} MiB")
