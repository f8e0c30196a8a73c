"""Does it install what is another's: another distribution's files, the interpreter's, an installer's?

What one wheel shows alone is judged by `judge_installs`; whether two packages of a run are in each other's way, by
`judge_overlap`, which a run alone can tell.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from builder.judge.wheel.subject import group_finding

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from builder.evidence.audit import Installs, WheelFacts
    from builder.judge.findings import Finding
    from builder.judge.wheel.subject import Subject

_INSTALLERS = {
    "_distutils_hack": "setuptools",
    "pip": "pip",
    "pkg_resources": "setuptools",
    "setuptools": "setuptools",
    "uv": "uv",
    "wheel": "wheel",
}
"""Modules that installers and builds run with -> the project that they are of. They are there whatever is installed."""

_STARTUP = frozenset({"sitecustomize", "usercustomize"})
"""Modules that `site` imports at the start of every interpreter."""

_PROGRAM = re.compile(r"(python|pypy|pip|activate)[0-9.]*t?(\.\w+)?", re.IGNORECASE)
"""Programs of an environment, and of the system before it on PATH: `python3.14t`, `pip3`, `activate.fish`."""

_INTERPRETER = re.compile(
    r"(bin/(python|pypy|pip|activate)[^/]*$|(lib|lib64|include)/(python[^/]*|site-packages)(/|$)|pyvenv\.cfg$)"
)
"""Places below an environment that are the interpreter's."""

_SHORTEST_WORD = 3  # of a name: shorter ones are in too many others

_SHARED_NAMES = frozenset(
    {"benchmark", "benchmarks", "doc", "docs", "example", "examples", "test", "tests", "tools"}
)
"""Folders that many projects put beside their package by mistake (WF330): nobody owns them."""


def judge_installs(subject: Subject) -> Iterator[Finding]:
    """Yield findings on what a wheel installs beyond its own packages; nothing where an older farm audited it."""
    installs = subject.facts.installs
    if installs is None:
        return

    yield from group_finding("WF334", list(_find_intrusions(subject, installs)))
    yield from group_finding("WF330", list(_find_loose_data(installs)))


def _find_intrusions(subject: Subject, installs: Installs) -> Iterator[tuple[str, str]]:
    """Yield (path, sentence) for what replaces something of another distribution or of the interpreter."""
    for name in installs.metadata:
        yield name, f"{name} is the metadata of another distribution"

    yield from _find_foreign_modules(subject, installs)

    for name in installs.scripts:
        if _PROGRAM.fullmatch(name) and subject.name != "pip":
            yield name, f"the program {name} replaces the environment's own"
    for path in installs.data:
        if _INTERPRETER.match(path):
            yield path, f"{path} is written into the environment's own files"


def _find_foreign_modules(subject: Subject, installs: Installs) -> Iterator[tuple[str, str]]:
    """Yield (path, sentence) for modules of an installer, of the interpreter's start, or of what the wheel requires."""
    required = set(_required_projects(subject))
    for root, kind in installs.roots.items():
        top = root.partition("/")[0]
        project = canonicalize_name(top)
        owner = _INSTALLERS.get(top, subject.name)

        if top in _STARTUP:
            yield root, f"{top} is run by every interpreter that starts in this environment"
        elif owner != subject.name:
            yield root, f"{root} is of {owner}"
        elif project in required and kind != "folder":
            yield root, f"{root} is of {project}, which it requires"


def _required_projects(subject: Subject) -> Iterator[str]:
    """Yield the projects that a wheel requires, itself left out."""
    for text in subject.facts.metadata.get("requires-dist", ()):
        try:
            name = canonicalize_name(Requirement(text).name)
        except InvalidRequirement:
            continue
        if name != subject.name:
            yield name


def _find_loose_data(installs: Installs) -> Iterator[tuple[str, str]]:
    """Yield (path, sentence) for data outside of `share/`, which is made for it."""
    for path in installs.data:
        if not path.startswith("share/") and not _INTERPRETER.match(path):
            yield path, f"{path} is installed below the environment's folder, outside of share/"


