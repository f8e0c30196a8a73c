"""pyproject.toml: `[project]` (PEP 621) and `[dependency-groups]` (PEP 735)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from packaging.dependency_groups import DependencyGroupResolver
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from builder.dependencies.files.model import Dependency, DependencyFile, SkippedDependency
from builder.dependencies.files.text import parse_name, parse_requirement, read_toml, shorten
from builder.errors import DependencyFileError

if TYPE_CHECKING:
    from collections.abc import Iterator
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
    """Read a project's own requirements.

    Args:
        path: the file.
        selection: which part of it is meant.

    Raises:
        DependencyFileError: it cannot be read or is wrong, or leaves its dependencies to a build backend.
    """
    data = read_toml(path)
    project = _project(path, data)
    wanted: list[Dependency] = []
    left_out: list[SkippedDependency] = []
    for where, parsed in _iter_requirements(path, data, project, selection):
        name = str(canonicalize_name(parsed.name))
        if not selection.matches_marker(parsed.marker):
            left_out.append(
                SkippedDependency(
                    name=name, where=where, why=selection.explain_mismatch(parsed.marker)
                )
            )
        elif parsed.url:
            left_out.append(
                SkippedDependency(
                    name=name, where=where, why="comes from an address, not from the index"
                )
            )
        else:
            extras = frozenset(str(canonicalize_name(extra)) for extra in parsed.extras)
            wanted.append(
                Dependency(name=name, specifier=str(parsed.specifier), extras=extras, where=where)
            )
    return DependencyFile(
        path=path,
        format="pyproject.toml",
        dependencies=tuple(wanted),
        left_out=tuple(left_out),
        notes=_notes(path, data, project, selection),
    )


def _project(path: Path, data: dict[str, Any]) -> _Project:
    table = data.get("project")
    if table is None and "dependency-groups" not in data:
        own = (
            " Poetry's own table is not read: poetry export -o requirements.txt"
            if "poetry" in data.get("tool", {})
            else ""
        )
        raise DependencyFileError(path, [("project", f"there is no such table (PEP 621).{own}")])
    try:
        project = _Project.model_validate({} if table is None else table)
    except ValidationError as error:
        mistakes = [(_dotted_path(item["loc"]), shorten(item["msg"])) for item in error.errors()]
        raise DependencyFileError(path, mistakes) from None
    if "dependencies" in project.dynamic:
        text = "dependencies are computed by the build backend, which the farm does not run; give a lock file instead"
        raise DependencyFileError(path, [("project.dynamic", text)])
    return project


def _dotted_path(location: tuple[str | int, ...]) -> str:
    return "project" + "".join(
        f"[{part}]" if isinstance(part, int) else f".{shorten(part)}" for part in location
    )


def _iter_requirements(
    path: Path, data: dict[str, Any], project: _Project, selection: Selection
) -> Iterator[tuple[str, Requirement]]:
    """Yield what is meant: the project's requirements, those of the extras, and those of the groups."""
    yield from _expand_extra(path, project, "", frozenset())
    canonical = {str(canonicalize_name(name)) for name in project.optional}
    groups = _groups(path, data)
    known = {str(canonicalize_name(name)) for name in groups}
    for option, asked, there in (
        ("extra", selection.extras, canonical),
        ("group", selection.groups, known),
    ):
        if unknown := sorted(asked - there):
            text = f"there is no {option} {', '.join(unknown)}; there is {', '.join(sorted(there)) or 'none'}"
            raise DependencyFileError(path, [("", text)])
    for extra in sorted(selection.extras):
        yield from _expand_extra(path, project, extra, frozenset())
    for group in sorted(selection.groups):
        where = f"dependency-groups.{group}"
        yield from (
            (where, parse_requirement(path, where, text))
            for text in _expand_group(path, groups, group)
        )


def _expand_group(path: Path, groups: dict[str, Any], group: str) -> list[str]:
    """Return a group's requirements, those of the groups it includes among them (PEP 735)."""
    where = f"dependency-groups.{group}"
    try:
        return [str(parsed) for parsed in DependencyGroupResolver(groups).resolve(group)]
    except ExceptionGroup as error:
        raise DependencyFileError(
            path, [(where, shorten(one)) for one in error.exceptions]
        ) from None
    except RecursionError:
        raise DependencyFileError(path, [(where, "includes groups too deeply")]) from None


def _expand_extra(
    path: Path, project: _Project, extra: str, inside: frozenset[str]
) -> Iterator[tuple[str, Requirement]]:
    """Yield the requirements of the project or one extra; where they name the project itself, its extras' instead."""
    by_name = {
        str(canonicalize_name(name)): (name, texts) for name, texts in project.optional.items()
    }
    written, texts = by_name.get(extra, (extra, ())) if extra else ("", project.dependencies)
    key = f"project.optional-dependencies.{shorten(written)}" if extra else "project.dependencies"
    for number, text in enumerate(texts):
        where = f"{key}[{number}]"
        parsed = parse_requirement(path, where, text)
        if project.name and canonicalize_name(parsed.name) == canonicalize_name(project.name):
            for other in sorted(str(canonicalize_name(name)) for name in parsed.extras):
                if other not in inside:
                    yield from _expand_extra(path, project, other, inside | {extra, other})
        else:
            yield where, parsed


def _groups(path: Path, data: dict[str, Any]) -> dict[str, Any]:
    groups = data.get("dependency-groups", {})
    if not isinstance(groups, dict):
        raise DependencyFileError(path, [("dependency-groups", "expected a table")])
    for name in groups:
        parse_name(path, "dependency-groups", name)
    return groups


def _notes(
    path: Path, data: dict[str, Any], project: _Project, selection: Selection
) -> tuple[str, ...]:
    notes = []
    try:
        allowed = SpecifierSet(project.requires_python)
    except InvalidSpecifier:
        text = f"{shorten(project.requires_python)!r} is no version specifier (PEP 440)"
        raise DependencyFileError(path, [("project.requires-python", text)]) from None
    if not allowed.contains(selection.python, prereleases=True):
        notes.append(
            f"the project's own requires-python is {allowed}, which leaves Python {selection.python} out"
        )
    parts = {str(canonicalize_name(name)) for name in (*project.optional, *_groups(path, data))}
    if others := sorted(parts - selection.extras - selection.groups):
        notes.append(f"extras and groups that are not taken: {', '.join(others)}")
    return tuple(notes)
