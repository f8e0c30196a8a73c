"""What a package needs to be built (PEP 518), and which of that the farm builds itself."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from builder.distributions.members import iter_members
from builder.sources.markers import marker_environment

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from packaging.version import Version

    from builder.sources.model import Source
    from builder.store.store import Store

_MAX_BYTES = 1 << 20
"""Largest pyproject.toml that is read: it is written by hand, so far above any; not measured."""


def add_build_requirements(
    found: Mapping[str, Source], store: Store, python: Version
) -> dict[str, Source]:
    """Return sources that know which of the farm's own packages they are built with.

    Args:
        found: sources, by name.
        store: has the sdists, and remembers what they say.
        python: the interpreters' version, for markers.
    """
    native = {name: source for name, source in found.items() if source.only_pure is None}
    stated = {name: _cached_build_requirements(source, store) for name, source in native.items()}

    return {**found, **link_build_requirements(native, stated, python)}


def link_build_requirements(
    native: Mapping[str, Source],
    stated: Mapping[str, Iterable[str]],
    python: Version,
) -> dict[str, Source]:
    """Say of each source which others it is built with, and of a circle, who is in it. Pure.

    What a build requirement needs at run time has to be there too. Packages in a circle are built with the index's
    releases of one another, for want of a first.

    Args:
        native: sources that are built, by name.
        stated: each one's build requirements (PEP 508).
        python: the interpreters' version, for markers.
    """
    needs = {
        name: _find_farm_built(requirements, native, python)
        for name, requirements in stated.items()
    }

    # A package may be in several circles; the first that is found explains it.
    circles: dict[str, tuple[str, ...]] = {}
    while (circle := _find_cycle(needs)) is not None:
        for name in circle:
            circles.setdefault(name, circle)
            needs[name] = tuple(need for need in needs[name] if need not in circle)

    return {
        name: replace(source, builds_with=needs[name], circle=circles.get(name, ()))
        for name, source in native.items()
    }


def _find_cycle(needs: Mapping[str, Iterable[str]]) -> tuple[str, ...] | None:
    """Return a circle, each package needing the next and the last being the first; None where there is none."""
    try:
        TopologicalSorter(needs).prepare()
    except CycleError as error:
        path: list[str] = error.args[1]
        return tuple(reversed(path))  # graphlib names them the other way round
    return None


def _find_farm_built(
    requirements: Iterable[str], native: Mapping[str, Source], python: Version
) -> tuple[str, ...]:
    """Return what of some requirements the farm builds, with what that needs at run time, sorted."""
    own: set[str] = set()
    for text in requirements:
        source = _match_own_package(text, native, python)
        if source is not None:
            own.add(source.name)
            own.update(need for need in source.needs if need in native)

    return tuple(sorted(own))


def _match_own_package(text: str, native: Mapping[str, Source], python: Version) -> Source | None:
    """Return the farm's package that satisfies a requirement; None where none does or the index is to be asked."""
    try:
        requirement = Requirement(text)
    except InvalidRequirement:
        return None  # the frontend refuses it too, and says so

    source = native.get(canonicalize_name(requirement.name))
    if source is None or requirement.url is not None:
        return None

    marker = requirement.marker
    if marker is not None and not marker.evaluate(marker_environment(python)):
        return None
    if not requirement.specifier.contains(source.version, prereleases=True):
        return None
    return source


def _cached_build_requirements(source: Source, store: Store) -> tuple[str, ...]:
    """Return an sdist's build requirements, read once ever: a large archive takes a second."""
    query = f"build-requires:{source.sha256}"
    recorded = store.get_resolution(query, None)
    if recorded is not None:
        return tuple(recorded)

    requirements = read_build_requirements(store.file(source.sha256), source.filename)
    store.record_resolution(query, list(requirements))
    return requirements


def read_build_requirements(sdist: Path, filename: str) -> tuple[str, ...]:
    """Return the build requirements an sdist states in pyproject.toml; none where it states none that can be read.

    Args:
        sdist: the file.
        filename: what it is called, which tells its format.
    """
    try:
        project = tomllib.loads(_read_pyproject(sdist, filename))
    except ValueError:
        return ()  # it is no sdist, or the file is not UTF-8 or not TOML

    build_system = project.get("build-system")
    requires = build_system.get("requires") if isinstance(build_system, dict) else None
    if not isinstance(requires, list):
        return ()
    return tuple(item for item in requires if isinstance(item, str))


def _read_pyproject(sdist: Path, filename: str) -> str:
    """Return the pyproject.toml of the top-level folder; empty where there is none."""
    for member in iter_members(sdist, filename):
        if member.inner_path == "pyproject.toml" and member.size < _MAX_BYTES:
            return member.read(_MAX_BYTES).decode()
    return ""
