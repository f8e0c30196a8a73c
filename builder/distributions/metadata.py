"""Core metadata, read from wheels and sdists without unpacking or running anything."""

from __future__ import annotations

import zipfile
import zlib
from typing import TYPE_CHECKING

from packaging.metadata import RawMetadata, parse_email

from builder.distributions.members import NotAnSdistError, iter_members
from builder.untrusted.zips import open_zip

if TYPE_CHECKING:
    from pathlib import Path

_LIMIT_BYTES = 8 << 20
"""Largest METADATA or PKG-INFO that is read. A README inside makes it long, but not that long; not measured."""

_STATIC_SINCE = (2, 2)
"""The version of the metadata standard that has `Dynamic` (PEP 643)."""


class NotADistributionError(Exception):
    """A file is no wheel, or no sdist."""


def is_static(metadata: RawMetadata) -> bool:
    """Return whether an sdist's metadata promises that its wheels will require the same (PEP 643)."""
    version = tuple(int(part) for part in metadata.get("metadata_version", "0").split("."))
    dynamic_fields = {field.lower() for field in metadata.get("dynamic", [])}

    return version >= _STATIC_SINCE and "requires-dist" not in dynamic_fields


def wheel_metadata(path: Path) -> RawMetadata:
    """Return a wheel's METADATA, parsed; nothing is unpacked or run.

    Raises:
        NotADistributionError: it is no wheel.
    """
    _, metadata = wheel_metadata_bytes(path)
    return metadata


def wheel_metadata_bytes(path: Path) -> tuple[bytes, RawMetadata]:
    """Return a wheel's METADATA twice: the bytes of the file, and the same parsed.

    Raises:
        NotADistributionError: it is no wheel, or its METADATA is absurdly large.
    """
    try:
        with open_zip(path) as archive:
            name = next(name for name in archive.namelist() if _is_metadata(name))
            with archive.open(name) as file:
                content = file.read(_LIMIT_BYTES + 1)
    except (
        zipfile.BadZipFile,
        zlib.error,
        StopIteration,  # no member is a METADATA file
        OSError,
        EOFError,
        NotImplementedError,
        RuntimeError,  # it is encrypted
        ValueError,
    ) as error:
        raise NotADistributionError(f"it is no wheel: {error}") from None

    if len(content) > _LIMIT_BYTES:
        raise NotADistributionError(f"its METADATA has more than {_LIMIT_BYTES >> 20} MiB")
    metadata, _ = parse_email(content)
    return content, metadata


def _is_metadata(name: str) -> bool:
    return name.count("/") == 1 and name.endswith(".dist-info/METADATA")


def sdist_metadata(path: Path, filename: str) -> RawMetadata:
    """Return the parsed PKG-INFO of an sdist; nothing is unpacked or run.

    Args:
        path: where the sdist is.
        filename: what it is called, which tells its format.

    Raises:
        NotADistributionError: it is no sdist.
    """
    try:
        content = _read_pkg_info(path, filename)
    except NotAnSdistError as error:
        raise NotADistributionError(f"{filename} is no sdist: {error}") from None

    if content is None:
        raise NotADistributionError(f"{filename} is no sdist: it has no PKG-INFO")
    metadata, _ = parse_email(content)
    return metadata


def _read_pkg_info(path: Path, filename: str) -> bytes | None:
    for member in iter_members(path, filename):
        if member.inner_path == "PKG-INFO":
            return member.read(_LIMIT_BYTES)
    return None
