"""Releases of a project, and the one that is chosen among them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.specifiers import Specifier, SpecifierSet
from packaging.version import Version

from builder.sources.python_caps import allows_python

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pypi_simple import DistributionPackage

_LIKELY_MARKS = ("cp314-", "x86_64", "manylinux")
"""Parts of a wheel's name that bring it nearer to what is installed here, the weightiest first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Release:
    """One release of a project.

    Attributes:
        files: its sdists and wheels.
    """

    version: Version
    files: tuple[DistributionPackage, ...]

    @property
    def yanked(self) -> bool:
        """Whether every file is yanked (PEP 592)."""
        return all(file.is_yanked for file in self.files)

    @property
    def sdist(self) -> DistributionPackage | None:
        """Its sdist, of several the one that is a `.tar.gz` (PEP 625); None where it has none."""
        sdists = [file for file in self.files if file.package_type == "sdist"]
        for file in sdists:
            if file.filename.endswith(".tar.gz"):
                return file
        return sdists[0] if sdists else None

    @property
    def wheels(self) -> tuple[DistributionPackage, ...]:
        """Its wheels."""
        return tuple(file for file in self.files if file.package_type == "wheel")

    @property
    def pure_wheels(self) -> tuple[DistributionPackage, ...]:
        """Its wheels for any platform that Python 3 takes (`py3-none-any`); some releases have several."""
        pure: list[DistributionPackage] = []
        for file in self.wheels:
            is_pure = file.filename.endswith("-none-any.whl")
            if is_pure and "py3" in file.filename.split("-")[-3]:
                pure.append(file)
        return tuple(pure)

    @property
    def pure_wheel(self) -> DistributionPackage | None:
        """The first of its pure wheels, or None."""
        return next(iter(self.pure_wheels), None)

    @property
    def likely_wheel(self) -> DistributionPackage | None:
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
        return allows_python(self.requires_python, python)


def _likeness(wheel: DistributionPackage) -> list[bool]:
    return [mark in wheel.filename for mark in _LIKELY_MARKS]


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """The release that a specifier leads to.

    Attributes:
        refusal: the `requires-python` by which none that matches lets the interpreter have it; empty where one does.
    """

    release: Release
    refusal: str = ""


def group_releases(files: Iterable[DistributionPackage]) -> tuple[Release, ...]:
    """Return the releases that files belong to, the newest first; files without a valid version are skipped."""
    grouped: dict[Version, list[DistributionPackage]] = {}
    for file in files:
        try:
            version = Version(file.version or "")
        except ValueError:
            # No version (PEP 440), or one with thousands of digits, which is no number to Python.
            continue
        grouped.setdefault(version, []).append(file)

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
    usable = [release for release in releases if exact or not release.yanked]
    allowed = set(specifier.filter([release.version for release in usable]))
    return [release for release in usable if release.version in allowed]


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
