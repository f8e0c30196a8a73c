"""A build that made no wheel, in words that a finding can be made of."""

from __future__ import annotations

from dataclasses import dataclass

from builder.finding_codes import FindingCode


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """Why there is no wheel.

    Attributes:
        code: the finding's code (builder/judge/codes.toml).
        stage: where it happened, in cibuildwheel's words.
        error: the first error, for a person.
        remedy: what to do, or empty where nothing is known.
        missing: what of the system it asked for and did not find, as (kind, name); builder/judge/apt_contents.py
            has the kinds.
    """

    code: FindingCode
    stage: str
    error: str
    remedy: str
    missing: tuple[tuple[str, str], ...] = ()
