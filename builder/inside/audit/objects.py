"""The native files of a wheel: what each needs, and how those that are loaded together fit together.

Facts of an object: `damaged` alone; or `machine` alone, where it is not for x86-64; or

`kind`          `extension`, `library` or `program`
`needed`        sonames; `soname`; `rpath`, `runpath`
`versions`      library -> version -> a symbol that needs it, for libraries that are not in the wheel; no symbol where
                packed relocations need it
`stack`, `text_relocations`, `relro`, `bind_now`, `isa`, `debug`  see elf.py
`build`         `gil` or `free-threaded`, the build of CPython it was compiled for, or None; `build_sign`, what shows it
`init`          for extensions: how it is initialised (see hooks.py)
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

from . import hooks, signals
from .builds import detect_build
from .definition import find_definition
from .elf import Elf
from .elf_file import MAGIC, SHARED_OBJECT, ElfError
from .elf_symbols import Symbol

if TYPE_CHECKING:
    import mmap
    from collections.abc import Iterable

_MODULE_MAKERS = {
    "PyModuleDef_Init",
    "PyModule_Create2",
    "PyModule_FromDefAndSpec2",
    "PyModule_FromSlotsAndSpec",
}
_SUFFIX = re.compile(r"\.(cpython-[^/]*|abi3t?(-[^/.]+)?)\.so$")
"""Only extension modules have such a suffix. CPython 3.15 brought a machine into those of stable ABIs (PEP 3149)."""

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

    @property
    def has_init(self) -> bool:
        """Whether it has a function that the interpreter calls to make a module (PEP 489, PEP 793)."""
        return any(name.startswith(hooks.PREFIXES) for name in self.defined)

    @property
    def makes_module(self) -> bool:
        """Whether it calls a function that makes a module, as every extension module does."""
        return any(symbol.name in _MODULE_MAKERS for symbol in self.undefined)


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
        self._readable: dict[str, _Object] = {}
        # Of a file that is damaged or for another machine: that one fact.
        self._unreadable: dict[str, dict[str, Any]] = {}

    def add(self, path: str, content: bytes | mmap.mmap) -> None:
        """Read one native file of the wheel, by its path in it.

        A file that is not for x86-64, or that is damaged, is kept with that fact alone. One that cannot be loaded at
        all, such as a `.o` file, is left out.
        """
        try:
            elf = Elf(content)
            if elf.machine != "x86_64":
                self._unreadable[path] = {"machine": elf.machine}
            elif elf.kind == SHARED_OBJECT or elf.dynamic:
                self._readable[path] = _read(path, elf)
        except ElfError as error:
            # An ELF file of another width or byte order is in order, and not for this machine.
            is_foreign = content[:4] == MAGIC and "-bit" in str(error)
            if is_foreign:
                machine = f"a machine that {error}".replace("that it is ", "")
                self._unreadable[path] = {"machine": machine}
            else:
                self._unreadable[path] = {"damaged": str(error)}

    def extensions(self) -> dict[str, str]:
        """Return each extension module with the tag in its suffix."""
        paths = (*self._readable, *self._unreadable)
        return {path: suffix_tag(path) for path in paths if self._is_extension(path)}

    def grafted(self) -> list[str]:
        """Return the libraries that a repair tool put in: they are in a folder `NAME.libs`."""
        return [path for path in self._readable if path.partition("/")[0].endswith(".libs")]

    def facts(self) -> dict[str, dict[str, Any]]:
        """Return the facts of every native file of the wheel, by path; the top of this module explains the fields.

        To be called when all files have been added: what one file needs, another may provide.
        """
        facts = dict(self._unreadable)
        for path, native_file in self._readable.items():
            facts[path] = self._facts(native_file)

        return facts

    def _is_extension(self, path: str) -> bool:
        """Return whether a file is an extension module, that is, something that `import` loads.

        Its suffix says so (`.cpython-314-x86_64-linux-gnu.so`, `.abi3.so`), unless nothing else in it does: then it is
        a library that ctypes loads. A plain `.so` is one if it exports `PyInit_…` or `PyModExport_…`.
        """
        if not path.endswith(".so") or path.partition("/")[0].endswith((".libs", ".dist-info")):
            return False

        native_file = self._readable.get(path)
        has_suffix = _SUFFIX.search(path) is not None
        if native_file is None:
            return has_suffix
        if native_file.has_init:
            return True
        return has_suffix and native_file.makes_module

    def _facts(self, native_file: _Object) -> dict[str, Any]:
        """Return the facts of one file: those of the file alone, and those that also count what loading it loads."""
        if self._is_extension(native_file.path):
            kind = "extension"
        elif native_file.program:
            kind = "program"
        else:
            kind = "library"

        facts = {"kind": kind, **native_file.facts}
        if kind != "extension":
            facts["init"] = None

        closure = self._load(native_file)
        return {
            **facts,
            "versions": self._outside_versions(native_file),
            "undefined": _undefined_symbols(closure.loaded),
            "unreached": closure.unreached,
            "outside": closure.outside,
        }

    def _outside_versions(self, native_file: _Object) -> dict[str, dict[str, str]]:
        """Return the versions an object needs of libraries that are not in the wheel."""
        sonames_in_wheel = {
            other.soname or posixpath.basename(other.path) for other in self._readable.values()
        }
        versions: dict[str, dict[str, str]] = native_file.facts["versions"]
        return {
            library: needs for library, needs in versions.items() if library not in sonames_in_wheel
        }

    # --- what the dynamic linker does (ld.so(8)) ---------------------------------------------------------------------

    def _load(self, root: _Object) -> _Closure:
        """Return what loading an object loads, found breadth first as the dynamic linker does it.

        A library is looked for in the RPATH of the object that needs it and of those that led to that one, then in its
        RUNPATH. An object with a RUNPATH uses no RPATH at all.
        """
        closure = _Closure([root])
        sonames = {root.soname, posixpath.basename(root.path)}
        # Folders of DT_RPATH count for what is needed further down, too.
        rpath_folders = {root.path: self._search_folders(root, root.rpath)}

        for loader in closure.loaded:  # it grows meanwhile
            inherited_folders = () if loader.runpath else rpath_folders[loader.path]
            folders = (*inherited_folders, *self._search_folders(loader, loader.runpath))

            for name in loader.needed:
                if name in sonames:
                    continue
                sonames.add(name)

                library = self._find(name, folders)
                if library is not None:
                    closure.loaded.append(library)
                    sonames.add(library.soname)
                    own_folders = self._search_folders(library, library.rpath)
                    rpath_folders[library.path] = (*own_folders, *rpath_folders[loader.path])
                elif any(posixpath.basename(path) == name for path in self._readable):
                    closure.unreached[name] = loader.path
                else:
                    closure.outside[name] = loader.path

        return closure

    def _find(self, name: str, folders: Iterable[str]) -> _Object | None:
        """Return the native file that one of some folders of the wheel has under a name, or None."""
        for folder in folders:
            path = name if folder == "." else f"{folder}/{name}"
            if path in self._readable:
                return self._readable[path]

        return None

    @staticmethod
    def _search_folders(loader: _Object, entries: tuple[str, ...]) -> tuple[str, ...]:
        """Return the folders of a search path that lie in the wheel: those relative to the object itself.

        `$ORIGIN/../a.libs` of `a/b.so` -> `a.libs`. Absolute folders are skipped: the wheel does not bring them.
        """
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
    """Return the symbols that objects loaded together do not provide to one another -> path of the first that needs it.

    They are sorted by name. Someone else has to have them: the interpreter or the system.
    """
    provided: set[str] = set()
    for native_file in loaded:
        provided |= native_file.defined

    undefined = {}
    # Backwards, so that the object that is loaded first is the one that stays.
    for native_file in reversed(loaded):
        for symbol in native_file.undefined:
            # What has a version is the business of `versions`; what is weak may stay away.
            is_needed = not symbol.weak and not symbol.version
            if is_needed and symbol.name not in provided:
                undefined[symbol.name] = native_file.path

    return dict(sorted(undefined.items()))


# --- one object ------------------------------------------------------------------------------------------------------


def _read(path: str, elf: Elf) -> _Object:
    """Return what one x86-64 file provides and needs, and the facts that hold for it whatever else is in the wheel.

    RPATH is kept empty beside RUNPATH for the search of libraries, because the dynamic linker ignores it then.
    """
    named_symbols = [symbol for symbol in elf.symbols if symbol.name]
    undefined = tuple(symbol for symbol in named_symbols if not symbol.defined)
    defined = frozenset(symbol.name for symbol in named_symbols if symbol.defined)
    undefined_names = frozenset(symbol.name for symbol in undefined)

    definition = find_definition(elf)
    init = hooks.describe_init(path, defined, undefined_names, definition, elf)
    build, build_sign = detect_build(undefined_names, definition, init, elf)
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
        "debug": elf.has_debug_information,
        "build": build,
        "build_sign": build_sign,
        "init": init,
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
    """Return library -> version -> name of a symbol that needs it, of all libraries, in the wheel or not.

    `{"libc.so.6": {"GLIBC_2.34": "pthread_create"}}`. The name is empty for a version that no symbol needs.
    """
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
