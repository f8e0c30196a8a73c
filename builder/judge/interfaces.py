"""What interpreters and bases offer to native wheels: tables, so that a wheel is judged without a container.

`python -m builder.generate.interfaces` (`make interfaces`) remakes them from the verification images.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

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
        """Return whether a symbol version is there; one of no listed family belongs to a library, which decides."""
        family, _, number = version.partition("_")
        if family not in self.newest:
            return True
        parsed = parse_version(number)
        return version in self.named if parsed is None else parsed <= self.newest[family]


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
        """Return what a manylinux tag of a C library's version promises."""
        chosen = max((row for row in self.floors if row <= glibc), default=min(self.floors))
        later = frozenset(name for name, since in self.later.items() if since <= glibc)
        return Policy(
            name=f"manylinux_{glibc[0]}_{glibc[1]}",
            newest={"GLIBC": glibc, **self.floors[chosen]},
            named=later,
            libraries=self.libraries | later,
        )


def parse_version(number: str) -> Version | None:
    """Return the numbers of a version, or None where it is a name."""
    parts = number.split(".")
    return tuple(map(int, parts)) if all(part.isdigit() for part in parts) else None


@cache
def load() -> Interfaces:
    """Read the tables."""
    folder = catalog.images_dir() / "interfaces"
    known = catalog.load()
    policies = tomllib.loads((catalog.images_dir() / "policies.toml").read_text())
    removed = tomllib.loads((folder / "removed.toml").read_text())["removed"]
    return Interfaces(
        exports={
            abi: {row[0]: len(row) > 1 for row in _rows(folder / f"{abi}.txt")}
            for abi in known.abis
        },
        stable={
            name: parse_version(since) or () for name, since in _rows(folder / "stable-abi.txt")
        },
        documented=frozenset(row[0] for row in _rows(folder / "documented.txt")),
        removed={name: (row["since"], row["use"]) for row in removed for name in row["names"]},
        c_library=frozenset(row[0] for row in _rows(folder / "c-library.txt")),
        bases={
            base: _read_base_policy(base, path)
            for base in known.bases
            if (path := folder / f"{base}.txt").exists()
        },
        floors={
            parse_version(glibc) or (): {
                family: parse_version(number) or (0,) for family, number in row.items()
            }
            for glibc, row in policies["floors"].items()
        },
        libraries=frozenset(policies["libraries"]),
        later={name: parse_version(since) or () for name, since in policies["later"].items()},
    )


def _rows(path: Path) -> list[list[str]]:
    return [line.split() for line in path.read_text().splitlines()]


def _read_base_policy(base: str, path: Path) -> Policy:
    rows = _rows(path)
    versions = {version for row in rows for version in row[1:]}
    newest: dict[str, Version] = {}
    for version in versions:
        family, _, number = version.partition("_")
        if family in _FAMILIES and (parsed := parse_version(number)) is not None:
            newest[family] = max(parsed, newest.get(family, ()))
    named = frozenset(version for version in versions if version != "GLIBC_PRIVATE")
    return Policy(
        name=base, newest=newest, named=named, libraries=frozenset(row[0] for row in rows)
    )


_FAMILIES = frozenset({"GLIBC", "GLIBCXX", "CXXABI", "GCC", "ZLIB", "LIBATOMIC"})
