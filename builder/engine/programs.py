"""Programs of builder/inside/ as files of a container."""

from __future__ import annotations

from functools import cache
from pathlib import PurePosixPath

from builder import ROOT

_COMPANIONS = {
    "application": ("load", "supervise"),
    "load": ("supervise",),
    "measure": ("application", "load", "supervise"),
    "smoke": ("stress", "supervise"),
    "stress": ("supervise",),
}
"""Packages that programs of another one import."""


@cache
def program_files(package: str, folder: str = "/") -> dict[str, bytes]:
    """Return the files of a package of builder/inside/ and of those that it imports, by their path in a container.

    Args:
        package: the package's name, such as `load`.
        folder: where `inside` goes. Containers start in the root folder: there, `python -m inside.PACKAGE` finds it.
    """
    inside = ROOT / "inside"
    target = PurePosixPath(folder, "inside")
    paths = [inside / "__init__.py"]
    for name in (package, *_COMPANIONS.get(package, ())):
        paths += sorted((inside / name).rglob("*.py"))

    return {str(target / path.relative_to(inside)): path.read_bytes() for path in paths}
