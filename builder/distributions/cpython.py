"""What each release and build of CPython looks for when it imports an extension module.

File names: `importlib.machinery.EXTENSION_SUFFIXES`, which is `_PyImport_DynLoadFiletab` in Python/dynload_shlib.c
(PEP 3149, PEP 384). 3.15 added `.abi3t.so` (PEP 803) and the machine in both suffixes (gh-122931), and its
free-threaded build alone no longer looks for `.abi3.so`. Functions: PEP 489, and PEP 793 since 3.15.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Literal

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import parse_wheel_filename

from builder.distributions.tags import accepts_tag, accepts_wheel

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from packaging.tags import Tag

Hook = Literal["PyInit", "PyModExport"]

_FIRST_ABI3T_MINOR = 15  # the first release with abi3t and with PyModExport (PEP 803, PEP 793)
_OLDEST_MINOR = 2  # the first release with a stable ABI (PEP 384)
_NEWEST_MINOR = (
    15  # the newest release; a wheel for a later one is judged by what is known of this one
)
_FIRST_FREE_THREADED_MINOR = 13  # PEP 703
_LATEST_PATCH = 99  # stands for any patch release where Requires-Python is compared

_INTERPRETER = re.compile(r"cp3(\d+)(t?)")
_LINUX = re.compile(r"(musl|many)?linux\w*?_(x86_64|aarch64)")
_TRIPLETS_BY_DEFAULT = ("x86_64-linux-gnu",)


def list_interpreters(filename: str, requires_python: Iterable[str] = ()) -> tuple[str, ...]:
    """Return the interpreters that take a wheel, oldest first, such as `("cp314", "cp315", "cp315t")`.

    Looked at are all releases of CPython with a stable ABI, and later ones that the file name names.

    Args:
        filename: of the wheel.
        requires_python: values of that field of its metadata, which installers heed as well.
    """
    specifiers = _parse_specifiers(requires_python)
    tags = parse_wheel_filename(filename)[3]

    interpreters: list[str] = []
    for abi in _list_candidates(tags):
        release = f"3.{minor_of(abi)}.{_LATEST_PATCH}"
        is_wanted = all(release in specifier for specifier in specifiers)
        if is_wanted and accepts_wheel(filename, abi):
            interpreters.append(abi)

    return tuple(interpreters)


def _parse_specifiers(texts: Iterable[str]) -> list[SpecifierSet]:
    """Return specifiers of versions; those that are malformed are left out."""
    specifiers: list[SpecifierSet] = []
    for text in texts:
        try:
            specifiers.append(SpecifierSet(text))
        except InvalidSpecifier:
            continue  # an installer ignores it, or refuses the wheel: neither is about file names

    return specifiers


def _list_candidates(tags: Iterable[Tag]) -> list[str]:
    """Return every interpreter that some tags could be for, oldest first."""
    named_minors = [int(match[1]) for match in map(_match_interpreter, tags) if match]
    newest = max(_NEWEST_MINOR, *named_minors, _OLDEST_MINOR)

    candidates: list[str] = []
    for minor in range(_OLDEST_MINOR, newest + 1):
        candidates.append(f"cp3{minor}")
        if minor >= _FIRST_FREE_THREADED_MINOR:
            candidates.append(f"cp3{minor}t")

    return candidates


def _match_interpreter(tag: Tag) -> re.Match[str] | None:
    return _INTERPRETER.fullmatch(tag.interpreter)


def minor_of(abi: str) -> int:
    """Return the minor version of an interpreter: `cp315t` -> 15."""
    return int(abi.removeprefix("cp3").removesuffix("t"))


def is_free_threaded(abi: str) -> bool:
    """Return whether an interpreter is without the GIL."""
    return abi.endswith("t")


def has_abi3t(abi: str) -> bool:
    """Return whether an interpreter's release has the stable ABI of free-threaded builds, and `PyModExport`."""
    return minor_of(abi) >= _FIRST_ABI3T_MINOR


@cache
def list_suffix_tags(abi: str, triplets: tuple[str, ...]) -> tuple[str, ...]:
    """Return the tags in the suffixes that an interpreter looks for, in its order; an empty one is a plain `.so`.

    `cp315t` -> `cpython-315t-x86_64-linux-gnu`, `abi3t-x86_64-linux-gnu`, `abi3t`, and the empty one. Releases before
    3.15 look for `abi3` in both builds, although the free-threaded one cannot use what it finds.

    Args:
        abi: the interpreter.
        triplets: of the machine, as file names have it.
    """
    if not has_abi3t(abi):
        stable = ["abi3"]
    elif is_free_threaded(abi):
        stable = ["abi3t"]
    else:
        stable = ["abi3", "abi3t"]

    tags = [f"cpython-{abi.removeprefix('cp')}-{triplet}" for triplet in triplets]
    for name in stable:
        if has_abi3t(abi):
            tags += [f"{name}-{triplet}" for triplet in triplets]
        tags.append(name)

    return (*tags, "")


def list_hooks(abi: str) -> tuple[Hook, ...]:
    """Return the functions of an extension module that an interpreter looks for, in its order (PEP 489, PEP 793)."""
    return ("PyModExport", "PyInit") if has_abi3t(abi) else ("PyInit",)


def list_triplets(platforms: Iterable[str]) -> tuple[str, ...]:
    """Return the machines in the suffixes of extension modules for some platform tags (PEP 3149).

    `manylinux_2_28_aarch64` -> `aarch64-linux-gnu`; platforms that name no machine are taken for x86-64.
    """
    triplets: set[str] = set()
    for platform in platforms:
        match = _LINUX.fullmatch(platform)
        if match is not None:
            c_library = "musl" if match[1] == "musl" else "gnu"
            triplets.add(f"{match[2]}-linux-{c_library}")

    return tuple(sorted(triplets)) or _TRIPLETS_BY_DEFAULT


def name_interpreters(abis: Sequence[str]) -> str:
    """Return interpreters for a sentence: `CPython 3.13 to 3.15, 3.15t`.

    Args:
        abis: the interpreters, oldest first.
    """
    names: list[str] = []
    for suffix in ("", "t"):
        minors = [minor_of(abi) for abi in abis if is_free_threaded(abi) == bool(suffix)]
        names += [_name_range(first, last, suffix) for first, last in _find_ranges(minors)]

    return f"CPython {', '.join(names)}"


def _find_ranges(minors: Iterable[int]) -> list[tuple[int, int]]:
    """Return (first, last) of each run of numbers that follow one another."""
    ranges: list[tuple[int, int]] = []
    for minor in minors:
        if ranges and ranges[-1][1] == minor - 1:
            ranges[-1] = (ranges[-1][0], minor)
        else:
            ranges.append((minor, minor))

    return ranges


def _name_range(first: int, last: int, suffix: str) -> str:
    if first == last:
        return f"3.{first}{suffix}"
    return f"3.{first}{suffix} to 3.{last}{suffix}"


def is_taken(tag: Tag) -> bool:
    """Return whether some interpreter takes a tag, which platform it is for left aside.

    True also for what is not CPython 3, and for ABIs with the flags of releases before 3.8: they are not known here.
    """
    is_cpython = tag.interpreter.startswith("cp3") or tag.abi.startswith(("cp3", "abi3"))
    has_old_flags = re.fullmatch(r"cp3\d+[dmu]+", tag.abi) is not None
    if not is_cpython or has_old_flags:
        return True

    return any(accepts_tag(tag, abi) for abi in _list_candidates([tag]))
