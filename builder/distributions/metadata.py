"""Core metadata, read from wheels and sdists without unpacking or running anything."""

from __future__ import annotations

import tarfile
import zipfile
import zlib
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
    return version >= (2, 2) and "requires-dist" not in {
        field.lower() for field in metadata.get("dynamic", [])
    }


def wheel_metadata(path: Path) -> RawMetadata:
    """Read a wheel's METADATA.

    Raises:
        NotADistributionError: it is no wheel.
    """
    return wheel_metadata_bytes(path)[1]


def wheel_metadata_bytes(path: Path) -> tuple[bytes, RawMetadata]:
    """Read a wheel's METADATA, as it is and parsed.

    Raises:
        NotADistributionError: it is no wheel, or its METADATA is absurdly large.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            name = next(name for name in archive.namelist() if _is_metadata(name))
            with archive.open(name) as file:
                content = file.read(_LIMIT_BYTES + 1)
    except (zipfile.BadZipFile, zlib.error, StopIteration, OSError, NotImplementedError) as error:
        raise NotADistributionError(f"it is no wheel: {error}") from None
    if len(content) > _LIMIT_BYTES:
        raise NotADistributionError(f"its METADATA has more than {_LIMIT_BYTES >> 20} MiB")
    return content, parse_email(content)[0]


def _is_metadata(name: str) -> bool:
    return name.count("/") == 1 and name.endswith(".dist-info/METADATA")


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
