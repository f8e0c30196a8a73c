"""What an installed distribution says of itself: its metadata, and its modules by the list of its files."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from importlib.metadata import Distribution, PackagePath, PathDistribution
from pathlib import Path
from typing import Any

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
_FREE_THREADING = "Programming Language :: Python :: Free Threading"


def find_distribution(site: str, requirement: str) -> Distribution | None:
    """Return the distribution that was installed for a requirement; None where there is not exactly one of that name.

    Args:
        site: the folder that it is installed in.
        requirement: `NAME==VERSION`.
    """
    wanted = _normalize(requirement.partition("==")[0])
    found = [distribution for name, distribution in list_distributions(site) if name == wanted]
    return found[0] if len(found) == 1 else None


def list_distributions(site: str) -> list[tuple[str, Distribution]]:
    """Return (canonical name, distribution) of what was installed into a folder, sorted.

    Folders such as `foo.egg-info`, which any wheel may bring, are none that was installed.
    """
    installed: list[tuple[str, Distribution]] = []
    for folder in sorted(Path(site).glob("*.dist-info")):
        name, _, _ = folder.name.removesuffix(".dist-info").rpartition("-")
        installed.append((_normalize(name), PathDistribution(folder)))

    return installed


def _normalize(name: str) -> str:
    """Return a name in its canonical form (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def list_files(distribution: Distribution) -> list[PackagePath]:
    """Return the files of a distribution by its RECORD, but for what names no file; none where that is unreadable."""
    try:
        files = distribution.files or []
    except (ValueError, KeyError, csv.Error):  # a package may write what it likes
        return []

    return [file for file in files if file.parts]


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


def find_gil_setters(distribution: Distribution, site: str) -> list[str]:
    """Return the extension modules of a distribution that name the function with which they can leave the GIL off.

    It is read from their files, whatever they do when they are loaded. `PyUnstable_Module_SetGIL` is how a module of
    single-phase initialisation says that it needs no GIL; it has no slot to say so. Modules made by cffi leave that to
    `_cffi_backend`: one that names it counts as well where that names the function.

    Args:
        distribution: the installed distribution.
        site: the folder that it is installed in, with what it depends on.
    """
    marks = [_GIL_SETTER]
    for library in Path(site).glob(f"{_CFFI.decode()}.*.so"):
        if _GIL_SETTER in _read(library):
            marks.append(_CFFI)

    setters: list[str] = []
    for file in list_files(distribution):
        module = _name_native_module(file)
        if module is None:
            continue
        content = _read(Path(str(file.locate())))
        if any(mark in content for mark in marks):
            setters.append(module)

    return sorted(setters)


def find_modules(distribution: Distribution) -> tuple[dict[str, bool], list[str]]:
    """Return (top-level modules, native modules) of a distribution, by the list of its installed files.

    A native module is an extension module: a `.so` file that `import` loads. The top-level modules are a mapping: name
    -> whether the module itself is native. `a/__init__.py` and `a/b.abi3.so` -> `({"a": False}, ["a.b"])`. Of a
    namespace package (PEP 420), which has no module of its own, it is each package in it: `google/protobuf/__init__.py`
    -> `google.protobuf`. Shared libraries (`libx.so`), and files that are no module by their name, are left out.
    """
    top_modules: dict[str, bool] = {}
    native_modules: set[str] = set()
    packages: set[tuple[str, ...]] = set()

    for file in list_files(distribution):
        native_module = _name_native_module(file)
        if native_module is not None:
            native_modules.add(native_module)
            if len(file.parts) == 1:
                top_modules[native_module] = True

        if not _is_code(file.parts[0]):
            continue

        stem, _, suffix = file.name.partition(".")
        is_code = suffix == "py" or _is_shared_object(suffix)
        if suffix == "py" and len(file.parts) == 1:
            top_modules.setdefault(stem, False)
        elif stem == "__init__" and len(file.parts) > 1 and is_code:
            packages.add(file.parts[:-1])
            if len(file.parts) == _FILE_OF_TOP_PACKAGE:
                top_modules[file.parts[0]] = native_module is not None

    for package in _find_outermost(packages):
        top_modules.setdefault(".".join(package), False)

    # Native modules of a namespace package have no module of the distribution above them.
    for name in native_modules:
        top_modules.setdefault(top_of(name), False)

    return dict(sorted(top_modules.items())), sorted(native_modules)


def _find_outermost(packages: set[tuple[str, ...]]) -> Iterator[tuple[str, ...]]:
    """Iterate over the packages that are in no other one, as the folders that lead to them."""
    for package in packages:
        is_named_well = all(folder.isidentifier() for folder in package)
        is_inside = any(package[:depth] in packages for depth in range(1, len(package)))
        if is_named_well and not is_inside:
            yield package


def _name_native_module(file: PackagePath) -> str | None:
    """Return the name by which a file of a distribution is imported as an extension module; None where it is none.

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
    if is_plain_library or _is_foreign_library(Path(str(file.locate()))):
        return None

    return ".".join(folders if stem == "__init__" else (*folders, stem))


def _is_foreign_library(path: Path) -> bool:
    """Return whether a native file has nothing of an extension module but its suffix: ctypes loads it, or cffi.

    setuptools gives libraries that are made as an `Extension` the suffix of one.
    """
    content = _read(path)
    return content.startswith(_ELF) and not any(mark in content for mark in _MODULE_MARKS)


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
