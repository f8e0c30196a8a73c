"""What `wheelfarm promote --json` prints: what waits in `canary/`, what moved, and the record of that."""

from __future__ import annotations

from typing import Literal

from builder.report.documents.part import CleanLine, CleanText, Part


class GatePart(Part):
    """What a gate says of a release."""

    gate: str

    outcome: Literal["passed", "failed", "missing"]
    """`missing` where nothing is known, which refuses as well."""

    reason: CleanText


class MovedFilePart(Part):
    """A wheel that waits, or moved."""

    filename: CleanLine
    sha256: str

    before: str
    """Verdicts of what `simple/` has in its place, `cp314 compatible, cp314t distinct`; empty where it has nothing."""

    after: str
    """Its own verdicts; empty for a pure wheel that only comes with packages."""


class CandidatePart(Part):
    """A release that waits for its promotion, or was promoted or refused."""

    project: str
    version: str

    since: str
    """Since when it has been in `canary/` with these verdicts, UTC and ISO 8601."""

    files: list[MovedFilePart]
    gates: list[GatePart]
    forced: bool

    needed_by: str
    """The release for whose sake it was promoted; empty where it was asked for itself."""

    refusal: CleanText
    """Why it was not promoted; empty otherwise."""


class MovedReleasePart(Part):
    """A release that a promotion or a rollback moved."""

    project: str
    version: str

    moved: Literal["in", "out"]
    """Into `simple/`, or out of it."""

    files: list[MovedFilePart]
    gates: list[GatePart]
    forced: bool
    needed_by: str


class ChangePart(Part):
    """A promotion or a rollback."""

    kind: Literal["promotion", "rollback"]

    at: str
    """When, in UTC: `2026-01-31T12:00:00Z`."""

    by: CleanLine
    reason: CleanText

    snapshot: str
    """Id of the snapshot that it led to."""

    releases: list[MovedReleasePart]


class PromoteDocument(Part):
    """What `wheelfarm promote --json` prints. A list that was not asked for is empty."""

    schema_version: Literal[1]

    pending: list[CandidatePart]
    """With `--list`."""

    promoted: list[CandidatePart]
    refused: list[CandidatePart]

    history: list[ChangePart]
    """With `--history`, the newest first."""
