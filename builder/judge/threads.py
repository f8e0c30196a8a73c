"""Race and exercise facts -> findings, and how much they prove. Pure.

Why each of them forces the verdict it does, or none: docs/decisions/0009-what-threads-show.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from builder.evidence.race import NO_SDIST, Variants
from builder.judge.causes import fold_causes
from builder.judge.findings import Finding
from builder.judge.levels import assess_fault, join_faults, was_shown
from builder.judge.location import pair_locations, read_locations
from builder.judge.sentences import (
    clean_call,
    describe_calls,
    describe_places,
    describe_race,
    find_natives,
    name_function,
)
from builder.verdicts.levels import Consequence
from builder.verdicts.wording import join_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from builder.evidence.exercise import ExerciseFacts, OwnTests
    from builder.evidence.race import (
        Harm,
        Interference,
        OwnTestsRace,
        Preflight,
        Race,
        RaceFacts,
        ShownRace,
        Side,
        Surface,
    )
    from builder.judge.location import Location
    from builder.verdicts.codes import FindingCode

MIN_COVERAGE = 0.5
"""Share of the native callables that must have been called by threads for `compatible`."""

_HARM_CODES: dict[str, FindingCode] = {"crash": "WF601", "hang": "WF602", "wrong": "WF603"}
_CONSEQUENCES = {
    "crash": Consequence.CRASH,
    "hang": Consequence.HANG,
    "wrong": Consequence.WRONG,
}
_MAX_FINDINGS = 12  # of each kind: who has read a dozen races mends the package before reading more
_MAX_MISSED = 6  # callables named of those that threads did not call
_MAX_NATIVES = 4  # native callables of a finding, in `where`
_MAX_BLAMED = (
    2  # callables of a harm without a stack that stand for its cause: of more, most are innocent
)
_MAX_SENTENCE_CHARS = 300  # a wrong result may be a long text


@dataclass(frozen=True, kw_only=True, slots=True)
class ThreadCoverage:
    """How much native code was put under threads.

    Attributes:
        callables: native callables there are.
        alone: those that could be called at all.
        under_threads: those that threads called, with the race detector watching.
        pairs: pairs of operations that threads tried on one object.
        side_by_side: calls that each thread made while the others called, too, in one trial of such a pair.
        detector: whether the race detector watched and had proven itself.
        unwatched: scenarios that threads played without it.
        stateful: whether any of them works on an object, so that there are pairs to be tried.
        kinds: of each kind of scenario, how many there are and how many the race detector watched to their end.
        amplified: native calls of own tests and examples that threads made as well.
    """

    callables: int = 0
    alone: int = 0
    under_threads: int = 0
    pairs: int = 0
    side_by_side: int = 0
    detector: bool = False
    unwatched: int = 0
    stateful: bool = False
    kinds: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    amplified: int = 0

    @property
    def is_sufficient(self) -> bool:
        """Whether finding nothing means something."""
        has_callables = self.callables > 0
        covers_enough = self.under_threads >= MIN_COVERAGE * self.callables
        # What works on objects has to have been tried against something else on one of them.
        has_pairs = self.pairs > 0 or not self.stateful

        return self.detector and has_callables and covers_enough and has_pairs

    def miss_probability(self, rarity: int) -> float:
        """Return the probability that one trial misses a race that shows on average once in `rarity` calls."""
        return float((1 - 1 / rarity) ** self.side_by_side)


def measure_coverage(race: RaceFacts | None, exercise: ExerciseFacts | None) -> ThreadCoverage:
    """Return how much of a package's native code threads called, by the facts of the race and exercise jobs.

    All numbers are 0 where the race job found no surface, i.e. list of the package's native callables. `detector` is
    true only if the detector has proven itself and the exercise with the plain interpreter was done as well.
    """
    if race is None or race.surface is None:
        return ThreadCoverage()

    callables = set(race.surface.callables)
    was_exercised = exercise is not None and exercise.done
    unwatched = exercise.played if exercise is not None else 0

    return ThreadCoverage(
        callables=len(callables),
        alone=len(callables.intersection(race.surface.reached)),
        under_threads=len(callables.intersection(race.under_threads)),
        pairs=race.pairs,
        side_by_side=race.side_by_side,
        detector=_is_proven(race.preflight) and was_exercised,
        unwatched=unwatched,
        stateful=bool(race.surface.stateful),
        kinds=race.kinds,
        amplified=race.amplified.trials if race.amplified is not None else 0,
    )


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

    yield from limit(sorted(chosen.values(), key=_verdict_rank, reverse=True))


def _verdict_rank(finding: Finding) -> int:
    return -1 if finding.verdict is None else finding.verdict.rank


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
        detail = f"{len(names)} more findings {code}: {join_names(names, _MAX_MISSED)}"
        yield Finding(code="WF628", detail=detail, where=code)


# --- the race detector ------------------------------------------------------------------------------------------------


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
    elif not _is_proven(facts.preflight):
        detail = f"the detector {_describe_preflight(facts.preflight)}"
        yield Finding(code="WF609", detail=detail, where="canary", log=log)
    elif facts.install is not None:
        detail = f"it could not be installed to be examined: {facts.install}"
        yield Finding(code="WF610", detail=detail, log=log)
    elif facts.surface is None:
        detail = "calling it alone ended every attempt to learn how"
        yield Finding(code="WF611", detail=detail, log=log)
    else:
        yield from _judge_coverage(facts, facts.surface, log)
        yield from _judge_events(facts, log, plain_harms)
        yield from _judge_unlisted(facts, log)
        yield from _judge_unwatched(facts, log)
        yield from _judge_interference(facts.interference, log)
        if facts.own_tests is not None:
            yield from _judge_silence(facts.own_tests, log)


def _is_proven(preflight: Preflight | None) -> bool:
    """Return whether the detector reported what is wrong in known faulty programs and nothing in a known clean one.

    Only a detector that does all that can be believed when it reports nothing about a package.
    """
    return preflight is not None and _describe_preflight(preflight) is None


def _describe_preflight(preflight: Preflight | None) -> str | None:
    """Return what the detector did that it should not; None where it did all as it should."""
    if preflight is None or not preflight.racy_seen:
        return "did not see a race that is there"
    # In older evidence this is None.
    if preflight.freed_seen is False:
        return "did not see that an object is used which another thread frees"
    if not preflight.clean_silent:
        return "saw a race where there is none"
    return None


def _judge_coverage(facts: RaceFacts, surface: Surface, log: str) -> Iterator[Finding]:
    """Yield findings where threads called fewer native callables than `compatible` asks for, or not side by side."""
    callables = set(surface.callables)
    missed = sorted(callables.difference(facts.under_threads))
    called = len(callables) - len(missed)

    if called < MIN_COVERAGE * len(callables):
        names = join_names(missed, _MAX_MISSED)
        detail = f"threads called {called} of {len(callables)} native callables; not {names}"
        yield Finding(code="WF611", detail=detail, where="surface", log=log)
    elif surface.stateful and not facts.pairs:
        detail = "no two operations were tried against each other on one object"
        yield Finding(code="WF611", detail=detail, where="pairs", log=log)

    late_kinds = [kind for kind, (planned, played) in facts.kinds.items() if planned and not played]
    if late_kinds:
        names = join_names(sorted(late_kinds), _MAX_MISSED)
        detail = f"there was no time for scenarios of these kinds: {names}"
        yield Finding(code="WF611", detail=detail, where="kinds", log=log)


def _judge_events(facts: RaceFacts, log: str, plain_harms: Sequence[Harm]) -> Iterator[Finding]:
    """Yield findings for races shown again, for harms (crashes, hangs, wrong results), and for other reports.

    Races are told by cause (`deduplicate`), so that all of them count.
    """
    for race in facts.races:
        yield _ignore_if_gil(
            _race_finding(race, _find_alike(race, facts.races), log), gil=facts.gil
        )

    for harm in facts.harms:
        for finding in _judge_watched_harm(harm, facts.races, plain_harms, log):
            yield _ignore_if_gil(finding, gil=facts.gil)

    for advisory in facts.advisory:
        yield _advisory_finding(advisory, _find_alike(advisory, facts.advisory), log)


def _find_alike(race: Race, races: Iterable[Race]) -> list[Race]:
    """Return the other races with the cause of one; none in older evidence, which says nothing about causes."""
    return [
        other for other in races if other is not race and race.cause and other.cause == race.cause
    ]


def _race_finding(race: ShownRace, alike: Sequence[Race], log: str) -> Finding:
    """Return the finding for a race that a program of its own showed again.

    Args:
        race: the race.
        alike: others with the same cause, which are told with it.
        log: of the job.
    """
    functions = _list_functions(race.sides)
    calls = describe_calls(race.calls, functions)
    counts = _describe_counts(race.shown, race.ran)
    variants = _describe_variants(race.arms or Variants())
    places = describe_places([race, *alike]) if race.sides else ""
    fault = assess_fault(
        race.calls,
        race.arms,
        Consequence.FREED if race.freed else Consequence.RACE,
        came_again=bool(race.shown),
    )

    return Finding(
        code="WF604" if race.freed else "WF605",
        detail=f"{describe_race(race, alike)}{places}, when threads make {calls}{counts}{variants}",
        where=race.cause or _join_places(race),
        locations=_locate(race),
        log=log,
        script=race.script or "",
        short=race.short or "",
        race=True,
        cause=race.cause,
        functions=functions,
        also=_list_also(race),
        remedy=fault.remedy,
        threads=fault,
    )


def _list_also(race: Race) -> tuple[str, ...]:
    """Return what a race would be called by itself, where it goes by the name of its cause."""
    return (_join_places(race),) if race.cause else ()


def _list_functions(sides: Iterable[Side]) -> tuple[str, ...]:
    """Return the dotted names of the package's functions behind an event."""
    return tuple(dict.fromkeys(side.function for side in sides if side.kind != "builtin"))


