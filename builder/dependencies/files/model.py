"""What a file of dependencies says, whatever its format."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from builder.dependencies.files.text import shorten
from builder.sources.markers import marker_applies

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from packaging.markers import Marker

Format = Literal[
    "requirements.txt", "pylock.toml", "uv.lock", "poetry.lock", "Pipfile.lock", "pyproject.toml"
]


@dataclass(frozen=True, kw_only=True, slots=True)
class Selection:
    """Which part of a file is meant.

    Attributes:
        python: the interpreter that markers are evaluated for, on x86-64 Linux.
        extras: optional dependencies to take, by canonical name.
        groups: dependency groups (PEP 735) to take, by canonical name.
    """

    python: Version
    extras: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()

    def matches_marker(self, marker: Marker | None) -> bool:
        """Return whether a requirement's marker (PEP 508) holds, for the project itself or one of its extras."""
        return marker_applies(marker, self.python, self.extras)

    def explain_mismatch(self, marker: Marker | None) -> str:
        """Say why a dependency with this marker is left out."""
        python = f"{self.python.major}.{self.python.minor}"
        return f"its marker does not hold on Python {python}, x86-64 Linux: {marker}"

    def note_other_parts(self, names: Iterable[str]) -> list[str]:
        """Return a note on the extras and groups of a file that are not taken; none where all are."""
        other_names = sorted({str(name) for name in names} - self.extras - self.groups)
        if not other_names:
            return []
        return [f"extras and groups that are not taken: {', '.join(other_names)}"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Dependency:
    """One dependency that a file names.

    Attributes:
        name: canonical (PEP 503).
        specifier: which releases (PEP 440); empty where any will do.
        extras: what is asked of it beyond itself, canonical.
        hashes: what one of its files must hash to, as `sha256:…`; of the sdist alone where the file tells them apart.
        wheel_hashes: the same of its wheels, where the file tells them apart.
        where: the line or dotted path that names it.
    """

    name: str
    specifier: str
    where: str
    extras: frozenset[str] = frozenset()
    hashes: tuple[str, ...] = ()
    wheel_hashes: tuple[str, ...] = ()

    @property
    def version(self) -> Version | None:
        """The one release that the specifier names by `==` or `===`; None where it leaves a choice, as `==2.*` does."""
        for clause in SpecifierSet(self.specifier):
            is_equality = clause.operator in {"==", "==="}
            if is_equality and not clause.version.endswith(".*"):
                return Version(clause.version)
        return None

    @property
    def requirement(self) -> str:
        """The dependency as a requirement (PEP 508), without a marker."""
        extras = f"[{','.join(sorted(self.extras))}]" if self.extras else ""
        return f"{self.name}{extras}{self.specifier}"


@dataclass(frozen=True, kw_only=True, slots=True)
class SkippedDependency:
    """Something that a file names, or needs, and that is not taken on.

    Attributes:
        why: one clause for a person.
        where: the line or dotted path that names it; empty where another dependency brings it.
    """

    name: str
    why: str
    where: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class DependencyFile:
    """A whole file, the parts that are not meant left out.

    Attributes:
        dependencies: what it asks for; a name may come more than once.
        constraints: what holds for a package only where something asks for it.
        overrides: what replaces every requirement on a package, whoever states it.
        excluded: packages that are taken for nobody, by canonical name.
        is_complete: the file promises that `dependencies` is everything, each with its one release.
        takes_prereleases: whether pre-releases count like any other release.
        parts: the extras and groups that it has, by canonical name; None where it does not say.
        left_out: what it names beside that.
        notes: what else a person should know.
    """

    path: Path
    format: Format
    dependencies: tuple[Dependency, ...]
    constraints: tuple[Dependency, ...] = ()
    overrides: tuple[Dependency, ...] = ()
    excluded: frozenset[str] = frozenset()
    is_complete: bool = False
    takes_prereleases: bool = False
    parts: frozenset[str] | None = frozenset()
    left_out: tuple[SkippedDependency, ...] = ()
    notes: tuple[str, ...] = ()


def dotted_path(start: str, location: Iterable[str | int]) -> str:
    """Return the place of a mistake in a file, as a person writes it: `package[3].sdist.hash`.

    Args:
        start: the table that was checked; empty for the whole file.
        location: the keys and positions from there on, as pydantic has them.
    """
    dotted = start
    for part in location:
        dotted += f"[{part}]" if isinstance(part, int) else f".{shorten(part)}"
    return dotted.removeprefix(".")
