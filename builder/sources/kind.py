"""Whether a release holds native code, as far as its files tell."""

from __future__ import annotations

import tarfile
import zipfile
from enum import StrEnum
from typing import TYPE_CHECKING

from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from builder.sources.client import FileMismatchError

if TYPE_CHECKING:
    from pathlib import Path

    from packaging.tags import Tag

    from builder.sources.client import Index, Release
    from builder.store.store import Store

_NATIVE_SOURCES = (".c", ".cc", ".cpp", ".cxx", ".pyx", ".rs", ".f", ".f90", ".cu", ".zig", ".go")
_NATIVE_BUILDS = frozenset({"Cargo.toml", "CMakeLists.txt", "meson.build", "binding.gyp"})
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
    """Return what a wheel says it runs on (PEP 425); nothing where its name is no wheel's."""
    try:
        return parse_wheel_filename(filename)[3]
    except InvalidWheelFilename:
        return frozenset()


def classify_release(release: Release, index: Index, store: Store) -> Kind:
    """Tell what a release brings: from its wheels' names, else from its sdist's list of files.

    Raises:
        NoIndexAnswerError: the index does not answer.
        FileMismatchError: the sdist is not what the index promised, or is no archive.
    """
    tags = frozenset(tag for wheel in release.wheels for tag in wheel_tags(wheel.filename))
    if tags:
        return _classify_wheels(tags, has_pure=release.pure_wheel is not None)
    if release.sdist is None:
        return Kind.EMPTY
    path = store.file(index.download(release.sdist))
    return Kind.NATIVE if holds_native_sources(path, release.sdist.filename) else Kind.PURE


def _classify_wheels(tags: frozenset[Tag], *, has_pure: bool) -> Kind:
    if all(tag.platform == "any" for tag in tags):
        return Kind.PURE
    extensions = any(tag.platform != "any" and tag.abi != "none" for tag in tags)
    if has_pure:
        return Kind.SPEEDUPS
    return (
        Kind.NATIVE
        if extensions or any(tag.interpreter.startswith("cp") for tag in tags)
        else Kind.PROGRAM
    )


def holds_native_sources(path: Path, filename: str) -> bool:
    """Return whether an sdist holds sources of native code outside its tests and documentation.

    Args:
        path: where the sdist is.
        filename: what it is called, which tells its format.

    Raises:
        FileMismatchError: it is no archive.
    """
    try:
        if filename.endswith(".zip"):
            with zipfile.ZipFile(path) as archive:
                return any(map(_is_native, archive.namelist()))
        with tarfile.open(path) as archive:
            return any(_is_native(member.name) for member in archive)
    except (tarfile.TarError, zipfile.BadZipFile, OSError, EOFError) as error:
        raise FileMismatchError(f"{filename} is no sdist: {error}") from None


def _is_native(member: str) -> bool:
    *folders, name = member.split("/")
    return not _IGNORED_FOLDERS.intersection(folders) and (
        name.endswith(_NATIVE_SOURCES) or name in _NATIVE_BUILDS
    )
