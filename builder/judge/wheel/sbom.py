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

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from builder.judge.wheel.subject import Subject

_LANGUAGES = ("pkg:pypi/", "pkg:cargo/", "pkg:npm/", "pkg:golang/", "pkg:gem/", "pkg:maven/")
"""Packages of a language: no library of a system is one."""
_HASH = re.compile(r"-[0-9a-f]{8,}$")
_MIN_COMMON_CHARS = 3
_MAX_LISTED = 4


def findings(subject: Subject) -> Iterator[Finding]:
    """Judge whether the SBOMs name what a repair tool put in."""
    grafted = [posixpath.basename(path) for path in subject.facts["grafted"]]
    if not grafted:
        return
    where = subject.facts["grafted"][0]
    components = [
        name for name, _, purl in subject.facts["components"] if not purl.startswith(_LANGUAGES)
    ]
    if not components:
        what = "no SBOM says what they are"
        if subject.facts["sboms"]:
            what = f"its SBOM ({posixpath.basename(subject.facts['sboms'][0])}) names none of them"
        yield Finding(
            code="WF329", detail=f"it brings {_join_names(grafted)}, and {what}", where=where
        )
        return
    unnamed, left = match_components(grafted, components)
    missing = len(unnamed) - left
    by_file = all(
        posixpath.basename(name).startswith("auditwheel.") for name in subject.facts["sboms"]
    )
    if missing > 0 and by_file:
        which = _join_names(unnamed) if not left else f"{missing} of {_join_names(unnamed)}"
        detail = f"it brings {len(grafted)} libraries, and its SBOM does not name {which}"
        yield Finding(code="WF329", detail=detail, where=where)


def match_components(libraries: Sequence[str], components: Sequence[str]) -> tuple[list[str], int]:
    """Put libraries and components of an SBOM together.

    Args:
        libraries: file names, as a repair tool gave them: `libxml2-1a2b3c4d.so.2.9.14`.
        components: names of the packages that an SBOM lists, one for each library.

    Returns:
        The libraries that no component has the name of, and how many components have the name of no library.
    """
    left = [_normalize(name) for name in components]
    unnamed = []
    # Those whose name is the very same go first: `z` would take `zstd` otherwise.
    for library in sorted(libraries, key=lambda name: (_stem(name) not in left, name)):
        stem = _stem(library)
        match = next((name for name in left if name == stem), None) or next(
            (name for name in left if _is_similar(name, stem)), None
        )
        if match is None:
            unnamed.append(library)
        else:
            left.remove(match)
    return unnamed, len(left)


def _stem(library: str) -> str:
    """Return the part of a library's file name that is its own: `xml2` of `libxml2-1a2b3c4d.so.2.9.14`."""
    return _normalize(_HASH.sub("", library.partition(".so")[0]))


def _normalize(name: str) -> str:
    return re.sub(r"[^a-z0-9+]", "", name.lower().removeprefix("lib"))


def _is_similar(one: str, other: str) -> bool:
    shorter, longer = sorted((one, other), key=len)
    return len(shorter) >= _MIN_COMMON_CHARS and longer.startswith(shorter)


def _join_names(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MAX_LISTED} more" if len(names) > _MAX_LISTED else ""
    return f"{', '.join(names[:_MAX_LISTED])}{more}"
