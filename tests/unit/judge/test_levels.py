"""Levels: what a fault under threads needs, which verdict follows, and what a package's users are told."""

from typing import Any

import pytest

from builder.judge.package import Judgement
from builder.report.documents.packages import AbiPart, make_abi_part
from builder.verdicts import Severity, Verdict
from builder.verdicts.levels import Consequence, Level, Need
from tests.unit.judge.threads.test_jobs import CALLABLES, event, exercise, judged, race

SETTLED = {"shared": [2, 2], "private": [0, 2]}
SCENARIO = event()["calls"]


def scenario(**more: Any) -> dict[str, Any]:
    return {**SCENARIO, **more}


@pytest.mark.parametrize(
    ("calls", "arms", "needs", "verdict", "level"),
    [
        (scenario(), SETTLED, Need.OBJECT, Verdict.DISTINCT, Level.DISTINCT),
        (scenario(make=None, argument="[1]"), SETTLED, Need.ARGUMENT, Verdict.DISTINCT, Level.DISTINCT),
        (scenario(), {**SETTLED, "component": [1, 2]}, Need.COMPONENT, Verdict.DISTINCT, Level.DISTINCT),
        (scenario(argument="[1]"), {**SETTLED, "argument": [1, 2]}, Need.ARGUMENT, Verdict.DISTINCT, Level.DISTINCT),
        (scenario(), {**SETTLED, "reading": [1, 2]}, Need.READING, Verdict.DISTINCT, Level.DISTINCT),
        (scenario(sharing="component", argument="foo.Part()"), None, Need.COMPONENT, Verdict.DISTINCT, Level.DISTINCT),
        (scenario(kind="meeting", argument="values.Meeting()"), None, Need.OBJECT, Verdict.DISTINCT, Level.DISTINCT),
        # Nothing is shared, and it shows all the same.
        (scenario(make=None), None, Need.NOTHING, Verdict.RACY, Level.COMPATIBLE),
        (scenario(), {"shared": [2, 2], "private": [1, 2]}, Need.NOTHING, Verdict.RACY, Level.COMPATIBLE),
        (scenario(sharing="fresh"), {"shared": [2, 2], "private": [2, 2]}, Need.NOTHING, Verdict.RACY, Level.COMPATIBLE),
        (scenario(make=None), {"locked": [1, 2]}, Need.NOTHING, Verdict.RACY, Level.INCOMPATIBLE),
        # Not settled: nothing was tried, or what was tried may have been one and the same object.
        (scenario(), None, Need.UNKNOWN, Verdict.RACY, Level.UNKNOWN),
        (scenario(sharing="fresh"), SETTLED, Need.UNKNOWN, Verdict.RACY, Level.UNKNOWN),
        (None, None, Need.UNKNOWN, Verdict.RACY, Level.UNKNOWN),
    ],
)  # fmt: skip
def test_what_a_race_needs_decides(
    calls: dict[str, Any] | None, arms: dict[str, Any] | None, needs: Need, verdict: Verdict, level: Level
):  # fmt: skip
    judgement = judged(race(races=[event(calls=calls, arms=arms)]), exercise())
    (finding,) = judgement.findings
    assert finding.threads is not None
    assert finding.threads.needs is needs
    assert judgement.verdict is verdict
    assert judgement.safety is not None
    assert judgement.safety.level is level
    expected = Severity.WARNING if verdict is Verdict.DISTINCT else Severity.ERROR
    assert finding.severity is expected


def test_what_was_not_shown_again_settles_nothing_by_not_showing():
    rare = {"shared": [0, 2], "private": [0, 2]}
    judgement = judged(race(races=[event(arms=rare, shown=None, ran=None)]), exercise())
    assert judgement.verdict is Verdict.RACY
    assert judged(race(races=[event(arms=rare)]), exercise()).verdict is Verdict.DISTINCT


@pytest.mark.parametrize(
    ("unshared", "needs"),
    [(["foo.Table.get"], Need.OBJECT), (["foo.other"], Need.UNKNOWN), ([], Need.UNKNOWN)],
)
def test_what_showed_nothing_where_nothing_was_shared_needs_what_was_shared(
    unshared: list[str], needs: Need
):
    rare = {"shared": [0, 2], "private": [0, 2]}
    seen = event(arms=rare, shown=None, ran=None, calls=scenario(natives=["foo.Table.get"]))
    (finding,) = judged(race(races=[seen], unshared=unshared), exercise()).findings
    assert finding.threads is not None
    assert finding.threads.needs is needs