def _advisory_finding(race: Race, alike: Sequence[Race], log: str) -> Finding:
    """Return the finding for a report of the detector that shows no mistake of the package.

    That code comes from a generator is only known by what its functions are called, which the package decides.

    Args:
        race: the report.
        alike: others with the same cause, which are told with it.
        log: of the job.
    """
    code: FindingCode = "WF624" if race.owner == "generator" else "WF606"
    detail = f"{race.kind}: {', '.join(race.lines)}"
    if alike:
        detail += f" and {len(alike)} more places"
    if race.known:
        detail += f"; {race.known}"
    if race.owner == "unwatched":
        detail += "; it goes through native code not compiled for the detector, which sees none of its locks"

    return Finding(
        code="WF607" if race.lock_free else code,
        detail=detail,
        where=race.cause or _join_places(race),
        locations=_locate(race),
        log=log,
        also=_list_also(race),
    )


def _join_places(race: Race) -> str:
    """Return the functions that race, as part of a finding's id: they stay the same from release to release."""
    return " and ".join(race.places)


def _locate(race: Race) -> tuple[Location, ...]:
    if race.locations:
        return read_locations(race.locations)
    return pair_locations(race.places, race.lines)


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


# --- the plain interpreter --------------------------------------------------------------------------------------------


def judge_exercise(facts: ExerciseFacts, log: str) -> Iterator[Finding]:
    """Yield findings from calling a package by threads with the plain interpreter; none where that was not done."""
    if not facts.done:
        return

    yield from _judge_harms(facts.harms, log, gil=facts.gil)
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


