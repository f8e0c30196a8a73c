"""What builder/inside/stress/replay.py answers. It is shown, and never recorded."""

from __future__ import annotations

from typing import Literal

from builder.evidence.base import Facts, Many, Model
from builder.evidence.events import SourceLine

Seen = Literal["crash", "hang", "wrong", "race", "gil"]
"""What a run of a replay script showed; `gil` where the GIL was on."""


class ReplayRun(Model):
    """One run of a replay script."""

    what: Many[Seen]
    """What it showed, sorted."""

    races: Many[Many[str]]
    """The places of each race."""

    locations: Many[Many[SourceLine]]
    """The accesses of each race, in the same order."""

    signal: str
    """The signal that it died of; empty where it did not."""

    output: str
    """The end of what it printed."""


class ReplayAnswer(Facts):
    """Every run of a replay script."""

    install: str | None
    """What went wrong when the package was installed: then there are no runs."""

    runs: Many[ReplayRun]
    """The runs, in order."""
