"""Wheels that builds made, by ABI."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from builder.sources import Pure
    from builder.store.evidence import Evidence


def wheel_for_abi(build: Evidence, abi: str) -> str | None:
    """Return the wheel a build made for an ABI, or None."""
    filename = build.facts["abis"].get(abi, {}).get("wheel")
    return None if filename is None else str(filename)


def required_wheels(
    abi: str, builds: tuple[Evidence, ...], pure: tuple[Pure, ...]
) -> Iterator[tuple[str, str]]:
    """Give (filename, sha256) of the wheels that must be there to import a package."""
    for build in builds:
        filename = wheel_for_abi(build, abi)
        if filename is not None:
            yield filename, build.files[filename]
    for wheel in pure:
        yield wheel.filename, wheel.sha256
