"""The wheels that builds made: which one is for which ABI, and where containers find them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from builder.untrusted.package_names import project_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from builder.sources import Pure
    from builder.store.evidence import Evidence
    from builder.store.store import Store

WHEELS_FOLDER = "/farm/wheels"
"""The folder of a container with the wheels to install in it."""


def wheel_for_abi(build: Evidence, abi: str) -> str | None:
    """Return the file name of the wheel that a build made for an ABI; None where it made none.

    A wheel that is named as another package's is none, so that no job installs it: builds drop such wheels
    (builder/distributions/identity.py), but older evidence may have one.

    The facts are read as plain data, not as a checked model: the keys of nearly all jobs are made with this function,
    also when nothing has changed, and checking takes too long for that.
    """
    outcome = build.facts["abis"].get(abi, {})
    filename: str | None = outcome.get("wheel")
    if filename is None:
        return None

    distribution, name = filename.partition("-")[0], project_of(build.job.name)
    is_own = distribution == name or canonicalize_name(distribution) == canonicalize_name(name)
    return filename if is_own else None


def wheel_hash(build: Evidence, abi: str) -> str | None:
    """Return the sha256 of the wheel that a build made for an ABI; None where it made none."""
    return build.files.get(wheel_for_abi(build, abi) or "")


def required_wheels(
    abi: str, builds: Iterable[Evidence], pure: Iterable[Pure]
) -> Iterator[tuple[str, str]]:
    """Iterate over (filename, sha256) of the wheels that must be installed to import a package.

    Args:
        abi: the ABI. A build that made no wheel for it is skipped.
        builds: evidence of the package's own build, and of the builds of native packages that it requires.
        pure: pure-Python wheels that it requires.
    """
    for build in builds:
        filename = wheel_for_abi(build, abi)
        if filename is not None:
            yield filename, build.files[filename]
    for wheel in pure:
        yield wheel.filename, wheel.sha256


def wheel_files(wheels: Iterable[tuple[str, str]], store: Store) -> dict[str, bytes | Path]:
    """Return wheels as files for a container: the file in the store, by its absolute path in `WHEELS_FOLDER`.

    Args:
        wheels: (filename, sha256) of each wheel. A wheel that is listed twice is put there once.
        store: has the wheels.
    """
    return {f"{WHEELS_FOLDER}/{name}": store.file(sha256) for name, sha256 in wheels}
