"""Is a wheel of a package? The one place that decides it: by file name, `.dist-info` folder and METADATA (PEP 427).

What a build made, what a shard brings, what is published and what is uploaded are all asked here: a wheel that says
that it is another project's would be installed in that project's place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.utils import InvalidName, canonicalize_name, parse_wheel_filename
from packaging.version import Version

from builder.distributions.members import DAMAGE
from builder.distributions.metadata import (
    METADATA_LIMIT_BYTES,
    NotADistributionError,
    describe_damage,
    parse_fields,
)
from builder.untrusted.names import UntrustedNameError, parse_wheel_name
from builder.untrusted.reading import read_bounded
from builder.untrusted.text import show_unquoted
from builder.untrusted.zips import open_member, open_zip

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from packaging.metadata import RawMetadata


@dataclass(frozen=True, kw_only=True, slots=True)
class StatedIdentity:
    """What a wheel says inside that it is.

    Attributes:
        dist_info: name of its `.dist-info` folder; empty where it has none, or several.
        names: every `Name` of METADATA: installers differ in which of several they take.
        versions: every `Version` of METADATA.
    """

    dist_info: str
    names: tuple[str, ...]
    versions: tuple[str, ...]


def explain_mismatch(
    name: str, version: str, filename: str, stated: StatedIdentity | None = None
) -> str:
    """Return why a wheel is not one of a release of a package, in a sentence; empty where it is.

    Args:
        name: of the package that was asked for.
        version: of the release that was asked for.
        filename: of the wheel.
        stated: what the wheel says inside; None where that is not known, so that the file name alone tells.
    """
    try:
        named, named_version, _, _ = parse_wheel_filename(parse_wheel_name(filename))
    except UntrustedNameError as error:
        return f"it is no wheel of {name} {version}: {error}"

    claims = [("its file name is of", str(named), str(named_version))]
    if stated is not None:
        folder_name, _, folder_version = stated.dist_info.removesuffix(".dist-info").rpartition("-")
        claims.append(("its .dist-info folder is of", folder_name, folder_version))
        claims.append(("METADATA says", _join(stated.names), _join(stated.versions)))

    for words, claimed_name, claimed_version in claims:
        has_name = _is_same_name(claimed_name, name)
        has_version = _is_same_version(claimed_version, version)
        if has_name and has_version:
            continue

        claimed = f"{claimed_name} {claimed_version}".strip() or "nothing"
        return f"it is no wheel of {name} {version}: {words} {show_unquoted(claimed)}"

    return ""


def explain_file_mismatch(name: str, version: str, filename: str, path: Path) -> str:
    """Return why a wheel file is not one of a release of a package, in a sentence; empty where it is.

    Args:
        name: of the package that was asked for.
        version: of the release that was asked for.
        filename: of the wheel.
        path: where its content is; under whichever name.
    """
    try:
        stated = read_identity(path)
    except NotADistributionError as error:
        return f"it is no wheel of {name} {version}: {show_unquoted(str(error))}"

    return explain_mismatch(name, version, filename, stated)


def read_identity(path: Path) -> StatedIdentity:
    """Return what a wheel says inside that it is; nothing is unpacked.

    Raises:
        NotADistributionError: it is no zip archive, or its METADATA is missing, twice there, damaged or too large.
    """
    try:
        with open_zip(path) as archive:
            names = archive.namelist()
            folders = {name.partition("/")[0] for name in names}
            dist_infos = [folder for folder in folders if folder.endswith(".dist-info")]
            if len(dist_infos) != 1:
                raise NotADistributionError(f"it has {len(dist_infos)} .dist-info folders")

            member = f"{dist_infos[0]}/METADATA"
            if names.count(member) != 1:
                raise NotADistributionError(f"it has {names.count(member)} files METADATA")
            with open_member(archive, archive.getinfo(member)) as file:
                content = read_bounded(file, METADATA_LIMIT_BYTES, "its METADATA")
    except DAMAGE as error:
        raise NotADistributionError(f"it cannot be read: {describe_damage(error)}") from None

    metadata, unparsed = parse_fields(content, "its METADATA")
    return StatedIdentity(
        dist_info=dist_infos[0],
        names=_read_values(metadata, unparsed, "name"),
        versions=_read_values(metadata, unparsed, "version"),
    )


def _read_values(
    metadata: RawMetadata, unparsed: Mapping[str, Sequence[str]], field: str
) -> tuple[str, ...]:
    """Return every value of a field of METADATA; `parse_email` keeps those of a field that is there twice apart."""
    value = metadata.get(field)
    if isinstance(value, str):
        return (value,)

    return tuple(str(value) for value in unparsed.get(field, ()))


def _join(values: tuple[str, ...]) -> str:
    """Return the only value, or all of several, which together are no name and no version."""
    return " and ".join(values)


def _is_same_name(stated: str, name: str) -> bool:
    try:
        return canonicalize_name(stated, validate=True) == canonicalize_name(name)
    except InvalidName:
        return False


def _is_same_version(stated: str, version: str) -> bool:
    """Return whether two versions are the same (PEP 440); folders write `_` for `-` (PEP 427)."""
    try:
        return Version(stated.replace("_", "-")) == Version(version)
    except ValueError:
        return False
