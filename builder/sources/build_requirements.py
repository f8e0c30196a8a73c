"""What a package needs to be built (PEP 518), and which of that the farm builds itself."""

from __future__ import annotations

from dataclasses import replace
from graphlib import CycleError, TopologicalSorter
from types import MappingProxyType
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name
from packaging.version import Version

from builder.distributions.members import iter_members
from builder.host.crates import find_crate_registry
from builder.host.toolchains import find_toolchain_server
from builder.sources.guard import make_fault
from builder.sources.markers import marker_applies
from builder.sources.model import Source, Sources
from builder.sources.rust_versions import cached_rust_version
from builder.untrusted.names import UntrustedNameError, parse_requirement
from builder.untrusted.reading import parse_toml
from builder.untrusted.text import clean_line

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from pathlib import Path

    from builder.store.store import Store

_RUST_TOOLS = frozenset({"maturin", "setuptools-rust"})

_MAX_BYTES = 1 << 20
"""Largest pyproject.toml that is read: it is written by hand, so far above any; not measured."""


_MAX_BACKEND_CHARS = 100  # of the name of a module; it ends up in a finding
_MAX_REQUIREMENTS = 1000
"""Build requirements that are looked at, of one sdist: a handful is usual."""


def add_build_requirements(
    sources: Sources,
    store: Store,
    python: Version,
    constraints: Mapping[str, Iterable[str]] = MappingProxyType({}),
) -> Sources:
    """Return the sources with `builds_with` filled in: the farm's own packages that each one is built with.

    What a build with Rust needs is filled in as well.

    A package that is only a pure wheel is not built, and stays as it is; nor is one whose wheels are upstream's, which
    loses an sdist that cannot be read: only the race detector would have compiled that. Of any other package such an
    sdist is a fault.

    Args:
        sources: the matrix, resolved.
        store: has the sdists, and remembers what they say.
        python: the interpreters' version, for markers.
        constraints: by name of a package, which releases of its build requirements may be taken (PEP 508).
    """
    found = dict(sources.found)
    faults = dict(sources.faults)
    stated: dict[str, tuple[str, ...]] = {}
    with_rust: set[str] = set()

    for name, source in sources.found.items():
        if source.only_pure is not None:
            continue
        if not source.sha256:
            stated[name] = ()
            continue
        try:
            requirements = _cached_build_requirements(source, store)
        except Exception as error:
            if source.wheels:
                found[name] = replace(source, filename="", sha256="")
                stated[name] = ()
                continue
            faults[name] = make_fault(name, error, store, source.version)
            del found[name]
        else:
            stated[name] = requirements if source.is_built else ()
            if _asks_for_rust(requirements):  # also of what the race detector alone compiles
                with_rust.add(name)

    has_registry = find_crate_registry() is not None
    has_server = find_toolchain_server() is not None
    native: dict[str, Source] = {}
    for name in stated:
        uses_rust = name in with_rust
        rust_version = cached_rust_version(found[name], store) if uses_rust else ""
        native[name] = replace(
            found[name],
            uses_rust=uses_rust,
            has_crates=uses_rust and has_registry,
            rust_version=rust_version,
            has_toolchains=uses_rust and has_server,
        )
    found |= link_build_requirements(native, stated, python, constraints)
    return Sources(found=found, faults=faults)


def link_build_requirements(
    native: Mapping[str, Source],
    stated: Mapping[str, Iterable[str]],
    python: Version,
    constraints: Mapping[str, Iterable[str]] = MappingProxyType({}),
) -> dict[str, Source]:
    """Return the native sources with `builds_with` and `circle` filled in. Pure.

    `builds_with` has the farm's packages among a source's build requirements and what these need at run time. `circle`
    has packages that need one another to be built: as none can come first, they are built with the index's releases of
    one another.

    Args:
        native: sources that are built, by name.
        stated: each one's build requirements (PEP 508).
        python: the interpreters' version, for markers.
        constraints: as for `add_build_requirements`.
    """
    projects = _group_by_project(native.values())
    needs: dict[str, tuple[str, ...]] = {}
    for name, requirements in stated.items():
        refused = _find_refused(constraints.get(name, ()), projects, python)
        farm_built = _find_farm_built(requirements, native, projects, refused, python)
        needs[name] = tuple(need for need in farm_built if need not in refused)

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


def _asks_for_rust(requirements: Iterable[str]) -> bool:
    """Return whether a build requirement is a tool that calls Rust's compiler."""
    for text in requirements:
        try:
            name = canonicalize_name(parse_requirement(text).name)
        except UntrustedNameError:
            continue  # the frontend refuses it too, and says so
        if name in _RUST_TOOLS:
            return True

    return False


def _group_by_project(native: Iterable[Source]) -> dict[str, list[Source]]:
    """Return the sources of each project, the newest version first."""
    projects: dict[str, list[Source]] = {}
    for source in native:
        projects.setdefault(source.project, []).append(source)
    for versions in projects.values():
        versions.sort(key=lambda source: Version(source.version), reverse=True)

    return projects


