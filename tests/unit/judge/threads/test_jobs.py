from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from builder.evidence.exercise import ExerciseFacts
from builder.evidence.race import RaceFacts
from builder.judge import interfaces
from builder.judge.findings import Finding
from builder.judge.location import Location, pair_locations
from builder.judge.package import Judgement, judge_package
from builder.judge.package_evidence import PackageEvidence
from builder.judge.threads import jobs
from builder.judge.threads.coverage import ThreadCoverage, measure_coverage
from builder.store.evidence import Evidence, JobOutcome
from builder.store.job_ids import JobId
from builder.verdicts import Verdict
from tests.job_ids import job_id
from tests.unit.facts import RACED, SCENARIO
from tests.unit.judge.test_package import ABIS, BASES, SOURCE, audit, build, load, wheel

CALLABLES = [f"foo.f{number}" for number in range(10)]
SURFACE = {
    "prelude": ["foo"], "failed": {}, "callables": CALLABLES, "reached": CALLABLES, "fatal": [], "complete": True, "calls": [],
}  # fmt: skip
HEALTHY = {"racy_seen": True, "freed_seen": True, "clean_silent": True}


def event(what: str = "race", **more: Any) -> dict[str, Any]:
    """Return what the stress programs tell of a race, a crash, a hang or wrong results."""
    calls = {**SCENARIO, "make": "foo.Box(4)", "rows": [[["s.put(1)", None]], [["s.get()", None]]]}
    shown = {"shown": 3, "ran": 10, "script": "print('again')"}
    if what == "race":
        return {
            **RACED, "calls": calls, "places": ["get (foo.c)", "put (foo.c)"], "lines": ["src/foo.c:7", "src/foo.c:9"], **shown, **more,
        }  # fmt: skip

    return {"what": what, "scenario": "pair-7", "calls": calls, **shown, **more}


def advisory(**more: Any) -> dict[str, Any]:
    """Return a race that does not count against the package: nobody tried to show it again."""
    return {**RACED, "owner": "interpreter", **more}


def race(*, under: int = 10, **more: Any) -> Evidence:
    facts = {
        "wheel": wheel("cp314t"), "failure": None, "preflight": HEALTHY, "install": None, "surface": SURFACE,
        "pairs": 12, "side_by_side": 200,
        "under_threads": CALLABLES[:under], "races": [], "harms": [], "advisory": [],
        "scenarios": 9, "played": 9, "late": 0, "gil": False, "natives": [], "errors": {}, "own_tests": None, **more,
    }  # fmt: skip
    return Evidence(key="r", job=job_id("race:foo@debian-12"), facts=facts, log="race.log")


def exercise(**more: Any) -> Evidence:
    facts = {
        "wheel": wheel("cp314t"), "install": None, "harms": [], "own_tests": None, "played": 9, "late": 0, "gil": False, "errors": {}, **more,
    }  # fmt: skip
    return Evidence(key="e", job=job_id("exercise:foo@debian-12"), facts=facts, log="exercise.log")


def untold(job: JobId) -> Evidence:
    return Evidence(
        key="",
        job=job,
        outcome=JobOutcome.UNDETERMINED,
        reason="the container gave no answer",
        facts={"code": "WF902"},
    )


def stopped(**facts: Any) -> Evidence:
    """Return evidence of a search that ended early, and so tells little."""
    return Evidence(
        key="r", job=job_id("race:foo@debian-12"), facts={"wheel": wheel("cp314t"), **facts}
    )


NOT_COMPILED = stopped(failure="a header is missing: x.h")
NOT_INSTALLED = stopped(failure=None, preflight=HEALTHY, install="undefined symbol: x")
NOT_LEARNT = stopped(failure=None, preflight=HEALTHY, install=None, surface=None)
BLIND = HEALTHY | {"racy_seen": False}
FORGETFUL = HEALTHY | {"freed_seen": False}
ALARMED = HEALTHY | {"clean_silent": False}
OLD = {"racy_seen": True, "clean_silent": True}  # evidence of before freed memory was watched


