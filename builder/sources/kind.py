"""Whether a release holds native code, as far as its files tell."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from builder.distributions.members import NotAnSdistError, iter_members
from builder.sources.build_requirements import parse_build_backend, parse_build_requirements
from builder.sources.errors import UnusableFileError
from builder.untrusted.names import UntrustedNameError, parse_requirement

if TYPE_CHECKING:
    from pathlib import Path

    from packaging.tags import Tag

    from builder.distributions.members import Member
    from builder.sources.client import Index
    from builder.sources.releases import Release
    from builder.store.store import Store

_NATIVE_SOURCES = (
    ".c", ".cc", ".cpp", ".cxx", ".c++", ".pyx", ".rs", ".f", ".for", ".ftn", ".f77", ".f90", ".f95", ".f03", ".f08",
    ".s", ".asm", ".cu", ".zig", ".go", ".pyf",
)  # fmt: skip
"""Endings of files with native code, in lower case: `.F90` and `.S` are those that a preprocessor reads first."""

_TEMPLATES = (".in", ".src", ".tmpl", ".j2", ".jinja", ".jinja2", ".mako", ".tp")
"""What sources that are made from a template end with beside that: `.pyx.in`, `.c.src`."""

_NATIVE_BUILDS = frozenset({"Cargo.toml", "CMakeLists.txt", "meson.build", "binding.gyp"})

_EXTENSION_CALLS = re.compile(
    rb"\b(?:ext_modules|cffi_modules|rust_extensions|cythonize|mypycify|build_ext|[A-Za-z0-9]*Extension[ \t]*\()"
)
"""What a setup.py that makes extension modules calls or names: of Cython and mypyc, the sources are Python files."""

_EXTENSION_TOOLS = frozenset(
    {
        "cython", "cffi", "mypy", "hatch-mypyc", "hatch-cython", "pybind11", "nanobind", "setuptools-rust", "maturin",
        "meson-python", "scikit-build", "scikit-build-core", "py-build-cmake", "ziglang", "swig", "numpy",
    }
)  # fmt: skip
"""Build requirements that nothing but native code needs, by canonical name."""

_EXTENSION_SETTINGS = re.compile(
    rb"^\s*(?:ext-modules\b|\[+tool\.(?:hatch\.build\.(?:targets\.wheel\.)?hooks\.(?:mypyc|cython)|setuptools\.ext-modules)\b)",
    re.MULTILINE,
)
"""What pyproject.toml has where extension modules are described there."""

_PURE_BACKENDS = frozenset(
    {"flit_core", "flit", "hatchling", "poetry", "pdm", "uv_build", "whey", "jupyter_packaging"}
)
"""Build backends (PEP 517) that make a pure wheel unless a program of the project's own is named, by their package."""

_SETUPTOOLS = "setuptools"

_OWN_BUILD_PROGRAMS = re.compile(
    rb"^\s*(?:backend-path\s*=|\[+tool\.hatch\.build\.(?:targets\.wheel\.)?hooks\.custom\b"
    rb"|\[tool\.poetry\.build\]|\[tool\.pdm\.build\.(?:hooks|run-setuptools)|run-setuptools\s*=|build\s*=\s*[\"'][^\"']*\.py[\"'])",
    re.MULTILINE,
)
"""Where a pyproject.toml names a program of the project's own that takes part in the build."""

_DECISIONS = re.compile(
    rb"\b(?:cmdclass|distclass|has_ext_modules|exec|execfile|runpy|subprocess|import_module|__import__|environ|getenv)\b|\*\*\s*[A-Za-z_]"
)
"""What a setup.py does that decides more than a call of `setup` with plain arguments tells."""

_TEXT_BYTES = 1 << 20
"""Most that is read of setup.py and pyproject.toml: they are written by hand, so far above any; not measured."""

# Pure packages carry C files as test data and in their documentation.
_IGNORED_FOLDERS = frozenset(
    {"test", "tests", "testing", "doc", "docs", "example", "examples", "benchmarks"}
)


