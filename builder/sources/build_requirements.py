"""What a package needs to be built (PEP 518), and which of that the farm builds itself."""

from __future__ import annotations

import tarfile
import tomllib
import zipfile
from dataclasses import replace
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from builder.sources.markers import marker_environment

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from packaging.version import Version

    from builder.sources.model import Source
    from builder.store.store import Store

_MAX_BYTES = 1 << 20


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
    native: Mapping[str, Source], stated: Mapping[str, Iterable[str]], python: Version
) -> dict[str, Source]:  # fmt: skip
    """Say of each source which others it is built with, and of a circle, who is in it. Pure.

    What a build requirement needs at run time has to be there too. Packages in a circle are built with the index's
    releases of one another, for want of a first.

    Args:
        native: sources that are built, by name.
        stated: each one's build requirements (PEP 508).
        python: the interpreters' version, for markers.
    """
    needs = {
        name: _farm_built(requirements, native, python) for name, requirements in stated.items()
    }
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
        return tuple(reversed(path))
    return None


def _farm_built(
    requirements: Iterable[str], native: Mapping[str, Source], python: Version
) -> tuple[str, ...]:
    """Return what of some requirements the farm builds, with what that needs at run time, sorted."""
    own: set[str] = set()
    for text in requirements:
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            continue  # the frontend refuses it too, and says so
        source = native.get(canonicalize_name(requirement.name))
        if source is None or (
            requirement.marker and not requirement.marker.evaluate(marker_environment(python))
        ):
            continue
        if requirement.url is None and requirement.specifier.contains(
            source.version, prereleases=True
        ):
            own |= {source.name, *(need for need in source.needs if need in native)}
    return tuple(sorted(own))


def _cached_build_requirements(source: Source, store: Store) -> tuple[str, ...]:
    """Return an sdist's build requirements, read once ever: a large archive takes a second."""
    query = f"build-requires:{source.sha256}"
    known = store.get_resolution(query, None)
    if known is None:
        known = list(read_build_requirements(store.file(source.sha256), source.filename))
        store.record_resolution(query, known)
    return tuple(known)


def read_build_requirements(sdist: Path, filename: str) -> tuple[str, ...]:
    """Return the build requirements an sdist states in pyproject.toml; none where it states none that can be read.

    Args:
        sdist: the file.
        filename: what it is called, which tells its format.
    """
    try:
        text = next(_pyproject_files(sdist, filename), b"").decode()
        requires = tomllib.loads(text).get("build-system", {}).get("requires", [])
    except (OSError, ValueError, AttributeError, EOFError, tarfile.TarError, zipfile.BadZipFile):
        return ()
    return tuple(item for item in _as_list(requires) if isinstance(item, str))


def _as_list(value: Any) -> list[Any]:  # noqa: ANN401 - TOML
    return value if isinstance(value, list) else []


def _pyproject_files(sdist: Path, filename: str) -> Iterator[bytes]:
    """Give the pyproject.toml of the top folder."""
    if filename.endswith(".zip"):
        with zipfile.ZipFile(sdist) as archive:
            for info in archive.infolist():
                if _is_pyproject(info.filename) and info.file_size < _MAX_BYTES:
                    yield archive.read(info)
        return
    with tarfile.open(sdist) as archive:
        for member in archive:
            if _is_pyproject(member.name) and member.isfile() and member.size < _MAX_BYTES:
                file = archive.extractfile(member)
                assert file is not None, "it is a file"
                yield file.read()


def _is_pyproject(name: str) -> bool:
    return name.removeprefix("./").count("/") == 1 and name.endswith("/pyproject.toml")