def judged(
    raced: Evidence | None, exercised: Evidence | None, *, abi: str = "cp314t", **more: Any
) -> Judgement:
    source = more.pop("source", SOURCE)
    case = PackageEvidence(
        source=source, builds={"debian-12": build()}, audits={"debian-12": audit()}, loads={("debian-12", "debian-13"): load()}, skip={},
        bases=BASES, interfaces=interfaces.load(), race=raced, exercise=exercised, **more,
    )  # fmt: skip
    return judge_package(case, ABIS).abis[abi]


def coverage(raced: Evidence) -> ThreadCoverage:
    return measure_coverage(RaceFacts.read(raced), ExerciseFacts.read(exercise()))


def codes(judgement: Judgement) -> list[str]:
    return [finding.code for finding in judgement.findings]


def meddling(what: str) -> dict[str, Any]:
    """Return a fact about a process that the package ended, or spoke for."""
    return {"what": what, "calls": event()["calls"], "detail": "ended with exit code 3", "times": 1}


HARM_ALONE = {"arms": {"alone": [2, 3], "gil": [0, 3], "private": [0, 3]}}


@pytest.mark.parametrize(
    ("raced", "exercised", "verdict", "found"),
    [
        (race(), exercise(), Verdict.COMPATIBLE, []),
        (race(under=5), exercise(), Verdict.COMPATIBLE, []),
        (race(under=4), exercise(), Verdict.UNPROVEN, ["WF611"]),
        (race(under=0), exercise(), Verdict.UNPROVEN, ["WF611"]),
        (NOT_LEARNT, exercise(), Verdict.UNPROVEN, ["WF611"]),
        (race(), None, Verdict.UNPROVEN, []),
        (race(), exercise(install="no matching distribution"), Verdict.UNPROVEN, []),
        (None, exercise(), Verdict.UNPROVEN, []),
        (NOT_COMPILED, exercise(), Verdict.UNPROVEN, ["WF610"]),
        (NOT_INSTALLED, exercise(), Verdict.UNPROVEN, ["WF610"]),
        (race(preflight=BLIND), exercise(), Verdict.UNDETERMINED, ["WF609"]),
        (race(preflight=ALARMED), exercise(), Verdict.UNDETERMINED, ["WF609"]),
        (race(preflight=FORGETFUL), exercise(), Verdict.UNDETERMINED, ["WF609"]),
        (race(preflight=OLD), exercise(), Verdict.COMPATIBLE, []),
        (race(unwatched_dependencies=["propcache"]), exercise(), Verdict.COMPATIBLE, ["WF627"]),
        (untold(job_id("race:foo@debian-12")), exercise(), Verdict.UNDETERMINED, ["WF902"]),
        (race(), untold(job_id("exercise:foo@debian-12")), Verdict.UNDETERMINED, ["WF902"]),
        (race(races=[event()]), exercise(), Verdict.RACY, ["WF605"]),
        (race(races=[event(freed=True)]), exercise(), Verdict.THREAD_UNSAFE, ["WF604"]),
        (race(under=1, races=[event()]), exercise(), Verdict.RACY, ["WF605", "WF611"]),
        (race(advisory=[advisory()]), exercise(), Verdict.COMPATIBLE, ["WF606"]),
        (race(advisory=[advisory(lock_free=True)]), exercise(), Verdict.COMPATIBLE, ["WF607"]),
        (race(advisory=[advisory(owner="generator")]), exercise(), Verdict.UNPROVEN, ["WF624"]),
        (race(advisory=[advisory(effect="tested")]), exercise(), Verdict.COMPATIBLE, ["WF629"]),
        (race(advisory=[advisory(effect="unchanged")]), exercise(), Verdict.COMPATIBLE, ["WF629"]),
        (race(harms=[event("crash", signal="SIGSEGV")]), exercise(), Verdict.UNPROVEN, ["WF626"]),
        (race(), exercise(harms=[event("crash", signal="SIGSEGV")]), Verdict.THREAD_UNSAFE, ["WF601"]),
        (race(), exercise(harms=[event("hang")]), Verdict.THREAD_UNSAFE, ["WF602"]),
        (race(), exercise(harms=[event("wrong")]), Verdict.THREAD_UNSAFE, ["WF603"]),
        (race(), exercise(harms=[event("crash", **HARM_ALONE)]), Verdict.UNPROVEN, ["WF625"]),
        (race(), exercise(harms=[event("hang", **HARM_ALONE)]), Verdict.UNPROVEN, ["WF625"]),
        (race(harms=[event("crash", **HARM_ALONE)]), exercise(), Verdict.UNPROVEN, ["WF626"]),
        (race(), exercise(harms=[event("wrong", **HARM_ALONE)]), Verdict.COMPATIBLE, ["WF608"]),
        (race(), exercise(harms=[event("crash", shown=0)]), Verdict.UNPROVEN, ["WF615"]),
        (race(), exercise(harms=[event("hang", shown=0)]), Verdict.UNPROVEN, ["WF615"]),
        (race(), exercise(harms=[event("wrong", shown=0)]), Verdict.COMPATIBLE, []),
        (race(), exercise(harms=[event("crash", shown=0, ran=0)]), Verdict.UNPROVEN, ["WF615"]),
        (race(preflight=BLIND, races=[event()]), exercise(), Verdict.UNDETERMINED, ["WF609"]),
        (race(preflight=BLIND), exercise(harms=[event("crash")]), Verdict.THREAD_UNSAFE, ["WF601", "WF609"]),
        (race(races=[event()]), exercise(harms=[event("hang")]), Verdict.THREAD_UNSAFE, ["WF602", "WF605"]),
        (race(races=[event()]), untold(job_id("exercise:foo@debian-12")), Verdict.RACY, ["WF605", "WF902"]),
        (race(races=[event(calls=None)]), exercise(), Verdict.RACY, ["WF605"]),  # seen in its own tests alone
        # Loading it is said to have left the GIL off.
        (race(races=[event()], gil=True), exercise(), Verdict.UNDETERMINED, ["WF508", "WF605"]),
        (race(), exercise(harms=[event("hang")], gil=True), Verdict.UNDETERMINED, ["WF508", "WF602"]),
        (race(unwatched={"foo/_a.so": "prebuilt"}), exercise(), Verdict.UNPROVEN, ["WF623"]),
        (race(interference=[meddling("end")]), exercise(), Verdict.UNPROVEN, ["WF621"]),
        (race(interference=[meddling("forged")]), exercise(), Verdict.UNDETERMINED, ["WF622"]),
        (race(interference=[meddling("lost")]), exercise(), Verdict.UNDETERMINED, ["WF622"]),
        (race(), exercise(interference=[meddling("end")]), Verdict.UNPROVEN, ["WF621"]),
        (race(), exercise(interference=[meddling("forged")]), Verdict.UNDETERMINED, ["WF622"]),
        (race(races=[event()], interference=[meddling("end")]), exercise(), Verdict.RACY, ["WF605", "WF621"]),
    ],
)  # fmt: skip
def test_what_threads_show_decides(
    raced: Evidence | None, exercised: Evidence | None, verdict: Verdict, found: list[str]
):
    judgement = judged(raced, exercised)
    assert judgement.verdict is verdict
    assert sorted(codes(judgement)) == found


