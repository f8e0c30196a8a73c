"""Native calls of a package in the moment before they are made: on what, and with which arguments.

Python's monitoring (PEP 669) tells which callable a call is about to reach, and its first argument. The other arguments
are read from the frame that makes the call.
"""

import ctypes
import dis
import sys
import types
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from .surface import Surface, find_owner, is_native_function
from .wrappers import Wrappers

TOOL_ID = 4
"""A tool number that PEP 669 reserves for nobody: what is called may use those of debuggers and profilers."""

# `struct _PyInterpreterFrame` of CPython 3.14 (Include/internal/pycore_interpframe_structs.h), with and without GIL.
_FRAME_OBJECT = 48
_STACK_POINTER = 64
_WORD = 8
_TAG_BITS = 3  # of a reference on the stack: the lowest bits say how it is counted

_MOST_CODES = 20_000  # whose instructions are kept; a package's tests have far fewer

_SLOT_CALLS: Mapping[object, str] = {
    len: "__len__",
    iter: "__iter__",
    next: "__next__",
    repr: "__repr__",
    str: "__str__",
    hash: "__hash__",
    bytes: "__bytes__",
    memoryview: "__buffer__",
    list: "__iter__",
    tuple: "__iter__",
    sorted: "__iter__",
    dict: "keys",
    abs: "__abs__",
    reversed: "__reversed__",
    int: "__int__",
    float: "__float__",
}
"""Builtins that call a method of their first argument, and which."""


class LiveCall(NamedTuple):
    """A call that is about to be made.

    Attributes:
        name: the native callable, as the surface has it, such as `pkg._speedups.Parser.feed`, or a wrapper in Python
            (wrappers.py); empty for other public Python code of the package.
        text: how an expression calls it: `s.feed({})`, `pkg.Parser({})` or `len(s)`.
        function: what is called.
        receiver: the object it is called on; None where there is none.
        is_bound: whether `function` has the receiver in itself.
        arguments: positional arguments, without the receiver.
        keywords: the others, by name.
        makes: the type of which it makes an object; None where it makes none.
    """

    name: str
    text: str
    function: Callable[..., Any]
    receiver: object
    is_bound: bool
    arguments: tuple[object, ...]
    keywords: dict[str, object]
    makes: type | None


Arguments = tuple[tuple[object, ...], dict[str, object]]


