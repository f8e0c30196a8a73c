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
from .elf import MAGIC, SHARED_OBJECT, Elf, ElfError, Symbol

if TYPE_CHECKING:
    import mmap
    from collections.abc import Iterable

# Functions that one build of CPython exports and the other does not.
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
_BUILD_SIGNS = (("free-threaded", _FREE_THREADED), ("gil", _GIL))

# How CPython 3.14 compiles the head of a static object without type: PyObject_HEAD_INIT in Include/object.h.
_GIL_HEAD = bytes.fromhex("000000c000000500") + bytes(8)
_FREE_THREADED_HEAD = bytes(8) + bytes.fromhex("04000000ffffffff") + bytes(16)
_HEADS = {"gil": _GIL_HEAD, "free-threaded": _FREE_THREADED_HEAD}

# PyModuleDef after that head, in words (Include/moduleobject.h): m_init, m_index, m_copy, m_name, m_doc, m_size,
# m_methods, m_slots.
_WORD_BYTES = 8
_EMPTY_WORDS = 3  # m_init, m_index and m_copy are filled in when the module is loaded
_SLOTS_WORD = 7
_SLOT_BYTES = 16
_SLOTS = {3: "multiple_interpreters", 4: "gil"}
_MOST_SLOTS = 32  # far more than there are kinds of slots

_SINGLE_PHASE = {"PyModule_Create2", "PyModule_FromDefAndSpec2"}

_BUILD_PATH = re.compile(
    rb"/(?:home|root|Users|tmp|var/tmp|builds?|project|io|github|workspace)/[\w.+@~-]+/[\w./+@~-]{2,200}"
)
_MOST_PATHS = 5  # a few show it: each source file leaves one


@dataclass
class _Object:
    """One native file; what it provides and needs, and the facts that hold for it alone."""

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


@dataclass
class _Closure:
    """What loading an object loads.

    Attributes:
        loaded: the object itself, then what it needs, in the order of loading.
        unreached: libraries that are in the wheel and not found -> path of who needs them.
        outside: libraries that are not in the wheel -> path of who needs them.
    """

    loaded: list[_Object]
    unreached: dict[str, str] = field(default_factory=dict)
    outside: dict[str, str] = field(default_factory=dict)


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
            # An ELF file of another width or byte order is in order, and not for this machine.
            is_foreign = content[:4] == MAGIC and "-bit" in str(error)
            if is_foreign:
                machine = f"a machine that {error}".replace("that it is ", "")
                self._bad[path] = {"machine": machine}
            else:
                self._bad[path] = {"damaged": str(error)}

    def extensions(self) -> dict[str, str]:
        """Return each extension module with the tag in its suffix."""
        paths = (*self._found, *self._bad)
        return {path: suffix_tag(path) for path in paths if self._is_extension(path)}

    def grafted(self) -> list[str]:
        """Return the libraries that a repair tool put in: they are in a folder `NAME.libs`."""
        return [path for path in self._found if path.partition("/")[0].endswith(".libs")]

    def facts(self) -> dict[str, dict[str, Any]]:
        """Return the facts of every object, by path."""
        facts = dict(self._bad)
        for path, found in self._found.items():
            facts[path] = self._facts(found)

        return facts

    def _is_extension(self, path: str) -> bool:
        if not path.endswith(".so") or path.partition("/")[0].endswith((".libs", ".dist-info")):
            return False
        if re.search(r"\.(cpython-[^/]*|abi3t?)\.so$", path):
            return True

        found = self._found.get(path)
        return found is not None and any(name.startswith("PyInit_") for name in found.defined)

    def _facts(self, found: _Object) -> dict[str, Any]:
        if self._is_extension(found.path):
            kind = "extension"
        elif found.program:
            kind = "program"
        else:
            kind = "library"

        facts = {"kind": kind, **found.facts}
        if kind != "extension":
            facts["init"] = None

        closure = self._load(found)
        return {
            **facts,
            "versions": self._outside_versions(found),
            "undefined": _undefined_symbols(closure.loaded),
            "unreached": closure.unreached,
            "outside": closure.outside,
        }

    def _outside_versions(self, found: _Object) -> dict[str, dict[str, str]]:
        """Return the versions an object needs of libraries that are not in the wheel."""
        own = {other.soname or posixpath.basename(other.path) for other in self._found.values()}
        versions: dict[str, dict[str, str]] = found.facts["versions"]
        return {library: needs for library, needs in versions.items() if library not in own}

    # --- what the dynamic linker does (ld.so(8)) ---------------------------------------------------------------------

    def _load(self, root: _Object) -> _Closure:
        """Load what an object needs, breadth first."""
        closure = _Closure([root])
        sonames = {root.soname, posixpath.basename(root.path)}
        # Folders of DT_RPATH count for what is needed further down, too.
        chains = {root.path: self._search_folders(root, root.rpath)}

        for loader in closure.loaded:  # it grows meanwhile
            inherited = () if loader.runpath else chains[loader.path]
            folders = (*inherited, *self._search_folders(loader, loader.runpath))

            for name in loader.needed:
                if name in sonames:
                    continue
                sonames.add(name)

                found = self._find(name, folders)
                if found is not None:
                    closure.loaded.append(found)
                    sonames.add(found.soname)
                    own_folders = self._search_folders(found, found.rpath)
                    chains[found.path] = (*own_folders, *chains[loader.path])
                elif any(posixpath.basename(path) == name for path in self._found):
                    closure.unreached[name] = loader.path
                else:
                    closure.outside[name] = loader.path

        return closure

    def _find(self, name: str, folders: Iterable[str]) -> _Object | None:
        for folder in folders:
            path = name if folder == "." else f"{folder}/{name}"
            if path in self._found:
                return self._found[path]

        return None

    @staticmethod
    def _search_folders(loader: _Object, entries: tuple[str, ...]) -> tuple[str, ...]:
        """Return the folders of a search path that lie in the wheel."""
        origin = loader.folder or "."
        folders = []
        for entry in entries:
            if entry.startswith("$"):
                folder = re.sub(r"\$(ORIGIN|\{ORIGIN\})", lambda _: origin, entry)
                folders.append(posixpath.normpath(folder))

        return tuple(folders)


