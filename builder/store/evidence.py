"""Evidence: what one job found out, as it is on record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from builder.store.job_ids import JobId
from builder.untrusted.text import clean_text


class JobOutcome(StrEnum):
    """How a job ended."""

    DONE = "done"
    """It found out what it was asked; the facts may be bad news."""
    UNDETERMINED = "undetermined"
    """It could not find out. Never reused: the next run asks again."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Evidence:
    """What one job recorded.

    Attributes:
        key: hash of everything that could change it.
        job: the job it is of.
        facts: JSON data, which builder/evidence/ has a model of for each kind of job. Of what is undetermined, the
            finding's `code`.
        facts_version: version of that model; what was recorded before there were versions is of version 1.
        files: sha256 by file name.
        log: the job's log, relative to the wheelhouse, or empty.
        seconds: how long the job took.
        asked: short hashes of all that could change it, by name, as JSON; empty where that was not recorded.
    """

    key: str
    job: JobId
    outcome: JobOutcome = JobOutcome.DONE
    reason: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    facts_version: int = 1
    files: dict[str, str] = field(default_factory=dict)
    log: str = ""
    seconds: float = 0.0
    asked: str = ""

    def __post_init__(self) -> None:
        """Clean the reason: errors quote what came from outside."""
        if self.reason:
            object.__setattr__(self, "reason", clean_text(self.reason))

    @property
    def is_determined(self) -> bool:
        """Whether the job found out what it was asked."""
        return self.outcome is JobOutcome.DONE
