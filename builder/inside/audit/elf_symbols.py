"""The dynamic symbols of an ELF file, and the versions they are bound to.

Section headers are consulted only for the number of symbols, where nothing else says it: the dynamic linker never reads
them, and tools that edit a library leave them stale. Layouts: System V gABI, and the GNU extensions in elf.h.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from .elf_dynamic import ElfDynamic
from .elf_file import ElfError

if TYPE_CHECKING:
    from collections.abc import Iterator

# Names and numbers as in elf.h.
_DT_HASH, _DT_SYMTAB, _DT_GNU_HASH = 4, 6, 0x6FFFFEF5
_DT_VERSYM, _DT_VERDEF, _DT_VERDEFNUM = 0x6FFFFFF0, 0x6FFFFFFC, 0x6FFFFFFD
_DT_VERNEED, _DT_VERNEEDNUM = 0x6FFFFFFE, 0x6FFFFFFF
_SHT_DYNSYM = 11
_SHN_UNDEF = 0
_STB_LOCAL, _STB_WEAK = 0, 2
_VERSION_INDEX = 0x7FFF  # the bit above says that a version is hidden
_VER_NDX_GLOBAL = 1  # the version that is the object's own name
_CHAIN_END = 1  # the bit of a GNU hash value that ends its chain

_SYMBOL = struct.Struct("<IBBHQQ")

# Damaged files claim any number. These are far beyond what is found in packages, and keep reading within seconds.
_MOST_SYMBOLS = 4_000_000
_MOST_VERSIONS = 10_000


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


class ElfSymbols(ElfDynamic):
    """An ELF file with its dynamic symbols."""

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
