"""What a loaded extension module declares of itself, read from its `PyModuleDef` (PEP 489)."""

from __future__ import annotations

import builtins
import ctypes
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

globals()["__builtins__"] = dict(vars(builtins))
"""What functions of this module take for built in, whatever a package puts into `builtins` later."""

# Numbers and values of slots in Include/moduleobject.h.
_MULTIPLE_INTERPRETERS = 3  # Py_mod_multiple_interpreters
_GIL = 4  # Py_mod_gil
_INTERPRETERS_VALUES = {0: "no", 1: "shared-gil", 2: "own-gil"}
_GIL_VALUES = {0: "used", 1: "not-used"}


class _Definition(ctypes.Structure):
    """`PyModuleDef`. The object's header is larger without the GIL; `object` knows by how much."""

    _fields_ = (
        ("header", ctypes.c_byte * object.__basicsize__),
        ("base", ctypes.c_void_p * 3),
        ("name", ctypes.c_char_p),
        ("doc", ctypes.c_void_p),
        ("size", ctypes.c_ssize_t),
        ("methods", ctypes.c_void_p),
        ("slots", ctypes.c_void_p),
    )


class _Slot(ctypes.Structure):
    _fields_ = (("kind", ctypes.c_int), ("value", ctypes.c_void_p))


_get_definition = ctypes.pythonapi.PyModule_GetDef
_get_definition.restype = ctypes.c_void_p
_get_definition.argtypes = (ctypes.py_object,)


def read_declarations(module: object) -> dict[str, str | None]:
    """Return what an extension module declares of itself.

    Returns:
        `init`: `single-phase`, `multi-phase`, or None where that cannot be told; and the values of the slots `gil`
        (PEP 703) and `interpreters` (PEP 684), None where it has no such slot.
    """
    address = _definition_address(module)
    if not address:
        return {"init": None, "gil": None, "interpreters": None}

    first_slot = _Definition.from_address(address).slots
    if not first_slot:
        return {"init": "single-phase", "gil": None, "interpreters": None}

    slots = dict(_iter_slots(first_slot))
    return {
        "init": "multi-phase",
        "gil": _GIL_VALUES.get(slots.get(_GIL, -1)),
        "interpreters": _INTERPRETERS_VALUES.get(slots.get(_MULTIPLE_INTERPRETERS, -1)),
    }


def _definition_address(module: object) -> int | None:
    """Return the address of a module's `PyModuleDef`; None, or 0, where it has none.

    A module can put an object of any type into `sys.modules` in place of itself: such an object has no definition.
    """
    try:
        address: int | None = _get_definition(module)
    except (TypeError, SystemError):  # it is no module object, see above
        return None

    return address


def _iter_slots(address: int) -> Iterator[tuple[int, int]]:
    """Give (kind, value) of each slot of an array that a zero ends."""
    while (slot := _Slot.from_address(address)).kind:
        yield slot.kind, slot.value or 0
        address += ctypes.sizeof(_Slot)
