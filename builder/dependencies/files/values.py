"""Values that several formats have, checked where they are read, and the hashes that count of a package's files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from packaging.markers import InvalidMarker, Marker
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import InvalidName, canonicalize_name
from packaging.version import InvalidVersion, Version
from pydantic import AfterValidator, BaseModel, ValidationError

from builder.dependencies.files.model import dotted_path
from builder.dependencies.files.text import shorten
from builder.errors import DependencyFileError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_Table = TypeVar("_Table", bound=BaseModel)

_SDIST_SUFFIXES = (".tar.gz", ".zip", ".tar.bz2", ".tgz")


def _check_name(value: str) -> str:
    try:
        return str(canonicalize_name(value, validate=True))
    # Here and below pydantic adds the place to the message; packaging's own traceback adds nothing.
    except InvalidName:
        raise ValueError(f"{shorten(value)!r} is no valid name for a package") from None


def _check_version(value: str) -> str:
    try:
        return str(Version(value))
    except InvalidVersion:
        raise ValueError(f"{shorten(value)!r} is no version (PEP 440)") from None


def _check_marker(value: str) -> str:
    try:
        return str(Marker(value)) if value else ""
    except (InvalidMarker, RecursionError):
        raise ValueError(f"{shorten(value)!r} is no marker (PEP 508)") from None


def _check_specifier(value: str) -> str:
    try:
        return str(SpecifierSet(value))
    except InvalidSpecifier:
        raise ValueError(f"{shorten(value)!r} is no version specifier (PEP 440)") from None


NameText = Annotated[str, AfterValidator(_check_name)]
"""A package's name; canonical (PEP 503) once it is read."""

VersionText = Annotated[str, AfterValidator(_check_version)]
"""A version (PEP 440)."""

MarkerText = Annotated[str, AfterValidator(_check_marker)]
"""A marker (PEP 508); empty where there is none."""

SpecifierText = Annotated[str, AfterValidator(_check_specifier)]
"""A version specifier (PEP 440)."""


def check_table(path: Path, model: type[_Table], table: object, place: str = "") -> _Table:
    """Return a table of a file as its model.

    Args:
        path: the file.
        model: what the table has to be.
        table: as it was parsed.
        place: its dotted path; empty for the whole file.

    Raises:
        DependencyFileError: it is not; every mistake has its dotted path.
    """
    try:
        return model.model_validate(table)
    except ValidationError as error:
        mistakes: list[tuple[str, str]] = []
        for item in error.errors():
            text = item["msg"].removeprefix("Value error, ")
            mistakes.append((dotted_path(place, item["loc"]), shorten(text)))
        raise DependencyFileError(path, mistakes) from None


def find_tool_table(path: Path, data: dict[str, Any], name: str) -> dict[str, Any]:
    """Return a tool's table of pyproject.toml, `[tool.NAME]`; empty where there is none.

    Raises:
        DependencyFileError: something else than a table stands there.
    """
    table = data
    place = ""
    for key in ("tool", name):
        table = table.get(key, {})
        place = f"{place}.{key}".removeprefix(".")
        if not isinstance(table, dict):
            raise DependencyFileError(path, [(place, "expected a table")])
    return table


def select_hashes(files: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """Return the hashes of a package's files that count: the sdist's where there is one, which the farm builds from.

    Args:
        files: (file name, hash) of each file that a lock file lists.
    """
    listed = list(files)
    of_sdists = [value for name, value in listed if name.endswith(_SDIST_SUFFIXES)]
    return tuple(of_sdists or [value for _, value in listed])
