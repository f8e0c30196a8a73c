"""Core metadata, read from wheels and sdists without unpacking or running anything."""

from __future__ import annotations

import tarfile
import zipfile
from typing import TYPE_CHECKING

from packaging.metadata import RawMetadata, parse_email

if TYPE_CHECKING:
    from pathlib import Path

_LIMIT_BYTES = 8 << 20


class NotADistributionError(Exception):
    """A file is no wheel, or no sdist."""


def is_static(metadata: RawMetadata) -> bool:
    """Return whether an sdist's metadata promises that its wheels will require the same (PEP 643)."""
    version = tuple(int(part) for part in metadata.get("metadata_version", "0").split("."))
    return version >= (2, 2) and "requires-dist" not in {field.lower() for field in metadata.get("dynamic", [])}


def wheel_metadata(path: Path) -> RawMetadata:
    """Read a wheel's METADATA.

    Raises:
        NotADistributionError: it is no wheel.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
            return parse_email(archive.read(name))[0]
    except (zipfile.BadZipFile, StopIteration, OSError) as error:
        raise NotADistributionError(f"it is no wheel: {error}") from None


def sdist_metadata(path: Path, filename: str) -> RawMetadata:
    """Read an sdist's PKG-INFO without unpacking anything.

    Args:
        path: where the sdist is.
        filename: what it is called, which tells its format.

    Raises:
        NotADistributionError: it is no sdist.
    """
    try:
        content = _zip_member(path) if filename.endswith(".zip") else _tar_member(path)
    except (tarfile.TarError, zipfile.BadZipFile, OSError, EOFError) as error:
        raise NotADistributionError(f"{filename} is no sdist: {error}") from None
    if content is None:
        raise NotADistributionError(f"{filename} is no sdist: it has no PKG-INFO")
    return parse_email(content)[0]


def _is_pkg_info(name: str) -> bool:
    return name.count("/") == 1 and name.endswith("/PKG-INFO")


def _tar_member(path: Path) -> bytes | None:
    with tarfile.open(path) as archive:
        for member in archive:
            if _is_pkg_info(member.name) and (file := archive.extractfile(member)) is not None:
                return file.read(_LIMIT_BYTES)
    return None


def _zip_member(path: Path) -> bytes | None:
    with zipfile.ZipFile(path) as archive:
        return next((archive.read(name) for name in archive.namelist() if _is_pkg_info(name)), None)
