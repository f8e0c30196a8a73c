"""Which function of a file of native code is which callable of Python, read in the process that has imported it.

A stack has functions of C, and maybe not even their names: `backend_c.so+0x11662d`. What a method, an attribute or a
slot of a type leads to is known to the interpreter by address, whatever the file was stripped of.

The layouts are those of CPython's headers (methodobject.h, descrobject.h, cpython/object.h), and the same from 3.9 to
3.14 but for the head of an object. Memory is read only where the interpreter itself would read it.
"""

import ctypes
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from .surface import Surface

_HEAD = object.__basicsize__
"""Bytes of `PyObject`: 16, or 32 without the GIL."""

_POINTER = 8  # bytes: the farm builds for machines of 64 bits only

# Fields of objects, counted in pointers behind the head.
_FUNCTION_TABLE = 0  # PyCFunctionObject.m_ml, also of Cython's functions, which begin with one
_DESCRIPTOR_TABLE = 3  # PyMethodDescrObject.d_method, PyGetSetDescrObject.d_getset
_WRAPPED = 4  # PyWrapperDescrObject.d_wrapped: the function in the slot

# Fields of the tables themselves, in pointers.
_METHOD = 1  # PyMethodDef.ml_meth
_GETTER, _SETTER = 1, 2  # PyGetSetDef.get, PyGetSetDef.set

_SLOTS = {
    4: ("__dealloc__", "free"),
    21: ("__traverse__", "free"),
    22: ("__clear__", "free"),
    37: ("__new__", "new"),
}
"""Slots of a type that no attribute of it leads to, by their place behind `PyObject` in pointers, with the name that
they go by here and what a call of them is for: tp_dealloc, tp_traverse, tp_clear and tp_new."""

_FUNCTION_KINDS = frozenset(
    {"builtin_function_or_method", "cython_function_or_method", "fused_cython_function"}
)
_RUNTIME_MODULES = ("_cython_", "pybind11_")
"""How the modules of types begin that a code generator brings along: what they do is done for the package's own."""

_METHOD_KINDS = frozenset({"method_descriptor", "classmethod_descriptor"})

_MOST_FUNCTIONS = 20_000  # of all files; lxml has some 3,000
_MOST_BYTES = 1 << 30  # of a file whose symbols are read
_ELF_MAGIC = b"\x7fELF\x02\x01"  # of 64 bits, the least significant byte first
_HEADER = struct.Struct("<16xHHIQQQIHHHHHH")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_SYMBOL = struct.Struct("<IBBHQQ")
_SYMBOL_TABLES = frozenset({2, 11})  # SHT_SYMTAB, SHT_DYNSYM
_FUNCTION = 2  # STT_FUNC, the low four bits of st_info


class _Mapping(NamedTuple):
    """A part of a file in memory."""

    start: int
    end: int
    path: str


class _Callable(NamedTuple):
    """What a function of C is in Python.

    Attributes:
        address: of the function.
        name: dotted, such as `pkg._core.Table.add`.
        kind: how it is reached: `function` (of a module), `call` (a method), `get` or `set` (an attribute), `new`, or
            `free` (the collector's).
        source: `FILE:LINE` of its definition, where the function itself knows that (Cython); else empty.
    """

    address: int
    name: str
    kind: str
    source: str


def list_native_functions(surface: Surface, site: str) -> list[dict[str, Any]]:
    """Return the functions of all native code in a folder that Python can call, by file.

    Args:
        surface: a distribution's modules, imported.
        site: the folder; code from elsewhere is the interpreter's or the system's.

    Returns:
        For each file `path`, `base` (where it is in memory) and `functions`: `[offset, size, name, kind, source]` of
        each, sorted; the size is 0 where the file has no symbol for the function.
    """
    mappings = _find_mappings(site)
    found: dict[int, _Callable] = {}
    for candidate in _iter_callables(surface, mappings):
        # One function may serve several names, as one does all comparisons: the first stands for them.
        found.setdefault(candidate.address, candidate)
        if len(found) >= _MOST_FUNCTIONS:
            break

    files: list[dict[str, Any]] = []
    for path in dict.fromkeys(mapping.path for mapping in mappings):
        parts = [mapping for mapping in mappings if mapping.path == path]
        base = min(part.start for part in parts)
        sizes = _read_sizes(path)
        functions = []
        for function in sorted(found.values()):
            if any(part.start <= function.address < part.end for part in parts):
                offset = function.address - base
                size = sizes.get(offset, 0)
                functions.append([offset, size, function.name, function.kind, function.source])
        if functions:
            files.append({"path": path, "base": base, "functions": functions})

    return files


def _find_mappings(site: str) -> list[_Mapping]:
    """Return the parts of files below a folder that are in this process's memory (proc(5))."""
    mappings = []
    for line in Path("/proc/self/maps").read_text().splitlines():
        fields = line.split(maxsplit=5)
        is_file = len(fields) == 6  # noqa: PLR2004 - the path comes last, and anonymous memory has none
        if is_file and fields[5].startswith(f"{site}/"):
            start, _, end = fields[0].partition("-")
            mappings.append(_Mapping(int(start, 16), int(end, 16), fields[5]))

    return mappings


