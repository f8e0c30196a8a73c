"""The native files of a wheel: what each needs, and how those that are loaded together fit together.

Facts of an object: `damaged` alone; or `machine` alone, where it is not for x86-64; or

`kind`          `extension`, `library` or `program`
`needed`        sonames; `soname`; `rpath`, `runpath`
`versions`      library -> version -> a symbol that needs it, for libraries that are not in the wheel; no symbol where
                packed relocations need it
`stack`, `text_relocations`, `relro`, `bind_now`, `isa`  see elf.py
`build`         `gil` or `free-threaded`, the build of CPython it was compiled for, or None; `build_sign`, what shows it
`init`          for extensions: `function`, whether it has its PyInit function; `phases`, `single`, `multi` or None;
                `slots`, those of its module definition whose values are plain numbers
`undefined`     symbols that it and what it loads leave to the interpreter and the system -> path of the object
`unreached`     libraries it needs that are in the wheel, where nothing looks for them -> path of who needs them
`outside`       libraries it needs that are not in the wheel -> path of who needs them
`paths`         folders of the machine it was built on
`threads`       see signals.py

`undefined`, `unreached` and `outside` of an extension or program count what it loads.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from . import signals
from .elf import SHARED_OBJECT, Elf, ElfError, Symbol

if TYPE_CHECKING:
    import mmap

_FREE_THREADED = ("_Py_MergeZeroLocalRefcount", "_Py_DecRefShared", "_Py_DecRefSharedDebug", "PyUnstable_Module_SetGIL",
                  "_PyObject_ResurrectEndSlow", "_PyDict_EnsureSharedOnRead", "_PyObject_XDecRefDelayed")  # fmt: skip
_GIL = ("_Py_Dealloc",)

# How CPython 3.14 compiles the head of a static object without type: PyObject_HEAD_INIT in Include/object.h.
_GIL_HEAD = bytes.fromhex("000000c000000500") + bytes(8)
_FREE_THREADED_HEAD = bytes(8) + bytes.fromhex("04000000ffffffff") + bytes(16)
_HEADS = (("gil", _GIL_HEAD), ("free-threaded", _FREE_THREADED_HEAD))
_SLOTS = {3: "multiple_interpreters", 4: "gil"}
_MOST_SLOTS = 32

_BUILD_PATH = re.compile(
    rb"/(?:home|root|Users|tmp|var/tmp|builds?|project|io|github|workspace)/[\w.+@~-]+/[\w./+@~-]{2,200}"
)
_MOST_PATHS = 5


@dataclass
class _Object:
    path: str
    needed: tuple[str, ...]
    soname: str
    rpath: tuple[str, ...]
    runpath: tuple[str, ...]
    program: bool
    defined: frozenset[str]
    undefined: tuple[Symbol, ...]
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def folder(self) -> str:
        return posixpath.dirname(self.path)


class Objects:
    """The native files of one wheel."""

    def __init__(self) -> None:
        self._found: dict[str, _Object] = {}
        self._bad: dict[str, dict[str, Any]] = {}

    def add(self, path: str, content: bytes | mmap.mmap) -> None:
        """Read one file."""
        try:
            elf = Elf(content)
            if elf.machine != "x86_64":
                self._bad[path] = {"machine": elf.machine}
            elif elf.kind == SHARED_OBJECT or elf.dynamic:
                self._found[path] = _read(path, elf)
        except ElfError as error:
            other = content[:4] == b"\x7fELF" and "-bit" in str(error)
            self._bad[path] = (
                {"machine": f"a machine that {error}".replace("that it is ", "")}
                if other
                else {"damaged": str(error)}
            )

    def extensions(self) -> dict[str, str]:
        """Return each extension module with the tag in its suffix."""
        return {
            path: tag_of(path) for path in (*self._found, *self._bad) if self._is_extension(path)
        }

    def grafted(self) -> list[str]:
        """Return the libraries that a repair tool put in: they are in a folder `NAME.libs`."""
        return [path for path in self._found if path.partition("/")[0].endswith(".libs")]

    def facts(self) -> dict[str, dict[str, Any]]:
        """Return the facts of every object, by path."""
        return {**self._bad, **{path: self._facts(found) for path, found in self._found.items()}}

    def _is_extension(self, path: str) -> bool:
        if not path.endswith(".so") or path.partition("/")[0].endswith((".libs", ".dist-info")):
            return False
        found = self._found.get(path)
        tagged = re.search(r"\.(cpython-[^/]*|abi3t?)\.so$", path) is not None
        return tagged or (
            found is not None and any(name.startswith("PyInit_") for name in found.defined)
        )

    def _facts(self, found: _Object) -> dict[str, Any]:
        kind = (
            "extension"
            if self._is_extension(found.path)
            else "program"
            if found.program
            else "library"
        )
        facts = {"kind": kind, **found.facts}
        if kind != "extension":
            facts["init"] = None
        together, unreached, outside = self._load(found)
        provided = frozenset[str]().union(*(loaded.defined for loaded in together))
        undefined = {
            symbol.name: loaded.path
            for loaded in reversed(together)
            for symbol in loaded.undefined
            if not symbol.weak and not symbol.version and symbol.name not in provided
        }
        return {
            **facts,
            "versions": self._versions(found),
            "undefined": dict(sorted(undefined.items())),
            "unreached": unreached,
            "outside": outside,
        }

    def _versions(self, found: _Object) -> dict[str, dict[str, str]]:
        own = {loaded.soname or posixpath.basename(loaded.path) for loaded in self._found.values()}
        versions: dict[str, dict[str, str]] = found.facts["versions"]
        return {library: needs for library, needs in versions.items() if library not in own}

    def _load(self, root: _Object) -> tuple[list[_Object], dict[str, str], dict[str, str]]:
        """Do what the dynamic linker does: load what is needed, breadth first (ld.so(8)).

        Returns:
            What is loaded; what is in the wheel and not found; what is not in the wheel. The latter two by soname,
            with the path of who needs it.
        """
        loaded, sonames = [root], {root.soname, posixpath.basename(root.path)}
        chains = {root.path: self._folders(root, root.rpath)}
        unreached: dict[str, str] = {}
        outside: dict[str, str] = {}
        for one in loaded:
            for name in one.needed:
                if name in sonames:
                    continue
                sonames.add(name)
                inherited = () if one.runpath else chains[one.path]
                folders = [*inherited, *self._folders(one, one.runpath)]
                found = next(
                    (
                        self._found[path]
                        for folder in folders
                        if (path := _within(folder, name)) in self._found
                    ),
                    None,
                )
                if found is not None:
                    loaded.append(found)
                    sonames.add(found.soname)
                    chains[found.path] = (*self._folders(found, found.rpath), *chains[one.path])
                elif any(posixpath.basename(path) == name for path in self._found):
                    unreached[name] = one.path
                else:
                    outside[name] = one.path
        return loaded, unreached, outside

    @staticmethod
    def _folders(one: _Object, entries: tuple[str, ...]) -> tuple[str, ...]:
        """Return the folders of a search path that lie in the wheel."""
        origin = one.folder or "."
        places = (
            re.sub(r"\$(ORIGIN|\{ORIGIN\})", lambda _: origin, entry)
            for entry in entries
            if entry.startswith("$")
        )
        return tuple(posixpath.normpath(place) for place in places)


def tag_of(path: str) -> str:
    """Return the tag in an extension's suffix: `cpython-314-x86_64-linux-gnu`, `abi3`, or an empty text."""
    _, _, tag = posixpath.basename(path).removesuffix(".so").partition(".")
    return tag


