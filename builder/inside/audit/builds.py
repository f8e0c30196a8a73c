"""Which build of CPython native code was compiled for: the one with the GIL, or the free-threaded one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .definition import HEADS

if TYPE_CHECKING:
    from .definition import Definition
    from .elf import Elf

# Functions that one build of CPython exports and the other does not, or that only code for one build calls.
_FREE_THREADED = (
    "_Py_MergeZeroLocalRefcount",
    "_Py_DecRefShared",
    "_Py_DecRefSharedDebug",
    "PyUnstable_Module_SetGIL",
    "_PyObject_ResurrectEndSlow",
    "_PyDict_EnsureSharedOnRead",
    "_PyObject_XDecRefDelayed",
)
_GIL = ("_Py_Dealloc",)
_SIGNS = (("free-threaded", _FREE_THREADED), ("gil", _GIL))


def detect_build(
    undefined_names: frozenset[str],
    definition: Definition | None,
    init: dict[str, Any],
    elf: Elf,
) -> tuple[str | None, str]:
    """Return (build, what shows it): the build of CPython that code was compiled for, `gil` or `free-threaded`.

    The strongest sign is a function that code for one build calls; then the layout of static objects, which differs
    between builds; then what the module says of itself. (None, "") where there is none of them: code that uses no
    Python, or only what both builds have.
    """
    for build, signs in _SIGNS:
        for sign in signs:
            if sign in undefined_names:
                return build, sign

    if definition is not None:
        return definition.build, "the layout of its module definition"

    uses_python = any(name.startswith("Py") for name in undefined_names)
    if uses_python:
        for build, head in HEADS.items():
            if next(elf.addresses_of(head), None) is not None:
                return build, "the layout of its static objects"

    stated_builds = init["abi"]["builds"] if init["abi"] else []
    if len(stated_builds) == 1:
        return stated_builds[0], "its Py_mod_abi slot"

    return None, ""
