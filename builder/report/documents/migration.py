"""Checklists of moves, as `wheelfarm migrate --json` prints them and the page of the report shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from builder.judge.migration.model import State, Step
from builder.report.documents.part import CleanLine, CleanText, Part
from builder.verdicts.wording import join_names

if TYPE_CHECKING:
    from collections.abc import Iterable

    from builder.judge.migration.model import Checklist, StepResult


STEP_WORDS = {
    Step.SURVEY: "survey: what upstream supports",
    Step.BUILD: "build: a wheel of everything",
    Step.VERDICT: "verdict: ABI, import, threads, trial",
    Step.MEASURE: "measure: speed and memory",
    Step.SOAK: "soak: leaks",
    Step.CANARY: "canary: a few per cent of the fleet",
    Step.PROMOTE: "promote: the rest of the fleet",
}
"""How people are shown a step."""


class StepPart(Part):
    """One step."""

    step: Step
    state: State

    evidence: list[CleanText]
    """What is on record, in sentences."""

    advice: CleanText
    """What to do beside the commands, or instead of them; empty for nothing."""

    commands: list[CleanText]
    """What to type, in this order, in the folder where the checklist was made."""


class ChecklistPart(Part):
    """The move of one application to one ABI."""

    application: CleanLine
    abi: str

    steps: list[StepPart]
    """All of them, in the order in which they are taken."""

    next: Step | None
    """The first step that is not done and that the farm can do; null where there is none."""

    @property
    def title(self) -> str:
        """What it is about, for a heading."""
        return f"{self.application} to {self.abi}"

    @property
    def next_part(self) -> StepPart | None:
        """The step that is next."""
        return next((part for part in self.steps if part.step is self.next), None)

    @property
    def summary(self) -> str:
        """How far it is, in a sentence."""
        done = sum(part.state is State.DONE for part in self.steps)
        count = f"{done} of {len(self.steps)} steps are done"
        if self.next is not None:
            return f"{count}; next: {self.next}"

        unavailable = [part.step for part in self.steps if part.state is State.UNAVAILABLE]
        if unavailable:
            names = join_names(unavailable, len(unavailable))
            return f"{count}; the farm cannot do the rest yet: {names}"
        return count


class MigrateDocument(Part):
    """What `wheelfarm migrate --json` prints."""

    schema_version: Literal[1]

    generated_at: str
    """When the verdicts were written that this is made from, UTC; empty where there are none yet."""

    checklists: list[ChecklistPart]


def make_migrate_document(checklists: Iterable[Checklist], generated_at: str) -> MigrateDocument:
    """Return the document of some checklists.

    Args:
        checklists: the checklists.
        generated_at: of the verdicts that they are made from; empty for none.
    """
    return MigrateDocument(
        schema_version=1,
        generated_at=generated_at,
        checklists=[_make_part(checklist) for checklist in checklists],
    )


def _make_part(checklist: Checklist) -> ChecklistPart:
    following = checklist.next
    return ChecklistPart(
        application=checklist.application,
        abi=checklist.abi,
        steps=[_make_step(result) for result in checklist.results],
        next=None if following is None else following.step,
    )


def _make_step(result: StepResult) -> StepPart:
    return StepPart(
        step=result.step,
        state=result.state,
        evidence=list(result.evidence),
        advice=result.advice,
        commands=list(result.commands),
    )