PASSED = {"passed": 9, "failed": 0, "skipped": 0, "ended": "by itself"}
TESTS = {
    "ran": True, "crash": "", "crash_stack": "", "threads": 4, "findings": {}, "single": {}, "alone": PASSED, "parallel": PASSED,
    "seconds": 1.5, "uncollected": [], "baseline_failures": [],
}  # fmt: skip


@pytest.mark.parametrize(
    ("told", "verdict", "found"),
    [
        (TESTS, Verdict.COMPATIBLE, []),
        ({**TESTS, "ran": False, "why": "there are none"}, Verdict.COMPATIBLE, ["WF614"]),
        ({**TESTS, "crash": "SIGABRT"}, Verdict.THREAD_UNSAFE, ["WF613"]),
        (
            {**TESTS, "single": {"test_it.py::test_warns": "calls pytest.warns"}},
            Verdict.COMPATIBLE,
            ["WF616"],
        ),
        (
            {**TESTS, "findings": {"test_it.py::test_put": "assert 3 == 4"}},
            Verdict.COMPATIBLE,
            ["WF612"],
        ),
    ],
)
def test_what_its_own_tests_show(told: dict[str, Any], verdict: Verdict, found: list[str]):
    judgement = judged(race(), exercise(own_tests=told))
    assert judgement.verdict is verdict
    assert codes(judgement) == found


