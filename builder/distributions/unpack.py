"""Unpacking an sdist, under the rules of PEP 706: nothing leaves its folder."""

from __future__ import annotations

import stat
import tarfile
import zipfile
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_UNPACKED_LIMIT_BYTES = 4 << 30


def unpack(sdist: Path, filename: str, folder: Path) -> Path:
    """Unpack an sdist and return its only top-level folder.

    Members that would leave the folder, links that point out of it and devices are refused (PEP 706).

    Args:
        sdist: the file.
        filename: what it is called, which tells its format.
        folder: a folder to make.

    Raises:
        ValueError: the sdist has no single top-level folder or unpacks to too much.
        tarfile.TarError, zipfile.BadZipFile, OSError: it cannot be unpacked.
    """
    folder.mkdir(parents=True)
    if filename.endswith(".zip"):
        _unzip(sdist, folder)
    else:
        with tarfile.open(sdist) as archive:
            archive.extractall(folder, members=_bounded(archive), filter="data")
    roots = [path for path in folder.iterdir() if path.is_dir()]
    if len(roots) != 1:
        raise ValueError(f"it has {len(roots)} top-level folders, not one")
    return roots[0]


def _bounded(archive: tarfile.TarFile) -> Iterable[tarfile.TarInfo]:
    size = 0
    for member in archive:
        size += member.size
        if size > _UNPACKED_LIMIT_BYTES:
            raise ValueError(f"it unpacks to more than {_UNPACKED_LIMIT_BYTES >> 30} GiB")
        yield member


def _unzip(sdist: Path, folder: Path) -> None:
    with zipfile.ZipFile(sdist) as archive:
        members = archive.infolist()
        if sum(member.file_size for member in members) > _UNPACKED_LIMIT_BYTES:
            raise ValueError(f"it unpacks to more than {_UNPACKED_LIMIT_BYTES >> 30} GiB")
        for member in members:
            parts = PurePosixPath(member.filename).parts
            if (
                member.filename.startswith("/")
                or ".." in parts
                or stat.S_ISLNK(member.external_attr >> 16)
            ):
                raise ValueError(f"member {member.filename!r} leads out of it")
        archive.extractall(folder)  # noqa: S202 - every member was checked above