def suffix_tag(path: str) -> str:
    """Return the tag in an extension's suffix: `cpython-314-x86_64-linux-gnu`, `abi3`, or an empty text."""
    _, _, tag = posixpath.basename(path).removesuffix(".so").partition(".")
    return tag


def _undefined_symbols(loaded: list[_Object]) -> dict[str, str]:
    """Return what objects that are loaded together leave to others -> path of the first that needs it, sorted."""
    provided: set[str] = set()
    for one in loaded:
        provided |= one.defined

    undefined = {}
    for one in reversed(loaded):
        for symbol in one.undefined:
            # What has a version is the business of `versions`; what is weak may stay away.
            is_needed = not symbol.weak and not symbol.version
            if is_needed and symbol.name not in provided:
                undefined[symbol.name] = one.path

    return dict(sorted(undefined.items()))


# --- one object ------------------------------------------------------------------------------------------------------


def _read(path: str, elf: Elf) -> _Object:
    named = [symbol for symbol in elf.symbols if symbol.name]
    undefined = tuple(symbol for symbol in named if not symbol.defined)
    defined = frozenset(symbol.name for symbol in named if symbol.defined)
    undefined_names = frozenset(symbol.name for symbol in undefined)

    definition = _find_definition(elf)
    build, build_sign = _detect_build(undefined_names, definition, elf)
    needed, soname = elf.needed, elf.soname
    runpath, rpath = elf.runpath, elf.rpath
    build_paths = [text.decode("ascii", "replace") for text in elf.paths(_BUILD_PATH, _MOST_PATHS)]

    facts = {
        "needed": list(needed),
        "soname": soname,
        "rpath": list(rpath),
        "runpath": list(runpath),
        "versions": _needed_versions(elf, undefined),
        "stack": elf.executable_stack,
        "text_relocations": elf.text_relocations,
        "relro": elf.relro,
        "bind_now": elf.bind_now,
        "isa": elf.isa_needed,
        "build": build,
        "build_sign": build_sign,
        "init": _describe_init(path, defined, undefined_names, definition, elf),
        "threads": signals.find_signs(undefined_names, elf),
        "paths": build_paths,
    }
    return _Object(
        path=path,
        needed=needed,
        soname=soname,
        rpath=() if runpath else rpath,
        runpath=runpath,
        program=elf.executable,
        defined=defined,
        undefined=undefined,
        facts=facts,
    )