def test_a_live_object_of_a_test_is_one_that_threads_share():
    live = {"kind": "live", "make": "the object of this test", "natives": ["foo.Table.get"]}
    crash = event(what="crash", arms={"shared": [3, 3], "alone": [0, 1]}, calls=scenario(**live))
    searched = race(unshared=["foo.Table.get"])
    assert judged(searched, exercise(harms=[crash])).verdict is Verdict.DISTINCT
    assert judged(race(), exercise(harms=[crash])).verdict is Verdict.THREAD_UNSAFE


@pytest.mark.parametrize(
    ("calls", "arms", "verdict"),
    [
        (scenario(), SETTLED, Verdict.DISTINCT),
        (scenario(), {"shared": [2, 2], "private": [1, 2]}, Verdict.THREAD_UNSAFE),
        (scenario(make=None), {}, Verdict.THREAD_UNSAFE),
        (scenario(), {**SETTLED, "reading": [2, 2]}, Verdict.THREAD_UNSAFE),
        (scenario(), {}, Verdict.THREAD_UNSAFE),
    ],
)
def test_harm_with_nothing_shared_is_worse_than_a_race(
    calls: dict[str, Any], arms: dict[str, Any], verdict: Verdict
):
    harm = event("crash", signal="SIGSEGV", calls=calls, arms=arms)
    assert judged(race(), exercise(harms=[harm])).verdict is verdict


def test_what_is_settled_for_one_race_is_so_for_others_of_its_cause():
    unsettled = event(places=["f (foo.c)"], cause="f", arms=None)
    settled = event(places=["f (foo.c)", "g (foo.c)"], cause="f", arms=SETTLED)
    judgement = judged(race(races=[unsettled, settled]), exercise())
    assert (judgement.verdict, codes(judgement)) == (Verdict.DISTINCT, ["WF605"])

    alone = event(places=["h (foo.c)"], cause="f", calls=scenario(make=None))
    judgement = judged(race(races=[unsettled, settled, alone]), exercise())
    assert (judgement.verdict, codes(judgement)) == (Verdict.RACY, ["WF605"])


def test_of_many_races_those_that_need_nothing_are_kept():
    races = [event(arms=SETTLED, places=[f"f{number} (foo.c)"]) for number in range(20)]
    races.append(event(calls=scenario(make=None), places=["last (foo.c)"]))
    judgement = judged(race(races=races), exercise())
    assert [finding.code for finding in judgement.findings] == ["WF605"] * 12 + ["WF628"]
    assert judgement.verdict is Verdict.RACY
    assert judgement.findings[0].where == "last (foo.c)"
    assert judgement.findings[1].detail.endswith("; with nothing shared 0 of 2 times")


LOCK_HELPS = " With a lock round every call it did not show."


@pytest.mark.parametrize(
    ("calls", "arms", "remedy"),
    [
        (scenario(), SETTLED, "Give each thread its own `Box`, or put a lock round every use of a shared one."),
        (scenario(natives=["foo.f", "foo.g"]), SETTLED,
         "Give each thread its own object, or put a lock round every use of a shared one."),
        (scenario(make=None, natives=["foo.step"]), {"locked": [2, 2]},
         "Call `step()` from one thread only: it was tried with a lock round every call, which does not help."),
        (scenario(make=None, natives=["foo.step"]), {"locked": [0, 2]},
         f"Put one lock round every call of `step()`, or call it from one thread only.{LOCK_HELPS}"),
        (scenario(make=None, argument="[1]", natives=["foo.dump"]), SETTLED,
         "Pass a copy to `dump()`, or hold a lock while it is called and while what was passed is changed."),
        (scenario(), {**SETTLED, "reading": [1, 2]},
         "Give each thread its own `Box`: sharing one breaks even where threads only read it."),
        (scenario(), {"locked": [0, 2]},
         f"Put one lock round every call of `Box.get()`, `Box.put()`, or call it from one thread only.{LOCK_HELPS}"),
        (scenario(), {}, ""),
    ],
)  # fmt: skip
def test_the_remedy_fits_what_it_needs(calls: dict[str, Any], arms: dict[str, Any], remedy: str):
    (finding,) = judged(race(races=[event(calls=calls, arms=arms)]), exercise()).findings
    assert finding.remedy == remedy


