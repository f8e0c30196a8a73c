"""What CPython promises of its own containers and functions under threads, and where it is known to break that.

A race inside of the interpreter's code is the interpreter's where the package called what may be called without a lock.
It is the package's where the caller has to hold one, or where nobody but the package can have published the object.
"""

from .attribution import MOST_FRAMES, IsOwn
from .frames import Frame, locate
from .native_names import shorten_cpp
from .reports import Report, Stack, list_racing_accesses

CONTAINERS = {
    "listobject.c": "list", "dictobject.c": "dict", "setobject.c": "set", "bytearrayobject.c": "bytearray",
    "_collectionsmodule.c": "deque", "odictobject.c": "OrderedDict", "unicodeobject.c": "str", "bytesobject.c": "bytes",
    "tupleobject.c": "tuple", "memoryobject.c": "memoryview",
}  # fmt: skip
"""Builtin types by the source file of CPython that has their code."""

_CHANGEABLE = frozenset({"list", "dict", "set", "bytearray", "deque", "OrderedDict"})
"""Those that threads may share and change, each operation as a whole (Doc/library/threadsafety). What cannot be changed
is written only while it is made: a race for that is about how it was published."""

LEVELS = {
    # Levels as in CPython's Doc/data/threadsafety.dat: the caller has to keep others away ("compatible").
    "PyList_GetItem": "compatible", "PyList_GET_ITEM": "compatible", "PyList_SET_ITEM": "compatible",
    "PyByteArray_AsString": "compatible", "PyByteArray_AS_STRING": "compatible",
    "PyBytes_AsString": "compatible", "PyBytes_AS_STRING": "compatible", "PyBytes_AsStringAndSize": "compatible",
    "PyTuple_GetItem": "compatible", "PyTuple_GET_ITEM": "compatible", "PyTuple_SetItem": "compatible",
    "PyTuple_SET_ITEM": "compatible", "_PyTuple_Resize": "compatible", "_PyBytes_Resize": "distinct",
    "PyCapsule_Import": "compatible",
    "PyStructSequence_GetItem": "compatible", "PyStructSequence_SetItem": "compatible",
    # Not in that file yet: what Doc/howto/free-threading-extensions says of borrowed references, and Doc/c-api/dict of
    # PyDict_Next ("a critical section" round the loop). Functions of Include/internal do what their public ones do.
    "PyDict_Next": "compatible", "_PyDict_Next": "compatible",
    "PyDict_GetItem": "compatible", "PyDict_GetItemWithError": "compatible", "PyDict_GetItemString": "compatible",
    "_PyDict_GetItem_KnownHash": "compatible", "_PyDict_GetItemStringWithError": "compatible",
    "PyDict_SetDefault": "compatible", "PyWeakref_GetObject": "compatible", "PyWeakref_GET_OBJECT": "compatible",
    "PyImport_AddModule": "compatible", "PyCell_GET": "compatible", "PyCell_SET": "compatible",
    "PySequence_Fast": "compatible", "PySequence_Fast_GET_ITEM": "compatible", "_PySet_NextEntry": "compatible",
    # Only for an object that nobody else has yet.
    "PyUnicode_WriteChar": "distinct", "PyUnicode_CopyCharacters": "distinct", "PyUnicode_Fill": "distinct",
    "PyUnicode_Resize": "distinct", "PyUnicode_Append": "distinct", "PyByteArray_Resize": "distinct",
}  # fmt: skip
"""Functions of the C API for which the caller has to see that no other thread is at the object, with CPython's word for
the level. What is not listed may be called on a shared object."""

_MAKING = (
    "_New",
    "new_",
    "_new",
    "alloc",
    "_Py_NewReference",
    "_PyObject_Init",
    "_vectorcall",
    "clone_",
    "copy_values",
)
"""Parts of the names of functions that write an object which they are making: nobody has it yet, so that a reader got
it from code which published it without ordering."""

KNOWN_RACES = (
    (
        frozenset({"list_pop_impl", "list_ass_slice_lock_held", "list_ass_slice", "list_repeat_lock_held",
                   "list_inplace_repeat_lock_held", "list_resize"}),
        "gh-129069: a list moves its items by memmove beside readers without a lock; 3.14.5 has it, 3.15 does not",
    ),
)  # fmt: skip
"""Functions of CPython that are known to race, with the issue and the release without that (python/cpython#142957)."""

THROUGH_VIEW = "nobody locks memory that a memoryview has lent out: threads that use it have to agree (PEP 3118)"
"""What is known of a race between a package and who uses its memory through a memoryview."""


def is_interpreters_own(report: Report, is_own: IsOwn) -> bool:
    """Return whether a race is the interpreter's, though functions of the package called it.

    It is where both accesses are made by its own code on a container that it lets threads share, each by way of a
    function that needs no lock of the caller, and the memory is not what the package itself allocated.

    Args:
        report: what the sanitizer said.
        is_own: whether a frame is the package's.
    """
    accesses = list_racing_accesses(report)
    if not accesses:
        return False
    if report["allocation"] and _is_allocated_by_package(report["allocation"], is_own):
        return False

    return all(_is_guarded(access, is_own) for access in accesses)


def is_through_view(report: Report, is_own: IsOwn) -> bool:
    """Return whether a race is between the package and somebody who reads or writes its memory through a memoryview.

    Who lends memory out locks nothing while it is lent (PEP 3118): what threads do with it, they have to agree on. So
    it is of a bytearray, too.

    Args:
        report: what the sanitizer said.
        is_own: whether a frame is the package's.
    """
    return any(_is_of_view(access, is_own) for access in list_racing_accesses(report))


def _is_of_view(stack: Stack, is_own: IsOwn) -> bool:
    """Return whether the interpreter makes an access by the code of memoryview, without being asked by the package."""
    near = stack["frames"][:MOST_FRAMES]
    if any(is_own(frame) for frame in near):
        return False
    return any(CONTAINERS.get(_name_file(frame)) == "memoryview" for frame in near)


def explain_known_race(report: Report) -> str:
    """Return what is known of a race of the interpreter; empty where nothing is."""
    functions: set[str] = set()
    for stack in report["stacks"][:2]:
        functions.update(shorten_cpp(frame["function"]) for frame in stack["frames"][:MOST_FRAMES])

    for racing, known in KNOWN_RACES:
        if functions & racing:
            return known
    return ""


def _is_guarded(stack: Stack, is_own: IsOwn) -> bool:
    """Return whether the interpreter makes an access on a container, asked by a function that needs no lock."""
    container = ""
    api = ""  # what the package called, or the outermost of the interpreter's functions near
    for frame in stack["frames"][:MOST_FRAMES]:
        if is_own(frame):
            break
        api = shorten_cpp(frame["function"])
        is_making = any(part in api for part in _MAKING)
        if is_making and not container:
            return False
        container = container or CONTAINERS.get(_name_file(frame), "")

    return container in _CHANGEABLE and api not in LEVELS


def _is_allocated_by_package(frames: list[Frame], is_own: IsOwn) -> bool:
    """Return whether the package itself asked for memory: the interpreter allocates what its containers need."""
    for frame in frames[:MOST_FRAMES]:
        if is_own(frame):
            return True
        if frame["module"].startswith("python3") and "/" in frame["place"]:
            return False  # a function of CPython with a source file: not the sanitizer's `malloc <null>`

    return False


def _name_file(frame: Frame) -> str:
    return locate(frame)[0].rpartition("/")[2]
