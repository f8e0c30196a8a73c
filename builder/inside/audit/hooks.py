"""How an extension module is initialised, read without loading it.

Facts:

`function`  whether it has a function that import calls, by its name
`hooks`     those it has: `PyInit`, `PyModExport` (PEP 793)
`phases`    `single`, `multi`, or None where neither shows
`slots`     `multiple_interpreters` and `gil` -> value, where its slots can be read
`abi`       what it says it was compiled for, in its slot `Py_mod_abi`, or None: `stable`, whether for the stable ABI;
            `builds`, for which builds of CPython, none for any; `version`, of the ABI, such as `3.15`, or empty

The array of slots is that of a static PyModuleDef, or the one that `PyModExport_NAME` returns; a function that does
more than to return a constant is not followed.
"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Any

from .definition import find_slots, read_slots
from .elf_file import ElfError

if TYPE_CHECKING:
    from .definition import Definition
    from .elf import Elf

PREFIXES = ("PyInit_", "PyInitU_", "PyModExport_", "PyModExportU_")
_HOOKS = ("PyInit", "PyModExport")
_SINGLE_PHASE = {"PyModule_Create2", "PyModule_FromDefAndSpec2"}

# Include/slots_generated.h of CPython 3.15; the smaller numbers are those of 3.14 and older, which mean the same.
_SLOTS = {3: "multiple_interpreters", 4: "gil", 86: "multiple_interpreters", 87: "gil"}
_MOD_ABI = 109

# PyABIInfo in Include/modsupport.h: major and minor version of the structure, flags, versions of build and ABI.
_ABI_INFO = "<BBHII"
_STABLE = 1
_BUILD_FLAGS = {2: "gil", 4: "free-threaded"}

# x86-64: what a function that returns the address of an array, or a pointer to one, begins with.
_PROLOGUES = (b"\xf3\x0f\x1e\xfa", b"\x55\x48\x89\xe5")  # endbr64; push rbp, mov rbp rsp
_LEA_RAX = b"\x48\x8d\x05"
_MOV_RAX = b"\x48\x8b\x05"
_ENDS = (b"\xc3", b"\x5d\xc3")  # ret; pop rbp, ret


def describe_init(
    path: str,
    defined: frozenset[str],
    undefined_names: frozenset[str],
    definition: Definition | None,
    elf: Elf,
) -> dict[str, Any]:
    """Return how an extension module is initialised: the facts that the top of this module lists.

    Slots are read of multi-phase modules alone: the others have none.
    """
    names = {hook: _name_hook(hook, _find_module_name(path)) for hook in _HOOKS}
    hooks = [hook for hook, name in names.items() if name in defined]

    phases = None
    if "PyModExport" in hooks or "PyModuleDef_Init" in undefined_names:
        phases = "multi"
    elif undefined_names & _SINGLE_PHASE:
        phases = "single"

    address = 0
    if "PyModExport" in hooks:
        address = _find_returned(
            names["PyModExport"], elf
        )  # CPython 3.15 ignores a PyInit beside it
    elif definition is not None and phases == "multi":
        address = find_slots(definition, elf)
    numbered = read_slots(address, elf)

    return {
        "function": bool(hooks),
        "hooks": hooks,
        "phases": phases,
        "slots": {_SLOTS[number]: value for number, value in numbered.items() if number in _SLOTS},
        "abi": _read_abi(numbered.get(_MOD_ABI, 0), elf),
    }


def _find_module_name(path: str) -> str:
    """Return the last part of a module's dotted name: `a/b.abi3.so` -> `b`, `a/__init__.abi3.so` -> `a`."""
    name = posixpath.basename(path).partition(".")[0]
    if name == "__init__":
        name = posixpath.basename(posixpath.dirname(path))

    return name


def _name_hook(hook: str, module: str) -> str:
    """Return the function of a module that import looks for: `PyInit`, `b` -> `PyInit_b` (PEP 489, PEP 793).

    A name that is not ASCII is written in Punycode.
    """
    if module.isascii():
        return f"{hook}_{module}".replace("-", "_")

    encoded = module.encode("punycode").decode("ascii")
    return f"{hook}U_{encoded}".replace("-", "_")


def _find_returned(function: str, elf: Elf) -> int:
    """Return the constant address that a function returns; 0 where it does more, or leads outside the file."""
    address = next((symbol.value for symbol in elf.symbols if symbol.name == function), 0)
    try:
        for prologue in _PROLOGUES:
            if elf.content(address, len(prologue)) == prologue:
                address += len(prologue)

        size = len(_LEA_RAX) + 4
        code = elf.content(address, size)
        end = address + size
        if not any(elf.content(end, len(ending)) == ending for ending in _ENDS):
            return 0

        target = end + int.from_bytes(code[-4:], "little", signed=True)
        if code.startswith(_LEA_RAX):
            return target
        return elf.word(target) if code.startswith(_MOV_RAX) else 0
    except ElfError:
        return 0


def _read_abi(address: int, elf: Elf) -> dict[str, Any] | None:
    """Return what a PyABIInfo structure says, as the fact `abi`; None where there is none that can be read.

    The fields, and what import does with them: `PyABIInfo_Check` in CPython's C API, new in 3.15.
    """
    if not address:
        return None
    try:
        major, _, flags, _, version = elf.unpack(_ABI_INFO, address)
    except ElfError:
        return None
    if major != 1:
        return None  # 0 switches the check off, and nobody knows a later one

    return {
        "stable": bool(flags & _STABLE),
        "builds": [build for flag, build in _BUILD_FLAGS.items() if flags & flag],
        "version": f"{version >> 24}.{version >> 16 & 0xFF}" if version else "",
    }
