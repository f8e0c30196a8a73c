"""Is every grafted library named by an SBOM (PEP 770), so that somebody can tell of which version it is?

auditwheel writes one component for each library it puts in: name, version and package URL of the system package that
it came from, but not the library's file name. So a library and a component are put together by their names, and where
names do not decide, by how many there are: a library is only called unnamed where no component is left over for it.
Other tools may list a package once for several of its libraries, and by other names (`Little CMS 2`): where one of them
wrote an SBOM, only the lack of any component is told.
"""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING

from builder.judge.findings import Finding
from builder.verdicts.wording import join_names

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from builder.judge.wheel.subject import Subject

_LANGUAGES = ("pkg:pypi/", "pkg:cargo/", "pkg:npm/", "pkg:golang/", "pkg:gem/", "pkg:maven/")
"""Packages of a language: no library of a system is one."""
_HASH = re.compile(r"-[0-9a-f]{8,}$")  # what repair tools put into the names of grafted libraries
_MIN_COMMON_CHARS = 3  # `z` begins many names; `xml` is most of `xml2`
_MAX_LISTED = 4


def judge_sbom(subject: Subject) -> Iterator[Finding]:
    """Yield a finding where the SBOMs do not name every library that a repair tool put into the wheel.

    Nothing is yielded where it put in none. That only some are missing is reported of auditwheel's SBOMs alone: those
    of other tools may list one package for several libraries.
    """
    facts = subject.facts
    if not facts.grafted:
        return

    grafted = [posixpath.basename(path) for path in facts.grafted]
    where = facts.grafted[0]
    components = [name for name, _, purl in facts.components if not purl.startswith(_LANGUAGES)]
    if not components:
        detail = f"it brings {join_names(grafted, _MAX_LISTED)}, and {_describe_sboms(facts.sboms)}"
        yield Finding(code="WF329", detail=detail, where=where)
        return

    unnamed, unused_count = match_components(grafted, components)
    missing_count = len(unnamed) - unused_count
    if missing_count > 0 and _lists_each_library(facts.sboms):
        which = join_names(unnamed, _MAX_LISTED)
        if unused_count:
            which = f"{missing_count} of {which}"
        detail = f"it brings {len(grafted)} libraries, and its SBOM does not name {which}"
        yield Finding(code="WF329", detail=detail, where=where)


def _describe_sboms(sboms: Sequence[str]) -> str:
    if not sboms:
        return "no SBOM says what they are"
    return f"its SBOM ({posixpath.basename(sboms[0])}) names none of them"


def _lists_each_library(sboms: Sequence[str]) -> bool:
    """Return whether auditwheel wrote the SBOMs: other tools may list one package for several libraries."""
    return all(posixpath.basename(path).startswith("auditwheel.") for path in sboms)


def match_components(libraries: Sequence[str], components: Sequence[str]) -> tuple[list[str], int]:
    """Match the libraries of a wheel with the components of its SBOM, by their normalized names.

    Args:
        libraries: file names, as a repair tool gave them: `libxml2-1a2b3c4d.so.2.9.14`.
        components: names of the packages that an SBOM lists, one for each library.

    Returns:
        The libraries that no component has the name of, and how many components have the name of no library.
    """
    unused = [_normalize(name) for name in components]
    unnamed: list[str] = []

    # Libraries with exactly a component's name go first: `z` would take `zstd` otherwise.
    for library in sorted(libraries, key=lambda name: (library_stem(name) not in unused, name)):
        stem = library_stem(library)
        similar = [name for name in unused if _is_similar(name, stem)]
        if stem in unused:
            unused.remove(stem)
        elif similar:
            unused.remove(similar[0])
        else:
            unnamed.append(library)

    return unnamed, len(unused)


def library_stem(library: str) -> str:
    """Return the part of a library's file name that is its own: `xml2` of `libxml2-1a2b3c4d.so.2.9.14`."""
    return _normalize(_HASH.sub("", library.partition(".so")[0]))


def _normalize(name: str) -> str:
    return re.sub(r"[^a-z0-9+]", "", name.lower().removeprefix("lib"))


def _is_similar(first: str, second: str) -> bool:
    shorter, longer = sorted((first, second), key=len)
    return len(shorter) >= _MIN_COMMON_CHARS and longer.startswith(shorter)
