"""pyproject.toml: `[project]` (PEP 621), `[dependency-groups]` (PEP 735), and what `[tool.uv]` says to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from packaging.dependency_groups import DependencyGroupResolver
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name
from pydantic import BaseModel, ConfigDict, Field

from builder.dependencies.files.model import (
    Dependency,
    DependencyFile,
    SkippedDependency,
)
from builder.dependencies.files.text import parse_name, parse_requirement, read_toml, shorten
from builder.dependencies.files.uv_settings import UvSettings
from builder.dependencies.files.values import check_table, find_tool_table
from builder.errors import DependencyFileError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from packaging.requirements import Requirement

    from builder.dependencies.files.model import Selection

Requirements = Annotated[tuple[str, ...], Field(strict=False)]


class _Project(BaseModel):
    """`[project]`, as far as it is about dependencies; the rest is other tools' business."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    name: str = ""
    requires_python: str = Field(default="", alias="requires-python")
    dependencies: Requirements = ()
    optional: dict[str, Requirements] = Field(default_factory=dict, alias="optional-dependencies")
    dynamic: tuple[str, ...] = ()


def read(path: Path, selection: Selection) -> DependencyFile:
    """Return the dependencies that a project states for the selected Python, extras and groups.

    Requirements whose markers do not hold, or that name an address, are left out.

    Args:
        path: the file.
        selection: which part of it is meant.

    Raises:
        DependencyFileError: it cannot be read or is wrong, or leaves its dependencies to a build backend.
    """
    data = read_toml(path)
    project = _parse_project(path, data)
    groups = _parse_groups(path, data)
    uv = UvSettings(path, data, selection)
    overridden = {override.name: override for override in uv.overrides}

    wanted: list[Dependency] = []
    left_out: list[SkippedDependency] = []
    for where, parsed in _iter_requirements(path, project, groups, selection):
        name = str(canonicalize_name(parsed.name))
        why = _explain_absence(parsed, name, uv, selection)
        if why:
            left_out.append(SkippedDependency(name=name, where=where, why=why))
            continue

        specifier = overridden[name].specifier if name in overridden else str(parsed.specifier)
        extras = frozenset(str(canonicalize_name(extra)) for extra in parsed.extras)
        wanted.append(Dependency(name=name, specifier=specifier, extras=extras, where=where))

    return DependencyFile(
        path=path,
        format="pyproject.toml",
        dependencies=tuple(wanted),
        constraints=uv.constraints,
        overrides=uv.overrides,
        excluded=uv.excluded,
        takes_prereleases=uv.takes_prereleases,
        parts=selection.extras | selection.groups,  # what it does not have is refused already
        left_out=tuple(left_out),
        notes=(*_notes(path, project, groups, selection), *_poetry_note(path, data), *uv.notes()),
    )


def _explain_absence(parsed: Requirement, name: str, uv: UvSettings, selection: Selection) -> str:
    """Return why a requirement is left out; empty where it is taken."""
    if not selection.matches_marker(parsed.marker):
        return selection.explain_mismatch(parsed.marker)
    if parsed.url:
        return f"comes from {shorten(parsed.url)}, not from the index"
    return uv.explain_absence(name)


def _poetry_note(path: Path, data: dict[str, Any]) -> list[str]:
    """Return a note where Poetry's own table stands beside `[project]`: it may name other sources."""
    if data.get("project") and find_tool_table(path, data, "poetry").get("dependencies"):
        return ["tool.poetry.dependencies is not read; poetry.lock has what it leads to"]
    return []


def _parse_project(path: Path, data: dict[str, Any]) -> _Project:
    """Return the `[project]` table, empty where the file has only `[dependency-groups]`.

    Refused are a file with neither, a table with mistakes, and dependencies that a build backend computes.
    """
    table = data.get("project")
    if table is None and "dependency-groups" not in data:
        text = "there is no such table (PEP 621)."
        if find_tool_table(path, data, "poetry"):
            text += " Poetry's own table is not read; give poetry.lock instead"
        raise DependencyFileError(path, [("project", text)])

    project = check_table(path, _Project, {} if table is None else table, "project")
    if "dependencies" in project.dynamic:
        text = "dependencies are computed by the build backend, which the farm does not run; give a lock file instead"
        raise DependencyFileError(path, [("project.dynamic", text)])
    return project


