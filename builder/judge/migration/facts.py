"""What a checklist is made from: all that is on record of one application on one ABI. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from builder.judge.migration.commands import Commands
    from builder.judge.migration.model import State, Step
    from builder.verdicts import ApplicationVerdict, Verdict


class MatrixPlace(StrEnum):
    """Whether the farm has a release that is locked."""

    HERE = "here"
    """The matrix has it, or the last run found that something of the matrix needs it."""
    OTHER_RELEASE = "other release"
    MISSING = "missing"


class Objection(StrEnum):
    """How a gate keeps a release from its promotion."""

    WAITS = "waits"
    """Time alone will let it pass."""
    LACKS = "lacks"
    """It asks for a result that nobody has handed in."""
    REFUSES = "refuses"


@dataclass(frozen=True, kw_only=True, slots=True)
class ReleaseFacts:
    """One release of the lock.

    Attributes:
        name: canonical name of the project.
        outlook: what a survey said of it for this move, in words; empty where no survey has it.
        place: whether the farm has it.
        package: as the matrix or the last run names it; empty where neither does.
        verdict: of the last whole run; None where it did not judge this release on this ABI.
        reason: of the verdict.
        has_wheel: whether that run had a wheel of it for this ABI.
        canary_since: since when `canary/` has had all its wheels for this ABI, UTC and ISO 8601; empty where that has
            none.
        is_served: whether `simple/` has a wheel of it for this ABI.
    """

    name: str
    version: str
    outlook: str = ""
    place: MatrixPlace = MatrixPlace.HERE
    package: str = ""
    verdict: Verdict | None = None
    reason: str = ""
    has_wheel: bool = False
    canary_since: str = ""
    is_served: bool = False

    @property
    def title(self) -> str:
        """Project and version, for a sentence."""
        return f"{self.name} {self.version}"


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialFacts:
    """What the last whole run said of the application on one base.

    Attributes:
        risks: how many things have to be known although it runs.
        way_out: the shortest way out; empty where nothing blocks, or no way is known.
    """

    verdict: ApplicationVerdict
    reason: str
    risks: int = 0
    way_out: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class GateObjection:
    """What one gate has against the promotion of a release."""

    gate: str
    kind: Objection
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class WaitingRelease:
    """A release of the lock that waits in `canary/`.

    Attributes:
        name: project and version, `numpy==2.4.0`.
        objections: what its gates have against its promotion; empty where it passes.
    """

    name: str
    objections: tuple[GateObjection, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Observation:
    """What something measured of the application.

    Attributes:
        state: `DONE` where it speaks for the move, `FAILED` where it speaks against it, `UNDETERMINED` where it could
            not be told.
        evidence: what was measured, in sentences.
    """

    state: State
    evidence: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class MoveFacts:
    """All that is on record of one application on one ABI.

    Attributes:
        application: its name.
        abi: name of the ABI.
        releases: what it locks.
        bases: those that it has to run on.
        commands: what does the steps.
        surveyed_at: when its lock was surveyed; empty where it was not.
        judged_at: when the verdicts of the last whole run were written; empty where there are none.
        is_run_damaged: whether verdicts.json is there and cannot be read.
        trials: of that run, by base.
        tried_lock: the releases that it had from the lock, as (name, version); None where that is not on record.
        observations: what was measured, by step.
        has_rollout: whether the matrix has the table.
        has_canary: whether the index has the channel.
        waiting: the releases of the lock that wait in it.
        last_promotion: the newest promotion of a release of the lock, in a sentence; empty for none.
    """

    application: str
    abi: str
    releases: tuple[ReleaseFacts, ...]
    bases: tuple[str, ...]
    commands: Commands
    surveyed_at: str = ""
    judged_at: str = ""
    is_run_damaged: bool = False
    trials: Mapping[str, TrialFacts] = field(default_factory=dict)
    tried_lock: frozenset[tuple[str, str]] | None = None
    observations: Mapping[Step, Observation] = field(default_factory=dict)
    has_rollout: bool = False
    has_canary: bool = False
    waiting: tuple[WaitingRelease, ...] = ()
    last_promotion: str = ""

    @property
    def lock(self) -> frozenset[tuple[str, str]]:
        """What it locks, as (name, version)."""
        return frozenset((release.name, release.version) for release in self.releases)
