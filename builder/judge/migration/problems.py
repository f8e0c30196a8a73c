"""What keeps a step from being done, and the result that several such things come to. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from builder.judge.migration.model import State, StepResult
from builder.verdicts.wording import join_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from builder.judge.migration.facts import ReleaseFacts
    from builder.judge.migration.model import Step

MOST_NAMED = 5
"""Releases that a sentence names: the commands that stand below it list all of them."""

_GRAVEST_FIRST = (State.FAILED, State.UNDETERMINED, State.OPEN)


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """Something that keeps a step from being done.

    Attributes:
        state: what the step is because of it.
        sentence: what was observed.
        advice: what to do beside the commands; empty for nothing.
        commands: what helps, in this order.
    """

    state: State
    sentence: str
    advice: str = ""
    commands: tuple[str, ...] = ()


def report_problems(step: Step, problems: Sequence[Problem]) -> StepResult:
    """Return the result of a step that is not done: the gravest state, all that was observed, each command once.

    Args:
        step: the step.
        problems: at least one.
    """
    states = {problem.state for problem in problems}
    gravest = next(state for state in _GRAVEST_FIRST if state in states)
    advice = dict.fromkeys(problem.advice for problem in problems if problem.advice)
    commands: dict[str, None] = {}
    for problem in problems:
        commands.update(dict.fromkeys(problem.commands))

    return StepResult(
        step=step,
        state=gravest,
        evidence=tuple(problem.sentence for problem in problems),
        advice="; ".join(advice),
        commands=tuple(commands),
    )


def name_releases(releases: Iterable[ReleaseFacts]) -> str:
    """Return releases for a sentence, the first few by name."""
    return join_names([release.title for release in releases], MOST_NAMED)
