"""The steps that give an application's packages to the fleet: canary and promote. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from builder.judge.migration.facts import Objection
from builder.judge.migration.model import State, Step, StepResult
from builder.judge.migration.problems import MOST_NAMED, Problem, name_releases, report_problems
from builder.verdicts.wording import join_names

if TYPE_CHECKING:
    from collections.abc import Iterator

    from builder.judge.migration.facts import GateObjection, MoveFacts, ReleaseFacts

_NO_ROLLOUT = (
    "add the table `[rollout]` to the matrix (docs/publishing.md, Canary first): the next run makes `canary/`,"
    " and what is new waits there"
)


# --- canary -----------------------------------------------------------------------------------------------------------


def check_canary(facts: MoveFacts) -> StepResult:
    """Return whether a part of the fleet can install all of the lock from `canary/`."""
    run = (facts.commands.run,)
    if not facts.has_rollout:
        sentence = "the matrix has no rollout: what is new reaches the whole fleet at once"
        problem = Problem(state=State.OPEN, sentence=sentence, advice=_NO_ROLLOUT, commands=run)
        return report_problems(Step.CANARY, [problem])

    if not facts.has_canary:
        problem = Problem(state=State.OPEN, sentence="the index has no `canary/` yet", commands=run)
        return report_problems(Step.CANARY, [problem])

    problems = list(_find_canary_lacks(facts))
    if problems:
        return report_problems(Step.CANARY, problems)

    return StepResult(
        step=Step.CANARY,
        state=State.DONE,
        evidence=(_describe_canary(facts),),
        advice=f"let a few per cent of the fleet install from `canary/`, by `constraints/canary/{facts.abi}.txt`",
    )


def _find_canary_lacks(facts: MoveFacts) -> Iterator[Problem]:
    """Yield the releases that `canary/` lacks: policy does not admit them, or no run published them."""
    held_back: list[ReleaseFacts] = []
    missing: list[ReleaseFacts] = []
    for release in facts.releases:
        if release.canary_since:
            continue
        if release.has_wheel:
            held_back.append(release)
        else:
            missing.append(release)

    for release in held_back:
        yield Problem(
            state=State.FAILED,
            sentence=f"{release.title} is not admitted: {release.verdict} on {facts.abi}: {release.reason}",
            commands=(facts.commands.show(release.package or release.name),),
        )
    if missing:
        sentence = f"`canary/` lacks {name_releases(missing)}"
        yield Problem(state=State.OPEN, sentence=sentence, commands=(facts.commands.run,))


def _describe_canary(facts: MoveFacts) -> str:
    sentence = f"`canary/` has all {len(facts.releases)} releases of its lock"
    since = max((release.canary_since for release in facts.releases), default="")
    return f"{sentence}, the last since {since}" if since else sentence


# --- promote ----------------------------------------------------------------------------------------------------------


def check_promotion(facts: MoveFacts) -> StepResult:
    """Return whether `simple/` has all of the lock, with the verdicts of today."""
    problems = [*_find_refusals(facts), *_find_passing(facts), *_find_unknown(facts)]
    if problems:
        return report_problems(Step.PROMOTE, problems)

    count = len(facts.releases)
    if facts.has_rollout:
        evidence = [f"`simple/` has all {count} releases of its lock, and none waits in `canary/`"]
    else:
        evidence = [f"`simple/` has all {count} releases of its lock; they came without a canary"]
    if facts.last_promotion:
        evidence.append(facts.last_promotion)

    return StepResult(
        step=Step.PROMOTE,
        state=State.DONE,
        evidence=tuple(evidence),
        advice=f"the way back takes seconds: `{facts.commands.roll_back}`",
    )


def _find_refusals(facts: MoveFacts) -> Iterator[Problem]:
    """Yield what gates have against releases that wait, each reason once with all that it holds for."""
    held: dict[GateObjection, list[str]] = {}
    for release in facts.waiting:
        for objection in release.objections:
            held.setdefault(objection, []).append(release.name)

    for objection, names in held.items():
        is_refusal = objection.kind is Objection.REFUSES
        waits = objection.kind is Objection.WAITS
        yield Problem(
            state=State.FAILED if is_refusal else State.OPEN,
            sentence=f"gate {objection.gate}: {objection.reason}: {join_names(names, MOST_NAMED)}",
            advice="what is too young is refused until then" if waits else "",
            commands=(facts.commands.list_waiting,),
        )


def _find_passing(facts: MoveFacts) -> Iterator[Problem]:
    """Yield the releases that wait for nothing but their promotion."""
    names = [release.name for release in facts.waiting if not release.objections]
    if names:
        sentence = f"these pass every gate and wait in `canary/`: {join_names(names, MOST_NAMED)}"
        command = facts.commands.promote(names)
        yield Problem(state=State.OPEN, sentence=sentence, commands=(command,))


def _find_unknown(facts: MoveFacts) -> Iterator[Problem]:
    """Yield the releases that neither are in `simple/` nor wait for it."""
    waiting = {release.name for release in facts.waiting}
    missing = [
        release
        for release in facts.releases
        if not release.is_served and f"{release.name}=={release.version}" not in waiting
    ]
    if missing:
        sentence = f"`simple/` lacks {name_releases(missing)}"
        if facts.has_rollout:
            sentence += ", which `canary/` has to have first"
        yield Problem(state=State.OPEN, sentence=sentence, commands=(facts.commands.run,))