class CallReader:
    """Recognises calls of a package's native code.

    Attributes:
        sites: instructions that called native code of the package, as (id of the code, offset).
        wrappers: Python code by which users reach native code that has no public name.
    """

    def __init__(self, surface: Surface, wrappers: Wrappers | None = None) -> None:
        """Prepare to recognise calls.

        Args:
            surface: the package's native callables.
            wrappers: takes in what wraps them; None where calls of wrappers are of no interest.
        """
        self.wrappers = wrappers
        self._surface = surface
        self._bytecode: dict[int, tuple[types.CodeType, bytes]] = {}
        self._kinds: dict[
            int, object
        ] = {}  # types that were met; kept, so that their ids stay theirs
        self.sites: set[tuple[int, int]] = set()
        self.refresh()

    def refresh(self) -> None:
        """Take the public names from the surface, which may have grown since."""
        self._public_names = dict(_name_publicly(self._surface))

    def read(
        self,
        frame: types.FrameType,
        code: types.CodeType,
        offset: int,
        function: object,
        first: object,
    ) -> LiveCall | None:
        """Return the call that an instruction is about to make; None where it is none of native code of the package.

        Args:
            frame: the frame that makes it.
            code: the frame's code.
            offset: the instruction, in bytes.
            function: what is called.
            first: its first argument, or what monitoring has where there is none.
        """
        named = self._name(function, first)
        if named is not None:
            self.sites.add((id(code), offset))
        else:
            named = self._name_wrapper(function, first) or self._name_public(function)
        if named is None:
            return None

        passed = self._read_arguments(frame, code, offset, function)
        if passed is None:
            return None

        name, text = named
        arguments, keywords = passed
        makes = function if isinstance(function, type) and text.endswith("({})") else None
        bound_to = getattr(function, "__self__", None)
        # A binding generator's functions may have a record of their own there.
        method = name.rpartition(".")[2]
        has_method = self._surface.find_attribute_name(type(bound_to), method) is not None
        is_bound = text.startswith("s.") and has_method
        takes_receiver = not is_bound and (text.startswith("s.") or "(s" in text)
        receiver = bound_to if is_bound else None
        if takes_receiver:
            if not arguments:
                return None
            receiver, *rest = arguments
            arguments = tuple(rest)

        return LiveCall(
            name=name,
            text=text,
            function=function,  # type: ignore[arg-type] # it is about to be called
            receiver=receiver,
            is_bound=is_bound,
            arguments=arguments,
            keywords=keywords,
            makes=makes,
        )

    def is_offered(self, call: LiveCall, *, by_package: bool) -> bool:
        """Return whether users make a call like this themselves.

        What has no public name is called by the package's own code, which may protect it by a lock. An object of such
        a type may have been given to a user, who calls its methods.

        Args:
            call: the call.
            by_package: whether the package's own code makes it.
        """
        if self.wrappers is not None and call.name in self.wrappers:
            return not by_package
        if call.receiver is not None:
            kinds = type(call.receiver).__mro__
            return not by_package or any(id(kind) in self._public_names for kind in kinds)

        is_type = isinstance(call.function, type)
        is_function = id(call.function) in self._surface.functions
        return id(call.function) in self._public_names or not (is_type or is_function)

    def is_in_native_code(self, frame: types.FrameType | None) -> bool:
        """Return whether a frame, or one above it, was called by native code of the package, or imports a module.

        What native code holds then, such as a lock, it holds for the thread that is in it.
        """
        while frame is not None:
            if (id(frame.f_code), frame.f_lasti) in self.sites:
                return True
            if frame.f_code.co_filename.startswith("<frozen importlib"):
                return True
            frame = frame.f_back

        return False

    def _name(self, function: object, first: object) -> tuple[str, str] | None:
        """Return the native callable's name and how an expression calls it; None where it is not the package's."""
        surface = self._surface
        name: str | None = None
        if isinstance(function, type):
            name = surface.types.get(id(function))
            if name is not None:
                return name, f"{self._public_names.get(id(function), name)}({{}})"
        elif is_native_function(function):
            self._note_kinds(function)
            name = surface.find_native_name(function, first)
            if name is not None:
                return name, self._write_call(function, first, name)
        elif any(id(base) in surface.types for base in type(function).__mro__):
            name = surface.find_attribute_name(type(function), "__call__")
            return None if name is None else (name, "s({})")

        return self._name_slot_call(function, first)

    def _name_wrapper(self, function: object, first: object) -> tuple[str, str] | None:
        """Return the name of a wrapper, and how an expression calls it; None where it is none, or a class method."""
        name = None if self.wrappers is None else self.wrappers.find_name(function)
        if name is None:
            return None

        last_name = name.rpartition(".")[2]
        if isinstance(function, types.FunctionType) and "." in function.__qualname__:
            is_of_object = getattr(type(first), last_name, None) is function
            return (name, f"s.{last_name}({{}})") if is_of_object else None
        return name, f"{self._public_names.get(id(function), name)}({{}})"

    def _name_public(self, function: object) -> tuple[str, str] | None:
        """Return how an expression calls Python code of the package that makes objects, without a native name."""
        name = self._public_names.get(id(function))
        is_python = isinstance(function, (type, types.FunctionType))
        return ("", f"{name}({{}})") if name is not None and is_python else None

    def _note_kinds(self, function: object) -> None:
        """Have the surface know the type of a method, which no module may have a name for, such as that of a result."""
        kind = find_owner(function)
        if id(kind) in self._kinds:
            return

        self._kinds[id(kind)] = kind
        self._surface.note_owner(function)

    def _name_slot_call(self, function: object, first: object) -> tuple[str, str] | None:
        """Return the slot of its first argument that a builtin calls, and how; None for what calls none of the package.

        `len(s)` calls `__len__`. The receiver comes first, whatever follows: `next(s, None)`.
        """
        is_builtin = isinstance(function, (type, types.BuiltinFunctionType))
        slot = _SLOT_CALLS.get(function) if is_builtin else None
        if slot is None:
            return None

        name = self._surface.find_attribute_name(type(first), slot)
        called = getattr(function, "__name__", "")
        return None if name is None else (name, f"{called}(s{{}})")

    def _write_call(self, function: object, first: object, name: str) -> str:
        """Return how an expression calls a native function: as a method of `s`, or by a name that modules have."""
        if id(function) in self._surface.functions:
            return f"{self._public_names.get(id(function), name)}({{}})"

        last_name = name.rpartition(".")[2]
        bound_to = getattr(function, "__self__", None)
        if isinstance(bound_to, type):  # a class method
            type_name = self._surface.types.get(id(bound_to), bound_to.__qualname__)
            return f"{self._public_names.get(id(bound_to), type_name)}.{last_name}({{}})"
        is_static = bound_to is None and not _is_method_of(first, last_name)
        if is_static:
            return f"{name}({{}})"

        return f"s.{last_name}({{}})"

    def _read_arguments(
        self, frame: types.FrameType, code: types.CodeType, offset: int, function: object
    ) -> Arguments | None:
        """Return all arguments of a call, the receiver among them; None where they are not where they should be."""
        if len(self._bytecode) > _MOST_CODES:
            self._bytecode.clear()
        if id(code) not in self._bytecode:
            self._bytecode[id(code)] = (code, code.co_code)
        bytecode = self._bytecode[id(code)][1]
        instruction, count = dis.opname[bytecode[offset]], bytecode[offset + 1]

        top = _find_stack_top(frame)
        if top is None:
            return None
        if instruction == "CALL":
            return _read_call(top, count, function, ())
        if instruction == "CALL_KW":
            names = _read_object(top - _WORD)
            return (
                _read_call(top - _WORD, count, function, names)
                if isinstance(names, tuple)
                else None
            )
        if instruction == "CALL_FUNCTION_EX":
            return _read_unpacked_call(top, function)

        return None