@pytest.mark.parametrize(
    "silenced", [{"lost": 2}, {"forged": "a record without the harness's token"}]
)
def test_own_tests_that_silence_the_race_detector_show(silenced: dict[str, Any]):
    told = {"ran": True, "passed": 3, "ended": "by itself", "seconds": 1.0}
    assert judged(race(own_tests=told), exercise()).verdict is Verdict.COMPATIBLE

    judgement = judged(race(own_tests={**told, **silenced}), exercise())
    assert judgement.verdict is Verdict.UNDETERMINED
    assert codes(judgement) == ["WF622"]


def test_threads_say_nothing_of_the_interpreter_with_the_gil():
    judgement = judged(race(races=[event()]), exercise(harms=[event("crash")]), abi="cp314")
    assert judgement.verdict is Verdict.COMPATIBLE
    assert judgement.findings == ()
    assert judgement.coverage == ThreadCoverage()


def test_without_a_wheel_there_is_nothing_to_say():
    no_race = RaceFacts(wheel=None)
    no_exercise = ExerciseFacts(wheel=None)

    assert list(jobs.judge_race(no_race, "")) == []
    assert list(jobs.judge_exercise(no_exercise, "")) == []
    assert measure_coverage(no_race, no_exercise) == ThreadCoverage()
    assert measure_coverage(None, None) == ThreadCoverage()


def test_a_package_that_did_not_build_is_not_undetermined_for_its_threads():
    failed = Evidence(
        key="",
        job=job_id("build:foo@debian-12"),
        outcome=JobOutcome.UNDETERMINED,
        reason="no archive",
        facts={"code": "WF901"},
    )
    case = PackageEvidence(
        source=SOURCE, builds={"debian-12": failed}, audits={}, loads={}, skip={}, bases=BASES, interfaces=interfaces.load(),
        race=untold(job_id("race:foo@debian-12")), exercise=untold(job_id("exercise:foo@debian-12")),
    )  # fmt: skip
    assert codes(judge_package(case, ABIS).abis["cp314t"]) == ["WF901"]


def test_a_race_is_told_with_its_places_its_calls_and_how_often_it_was_shown():
    (finding,) = judged(race(races=[event()]), exercise()).findings
    assert finding.where == "get (foo.c) and put (foo.c)"
    assert finding.detail == (
        "src/foo.c:7, src/foo.c:9, when threads make `s.put(1)`, `s.get()` of `foo.Box(4)` (shown again 3 of 10 times)"
    )
    assert (finding.race, finding.script, finding.log, finding.bases) == (
        True,
        "print('again')",
        "race.log",
        ("debian-12",),
    )


