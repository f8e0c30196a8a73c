"""The static PyModuleDef of an extension module, and arrays of slots, as they lie in the file.

Layouts: Include/object.h, moduleobject.h and slots.h of CPython 3.14 and 3.15. `PyObject` differs between builds of
CPython, so that the bytes of a static object show the build that it was compiled for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .elf_file import ElfError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .elf import Elf

# How CPython 3.14 and 3.15 compile the head of a static object without type: PyObject_HEAD_INIT in Include/object.h.
_GIL_HEAD = bytes.fromhex("000000c000000500") + bytes(8)
_FREE_THREADED_HEAD = bytes(8) + bytes.fromhex("04000000ffffffff") + bytes(16)
HEADS = {"gil": _GIL_HEAD, "free-threaded": _FREE_THREADED_HEAD}

# PyModuleDef after that head, in words (Include/moduleobject.h): m_init, m_index, m_copy, m_name, m_doc, m_size,
# m_methods, m_slots.
_WORD_BYTES = 8
_EMPTY_WORDS = 3  # m_init, m_index and m_copy are filled in when the module is loaded
_SLOTS_WORD = 7

_SLOT_BYTES = 16
_SLOT_ID = (
    0xFFFF  # a PyModuleDef_Slot has an int there, a PySlot this and two bytes of flags (PEP 820)
)
_NESTED_SLOTS = {92, 94}  # Py_slot_subslots, Py_mod_slots: another array, as if it stood here
_MOST_SLOTS = 256  # of an array and those it nests; there are 111 kinds of slots
_DEEPEST_NESTING = 5  # of arrays in arrays: PEP 820 allows no more


@dataclass(frozen=True)
class Definition:
    """A static PyModuleDef.

    Attributes:
        build: the build of CPython it was compiled for.
        address: of its head.
    """

    build: str
    address: int

    def address_of_word(self, number: int) -> int:
        """Return where a word after the head is."""
        return self.address + len(HEADS[self.build]) + _WORD_BYTES * number


def find_definition(elf: Elf) -> Definition | None:
    """Return the static PyModuleDef of an extension module, or None where none can be recognised.

    It is recognised by its bytes: the head of a static object, three words that are filled in later, and a name.
    """
    for build, head in HEADS.items():
        for address in elf.addresses_of(head + bytes(_WORD_BYTES * _EMPTY_WORDS)):
            definition = Definition(build, address)
            try:
                words = [elf.word(definition.address_of_word(number)) for number in range(4)]
            except ElfError:
                continue  # no whole definition follows these bytes

            *empty, name = words
            if name and not any(empty):
                return definition

    return None


def find_slots(definition: Definition, elf: Elf) -> int:
    """Return the address of a module definition's array of slots; 0 where it has none, or leads outside the file."""
    try:
        return elf.word(definition.address_of_word(_SLOTS_WORD))
    except ElfError:
        return 0


def read_slots(address: int, elf: Elf) -> dict[int, int]:
    """Return the slots of an array by their number -> value, those of arrays that it nests as well.

    It stops where the array leads outside the file.

    Args:
        address: of the array, of PyModuleDef_Slot or PySlot; 0 for none.
        elf: the file.
    """
    slots: dict[int, int] = {}
    try:
        for number, value in _iter_slots(address, elf, _DEEPEST_NESTING):
            slots[number] = value
            if len(slots) == _MOST_SLOTS:
                break
    except ElfError:
        pass  # what was read before stays

    return slots


def _iter_slots(address: int, elf: Elf, depth: int) -> Iterator[tuple[int, int]]:
    """Yield (number, value) of each slot of an array, and of the arrays in it down to a depth.

    Raises:
        ElfError: an array leads outside the file.
    """
    if not address:
        return

    for place in range(_MOST_SLOTS):
        slot_address = address + place * _SLOT_BYTES
        number = elf.word(slot_address) & _SLOT_ID
        if not number:
            return

        value = elf.word(slot_address + _WORD_BYTES)
        if number not in _NESTED_SLOTS:
            yield number, value
        elif depth:
            yield from _iter_slots(value, elf, depth - 1)
