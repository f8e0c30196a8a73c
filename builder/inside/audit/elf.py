"""Read what the dynamic linker reads of a 64-bit little-endian ELF file, and what it has in memory once it is loaded.

`elf_file` has its bytes and headers, `elf_dynamic` its dynamic segment, `elf_symbols` its symbols and their versions.
"""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING

from .elf_file import PF_X, PT_LOAD
from .elf_symbols import ElfSymbols

if TYPE_CHECKING:
    from collections.abc import Iterator

# Names and numbers as in elf.h.
_DT_RELA, _DT_RELASZ = 7, 8
_R_X86_64_RELATIVE = 8

_RELA = struct.Struct("<QQq")


class Elf(ElfSymbols):
    """One ELF file as the farm looks at it: all that the dynamic linker is told, and what loaded data holds."""

    def word(self, address: int) -> int:
        """Return the 64-bit word at a virtual address as it is after loading at address 0.

        For a pointer that is the address it points to: the file itself may hold 0 there, and a relocation the value. A
        pointer to another object gives 0, because only the dynamic linker knows its value.
        """
        relocation = self._find_relocation(address)
        if relocation is None:
            return self._unpack("<Q", self.offset(address))[0]

        info, addend = relocation
        if info == _R_X86_64_RELATIVE:
            return addend

        return self._symbol_value(info >> 32) + addend

    def content(self, address: int, size: int) -> bytes:
        """Return bytes that the file has for a virtual address.

        Raises:
            ElfError: there is nothing in the file for it.
        """
        return self._bytes(self.offset(address), size)

    def unpack(self, layout: str, address: int) -> tuple[int, ...]:
        """Return the fields of a structure of numbers at a virtual address.

        Args:
            layout: as `struct` has it.
            address: where it is.

        Raises:
            ElfError: it does not lie wholly inside the file.
        """
        return self._unpack(layout, self.offset(address))

    def _find_relocation(self, address: int) -> tuple[int, int] | None:
        """Return (info, addend) of the RELA relocation that fills in the word at an address; None where there is none.

        `info` has the symbol's number in its upper half, the relocation's type in its lower one.
        """
        start, size = self._span(_DT_RELA, _DT_RELASZ)
        end = start + size
        packed_address = struct.pack("<Q", address)

        # Searched as bytes, for speed. A match counts only where an entry of the table begins: elsewhere it is
        # another field that happens to have the same bytes.
        match_at = self._data.find(packed_address, start, end)
        while match_at >= 0:
            if (match_at - start) % _RELA.size == 0:
                _, info, addend = self._unpack(_RELA, match_at)
                return info, addend
            match_at = self._data.find(packed_address, match_at + 1, end)

        return None

    def _symbol_value(self, number: int) -> int:
        """Return the value of the symbol with a number in the symbol table; 0 where there is no such symbol."""
        if not 0 < number <= len(self.symbols):
            return 0

        return self.symbols[number - 1].value

    def addresses_of(self, content: bytes) -> Iterator[int]:
        """Give the virtual addresses where loaded data has some content.

        Only multiples of 8 count, where structures with pointers begin. Code segments are skipped:
        such structures are data.
        """
        for segment in self.segments:
            if segment.kind != PT_LOAD or segment.flags & PF_X:
                continue

            end = min(segment.offset + segment.size, len(self._data))
            match_at = self._data.find(content, segment.offset, end)
            while match_at >= 0:
                address = segment.address + match_at - segment.offset
                if address % 8 == 0:
                    yield address
                match_at = self._data.find(content, match_at + 1, end)

    def paths(self, pattern: re.Pattern[bytes], limit: int) -> list[bytes]:
        """Return absolute paths that the file contains, such as source files that assertions name.

        Only the first path of each folder three levels down (`/home/me/project`) comes back: one shows where it was
        built.

        Args:
            pattern: what such a path looks like.
            limit: how many paths are enough.
        """
        path_by_folder: dict[bytes, bytes] = {}
        for match in pattern.finditer(self._data):
            preceding = self._data[max(0, match.start() - 1) : match.start()]
            if preceding.isalnum() or preceding in {b".", b"_", b"-", b"+", b"/", b"~", b":"}:
                continue  # the middle of a longer path, or a URL

            folder = b"/".join(match[0].split(b"/")[:4])
            path_by_folder.setdefault(folder, match[0])
            if len(path_by_folder) == limit:
                break

        return list(path_by_folder.values())