class Kind(StrEnum):
    """What a release brings."""

    PURE = "pure"
    """One wheel for every Python."""
    NATIVE = "native"
    """Extension modules; a wheel for each ABI."""
    SPEEDUPS = "speedups"
    """Extension modules, and a pure wheel for where those do not fit."""
    PROGRAM = "program"
    """A wheel for a platform that serves every Python: a program, or a library that Python does not import."""
    UNKNOWN = "cannot tell"
    """An sdist of which only its build tells whether it makes extension modules."""
    EMPTY = "empty"
    """No file that can be used."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SdistKind:
    """What an sdist makes, as far as its files tell.

    Attributes:
        kind: `NATIVE`, `PURE` or `UNKNOWN`.
        doubt: why only its build can tell, where it is `UNKNOWN`.
    """

    kind: Kind
    doubt: str = ""


def wheel_tags(filename: str) -> frozenset[Tag]:
    """Return the tags in a wheel's file name (PEP 425); empty where it is no wheel's name."""
    try:
        _, _, _, tags = parse_wheel_filename(filename)
    except InvalidWheelFilename:
        return frozenset()

    return tags


def classify_release(release: Release, index: Index, store: Store) -> Kind:
    """Return what kind of files a release brings, judged by its wheels' names.

    Without wheels the files of the sdist decide (`classify_sdist`).

    Raises:
        NoIndexAnswerError: the index does not answer.
        FileMismatchError: the sdist is not what the index promised.
        UnusableFileError: the sdist is no archive.
    """
    tags: set[Tag] = set()
    for wheel in release.wheels:
        tags |= wheel_tags(wheel.filename)

    if tags:
        return _classify_wheels(tags, has_pure=release.pure_wheel is not None)
    if release.sdist is None:
        return Kind.EMPTY

    sdist = store.file(index.download(release.sdist))
    return classify_sdist(sdist, release.sdist.filename).kind


def _classify_wheels(tags: set[Tag], *, has_pure: bool) -> Kind:
    """Return what kind of release has wheels with these tags.

    `has_pure` says whether one of them is a pure wheel, which makes native ones beside it speedups.
    """
    if all(tag.platform == "any" for tag in tags):
        return Kind.PURE
    if has_pure:
        return Kind.SPEEDUPS

    has_extensions = any(tag.platform != "any" and tag.abi != "none" for tag in tags)
    is_for_cpython = any(tag.interpreter.startswith("cp") for tag in tags)
    if has_extensions or is_for_cpython:
        return Kind.NATIVE
    return Kind.PROGRAM


def classify_sdist(path: Path, filename: str) -> SdistKind:
    """Return what an sdist makes: by its sources, or by how it is built; where neither tells, that nobody can tell.

    Args:
        path: where the sdist is.
        filename: what it is called, which tells its format.

    Raises:
        UnusableFileError: it is no archive.
    """
    if holds_native_sources(path, filename):
        return SdistKind(kind=Kind.NATIVE)

    doubt = ""
    for member in iter_members(path, filename):
        if member.is_top_file("pyproject.toml") or member.is_top_file("setup.py"):
            doubt = doubt or _find_doubt(member)

    return SdistKind(kind=Kind.UNKNOWN if doubt else Kind.PURE, doubt=doubt)


def _find_doubt(member: Member) -> str:
    """Return why a setup.py or pyproject.toml may make native code although it names none; empty where it does not."""
    file_name = member.name.rpartition("/")[2]
    if member.size > _TEXT_BYTES:
        return f"its {file_name} is too large to be read"

    content = member.read(_TEXT_BYTES)
    if file_name == "setup.py":
        match = _DECISIONS.search(content)
        return "" if match is None else f"its setup.py decides: `{match[0].decode().strip()}`"

    backend = parse_build_backend(content)
    root = backend.partition(".")[0]
    if root and root != _SETUPTOOLS and root not in _PURE_BACKENDS:
        return f"its build backend is {backend}"
    if _OWN_BUILD_PROGRAMS.search(content):
        return "its pyproject.toml names a program of its own that takes part in the build"
    return ""


def holds_native_sources(path: Path, filename: str) -> bool:
    """Return whether an sdist makes native code: by its sources outside tests and documentation, or by how it is built.

    Args:
        path: where the sdist is.
        filename: what it is called, which tells its format.

    Raises:
        UnusableFileError: it is no archive.
    """
    try:
        return any(_is_native(member) for member in iter_members(path, filename))
    except NotAnSdistError as error:
        raise UnusableFileError(f"{filename} is no sdist: {error}") from None


def _is_native(member: Member) -> bool:
    """Return whether a file of an sdist shows that native code is built."""
    *folders, file_name = member.name.split("/")
    if _IGNORED_FOLDERS.intersection(map(str.lower, folders)):
        return False
    if file_name in _NATIVE_BUILDS or _is_native_source(file_name):
        return True

    is_at_top = len(folders) <= 1  # the folder that all of an sdist is in, if it has one
    if not is_at_top or member.size > _TEXT_BYTES:
        return False
    if file_name == "setup.py":
        return _EXTENSION_CALLS.search(member.read(_TEXT_BYTES)) is not None
    if file_name == "pyproject.toml":
        return _describes_extensions(member.read(_TEXT_BYTES))
    return False


def _is_native_source(file_name: str) -> bool:
    name = file_name.lower()
    for suffix in _TEMPLATES:
        name = name.removesuffix(suffix)

    return name.endswith(_NATIVE_SOURCES)


def _describes_extensions(pyproject: bytes) -> bool:
    """Return whether pyproject.toml describes extension modules, or asks for a tool that makes them."""
    if _EXTENSION_SETTINGS.search(pyproject):
        return True

    for text in parse_build_requirements(pyproject):
        try:
            name = canonicalize_name(parse_requirement(text).name)
        except UntrustedNameError:
            continue  # the frontend refuses it too, and says so
        if name in _EXTENSION_TOOLS:
            return True

    return False
