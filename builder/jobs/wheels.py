"""Wheels that builds made, by ABI."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from builder.sources import Pure
    from builder.store.evidence import Evidence
    from builder.store.store import Store

WHEELS_FOLDER = "/farm/wheels"
"""Where containers find the wheels that are installed there."""


def wheel_for_abi(build: Evidence, abi: str) -> str | None:
    """Return the file name of the wheel a build made for an ABI, or None.

    The keys of nearly all jobs ask for it, also where nothing changed, so the facts are not checked for that.
    """
    outcome = build.facts["abis"].get(abi, {})
    filename: str | None = outcome.get("wheel")
    return filename


def required_wheels(
    abi: str, builds: Iterable[Evidence], pure: Iterable[Pure]
) -> Iterator[tuple[str, str]]:
    """Give (filename, sha256) of the wheels that must be there to import a package.

    Args:
        abi: the ABI; a build without a wheel for it is left out.
        builds: of the package itself, and of what it requires.
        pure: pure wheels that it requires.
    """
    for build in builds:
        filename = wheel_for_abi(build, abi)
        if filename is not None:
            yield filename, build.files[filename]
    for wheel in pure:
        yield wheel.filename, wheel.sha256


def wheel_files(wheels: Iterable[tuple[str, str]], store: Store) -> dict[str, bytes | Path]:
    """Return wheels as the files of `WHEELS_FOLDER` in a container.

    Args:
        wheels: (filename, sha256) of each; one that is listed twice is there once.
        store: has them.
    """
    return {f"{WHEELS_FOLDER}/{name}": store.file(sha256) for name, sha256 in wheels}
