"""Whether a release holds native code, as far as its files tell."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from builder.distributions.members import NotAnSdistError, iter_members
from builder.sources.errors import FileMismatchError

if TYPE_CHECKING:
    from pathlib import Path

    from packaging.tags import Tag

    from builder.sources.client import Index
    from builder.sources.releases import Release
    from builder.store.store import Store

_NATIVE_SOURCES = (".c", ".cc", ".cpp", ".cxx", ".pyx", ".rs", ".f", ".f90", ".cu", ".zig", ".go")
_NATIVE_BUILDS = frozenset({"Cargo.toml", "CMakeLists.txt", "meson.build", "binding.gyp"})

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
    EMPTY = "empty"
    """No file that can be used."""


def wheel_tags(filename: str) -> frozenset[Tag]:
    """Return the tags in a wheel's file name (PEP 425); empty where it is no wheel's name."""
    try:
        _, _, _, tags = parse_wheel_filename(filename)
    except InvalidWheelFilename:
        return frozenset()

    return tags


def classify_release(release: Release, index: Index, store: Store) -> Kind:
    """Return what kind of files a release brings, judged by its wheels' names.

    Without wheels the sdist's list of files decides: native if it has sources of native code, otherwise pure.

    Raises:
        NoIndexAnswerError: the index does not answer.
        FileMismatchError: the sdist is not what the index promised, or is no archive.
    """
    tags: set[Tag] = set()
    for wheel in release.wheels:
        tags |= wheel_tags(wheel.filename)

    if tags:
        return _classify_wheels(tags, has_pure=release.pure_wheel is not None)
    if release.sdist is None:
        return Kind.EMPTY

    sdist = store.file(index.download(release.sdist))
    is_native = holds_native_sources(sdist, release.sdist.filename)
    return Kind.NATIVE if is_native else Kind.PURE


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


def holds_native_sources(path: Path, filename: str) -> bool:
    """Return whether an sdist holds sources of native code outside its tests and documentation.

    Args:
        path: where the sdist is.
        filename: what it is called, which tells its format.

    Raises:
        FileMismatchError: it is no archive.
    """
    try:
        return any(_is_native(member.name) for member in iter_members(path, filename))
    except NotAnSdistError as error:
        raise FileMismatchError(f"{filename} is no sdist: {error}") from None


def _is_native(name: str) -> bool:
    """Return whether a file of an sdist is native source or a native build file, outside tests and documentation."""
    *folders, file_name = name.split("/")
    if _IGNORED_FOLDERS.intersection(folders):
        return False
    return file_name.endswith(_NATIVE_SOURCES) or file_name in _NATIVE_BUILDS