def _iter_callables(surface: Surface, mappings: list[_Mapping]) -> Iterator[_Callable]:
    """Give what native functions of these files are in Python, public names before the rest."""
    for module in surface.natives:
        for name, value in list(vars(module).items()):
            if type(value).__name__ in _FUNCTION_KINDS:
                public = surface.functions.get(id(value), f"{module.__name__}.{name}")
                yield from _read_function(value, public, "function", mappings)

    for kind in _list_types():
        # What Python code defines has no native function of its own, and asking it may run code.
        if "__firstlineno__" in type.__dict__["__dict__"].__get__(kind):
            continue
        if str(kind.__module__).startswith(_RUNTIME_MODULES):
            continue
        has_home = kind.__module__ != "builtins" or not surface.natives
        home = kind.__module__ if has_home else surface.find_home(kind).__name__
        own_name = f"{home}.{kind.__qualname__}"
        type_name = surface.types.get(id(kind), own_name)
        for name, value in list(kind.__dict__.items()):
            yield from _read_attribute(value, f"{type_name}.{name}", mappings)
        yield from _read_slots(kind, type_name, mappings)


def _list_types() -> list[type]:
    """Return every class that there is, the oldest first."""
    known: dict[int, type] = {}
    waiting: list[type] = [object]
    while waiting:
        kind = waiting.pop()
        if id(kind) in known:
            continue
        known[id(kind)] = kind
        waiting += reversed(type.__subclasses__(kind))

    return list(known.values())


def _read_attribute(value: object, name: str, mappings: list[_Mapping]) -> Iterator[_Callable]:
    """Give the native functions behind an attribute of a class."""
    kind = type(value).__name__
    if isinstance(value, (staticmethod, classmethod)):
        yield from _read_attribute(value.__func__, name, mappings)
    elif kind in _FUNCTION_KINDS:
        yield from _read_function(value, name, "call", mappings)
    elif kind in _METHOD_KINDS:
        table = _read_field(value, _DESCRIPTOR_TABLE)
        if _is_inside(table, mappings):
            yield _Callable(_read_pointer(table, _METHOD), name, "call", "")
    elif kind == "getset_descriptor":
        table = _read_field(value, _DESCRIPTOR_TABLE)
        if _is_inside(table, mappings):
            yield _Callable(_read_pointer(table, _GETTER), name, "get", "")
            yield _Callable(_read_pointer(table, _SETTER), name, "set", "")
    elif kind == "wrapper_descriptor":
        function = _read_field(value, _WRAPPED)
        if _is_inside(function, mappings):
            yield _Callable(function, name, "call", "")


def _read_function(
    value: object, name: str, kind: str, mappings: list[_Mapping]
) -> Iterator[_Callable]:
    """Give the native function behind a function object."""
    table = _read_field(value, _FUNCTION_TABLE)
    if not _is_inside(
        table, mappings
    ):  # made while it runs, as pybind11 does: nothing is known of it
        return

    code = getattr(value, "__code__", None)
    source = ""
    if code is not None:
        source = f"{code.co_filename}:{code.co_firstlineno}"
    yield _Callable(_read_pointer(table, _METHOD), name, kind, source)


def _read_slots(kind: type, name: str, mappings: list[_Mapping]) -> Iterator[_Callable]:
    """Give the native functions in the slots of a class that none of its attributes leads to."""
    for place, (slot_name, slot_kind) in _SLOTS.items():
        function = _read_field(kind, place)
        if _is_inside(function, mappings):
            yield _Callable(function, f"{name}.{slot_name}", slot_kind, "")


def _read_field(value: object, place: int) -> int:
    return _read_pointer(id(value) + _HEAD, place)


def _read_pointer(address: int, place: int) -> int:
    return ctypes.c_size_t.from_address(address + place * _POINTER).value


def _is_inside(address: int, mappings: list[_Mapping]) -> bool:
    return any(mapping.start <= address < mapping.end for mapping in mappings)


def _read_sizes(path: str) -> dict[int, int]:
    """Return the sizes of a file's functions by their offsets; empty where it was stripped, or is no such file."""
    sizes: dict[int, int] = {}
    try:
        with Path(path).open("rb") as file:
            content = file.read(_MOST_BYTES)
        for value, size in _iter_function_symbols(content):
            sizes[value] = max(size, sizes.get(value, 0))
    except (OSError, struct.error, ValueError):
        return sizes

    return sizes


def _iter_function_symbols(content: bytes) -> Iterator[tuple[int, int]]:
    """Give offset and size of each function that an ELF file has a symbol for.

    Raises:
        ValueError: it is no ELF file of this kind of machine.
        struct.error: it is cut.
    """
    if not content.startswith(_ELF_MAGIC):
        raise ValueError("it is no file of 64 bits")

    fields = _HEADER.unpack_from(content)
    sections_offset, section_size, section_count = fields[5], fields[10], fields[11]
    for index in range(section_count):
        section = _SECTION.unpack_from(content, sections_offset + index * section_size)
        kind, offset, size = section[1], section[4], section[5]
        if kind not in _SYMBOL_TABLES:
            continue
        table = content[offset : offset + size - size % _SYMBOL.size]
        for _, information, _, _, value, symbol_size in _SYMBOL.iter_unpack(table):
            if information & 0xF == _FUNCTION and symbol_size:
                yield value, symbol_size
