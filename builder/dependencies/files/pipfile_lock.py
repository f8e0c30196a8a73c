"""Pipfile.lock: packages by category, of which `default` is what a project needs to run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from packaging.markers import InvalidMarker, Marker
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from pydantic import BaseModel, ConfigDict, Field

from builder.dependencies.files.model import (
    Dependency,
    DependencyFile,
    SkippedDependency,
)
from builder.dependencies.files.text import parse_name, read_json, shorten
from builder.dependencies.files.values import check_table
from builder.errors import DependencyFileError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from builder.dependencies.files.model import Selection

_VERSION = 6
_DEFAULT = "default"
_DEVELOP = "develop"
_DEVELOP_NAMES = frozenset({"dev", "develop", "dev-packages"})
"""What people call the category: Pipfile has `[dev-packages]`, pipenv `--dev`, the lock file `develop`."""


class _Entry(BaseModel):
    """One package. `git`, `path` and `file` name another place than the index."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    version: str | None = None
    hashes: Annotated[tuple[str, ...], Field(strict=False)] = ()
    markers: str = ""
    extras: Annotated[tuple[str, ...], Field(strict=False)] = ()
    index: str = ""
    git: str | None = None
    path: str | None = None
    file: str | None = None


def read(path: Path, selection: Selection) -> DependencyFile:
    """Return what a lock file installs on the selected Python, with the selected categories (as groups).

    Args:
        path: the file.
        selection: which part of it is meant; pipenv knows no extras of a project.

    Raises:
        DependencyFileError: it cannot be read or is wrong.
    """
    data = read_json(path)
    meta = data.get("_meta")
    version = meta.get("pipfile-spec") if isinstance(meta, dict) else None
    if version != _VERSION:
        text = f"expected {_VERSION}, the version of the format the farm reads, not {shorten(version)!r}"
        raise DependencyFileError(path, [("_meta.pipfile-spec", text)])

    categories = [name for name in data if name != "_meta"]
    taken = [name for name in categories if _is_selected(name, selection)]
    dependencies: dict[str, Dependency] = {}
    left_out: list[SkippedDependency] = []
    for category in taken:
        for name, where, entry in _iter_entries(path, category, data[category]):
            why = _explain_absence(path, where, entry, selection)
            if why:
                left_out.append(SkippedDependency(name=name, where=where, why=why))
            else:
                dependencies.setdefault(name, _make_dependency(path, name, where, entry))

    others = sorted(shorten(name) for name in set(categories) - set(taken))
    notes = [f"extras and groups that are not taken: {', '.join(others)}"] if others else []
    return DependencyFile(
        path=path,
        format="Pipfile.lock",
        dependencies=tuple(dependencies.values()),
        is_complete=True,
        parts=frozenset(categories) | (_DEVELOP_NAMES if _DEVELOP in categories else frozenset()),
        left_out=tuple(left_out),
        notes=tuple(notes),
    )


def _is_selected(category: str, selection: Selection) -> bool:
    """Return whether a category is meant."""
    names = _DEVELOP_NAMES if category == _DEVELOP else {category}
    return category == _DEFAULT or bool(names & selection.groups)


def _iter_entries(path: Path, category: str, table: object) -> Iterator[tuple[str, str, _Entry]]:
    """Yield (canonical name, where it stands, entry) of a category's packages."""
    if not isinstance(table, dict):
        raise DependencyFileError(path, [(shorten(category), "expected an object")])

    for written, value in table.items():
        where = f"{shorten(category)}.{shorten(written)}"
        name = parse_name(path, where, written)
        yield name, where, check_table(path, _Entry, value, where)


def _explain_absence(path: Path, where: str, entry: _Entry, selection: Selection) -> str:
    """Return why an entry is left out, or an empty text where it is taken."""
    try:
        marker = Marker(entry.markers) if entry.markers else None
    except (InvalidMarker, RecursionError):
        text = f"{shorten(entry.markers)!r} is no marker (PEP 508)"
        raise DependencyFileError(path, [(f"{where}.markers", text)]) from None

    if not selection.matches_marker(marker):
        return selection.explain_mismatch(marker)
    origin = entry.git or entry.file or entry.path
    if origin is not None:
        return f"comes from {shorten(origin)}, not from the index"
    if not entry.version:
        return "the lock file gives it no version"
    return ""


def _make_dependency(path: Path, name: str, where: str, entry: _Entry) -> Dependency:
    version = entry.version or ""
    try:
        specifier = SpecifierSet("" if version == "*" else version)
    except InvalidSpecifier:
        text = f"{shorten(version)!r} is no version specifier (PEP 440)"
        raise DependencyFileError(path, [(f"{where}.version", text)]) from None

    return Dependency(
        name=name,
        specifier=str(specifier),
        extras=frozenset(parse_name(path, f"{where}.extras", extra) for extra in entry.extras),
        hashes=entry.hashes,
        where=where,
    )
