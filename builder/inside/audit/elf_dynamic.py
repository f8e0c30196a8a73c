"""What an ELF file's segments tell the dynamic linker: libraries, search paths, and how memory is to be protected.

Layouts: System V gABI, and the GNU extensions in elf.h.
"""

from __future__ import annotations

import struct
from functools import cached_property
from typing import TYPE_CHECKING

from .elf_file import (
    PF_X,
    PT_DYNAMIC,
    PT_GNU_RELRO,
    PT_GNU_STACK,
    PT_INTERP,
    PT_NOTE,
    ElfError,
    ElfFile,
    Segment,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

# Names and numbers as in elf.h.
_DT_NULL, _DT_NEEDED, _DT_STRTAB = 0, 1, 5
_DT_SONAME, _DT_RPATH = 14, 15
_DT_TEXTREL, _DT_BIND_NOW, _DT_RUNPATH, _DT_FLAGS, _DT_RELR = 22, 24, 29, 30, 36
_DT_FLAGS_1 = 0x6FFFFFFB
_DF_TEXTREL, _DF_BIND_NOW, _DF_1_NOW = 4, 8, 1
_NT_GNU_PROPERTY = 5
_X86_ISA_1_NEEDED = 0xC0008002


class ElfDynamic(ElfFile):
    """An ELF file with its dynamic segment."""

    @cached_property
    def _dynamic(self) -> tuple[tuple[int, int], ...]:
        """The entries of the dynamic segment before the DT_NULL that ends it, as (tag, value).

        Empty where the file has no dynamic segment.
        """
        for segment in self.segments:
            if segment.kind == PT_DYNAMIC:
                break
        else:
            return ()

        entries = []
        table = self._bytes(segment.offset, segment.size // 16 * 16)
        for tag, value in struct.iter_unpack("<QQ", table):
            if tag == _DT_NULL:
                break
            entries.append((tag, value))

        return tuple(entries)

    def _value(self, tag: int) -> int | None:
        """Return the value of the first entry of the dynamic segment with a tag, or None where none has it."""
        for entry_tag, value in self._dynamic:
            if entry_tag == tag:
                return value

        return None

    def _names(self, tag: int) -> tuple[str, ...]:
        """Return the texts that all entries of the dynamic segment with a tag point to, such as each DT_NEEDED."""
        return tuple(self._name(value) for entry_tag, value in self._dynamic if entry_tag == tag)

    @cached_property
    def _strings(self) -> int:
        """The file offset of the dynamic string table, which has the names of symbols, libraries and versions."""
        address = self._value(_DT_STRTAB)
        if address is None:
            raise ElfError("the dynamic segment has no string table")

        return self.offset(address)

    def _name(self, offset: int) -> str:
        return self._text(self._strings + offset)

    def _span(self, address_tag: int, size_tag: int) -> tuple[int, int]:
        """Return (file offset, size) of a table; (0, 0) where the file has none.

        Args:
            address_tag: tag of the dynamic entry with the table's address, such as DT_RELA.
            size_tag: tag of the entry with its size in bytes, such as DT_RELASZ.
        """
        address = self._value(address_tag)
        length = self._value(size_tag)
        if address is None or not length:
            return 0, 0

        return self.offset(address), length

    @property
    def dynamic(self) -> bool:
        """Whether it has a dynamic segment; a static executable or an object file has none."""
        return bool(self._dynamic)

    @property
    def executable(self) -> bool:
        """Whether it names a program interpreter, as programs do and libraries do not."""
        return any(segment.kind == PT_INTERP for segment in self.segments)

    @cached_property
    def needed(self) -> tuple[str, ...]:
        """Sonames of the libraries it needs."""
        return self._names(_DT_NEEDED)

    @property
    def soname(self) -> str:
        """Its own name for others to need; empty where it has none."""
        return next(iter(self._names(_DT_SONAME)), "")

    @property
    def rpath(self) -> tuple[str, ...]:
        """Folders of DT_RPATH, which is ignored beside DT_RUNPATH."""
        return self._folders(_DT_RPATH)

    @property
    def runpath(self) -> tuple[str, ...]:
        """Folders of DT_RUNPATH."""
        return self._folders(_DT_RUNPATH)

    def _folders(self, tag: int) -> tuple[str, ...]:
        """Return the folders of a search path, DT_RPATH or DT_RUNPATH.

        `$ORIGIN/../a.libs:/opt/b` -> `("$ORIGIN/../a.libs", "/opt/b")`
        """
        folders: list[str] = []
        for text in self._names(tag):
            folders += text.split(":")

        return tuple(folders)

    @property
    def executable_stack(self) -> bool:
        """Whether loading this object makes the stack executable.

        That is so where its PT_GNU_STACK segment asks for it, and where it has no such segment: the default is
        executable.
        """
        for segment in self.segments:
            if segment.kind == PT_GNU_STACK:
                return bool(segment.flags & PF_X)

        return True

    @property
    def relro(self) -> bool:
        """Whether relocated data becomes read-only after loading."""
        return any(segment.kind == PT_GNU_RELRO for segment in self.segments)

    @property
    def bind_now(self) -> bool:
        """Whether it asks for all its symbols to be resolved when it is loaded."""
        if self._value(_DT_BIND_NOW) is not None:
            return True

        flags = self._value(_DT_FLAGS) or 0
        flags_1 = self._value(_DT_FLAGS_1) or 0
        return bool(flags & _DF_BIND_NOW) or bool(flags_1 & _DF_1_NOW)

    @property
    def text_relocations(self) -> bool:
        """Whether loading it writes to its code."""
        flags = self._value(_DT_FLAGS) or 0
        return self._value(_DT_TEXTREL) is not None or bool(flags & _DF_TEXTREL)

    @property
    def relative_relocations(self) -> bool:
        """Whether it has packed relative relocations, which glibc reads from 2.36 on."""
        return self._value(_DT_RELR) is not None

    @cached_property
    def isa_needed(self) -> int:
        """The x86-64 level that the object's GNU property note says is needed: 1, which all processors have, to 4.

        It is 1 where no note says anything.
        """
        for segment in self.segments:
            if segment.kind != PT_NOTE:
                continue
            for kind, description in self._notes(segment):
                level = _isa_level(description) if kind == _NT_GNU_PROPERTY else 0
                if level:
                    return level

        return 1

    def _notes(self, segment: Segment) -> Iterator[tuple[int, bytes]]:
        """Give (type, description) of each note in a PT_NOTE segment whose owner is `GNU`; others are skipped."""
        note_at = segment.offset
        segment_end = segment.offset + segment.size
        while note_at + 12 <= segment_end:
            name_size, size, kind = self._unpack("<III", note_at)
            name_offset = note_at + 12
            description_offset = name_offset + _round_up(name_size, 4)

            if self._bytes(name_offset, min(name_size, 4)) == b"GNU\0":
                yield kind, self._bytes(description_offset, size)
            note_at = description_offset + _round_up(size, 8)


def _isa_level(properties: bytes) -> int:
    """Return the x86-64 level that a GNU property note declares to be needed; 0 where it declares none.

    Args:
        properties: the note's description: (type, size, data) of each property, one after the other.
    """
    property_at = 0
    while property_at + 8 <= len(properties):
        kind, size = struct.unpack_from("<II", properties, property_at)
        if kind == _X86_ISA_1_NEEDED and property_at + 12 <= len(properties):
            bits: int = struct.unpack_from("<I", properties, property_at + 8)[0]
            return max(1, bits.bit_length())
        property_at += 8 + _round_up(size, 8)

    return 0


def _round_up(size: int, alignment: int) -> int:
    return (size + alignment - 1) // alignment * alignment
