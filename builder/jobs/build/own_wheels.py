"""Wheels of the farm for a build that requires them.

If a project is built with numpy, and the farm builds numpy, the project must be built with the farm's wheel. So the
wheel is put into the container, and a constraint makes the build frontend install this very file. Constraints of the
matrix are in the same file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from builder.jobs.wheels import wheel_for_abi
from builder.untrusted.names import parse_wheel_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from builder.store.evidence import Evidence
    from builder.store.store import Store

FOLDER = "/opt/wheelfarm/inputs/own-wheels"
"""The folder of a container with the farm's own wheels: outside of the project, because the build backend might pack
what is in there."""


def wheel_hashes(build: Evidence, abis: Sequence[str]) -> list[str | None]:
    """Return for each ABI the sha256 of the wheel that a build made for it; None where it made none."""
    wheels = [wheel_for_abi(build, abi) or "" for abi in abis]

    return [build.files.get(wheel) for wheel in wheels]


def constraints_path(abi: str) -> str:
    """Return the path, in the container, of the file with the constraints for an ABI."""
    return f"{FOLDER}/{abi}.txt"


def collect_own_wheels(
    builds: Sequence[Evidence],
    abis: Sequence[str],
    store: Store,
    constraints: Sequence[str] = (),
) -> dict[str, bytes | Path]:
    """Return the wheels and one file of constraints for each ABI, by path relative to `FOLDER`.

    Empty where the project is built with no package of the farm, and no constraint is given.

    Args:
        builds: evidence of the builds whose wheels the project is built with.
        abis: the ABIs that the project is built for.
        store: has the wheels.
        constraints: which releases of other build requirements may be taken (PEP 508).

    Raises:
        UntrustedNameError: a wheel on record has a name that no wheel has: a line break in it would be a constraint.
    """
    files: dict[str, bytes | Path] = {}
    if not builds and not constraints:
        return files

    for abi in abis:
        lines = [f"{constraint}\n" for constraint in constraints]
        for build in builds:
            wheel = wheel_for_abi(build, abi)
            if wheel is None:
                continue  # without a constraint, the build frontend takes the package from the index
            files[f"{abi}/{wheel}"] = store.file(build.files[wheel])
            # A direct reference (PEP 508), because the index may have a wheel of the same version.
            name, _, _ = parse_wheel_name(wheel, str(build.job)).partition("-")
            lines.append(f"{name} @ file://{FOLDER}/{abi}/{wheel}\n")

        files[f"{abi}.txt"] = "".join(lines).encode()

    return files


def to_container_paths(files: Mapping[str, bytes | Path]) -> dict[str, bytes | Path]:
    """Return the files of `collect_own_wheels` by their absolute paths in the container."""
    return {f"{FOLDER}/{path}": content for path, content in files.items()}
