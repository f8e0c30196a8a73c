"""The bytes of a 64-bit little-endian ELF file: its headers, and where in it the byte of an address is.

Layouts: System V gABI. Whatever bytes are given, `ElfError` is the only exception.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import mmap

MAGIC = b"\x7fELF"
MACHINES = {
    3: "i386", 20: "ppc", 21: "ppc64", 22: "s390x", 40: "arm", 62: "x86_64", 183: "aarch64", 243: "riscv",
    258: "loongarch",
}  # fmt: skip
"""Names of `e_machine` values."""
SHARED_OBJECT = 3
"""`e_type` of shared objects, and of executables that load anywhere."""

# Names and numbers as in elf.h.
_HEADER_BYTES = 64
_ELFCLASS32, _ELFCLASS64 = 1, 2
_ELFDATA2LSB, _ELFDATA2MSB = 1, 2

PT_LOAD, PT_DYNAMIC, PT_INTERP, PT_NOTE = 1, 2, 3, 4
PT_GNU_STACK, PT_GNU_RELRO = 0x6474E551, 0x6474E552
PF_X = 1

_SEGMENT = "<IIQQQQQQ"
_SECTION = "<IIQQQQ"

_DEBUG_SECTIONS = (".debug_info", ".zdebug_info")  # `.z…`: as older GNU tools compress it

_LONGEST_NAME = 65_536
"""Bytes of a name: a damaged file may have one without end, and no package has one that long."""


class ElfError(Exception):
    """The bytes are not a 64-bit little-endian ELF file, or are damaged."""


@dataclass(frozen=True)
class Segment:
    """One program header."""

    kind: int
    flags: int
    offset: int
    address: int
    size: int


class ElfFile:
    """One ELF file, read from a buffer that stays open."""

    def __init__(self, data: bytes | mmap.mmap) -> None:
        """Read the ELF header; everything else is read when it is asked for.

        Raises:
            ElfError: it is not a 64-bit little-endian ELF file.
        """
        self._data = data
        self._check_identity()

        # The fields of Elf64_Ehdr from e_type on, in their order.
        header = struct.unpack_from("<HHIQQQIHHHHHH", data, 16)
        self.kind = header[0]
        self.machine = MACHINES.get(header[1], f"machine {header[1]}")
        self._segments_at = header[4]
        self._sections_at = header[5]
        self._segment_size, self._segment_count = header[8:10]
        self._section_size, self._section_count, self._section_names = header[10:]

    def _check_identity(self) -> None:
        """Check that the file begins with the header of a 64-bit little-endian ELF file.

        Raises:
            ElfError: it does not; the text says what the file is instead.
        """
        if self._data[:4] != MAGIC:
            raise ElfError("it is not an ELF file")
        if len(self._data) < _HEADER_BYTES:
            raise ElfError("the ELF header is cut short")

        file_class, encoding = self._data[4], self._data[5]
        if file_class != _ELFCLASS64 or encoding != _ELFDATA2LSB:
            bits = "32" if file_class == _ELFCLASS32 else "64"
            order = ", big-endian" if encoding == _ELFDATA2MSB else ""
            raise ElfError(f"it is {bits}-bit{order}")

    def _unpack(self, layout: str | struct.Struct, offset: int) -> tuple[int, ...]:
        """Return the fields of a structure at a file offset.

        Raises:
            ElfError: the structure does not lie wholly inside the file.
        """
        structure = struct.Struct(layout) if isinstance(layout, str) else layout
        if not 0 <= offset <= len(self._data) - structure.size:
            raise ElfError(f"it points outside the file, at {offset:#x}")

        return structure.unpack_from(self._data, offset)

    def _bytes(self, offset: int, size: int) -> bytes:
        """Return a range of the file.

        Raises:
            ElfError: the range does not lie wholly inside the file.
        """
        if offset < 0 or size < 0 or offset + size > len(self._data):
            raise ElfError(f"it points outside the file, at {offset:#x} + {size:#x}")

        return self._data[offset : offset + size]

    def _text(self, offset: int) -> str:
        """Return the NUL-terminated text at a file offset. Bytes that are not UTF-8 are replaced.

        Raises:
            ElfError: the text is outside the file, or does not end within `_LONGEST_NAME` bytes.
        """
        if not 0 <= offset < len(self._data):
            raise ElfError(f"a name lies outside the file, at {offset:#x}")

        end = self._data.find(b"\0", offset, offset + _LONGEST_NAME)
        if end < 0:
            raise ElfError(f"a name has no end, at {offset:#x}")

        return self._data[offset:end].decode("utf-8", "replace")

    @cached_property
    def segments(self) -> tuple[Segment, ...]:
        """The program headers, one for each segment, in the file's order."""
        segments = []
        for number in range(self._segment_count):
            header_at = self._segments_at + number * self._segment_size
            kind, flags, offset, address, _, size, _, _ = self._unpack(_SEGMENT, header_at)
            segments.append(
                Segment(kind=kind, flags=flags, offset=offset, address=address, size=size)
            )

        return tuple(segments)

    @cached_property
    def sections(self) -> dict[str, tuple[int, int, int]]:
        """The section headers by section name, as (type, file offset, size).

        Empty where there are none, or where one of them points outside the file: stripped files and edited ones have
        that.
        """
        sections = {}
        try:
            names_header = self._sections_at + self._section_names * self._section_size
            names_at = self._unpack(_SECTION, names_header)[4]

            count = self._section_count if self._sections_at else 0
            for number in range(count):
                header_at = self._sections_at + number * self._section_size
                name_offset, kind, _, _, offset, size = self._unpack(_SECTION, header_at)
                sections[self._text(names_at + name_offset)] = (kind, offset, size)
        except ElfError:
            return {}

        return sections

    @property
    def has_debug_information(self) -> bool:
        """Whether it says which lines of source its code comes from (DWARF), perhaps compressed."""
        return not self.sections.keys().isdisjoint(_DEBUG_SECTIONS)

    def offset(self, address: int) -> int:
        """Return the file offset of the byte that is loaded at a virtual address.

        Raises:
            ElfError: no loaded segment has this address, or the file has no content for it.
        """
        for segment in self.segments:
            end = segment.address + segment.size
            if segment.kind == PT_LOAD and segment.address <= address < end:
                return segment.offset + address - segment.address

        raise ElfError(f"address {address:#x} is in no segment of the file")