# --- two packages -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Owners:
    """Who in a run brings which packages and modules.

    Attributes:
        packages: the names of packages by root, as `Installs.roots` has them; folders are left out.
        files: the names of packages by path of a file below the environment's folder, programs among them: `bin/f2py`.
    """

    packages: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    files: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def collect(cls, wheels: Iterable[tuple[str, WheelFacts]]) -> Owners:
        """Return who brings what.

        Args:
            wheels: (package, facts) of each audited wheel of the run.
        """
        packages: dict[str, list[str]] = {}
        files: dict[str, list[str]] = {}
        for name, wheel in wheels:
            if wheel.installs is None:
                continue
            for path in _list_files(wheel.installs):
                names = files.setdefault(path, [])
                if name not in names:
                    names.append(name)
            for root, kind in wheel.installs.roots.items():
                names = packages.setdefault(root, [])
                if kind != "folder" and name not in names:
                    names.append(name)

        return cls(
            packages={root: tuple(names) for root, names in packages.items() if names},
            files={path: tuple(names) for path, names in files.items()},
        )


def _list_files(installs: Installs) -> Iterator[str]:
    """Yield the paths of what is installed outside of the folder of packages: programs, and data."""
    for name in installs.scripts:
        yield f"bin/{name}"
    yield from installs.data


def judge_overlap(subject: Subject, owners: Owners) -> Iterator[Finding]:
    """Yield a finding where a wheel brings files of another package of the run.

    A package owns what is named like it. Of two whose names say the same about it nobody can tell whose it is: each
    gets a warning, and no verdict depends on the other.
    """
    installs = subject.facts.installs
    if installs is None:
        return

    intrusions, overlaps = _find_shared_roots(subject.name, installs, owners)
    for path, claims in _find_shared_files(subject.name, installs, owners):
        for other, is_theirs in claims:
            if is_theirs:
                intrusions.append((path, f"{path} is of {other}, which brings it, too"))
            else:
                overlaps.append((path, f"{path} is what {other} brings, too"))

    yield from group_finding("WF334", intrusions)
    yield from group_finding("WF330", overlaps)


def _find_shared_roots(
    name: str, installs: Installs, owners: Owners
) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Return (root, sentence) for what is in another's package, and for what several bring of whom nobody owns it."""
    intrusions: list[tuple[str, str]] = []
    overlaps: list[tuple[str, str]] = []
    for root, kind in installs.roots.items():
        for owned, others in _find_owned(root, owners):
            own_claim = _rate_claim(owned, name)
            for other in others:
                if other == name or owned.partition("/")[0] in _SHARED_NAMES:
                    continue

                claim = _rate_claim(owned, other)
                if claim > own_claim:
                    intrusions.append((root, f"{root} is in {owned}, which {other} brings"))
                elif claim == own_claim and kind != "folder":
                    overlaps.append((root, f"{root} is what {other} brings, too"))

    return intrusions, overlaps


def _find_shared_files(
    name: str, installs: Installs, owners: Owners
) -> Iterator[tuple[str, list[tuple[str, bool]]]]:
    """Yield (path, claims) for each program and file of data; a claim is who else brings it, and whether it is theirs.

    Whoever has the better name for it is left alone.
    """
    for path in dict.fromkeys(_list_files(installs)):
        stem = path.rpartition("/")[2].partition(".")[0]
        own_claim = _rate_claim(stem, name)
        claims: list[tuple[str, bool]] = []
        for other in owners.files.get(path, ()):
            claim = _rate_claim(stem, other)
            if other != name and claim >= own_claim:
                claims.append((other, claim > own_claim))
        yield path, claims


def _find_owned(root: str, owners: Owners) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the packages and modules of the run that a root is, or is inside of, with who brings them."""
    parts = root.split("/")
    for length in range(1, len(parts) + 1):
        owned = "/".join(parts[:length])
        if owned in owners.packages:
            yield owned, owners.packages[owned]


def _rate_claim(root: str, name: str) -> int:
    """Return how much the name of a project says that a package or module is its own.

    It is 2 of the same name (`google/protobuf` of `protobuf`, `zope/interface` of `zope-interface`), 1 of one that
    resembles it (`yaml` of `pyyaml`, `_cffi_backend` of `cffi`, `PIL` of `pillow`), otherwise 0.
    """
    dotted = canonicalize_name(root.replace("/", "."))
    last = canonicalize_name(root.rpartition("/")[2])
    if name in {dotted, last}:
        return 2

    words = [word for word in dotted.split("-") if len(word) >= _SHORTEST_WORD]
    is_alike = any(word in name for word in words) or name in dotted
    return 1 if is_alike else 0
