"""Machine code of a shared library, by where it is in memory (ELF-64, "Program Header")."""

from __future__ import annotations

import os
import struct
from pathlib import Path

_HEADER_BYTES = 64
_MAGIC = b"\x7fELF\x02\x01"  # of 64 bits, the lowest byte first
_TABLE = struct.Struct(
    "<32xQ14xHH"
)  # where program headers begin, how large each is, how many there are
_SEGMENT = struct.Struct(
    "<II3QQ"
)  # type, flags, offset in the file, address, another address, bytes in the file
_LOADED = 1  # PT_LOAD
_MOST_SEGMENTS = 100  # linkers make a dozen


def read_code(path: Path, address: int, size: int) -> bytes:
    """Return what is at an address of a library, as it is in its file; less than asked for where there is no more.

    Args:
        path: of the library; nothing is returned of one that is not there, or is none.
        address: relative to where the library is put in memory.
        size: how many bytes.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # it may be a pipe by now
    except OSError:
        return b""
    try:
        return _read(descriptor, address, size)
    except (OSError, struct.error):
        return b""
    finally:
        os.close(descriptor)


def _read(descriptor: int, address: int, size: int) -> bytes:
    """Return what is at an address, of an open file.

    Raises:
        OSError: it cannot be read.
        struct.error: it ends before it should.
    """
    header = os.pread(descriptor, _HEADER_BYTES, 0)
    if not header.startswith(_MAGIC):
        return b""

    table, entry_bytes, count = _TABLE.unpack_from(header)
    for number in range(min(count, _MOST_SEGMENTS)):
        entry = os.pread(descriptor, _SEGMENT.size, table + number * entry_bytes)
        kind, _, offset, start, _, length = _SEGMENT.unpack(entry)
        if kind == _LOADED and start <= address < start + length:
            rest = start + length - address
            return os.pread(descriptor, min(size, rest), offset + address - start)

    return b""
