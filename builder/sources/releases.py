"""Releases of a project, and the one that is chosen among them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from packaging.specifiers import Specifier, SpecifierSet
from packaging.version import Version

from builder.sources.index_file import IndexFile
from builder.sources.python_caps import allows_python

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_LIKELY_MARKS = ("cp314-", "x86_64", "manylinux")
"""Parts of a wheel's name that bring it nearer to what is installed here, the weightiest first."""


class Release:
    """One release of a project."""

    __slots__ = ("_files", "_text", "_version", "_version_text")

    def __init__(
        self,
        *,
        version: Version | None = None,
        files: Sequence[IndexFile] = (),
        recorded: tuple[str, str] | None = None,
    ) -> None:
        """Make a release.

        Args:
            version: its version.
            files: its sdists and wheels.
            recorded: in place of both, the version as text and the files as JSON, a list of the values of each: they
                are read when they are asked for.
        """
        assert (version is None) == (recorded is not None), "one of the two ways to make it"
        self._version = version
        self._files = tuple(files)
        self._version_text, self._text = recorded or (str(version), "")

    @property
    def version(self) -> Version:
        """Its version."""
        if self._version is None:
            self._version = Version(self._version_text)
        return self._version

    @property
    def version_text(self) -> str:
        """Its version as text, normalized; a project may have thousands, and text is compared sooner."""
        return self._version_text

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Release):
            return NotImplemented
        return self.version == other.version and self.files == other.files

    def __hash__(self) -> int:
        return hash(self.version)

    @property
    def files(self) -> tuple[IndexFile, ...]:
        """Its sdists and wheels."""
        text = self._text  # another thread may be reading it as well
        if text:
            self._files = tuple(map(IndexFile._make, json.loads(text)))
            self._text = ""
        return self._files

    def may_name(self, marks: Iterable[str]) -> bool:
        """Return whether a file's name may have one of some texts in it; True where only reading the files tells."""
        text = self._text
        return not text or any(mark in text for mark in marks)

    @property
    def yanked(self) -> bool:
        """Whether every file is yanked (PEP 592)."""
        return all(file.is_yanked for file in self.files)

    @property
    def sdist(self) -> IndexFile | None:
        """Its sdist, of several the one that is a `.tar.gz` (PEP 625); None where it has none."""
        sdists = [file for file in self.files if file.package_type == "sdist"]
        for file in sdists:
            if file.filename.endswith(".tar.gz"):
                return file
        return sdists[0] if sdists else None

    @property
    def wheels(self) -> tuple[IndexFile, ...]:
        """Its wheels."""
        return tuple(file for file in self.files if file.package_type == "wheel")

    @property
    def pure_wheels(self) -> tuple[IndexFile, ...]:
        """Its wheels for any platform that Python 3 takes (`py3-none-any`); some releases have several."""
        pure: list[IndexFile] = []
        for file in self.wheels:
            is_pure = file.filename.endswith("-none-any.whl")
            if is_pure and "py3" in file.filename.split("-")[-3]:
                pure.append(file)
        return tuple(pure)

    @property
    def pure_wheel(self) -> IndexFile | None:
        """The first of its pure wheels, or None."""
        return next(iter(self.pure_wheels), None)

    @property
    def likely_wheel(self) -> IndexFile | None:
        """The wheel that CPython 3.14 on x86-64 Linux takes, or the nearest to it."""
        return max(self.wheels, key=_likeness, default=None)

    @property
    def is_pure(self) -> bool:
        """Whether there is nothing native to this release: wheels there are, and none is for a platform."""
        wheels = self.wheels
        return bool(wheels) and all(file.filename.endswith("-none-any.whl") for file in wheels)

    @property
    def requires_python(self) -> str:
        """Its `requires-python`, as its first file that has one states it; empty where none does."""
        for file in self.files:
            if file.requires_python:
                return file.requires_python
        return ""

    def allows_python(self, python: Version) -> bool:
        """Return whether `requires-python` lets a Python have it."""
        return _allows(self.requires_python, python)


