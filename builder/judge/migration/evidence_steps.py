"""The steps that find out whether an application can move: survey, build, verdict, measure, soak. Pure."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from builder.judge.migration.facts import MatrixPlace
from builder.judge.migration.model import State, Step, StepResult
from builder.judge.migration.problems import Problem, name_releases, report_problems
from builder.verdicts import ApplicationVerdict, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from builder.judge.migration.facts import MoveFacts, ReleaseFacts

_MOST_FAILURES = 3
"""Failures that are told with their reason: each takes a line or two, and one is mended at a time."""

_NOT_OBSERVED = {
    Step.MEASURE: "not measured yet: latencies, throughput and memory beside the interpreter that it comes from",
    Step.SOAK: "not soaked yet: nothing is known of leaks",
}
_WITHOUT_COMMAND = {
    Step.MEASURE: "this wheelfarm cannot measure an application yet; compare it by your own load tests before"
    " you promote, and believe neither the JIT nor the build without the GIL to be faster before that",
    Step.SOAK: "this wheelfarm cannot soak an application yet; let the canary run for hours, and watch its memory,"
    " descriptors and threads",
}


# --- survey -----------------------------------------------------------------------------------------------------------


def check_survey(facts: MoveFacts) -> StepResult:
    """Return whether every release of the lock was surveyed. What a survey says blocks nothing: the farm builds."""
    unknown = [release for release in facts.releases if not release.outlook]
    if unknown and not facts.surveyed_at:
        problem = "no survey of its lock is on record"
    elif unknown:
        problem = (
            f"the survey of {facts.surveyed_at} does not have {len(unknown)} of {len(facts.releases)}"
            f" releases of its lock: {name_releases(unknown)}"
        )
    else:
        return StepResult(step=Step.SURVEY, state=State.DONE, evidence=(_count_outlooks(facts),))

    return report_problems(
        Step.SURVEY,
        [Problem(state=State.OPEN, sentence=problem, commands=(facts.commands.survey,))],
    )


def _count_outlooks(facts: MoveFacts) -> str:
    counts = Counter(release.outlook for release in facts.releases)
    counted = [f"{count} {outlook}" for outlook, count in counts.most_common()]
    return f"surveyed {facts.surveyed_at}, of upstream for {facts.abi}: {', '.join(counted) or 'nothing'}"


# --- build ------------------------------------------------------------------------------------------------------------


def check_build(facts: MoveFacts) -> StepResult:
    """Return whether the last whole run had a wheel of every release of the lock."""
    problems = [*_find_failed_builds(facts), *_find_missing_builds(facts)]
    if problems:
        return report_problems(Step.BUILD, problems)

    sentence = (
        f"all {len(facts.releases)} releases of its lock have a wheel, judged {facts.judged_at}"
    )
    return StepResult(step=Step.BUILD, state=State.DONE, evidence=(sentence,))


def _find_failed_builds(facts: MoveFacts) -> Iterator[Problem]:
    """Yield the releases that were judged and have no wheel."""
    failed: list[ReleaseFacts] = []
    undetermined: list[ReleaseFacts] = []
    for release in facts.releases:
        if release.verdict is None or release.has_wheel:
            continue
        if release.verdict is Verdict.UNDETERMINED:
            undetermined.append(release)
        else:
            failed.append(release)

    for release in failed[:_MOST_FAILURES]:
        yield Problem(
            state=State.FAILED,
            sentence=f"{release.title} is {release.verdict} on {facts.abi}: {release.reason}",
            commands=(facts.commands.show(release.package or release.name),),
        )
    if len(failed) > _MOST_FAILURES:
        others = name_releases(failed[_MOST_FAILURES:])
        yield Problem(state=State.FAILED, sentence=f"nor is there a wheel of {others}")
    if undetermined:
        sentence = f"whether these can be built could not be told: {name_releases(undetermined)}"
        yield Problem(state=State.UNDETERMINED, sentence=sentence, commands=(facts.commands.run,))


def _find_missing_builds(facts: MoveFacts) -> Iterator[Problem]:
    """Yield the releases that were not judged: the matrix lacks them, has another release, or was not run."""
    commands = facts.commands
    other = _select_places(facts.releases, MatrixPlace.OTHER_RELEASE)
    missing = _select_places(facts.releases, MatrixPlace.MISSING)
    adding = commands.update if other else commands.add
    if other:
        sentence = f"the matrix has another release of {name_releases(other)}"
        yield Problem(state=State.OPEN, sentence=sentence, commands=(adding, commands.run))
    if missing:
        sentence = f"the matrix lacks {name_releases(missing)}"
        yield Problem(state=State.OPEN, sentence=sentence, commands=(adding, commands.run))

    here = _select_places(facts.releases, MatrixPlace.HERE)
    not_judged = [release for release in here if release.verdict is None]
    if not_judged:
        sentence = f"the last run did not judge {name_releases(not_judged)} on {facts.abi}"
        if not facts.judged_at:
            sentence = _describe_lack_of_run(facts)
        yield Problem(state=State.OPEN, sentence=sentence, commands=(commands.run,))


def _select_places(releases: Sequence[ReleaseFacts], place: MatrixPlace) -> list[ReleaseFacts]:
    return [release for release in releases if release.place is place]


def _describe_lack_of_run(facts: MoveFacts) -> str:
    if facts.is_run_damaged:
        return (
            "verdicts.json is damaged, or written by another version; the next run writes it anew"
        )
    return "no whole run is on record"


# --- verdict ----------------------------------------------------------------------------------------------------------


def check_verdict(facts: MoveFacts) -> StepResult:
    """Return whether the application is ready on every base that it has to run on, with the lock that it has now."""
    commands = facts.commands
    if not facts.trials:
        sentence = (
            "the last run did not try it" if facts.judged_at else _describe_lack_of_run(facts)
        )
        problem = Problem(state=State.OPEN, sentence=sentence, commands=(commands.run,))
        return report_problems(Step.VERDICT, [problem])

    if facts.tried_lock != facts.lock:
        problem = Problem(
            state=State.OPEN,
            sentence=f"the run of {facts.judged_at} tried it with another lock",
            commands=(commands.run,),
        )
        return report_problems(Step.VERDICT, [problem])

    problems = list(_find_trial_problems(facts))
    if problems:
        return report_problems(Step.VERDICT, problems)

    return StepResult(
        step=Step.VERDICT,
        state=State.DONE,
        evidence=(_describe_trials(facts), _count_verdicts(facts)),
    )


def _find_trial_problems(facts: MoveFacts) -> Iterator[Problem]:
    for base in facts.bases:
        trial = facts.trials.get(base)
        if trial is None:
            yield Problem(
                state=State.OPEN,
                sentence=f"the last run did not try it on {base}",
                commands=(facts.commands.run,),
            )
        elif trial.verdict is ApplicationVerdict.BLOCKED:
            yield Problem(
                state=State.FAILED,
                sentence=f"{base}: {trial.reason}",
                advice=trial.way_out,
                commands=(facts.commands.explain,),
            )
        elif trial.verdict is ApplicationVerdict.UNDETERMINED:
            yield Problem(
                state=State.UNDETERMINED,
                sentence=f"{base}: {trial.reason}",
                commands=(facts.commands.run,),
            )


def _describe_trials(facts: MoveFacts) -> str:
    """Return what the trials came to: `ready on debian-12; ready with risks on ubuntu-24.04 (3 to be known)`."""
    described: list[str] = []
    for base in facts.bases:
        trial = facts.trials[base]
        risks = f" ({trial.risks} to be known)" if trial.risks else ""
        described.append(f"{trial.verdict} on {base}{risks}")

    return f"{'; '.join(described)}; tried {facts.judged_at}"


def _count_verdicts(facts: MoveFacts) -> str:
    """Return how many releases of the lock have each verdict, the worst last."""
    counts: Counter[Verdict] = Counter()
    for release in facts.releases:
        if release.verdict is not None:
            counts[release.verdict] += 1

    counted = [f"{counts[verdict]} {verdict}" for verdict in Verdict if counts[verdict]]
    return f"its packages on {facts.abi}: {', '.join(counted) or 'none judged'}"


# --- measure and soak -------------------------------------------------------------------------------------------------


def check_measurement(step: Step, facts: MoveFacts) -> StepResult:
    """Return what was measured for a step, or that nobody did, and whether this wheelfarm can.

    Args:
        step: `MEASURE` or `SOAK`.
        facts: what is on record.
    """
    command = facts.commands.measure(step)
    commands = (command,) if command else ()
    observation = facts.observations.get(step)
    if observation is not None:
        is_done = observation.state is State.DONE
        return StepResult(
            step=step,
            state=observation.state,
            evidence=observation.evidence,
            commands=() if is_done else commands,
        )

    evidence = (_NOT_OBSERVED[step],)
    if not command:
        return StepResult(
            step=step, state=State.UNAVAILABLE, evidence=evidence, advice=_WITHOUT_COMMAND[step]
        )
    return StepResult(step=step, state=State.OPEN, evidence=evidence, commands=commands)
