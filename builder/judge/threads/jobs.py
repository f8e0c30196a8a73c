"""Race and exercise facts -> findings. Pure.

Why each of them forces the verdict it does, or none: docs/decisions/0009-what-threads-show.md.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from builder.evidence.race import NO_SDIST
from builder.judge.findings import Finding
from builder.judge.levels import MAX_NATIVES, join_faults, shares_anything
from builder.judge.threads.causes import explain_failures, fold_causes, settle_by_type
from builder.judge.threads.coverage import describe_preflight, is_proven, judge_coverage
from builder.judge.threads.harms import judge_harms, judge_watched_harm
from builder.judge.threads.races import judge_advisories, judge_races
from builder.judge.threads.sentences import describe_calls
from builder.verdicts.wording import join_names

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from builder.evidence.events import Harm, Interference
    from builder.evidence.exercise import ExerciseFacts
    from builder.evidence.own_tests import OwnTests, OwnTestsRace
    from builder.evidence.race import RaceFacts

_MAX_FINDINGS = 12  # of each kind: who has read a dozen races mends the package before reading more
_MAX_NAMED = 6  # places named of the findings that are left out


def deduplicate(findings: Iterable[Finding]) -> Iterator[Finding]:
    """Yield the findings without those of the same code and `where`, which would have the same id.

    Those with one cause are joined before. Of several with one id, the first with a program that reproduces it is kept,
    or simply the first where none has one; it forces the worst verdict of all.
    """
    chosen: dict[tuple[str, str], Finding] = {}
    for finding in fold_causes(findings):
        key = (finding.code, finding.where)
        earlier = chosen.get(key)
        adds_program = earlier is not None and bool(finding.script) and not earlier.script
        kept = finding if earlier is None or adds_program else earlier
        if earlier is not None:
            faults = [one.threads for one in (earlier, finding) if one.threads is not None]
            kept = replace(kept, threads=join_faults(faults))
        chosen[key] = kept

    explained = explain_failures(settle_by_type(list(chosen.values())))
    worst_first = sorted(explained, key=lambda finding: finding.verdict_rank, reverse=True)
    yield from limit(worst_first)


def limit(findings: Iterable[Finding]) -> Iterator[Finding]:
    """Yield the first findings of each code, the worst first, and one that says how many more there are."""
    told: dict[str, int] = {}
    left_out: dict[str, list[str]] = {}
    for finding in findings:
        told[finding.code] = told.get(finding.code, 0) + 1
        if told[finding.code] <= _MAX_FINDINGS:
            yield finding
        else:
            left_out.setdefault(finding.code, []).append(finding.where)

    for code, names in left_out.items():
        detail = f"{len(names)} more findings {code}: {join_names(names, _MAX_NAMED)}"
        yield Finding(code="WF628", detail=detail, where=code)


def judge_race(facts: RaceFacts, log: str, plain_harms: Sequence[Harm] = ()) -> Iterator[Finding]:
    """Yield findings of the race job, i.e. of native calls by several threads under ThreadSanitizer.

    Nothing is yielded where there is no wheel. A package or detector that could not be prepared gives one finding on
    why.

    Args:
        facts: what the job found.
        log: of the job.
        plain_harms: what the wheel itself did with the plain interpreter.
    """
    if facts.wheel is None:
        return

    if facts.failure is not None:
        cause = f"it does not compile with ThreadSanitizer: {facts.failure}"
        if facts.failure == NO_SDIST:
            cause = facts.failure
        yield Finding(code="WF610", detail=f"the race detector has no voice: {cause}", log=log)
    elif not is_proven(facts.preflight):
        detail = f"the detector {describe_preflight(facts.preflight)}"
        yield Finding(code="WF609", detail=detail, where="canary", log=log)
    elif facts.install is not None:
        detail = f"it could not be installed to be examined: {facts.install}"
        yield Finding(code="WF610", detail=detail, log=log)
    elif facts.surface is None:
        detail = "calling it alone ended every attempt to learn how"
        yield Finding(code="WF611", detail=detail, log=log)
    else:
        yield from judge_coverage(facts, facts.surface, log)
        yield from _judge_events(facts, log, plain_harms)
        yield from _judge_unlisted(facts, log)
        yield from _judge_unwatched(facts, log)
        yield from _judge_interference(facts.interference, log)
        if facts.own_tests is not None:
            yield from _judge_silence(facts.own_tests, log)


def _judge_events(facts: RaceFacts, log: str, plain_harms: Sequence[Harm]) -> Iterator[Finding]:
    """Yield findings for races shown again, for harms (crashes, hangs, wrong results), and for other reports."""
    for finding in judge_races(facts, log):
        yield _ignore_if_gil(finding, gil=facts.gil)

    for harm in facts.harms:
        for finding in judge_watched_harm(harm, facts.races, plain_harms, log):
            yield _ignore_if_gil(finding, gil=facts.gil)

    yield from judge_advisories(facts, log)


def _judge_unlisted(facts: RaceFacts, log: str) -> Iterator[Finding]:
    """Yield a finding where there was more than evidence keeps."""
    if facts.unlisted:
        listed = len(facts.races) + len(facts.advisory) + len(facts.harms)
        detail = f"{facts.unlisted} more races, crashes and hangs were seen beside the {listed} that are listed"
        yield Finding(code="WF628", detail=detail, where="unlisted", log=log)


def _judge_unwatched(facts: RaceFacts, log: str) -> Iterator[Finding]:
    """Yield a finding for each file of native code, or module, that the race detector did not see.

    One more names the packages beside it whose native code it did not see.
    """
    for name, reason in list(facts.unwatched.items())[:_MAX_FINDINGS]:
        yield Finding(code="WF623", detail=f"{name}: {reason}", where=name, log=log)

    if facts.unwatched_dependencies:
        names = join_names(list(facts.unwatched_dependencies), _MAX_FINDINGS)
        yield Finding(code="WF627", detail=names, where="dependencies", log=log)


def judge_exercise(
    facts: ExerciseFacts, log: str, unshared: Collection[str] = ()
) -> Iterator[Finding]:
    """Yield findings from calling a package by threads with the plain interpreter; none where that was not done.

    Args:
        facts: what the job found.
        log: of the job.
        unshared: native callables that threads called while they shared nothing.
    """
    if not facts.done:
        return

    for finding in judge_harms(facts.harms, log, unshared=unshared):
        yield _ignore_if_gil(finding, gil=facts.gil)
    yield from _judge_interference(facts.interference, log)
    if facts.own_tests is not None:
        yield from _judge_own_tests(facts.own_tests, log)


def _judge_own_tests(tests: OwnTests, log: str) -> Iterator[Finding]:
    """Yield findings from running the package's own tests in threads.

    WF614 says why they did not run, WF613 that they crashed, WF616 which run in one thread only, and WF612 which fail
    in threads.
    """
    if not tests.ran:
        yield Finding(code="WF614", detail=tests.why, where="tests", log=log)
        return

    if tests.crash:
        detail = f"{tests.crash} with {tests.threads} threads"
        yield Finding(code="WF613", detail=detail, where="tests", log=log)

    if tests.single:
        detail = _describe_single_tests(tests)
        yield Finding(code="WF616", detail=detail, where="tests", log=log)

    for name, message in list(tests.findings.items())[:_MAX_FINDINGS]:
        yield Finding(code="WF612", detail=message, where=name, log=log)


def _describe_single_tests(tests: OwnTests) -> str:
    """Return how many of the package's own tests run in one thread only, and for the first of them why."""
    reasons = [f"{name}: {reason}" for name, reason in tests.single.items()]
    total = 0
    if tests.parallel is not None:
        total = tests.parallel.passed + tests.parallel.failed

    return f"{len(reasons)} of {total} own tests: {'; '.join(reasons[:_MAX_FINDINGS])}"


