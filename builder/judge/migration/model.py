"""The steps of a move, what is said of each, and which one comes next. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Step(StrEnum):
    """A step of an application's move, in the order in which they are taken."""

    SURVEY = "survey"
    """What upstream supports of all that it locks."""
    BUILD = "build"
    """A wheel of each release that it locks."""
    VERDICT = "verdict"
    """The audit, the import, the threads, and the trial of the whole application."""
    MEASURE = "measure"
    """How fast it is and how much memory it takes, beside the interpreter that it comes from."""
    SOAK = "soak"
    """Whether it leaks when it runs for long."""
    CANARY = "canary"
    """What a few per cent of the fleet install."""
    PROMOTE = "promote"
    """What the rest of the fleet installs."""


class State(StrEnum):
    """How far a step is."""

    DONE = "done"
    OPEN = "to do"
    """Nothing on record speaks against it, and something is missing."""
    UNDETERMINED = "undetermined"
    """It was tried, and the farm could not tell what came of it."""
    FAILED = "failed"
    """What is on record says no."""
    UNAVAILABLE = "not possible yet"
    """The farm cannot do it, and nobody did."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StepResult:
    """What is said of one step.

    Attributes:
        evidence: what is on record, in sentences.
        advice: what to do beside the commands, or instead of them; empty for nothing.
        commands: what to type, in this order; empty where nothing is to be done, or no command does it.
    """

    step: Step
    state: State
    evidence: tuple[str, ...]
    advice: str = ""
    commands: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Checklist:
    """The move of one application to one ABI.

    Attributes:
        application: its name.
        abi: the ABI that it moves to.
        results: one for each step, in order.
    """

    application: str
    abi: str
    results: tuple[StepResult, ...]

    @property
    def next(self) -> StepResult | None:
        """The first step that is not done and that the farm can do; None where there is none."""
        for result in self.results:
            if result.state not in {State.DONE, State.UNAVAILABLE}:
                return result

        return None

    def steps_in(self, state: State) -> list[Step]:
        """Return the steps that are so far."""
        return [result.step for result in self.results if result.state is state]
