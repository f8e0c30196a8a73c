"""Which native callables an installed distribution has, and the public names they go by."""

import importlib
import inspect
import sys
import types
from importlib.machinery import ExtensionFileLoader
from typing import Any

_BUILTIN = (
    types.BuiltinFunctionType,
    types.MethodDescriptorType,
    types.WrapperDescriptorType,
    types.ClassMethodDescriptorType,
)
_DESCRIPTORS = (types.GetSetDescriptorType, staticmethod, classmethod, property)
"""What native code runs for. A member descriptor is not among them: the interpreter itself reads and sets it."""

_OF_CLASSES = (
    staticmethod,
    classmethod,
    types.ClassMethodDescriptorType,
    types.BuiltinFunctionType,
)
"""Attributes of types that are called without an object."""

_FOREIGN_FUNCTIONS = frozenset({
    # Cython
    "cython_function_or_method",
    "fused_cython_function",
    # nanobind
    "nb_func",
    "nb_method",
    # pybind11
    "instancemethod",
})  # fmt: skip
"""Names of the types that code generators make for their functions."""

_UNCOUNTED_NAMES = {
    "__new__", "__init__", "__getattribute__", "__setattr__", "__delattr__", "__doc__", "__module__", "__weakref__",
    "__dict__", "__pyx_vtable__", "__class_getitem__", "__init_subclass__", "__subclasshook__", "__pyx_capi__",
    "__dir__",
    # One C function serves all comparisons, and one serves an operator and its reflection.
    "__ne__", "__le__", "__gt__", "__ge__", "__radd__", "__rsub__", "__rmul__", "__rtruediv__", "__rfloordiv__",
    "__rmod__", "__rdivmod__", "__rpow__", "__rlshift__", "__rrshift__", "__rand__", "__ror__", "__rxor__",
    "__rmatmul__", "__release_buffer__", "__reduce_cython__", "__setstate_cython__",
    # On an object that nobody else has yet.
    "__setstate__", "__set_name__",
}  # fmt: skip
"""Attributes of modules and types that are not counted as callables.

Each comes with every module or type, or another attribute stands for it.
"""

_Named = tuple[str, object]
"""The name of a class or a function, and itself."""


def is_native_module(module: types.ModuleType) -> bool:
    """Return whether a module is an extension module (.so)."""
    spec = getattr(module, "__spec__", None)
    return spec is not None and isinstance(spec.loader, ExtensionFileLoader)


def _is_cffi_library(value: object) -> bool:
    """Return whether a value is the `lib` of a module that cffi compiled: its attributes are functions of C."""
    kind = type(value)
    return (kind.__module__, kind.__name__) == ("_cffi_backend", "Lib")


def is_native_function(value: object) -> bool:
    """Return whether a value is a function that is not made of bytecode."""
    return isinstance(value, _BUILTIN) or type(value).__name__ in _FOREIGN_FUNCTIONS


def is_native_type(value: object) -> bool:
    """Return whether a value is a class that native code defines; False for Python's own builtin classes."""
    if not isinstance(value, type):
        return False

    # Python's compiler notes in a class the line where it begins.
    is_of_bytecode = "__firstlineno__" in value.__dict__
    return not is_of_bytecode and value.__module__ != "builtins"