def _within(folder: str, name: str) -> str:
    return name if folder == "." else f"{folder}/{name}"


def _read(path: str, elf: Elf) -> _Object:
    symbols = elf.symbols
    undefined = tuple(symbol for symbol in symbols if not symbol.defined and symbol.name)
    defined = frozenset(symbol.name for symbol in symbols if symbol.defined and symbol.name)
    definition = _definition(elf)
    build, sign = _build(undefined, definition, elf)
    return _Object(
        path=path, needed=elf.needed, soname=elf.soname, rpath=() if elf.runpath else elf.rpath, runpath=elf.runpath,
        program=elf.executable, defined=defined, undefined=undefined,
        facts={
            "needed": list(elf.needed), "soname": elf.soname, "rpath": list(elf.rpath), "runpath": list(elf.runpath),
            "versions": _versions(elf, undefined),
            "stack": elf.executable_stack, "text_relocations": elf.text_relocations, "relro": elf.relro,
            "bind_now": elf.bind_now, "isa": elf.isa_needed, "build": build, "build_sign": sign,
            "init": _init(path, defined, undefined, definition, elf),
            "threads": signals.of((symbol.name for symbol in undefined), elf),
            "paths": [text.decode("ascii", "replace") for text in elf.paths(_BUILD_PATH, _MOST_PATHS)],
        },
    )  # fmt: skip


