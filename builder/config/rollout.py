"""`[rollout]`: what is new comes to `canary/` first."""

from __future__ import annotations

import datetime

from pydantic import field_validator

from builder.config.table import Table
from builder.config.values import Duration, GateName, VerdictName


class Rollout(Table):
    """`[rollout]`: what is new, or got a new verdict, is in `canary/` first, and in `simple/` once it is promoted."""

    age: Duration = datetime.timedelta()
    """For the gate "age": how long a release has to have been in `canary/` with its verdicts, `3 days` or `P3D`."""
    gates: tuple[GateName, ...] = ("verdict", "age")
    """What lets a release pass: its "verdict", its "age", a "measurement" beside what `simple/` has, a "soak" test."""
    verdicts: tuple[VerdictName, ...] = ()
    """For the gate "verdict": verdicts whose wheels may be promoted. Default: `publish` of [farm]."""
    automatic: bool = False
    """Whether each run promotes what passes every gate; otherwise `wheelfarm promote` alone does."""

    @field_validator("gates")
    @classmethod
    def _without_repetition(cls, value: tuple[GateName, ...]) -> tuple[GateName, ...]:
        return tuple(dict.fromkeys(value))
