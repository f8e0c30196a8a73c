"""What an installed distribution says of itself: its metadata, and its modules by the list of its files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, PackagePath
from pathlib import Path
from typing import Any

from ..supervise.distributions import list_files
from ..supervise.folders import read_file

_MOST_BYTES = 1 << 30  # of a file that is read
_FILE_OF_TOP_PACKAGE = 2  # parts of the path `a/__init__.py`
_NOT_CODE = (".dist-info", ".libs", ".data")
_ELF = b"\x7fELF"
_MODULE_MARKS = (
    b"PyInit_",
    b"PyInitU_",
    b"PyModExport_",
    b"PyModuleDef_Init",
    b"PyModule_Create2",
    b"PyModule_FromDefAndSpec2",
)
"""What every extension module defines or calls (PEP 489, PEP 793): one that forgot the first calls another."""

_MODULE_NAME = re.compile(r"[A-Za-z0-9_-]+|\w+")
"""What a module may be called that is imported by its name alone; `-` stands for `_` in the name of its function."""

_GIL_SETTER = b"PyUnstable_Module_SetGIL"
_CFFI = b"_cffi_backend"
_GIL_MARKS = (_GIL_SETTER, _CFFI)
"""What the file of an extension module has that can leave the GIL off; see `find_gil_setters`."""

_FREE_THREADING = "Programming Language :: Python :: Free Threading"


def _read(path: Path) -> bytes:
    """Return what is in a file; nothing where there is none."""
    return read_file(path, _MOST_BYTES) or b""


def read_metadata(distribution: Distribution, *, is_python_ignored: bool) -> dict[str, Any]:
    """Return what a distribution says of the interpreters it is for; builder/evidence/load.py describes the fields.

    Args:
        distribution: the installed distribution.
        is_python_ignored: whether it could be installed only by ignoring its requires-python.
    """
    requires_python = distribution.metadata.get_all("Requires-Python") or [""]

    free_threading = None
    for line in distribution.metadata.get_all("Classifier", ()):
        if line.startswith(_FREE_THREADING):
            # The level, such as `3 - Stable`; the classifier without one says `yes`.
            free_threading = line.removeprefix(_FREE_THREADING).removeprefix(" :: ") or "yes"

    return {
        "requires_python": requires_python[0],
        "requires_python_ignored": is_python_ignored,
        "free_threading": free_threading,
    }


@dataclass(frozen=True)
class NativeModule:
    """An extension module of a distribution.

    Attributes:
        name: by which it is imported.
        marks: which of `_GIL_MARKS` its file has.
    """

    name: str
    marks: set[bytes]


@dataclass(frozen=True)
class Modules:
    """The modules that a distribution brought.

    Attributes:
        tops: the top-level modules: name -> whether the module itself is native. Of a namespace package (PEP 420),
            which has no module of its own, it is each package in it: `google/protobuf/__init__.py` ->
            `google.protobuf`.
        natives: the extension modules, sorted: `.so` files that `import` loads.
        marks: by extension module, which of `_GIL_MARKS` its file has.
    """

    tops: dict[str, bool]
    natives: list[str]
    marks: dict[str, set[bytes]]


def find_gil_setters(modules: Modules, site: str) -> list[str]:
    """Return the extension modules of a distribution that name the function with which they can leave the GIL off.

    It is read from their files, whatever they do when they are loaded. `PyUnstable_Module_SetGIL` is how a module of
    single-phase initialisation says that it needs no GIL; it has no slot to say so. Modules made by cffi leave that to
    `_cffi_backend`: one that names it counts as well where that names the function.

    Args:
        modules: of the distribution.
        site: the folder it is installed in, with what it depends on.
    """
    wanted = {_GIL_SETTER}
    for library in Path(site).glob(f"{_CFFI.decode()}.*.so"):
        if _GIL_SETTER in _read(library):
            wanted.add(_CFFI)

    return sorted(name for name, marks in modules.marks.items() if marks & wanted)


def find_modules(distribution: Distribution) -> Modules:
    """Return the modules of a distribution, by the list of its installed files; each native one is read once.

    `a/__init__.py` and `a/b.abi3.so` -> `{"a": False}` and `["a.b"]`. Shared libraries (`libx.so`), and files that are
    no module by their name, are left out.
    """
    top_modules: dict[str, bool] = {}
    packages: set[tuple[str, ...]] = set()
    files = list_files(distribution)
    natives = _read_natives(files)

    for file in files:
        native = natives.get(file)
        if native is not None and len(file.parts) == 1:
            top_modules[native.name] = True

        if not _is_code(file.parts[0]):
            continue

        stem, _, suffix = file.name.partition(".")
        is_code = suffix == "py" or _is_shared_object(suffix)
        if suffix == "py" and len(file.parts) == 1:
            top_modules.setdefault(stem, False)
        elif stem == "__init__" and len(file.parts) > 1 and is_code:
            packages.add(file.parts[:-1])
            if len(file.parts) == _FILE_OF_TOP_PACKAGE:
                top_modules[file.parts[0]] = native is not None

    for package in _find_outermost(packages):
        top_modules.setdefault(".".join(package), False)

    # Native modules of a namespace package have no module of the distribution above them.
    marks = {native.name: native.marks for native in natives.values()}
    for name in marks:
        top_modules.setdefault(top_of(name), False)

    return Modules(tops=dict(sorted(top_modules.items())), natives=sorted(marks), marks=marks)


def _find_outermost(packages: set[tuple[str, ...]]) -> Iterator[tuple[str, ...]]:
    """Iterate over the packages that are in no other one, as the folders that lead to them."""
    for package in packages:
        is_named_well = all(folder.isidentifier() for folder in package)
        is_inside = any(package[:depth] in packages for depth in range(1, len(package)))
        if is_named_well and not is_inside:
            yield package


def _name_native_module(file: PackagePath) -> str | None:
    """Return the name by which a file is imported if it is an extension module; None where it is named like none.

    The name of the module itself need be no identifier, as those are not that mypyc makes of a hash.
    """
    *folders, filename = file.parts
    stem, _, suffix = filename.partition(".")
    if not _is_shared_object(suffix) or not _MODULE_NAME.fullmatch(stem):
        return None

    if folders and not _is_code(folders[0]):
        return None
    if not all(folder.isidentifier() for folder in folders):
        return None

    is_plain_library = stem.startswith("lib") and suffix == "so"
    if is_plain_library:
        return None

    return ".".join(folders if stem == "__init__" else (*folders, stem))


def _read_natives(files: list[PackagePath]) -> dict[PackagePath, NativeModule]:
    """Return those of a distribution's files that are extension modules; each file that is named like one is read once.

    Left out are native files that have nothing of an extension module but the suffix, which setuptools gives to
    libraries that are made as an `Extension`: ctypes loads them, or cffi.
    """
    natives: dict[PackagePath, NativeModule] = {}
    for file in files:
        name = _name_native_module(file)
        if name is None:
            continue

        content = _read(Path(str(file.locate())))
        is_module = any(mark in content for mark in _MODULE_MARKS)
        if is_module or not content.startswith(_ELF):
            marks = {mark for mark in _GIL_MARKS if mark in content}
            natives[file] = NativeModule(name=name, marks=marks)

    return natives


def _is_shared_object(suffix: str) -> bool:
    """Return whether a file is a shared object by its suffix, which is `so` or ends with `.so`."""
    return suffix == "so" or suffix.endswith(".so")


def _is_code(name: str) -> bool:
    """Return whether a file or folder, seen from the folder for packages, can be a module or hold some.

    `a` and `a.py` can; `a-1.dist-info`, `a.libs` and `__pycache__` cannot.
    """
    if name == "__pycache__" or name.endswith(_NOT_CODE):
        return False

    return top_of(name).isidentifier()


def top_of(name: str) -> str:
    """Return the first part of a module's dotted name: `a` of `a.b.c`."""
    return name.partition(".")[0]
