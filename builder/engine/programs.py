"""Programs of builder/inside/ as files of a container."""

from __future__ import annotations

from functools import cache

from builder import ROOT


@cache
def program_files(package: str) -> dict[str, bytes]:
    """Return the programs of a package of builder/inside/, by their paths in a container.

    Containers start in the root folder, so `python -m inside.PACKAGE` finds them there.
    """
    inside = ROOT / "inside"
    paths = [inside / "__init__.py", *sorted((inside / package).glob("*.py"))]

    return {f"/inside/{path.relative_to(inside)}": path.read_bytes() for path in paths}