class Surface:
    """A distribution's modules, imported, and what they offer.

    Attributes:
        modules: its modules by name, extension modules among them.
        failed: modules that could not be imported, with the error.
        roots: the first parts of their names.
        natives: its extension modules.
        types: names of its native types, by id.
        functions: names of its native functions, by id.
        callables: names of its native callables, such as `pkg._speedups.Hasher.update`, as the keys of a dict.
        stateless: those among them that are called without an object.

    `types` and `functions` have `id(object)` as key, so that an object which several names lead to is known again.
    """

    def __init__(self, names: list[str]) -> None:
        """Import the modules, and note the native functions and types of those that are extension modules.

        Args:
            names: import names of the distribution's modules.
        """
        self.modules: dict[str, types.ModuleType] = {}
        self.failed: dict[str, str] = {}
        for name in names:
            self._import(name)

        self.roots = {name.partition(".")[0] for name in self.modules}
        self.natives = [module for module in self.modules.values() if is_native_module(module)]
        self.types: dict[int, str] = {}
        self.functions: dict[int, str] = {}
        self.callables: dict[str, None] = {}  # stands for a set that keeps its order: no values
        self.stateless: set[str] = set()
        for module in self.natives:
            self._survey_module(module)

    def _import(self, name: str) -> None:
        """Import a module, or note why it cannot be imported: it may raise anything, even SystemExit."""
        try:
            self.modules[name] = importlib.import_module(name)
        except BaseException as error:
            self.failed[name] = f"{type(error).__name__}: {error}"

    def _survey_module(self, module: types.ModuleType) -> None:
        """Note the native functions and types of an extension module that are the distribution's own.

        Attributes that Python or Cython gives a module are skipped, and so are values imported from elsewhere. A
        function that several names lead to goes by the first of them.
        """
        for name, value in vars(module).items():
            if _is_uncounted(name):
                continue

            if is_native_function(value):
                if self._is_own(value, module):
                    self._note_function(f"{module.__name__}.{name}", value)
            elif _is_cffi_library(value):
                self._survey_library(f"{module.__name__}.{name}", value)
            elif is_native_type(value) and self._is_own(value, module):
                self._survey_type(module, value)

    def _survey_library(self, name: str, library: object) -> None:
        """Note the functions of a library that cffi compiled."""
        for attribute in dir(library):
            function = getattr(library, attribute, None)
            if is_native_function(function) and not attribute.startswith("__"):
                self._note_function(f"{name}.{attribute}", function)

    def _note_function(self, name: str, function: object) -> None:
        """Note a native function; nothing is done where another name leads to it."""
        if id(function) not in self.functions:
            self.functions[id(function)] = name
            self.callables[name] = None
            self.stateless.add(name)

    def _is_own(self, value: object, module: types.ModuleType) -> bool:
        """Return whether a value that a module has is the distribution's own, not imported from elsewhere."""
        home = str(getattr(value, "__module__", None) or module.__name__)
        is_of_package = home.partition(".")[0] in self.roots
        is_no_module = home not in sys.modules  # native code may give `__module__` any text

        return is_of_package or is_no_module

    def _survey_type(self, module: types.ModuleType, kind: type) -> None:
        """Note a native type and its methods, attributes and slots, and those of its native bases.

        A base may have no name in any module, as Cython's internal classes. Nothing is done where the type is known.

        Args:
            module: the module that the type is named after.
            kind: the type.
        """
        if id(kind) in self.types:
            return

        type_name = f"{module.__name__}.{kind.__name__}"
        self.types[id(kind)] = type_name
        for name in list_own_names(kind):
            self.callables[f"{type_name}.{name}"] = None
            if isinstance(kind.__dict__[name], _OF_CLASSES):
                self.stateless.add(f"{type_name}.{name}")

        for base in kind.__mro__[1:]:
            if is_native_type(base) and self._is_own(base, module):
                self._survey_type(module, base)

    def note_type(self, kind: type) -> None:
        """Note a native type of the distribution that no module has a name for, such as that of an iterator.

        Nothing is done for other types.
        """
        if not is_native_type(kind) or not self.natives:
            return

        first_native = self.natives[0]
        if self._is_own(kind, first_native):
            self._survey_type(sys.modules.get(kind.__module__, first_native), kind)

    def find_native_name(self, function: object, owner: object = None) -> str | None:
        """Return the name in `callables` of a callable that was called, such as `pkg._speedups.Hasher.update`.

        None where it is not native, or not of this distribution.

        Args:
            function: the callable.
            owner: what it was called on, if it is not bound itself.
        """
        if id(function) in self.functions:
            return self.functions[id(function)]

        if isinstance(function, type):
            return self.types.get(id(function))
        if not is_native_function(function):  # an object that is called
            return self.find_attribute_name(type(function), "__call__")
        name = getattr(function, "__name__", None)
        if name is None:
            return None

        # A descriptor knows its type, and a bound method its object; of others only the caller knows it.
        bound_type = getattr(function, "__objclass__", None)
        bound_object = getattr(function, "__self__", None)
        for holder in (bound_type, bound_object, owner):
            if holder is None:
                continue
            kind = holder if isinstance(holder, type) else type(holder)
            native_name = self.find_attribute_name(kind, name)
            if native_name:
                return native_name

        return None

    def find_attribute_name(self, kind: type, name: str) -> str | None:
        """Return the name in `callables` of a type's attribute.

        None where the type has no such attribute, or the class that defines it is no native one of this distribution.
        """
        for base in kind.__mro__:
            if name in base.__dict__:
                is_own = id(base) in self.types
                return f"{self.types[id(base)]}.{name}" if is_own else None

        return None

    def list_public(self) -> list[_Named]:
        """Return every class and function with the shortest name it can be reached by, native ones first.

        Those with a private name are left out, unless there is nothing else.
        """
        by_name = self._find_shortest_names()
        # What has no public name is called by the package's own code only, which may protect it by a lock.
        public = [(name, value) for name, value in by_name if _is_public(name)]

        def rank(offer: _Named) -> tuple[bool, tuple[int, int, str]]:
            name, value = offer
            return not self.is_native(value), _rank_name(name)

        return sorted(public or by_name, key=rank)

    def list_offered(self) -> set[str]:
        """Return the native callables that users can call: functions with a public name, and what types have.

        An object of a type without a public name may be given to a user, who calls its methods.
        """
        offered = {id(value) for _, value in self.list_public()}
        private = {name for key, name in self.functions.items() if key not in offered}
        return set(self.callables) - private

    def is_native(self, value: object) -> bool:
        """Return whether a value is a native function or type of the distribution, or derives from such a type."""
        kinds = value.__mro__ if isinstance(value, type) else ()
        is_type = any(id(kind) in self.types for kind in kinds)
        return is_type or id(value) in self.functions

    def _find_shortest_names(self) -> list[_Named]:
        """Return the classes and functions of all modules, each once, with the shortest of its names.

        `pkg.Table` and `pkg._core.Table` are one class: its name is `pkg.Table`.
        """
        by_id: dict[int, _Named] = {}
        for module in sorted(self.modules.values(), key=_rank_module):
            for name, value in sorted(vars(module).items()):
                if name.startswith("__") or not self._is_wanted(value):
                    continue

                dotted_name = f"{module.__name__}.{name}"
                # Another module may have given it a name already.
                known_name, _ = by_id.get(id(value), ("", None))
                if not known_name or _rank_name(dotted_name) < _rank_name(known_name):
                    by_id[id(value)] = (dotted_name, value)

        return list(by_id.values())

    def _is_wanted(self, value: Any) -> bool:
        """Return whether a value is a class or a function of the distribution that is meant to be called.

        Exceptions are skipped, and so is what has a private name and is written in Python.
        """
        is_type = isinstance(value, type)
        is_function = is_native_function(value) or inspect.isfunction(value)
        if not (is_type or is_function):
            return False
        if is_type and issubclass(value, BaseException):
            return False

        is_private = value.__name__.startswith("_")
        if is_private and not (is_native_function(value) or is_native_type(value)):
            return False

        is_known = id(value) in self.types or id(value) in self.functions
        return is_known or str(getattr(value, "__module__", "")) in self.modules


