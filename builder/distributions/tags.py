"""What a wheel's file name claims: interpreters, ABI, and the C library it is content with (PEP 425, 600)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from packaging.tags import compatible_tags, cpython_tags
from packaging.utils import parse_wheel_filename

if TYPE_CHECKING:
    from collections.abc import Iterator

    from packaging.tags import Tag

    from builder.config.catalog import Base

_LEGACY_TAGS = {"manylinux1": (2, 5), "manylinux2010": (2, 12), "manylinux2014": (2, 17)}
_MANYLINUX = re.compile(r"manylinux_(\d+)_(\d+)_x86_64")


def glibc_floors(filename: str) -> list[tuple[int, int]]:
    """Return the glibc versions a wheel's platform tags name, the oldest first; empty where it claims no manylinux."""
    floors = set()
    for tag in parse_wheel_filename(filename)[3]:
        legacy = _LEGACY_TAGS.get(tag.platform.removesuffix("_x86_64"))
        if legacy is not None:
            floors.add(legacy)
        elif (match := _MANYLINUX.fullmatch(tag.platform)) is not None:
            floors.add((int(match[1]), int(match[2])))
    return sorted(floors)


def floor_name(filename: str) -> str:
    """Return the oldest platform a wheel claims, as `manylinux_2_17`; `any` where it is pure."""
    floors = glibc_floors(filename)
    if floors:
        return f"manylinux_{floors[0][0]}_{floors[0][1]}"
    platforms = sorted(tag.platform for tag in parse_wheel_filename(filename)[3])
    return platforms[0]


def runs_on(filename: str, base: Base) -> bool:
    """Return whether a wheel claims to run on a base."""
    floors = glibc_floors(filename)
    if floors:
        return floors[0] <= base.glibc_version
    return any(tag.platform in {"any", "linux_x86_64"} for tag in parse_wheel_filename(filename)[3])


def accepts_wheel(filename: str, abi: str) -> bool:
    """Return whether an interpreter of an ABI would take a wheel (PEP 425); the platform is not looked at.

    An `abi3` wheel serves every build with the GIL from its version on, and never a free-threaded one.
    """
    free_threaded = abi.endswith("t")
    return any(
        tag.abi in {abi, "none"} or (tag.abi == "abi3" and not free_threaded)
        for tag in parse_wheel_filename(filename)[3]
    )


def supported_tags(abi: str, base: Base) -> tuple[Tag, ...]:
    """Return the tags that pip takes for an interpreter on a base, the most specific first (PEP 425, 600)."""
    version = (3, int(abi.removeprefix("cp3").removesuffix("t")))
    platforms = list(_platforms(base.glibc_version))
    plain = f"cp3{version[1]}"
    return (*cpython_tags(version, [abi], platforms), *compatible_tags(version, plain, platforms))


def _platforms(glibc: tuple[int, int]) -> Iterator[str]:
    aliases = {floor: name for name, floor in _LEGACY_TAGS.items()}
    for minor in range(glibc[1], _LEGACY_TAGS["manylinux1"][1] - 1, -1):
        yield f"manylinux_{glibc[0]}_{minor}_x86_64"
        if alias := aliases.get((glibc[0], minor)):
            yield f"{alias}_x86_64"
    yield "linux_x86_64"
