"""The farm's own wheels for a build that requires them: as files, and as constraints that admit nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from builder.jobs.wheels import wheel_for_abi

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from builder.store.evidence import Evidence
    from builder.store.store import Store

_PROJECT_FOLDER = "_wheelfarm_own_wheels"
_CONTAINER_FOLDER = "/opt/wheelfarm/own-wheels"

MOVE_WHEELS_COMMAND = f"mv {_PROJECT_FOLDER} {_CONTAINER_FOLDER}"
"""A command that takes the wheels out of the project, where the build backend might pack them."""


def wheel_hashes(build: Evidence, abis: Sequence[str]) -> list[str | None]:
    """Return the sha256 of the wheels that a build made, by ABI; None where it has none."""
    wheels = [wheel_for_abi(build, abi) or "" for abi in abis]

    return [build.files.get(wheel) for wheel in wheels]


def constraints_path(abi: str) -> str:
    """Return where the constraints for an ABI are in the container."""
    return f"{_CONTAINER_FOLDER}/{abi}.txt"


def collect_own_wheels(
    builds: Sequence[Evidence], abis: Sequence[str], store: Store
) -> dict[str, bytes | Path]:
    """Return wheels and constraints as files, by path relative to the project.

    Where a build has no wheel for an ABI, there is no constraint either: the frontend asks the index for it.

    Args:
        builds: of what the project is built with; none give no files.
        abis: what it is built for.
        store: has the wheels.
    """
    files: dict[str, bytes | Path] = {}
    if not builds:
        return files

    for abi in abis:
        constraints: list[str] = []
        for build in builds:
            wheel = wheel_for_abi(build, abi)
            if wheel is None:
                continue
            files[f"{_PROJECT_FOLDER}/{abi}/{wheel}"] = store.file(build.files[wheel])
            # A direct reference (PEP 508): of a version that the index has as well, this very file is installed.
            name, _, _ = wheel.partition("-")
            constraints.append(f"{name} @ file://{_CONTAINER_FOLDER}/{abi}/{wheel}\n")

        files[f"{_PROJECT_FOLDER}/{abi}.txt"] = "".join(constraints).encode()

    return files


def to_container_paths(files: Mapping[str, bytes | Path]) -> dict[str, bytes | Path]:
    """Return the files of `collect_own_wheels` by the paths that `MOVE_WHEELS_COMMAND` would give them."""
    moved: dict[str, bytes | Path] = {}
    for path, content in files.items():
        relative = path.removeprefix(f"{_PROJECT_FOLDER}/")
        moved[f"{_CONTAINER_FOLDER}/{relative}"] = content

    return moved