def test_the_accesses_of_a_race_are_locations():
    lines = [["src/foo.c", 9, "get"], ["src/foo.c", 7, "put"], ["foo.so", 0, "put"]]
    (finding,) = judged(race(races=[event(locations=lines)]), exercise()).findings
    assert finding.locations == (
        Location(path="src/foo.c", line=9, function="get"),
        Location(path="src/foo.c", line=7, function="put"),
        Location(path="foo.so", line=None, function="put"),
    )


@pytest.mark.parametrize(
    ("places", "lines", "locations"),
    [
        # older evidence lists both, each sorted: functions of one file are paired in order
        (["get (foo.c)", "put (foo.c)"], ["src/foo.c:7", "src/foo.c:9"], [("src/foo.c", 7, "get"), ("src/foo.c", 9, "put")]),
        (["a (x.c)", "b (w.c)"], ["s/w.c:1", "s/x.c:2"], [("s/w.c", 1, "b"), ("s/x.c", 2, "a")]),
        (["put (foo.c)"], ["src/foo.c:7", "src/foo.c:9"], [("src/foo.c", 7, "put"), ("src/foo.c", 9, "put")]),
        (["get (foo.c)", "put (_x.so)"], ["<null>", "src/foo.c:7"], [("src/foo.c", 7, "get"), ("_x.so", None, "put")]),
        (["operator() (foo.cc)"], ["src/foo.cc:7"], [("src/foo.cc", 7, "operator()")]),
        ([], [], []),
    ],
)  # fmt: skip
def test_places_and_lines_of_older_evidence_are_paired(
    places: list[str], lines: list[str], locations: list[tuple[str, int | None, str]]
):
    paired = pair_locations(places, lines)
    assert [(one.path, one.line, one.function) for one in paired] == locations


def test_a_harm_is_told_with_what_makes_it_and_what_it_says():
    arms = {"alone": [0, 3], "gil": [1, 3], "private": [2, 3]}
    (finding,) = judged(
        race(),
        exercise(
            harms=[
                event("wrong", arms=arms, sentences=["s.get() gave 3, alone it gives 4", "more"])
            ]
        ),
    ).findings
    assert finding.where == "foo.Box.get, foo.Box.put"
    assert "it happens with the GIL on too" in finding.detail
    assert "with an object for each thread too" in finding.detail
    assert finding.detail.endswith(": s.get() gave 3, alone it gives 4")
    assert not finding.race
    (alone,) = judged(
        race(), exercise(harms=[event("crash", signal="SIGSEGV", arms={**arms, "alone": [1, 3]})])
    ).findings
    assert alone.detail.startswith("SIGSEGV when threads make `s.put(1)`")
    assert "GIL" not in alone.detail


def codes_of(findings: Iterable[Finding]) -> dict[str, int]:
    return dict(Counter(finding.code for finding in findings))


def test_only_so_many_of_a_kind_are_told():
    many = [event(places=[f"f{number} (foo.c)"]) for number in range(50)]
    findings = judged(race(races=many), exercise()).findings
    assert codes_of(findings) == {"WF605": 12, "WF628": 1}
    (left_out,) = [finding for finding in findings if finding.code == "WF628"]
    assert left_out.detail.startswith("38 more findings WF605: f12 (foo.c), ")


def test_what_evidence_does_not_list_is_told():
    (finding,) = judged(race(unlisted=7), exercise()).findings
    assert finding.code == "WF628"
    assert finding.detail.startswith("7 more races, crashes and hangs")


def test_an_id_stands_for_one_finding_the_one_that_has_a_program():
    unshown = event(script="", lines=["src/foo.c:70"])
    (finding,) = judged(
        race(races=[unshown, event(), event(lines=["src/foo.c:71"])]), exercise()
    ).findings
    assert finding.script
    assert finding.detail.startswith("src/foo.c:7, ")
    seen = judged(race(harms=[event("crash")]), exercise(harms=[event("crash"), event("hang")]))
    assert sorted(codes(seen)) == ["WF601", "WF602"]
    assert len({finding.id for finding in seen.findings}) == 2