# --- what both show ---------------------------------------------------------------------------------------------------


def _judge_interference(interference: Iterable[Interference], log: str) -> Iterator[Finding]:
    """Yield a finding for each process that the package ended (WF621), or for which it spoke (WF622)."""
    for event in interference:
        calls = describe_calls(event.calls)
        where = ", ".join(event.calls.natives[:_MAX_NATIVES]) or calls
        if event.what == "end":
            detail = f"the process {event.detail} when threads make {calls}"
            yield Finding(code="WF621", detail=detail, where=where, log=log)
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


def _judge_watched_harm(
    harm: Harm, races: Iterable[ShownRace], plain_harms: Iterable[Harm], log: str
) -> Iterator[Finding]:
    """Yield the finding for a crash or a hang of the build for the race detector.

    Where the wheel itself does the same, that counts, and nothing is yielded. It is the package's as well where the
    detector reports a race of it in the same calls. Otherwise only that build is known to have it: code that switches
    stacks, say, does not survive the instrumentation.
    """
    is_of_wheel = any(
        plain.what == harm.what and plain.shown and _have_same_calls(harm, plain)
        for plain in plain_harms
    )
    if is_of_wheel:
        return

    if any(_have_same_calls(harm, race) for race in races):
        yield from _judge_harms([harm], log, gil=False, race=True)
        return

    detail = f"{_describe_harm(harm)}; the detector reported no race in these calls"
    yield Finding(
        code="WF626",
        detail=detail,
        where=harm.what,
        log=log,
        script=harm.script or "",
        race=True,
    )


def _have_same_calls(harm: Harm, other: Harm | ShownRace) -> bool:
    """Return whether two events were seen in the same scenario, or in calls of the same native code."""
    if other.scenario == harm.scenario:
        return True
    return other.calls is not None and not set(harm.calls.natives).isdisjoint(other.calls.natives)


