"""Python code of a package by which its users reach native code that only the package itself calls.

An image of pillow is a Python object round one in C that has no public name. Threads must not call the inner one past
what the package does to protect it; they do what users do, and call the methods of the outer one.
"""

import inspect
import types
from collections.abc import Iterable, Mapping
from typing import NamedTuple

_UNUSABLE = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR
"""Code that does nothing yet when it is called."""

_MOST_WRAPPERS = 400
_MOST_NATIVES = 20  # of one wrapper
_TEST_FOLDERS = ("/test/", "/tests/", "/testing/")
"""Parts of paths of a package's own tests, which some install: they use it as others do."""

_INITIALIZER = ".__init__"
_CALLED_BY_SYNTAX = frozenset({"__init__", "__call__"})


class Wrapper(NamedTuple):
    """A public function, method or class in Python, and who has called it.

    Attributes:
        name: dotted, such as `PIL.Image.Image.point`.
        caller: the frame that calls it.
    """

    name: str
    caller: types.FrameType


def is_code_of_package(file: str, site: str) -> bool:
    """Return whether a file of Python code is the package's, and not one of the tests that were installed with it.

    Args:
        file: its path, as code has it.
        site: the folder that the package is installed in, with a slash at its end.
    """
    return file.startswith(site) and not any(folder in file for folder in _TEST_FOLDERS)


class Wrappers:
    """Which wrappers a package has, as far as calls have shown it."""

    def __init__(self, site: str, known: Mapping[str, Iterable[str]] | None = None) -> None:
        """Begin with what is known.

        Args:
            site: the folder that the package is installed in.
            known: native callables by the name of the wrapper that reaches them.
        """
        self._site = f"{site}/"
        self._natives = {name: dict.fromkeys(natives) for name, natives in (known or {}).items()}
        self._names: dict[int, tuple[types.CodeType, str]] = {}

    def note(self, frame: types.FrameType, native: str) -> Wrapper | None:
        """Note that the package's Python code makes a native call, and return through what users have had it made.

        Args:
            frame: the frame that makes the call.
            native: the native callable.

        Returns:
            The outermost function of the package; None where no user can call that by its name.
        """
        outermost = frame
        while (caller := outermost.f_back) and is_code_of_package(
            caller.f_code.co_filename, self._site
        ):
            outermost = caller
        name = self._name(outermost.f_code, outermost.f_globals)
        if caller is None or not name:
            return None

        if len(self._natives) < _MOST_WRAPPERS or name in self._natives:
            natives = self._natives.setdefault(name, {})
            if len(natives) < _MOST_NATIVES:
                natives[native] = None
        return Wrapper(name, caller)

    def find_name(self, function: object) -> str | None:
        """Return the name of a wrapper that is about to be called; None where what is called is none."""
        called = getattr(function, "__init__", None) if isinstance(function, type) else function
        if not isinstance(called, types.FunctionType):
            return None

        name = self._name(called.__code__, called.__globals__)
        return name if name in self._natives else None

    def list_natives(self, name: str) -> list[str]:
        """Return the native callables that a callable reaches: itself, unless it is a wrapper."""
        return list(self._natives.get(name, [name]))

    def to_json(self) -> dict[str, list[str]]:
        """Return the native callables of each wrapper."""
        return {name: list(natives) for name, natives in self._natives.items()}

    def __contains__(self, name: object) -> bool:
        """Return whether a callable is a wrapper."""
        return name in self._natives

    def _name(self, code: types.CodeType, variables: Mapping[str, object]) -> str:
        """Return the name of a function, or of the class whose objects it prepares; empty where users have none for it.

        Args:
            code: the function's.
            variables: the global ones of its module.
        """
        if id(code) not in self._names:
            name = f"{variables.get('__name__')}.{code.co_qualname}"
            is_usable = not code.co_flags & _UNUSABLE and _is_public(code.co_qualname)
            self._names[id(code)] = (code, name.removesuffix(_INITIALIZER) if is_usable else "")

        return self._names[id(code)][1]


def _is_public(qualified_name: str) -> bool:
    """Return whether users can write a name: no part of it is private, or within a function."""
    *holders, last = qualified_name.split(".")
    is_last_public = last in _CALLED_BY_SYNTAX or not last.startswith("_")
    return is_last_public and not any(part.startswith(("_", "<")) for part in holders)