@lru_cache(maxsize=4096)
def _allows(requires_python: str, python: Version) -> bool:
    """Return whether `requires-python` lets a Python have a release; most releases of a project state the same."""
    return allows_python(requires_python, python)


def _likeness(wheel: IndexFile) -> list[bool]:
    return [mark in wheel.filename for mark in _LIKELY_MARKS]


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """The release that a specifier leads to.

    Attributes:
        refusal: the `requires-python` by which none that matches lets the interpreter have it; empty where one does.
    """

    release: Release
    refusal: str = ""


def group_releases(
    files: Iterable[IndexFile] = (), *, texts: Mapping[str, str] | None = None
) -> tuple[Release, ...]:
    """Return the releases that files belong to, the newest first; files without a valid version are skipped.

    Args:
        files: of one project.
        texts: in their place, by version, the files of each release as JSON (`Release`), the newest first.
    """
    if texts is not None:
        return tuple(Release(recorded=recorded) for recorded in texts.items())

    by_text: dict[str, list[IndexFile]] = {}
    for file in files:
        by_text.setdefault(file.version or "", []).append(file)

    grouped: dict[Version, list[IndexFile]] = {}
    for text, members in by_text.items():
        try:
            version = Version(text)
        except ValueError:
            # No version (PEP 440), or one with thousands of digits, which is no number to Python.
            continue
        grouped.setdefault(version, []).extend(members)

    return tuple(
        Release(version=version, files=tuple(grouped[version]))
        for version in sorted(grouped, reverse=True)
    )


def names_one_version(specifier: SpecifierSet) -> bool:
    """Return whether a specifier asks for one version by its number."""
    return any(_is_equality(clause) for clause in specifier)


def _is_equality(clause: Specifier) -> bool:
    return clause.operator in {"==", "==="} and "*" not in clause.version


def matching_releases(
    specifier: SpecifierSet, releases: Sequence[Release], *, exact: bool
) -> list[Release]:
    """Return the releases that a specifier allows, the newest first.

    Yanked ones are among them only where one is asked for by its version. A pre-release is among them where one is
    asked for or where there is nothing else (PEP 440).

    Args:
        specifier: which releases (PEP 440).
        releases: all of the project, the newest first.
        exact: whether one is asked for by its version.
    """
    start = _find_start(specifier) if exact else ""
    if start:
        releases = [release for release in releases if release.version_text.startswith(start)]

    usable = [release for release in releases if exact or not release.yanked]
    allowed = set(specifier.filter([release.version for release in usable]))
    return [release for release in usable if release.version in allowed]


def _find_start(specifier: SpecifierSet) -> str:
    """Return how all versions begin that a specifier names by its number: `==1.2.0` -> `1.2`; empty for any.

    A project may have thousands of releases, and few of them begin so. `1.2` is equal to `1.2.0` (PEP 440).
    """
    for clause in specifier:
        if clause.operator != "==" or not _is_equality(clause):
            continue
        version = Version(clause.version)
        parts = list(version.release)
        while len(parts) > 1 and not parts[-1]:
            parts.pop()
        epoch = f"{version.epoch}!" if version.epoch else ""
        return epoch + ".".join(map(str, parts))

    return ""


def choose_release(
    specifier: SpecifierSet, releases: Sequence[Release], python: Version, *, exact: bool
) -> Choice | None:
    """Choose a release as pip would: the newest that matches, is stable, is not yanked, and allows this Python.

    Args:
        specifier: which releases (PEP 440).
        releases: all of the project, the newest first.
        python: the interpreter's version.
        exact: whether one is asked for by its version.

    Returns:
        The choice; where `requires-python` leaves the interpreter out of all that match, the newest of these with its
        refusal; None where nothing matches.
    """
    matching = matching_releases(specifier, releases, exact=exact)
    if not matching:
        return None

    for release in matching:
        if release.allows_python(python):
            return Choice(release=release)

    newest = matching[0]
    return Choice(release=newest, refusal=newest.requires_python)
