"""Which stores of a package ever changed what was there, as images/stores.c notes it in a file of all processes."""

from __future__ import annotations

import os
import struct
import tempfile
from dataclasses import dataclass
from pathlib import Path

VARIABLE = "WHEELFARM_STORES"
"""Environment variable that names the file."""

_SLOT = struct.Struct("<QII")  # key, what was seen, nothing
_SLOTS = 32768
_PROBES = 32
_LEFT, _CHANGED = 1, 2
_MULTIPLIER = 0x9E3779B97F4A7C15
_SHIFT = 49  # leaves as many bits of 64 as a slot's number has
_FNV_START, _FNV_PRIME = 2166136261, 16777619
_FOR_ALL = 0o666
_READ_ONLY = 0o755


@dataclass(frozen=True, slots=True)
class Stores:
    """The file in which stores are noted.

    Attributes:
        path: of the file.
    """

    path: str

    @classmethod
    def create(cls) -> Stores:
        """Make an empty file that the user of any process may write to, in a folder that none may."""
        folder = Path(tempfile.mkdtemp())
        folder.chmod(_READ_ONLY)
        path = folder / "stores"
        path.write_bytes(bytes(_SLOTS * _SLOT.size))
        path.chmod(_FOR_ALL)
        return cls(str(path))

    def is_unchanging(self, module: str, offset: int) -> bool:
        """Return whether a store was made, and left what was there each time.

        Args:
            module: file name of the shared library.
            offset: of the store in it, as a report's frame has it.
        """
        key = (_hash_name(module) << 32) | offset
        first = (key * _MULTIPLIER & 0xFFFFFFFFFFFFFFFF) >> _SHIFT
        with open(self.path, "rb") as file:  # noqa: PTH123 - it is read in parts
            for probe in range(_PROBES):
                place = (first + probe) % _SLOTS * _SLOT.size
                found, seen, _ = _SLOT.unpack(os.pread(file.fileno(), _SLOT.size, place))
                if found == key:
                    return bool(seen == _LEFT)
                if not found:
                    break

        return False


def _hash_name(name: str) -> int:
    """Return the hash of a name by which images/stores.c knows a library: FNV-1a, of 32 bits."""
    value = _FNV_START
    for byte in os.fsencode(name):
        value = (value ^ byte) * _FNV_PRIME & 0xFFFFFFFF

    return value