def _needed_versions(elf: Elf, undefined: tuple[Symbol, ...]) -> dict[str, dict[str, str]]:
    """Return library -> version -> a symbol that needs it."""
    versions: dict[str, dict[str, str]] = {}
    for library, version in elf.needed_versions:
        versions.setdefault(library, {})[version] = ""

    # An older C library leaves them undone; linkers do not always say that they need a newer one.
    if elf.relative_relocations:
        versions.setdefault("libc.so.6", {})["GLIBC_ABI_DT_RELR"] = ""

    # Backwards, so that the first by name is the one that stays.
    for symbol in sorted(undefined, key=lambda symbol: symbol.name, reverse=True):
        if symbol.library:
            versions[symbol.library][symbol.version] = symbol.name

    return versions


# --- the interpreter it was compiled for -----------------------------------------------------------------------------


@dataclass(frozen=True)
class _Definition:
    """A static PyModuleDef.

    Attributes:
        build: the build of CPython it was compiled for.
        address: of its head.
    """

    build: str
    address: int

    def address_of_word(self, number: int) -> int:
        """Return where a word after the head is."""
        return self.address + len(_HEADS[self.build]) + _WORD_BYTES * number


def _find_definition(elf: Elf) -> _Definition | None:
    """Find a static PyModuleDef: after the object's head it has three empty words and a name."""
    for build, head in _HEADS.items():
        for address in elf.addresses_of(head + bytes(_WORD_BYTES * _EMPTY_WORDS)):
            definition = _Definition(build, address)
            try:
                words = [elf.word(definition.address_of_word(number)) for number in range(4)]
            except ElfError:
                continue

            *empty, name = words
            if name and not any(empty):
                return definition

    return None


def _detect_build(
    undefined_names: frozenset[str], definition: _Definition | None, elf: Elf
) -> tuple[str | None, str]:
    """Return the build of CPython that code was compiled for, and what shows it: a symbol that only one exports."""
    for build, signs in _BUILD_SIGNS:
        for sign in signs:
            if sign in undefined_names:
                return build, sign

    if definition is not None:
        return definition.build, "the layout of its module definition"

    uses_python = any(name.startswith("Py") for name in undefined_names)
    if uses_python:
        for build, head in _HEADS.items():
            if next(elf.addresses_of(head), None) is not None:
                return build, "the layout of its static objects"

    return None, ""


def _describe_init(
    path: str,
    defined: frozenset[str],
    undefined_names: frozenset[str],
    definition: _Definition | None,
    elf: Elf,
) -> dict[str, Any]:
    module = posixpath.basename(path).partition(".")[0]
    if module == "__init__":
        module = posixpath.basename(posixpath.dirname(path))

    # A name that is not ASCII is encoded in the function's name (PEP 489), which is not looked for.
    functions = {f"PyInit_{module}", f"PyInitU_{module}", f"PyModExport_{module}"}
    has_function = not module.isascii() or bool(functions & defined)

    phases = None
    if "PyModuleDef_Init" in undefined_names:
        phases = "multi"
    elif undefined_names & _SINGLE_PHASE:
        phases = "single"

    slots = {}
    if definition is not None and phases == "multi":
        slots = _read_slots(definition, elf)

    return {"function": has_function, "phases": phases, "slots": slots}


def _read_slots(definition: _Definition, elf: Elf) -> dict[str, int]:
    """Return the slots of a module definition whose values are plain numbers."""
    slots = {}
    try:
        at = elf.word(definition.address_of_word(_SLOTS_WORD))
        if not at:
            return {}

        for _ in range(_MOST_SLOTS):
            number = elf.word(at) & 0xFFFFFFFF
            if not number:
                break
            if number in _SLOTS:
                slots[_SLOTS[number]] = elf.word(at + _WORD_BYTES)
            at += _SLOT_BYTES
    except ElfError:
        return {}

    return slots