def side(function: str, access: str, kind: str = "call") -> dict[str, Any]:
    return {
        "function": f"foo.Box.{function}", "kind": kind, "owner": "foo.Box", "access": access, "source": "foo.c:7",
        "place": f"{function} (foo.c)", "builtin": "", "api": "",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("sides", "is_told"),
    [
        ([side("build", "free"), side("get", "read")], True),
        ([side("build", "write"), side("get", "read")], True),
        # Each of them changes it: no order of calls avoids it.
        ([side("build", "write"), side("build", "write")], False),
        ([side("build", "write"), side("build", "read")], False),
        # Nobody calls the end of an object, and what is the interpreter's is no function of the package.
        ([side("build", "free", kind="free"), side("get", "read")], False),
        ([side("build", "write", kind="builtin"), side("get", "read")], False),
    ],
)
def test_what_alone_changes_an_object_is_to_be_called_before_threads_share_it(
    sides: list[dict[str, Any]], *, is_told: bool
):
    (finding,) = judged(race(races=[event(arms=SETTLED, sides=sides)]), exercise()).findings
    first = "Make every call of `Box.build()` before threads share the `Box`, or put a lock"
    assert finding.remedy.startswith(first) is is_told
    assert finding.remedy.endswith("of a shared one, or give each thread its own.") is is_told


def test_a_reader_of_one_race_tells_what_changes_in_another_of_its_cause():
    own = event(cause="f", arms=SETTLED, places=["a"], sides=[side("build", "write")] * 2)
    other = event(
        cause="f", arms=SETTLED, places=["b"], sides=[side("build", "write"), side("get", "read")]
    )
    (finding,) = judged(race(races=[own, other]), exercise()).findings
    assert finding.remedy.startswith("Make every call of `Box.build()` before")


@pytest.mark.parametrize(
    ("calls", "arms", "headline"),
    [
        (scenario(), SETTLED, "if threads share an object of `Box` that one of them changes, the process crashes"),
        (scenario(make=None, natives=["foo._c.step"]), {},
         "when several threads call `step()`, the process crashes, even if each has objects of its own"),
        (scenario(make=None, argument="[1]", natives=["foo.dump"]), SETTLED,
         "if threads pass the same object to `dump()` and one of them changes it, the process crashes"),
        (scenario(natives=["foo.Box.get"]), {},
         "when several threads call `Box.get()`, the process crashes; what they share for that was not settled"),
    ],
)  # fmt: skip
def test_a_fault_has_a_headline_without_c(
    calls: dict[str, Any], arms: dict[str, Any], headline: str
):
    harm = event("crash", signal="SIGSEGV", calls=calls, arms=arms)
    (finding,) = part(judged(race(), exercise(harms=[harm]))).findings
    assert finding.headline == headline
    assert finding.consequence is Consequence.CRASH


def test_how_often_it_showed_in_which_variant_is_kept():
    arms = {**SETTLED, "locked": [0, 2], "gil": [1, 2]}
    (finding,) = part(judged(race(races=[event(arms=arms)]), exercise())).findings
    assert [(trial.how, trial.shown, trial.ran) for trial in finding.trials] == [
        ("as it was found", 3, 10),
        ("with nothing shared", 0, 2),
        ("with a lock round every call", 0, 2),
        ("with the GIL on", 1, 2),
    ]
    (never,) = part(
        judged(race(races=[event(shown=None, ran=None, arms=None)]), exercise())
    ).findings
    assert never.trials == []


def test_too_little_reach_is_not_safe_on_distinct_objects():
    judgement = judged(race(under=1, races=[event(arms=SETTLED)]), exercise())
    assert judgement.verdict is Verdict.UNPROVEN
    assert judgement.safety is not None
    assert judgement.safety.level is Level.UNKNOWN


# --- the build for the race detector ----------------------------------------------------------------------------------


def codes(judgement: Judgement) -> list[str]:
    return sorted(finding.code for finding in judgement.findings)


