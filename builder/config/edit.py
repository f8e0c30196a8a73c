"""Writes packages into matrix.toml and leaves everything else in it as it was: order, comments, blank lines."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import groupby
from typing import TYPE_CHECKING, Any

import tomlkit
from packaging.version import Version
from tomlkit.exceptions import TOMLKitError

from builder.config import matrix as matrices
from builder.config.versions import pinned_version
from builder.errors import MatrixError
from builder.store.files import atomic_write
from builder.untrusted.package_names import (
    parse_package_name,
    pin_package,
    project_of,
    version_of,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from builder.config.matrix import Matrix


Tables = Mapping[str, dict[str, Any]]
"""The tables of packages in a matrix, by the packages' canonical names."""


class Action(StrEnum):
    """What happens to a package's table."""

    ADDED = "added"
    CHANGED = "changed"
    SAME = "same"
    """It says this already."""
    DIFFERS = "differs"
    """It says something else, and stays."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A package as it is to stand in the matrix.

    Attributes:
        name: of the project, canonical (PEP 503); in a plan, of its table, which may have a version.
        version: a specifier (PEP 440).
        hashes: what its files must hash to, each to one of these; empty where nothing says.
        take_from: the key `from`, where it is not what holds for all packages; empty where it is.
        group: what it stands under among the new packages; empty where there are no groups.
    """

    name: str
    version: str
    hashes: tuple[str, ...] = ()
    take_from: str = ""
    group: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """What happens to one package's table.

    Attributes:
        name: the table's: of the project, or of the project with a version.
        detail: for a person.
    """

    name: str
    action: Action
    detail: str


@dataclass(frozen=True, kw_only=True, slots=True)
class MatrixEdit:
    """A matrix as it was and as it will be."""

    before: str
    after: str
    changes: tuple[Change, ...]
    """One for each entry, in their order."""


def plan_edit(
    path: Path,
    entries: Sequence[Entry],
    heading: str,
    *,
    update: bool,
    beside: bool = False,
) -> MatrixEdit:
    """Return a matrix as it would be with further packages, and what happens to each of them. Nothing is written.

    A package whose table says something else is changed only with `update`.

    Args:
        path: the matrix; it may be missing.
        entries: the packages; those of a group side by side.
        heading: a comment above the new ones, and the beginning of that above each group where there are several.
        update: whether packages that are there take the new version and hashes.
        beside: whether a version that is not there gets a table of its own, beside that of another version.

    Raises:
        MatrixError: the matrix is wrong, or cannot take the packages.
    """
    before = _read(path)
    tables = _package_tables(before, path)
    changes = [_plan_change(entry, tables, update=update, beside=beside) for entry in entries]

    by_action: dict[Action, list[Entry]] = {action: [] for action in Action}
    for entry, change in zip(entries, changes, strict=True):
        by_action[change.action].append(replace(entry, name=change.name))
    after = _update_tables(before, by_action[Action.CHANGED], path)
    after = _append_tables(after, by_action[Action.ADDED], heading)

    if after != before:
        _check_result(after, path)
    return MatrixEdit(before=before, after=after, changes=tuple(changes))


def read_matrix(path: Path) -> Matrix:
    """Return a matrix as far as it has been written: it may be missing, or have no packages yet.

    Raises:
        MatrixError: it is wrong.
    """
    text = _read(path)
    data = _parse(text, path) if text.strip() else {}
    return matrices.parse(data, path, needs_packages=False)


def write_edit(path: Path, edited: MatrixEdit) -> None:
    """Write an edited matrix in place of the old one, whole or not at all; nothing is done where nothing changed.

    Raises:
        MatrixError: the file changed since it was read, or cannot be written.
    """
    if edited.after == edited.before:
        return
    if _read(path) != edited.before:
        raise MatrixError(
            path, [("", "was changed by somebody else meanwhile; nothing was written, try again")]
        )
    try:
        with atomic_write(path.resolve()) as aside:
            aside.write_bytes(edited.after.encode())
    except OSError as error:
        raise MatrixError(path, [("", f"cannot be written: {error.strerror}")]) from None


def _read(path: Path) -> str:
    """Return the text of a matrix; empty where there is no such file."""
    try:
        return path.read_bytes().decode()
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise MatrixError(path, [("", f"cannot be read: {error}")]) from None


def _package_tables(text: str, path: Path) -> Tables:
    """Return the tables of packages by canonical name, which may have a version.

    An empty file, or one without packages, is fine here, because packages are about to be added; any other mistake in
    the matrix is an error.
    """
    if not text.strip():
        return {}
    data = _parse(text, path)
    if data.get("packages"):
        matrices.parse(data, path)
    return {parse_package_name(name): table for name, table in data.get("packages", {}).items()}


