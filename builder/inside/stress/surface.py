"""Which native callables an installed distribution has, and the public names they go by."""

import importlib
import inspect
import sys
import types
from collections.abc import Iterator
from importlib.machinery import ExtensionFileLoader
from typing import Any

_BUILTIN = (
    types.BuiltinFunctionType,
    types.MethodDescriptorType,
    types.WrapperDescriptorType,
    types.ClassMethodDescriptorType,
)
_DATA = (types.GetSetDescriptorType, types.MemberDescriptorType)
_FOREIGN_FUNCTIONS = {
    "cython_function_or_method",
    "fused_cython_function",
    "nb_func",
    "nb_method",
    "instancemethod",
}
_IDLE_SLOTS = {
    "__new__", "__init__", "__getattribute__", "__setattr__", "__delattr__", "__doc__", "__module__", "__weakref__", "__dict__",
    "__pyx_vtable__", "__class_getitem__", "__init_subclass__", "__subclasshook__", "__pyx_capi__", "__dir__",
    # One C function serves all comparisons, and one serves an operator and its reflection.
    "__ne__", "__le__", "__gt__", "__ge__", "__radd__", "__rsub__", "__rmul__", "__rtruediv__", "__rfloordiv__", "__rmod__",
    "__rdivmod__", "__rpow__", "__rlshift__", "__rrshift__", "__rand__", "__ror__", "__rxor__", "__rmatmul__", "__release_buffer__",
    "__reduce_cython__", "__setstate_cython__",
    # For pickle alone, on an object that nobody else has yet.
    "__setstate__",
}  # fmt: skip


def is_native_module(module: types.ModuleType) -> bool:
    """Return whether a module is an extension module."""
    spec = getattr(module, "__spec__", None)
    return spec is not None and isinstance(spec.loader, ExtensionFileLoader)


def is_native_function(value: object) -> bool:
    """Return whether a value is a function that is not made of bytecode."""
    return isinstance(value, _BUILTIN) or type(value).__name__ in _FOREIGN_FUNCTIONS


def is_native_type(value: object) -> bool:
    """Return whether a value is a class that native code defines: the compiler of Python notes the line of its own."""
    return (
        isinstance(value, type)
        and "__firstlineno__" not in value.__dict__
        and value.__module__ != "builtins"
    )


class Surface:
    """A distribution's modules, imported, and what they offer.

    Attributes:
        modules: its modules by name, extension modules among them.
        callables: names of its native callables, such as `pkg._speedups.Hasher.update`.
        failed: modules that could not be imported, with the error.
    """

    def __init__(self, names: list[str]) -> None:
        self.modules: dict[str, types.ModuleType] = {}
        self.failed: dict[str, str] = {}
        for name in names:
            self._import(name)
        self.roots = {name.partition(".")[0] for name in self.modules}
        self.natives = [module for module in self.modules.values() if is_native_module(module)]
        self.types: dict[int, str] = {}
        self.functions: dict[int, str] = {}
        self.callables: dict[str, None] = {}
        for module in self.natives:
            self._survey(module)

    def _import(self, name: str) -> None:
        try:
            self.modules[name] = importlib.import_module(name)
        except BaseException as error:
            self.failed[name] = f"{type(error).__name__}: {error}"

    def _survey(self, module: types.ModuleType) -> None:
        for name, value in vars(module).items():
            if name in _IDLE_SLOTS or name.startswith("__pyx"):
                continue
            if (
                is_native_function(value)
                and id(value) not in self.functions
                and self._ours(value, module)
            ):
                self.functions[id(value)] = f"{module.__name__}.{name}"
                self.callables[f"{module.__name__}.{name}"] = None
            elif is_native_type(value) and self._ours(value, module):
                self._survey_type(module, value)

    def _ours(self, value: Any, module: types.ModuleType) -> bool:
        home = str(getattr(value, "__module__", None) or module.__name__)
        return (
            home.partition(".")[0] in self.roots or home not in sys.modules
        )  # native code may name a home that is none

    def _survey_type(self, module: types.ModuleType, kind: type) -> None:
        if id(kind) in self.types:
            return
        self.types[id(kind)] = f"{module.__name__}.{kind.__name__}"
        for name in own_names(kind):
            self.callables[f"{module.__name__}.{kind.__name__}.{name}"] = None

    def note_type(self, kind: type) -> None:
        """Take in a native type that was met as the type of a value, and that no module has a name for."""
        if is_native_type(kind) and self.natives and self._ours(kind, self.natives[0]):
            self._survey_type(sys.modules.get(kind.__module__, self.natives[0]), kind)

    def native_name(self, function: Any, owner: object = None) -> str | None:
        """Return the name in `callables` of a callable that was called, or None where it is not one of them.

        Args:
            function: the callable.
            owner: what it was called on, if it is not bound itself.
        """
        if id(function) in self.functions:
            return self.functions[id(function)]
        name = getattr(function, "__name__", None)
        if name is None:
            return None
        if isinstance(function, type):
            return self.types.get(id(function))
        for holder in (
            getattr(function, "__objclass__", None),
            getattr(function, "__self__", None),
            owner,
        ):
            if holder is not None and (
                found := self.attribute_name(
                    holder if isinstance(holder, type) else type(holder), name
                )
            ):
                return found
        return None

    def attribute_name(self, kind: type, name: str) -> str | None:
        """Return the name in `callables` of what a type's attribute is, or None where native code of ours does not define it."""
        for base in kind.__mro__:
            if name in base.__dict__:
                return f"{self.types[id(base)]}.{name}" if id(base) in self.types else None
        return None

    def public(self) -> Iterator[tuple[str, Any]]:
        """Give every class and function with the shortest name it can be reached by, native ones first."""
        named: dict[int, tuple[str, Any]] = {}
        for module in sorted(
            self.modules.values(),
            key=lambda module: (module.__name__.count("_"), module.__name__.count(".")),
        ):
            for name, value in sorted(vars(module).items()):
                if name.startswith("__") or not self._wanted(value):
                    continue
                text = f"{module.__name__}.{name}"
                if id(value) not in named or _rank(text) < _rank(named[id(value)][0]):
                    named[id(value)] = (text, value)
        ours = {**self.types, **self.functions}
        # What has no public name is called by the package's own code, which may guard it.
        if any(_rank(text)[0] == 0 for text, _ in named.values()):
            named = {
                key: (text, value) for key, (text, value) in named.items() if _rank(text)[0] == 0
            }
        yield from sorted(
            named.values(), key=lambda item: (id(item[1]) not in ours, _rank(item[0]))
        )

    def _wanted(self, value: Any) -> bool:
        if not (isinstance(value, type) or is_native_function(value) or inspect.isfunction(value)):
            return False
        if isinstance(value, type) and issubclass(value, BaseException):
            return False
        if value.__name__.startswith("_") and not (
            is_native_function(value) or is_native_type(value)
        ):
            return False
        return (
            id(value) in self.types
            or id(value) in self.functions
            or str(getattr(value, "__module__", "")) in self.modules
        )


def _rank(text: str) -> tuple[int, int, str]:
    return (sum(part.startswith("_") for part in text.split(".")), text.count("."), text)


def own_names(kind: type) -> list[str]:
    """Return the names of a native type's own methods, attributes and slots."""
    return [
        name
        for name, value in kind.__dict__.items()
        if name not in _IDLE_SLOTS
        and (
            is_native_function(value)
            or isinstance(value, (*_DATA, staticmethod, classmethod, property))
        )
        and not name.startswith("__pyx")
    ]