def test_what_only_the_build_for_the_detector_does_could_not_be_examined():
    crashes = [event("crash", signal="SIGABRT"), event("crash", signal="SIGSEGV", shown=0)]
    judgement = judged(race(harms=crashes), exercise())
    assert (judgement.verdict, codes(judgement)) == (Verdict.UNPROVEN, ["WF626"])
    assert judgement.safety is not None
    assert judgement.safety.level is Level.UNKNOWN


def test_what_the_wheel_does_too_is_said_once():
    crash = event("crash", signal="SIGSEGV", arms=SETTLED)
    judgement = judged(race(harms=[crash]), exercise(harms=[crash]))
    assert (judgement.verdict, codes(judgement)) == (Verdict.DISTINCT, ["WF601"])


def test_a_crash_in_calls_that_race_is_the_packages():
    crash = event("crash", signal="SIGSEGV", arms=SETTLED)
    judgement = judged(race(harms=[crash], races=[event(arms=SETTLED)]), exercise())
    assert (judgement.verdict, codes(judgement)) == (Verdict.DISTINCT, ["WF601", "WF605"])


# --- in words ---------------------------------------------------------------------------------------------------------


def part(judgement: Judgement) -> AbiPart:
    return make_abi_part(judgement)


def test_a_package_says_what_not_to_share():
    crash = event("crash", signal="SIGSEGV", arms=SETTLED)
    judgement = judged(race(under=9, races=[event(arms=SETTLED)]), exercise(harms=[crash]))
    assert judgement.reason == (
        "safe as long as no two threads use the same object: if threads share an object of foo.Box that one of them "
        "changes, the process crashes"
    )
    safety = part(judgement).thread_safety
    assert safety is not None
    assert safety.level is Level.DISTINCT
    rows = {row.name: (row.level, row.needs, row.consequence) for row in safety.callables}
    broken = (Level.DISTINCT, Need.OBJECT, Consequence.CRASH)
    assert rows.pop("foo.Box.get") == rows.pop("foo.Box.put") == broken
    assert set(rows) == set(CALLABLES[:9])
    assert set(rows.values()) == {(Level.SHARED, None, None)}
    assert len(safety.callables[0].findings) == 2
    assert (safety.not_tried, safety.not_tried_count) == ([CALLABLES[9]], 1)


def test_a_package_that_breaks_with_nothing_shared_says_what_to_lock():
    calls = scenario(make=None, natives=["foo.step"])
    wrong = event("wrong", calls=calls, sentences=["foo.step() gave 3, alone it gives 4"])
    judgement = judged(race(), exercise(harms=[wrong]))
    assert judgement.safety is not None
    assert judgement.safety.sentence == (
        "when several threads call foo.step, results are wrong, even if each has objects of its own; "
        "one lock round every such call helps, or calling it from one thread only"
    )
    assert judgement.verdict is Verdict.THREAD_UNSAFE


def test_a_package_in_which_nothing_broke_says_how_much_was_tried():
    safety = judged(race(), exercise()).safety
    assert safety is not None
    assert safety.level is Level.SHARED
    assert safety.sentence == (
        "threads may share its objects: 10 of its 10 native callables were called by several threads, and nothing broke"
    )


def test_of_a_race_of_many_calls_the_type_is_named():
    many = [f"foo.Box.f{number}" for number in range(9)]
    judgement = judged(race(races=[event(calls=scenario(natives=many), arms=SETTLED)]), exercise())
    assert judgement.safety is not None
    assert judgement.safety.callables[0].name == "foo.Box"


def test_with_the_gil_there_is_no_level():
    assert judged(race(), exercise(), abi="cp314").safety is None


@pytest.mark.parametrize(
    ("make", "named"),
    [
        ("foo.Box(4)", ("foo.Box",)),
        ("values.after(foo.Box(4), lambda s: s.put(1))", ("foo.Box",)),
        ("values.own(values.after(foo.load(4), lambda s: s.put(1)))", ("foo.load",)),
        ("values.after(a, lambda s: s.put(1))", ()),
        ("(lambda s: s.part)(foo.Box(4))", ()),
    ],
)
def test_a_fault_of_many_functions_is_named_after_what_makes_the_object(
    make: str, named: tuple[str, ...]
):
    natives = [f"foo.f{number}" for number in range(9)] + ["bar.g"]
    shown = race(races=[event(calls=scenario(make=make, natives=natives), arms=SETTLED)])
    (finding,) = judged(shown, exercise()).findings
    assert finding.threads is not None
    assert finding.threads.names == named