def test_what_was_not_reached_is_named():
    (finding,) = judged(race(under=2), exercise()).findings
    assert finding.detail == (
        "threads called 2 of 10 native callables; not foo.f2, foo.f3, foo.f4, foo.f5, foo.f6, foo.f7 and 2 more"
    )


@pytest.mark.parametrize(
    ("callables", "under", "detector", "enough"),
    [
        (10, 5, True, True),
        (10, 4, True, False),
        (10, 10, False, False),
        (0, 0, True, False),
        (1, 1, True, True),
        (3, 1, True, False),
    ],
)
def test_enough_is_half_with_a_detector_that_works(
    callables: int, under: int, *, detector: bool, enough: bool
):
    assert (
        ThreadCoverage(callables=callables, under_threads=under, detector=detector).is_sufficient
        is enough
    )


def test_what_works_on_objects_has_to_have_been_tried_in_pairs():
    unpaired = ThreadCoverage(callables=10, under_threads=10, detector=True, stateful=True)
    assert not unpaired.is_sufficient
    assert replace(unpaired, pairs=1).is_sufficient
    surface = {**SURFACE, "stateful": 3}
    judgement = judged(race(surface=surface, pairs=0), exercise())
    assert (judgement.verdict, [one.code for one in judgement.findings]) == (
        Verdict.UNPROVEN,
        ["WF611"],
    )
    assert judgement.findings[0].where == "pairs"


def test_kinds_of_scenarios_that_had_no_time_are_named():
    told = judged(race(kinds={"pair": [4, 0], "mixed": [3, 1], "life": [2, 0]}), exercise())
    (finding,) = told.findings
    assert finding.detail == "there was no time for scenarios of these kinds: life, pair"


def test_a_value_that_changes_the_object_at_work_on_it_hides_nothing_of_other_values():
    crash = event("crash", **HARM_ALONE)
    crash["calls"] = {**crash["calls"], "kind": "reentrant"}
    judgement = judged(race(), exercise(harms=[crash]))
    assert (judgement.verdict, [one.code for one in judgement.findings]) == (
        Verdict.COMPATIBLE,
        ["WF608"],
    )


def test_what_threads_call_beside_the_package_does_not_count():
    told = coverage(race(under_threads=[*CALLABLES[:2], "bar.f", "bar.g", "bar.h", "bar.i"]))
    assert (told.callables, told.under_threads, told.is_sufficient) == (10, 2, False)


@pytest.mark.parametrize(
    ("raced", "said"),
    [
        (
            race(),
            "threads called 10 of its 10 native callables with the race detector, nothing found",
        ),
        (race(under=3), "threads called 3 of its 10 native callables with the race detector"),
        (None, "none of its native code was exercised under threads"),
    ],
)
def test_the_reason_says_how_much_was_put_under_threads(raced: Evidence | None, said: str):
    assert judged(raced, exercise()).reason.endswith(said)


def test_the_odds_of_missing_a_race_follow_from_the_trials():
    assert ThreadCoverage(side_by_side=0).miss_probability(100) == 1
    assert ThreadCoverage(side_by_side=100).miss_probability(100) == pytest.approx(0.366, abs=0.001)
    told = coverage(race())
    assert (told.alone, told.pairs, told.side_by_side) == (10, 12, 200)


CRASHED = {
    "function": "foo.Box.put", "kind": "call", "owner": "foo.Box", "access": "crash", "source": "", "place": "", "builtin": "", "api": "",
}  # fmt: skip


def test_a_crash_is_said_to_be_where_its_stack_is():
    """Not in the first callables of the scenario by alphabet, which are innocent."""
    (finding,) = judged(
        race(), exercise(harms=[event("crash", signal="SIGSEGV", sides=[CRASHED], cause="foo.Box")])
    ).findings
    assert finding.where == "foo.Box.put"
    assert finding.detail.startswith("SIGSEGV in `Box.put()` when threads make `s.put(1)`")


