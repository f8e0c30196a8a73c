"""What a wheel's file name claims: interpreters, ABI, and the minimum glibc it declares (PEP 425, 600).

Whether an interpreter takes a tag is asked of `packaging.tags` alone, as pip does.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

from packaging.tags import compatible_tags, cpython_tags
from packaging.utils import parse_wheel_filename

if TYPE_CHECKING:
    from collections.abc import Iterator

    from packaging.tags import Tag

    from builder.config.catalog import Base

_LEGACY_TAGS = {"manylinux1": (2, 5), "manylinux2010": (2, 12), "manylinux2014": (2, 17)}
_OLDEST_GLIBC_MINOR = 5  # of manylinux1: no tag names an older one (PEP 513)
_MANYLINUX = re.compile(r"manylinux_(\d+)_(\d+)_x86_64")


def glibc_floors(filename: str) -> list[tuple[int, int]]:
    """Return the glibc versions that a wheel's platform tags name, the oldest first; empty without a manylinux tag.

    `manylinux2014_x86_64` and `manylinux_2_17_x86_64` -> (2, 17).
    """
    floors = set()
    for tag in parse_wheel_filename(filename)[3]:
        legacy = _LEGACY_TAGS.get(tag.platform.removesuffix("_x86_64"))
        if legacy is not None:
            floors.add(legacy)
        elif (match := _MANYLINUX.fullmatch(tag.platform)) is not None:
            floors.add((int(match[1]), int(match[2])))

    return sorted(floors)


def floor_name(filename: str) -> str:
    """Return the platform that a wheel claims, by its oldest glibc: `manylinux_2_17`.

    Without a manylinux tag it is the first platform tag in the alphabet, such as `any` of a pure wheel.
    """
    floors = glibc_floors(filename)
    if floors:
        major, minor = floors[0]
        return f"manylinux_{major}_{minor}"

    platforms = sorted(tag.platform for tag in parse_wheel_filename(filename)[3])
    return platforms[0]


def runs_on(filename: str, base: Base) -> bool:
    """Return whether a wheel claims to run on a base."""
    platforms = {"any", *platforms_of_glibc(base.glibc_version)}
    return any(tag.platform in platforms for tag in parse_wheel_filename(filename)[3])


def is_pure_wheel(filename: str) -> bool:
    """Return whether a wheel is for any platform, so that it has no native code, or should have none."""
    return all(tag.platform == "any" for tag in parse_wheel_filename(filename)[3])


def accepts_wheel(filename: str, abi: str) -> bool:
    """Return whether an interpreter of an ABI takes a wheel; which platform it is for is not looked at."""
    return any(accepts_tag(tag, abi) for tag in parse_wheel_filename(filename)[3])


def accepts_tag(tag: Tag, abi: str) -> bool:
    """Return whether an interpreter with an ABI takes a tag, provided that it runs on the tag's platform.

    An `abi3` tag serves every build with the GIL from its version on, and never a free-threaded one.

    Args:
        tag: of a wheel.
        abi: such as `cp314t`; the interpreter need not be one of the farm's.
    """
    return (tag.interpreter, tag.abi, tag.platform == "any") in _accepted_tags(abi)


@cache
def _accepted_tags(abi: str) -> frozenset[tuple[str, str, bool]]:
    """Return (interpreter, ABI, whether the platform is `any`) for each tag that an interpreter takes."""
    one_platform = ["linux_x86_64"]  # stands for every platform: the others do not depend on it
    return frozenset(
        (tag.interpreter, tag.abi, tag.platform == "any") for tag in _iter_tags(abi, one_platform)
    )


def supported_tags(abi: str, base: Base) -> tuple[Tag, ...]:
    """Return the tags that pip takes for an interpreter on a base, the most specific first (PEP 425, 600)."""
    return tuple(_iter_tags(abi, list(platforms_of_glibc(base.glibc_version))))


def _iter_tags(abi: str, platforms: list[str]) -> Iterator[Tag]:
    """Yield the tags that an interpreter takes on some platforms, the most specific first, as pip does."""
    interpreter = abi.removesuffix("t")
    version = (3, int(interpreter.removeprefix("cp3")))

    yield from cpython_tags(version, [abi], platforms)
    yield from compatible_tags(version, interpreter, platforms)


def platforms_of_glibc(glibc: tuple[int, int]) -> Iterator[str]:
    """Yield the platform tags that an x86-64 machine with a glibc takes, in pip's order.

    The machine's own (`linux_x86_64`) comes first, then manylinux from the newest glibc to the oldest, each followed by
    its older name, if it has one.
    """
    aliases = {floor: name for name, floor in _LEGACY_TAGS.items()}
    major, newest_minor = glibc

    yield "linux_x86_64"

    for minor in range(newest_minor, _OLDEST_GLIBC_MINOR - 1, -1):
        yield f"manylinux_{major}_{minor}_x86_64"
        if alias := aliases.get((major, minor)):
            yield f"{alias}_x86_64"
