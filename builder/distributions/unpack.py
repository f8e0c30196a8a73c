"""Unpacking an sdist to its one project folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from builder.distributions.members import NotAnSdistError, extract_members

if TYPE_CHECKING:
    from pathlib import Path


def unpack(sdist: Path, filename: str, folder: Path) -> Path:
    """Unpack an sdist into a new folder and return its only top-level folder.

    Files beside that folder are unpacked as well and ignored.

    Args:
        sdist: the file.
        filename: what it is called, which tells its format.
        folder: a folder to make.

    Raises:
        NotAnSdistError: the sdist cannot be unpacked safely (PEP 706), or has no single top-level folder.
        OSError: the folder cannot be made.
    """
    folder.mkdir(parents=True)
    extract_members(sdist, filename, folder)

    roots = [path for path in folder.iterdir() if path.is_dir()]
    if len(roots) != 1:
        raise NotAnSdistError(f"it has {len(roots)} top-level folders, not one")
    return roots[0]
