"""Which system package has a file: the contents index of a Debian-style archive, read line by line. Pure.

Each line of a `Contents-ARCH` file is a path without its leading slash, spaces, and a comma-separated list of
packages with their sections: `usr/include/zlib.h    libdevel/zlib1g-dev` (Debian's repository format).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_PATTERNS = {
    "header": r"usr/include/(?:.+/)?{0}",
    "library": r"(?:usr/)?lib/(?:.+/)?lib{0}\.(?:so|a)",
    "pkg-config": r"usr/(?:lib|share)/(?:.+/)?pkgconfig/{0}\.pc",
    "cmake": r"usr/(?:lib|share)/(?:.+/)?(?:{0}Config|{1}-config)\.cmake",
    "program": r"(?:usr/)?s?bin/{0}",
}
"""Paths by kind; {0} is the name as it was asked for, {1} the same in lower case."""
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
        """Return the dependencies that would each satisfy this one, the surest first.

        For kinds that name no file (a CMake package, Meson's `dependency`, a `development` package) the pkg-config
        modules and libraries of the same name count as well. A name with `lib` or a version in it is also looked for
        without: `libxml2` as `xml`.
        """
        lower = self.name.lower()
        # `libxml2` -> `xml`, `lua-5.4` -> `lua`; a name of digits alone stays as it is.
        bare = re.sub(r"^lib|[\d.-]+$", "", lower) or lower

        module_names = dict.fromkeys((self.name, lower, f"lib{bare}"))
        pkg_config = [MissingDependency(kind="pkg-config", name=name) for name in module_names]
        library_names = dict.fromkeys((lower.removeprefix("lib"), bare))
        library = [MissingDependency(kind="library", name=name) for name in library_names if name]

        match self.kind:
            case "cmake" | "development":
                return (self, *pkg_config, *library)
            case "dependency":
                return (*pkg_config, MissingDependency(kind="cmake", name=self.name), *library)
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


class _Entry(NamedTuple):
    """A file and a package that has it."""

    path: str
    section: str
    package: str


class ContentsSearch:
    """Looks for several missing dependencies in one pass over an index."""

    def __init__(self, wanted: Iterable[MissingDependency]) -> None:
        self._wanted = tuple(wanted)
        self._patterns: dict[MissingDependency, re.Pattern[str]] = {}
        self._by_filename: dict[str, list[MissingDependency]] = {}
        self._by_package: dict[str, MissingDependency] = {}
        self._entries: dict[MissingDependency, set[_Entry]] = {}

        for dependency in self._wanted:
            for alternative in dependency.alternatives():
                self._add(alternative)

    def _add(self, alternative: MissingDependency) -> None:
        """Prepare the search for one alternative; nothing is done for one that is prepared already.

        Most kinds are found by the names that their file can have. The kind `development` names no file, so the package
        `NAME-dev` is looked for instead.
        """
        if alternative in self._entries:
            return

        self._entries[alternative] = set()
        if alternative.kind == "development":
            self._by_package[f"{alternative.name.lower()}-dev"] = alternative
            return

        self._patterns[alternative] = _path_pattern(alternative)
        for filename in _possible_filenames(alternative):
            self._by_filename.setdefault(filename, []).append(alternative)

    def read(self, lines: Iterable[str]) -> None:
        """Read the lines of an index and record every package that has something of what is wanted.

        Args:
            lines: of a `Contents-ARCH` file. There are millions: nearly all are passed over by their file name.
        """
        for line in lines:
            path, _, packages = line.rstrip().rpartition(" ")
            path = path.rstrip()

            candidates = self._by_filename.get(path.rpartition("/")[2])
            if candidates is not None:
                self._record_path(path, packages, candidates)
            if self._by_package:
                self._record_packages(path, packages)

    def _record_path(
        self, path: str, packages: str, candidates: Iterable[MissingDependency]
    ) -> None:
        for candidate in candidates:
            if self._patterns[candidate].fullmatch(path):
                self._entries[candidate].update(_parse_packages(path, packages))

    def _record_packages(self, path: str, packages: str) -> None:
        for entry in _parse_packages(path, packages):
            dependency = self._by_package.get(entry.package)
            if dependency is not None:
                self._entries[dependency].add(entry)

    def results(self) -> dict[MissingDependency, tuple[Hit, ...]]:
        """Return by missing dependency the packages that have it, the likeliest first.

        Dependencies that no package has are left out. A package comes once, with the first of its files in the order of
        `_sort_key`.
        """
        results: dict[MissingDependency, tuple[Hit, ...]] = {}
        for dependency in self._wanted:
            hits: dict[str, Hit] = {}
            for entry in sorted(self._surest_entries(dependency), key=_sort_key):
                hits.setdefault(entry.package, Hit(package=entry.package, path=f"/{entry.path}"))
            if hits:
                results[dependency] = tuple(hits.values())

        return results

    def _surest_entries(self, dependency: MissingDependency) -> set[_Entry]:
        """Return what was found for the first alternative for which there is anything."""
        for alternative in dependency.alternatives():
            if self._entries[alternative]:
                return self._entries[alternative]

        return set()

    @property
    def complete(self) -> bool:
        """Whether something was found for every dependency."""
        return len(self.results()) == len(set(self._wanted))


def _parse_packages(path: str, packages: str) -> Iterator[_Entry]:
    """Yield each package that has a file, as `universe/libdevel/libxml2-dev` lists its section and name."""
    for text in packages.split(","):
        section, _, package = text.rpartition("/")
        yield _Entry(path, section, package)


def _path_pattern(dependency: MissingDependency) -> re.Pattern[str]:
    name = re.escape(dependency.name)
    lower = re.escape(dependency.name.lower())
    return re.compile(_PATTERNS[dependency.kind].format(name, lower))


def _possible_filenames(dependency: MissingDependency) -> tuple[str, ...]:
    """Return the file names that a matching path can end with: `libz.so` and `libz.a` for the library `z`.

    They let a search skip most lines of the index without a regular expression.
    """
    name = dependency.name
    match dependency.kind:
        case "library":
            return (f"lib{name}.so", f"lib{name}.a")
        case "pkg-config":
            return (f"{name}.pc",)
        case "cmake":
            return (f"{name}Config.cmake", f"{name.lower()}-config.cmake")
        case _:
            return (name.rpartition("/")[2],)


def _sort_key(entry: _Entry) -> tuple[object, ...]:
    """Return a sort key that puts the package to build against first.

    Before others come files near the top of their folder, then sections ending in `libdevel`, then packages ending in
    `-dev`, then those built with OpenSSL (libcurl comes with three TLS libraries, each in a package of its own that
    excludes the others, and this is what upstream's wheels have), then short package names.
    """
    # The folder of an architecture is no level of its own: usr/lib/ARCH/x.so is as near the top as usr/lib/x.so.
    parts = [part for part in PurePosixPath(entry.path).parts if part != _MULTIARCH]

    return (
        len(parts),
        not entry.section.endswith("libdevel"),
        not entry.package.endswith("-dev"),
        "openssl" not in entry.package,
        len(entry.package),
        entry.package,
        entry.path,
    )


def describe(dependency: MissingDependency) -> str:
    """Return how a sentence names a missing dependency: `libz.so`, `zlib.pc`, `the program swig`, `zlib.h`."""
    match dependency.kind:
        case "pkg-config":
            return f"{dependency.name}.pc"
        case "library":
            return f"lib{dependency.name}.so"
        case "program":
            return f"the program {dependency.name}"
        case _:
            return dependency.name


def parse_missing(missing: Iterable[Sequence[str]]) -> tuple[MissingDependency, ...]:
    """Return what a build's evidence names as missing, each once."""
    dependencies = [MissingDependency(kind=kind, name=name) for kind, name in missing]
    return tuple(dict.fromkeys(dependencies))
