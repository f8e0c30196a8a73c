"""Read what the dynamic linker reads of a 64-bit little-endian ELF file: its dynamic segment and symbol versions.

Section headers are consulted only where the dynamic segment does not say (the number of symbols, debug sections): the
dynamic linker never reads them, and tools that edit a library leave them stale. Layouts: System V gABI, and the GNU
extensions in elf.h. Whatever bytes are given, `ElfError` is the only exception.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import mmap
    from collections.abc import Iterator

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

_PT_LOAD, _PT_DYNAMIC, _PT_INTERP, _PT_NOTE = 1, 2, 3, 4
_PT_GNU_STACK, _PT_GNU_RELRO = 0x6474E551, 0x6474E552
_PF_X = 1

_DT_NULL, _DT_NEEDED, _DT_HASH, _DT_STRTAB, _DT_SYMTAB = 0, 1, 4, 5, 6
_DT_RELA, _DT_RELASZ, _DT_SONAME, _DT_RPATH = 7, 8, 14, 15
_DT_TEXTREL, _DT_BIND_NOW, _DT_RUNPATH, _DT_FLAGS, _DT_RELR = 22, 24, 29, 30, 36
_DT_GNU_HASH, _DT_FLAGS_1 = 0x6FFFFEF5, 0x6FFFFFFB
_DT_VERSYM, _DT_VERDEF, _DT_VERDEFNUM = 0x6FFFFFF0, 0x6FFFFFFC, 0x6FFFFFFD
_DT_VERNEED, _DT_VERNEEDNUM = 0x6FFFFFFE, 0x6FFFFFFF
_DF_TEXTREL, _DF_BIND_NOW, _DF_1_NOW = 4, 8, 1

_SHT_DYNSYM = 11
_SHN_UNDEF = 0
_STB_LOCAL, _STB_WEAK = 0, 2
_NT_GNU_PROPERTY = 5
_X86_ISA_1_NEEDED = 0xC0008002
_R_X86_64_RELATIVE = 8
_VERSION_INDEX = 0x7FFF  # the bit above says that a version is hidden
_VER_NDX_GLOBAL = 1  # the version that is the object's own name
_CHAIN_END = 1  # the bit of a GNU hash value that ends its chain

_SEGMENT = "<IIQQQQQQ"
_SECTION = "<IIQQQQ"
_SYMBOL = struct.Struct("<IBBHQQ")
_RELA = struct.Struct("<QQq")

_DEBUG_SECTIONS = (".debug_info", ".zdebug_info")  # `.z…`: as older GNU tools compress it

# Damaged files claim any number. These are far beyond what is found in packages, and keep reading within seconds.
_MOST_SYMBOLS = 4_000_000
_MOST_VERSIONS = 10_000
_LONGEST_NAME = 65_536


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


@dataclass(frozen=True)
class Symbol:
    """One dynamic symbol.

    Attributes:
        defined: whether this object provides it.
        weak: whether it may stay unresolved.
        version: the version it is bound to, or provided as; empty for none.
        library: where its version is expected; empty where it may come from anywhere.
    """

    name: str
    defined: bool
    weak: bool
    value: int
    version: str = ""
    library: str = ""


class Elf:
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

    # --- raw access --------------------------------------------------------------------------------------------------

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

    def offset(self, address: int) -> int:
        """Return the file offset of the byte that is loaded at a virtual address.

        Raises:
            ElfError: no loaded segment has this address, or the file has no content for it.
        """
        for segment in self.segments:
            end = segment.address + segment.size
            if segment.kind == _PT_LOAD and segment.address <= address < end:
                return segment.offset + address - segment.address

        raise ElfError(f"address {address:#x} is in no segment of the file")

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

    # --- headers -----------------------------------------------------------------------------------------------------

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

    @cached_property
    def _dynamic(self) -> tuple[tuple[int, int], ...]:
        """The entries of the dynamic segment before the DT_NULL that ends it, as (tag, value).

        Empty where the file has no dynamic segment.
        """
        for segment in self.segments:
            if segment.kind == _PT_DYNAMIC:
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

    # --- what the dynamic segment says -------------------------------------------------------------------------------

    @property
    def dynamic(self) -> bool:
        """Whether it has a dynamic segment; a static executable or an object file has none."""
        return bool(self._dynamic)

    @property
    def executable(self) -> bool:
        """Whether it names a program interpreter, as programs do and libraries do not."""
        return any(segment.kind == _PT_INTERP for segment in self.segments)

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
            if segment.kind == _PT_GNU_STACK:
                return bool(segment.flags & _PF_X)

        return True

    @property
    def relro(self) -> bool:
        """Whether relocated data becomes read-only after loading."""
        return any(segment.kind == _PT_GNU_RELRO for segment in self.segments)

    @property
    def bind_now(self) -> bool:
        """Whether it asks for all its symbols to be resolved when it is loaded."""
        if self._value(_DT_BIND_NOW) is not None:
            return True

        flags = self._value(_DT_FLAGS) or 0
        flags_1 = self._value(_DT_FLAGS_1) or 0
        return bool(flags & _DF_BIND_NOW) or bool(flags_1 & _DF_1_NOW)

    @property
    def has_debug_information(self) -> bool:
        """Whether it says which lines of source its code comes from (DWARF), perhaps compressed."""
        return not self.sections.keys().isdisjoint(_DEBUG_SECTIONS)

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
            if segment.kind != _PT_NOTE:
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

    # --- symbols -----------------------------------------------------------------------------------------------------

    @cached_property
    def symbols(self) -> tuple[Symbol, ...]:
        """The dynamic symbols, in the table's order, without the empty one that every table begins with.

        A local symbol stays in its place, because relocations number symbols, but its name is not read.
        """
        address = self._value(_DT_SYMTAB)
        if address is None:
            return ()

        table_at, count = self.offset(address), self._symbol_count
        if count > _MOST_SYMBOLS:
            raise ElfError(f"it claims {count} symbols")

        table = self._bytes(table_at, count * _SYMBOL.size)
        version_numbers = self._symbol_versions(count)
        symbols = []
        for number, (name_offset, info, _, section, value, _) in enumerate(
            _SYMBOL.iter_unpack(table)
        ):
            if number == 0:
                continue

            version, library = "", ""
            if version_numbers:
                version_number = version_numbers[number] & _VERSION_INDEX
                version, library = self._version_names.get(version_number, ("", ""))

            binding = info >> 4
            is_local = binding == _STB_LOCAL
            symbols.append(
                Symbol(
                    name="" if is_local else self._name(name_offset),
                    defined=section != _SHN_UNDEF,
                    weak=is_local or binding == _STB_WEAK,
                    value=value,
                    version=version,
                    library=library,
                )
            )

        return tuple(symbols)

    @cached_property
    def _symbol_count(self) -> int:
        """The number of dynamic symbols, the empty first one counted.

        No entry of the dynamic segment says it, so it is taken from the first of these that there is: the System V hash
        table, the section header of the symbol table, the GNU hash table.
        """
        hash_table = self._value(_DT_HASH)
        if hash_table is not None:
            return self._unpack("<II", self.offset(hash_table))[1]

        address = self._value(_DT_SYMTAB)
        for kind, offset, size in self.sections.values():
            if kind == _SHT_DYNSYM:
                # A stale section header points elsewhere.
                if address is not None and offset == self.offset(address):
                    return size // _SYMBOL.size
                break

        return self._hashed_count()

    def _hashed_count(self) -> int:
        """Return the number of symbols as the GNU hash table tells it; 0 where there is no such table.

        The table sorts symbols into buckets, and each bucket is a chain of symbols that follow one another. So the
        symbol at the end of the last bucket's chain is the last one of all.
        """
        table = self._value(_DT_GNU_HASH)
        if table is None:
            return 0

        table_at = self.offset(table)
        bucket_count, first_hashed, bloom_words, _ = self._unpack("<IIII", table_at)
        buckets_at = table_at + 16 + bloom_words * 8
        chains_at = buckets_at + bucket_count * 4

        buckets = struct.unpack(f"<{bucket_count}I", self._bytes(buckets_at, bucket_count * 4))
        last = max(buckets, default=0)
        if last < first_hashed:
            return first_hashed

        while not self._unpack("<I", chains_at + (last - first_hashed) * 4)[0] & _CHAIN_END:
            last += 1
        return last + 1

    def _symbol_versions(self, count: int) -> tuple[int, ...]:
        """Return the version number of each symbol (DT_VERSYM), in the order of the symbol table.

        Empty where the object has no versions.
        """
        address = self._value(_DT_VERSYM)
        if address is None:
            return ()

        return struct.unpack(f"<{count}H", self._bytes(self.offset(address), count * 2))

    # --- versions ----------------------------------------------------------------------------------------------------

    @cached_property
    def needed_versions(self) -> tuple[tuple[str, str], ...]:
        """(library, version) pairs that must be there for it to load."""
        return tuple((library, version) for version, library in self._needed_versions.values())

    @cached_property
    def provided_versions(self) -> tuple[str, ...]:
        """Versions it provides, its own name left out."""
        versions = self._provided_versions.items()
        return tuple(name for number, name in versions if number != _VER_NDX_GLOBAL)

    @cached_property
    def _version_names(self) -> dict[int, tuple[str, str]]:
        """(version, library) by the version number that symbols carry.

        The library is the one that has to provide a needed version; it is empty for the versions this object provides
        itself.
        """
        names = {}
        for number, name in self._provided_versions.items():
            if number != _VER_NDX_GLOBAL:
                names[number] = (name, "")

        return names | self._needed_versions

    @cached_property
    def _needed_versions(self) -> dict[int, tuple[str, str]]:
        """(version, library) of each version that other libraries must provide (DT_VERNEED), by its number here.

        `{2: ("GLIBC_2.34", "libc.so.6")}`
        """
        versions: dict[int, tuple[str, str]] = {}
        for record_at in self._iter_chain(_DT_VERNEED, _DT_VERNEEDNUM, 12):
            _, count, library_name, first_entry, _ = self._unpack("<HHIII", record_at)
            library = self._name(library_name)
            entry_at = record_at + first_entry

            for _ in range(count):
                if len(versions) > _MOST_VERSIONS:
                    raise ElfError("its versions have no end")

                _, _, number, version_name, to_next_entry = self._unpack("<IHHII", entry_at)
                versions[number & _VERSION_INDEX] = (self._name(version_name), library)
                if not to_next_entry:
                    break
                entry_at += to_next_entry

        return versions

    @cached_property
    def _provided_versions(self) -> dict[int, str]:
        """The names of the versions that this object provides (DT_VERDEF), by number.

        Number 1 is not a version but the object's own name.
        """
        versions = {}
        for record_at in self._iter_chain(_DT_VERDEF, _DT_VERDEFNUM, 16):
            _, _, number, _, _, first_name, _ = self._unpack("<HHHHIII", record_at)
            version_name, _ = self._unpack("<II", record_at + first_name)
            versions[number & _VERSION_INDEX] = self._name(version_name)

        return versions

    def _iter_chain(self, start: int, count: int, next_at: int) -> Iterator[int]:
        """Give the file offset of each record of a version table; each says how far away the next one is.

        Args:
            start: tag of the dynamic entry with the table's address.
            count: tag of the entry with the number of records.
            next_at: where in a record the distance to the next is; 0 there ends the table.
        """
        address = self._value(start)
        claimed_count = self._value(count) or 0
        if address is None:
            return

        record_at = self.offset(address)
        for _ in range(min(claimed_count, _MOST_VERSIONS)):
            yield record_at

            to_next_record = self._unpack("<I", record_at + next_at)[0]
            if not to_next_record:
                return
            record_at += to_next_record

    # --- searching ---------------------------------------------------------------------------------------------------

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

    def addresses_of(self, content: bytes) -> Iterator[int]:
        """Give the virtual addresses where loaded data has some content.

        Only multiples of 8 count, where structures with pointers begin. Code segments are skipped:
        such structures are data.
        """
        for segment in self.segments:
            if segment.kind != _PT_LOAD or segment.flags & _PF_X:
                continue

            end = min(segment.offset + segment.size, len(self._data))
            match_at = self._data.find(content, segment.offset, end)
            while match_at >= 0:
                address = segment.address + match_at - segment.offset
                if address % 8 == 0:
                    yield address
                match_at = self._data.find(content, match_at + 1, end)


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