def _parse(text: str, path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise MatrixError(path, [("", f"is not TOML: {error}")]) from None


def _plan_change(entry: Entry, tables: Tables, *, update: bool, beside: bool) -> Change:
    """Return what happens to a package's table: to that of its version, or else of its project.

    A table with a local sdist stays as it is.
    """
    pin = entry.version.removeprefix("==")
    names = [name for name in tables if project_of(name) == entry.name]
    if not names:
        return Change(name=entry.name, action=Action.ADDED, detail=pin)

    own = [name for name in names if _has_version(name, tables[name], entry.version)]
    name = own[0] if own else names[0]
    table = tables[name]
    if "sdist" in table:
        detail = f"is built from {table['sdist']}; stays so"
        return Change(name=name, action=Action.DIFFERS, detail=detail)

    hashes = _read_hashes(table)
    if own and set(entry.hashes) <= set(hashes):
        return Change(name=name, action=Action.SAME, detail=pin)
    if beside and not own:
        added = pin_package(entry.name, pin)
        return Change(name=added, action=Action.ADDED, detail=f"beside {', '.join(names)}")
    if not own and len(names) > 1:
        detail = f"{pin} is none of {', '.join(names)}; --beside adds it"
        return Change(name=entry.name, action=Action.DIFFERS, detail=detail)

    stated = _describe_difference(name, table, hashes, is_same_version=bool(own))
    if update and (own or not version_of(name)):
        return Change(name=name, action=Action.CHANGED, detail=f"{pin}; it had {stated}")
    ways = "--update takes the file's" if own else "--update takes the file's, --beside has both"
    detail = f"stays: it has {stated}, the file has {pin}; {ways}"
    return Change(name=name, action=Action.DIFFERS, detail=detail)


def _has_version(name: str, table: dict[str, Any], wanted: str) -> bool:
    """Return whether a package's table is about the version that an entry names, by its name or by its key."""
    wanted_version = pinned_version(wanted)
    if version_of(name):
        return Version(version_of(name)) == wanted_version

    version = table.get("version", "")
    pinned = pinned_version(version)
    is_same_pin = pinned is not None and pinned == wanted_version
    return version == wanted or is_same_pin


def _read_hashes(table: dict[str, Any]) -> tuple[str, ...]:
    """Return the hashes of a package's table, where one may stand for a list of one."""
    hashes = table.get("sha256", ())
    return (hashes,) if isinstance(hashes, str) else tuple(hashes)


def _describe_difference(
    name: str, table: dict[str, Any], hashes: tuple[str, ...], *, is_same_version: bool
) -> str:
    """Say what a table states in place of an entry's version or hashes."""
    if is_same_version:
        return f"another sha256 ({' or '.join(hashes)})" if hashes else "no sha256"

    version = version_of(name) or table.get("version", "")
    return f"version {version!r}" if version else "no version"


def _update_tables(text: str, entries: Sequence[Entry], path: Path) -> str:
    """Return the text with the version and hashes of each entry in its table, comments and order kept."""
    if not entries:
        return text

    try:
        document = tomlkit.parse(text)
    except TOMLKitError as error:
        raise MatrixError(path, [("", f"is not TOML: {error}")]) from None
    packages: Any = document["packages"]
    by_name = {str(parse_package_name(name)): name for name in packages}

    for entry in entries:
        table = packages[by_name[entry.name]]
        if not version_of(entry.name):
            table["version"] = entry.version
        if entry.hashes:
            table["sha256"] = entry.hashes[0] if len(entry.hashes) == 1 else list(entry.hashes)
        else:
            table.pop("sha256", None)  # it was that of the old version's files
        if entry.take_from:
            table["from"] = entry.take_from
    return tomlkit.dumps(document)


def _append_tables(text: str, entries: Sequence[Entry], heading: str) -> str:
    """Return the text with new tables at its end, under a heading, with the line endings that the text has."""
    if not entries:
        return text

    lines = []
    if text and not text.endswith("\n"):
        lines.append("")  # to end the last line

    has_groups = len({entry.group for entry in entries}) > 1
    for group, members in groupby(entries, key=lambda entry: entry.group):
        if text or lines:
            lines.append("")  # a blank line before the heading
        group_heading = f"{heading}: {group}" if has_groups else heading
        lines += tomlkit.comment(group_heading).as_string().splitlines()
        for entry in members:
            lines += _render_table(entry)

    ending = "\r\n" if "\r\n" in text else "\n"
    return text + ending.join(lines) + ending


def _render_table(entry: Entry) -> list[str]:
    """Return the lines of a package's table, quoted as TOML needs it.

    `['[packages.lxml]', 'version = "==6.0"']`.
    """
    lines = [f"[{tomlkit.key(['packages', entry.name]).as_string()}]"]
    if not version_of(entry.name):
        lines.append(f"version = {tomlkit.string(entry.version).as_string()}")
    if entry.take_from:
        lines.append(f"from = {tomlkit.string(entry.take_from).as_string()}")

    quoted = [tomlkit.string(value).as_string() for value in entry.hashes]
    if len(quoted) == 1:
        lines.append(f"sha256 = {quoted[0]}")
    elif quoted:
        lines += ["sha256 = [", *(f"    {value}," for value in quoted), "]"]
    return lines


def _check_result(text: str, path: Path) -> None:
    """Refuse to write what could not be read again."""
    matrices.parse(_parse(text, path), path)
