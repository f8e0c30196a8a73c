"""Which system package has a file: the contents index of a Debian-style archive, read line by line. Pure.

Each line of a `Contents-ARCH` file is a path without its leading slash, spaces, and a comma-separated list of
packages with their sections: `usr/include/zlib.h    libdevel/zlib1g-dev` (Debian's repository format).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_PATTERNS = {
    "header": r"usr/include/(?:.+/)?{0}",
    "library": r"(?:usr/)?lib/(?:.+/)?lib{0}\.(?:so|a)",
    "pkg-config": r"usr/(?:lib|share)/(?:.+/)?pkgconfig/{0}\.pc",
    "cmake": r"usr/(?:lib|share)/(?:.+/)?(?:{0}Config|{1}-config)\.cmake",
    "program": r"(?:usr/)?s?bin/{0}",
}
_MULTIARCH = "x86_64-linux-gnu"


@dataclass(frozen=True, kw_only=True, slots=True)
class MissingDependency:
    """Something of the system that a build asked for and did not find.

    Attributes:
        kind: `header`, `library`, `pkg-config`, `program`, `cmake` (a CMake package), `development` (a library whose
            files are not known), or `dependency` (Meson's word: any of these).
        name: a header's path as included, a library's name as after `-l`, a module's or program's name.
    """

    kind: str
    name: str

    def alternatives(self) -> tuple[MissingDependency, ...]:
        """Return what would satisfy it, the surest first."""
        bare = re.sub(r"^lib|[\d.-]+$", "", self.name.lower()) or self.name.lower()
        modules = tuple(dict.fromkeys((self.name, self.name.lower(), f"lib{bare}")))
        pkg_config = tuple(MissingDependency(kind="pkg-config", name=name) for name in modules)
        stems = dict.fromkeys((self.name.lower().removeprefix("lib"), bare))
        library = tuple(MissingDependency(kind="library", name=name) for name in stems if name)
        match self.kind:
            case "cmake":
                return (self, *pkg_config, *library)
            case "dependency":
                return (*pkg_config, MissingDependency(kind="cmake", name=self.name), *library)
            case "development":
                return (self, *pkg_config, *library)
            case _:
                return (self,)


@dataclass(frozen=True, kw_only=True, slots=True)
class Hit:
    """A package that has what was wanted.

    Attributes:
        path: the file, with its leading slash.
    """

    package: str
    path: str


class ContentsSearch:
    """Looks for several wants in one pass over an index."""

    def __init__(self, wants: Iterable[MissingDependency]) -> None:
        self._wants = tuple(wants)
        simple = dict.fromkeys(one for want in self._wants for one in want.alternatives())
        self._patterns = {one: _path_pattern(one) for one in simple if one.kind != "development"}
        self._by_filename: dict[str, list[MissingDependency]] = {}
        for one in self._patterns:
            for filename in _possible_filenames(one):
                self._by_filename.setdefault(filename, []).append(one)
        self._by_package = {
            f"{one.name.lower()}-dev": one for one in simple if one.kind == "development"
        }
        self._hits: dict[MissingDependency, set[tuple[str, str, str]]] = {
            one: set() for one in simple
        }

    def read(self, lines: Iterable[str]) -> None:
        """Take in an index.

        Args:
            lines: of a `Contents-ARCH` file. There are millions: nearly all are passed over by their file name.
        """
        for line in lines:
            path, _, packages = line.rstrip().rpartition(" ")
            path = path.rstrip()
            if (wants := self._by_filename.get(path.rpartition("/")[2])) is not None:
                matching = [want for want in wants if self._patterns[want].fullmatch(path)]
                self._record_path(path, packages, matching)
            if self._by_package:
                self._record_packages(path, packages)

    def _record_path(self, path: str, packages: str, wants: Iterable[MissingDependency]) -> None:
        for want in wants:
            for entry in packages.split(","):
                section, _, package = entry.rpartition("/")
                self._hits[want].add((path, section, package))

    def _record_packages(self, path: str, packages: str) -> None:
        for entry in packages.split(","):
            section, _, package = entry.rpartition("/")
            if (want := self._by_package.get(package)) is not None:
                self._hits[want].add((path, section, package))

    def results(self) -> dict[MissingDependency, tuple[Hit, ...]]:
        """Return what has been found, the likeliest package first; wants without any are left out."""
        answers: dict[MissingDependency, tuple[Hit, ...]] = {}
        for want in self._wants:
            hits = next((hits for one in want.alternatives() if (hits := self._hits[one])), set())
            ranked = sorted(hits, key=lambda hit: _sort_key(*hit))
            by_package = {
                package: Hit(package=package, path=f"/{path}")
                for path, _, package in reversed(ranked)
            }
            order = dict.fromkeys(package for _, _, package in ranked)
            if order:
                answers[want] = tuple(by_package[package] for package in order)
        return answers

    @property
    def complete(self) -> bool:
        """Whether something was found for every want."""
        return len(self.results()) == len(set(self._wants))


def _path_pattern(want: MissingDependency) -> re.Pattern[str]:
    return re.compile(
        _PATTERNS[want.kind].format(re.escape(want.name), re.escape(want.name.lower()))
    )


def _possible_filenames(want: MissingDependency) -> tuple[str, ...]:
    """Return what the last part of a matching path can be."""
    name = want.name
    match want.kind:
        case "library":
            return (f"lib{name}.so", f"lib{name}.a")
        case "pkg-config":
            return (f"{name}.pc",)
        case "cmake":
            return (f"{name}Config.cmake", f"{name.lower()}-config.cmake")
        case _:
            return (name.rpartition("/")[2],)


def _sort_key(path: str, section: str, package: str) -> tuple[object, ...]:
    """Put first what is meant to be built against: near the top of its folder, of a development section or package."""
    depth = sum(part != _MULTIARCH for part in PurePosixPath(path).parts)
    return (
        depth,
        not section.endswith("libdevel"),
        not package.endswith("-dev"),
        len(package),
        package,
        path,
    )


def describe(want: MissingDependency) -> str:
    """Return a want in words."""
    words = {
        "pkg-config": f"{want.name}.pc",
        "library": f"lib{want.name}.so",
        "program": f"the program {want.name}",
    }
    return words.get(want.kind, want.name)


def parse_missing(missing: Iterable[Sequence[str]]) -> tuple[MissingDependency, ...]:
    """Return the wants a build's evidence names."""
    return tuple(dict.fromkeys(MissingDependency(kind=kind, name=name) for kind, name in missing))