def _find_refused(
    constraints: Iterable[str], projects: Mapping[str, Sequence[Source]], python: Version
) -> set[str]:
    """Return the names of the farm's packages that constraints do not admit: the index has another release."""
    refused: set[str] = set()
    for text in constraints:
        requirement = parse_requirement(text)
        if not marker_applies(requirement.marker, python):
            continue
        for source in projects.get(canonicalize_name(requirement.name), ()):
            if not requirement.specifier.contains(source.version, prereleases=True):
                refused.add(source.name)

    return refused


def _find_cycle(needs: Mapping[str, Iterable[str]]) -> tuple[str, ...] | None:
    """Return a circle in which each package needs the next and the first comes again at the end; None without one.

    For example `("a", "b", "a")`.
    """
    try:
        TopologicalSorter(needs).prepare()
    except CycleError as error:
        path: list[str] = error.args[1]
        return tuple(reversed(path))  # graphlib names them the other way round
    return None


def _find_farm_built(
    requirements: Iterable[str],
    native: Mapping[str, Source],
    projects: Mapping[str, Sequence[Source]],
    refused: Collection[str],
    python: Version,
) -> tuple[str, ...]:
    """Return the names of the farm's packages that satisfy some requirements and of what these need at run time.

    Sorted, with one version of each project; empty where the farm builds none of them.
    """
    farm_built: dict[str, Source] = {}
    for text in requirements:
        source = _match_own_package(text, projects, refused, python)
        if source is None:
            continue
        for name in (source.name, *source.needs):
            if name not in native:
                continue
            # Everybody gets the newest version that will do: who has an older one could not take another.
            needed = native[name]
            other = farm_built.setdefault(needed.project, needed)
            if Version(needed.version) < Version(other.version):
                farm_built[needed.project] = needed

    return tuple(sorted(source.name for source in farm_built.values()))


def _match_own_package(
    text: str,
    projects: Mapping[str, Sequence[Source]],
    refused: Collection[str],
    python: Version,
) -> Source | None:
    """Return the newest package of the farm that satisfies a requirement, or None.

    None means that the farm does not build it or not this version, that its marker does not hold, that constraints do
    not admit it, or that it is no valid requirement.
    """
    try:
        requirement = parse_requirement(text)
    except UntrustedNameError:
        return None  # the frontend refuses it too, and says so

    if requirement.url is not None or not marker_applies(requirement.marker, python):
        return None

    for source in projects.get(canonicalize_name(requirement.name), ()):
        is_admitted = source.name not in refused
        if is_admitted and requirement.specifier.contains(source.version, prereleases=True):
            return source

    return None


def _cached_build_requirements(source: Source, store: Store) -> tuple[str, ...]:
    """Return an sdist's build requirements, from the store's record where it was read before.

    To read a large archive takes a second, and an sdist with the same hash never changes.
    """
    query = f"build-requires:{source.sha256}"
    recorded = store.get_resolution(query, None)
    if recorded is not None:
        return tuple(recorded)

    requirements = read_build_requirements(store.file(source.sha256), source.filename)
    store.record_resolution(query, list(requirements))
    return requirements


def read_build_requirements(sdist: Path, filename: str) -> tuple[str, ...]:
    """Return `build-system.requires` of an sdist's pyproject.toml; empty where that is missing or cannot be read.

    Entries that are no text are skipped.

    Args:
        sdist: the file.
        filename: what it is called, which tells its format.
    """
    try:
        pyproject = _read_pyproject(sdist, filename)
    except ValueError:
        return ()  # it is no sdist

    return parse_build_requirements(pyproject)


def parse_build_requirements(pyproject: bytes) -> tuple[str, ...]:
    """Return `build-system.requires` of a pyproject.toml; empty where it has none or cannot be read.

    Entries that are no text are skipped.
    """
    try:
        project = parse_toml(pyproject, "pyproject.toml")
    except ValueError:
        return ()  # it is not UTF-8, not TOML, or TOML that takes hours to read

    build_system = project.get("build-system")
    requires = build_system.get("requires") if isinstance(build_system, dict) else None
    if not isinstance(requires, list):
        return ()
    stated = tuple(item for item in requires if isinstance(item, str))
    return stated[:_MAX_REQUIREMENTS]


def parse_build_backend(pyproject: bytes) -> str:
    """Return `build-system.build-backend` of a pyproject.toml, cleaned; empty where it names none or is none."""
    try:
        project = parse_toml(pyproject, "pyproject.toml")
    except ValueError:
        return ""  # its build fails, and says why

    build_system = project.get("build-system")
    backend = build_system.get("build-backend") if isinstance(build_system, dict) else None
    return clean_line(backend, _MAX_BACKEND_CHARS) if isinstance(backend, str) else ""


def _read_pyproject(sdist: Path, filename: str) -> bytes:
    """Return the pyproject.toml of the top-level folder; empty where there is none."""
    for member in iter_members(sdist, filename):
        if member.is_top_file("pyproject.toml") and member.size < _MAX_BYTES:
            return member.read(_MAX_BYTES)
    return b""