def _name_publicly(surface: Surface) -> list[tuple[int, str]]:
    """Return the shortest name of each class and function that is native, by its id."""
    return [(id(value), name) for name, value in surface.list_public()]


def _is_method_of(first: object, name: str) -> bool:
    return hasattr(type(first), name)


def _find_stack_top(frame: types.FrameType) -> int | None:
    """Return the address above the newest value on a frame's stack; None in an interpreter of another layout."""
    head = object.__basicsize__
    inner = ctypes.c_size_t.from_address(id(frame) + head + _WORD).value
    if ctypes.c_size_t.from_address(inner + _FRAME_OBJECT).value != id(frame):
        return None

    return ctypes.c_size_t.from_address(inner + _STACK_POINTER).value


def _read_object(address: int) -> object:
    """Return the object that a place of the stack refers to; `_NOTHING` where there is none."""
    reference = ctypes.c_size_t.from_address(address).value & ~_TAG_BITS
    if not reference:
        return _NOTHING

    return ctypes.cast(reference, ctypes.py_object).value


_NOTHING = object()
"""Stands for an empty place on the stack."""


def _holds(address: int, value: object) -> bool:
    """Return whether a place of the stack refers to an object."""
    return ctypes.c_size_t.from_address(address).value & ~_TAG_BITS == id(value)


def _read_call(
    top: int, count: int, function: object, names: tuple[object, ...]
) -> Arguments | None:
    """Return the arguments of a call: below the top are `count` of them, the receiver or nothing, and the callable."""
    if not _holds(top - (count + 2) * _WORD, function):
        return None

    values = [_read_object(top - number * _WORD) for number in range(count, 0, -1)]
    receiver = _read_object(top - (count + 1) * _WORD)
    if any(value is _NOTHING for value in values):
        return None

    by_position = len(values) - len(names)
    keywords = {str(name): value for name, value in zip(names, values[by_position:], strict=True)}
    arguments = values[:by_position]
    if receiver is not _NOTHING:
        arguments.insert(0, receiver)

    return tuple(arguments), keywords


def _read_unpacked_call(top: int, function: object) -> Arguments | None:
    """Return the arguments of a call such as `f(*arguments, **keywords)`."""
    keywords = _read_object(top - _WORD)
    arguments = _read_object(top - 2 * _WORD)
    if not isinstance(arguments, tuple) or not _holds(top - 4 * _WORD, function):
        return None

    return arguments, dict(keywords) if isinstance(keywords, dict) else {}


Note = Callable[[types.CodeType, int, object, object], object]
"""Takes a call: the code that makes it, the instruction in bytes, what is called, and its first argument."""


def watch_calls(note: Note, note_raised: Note) -> None:
    """Have every call of this process noted, until `stop_watching`.

    Args:
        note: is told of a call before it is made.
        note_raised: is told of one that raised; where `note` gave DISABLE, of no more.
    """
    monitoring: Any = sys.monitoring  # type: ignore[attr-defined] # the farm's own interpreter may be older
    monitoring.use_tool_id(TOOL_ID, "wheelfarm")
    monitoring.register_callback(TOOL_ID, monitoring.events.CALL, note)
    # That calls raise is told wherever calls are (PEP 669).
    monitoring.register_callback(TOOL_ID, monitoring.events.C_RAISE, note_raised)
    monitoring.set_events(TOOL_ID, monitoring.events.CALL)


def stop_watching() -> None:
    """Have no more calls noted."""
    monitoring: Any = sys.monitoring  # type: ignore[attr-defined]
    monitoring.set_events(TOOL_ID, 0)
    monitoring.free_tool_id(TOOL_ID)