def _versions(elf: Elf, undefined: tuple[Symbol, ...]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for library, version in elf.needed_versions:
        found.setdefault(library, {})[version] = ""
    # An older C library leaves them undone; linkers do not always say that they need a newer one.
    if elf.relative_relocations:
        found.setdefault("libc.so.6", {})["GLIBC_ABI_DT_RELR"] = ""
    for symbol in sorted(undefined, key=lambda symbol: symbol.name, reverse=True):
        if symbol.library:
            found[symbol.library][symbol.version] = symbol.name
    return found


# --- the interpreter it was compiled for ------------------------------------------------------------------------------


def _definition(elf: Elf) -> tuple[str, int] | None:
    """Find a static PyModuleDef and return (build it was compiled for, its address).

    After the object's head it has three empty words (m_init, m_index, m_copy) and a name.
    """
    for build, head in _HEADS:
        for address in elf.addresses_of(head + bytes(24)):
            start = address + len(head)
            try:
                words = [elf.word(start + 8 * number) for number in range(4)]
            except ElfError:
                continue
            if words[3] and not any(words[:3]):
                return build, address
    return None


def _build(
    undefined: tuple[Symbol, ...], definition: tuple[str, int] | None, elf: Elf
) -> tuple[str | None, str]:
    """Return the build of CPython that code was compiled for, and what shows it: a symbol that only one exports."""
    names = {symbol.name for symbol in undefined}
    for build, signs in (("free-threaded", _FREE_THREADED), ("gil", _GIL)):
        if sign := next((sign for sign in signs if sign in names), None):
            return build, sign
    if definition is not None:
        return definition[0], "the layout of its module definition"
    if any(name.startswith("Py") for name in names):
        for build, head in _HEADS:
            if next(elf.addresses_of(head), None) is not None:
                return build, "the layout of its static objects"
    return None, ""


def _init(
    path: str,
    defined: frozenset[str],
    undefined: tuple[Symbol, ...],
    definition: tuple[str, int] | None,
    elf: Elf,
) -> dict[str, Any]:
    module = posixpath.basename(path).partition(".")[0]
    if module == "__init__":
        module = posixpath.basename(posixpath.dirname(path))
    names = {symbol.name for symbol in undefined}
    phases = (
        "multi"
        if "PyModuleDef_Init" in names
        else "single"
        if names & {"PyModule_Create2", "PyModule_FromDefAndSpec2"}
        else None
    )
    return {
        "function": any(
            name in defined
            for name in (f"PyInit_{module}", f"PyInitU_{module}", f"PyModExport_{module}")
        )
        or not module.isascii(),
        "phases": phases,
        "slots": {} if definition is None or phases != "multi" else _slots(definition, elf),
    }


def _slots(definition: tuple[str, int], elf: Elf) -> dict[str, int]:
    build, address = definition
    head = len(dict(_HEADS)[build])
    found = {}
    try:
        at = elf.word(address + head + 24 + 32)  # past m_name, m_doc, m_size and m_methods
        for _ in range(_MOST_SLOTS if at else 0):
            number = elf.word(at) & 0xFFFFFFFF
            if not number:
                break
            if number in _SLOTS:
                found[_SLOTS[number]] = elf.word(at + 8)
            at += 16
    except ElfError:
        return {}
    return found
