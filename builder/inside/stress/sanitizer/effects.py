"""What an access of a race comes to: a read that only asks whether something is there, a store of what is there.

Neither harms anybody by itself. A test for NULL in front of a lock reads a pointer and forgets it: what is used is read
again under the lock. What does more with the pointer is another access, of which there is a report of its own. And a
store that never changes what is there, however often it is made, is not seen by those who read.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, TypedDict

from .attribution import IsOwn
from .elf import read_code
from .frames import Frame
from .reports import Report, Stack, list_racing_accesses
from .stores import Stores

Effect = Literal["", "tested", "unchanged"]

_CODE_BYTES = 32
"""Enough for the instruction that reads, and one or two before it."""


class Access(TypedDict):
    """What is known of one access of a report.

    Attributes:
        is_write: whether it writes.
        effect: `tested` where it only compares with zero what it reads, `unchanged` where it never changed what was
            there, else nothing.
    """

    is_write: bool
    effect: Effect


def find_effect(report: Report, is_own: IsOwn, stores: Stores | None, *, freed: bool) -> Effect:
    """Return why a race of the package harms nobody: `tested`, `unchanged`, or nothing where it may.

    Args:
        report: what the sanitizer said.
        is_own: whether a frame is the package's.
        stores: which stores changed something; None where nobody noted that.
        freed: whether one access gives memory back: then any other one is a mistake.
    """
    if freed:
        return ""

    accesses = [_describe(stack, is_own, stores) for stack in list_racing_accesses(report)]
    writes = [access for access in accesses if access["is_write"]]
    if not writes:
        return ""
    if all(access["effect"] == "unchanged" for access in writes):
        return "unchanged"
    if any(access["effect"] == "tested" for access in accesses):
        return "tested"
    return ""


def _describe(stack: Stack, is_own: IsOwn, stores: Stores | None) -> Access:
    """Return what is known of an access; of one that code of others makes, no more than its kind."""
    is_write = "write" in stack["access"]
    frame = stack["frames"][0]
    is_plain = "atomic" not in stack["access"]
    is_known = is_plain and is_own(frame) and frame["offset"] >= 0

    effect: Effect = ""
    if is_known and is_write and stores is not None:
        effect = "unchanged" if stores.is_unchanging(frame["module"], frame["offset"]) else ""
    elif is_known and not is_write and is_zero_test(_read_instructions(frame)):
        effect = "tested"
    return Access(is_write=is_write, effect=effect)


def _read_instructions(frame: Frame) -> bytes:
    """Return the machine code that comes after the detector's call: what the call was about is next."""
    # A report names the last byte of the call.
    return read_code(Path(frame["folder"], frame["module"]), frame["offset"] + 1, _CODE_BYTES)


# --- machine code of x86-64 (Intel, Software Developer's Manual, volume 2) --------------------------------------------

_XOR, _CMP_REGISTER = 0x31, 0x3B
_CMP_BYTE, _CMP_SMALL = 0x80, 0x83
_CMP_EXTENSION = 7  # in the middle of ModRM, for `cmp` among the instructions that share an opcode
_USES_CARRY = (0x18, 0x19, 0x1A, 0x1B, 0x72, 0x73, 0x10, 0x11, 0x12, 0x13)
"""`sbb`, `adc`, `jb` and `jae`: after a comparison with 1 they tell 0 from all else."""
_SET_BY_CARRY = (0x0F, (0x92, 0x93, 0x42, 0x43, 0x82, 0x83))
_DIRECT = 3  # mode of ModRM: the operand is a register
_DISPLACEMENTS = {0: 0, 1: 1, 2: 4}
_SIB, _RELATIVE = 4, 5


def is_zero_test(code: Sequence[int]) -> bool:
    """Return whether machine code compares memory with zero, and keeps nothing of what it read.

    `cmpq $0, 16(%rbx)`, or with 1 where what follows asks for less than that, or with a register that was cleared
    before: as clang compiles `if (!self->wrapped)`. Where the value comes into a register, the answer is no.

    Args:
        code: begins where the detector's call returns to. Of other processors than x86-64 the answer is no.
    """
    cleared: set[int] = set()
    place = 0
    while True:
        place, rex = _read_prefixes(code, place)
        opcode, modrm = _byte(code, place), _byte(code, place + 1)
        mode, middle, operand = modrm >> 6, modrm >> 3 & 7, modrm & 7
        if opcode == _XOR and mode == _DIRECT and middle == operand:
            cleared.add(middle | (rex & 4) << 1)
            place += 2
            continue

        if mode == _DIRECT:
            return False
        if opcode == _CMP_REGISTER:
            return (middle | (rex & 4) << 1) in cleared
        if opcode not in {_CMP_BYTE, _CMP_SMALL} or middle != _CMP_EXTENSION:
            return False

        end = place + 2 + _operand_bytes(code, place + 1)
        value = _byte(code, end)
        return value == 0 or (value == 1 and _uses_carry(code, end + 1))


def _read_prefixes(code: Sequence[int], place: int) -> tuple[int, int]:
    """Return where an instruction's opcode is, and its REX prefix; 0 where it has none."""
    while _byte(code, place) == 0x66:  # noqa: PLR2004 - of operands of 16 bits
        place += 1
    prefix = _byte(code, place)
    if prefix >> 4 == 4:  # noqa: PLR2004 - the upper half of every REX prefix
        return place + 1, prefix
    return place, 0


def _operand_bytes(code: Sequence[int], place: int) -> int:
    """Return how many bytes an operand in memory has after its ModRM, which is at a place."""
    mode, operand = _byte(code, place) >> 6, _byte(code, place) & 7
    size = _DISPLACEMENTS[mode]
    if operand == _SIB:
        has_base = mode != 0 or _byte(code, place + 1) & 7 != _RELATIVE
        return 1 + size if has_base else 5
    if mode == 0 and operand == _RELATIVE:
        return 4
    return size


def _uses_carry(code: Sequence[int], place: int) -> bool:
    """Return whether the instruction at a place goes by the carry of a comparison."""
    place, _ = _read_prefixes(code, place)
    opcode = _byte(code, place)
    prefix, conditions = _SET_BY_CARRY
    return opcode in _USES_CARRY or (opcode == prefix and _byte(code, place + 1) in conditions)


def _byte(code: Sequence[int], place: int) -> int:
    """Return a byte of code; after its end one that begins no instruction that is looked for."""
    return code[place] if place < len(code) else 0xCC