def _judge_harms(
    harms: Iterable[Harm], log: str, *, gil: bool, race: bool = False
) -> Iterator[Finding]:
    """Yield findings for crashes, hangs and wrong results under threads.

    A harm that a program showed again may decide the verdict. One that was not shown again does not: a crash, a hang or
    a value that calls never give alone is reported as WF615, and any other wrong result is skipped.

    Args:
        harms: the events.
        log: of the job.
        race: whether their programs need the race detector's interpreter.
        gil: whether the package had turned the GIL on.
    """
    for harm in harms:
        if harm.shown:
            yield _ignore_if_gil(_shown_finding(harm, log, race=race), gil=gil)
        elif harm.what != "wrong" or harm.garbage:
            # Another number that did not come again may be a clock's or a counter's.
            finding = Finding(
                code="WF615",
                detail=_describe_harm(harm) + _quote_wrong(harm),
                where=_name_calls(harm),
                log=log,
                cause=harm.cause,
                functions=_list_harm_functions(harm),
            )
            yield _ignore_if_gil(finding, gil=gil)


def _shown_finding(harm: Harm, log: str, *, race: bool) -> Finding:
    """Return the finding for a harm that a program showed again.

    Where the program shows it in one thread as well, threads are not its cause (WF608). But a program that ends before
    threads meet says nothing about them (WF625); one that the sanitizer's build alone ends is not the package as it is.
    """
    variants = harm.arms or Variants()
    happens_alone = was_shown(variants.alone)
    # What only a value shows that changes the object at work on it hides nothing of what other values do.
    is_reentrant = harm.calls.kind == "reentrant"
    hides_threads = (
        happens_alone and harm.what in {"crash", "hang"} and not race and not is_reentrant
    )
    code: FindingCode = _HARM_CODES[harm.what]
    if happens_alone:
        code = "WF625" if hides_threads else "WF608"

    detail = _describe_harm(harm)
    if not happens_alone:
        detail += _describe_variants(variants)
    detail += _quote_wrong(harm)

    fault = None
    if not happens_alone:
        fault = assess_fault(harm.calls, variants, _CONSEQUENCES[harm.what], came_again=True)

    return Finding(
        code=code,
        detail=detail,
        where=_name_calls(harm),
        log=log,
        script=harm.script or "",
        short=harm.short or "",
        race=race,
        cause=harm.cause,
        functions=_list_harm_functions(harm),
        remedy="" if fault is None else fault.remedy,
        threads=fault,
    )


def _quote_wrong(harm: Harm) -> str:
    """Return a wrong result that was met, as the end of a sentence; empty where there was none."""
    if not harm.sentences:
        return ""
    return f": {clean_call(harm.sentences[0])[:_MAX_SENTENCE_CHARS]}"


def _list_harm_functions(harm: Harm) -> tuple[str, ...]:
    """Return the functions that a harm is about: where it crashed, or what its calls name, if these are few."""
    if harm.sides:
        return _list_functions(harm.sides)

    natives = find_natives(harm)
    is_told_apart = harm.what in {"crash", "wrong"} and len(natives) <= _MAX_BLAMED
    return tuple(natives) if is_told_apart else ()


def _name_calls(harm: Harm) -> str:
    """Return what a harm is about, as part of a finding's id: where it crashed, else the native callables it needs.

    Where nothing native is known of it, its calls.
    """
    if harm.sides:
        return " and ".join(_list_functions(harm.sides))
    return ", ".join(find_natives(harm)[:_MAX_NATIVES]) or describe_calls(harm.calls)


def _describe_harm(harm: Harm) -> str:
    functions = _list_functions(harm.sides)
    calls = describe_calls(harm.calls, functions)
    return f"{_describe_end(harm)}threads make {calls}{_describe_counts(harm.shown, harm.ran)}"


def _describe_variants(variants: Variants) -> str:
    """Return in which variants of the program it shows too: with the GIL on, with an object for each thread.

    Of the second, also how often it was tried in vain.
    """
    clauses = ""
    if was_shown(variants.gil):
        clauses += "; it happens with the GIL on too"
    if was_shown(variants.private):
        clauses += (
            "; it happens with an object for each thread too: what they share is the module's"
        )
    elif variants.private is not None:
        clauses += f"; with nothing shared 0 of {variants.private[1]} times"

    return clauses


def _describe_end(harm: Harm) -> str:
    if harm.what == "crash":
        places = " and ".join(name_function(side) for side in harm.sides)
        where = f" in {places}" if places else ""
        return f"{harm.signal or 'the process ends'}{where} when "
    if harm.what == "hang":
        return "no end when "
    return ""


def _describe_counts(shown: int | None, ran: int | None) -> str:
    return f" (shown again {shown} of {ran} times)" if shown else ""