def test_a_crash_takes_the_races_of_its_function_along():
    sides = [
        {**CRASHED, "access": "write"},
        {**CRASHED, "function": "foo.Box.get", "access": "read"},
    ]
    races = [event(sides=sides, cause="foo.Box", places=[f"f{n} (foo.c)"]) for n in range(3)]
    crash = event("crash", signal="SIGSEGV", sides=[CRASHED], cause="foo.Box.put")
    (finding,) = judged(race(races=races), exercise(harms=[crash])).findings
    assert finding.code == "WF601"
    assert "with the same cause: 3 races" in finding.detail
    assert "f0 (foo.c)" in finding.also


def test_a_crash_without_a_stack_is_that_of_the_functions_it_calls():
    """The program that showed it was a process of its own, and nobody asked it for its functions."""
    sides = [{**CRASHED, "access": "read"}, {**CRASHED, "function": "list.clear", "kind": "builtin", "access": "write"}]  # fmt: skip
    races = [event(sides=sides, cause="foo.Box.put and list")]
    crash = event("crash", signal="SIGSEGV")
    (finding,) = judged(race(races=races), exercise(harms=[crash])).findings
    assert (finding.code, finding.where) == ("WF601", "foo.Box.get, foo.Box.put")


def test_races_of_one_cause_are_one_finding_named_by_it():
    put = {**CRASHED, "access": "write", "place": "grow (foo.c)", "source": "src/foo.c:7"}
    get = {**CRASHED, "function": "foo.Box.get", "access": "read"}
    get |= {"place": "peek (foo.c)", "source": "src/foo.c:9"}
    races = [
        event(sides=[put, get], cause="foo.Box", places=[f"f{n} (foo.c)"], script="")
        for n in range(9)
    ]
    races[4]["script"] = "print('again')"
    (finding,) = judged(race(races=races), exercise()).findings
    assert (finding.code, finding.where, finding.script) == ("WF605", "foo.Box", "print('again')")
    assert finding.detail.startswith(
        "`Box.put()` changes memory that another thread uses in `Box.get()`, and nothing orders the two "
        "[grow (src/foo.c:7), peek (src/foo.c:9)], when threads make `s.put(1)`, `s.get()`"
    )
    assert len(finding.also) == 9


@pytest.mark.parametrize(("garbage", "found"), [(True, ["WF615"]), (False, [])])
def test_a_value_that_is_never_given_alone_is_told_though_it_did_not_come_again(
    found: list[str], *, garbage: bool
):
    sentences = ["foo.disks() gave 'oc/sys', alone it gives '/proc'"]
    wrong = event("wrong", shown=0, script=None, sentences=sentences, garbage=garbage)
    judgement = judged(race(), exercise(harms=[wrong]))
    assert codes(judgement) == found
    if garbage:
        (finding,) = judgement.findings
        assert finding.detail.endswith(": foo.disks() gave 'oc/sys', alone it gives '/proc'")


def test_a_race_of_the_interpreter_says_what_is_known_of_it():
    known = "gh-129069: mended in 3.15"
    races = [advisory(cause="list", known=known, places=[f"f{n} (x.c)"]) for n in range(3)]
    (finding,) = judged(race(advisory=races), exercise()).findings
    assert finding.code == "WF606"
    assert finding.detail.endswith(f"and 2 more places; {known}")


@pytest.mark.parametrize(
    ("cause", "codes_told"), [("foo.fold", ["WF605"]), ("foo.show", ["WF605", "WF629"])]
)
def test_a_race_of_a_cause_that_does_harm_is_not_said_to_harm_nobody(
    cause: str, codes_told: list[str]
):
    facts = race(races=[event(cause="foo.fold")], advisory=[advisory(cause=cause, effect="tested")])
    assert codes(judged(facts, exercise())) == codes_told
