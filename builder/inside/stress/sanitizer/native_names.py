"""What a function in a stack is called in Python, and how the names of Cython and C++ are made short."""

import bisect
import posixpath
import re
from typing import Any, NamedTuple

_CYTHON = re.compile(r"__pyx_(?:pw|pf|f|gb)_(?P<path>.+)")
"""A function that Cython made of one in a `.pyx` file: wrapper, body, a cdef function, or the body of a generator."""

_LENGTH = re.compile(r"\d+")
_CLASS = re.compile(r"_*[A-Z]")
_SUFFIXES = re.compile(r"(?:\.(?:constprop|isra|part|cold|llvm|lto_priv)(?:\.\d+)?)+$")
"""What compilers add to the name of a copy of a function."""

_ANONYMOUS = "(anonymous namespace)::"
_OPERATOR = re.compile(r"operator\s*(?:<=>|<<=|>>=|->\*|->|<<|>>|<=|>=|<|>|\(\))")
_KINDS = frozenset({"function", "call", "get", "set", "new", "free"})
_MOST_NAME_CHARS = 120  # of a name that a package made up


class NativeFunction(NamedTuple):
    """What a function of C is in Python.

    Attributes:
        name: its dotted name, such as `pkg._core.Table.add`; where Python has none for it, its name in C or C++.
        kind: how it is reached: `function` (of a module), `call` (a method), `get` or `set` (an attribute), `new`, or
            `free` (by the collector, or when the last reference goes); empty where Python has no name for it.
        source: `FILE:LINE` of its definition, where that is known.
    """

    name: str
    kind: str = ""
    source: str = ""

    @property
    def owner(self) -> str:
        """The dotted name of the type that it belongs to; empty for a function."""
        return "" if self.kind in {"", "function"} else self.name.rpartition(".")[0]


class _File(NamedTuple):
    """The functions of a file of native code, by where they begin."""

    base: int
    offsets: list[int]
    sizes: list[int]
    functions: list[NativeFunction]


class NativeNames:
    """Finds what native functions are in Python, by where they are in memory."""

    def __init__(self, files: list[dict[str, Any]]) -> None:
        """Take in what method_tables.py listed; what is not in its form is left out, for the package could write it."""
        self._files: dict[str, _File] = {}
        for listed in files:
            try:
                file = _read_file(listed)
                self._files[posixpath.basename(listed["path"])] = file
            except (KeyError, TypeError, ValueError):
                continue

    def find(self, module: str, offset: int) -> NativeFunction | None:
        """Return what the function at an offset in a file is; None where Python knows none there.

        Args:
            module: name of the file, without its folder.
            offset: of an instruction.
        """
        file = self._files.get(module)
        if file is None or offset < 0:
            return None

        place = bisect.bisect_right(file.offsets, offset) - 1
        if place < 0:
            return None
        size = file.sizes[place]
        is_within = size == 0 or offset < file.offsets[place] + size
        return file.functions[place] if is_within else None

    def locate(self, module: str, address: int) -> int:
        """Return the offset of an address in a file; -1 where the file is not known."""
        file = self._files.get(module)
        return -1 if file is None else address - file.base


def _read_file(listed: dict[str, Any]) -> _File:
    """Return what was listed of a file.

    Raises:
        KeyError, TypeError, ValueError: it is not in the form that method_tables.py gives it.
    """
    offsets: list[int] = []
    sizes: list[int] = []
    functions: list[NativeFunction] = []
    for offset, size, name, kind, source in sorted(listed["functions"]):
        if kind not in _KINDS:
            raise ValueError(kind)
        offsets.append(int(offset))
        sizes.append(int(size))
        functions.append(
            NativeFunction(str(name)[:_MOST_NAME_CHARS], kind, str(source)[:_MOST_NAME_CHARS])
        )

    return _File(int(listed["base"]), offsets, sizes, functions)


def name_function(symbol: str, module: str) -> NativeFunction:
    """Return what a function is called that only its symbol is known of.

    `__pyx_pw_4yaml_5_yaml_7CParser_17get_event` is the method `yaml._yaml.CParser.get_event`.

    Args:
        symbol: its name as a sanitizer shows it.
        module: name of the file that it is in.
    """
    demangled = demangle_cython(symbol, module.partition(".")[0])
    if demangled is not None:
        return demangled

    return NativeFunction(shorten_cpp(symbol)[:_MOST_NAME_CHARS])


def demangle_cython(symbol: str, module: str) -> NativeFunction | None:
    """Return what Cython made a function of; None where it is not one of these.

    Each part of a name stands behind its length, and the last one behind a number of its own. So `3get_token` may be
    `get` with `token` in it, or the third function, `get_token`. Behind the module, what is taken for a part is
    followed by such a number, or by a special method, or is written like a class.

    Args:
        symbol: the function's name.
        module: the last part of the module's name.
    """
    match = _CYTHON.match(_SUFFIXES.sub("", symbol).partition("(")[0])
    if match is None:
        return None

    parts: list[str] = []
    rest = match["path"]
    while length := _LENGTH.match(rest):
        after = rest[length.end() :]
        count = int(length[0])
        part = after[:count]
        behind = after[count + 1 :]
        is_part = after[count : count + 1] == "_" and part.isidentifier()
        is_class = _CLASS.match(part) or behind[:1].isdigit() or behind.startswith("__")
        if not is_part or (module in parts and not is_class):
            break
        parts.append(part)
        rest = behind

    leaf = _LENGTH.sub("", rest, count=1) if rest[:1].isdigit() else rest
    if not parts or not leaf:
        return None

    is_method = parts[-1] != module if module in parts else _CLASS.match(parts[-1]) is not None
    return NativeFunction(".".join([*parts, leaf]), "call" if is_method else "function")


def shorten_cpp(symbol: str) -> str:
    """Return the name of a function of C or C++ without parameters, arguments of templates, and what compilers added.

    `refs::Owned<_greenlet, &refs::check(void*)>::release(int) const` -> `refs::Owned::release`.
    """
    name = _SUFFIXES.sub("", symbol).replace(_ANONYMOUS, "")
    operator = _OPERATOR.search(name)
    if operator is not None:
        return _strip_templates(name[: operator.start()]) + operator[0].replace(" ", "")

    stripped = _strip_templates(name).partition("(")[0]
    if "operator " in stripped:  # `operator delete`, or a conversion, `operator bool`
        return stripped
    # Of a template, the type that it returns comes first: `void kiwi::add<int>(int)`.
    return stripped.rpartition(" ")[2] or stripped


def _strip_templates(name: str) -> str:
    """Return a name without what is between angle brackets."""
    kept: list[str] = []
    depth = 0
    for character in name:
        if character == "<":
            depth += 1
        elif character == ">" and depth:
            depth -= 1
        elif depth == 0:
            kept.append(character)

    # A name that begins with a bracket, such as `<null>`, is none of C++.
    return name if name.startswith("<") else "".join(kept)