def _judge_interference(interference: Iterable[Interference], log: str) -> Iterator[Finding]:
    """Yield a finding for each process that the package ended (WF621), or for which it spoke (WF622)."""
    for event in interference:
        calls = describe_calls(event.calls)
        where = ", ".join(event.calls.natives[:MAX_NATIVES]) or calls
        if event.what == "end":
            detail = f"the process {event.detail} when threads make {calls}"
            shares = shares_anything(event.calls)
            yield Finding(code="WF621", detail=detail, where=where, log=log, shares=shares)
        elif event.what == "lost":
            detail = f"reports of the race detector did not arrive when threads make {calls}"
            yield Finding(code="WF622", detail=detail, where=where, log=log)
        else:
            detail = f"{event.detail}, when threads make {calls}"
            yield Finding(code="WF622", detail=detail, where=where, log=log)


def _judge_silence(tests: OwnTestsRace, log: str) -> Iterator[Finding]:
    """Yield a finding where the package's own tests kept the race detector from being heard (WF622)."""
    if tests.forged:
        detail = f"{tests.forged}, when its own tests ran under the race detector"
    elif tests.lost:
        count = f"{tests.lost} of its own tests" if tests.lost > 1 else "one of its own tests"
        detail = f"reports of the race detector did not arrive in {count}"
    else:
        return

    yield Finding(code="WF622", detail=detail, where="tests", log=log)


def judge_gil_state(
    load_says_off: bool,  # noqa: FBT001 - one of three answers to one question
    race: RaceFacts | None,
    exercise: ExerciseFacts | None,
) -> Iterator[Finding]:
    """Yield a finding where importing a package is said to leave the GIL off, and it was on when threads called it.

    Args:
        load_says_off: whether every import left the GIL off.
        race: what the race job found.
        exercise: what the exercise job found.
    """
    if not load_says_off:
        return  # WF501 and WF502 say so

    for facts, doing in ((race, "under the race detector"), (exercise, "by the plain interpreter")):
        if facts is not None and facts.gil:
            detail = (
                f"every import is said to leave the GIL off; called by threads {doing}, it was on"
            )
            yield Finding(code="WF508", detail=detail, where="GIL")


def _ignore_if_gil(finding: Finding, *, gil: bool) -> Finding:
    """Return the finding as one that forces no verdict where the package had turned the GIL on; else unchanged.

    What happens with the GIL on says nothing about free threading.
    """
    if not gil:
        return finding
    return replace(finding, advisory=True, detail=f"with the GIL on: {finding.detail}")
