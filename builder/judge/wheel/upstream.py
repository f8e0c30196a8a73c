"""One release, built by the farm and by the project itself: what does ours lack?"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from builder.distributions.tags import floor_name, glibc_floors
from builder.judge.findings import Finding
from builder.judge.wheel.sbom import library_stem
from builder.verdicts.wording import join_names

if TYPE_CHECKING:
    from collections.abc import Iterator

    from builder.judge.wheel.subject import Subject

_SIZE_RATIO = 1.5
"""Compilers and flags of two builders make wheels differ by less; not measured."""
_MAX_LISTED = 6


def compare_with_upstream(ours: Subject, theirs: Subject) -> Iterator[Finding]:
    """Yield findings where a wheel that the farm built lacks what upstream's of the same release and ABI has.

    WF222 names native modules and libraries; WF223 says that ours needs a newer glibc, or is clearly smaller. What only
    ours has is no lack.

    Args:
        ours: the wheel that the farm built.
        theirs: upstream's.
    """
    lacking: list[str] = []
    if modules := sorted(_collect_modules(theirs) - _collect_modules(ours)):
        lacking.append(f"the native modules {join_names(modules, _MAX_LISTED)}")
    if libraries := sorted(_collect_brought(theirs) - _collect_linked(ours)):
        lacking.append(f"the libraries {join_names(libraries, _MAX_LISTED)}")
    if lacking:
        detail = f"upstream's {theirs.filename} has {' and '.join(lacking)}; ours has not"
        yield Finding(code="WF222", detail=detail, where=ours.filename)

    differences = list(_find_differences(ours, theirs))
    if differences:
        yield Finding(code="WF223", detail="; ".join(differences), where=ours.filename)


def _collect_modules(subject: Subject) -> set[str]:
    """Return the extension modules of a wheel by their import names: `a/_b.cpython-314-….so` -> `a._b`."""
    modules: set[str] = set()
    for path in subject.facts.extensions:
        folder, filename = posixpath.split(path)
        stem = filename.partition(".")[0]
        modules.add(f"{folder}/{stem}".strip("/").replace("/", "."))

    return modules


def _collect_brought(subject: Subject) -> set[str]:
    """Return the libraries that a wheel brings along, each by the part of its name that no repair tool changes."""
    paths = [path for path, native in subject.objects.items() if native.kind == "library"]
    return {library_stem(posixpath.basename(path)) for path in paths}


def _collect_linked(subject: Subject) -> set[str]:
    """Return the libraries that a wheel brings along, and those that it needs of the system."""
    linked = _collect_brought(subject)
    for native in subject.objects.values():
        linked.update(library_stem(name) for name in native.needed)

    return linked


def _find_differences(ours: Subject, theirs: Subject) -> Iterator[str]:
    """Yield a sentence where ours claims a newer glibc than upstream's, and where it is clearly smaller.

    Debug information may be most of a wheel: sizes say something where both have it, or neither.
    """
    our_floor = next(iter(glibc_floors(ours.filename)), None)
    their_floor = next(iter(glibc_floors(theirs.filename)), None)
    if our_floor is not None and their_floor is not None and our_floor > their_floor:
        our_name = floor_name(ours.filename)
        their_name = floor_name(theirs.filename)
        yield f"ours is for {our_name} and newer, upstream's for {their_name} and newer"

    our_size = ours.facts.size
    their_size = theirs.facts.size
    is_alike = _has_debug_information(ours) == _has_debug_information(theirs)
    if is_alike and our_size * _SIZE_RATIO < their_size:
        yield f"ours has {our_size} bytes, upstream's {their_size}"


def _has_debug_information(subject: Subject) -> bool:
    """Return whether a native file of a wheel has debug information."""
    return any(native.debug for native in subject.objects.values())
