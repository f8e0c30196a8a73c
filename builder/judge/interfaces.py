"""What interpreters and bases offer to native wheels: tables, so that a wheel is judged without a container.

`python -m builder.generate.interfaces` (`make interfaces`) remakes them from the verification images.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import abi3info

from builder.config import catalog

Version = tuple[int, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Policy:
    """What a wheel may need of a system, by a manylinux tag or as a base ships it.

    Attributes:
        name: of the tag or base.
        newest: the newest version of each family of symbol versions, such as `GLIBC`.
        named: versions that are no numbers, such as `CXXABI_TM_1`.
        libraries: sonames.
    """

    name: str
    newest: Mapping[str, Version]
    named: frozenset[str]
    libraries: frozenset[str]

    def has_version(self, version: str) -> bool:
        """Return whether a symbol version such as `GLIBC_2.17` is available under this policy.

        A version of a family that the policy does not list is taken as available: it belongs to a library, and whether
        that library is available is checked instead.
        """
        family, _, number = version.partition("_")
        if family not in self.newest:
            return True

        parsed = parse_version(number)
        if parsed is None:
            return version in self.named
        return parsed <= self.newest[family]


@dataclass(frozen=True, kw_only=True, slots=True)
class Interfaces:
    """Every table.

    Attributes:
        exports: by ABI, each name its interpreter exports -> whether public headers use it on a caller's behalf.
        stable: names of the stable ABI, with the release that has each first (PEP 384).
        documented: names that begin as private ones do and that CPython documents for all, such as `_PyBytes_Resize`.
        removed: names CPython removed -> (since, what to use instead).
        c_library: names the C library exports.
        bases: what each base ships; bases nobody asked are missing.
        floors: by C library, the newest version of the other families that a manylinux tag promises.
        libraries: what every manylinux tag promises.
        later: libraries and named versions -> the C library of the first tag that promises each.
    """

    exports: Mapping[str, Mapping[str, bool]]
    stable: Mapping[str, Version]
    documented: frozenset[str]
    removed: Mapping[str, tuple[str, str]]
    c_library: frozenset[str]
    bases: Mapping[str, Policy]
    floors: Mapping[Version, Mapping[str, Version]]
    libraries: frozenset[str]
    later: Mapping[str, Version]

    def policy(self, glibc: Version) -> Policy:
        """Return what the manylinux tag for a version of glibc promises: (2, 17) -> `manylinux_2_17`.

        The versions of the other families are those of the newest row of `floors` that is not newer than this glibc, or
        of the oldest row where all are newer.
        """
        older_floors = [floor for floor in self.floors if floor <= glibc]
        floor = max(older_floors, default=min(self.floors))
        promised_since = frozenset(name for name, since in self.later.items() if since <= glibc)

        return Policy(
            name=f"manylinux_{glibc[0]}_{glibc[1]}",
            newest={"GLIBC": glibc, **self.floors[floor]},
            named=promised_since,
            libraries=self.libraries | promised_since,
        )


def parse_version(number: str) -> Version | None:
    """Return a version's numbers, `2.17` -> (2, 17), or None where it has parts that are no numbers, such as `TM_1`."""
    parts = number.split(".")
    if not all(part.isdigit() for part in parts):
        return None

    return tuple(int(part) for part in parts)


@cache
def load() -> Interfaces:
    """Read all tables from the folder of images, once per process."""
    folder = catalog.images_dir() / "interfaces"
    tables = catalog.load()
    policies = tomllib.loads((catalog.images_dir() / "policies.toml").read_text())

    return Interfaces(
        exports={abi: _read_exports(folder / f"{abi}.txt") for abi in tables.abis},
        stable=_list_stable_names(),
        documented=_read_names(folder / "documented.txt"),
        removed=_read_removed(folder / "removed.toml"),
        c_library=_read_names(folder / "c-library.txt"),
        bases=_read_bases(folder, tables.bases),
        floors=_read_floors(policies["floors"]),
        libraries=frozenset(policies["libraries"]),
        later=_read_versions(policies["later"].items()),
    )


def _list_stable_names() -> dict[str, Version]:
    """Return each function and variable of the stable ABI with the release that has it first.

    abi3info has them of CPython's Misc/stable_abi.toml. `abi3t` has all of them too: it lacks structures (PEP 803).
    """
    stable: dict[str, Version] = {}
    for names in (abi3info.FUNCTIONS, abi3info.DATAS):
        for symbol, entry in names.items():
            stable[symbol.name] = (entry.added.major, entry.added.minor)

    return stable


def _rows(path: Path) -> list[list[str]]:
    return [line.split() for line in path.read_text().splitlines()]


def _read_names(path: Path) -> frozenset[str]:
    return frozenset(row[0] for row in _rows(path))


def _read_exports(path: Path) -> dict[str, bool]:
    """Return each name with whether public headers use it on a caller's behalf: a mark after the name says so."""
    return {row[0]: len(row) > 1 for row in _rows(path)}


def _read_versions(rows: Iterable[Sequence[str]]) -> dict[str, Version]:
    return {name: parse_version(since) or () for name, since in rows}


def _read_removed(path: Path) -> dict[str, tuple[str, str]]:
    """Return by the name that CPython removed the release that did so and what to use instead.

    One row of the table may list several names with the same replacement.
    """
    removed: dict[str, tuple[str, str]] = {}
    for row in tomllib.loads(path.read_text())["removed"]:
        for name in row["names"]:
            removed[name] = (row["since"], row["use"])

    return removed


def _read_floors(table: Mapping[str, Mapping[str, str]]) -> dict[Version, dict[str, Version]]:
    """Return by glibc the newest version of each other family that goes with it."""
    floors: dict[Version, dict[str, Version]] = {}
    for glibc, families in table.items():
        floors[parse_version(glibc) or ()] = _read_versions(families.items())

    return floors


def _read_bases(folder: Path, names: Iterable[str]) -> dict[str, Policy]:
    """Return what each base ships, by name; a base whose image nobody has examined yet has no table and is left out."""
    bases: dict[str, Policy] = {}
    for name in names:
        path = folder / f"{name}.txt"
        if path.exists():
            bases[name] = _read_base_policy(name, path)

    return bases


def _read_base_policy(base: str, path: Path) -> Policy:
    """Return what a base ships, read from rows such as `libz.so.1 ZLIB_1.2.9`: a soname, then its symbol versions."""
    libraries: set[str] = set()
    versions: set[str] = set()
    for soname, *library_versions in _rows(path):
        libraries.add(soname)
        versions.update(library_versions)

    newest: dict[str, Version] = {}
    # Only families that policies count are compared by number; all versions stay in `named`.
    for version in versions:
        family, _, number = version.partition("_")
        parsed = parse_version(number)
        if family in _FAMILIES and parsed is not None:
            newest[family] = max(parsed, newest.get(family, ()))

    return Policy(
        name=base,
        newest=newest,
        named=frozenset(versions - {"GLIBC_PRIVATE"}),  # which only glibc's own libraries may use
        libraries=frozenset(libraries),
    )


_FAMILIES = frozenset({"GLIBC", "GLIBCXX", "CXXABI", "GCC", "ZLIB", "LIBATOMIC"})
"""Families of symbol versions that policies count (PEP 600); others belong to the library that has them."""
