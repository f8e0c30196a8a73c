"""`[tool.uv]` in pyproject.toml, as far as it says where a dependency comes from and which release it may be.

The keys are uv's (its documentation, "Settings"). What is read here is honoured or named; the rest is other business.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from packaging.markers import InvalidMarker, Marker
from packaging.utils import canonicalize_name
from pydantic import BaseModel, ConfigDict, Field

from builder.dependencies.files.model import Dependency
from builder.dependencies.files.text import parse_requirement, shorten
from builder.dependencies.files.values import check_table, find_tool_table
from builder.errors import DependencyFileError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from builder.dependencies.files.model import Selection

Texts = Annotated[tuple[str, ...], Field(strict=False)]

_LEFT_ALONE = ("build-constraint-dependencies", "dependency-metadata", "extra-build-dependencies")
"""Settings of builds, of which the matrix has its own; their presence is noted."""


class _Source(BaseModel):
    """Where a dependency comes from in place of the index. One of its keys says what kind of source it is."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    git: str | None = None
    url: str | None = None
    path: str | None = None
    workspace: bool = False
    index: str | None = None
    marker: str = ""

    def explain(self) -> str:
        """Return why the index's release of this name is not what is meant."""
        if self.index is not None:
            return f"comes from the index {shorten(self.index)!r} (tool.uv.sources), which the farm does not ask"
        if self.workspace:
            return "is a member of the workspace (tool.uv.sources), not a release on the index"
        if self.path is not None:
            return f"comes from {shorten(self.path)} (tool.uv.sources), not from the index"
        return f"comes from {shorten(self.git or self.url or 'elsewhere')} (tool.uv.sources), not from the index"


class _Workspace(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    members: Texts = ()


class _Settings(BaseModel):
    """The table itself."""

    model_config = ConfigDict(frozen=True, extra="allow", populate_by_name=True)

    sources: dict[str, _Source | Annotated[tuple[_Source, ...], Field(strict=False)]] = Field(
        default_factory=dict
    )
    overrides: Texts = Field(default=(), alias="override-dependencies")
    constraints: Texts = Field(default=(), alias="constraint-dependencies")
    excluded: Texts = Field(default=(), alias="exclude-dependencies")
    workspace: _Workspace | None = None
    prerelease: str = ""


class UvSettings:
    """What uv's settings say to a dependency.

    Attributes:
        overrides: what replaces every requirement on a package, whoever states it.
        constraints: what holds for a package where something asks for it.
        excluded: packages that are installed for nobody, by canonical name.
        takes_prereleases: whether pre-releases count like any other release.
    """

    def __init__(self, path: Path, data: dict[str, Any], selection: Selection) -> None:
        """Read the table.

        Args:
            path: the file.
            data: its whole content.
            selection: which part of it is meant.

        Raises:
            DependencyFileError: the table is wrong.
        """
        table = find_tool_table(path, data, "uv")
        settings = check_table(path, _Settings, table, "tool.uv")

        self._path = path
        self._selection = selection
        self._settings = settings
        self._sources = {
            str(canonicalize_name(name)): source for name, source in settings.sources.items()
        }
        self.overrides = tuple(self._parse("override-dependencies", settings.overrides))
        self.constraints = tuple(self._parse("constraint-dependencies", settings.constraints))
        self.excluded = frozenset(str(canonicalize_name(name)) for name in settings.excluded)
        self.takes_prereleases = settings.prerelease == "allow"

    def explain_absence(self, name: str) -> str:
        """Return why a dependency is not to be taken from the index; empty where it is.

        Args:
            name: canonical.

        Raises:
            DependencyFileError: a source has a marker that is none.
        """
        if name in self.excluded:
            return "is excluded (tool.uv.exclude-dependencies)"

        found = self._sources.get(name, ())
        for source in found if isinstance(found, tuple) else (found,):
            if self._selection.matches_marker(self._parse_marker(name, source.marker)):
                return source.explain()
        return ""

    def notes(self) -> list[str]:
        """Return notes for a person: whose dependencies are not in this file, and which settings are not taken."""
        notes: list[str] = []
        if self._settings.workspace is not None and self._settings.workspace.members:
            members = ", ".join(shorten(member) for member in self._settings.workspace.members)
            notes.append(
                f"what the members of the workspace ({members}) depend on is not in this file; "
                "the workspace's uv.lock has it, or the pyproject.toml of each"
            )

        ignored = [key for key in _LEFT_ALONE if (self._settings.model_extra or {}).get(key)]
        if ignored:
            names = ", ".join(f"tool.uv.{key}" for key in ignored)
            notes.append(f"settings of builds that are not taken; the matrix has its own: {names}")
        return notes

    def _parse(self, key: str, texts: tuple[str, ...]) -> Iterator[Dependency]:
        """Yield the requirements of a setting whose markers hold."""
        for number, text in enumerate(texts):
            where = f"tool.uv.{key}[{number}]"
            parsed = parse_requirement(self._path, where, text)
            if self._selection.matches_marker(parsed.marker) and not parsed.url:
                name = str(canonicalize_name(parsed.name))
                yield Dependency(name=name, specifier=str(parsed.specifier), where=where)

    def _parse_marker(self, name: str, text: str) -> Marker | None:
        try:
            return Marker(text) if text else None
        except (InvalidMarker, RecursionError):
            problem = f"{shorten(text)!r} is no marker (PEP 508)"
            raise DependencyFileError(
                self._path, [(f"tool.uv.sources.{shorten(name)}", problem)]
            ) from None
