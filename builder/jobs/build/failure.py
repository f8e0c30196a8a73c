"""Why a build made no wheel, in the words that its finding will have."""

from __future__ import annotations

from dataclasses import dataclass

from builder.finding_codes import FindingCode


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """Why a build made no wheel for an ABI.

    Attributes:
        code: the finding's code (builder/judge/codes.toml).
        stage: the step of the build that failed, in cibuildwheel's words: `building wheel`.
        error: the first error, for a person to read.
        remedy: what to do about it; empty where nothing is known.
        missing: headers, libraries, programs and the like that the build asked for and did not find, as (kind, name);
            builder/judge/apt_contents.py has the kinds.
    """

    code: FindingCode
    stage: str
    error: str
    remedy: str
    missing: tuple[tuple[str, str], ...] = ()
