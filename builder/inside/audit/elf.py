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
        self._data = data
        self._check_identity()

        header = struct.unpack_from("<HHIQQQIHHHHHH", data, 16)
        self.kind = header[0]
        self.machine = MACHINES.get(header[1], f"machine {header[1]}")
        self._segments_at = header[4]
        self._sections_at = header[5]
        self._segment_size, self._segment_count = header[8:10]
        self._section_size, self._section_count, self._section_names = header[10:]

    def _check_identity(self) -> None:
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
        form = struct.Struct(layout) if isinstance(layout, str) else layout
        if not 0 <= offset <= len(self._data) - form.size:
            raise ElfError(f"it points outside the file, at {offset:#x}")

        return form.unpack_from(self._data, offset)

    def _bytes(self, offset: int, size: int) -> bytes:
        if offset < 0 or size < 0 or offset + size > len(self._data):
            raise ElfError(f"it points outside the file, at {offset:#x} + {size:#x}")

        return self._data[offset : offset + size]

    def _text(self, offset: int) -> str:
        if not 0 <= offset < len(self._data):
            raise ElfError(f"a name lies outside the file, at {offset:#x}")

        end = self._data.find(b"\0", offset, offset + _LONGEST_NAME)
        if end < 0:
            raise ElfError(f"a name has no end, at {offset:#x}")

        return self._data[offset:end].decode("utf-8", "replace")

    def offset(self, address: int) -> int:
        """Return where the byte of a virtual address is in the file."""
        for segment in self.segments:
            end = segment.address + segment.size
            if segment.kind == _PT_LOAD and segment.address <= address < end:
                return segment.offset + address - segment.address

        raise ElfError(f"address {address:#x} is in no segment of the file")

    def word(self, address: int) -> int:
        """Return the 64-bit word at a virtual address after relocation against base 0: what a pointer there points to.

        A pointer to another object gives 0.
        """
        relocation = self._find_relocation(address)
        if relocation is None:
            return self._unpack("<Q", self.offset(address))[0]

        info, addend = relocation
        if info == _R_X86_64_RELATIVE:
            return addend

        return self._symbol_value(info >> 32) + addend

    def _find_relocation(self, address: int) -> tuple[int, int] | None:
        """Return (info, addend) of the relocation of a word."""
        start, size = self._span(_DT_RELA, _DT_RELASZ)
        end = start + size
        wanted = struct.pack("<Q", address)

        # Searched as bytes, for speed: what is found counts where an entry of the table begins.
        found = self._data.find(wanted, start, end)
        while found >= 0:
            if (found - start) % _RELA.size == 0:
                _, info, addend = self._unpack(_RELA, found)
                return info, addend
            found = self._data.find(wanted, found + 1, end)

        return None

    def _symbol_value(self, number: int) -> int:
        if not 0 < number <= len(self.symbols):
            return 0

        return self.symbols[number - 1].value

    def _span(self, start: int, size: int) -> tuple[int, int]:
        """Return (offset, size) of a table that two entries of the dynamic segment tell; zeros where there is none."""
        address = self._value(start)
        length = self._value(size)
        if address is None or not length:
            return 0, 0

        return self.offset(address), length

    # --- headers -----------------------------------------------------------------------------------------------------

    @cached_property
    def segments(self) -> tuple[Segment, ...]:
        """Program headers."""
        segments = []
        for number in range(self._segment_count):
            at = self._segments_at + number * self._segment_size
            kind, flags, offset, address, _, size, _, _ = self._unpack(_SEGMENT, at)
            segments.append(
                Segment(kind=kind, flags=flags, offset=offset, address=address, size=size)
            )

        return tuple(segments)

    @cached_property
    def sections(self) -> dict[str, tuple[int, int, int]]:
        """Section headers by name, as (type, offset, size); none where they are gone or stale."""
        sections = {}
        try:
            names_header = self._sections_at + self._section_names * self._section_size
            names = self._unpack(_SECTION, names_header)[4]

            count = self._section_count if self._sections_at else 0
            for number in range(count):
                at = self._sections_at + number * self._section_size
                name, kind, _, _, offset, size = self._unpack(_SECTION, at)
                sections[self._text(names + name)] = (kind, offset, size)
        except ElfError:
            return {}

        return sections

    @cached_property
    def _dynamic(self) -> tuple[tuple[int, int], ...]:
        """Entries of the dynamic segment, as (tag, value)."""
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
        for entry_tag, value in self._dynamic:
            if entry_tag == tag:
                return value

        return None

    def _names(self, tag: int) -> tuple[str, ...]:
        return tuple(self._name(value) for entry_tag, value in self._dynamic if entry_tag == tag)

    @cached_property
    def _strings(self) -> int:
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
        folders: list[str] = []
        for text in self._names(tag):
            folders += text.split(":")

        return tuple(folders)

    @property
    def executable_stack(self) -> bool:
        """Whether loading it makes the stack executable: it says so, or does not say that it need not."""
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
        """The x86-64 level it declares to need, as its GNU property note says: 1 (all processors have it) to 4."""
        for segment in self.segments:
            if segment.kind != _PT_NOTE:
                continue
            for kind, description in self._notes(segment):
                level = _isa_level(description) if kind == _NT_GNU_PROPERTY else 0
                if level:
                    return level

        return 1

    def _notes(self, segment: Segment) -> Iterator[tuple[int, bytes]]:
        """Give (type, description) of each note that is GNU's."""
        at = segment.offset
        end = segment.offset + segment.size
        while at + 12 <= end:
            name_size, size, kind = self._unpack("<III", at)
            name_at = at + 12
            description_at = name_at + _round_up(name_size, 4)

            if self._bytes(name_at, min(name_size, 4)) == b"GNU\0":
                yield kind, self._bytes(description_at, size)
            at = description_at + _round_up(size, 8)

    # --- symbols -----------------------------------------------------------------------------------------------------

    @cached_property
    def symbols(self) -> tuple[Symbol, ...]:
        """Dynamic symbols, in the table's order, without the empty one it begins with."""
        address = self._value(_DT_SYMTAB)
        if address is None:
            return ()

        start, count = self.offset(address), self._symbol_count
        if count > _MOST_SYMBOLS:
            raise ElfError(f"it claims {count} symbols")

        table = self._bytes(start, count * _SYMBOL.size)
        version_numbers = self._symbol_versions(count)
        symbols = []
        for number, (name, info, _, section, value, _) in enumerate(_SYMBOL.iter_unpack(table)):
            if number == 0:
                continue

            version, library = "", ""
            if version_numbers:
                index = version_numbers[number] & _VERSION_INDEX
                version, library = self._version_names.get(index, ("", ""))

            binding = info >> 4
            is_local = binding == _STB_LOCAL
            symbols.append(
                Symbol(
                    name="" if is_local else self._name(name),
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
        """How many symbols there are, which no entry of the dynamic segment says."""
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
        """Count symbols by the GNU hash table: the last chain's end is the last symbol."""
        table = self._value(_DT_GNU_HASH)
        if table is None:
            return 0

        at = self.offset(table)
        bucket_count, first, bloom_words, _ = self._unpack("<IIII", at)
        buckets_at = at + 16 + bloom_words * 8
        chains_at = buckets_at + bucket_count * 4

        buckets = struct.unpack(f"<{bucket_count}I", self._bytes(buckets_at, bucket_count * 4))
        last = max(buckets, default=0)
        if last < first:
            return first

        while not self._unpack("<I", chains_at + (last - first) * 4)[0] & _CHAIN_END:
            last += 1
        return last + 1

    def _symbol_versions(self, count: int) -> tuple[int, ...]:
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
        """(version, library) by the number that symbols have; what it provides itself has no library."""
        names = {}
        for number, name in self._provided_versions.items():
            if number != _VER_NDX_GLOBAL:
                names[number] = (name, "")

        return names | self._needed_versions

    @cached_property
    def _needed_versions(self) -> dict[int, tuple[str, str]]:
        versions: dict[int, tuple[str, str]] = {}
        for at in self._iter_chain(_DT_VERNEED, _DT_VERNEEDNUM, 12):
            _, count, file, first, _ = self._unpack("<HHIII", at)
            library = self._name(file)
            entry_at = at + first

            for _ in range(count):
                if len(versions) > _MOST_VERSIONS:
                    raise ElfError("its versions have no end")

                _, _, number, name, step = self._unpack("<IHHII", entry_at)
                versions[number & _VERSION_INDEX] = (self._name(name), library)
                if not step:
                    break
                entry_at += step

        return versions

    @cached_property
    def _provided_versions(self) -> dict[int, str]:
        versions = {}
        for at in self._iter_chain(_DT_VERDEF, _DT_VERDEFNUM, 16):
            _, _, number, _, _, first, _ = self._unpack("<HHHHIII", at)
            name, _ = self._unpack("<II", at + first)
            versions[number & _VERSION_INDEX] = self._name(name)

        return versions

    def _iter_chain(self, start: int, count: int, next_at: int) -> Iterator[int]:
        """Give the file offset of each entry of a version table, whose last word is the way to the next."""
        address = self._value(start)
        claimed = self._value(count) or 0
        if address is None:
            return

        at = self.offset(address)
        for _ in range(min(claimed, _MOST_VERSIONS)):
            yield at

            step = self._unpack("<I", at + next_at)[0]
            if not step:
                return
            at += step

    # --- searching ---------------------------------------------------------------------------------------------------

    def paths(self, pattern: re.Pattern[bytes], limit: int) -> list[bytes]:
        """Return the first matches of a pattern for absolute paths, one of each folder three levels down."""
        found: dict[bytes, bytes] = {}
        for match in pattern.finditer(self._data):
            before = self._data[max(0, match.start() - 1) : match.start()]
            if before.isalnum() or before in {b".", b"_", b"-", b"+", b"/", b"~", b":"}:
                continue  # the middle of a longer path, or a URL

            folder = b"/".join(match[0].split(b"/")[:4])
            found.setdefault(folder, match[0])
            if len(found) == limit:
                break

        return list(found.values())

    def addresses_of(self, content: bytes) -> Iterator[int]:
        """Give the virtual addresses at multiples of 8 where loaded data has this content."""
        for segment in self.segments:
            if segment.kind != _PT_LOAD or segment.flags & _PF_X:
                continue

            end = min(segment.offset + segment.size, len(self._data))
            at = self._data.find(content, segment.offset, end)
            while at >= 0:
                address = segment.address + at - segment.offset
                if address % 8 == 0:
                    yield address
                at = self._data.find(content, at + 1, end)


def _isa_level(properties: bytes) -> int:
    """Return the x86-64 level that the properties of a GNU note declare to be needed, 0 where they declare none."""
    at = 0
    while at + 8 <= len(properties):
        kind, size = struct.unpack_from("<II", properties, at)
        if kind == _X86_ISA_1_NEEDED and at + 12 <= len(properties):
            bits: int = struct.unpack_from("<I", properties, at + 8)[0]
            return max(1, bits.bit_length())
        at += 8 + _round_up(size, 8)

    return 0


def _round_up(size: int, alignment: int) -> int:
    return (size + alignment - 1) // alignment * alignment