def _rank_module(module: types.ModuleType) -> tuple[int, int]:
    """Return a key that sorts modules: those with few underscores in their name first, then those with few parts."""
    return module.__name__.count("_"), module.__name__.count(".")


def _rank_name(text: str) -> tuple[int, int, str]:
    """Return a key that sorts dotted names: those with few private parts first, then those with few parts."""
    private_parts = sum(part.startswith("_") for part in text.split("."))
    return private_parts, text.count("."), text


def _is_public(text: str) -> bool:
    """Return whether no part of a dotted name begins with an underscore."""
    private_parts, _, _ = _rank_name(text)
    return private_parts == 0


def _is_uncounted(name: str) -> bool:
    """Return whether an attribute is not counted as a callable, or is one of those that Cython makes for itself."""
    return name in _UNCOUNTED_NAMES or name.startswith("__pyx")


def list_own_names(kind: type) -> list[str]:
    """Return the names of a native type's own methods, attributes and slots, without what every type has."""
    names: list[str] = []
    for name, value in kind.__dict__.items():
        # Cython gives what cannot be pickled a method that refuses, under another name.
        if _is_uncounted(name) or _is_uncounted(getattr(value, "__name__", name)):
            continue
        if is_native_function(value) or isinstance(value, _DESCRIPTORS):
            names.append(name)

    return names
