"""What can be done with a value: an expression for each of its methods, attributes and slots, arguments left open."""

import inspect
import types
from collections.abc import Container, Iterator
from typing import NamedTuple

from . import values
from .expressions import SLOTS
from .surface import Surface

_OF_THE_INTERPRETER = frozenset({"builtins", "abc", "typing", "enum", "collections"})
"""Modules whose classes a package's own derive from: what they define is not the package's."""


class Template(NamedTuple):
    """An expression in which `s` is the subject and `{}` the place of arguments.

    Attributes:
        name: the attribute of the subject that it uses.
        text: the expression.
        arity: how many arguments it takes; None where that is to be found out.
    """

    name: str
    text: str
    arity: int | None


def iter_templates(value: object, surface: Surface) -> Iterator[Template]:
    """Give a template for everything that can be done with a value: call its methods, read attributes, use operators.

    Public attributes come first. Attributes that end a process by design are skipped, and so are those that make an
    object, private ones of Python code, and those that a class of Python itself defines.

    Args:
        value: the value.
        surface: knows what is native.
    """
    value_type = type(value)
    for name in sorted(dir(value_type), key=_rank_attribute):
        native_name = surface.find_attribute_name(value_type, name)
        is_slot = name in SLOTS
        is_native = native_name is not None
        # A private name is used only where it is that of a native callable, or of a slot that the package defines.
        is_hidden = name.startswith("_") and native_name not in surface.callables
        is_own_slot = is_slot and _is_written_by(surface.roots, value_type, name)
        is_unfit = name in values.NEVER or name in values.OF_NEW_OBJECTS
        is_skipped = is_unfit or (is_hidden and not is_own_slot)
        if is_skipped or _is_inherited(value_type, name):
            continue

        if not is_slot:
            yield from _iter_of_attribute(value, name)
        elif is_native or is_own_slot:
            yield Template(name, *SLOTS[name])
            if name == "__iter__":  # an iterator of its own can be shared
                yield Template(name, "iter(s)", 0)

    # A native type tells the garbage collector what its objects refer to, in code of its own.
    if id(value_type) in surface.types:
        yield Template("__traverse__", "gc.get_referents(s) and None", 0)


def _iter_of_attribute(value: object, name: str) -> Iterator[Template]:
    """Give templates for an attribute that is no slot: call it, or read it and, where it can be set, set it.

    `update` -> `s.update({})`; `size` -> `s.size` and `setattr(s, 'size', {})`. Nothing where the type has no such
    attribute.
    """
    descriptor = inspect.getattr_static(type(value), name, None)
    if callable(getattr(value, name, None)):
        yield Template(name, f"s.{name}({{}})", None)
    elif descriptor is not None:
        yield Template(name, f"s.{name}", 0)
        if hasattr(type(descriptor), "__set__"):
            yield Template(name, f"setattr(s, {name!r}, {{}})", 1)


def _rank_attribute(name: str) -> tuple[bool, str]:
    """Rank an attribute's name: public before private, then by the alphabet."""
    return name.startswith("_"), name


def _is_inherited(kind: type, name: str) -> bool:
    """Return whether the class that defines an attribute is one of Python itself."""
    return _find_definer(kind, name).__module__ in _OF_THE_INTERPRETER


def _is_written_by(roots: Container[str], kind: type, name: str) -> bool:
    """Return whether Python code of the package, whose modules are below `roots`, defines an attribute of a class."""
    definer = _find_definer(kind, name)
    is_python = isinstance(definer.__dict__.get(name), types.FunctionType)
    return is_python and definer.__module__.partition(".")[0] in roots


def _find_definer(kind: type, name: str) -> type:
    return next((base for base in kind.__mro__ if name in base.__dict__), object)