def _parse_groups(path: Path, data: dict[str, Any]) -> dict[str, Any]:
    """Return the `[dependency-groups]` table as it stands, empty where there is none; its names are checked."""
    groups = data.get("dependency-groups", {})
    if not isinstance(groups, dict):
        raise DependencyFileError(path, [("dependency-groups", "expected a table")])

    for name in groups:
        parse_name(path, "dependency-groups", name)
    return groups


def _iter_requirements(
    path: Path, project: _Project, groups: dict[str, Any], selection: Selection
) -> Iterator[tuple[str, Requirement]]:
    """Yield (where it stands, requirement) of the project itself, then of the selected extras and groups.

    An extra or group that the file does not have is refused.
    """
    yield from _expand_extra(path, project, "", frozenset())
    _check_selected(path, "extra", selection.extras, project.optional)
    _check_selected(path, "group", selection.groups, groups)

    for extra in sorted(selection.extras):
        yield from _expand_extra(path, project, extra, frozenset())
    for group in sorted(selection.groups):
        where = f"dependency-groups.{group}"
        for text in _expand_group(path, groups, group):
            yield where, parse_requirement(path, where, text)


def _check_selected(path: Path, kind: str, selected: Iterable[str], names: Iterable[str]) -> None:
    """Raise an error where a selected extra or group is not in the file; `kind` is which of both, for the message."""
    available = {str(canonicalize_name(name)) for name in names}
    unknown = sorted(set(selected) - available)
    if unknown:
        listed = ", ".join(sorted(available)) or "none"
        text = f"there is no {kind} {', '.join(unknown)}; there is {listed}"
        raise DependencyFileError(path, [("", text)])


def _expand_group(path: Path, groups: dict[str, Any], group: str) -> list[str]:
    """Return the requirements of a group and of the groups that it includes (PEP 735), as text."""
    where = f"dependency-groups.{group}"
    try:
        return [str(parsed) for parsed in DependencyGroupResolver(groups).resolve(group)]
    except ExceptionGroup as error:
        raise DependencyFileError(
            path, [(where, shorten(mistake)) for mistake in error.exceptions]
        ) from None
    except RecursionError:
        raise DependencyFileError(path, [(where, "includes groups too deeply")]) from None


def _expand_extra(
    path: Path, project: _Project, extra: str, ancestors: frozenset[str]
) -> Iterator[tuple[str, Requirement]]:
    """Yield (where it stands, requirement) of the project or of one of its extras.

    A requirement that names the project itself, as `pkg[all]` in pkg's own extras does, is replaced by the requirements
    of the extras it asks for.

    Args:
        path: the file.
        project: its table.
        extra: by canonical name; empty for the project's own requirements.
        ancestors: the extras that led to this one; they are not expanded again, so that a circle ends.
    """
    key, texts = _find_requirements(project, extra)
    for number, text in enumerate(texts):
        where = f"{key}[{number}]"
        parsed = parse_requirement(path, where, text)

        names_itself = canonicalize_name(parsed.name) == canonicalize_name(project.name)
        if not names_itself:
            yield where, parsed
            continue
        for other in sorted(str(canonicalize_name(name)) for name in parsed.extras):
            if other not in ancestors:
                yield from _expand_extra(path, project, other, ancestors | {extra, other})


def _find_requirements(project: _Project, extra: str) -> tuple[str, tuple[str, ...]]:
    """Return where the requirements of the project (an empty `extra`) or of one extra stand, and their texts.

    An extra that the project does not have has none.
    """
    if not extra:
        return "project.dependencies", project.dependencies

    for written, texts in project.optional.items():
        if str(canonicalize_name(written)) == extra:
            return f"project.optional-dependencies.{shorten(written)}", texts
    return f"project.optional-dependencies.{shorten(extra)}", ()


def _notes(
    path: Path, project: _Project, groups: dict[str, Any], selection: Selection
) -> tuple[str, ...]:
    """Return notes for a person: `requires-python` leaves this Python out, or extras or groups are not taken."""
    try:
        allowed = SpecifierSet(project.requires_python)
    except InvalidSpecifier:
        text = f"{shorten(project.requires_python)!r} is no version specifier (PEP 440)"
        raise DependencyFileError(path, [("project.requires-python", text)]) from None

    notes: list[str] = []
    if not allowed.contains(selection.python, prereleases=True):
        notes.append(
            f"the project's own requires-python is {allowed}, which leaves Python {selection.python} out"
        )
    parts = [canonicalize_name(name) for name in (*project.optional, *groups)]
    notes += selection.note_other_parts(parts)
    return tuple(notes)
