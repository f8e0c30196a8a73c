"""The cool-down: files that have not been on the index long enough are not taken.

Most malicious releases are found out within days. pip (`--uploaded-prior-to`) and uv (`exclude-newer`) leave out the
same files: what counts is when each file was uploaded (PEP 700), and a file without a time counts as too young.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from packaging.specifiers import SpecifierSet
    from packaging.version import Version

    from builder.config.cool_down import CoolDown
    from builder.sources.index_file import IndexFile
    from builder.sources.releases import Release


@dataclass(frozen=True, kw_only=True, slots=True)
class HeldRelease:
    """A release of which files are too young.

    Attributes:
        until: when the last of them is old enough; None where the index does not say when one was uploaded.
    """

    version: Version
    until: datetime.datetime | None

    def describe(self) -> str:
        """Say what is held back and until when, for a person."""
        if self.until is None:
            return (
                f"{self.version} is held back by the cool-down: the index gives no upload time (PEP 700), "
                "and what has none counts as too young"
            )
        until = self.until.astimezone(datetime.UTC).strftime("%Y-%m-%d %H:%M")
        return f"{self.version} is held back by the cool-down until {until} UTC"


def hold_back(
    cool_down: CoolDown, name: str, files: Iterable[IndexFile]
) -> tuple[list[IndexFile], list[IndexFile]]:
    """Return the files of a project that are old enough, and those that are held back."""
    cutoff = cool_down.cutoff(name)
    if cutoff is None:
        return list(files), []

    taken: list[IndexFile] = []
    held: list[IndexFile] = []
    for file in files:
        uploaded = _uploaded_at(file)
        if uploaded is not None and uploaded < cutoff:
            taken.append(file)
        else:
            held.append(file)
    return taken, held


def describe_held(
    cool_down: CoolDown, name: str, releases: Iterable[Release]
) -> tuple[HeldRelease, ...]:
    """Return until when releases are held back that have files which are too young, in their order."""
    held: list[HeldRelease] = []
    for release in releases:
        uploads = [_uploaded_at(file) for file in release.files]
        known = [uploaded for uploaded in uploads if uploaded is not None]
        until = max(known) + cool_down.period(name) if len(known) == len(uploads) else None
        held.append(HeldRelease(version=release.version, until=until))
    return tuple(held)


def find_held(
    held: Iterable[HeldRelease], specifier: SpecifierSet, newer_than: Version | None = None
) -> HeldRelease | None:
    """Return the newest release that is held back and would be chosen otherwise, or None.

    Args:
        held: of one project, the newest first.
        specifier: which releases are asked for.
        newer_than: the version that was chosen in its place; None where none was.
    """
    for release in held:
        is_newer = newer_than is None or release.version > newer_than
        if is_newer and specifier.contains(release.version):
            return release
    return None


def _uploaded_at(file: IndexFile) -> datetime.datetime | None:
    """Return when a file was uploaded; a time without a zone is in UTC (PEP 700)."""
    uploaded = file.upload_time
    if uploaded is not None and uploaded.tzinfo is None:
        return uploaded.replace(tzinfo=datetime.UTC)
    return uploaded
