"""Core metadata, read from wheels and sdists without unpacking or running anything."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from packaging.metadata import RawMetadata, parse_email

from builder.distributions.members import DAMAGE, NotAnSdistError, iter_members
from builder.untrusted.names import MAX_REQUIREMENT
from builder.untrusted.reading import TooLargeError, read_bounded
from builder.untrusted.text import clean_line
from builder.untrusted.zips import open_member, open_zip

if TYPE_CHECKING:
    from pathlib import Path

METADATA_LIMIT_BYTES = 8 << 20
"""Largest METADATA or PKG-INFO that is read. A README inside makes it long, but not that long; not measured."""

MAX_REQUIREMENTS = 10_000
"""Most `Requires-Dist` of a release; the largest known have about a thousand. Each is parsed, which takes its time."""

_MAX_REQUIREMENTS_CHARS = 1 << 20
"""Of all of them together: ten thousand usual ones. They are kept, and handed on in the record of a shard."""

_MAX_HEADER_LINES = 200_000
"""Most lines of METADATA: the parser keeps each of them in several objects, a hundred times its own size."""

_VERSION = re.compile(r"[0-9]{1,4}\.[0-9]{1,4}")
"""A `Metadata-Version`."""

_STATIC_SINCE = (2, 2)
"""The version of the metadata standard that has `Dynamic` (PEP 643)."""


class NotADistributionError(Exception):
    """A file is no wheel, or no sdist."""


class NoPkgInfoError(NotADistributionError):
    """An archive has no PKG-INFO: it is one of a repository, or an sdist from before there was any."""


def is_static(metadata: RawMetadata) -> bool:
    """Return whether an sdist's metadata promises that its wheels will require the same (PEP 643).

    What states no version of the standard, such as `2.x`, promises nothing.
    """
    stated = metadata.get("metadata_version", "")
    if not _VERSION.fullmatch(stated):
        return False

    version = tuple(int(part) for part in stated.split("."))
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
            infos = [info for info in archive.infolist() if is_wheel_metadata(info.filename)]
            if not infos:
                raise NotADistributionError("it is no wheel: it has no METADATA")
            with open_member(archive, infos[0]) as member:
                content = read_bounded(member, METADATA_LIMIT_BYTES, "its METADATA")
    except TooLargeError as error:
        raise NotADistributionError(str(error)) from None
    except DAMAGE as error:
        raise NotADistributionError(f"it is no wheel: {describe_damage(error)}") from None

    return content, parse_metadata(content, "its METADATA")


def parse_metadata(content: bytes, what: str) -> RawMetadata:
    """Return core metadata, parsed; fields that cannot be read are left out, as `packaging` does.

    Args:
        content: METADATA or PKG-INFO, which was read with a bound.
        what: what it is, for messages: `its METADATA`.

    Raises:
        NotADistributionError: it is nothing that can be parsed, or states more requirements than anybody has.
    """
    metadata, _ = parse_fields(content, what)
    stated = metadata.get("requires_dist", [])
    if len(stated) > MAX_REQUIREMENTS:
        raise NotADistributionError(f"{what} has more than {MAX_REQUIREMENTS} Requires-Dist")
    if sum(map(len, stated)) > _MAX_REQUIREMENTS_CHARS:
        raise NotADistributionError(
            f"{what} has more than {_MAX_REQUIREMENTS_CHARS >> 10} Ki characters of Requires-Dist"
        )

    # What is cut, or has something to hide, is no requirement either way.
    if stated:
        metadata["requires_dist"] = [clean_line(text, MAX_REQUIREMENT) for text in stated]
    return metadata


def parse_fields(content: bytes, what: str) -> tuple[RawMetadata, dict[str, list[str]]]:
    """Return core metadata as `packaging.metadata.parse_email` does: fields, and those that it cannot make sense of.

    Args:
        content: as for `parse_metadata`.
        what: as for `parse_metadata`.

    Raises:
        NotADistributionError: it is nothing that can be parsed, or has more lines than anybody writes.
    """
    if content.count(b"\n") > _MAX_HEADER_LINES:
        raise NotADistributionError(f"{what} has more than {_MAX_HEADER_LINES} lines")
    try:
        return parse_email(content)
    # The parser is `email`'s, which has an error of its own for each oddity: unknown encodings, missing parts, depth.
    except Exception as error:
        raise NotADistributionError(f"{what} cannot be read: {describe_damage(error)}") from None


def describe_damage(error: BaseException) -> str:
    """Return what an error about a damaged file says, on one line that can be shown."""
    return clean_line(str(error) or type(error).__name__)


def is_wheel_metadata(name: str) -> bool:
    """Return whether a member of a wheel is its METADATA."""
    return name.count("/") == 1 and name.endswith(".dist-info/METADATA")


def sdist_metadata(path: Path, filename: str) -> RawMetadata:
    """Return the parsed PKG-INFO of an sdist; nothing is unpacked or run.

    Args:
        path: where the sdist is.
        filename: what it is called, which tells its format.

    Raises:
        NoPkgInfoError: it has none.
        NotADistributionError: it is no archive, or its PKG-INFO cannot be read.
    """
    try:
        content = _read_pkg_info(path, filename)
    except NotAnSdistError as error:
        raise NotADistributionError(f"{filename} is no sdist: {error}") from None

    if content is None:
        raise NoPkgInfoError(
            f"{filename} is no sdist: it has no PKG-INFO, as archives of a repository have none"
        )
    return parse_metadata(content, f"the PKG-INFO of {filename}")


def _read_pkg_info(path: Path, filename: str) -> bytes | None:
    for member in iter_members(path, filename):
        is_copy = member.name.endswith(".egg-info/PKG-INFO")  # beside that of the project
        if member.is_top_file("PKG-INFO") and not is_copy:
            return member.read(METADATA_LIMIT_BYTES)
    return None
