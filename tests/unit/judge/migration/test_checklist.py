"""What is on record of an application says which steps of its move are done, and what is next."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from builder.judge.migration.checklist import check_move
from builder.judge.migration.commands import Commands
from builder.judge.migration.facts import (
    GateObjection,
    MatrixPlace,
    MoveFacts,
    Objection,
    Observation,
    ReleaseFacts,
    TrialFacts,
    WaitingRelease,
)
from builder.judge.migration.model import State, Step, StepResult
from builder.verdicts import ApplicationVerdict, Verdict

COMMANDS = Commands(application="shop", lock=("uv.lock",))
FOO = ReleaseFacts(
    name="foo",
    version="1.0",
    outlook="ready as pinned",
    package="foo",
    verdict=Verdict.COMPATIBLE,
    has_wheel=True,
    canary_since="2026-01-01 00:00 UTC",
    is_served=True,
)
BAR = replace(FOO, name="bar", package="bar", canary_since="2026-01-02 00:00 UTC")
READY = TrialFacts(verdict=ApplicationVerdict.READY, reason="it runs")
MEASURED = Observation(state=State.DONE, evidence=("p99 is the same",))

DONE = MoveFacts(
    application="shop",
    abi="cp314t",
    releases=(FOO, BAR),
    bases=("debian-12",),
    commands=COMMANDS,
    surveyed_at="2026-01-01 00:00 UTC",
    judged_at="2026-01-01T00:00:00Z",
    trials={"debian-12": READY},
    tried_lock=frozenset({("foo", "1.0"), ("bar", "1.0")}),
    observations={Step.MEASURE: MEASURED, Step.SOAK: MEASURED},
    has_rollout=True,
    has_canary=True,
)
"""A move of which every step is done."""


def ask(step: Step, **changes: Any) -> StepResult:
    """Return what is said of a step where some facts are others than in `DONE`."""
    checklist = check_move(replace(DONE, **changes))
    return next(result for result in checklist.results if result.step is step)


def foo(**changes: Any) -> tuple[ReleaseFacts, ReleaseFacts]:
    """Return the releases of the lock, with another foo."""
    return replace(FOO, **changes), BAR


def test_where_all_is_on_record_every_step_is_done():
    checklist = check_move(DONE)
    assert [result.step for result in checklist.results] == list(Step)
    assert checklist.steps_in(State.DONE) == list(Step)
    assert checklist.next is None
    assert all(not result.commands for result in checklist.results)
    assert all(result.evidence for result in checklist.results)


def test_where_nothing_is_on_record_the_survey_is_next():
    nothing = ReleaseFacts(name="foo", version="1.0", place=MatrixPlace.MISSING)
    facts = MoveFacts(
        application="shop",
        abi="cp314t",
        releases=(nothing,),
        bases=("debian-12",),
        commands=COMMANDS,
    )
    checklist = check_move(facts)
    assert checklist.steps_in(State.DONE) == []
    assert checklist.steps_in(State.UNAVAILABLE) == [Step.MEASURE, Step.SOAK]
    assert checklist.next is not None
    assert (checklist.next.step, checklist.next.commands) == (
        Step.SURVEY,
        ("wheelfarm survey uv.lock",),
    )


def test_what_the_farm_cannot_do_is_never_next():
    checklist = check_move(replace(DONE, observations={}, has_rollout=False))
    assert checklist.next is not None
    assert checklist.next.step is Step.CANARY

    checklist = check_move(replace(DONE, observations={}))
    assert checklist.next is None
    assert checklist.steps_in(State.UNAVAILABLE) == [Step.MEASURE, Step.SOAK]


# --- survey -----------------------------------------------------------------------------------------------------------


def test_a_survey_counts_what_upstream_has_whatever_that_is():
    result = ask(Step.SURVEY, releases=foo(outlook="blocked"))
    assert result.state is State.DONE
    assert "1 blocked, 1 ready as pinned" in result.evidence[0]


def test_a_survey_of_another_lock_is_not_enough():
    result = ask(Step.SURVEY, releases=foo(outlook=""))
    assert (result.state, result.commands) == (State.OPEN, ("wheelfarm survey uv.lock",))
    assert "does not have 1 of 2 releases of its lock: foo 1.0" in result.evidence[0]

    nothing = ask(Step.SURVEY, releases=foo(outlook=""), surveyed_at="")
    assert nothing.evidence == ("no survey of its lock is on record",)


# --- build ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "commands"),
    [
        (MatrixPlace.MISSING, ("wheelfarm add --all uv.lock", "wheelfarm run")),
        (MatrixPlace.OTHER_RELEASE, ("wheelfarm add --all --update uv.lock", "wheelfarm run")),
        (MatrixPlace.HERE, ("wheelfarm run",)),
    ],
    ids=["missing", "other", "here"],
)
def test_what_was_not_built_is_added_where_the_matrix_lacks_it_and_then_built(
    place: MatrixPlace, commands: tuple[str, ...]
):
    result = ask(Step.BUILD, releases=foo(place=place, verdict=None, has_wheel=False))
    assert (result.state, result.commands) == (State.OPEN, commands)
    assert "foo 1.0" in result.evidence[0]
    assert "bar" not in result.evidence[0]


def test_another_release_and_a_missing_one_take_one_command():
    other = replace(FOO, place=MatrixPlace.OTHER_RELEASE, verdict=None)
    missing = replace(BAR, place=MatrixPlace.MISSING, verdict=None)
    result = ask(Step.BUILD, releases=(other, missing))
    assert result.commands == ("wheelfarm add --all --update uv.lock", "wheelfarm run")
    assert len(result.evidence) == 2


def test_a_build_that_failed_says_why_and_where_to_read_on():
    failed = foo(
        verdict=Verdict.BUILD_FAILURE, has_wheel=False, reason="no foo.h", package="foo==1.0"
    )
    result = ask(Step.BUILD, releases=failed)
    assert (result.state, result.commands) == (State.FAILED, ("wheelfarm show foo==1.0",))
    assert result.evidence == ("foo 1.0 is build-failure on cp314t: no foo.h",)


def test_a_build_that_could_not_be_told_is_no_failure():
    result = ask(Step.BUILD, releases=foo(verdict=Verdict.UNDETERMINED, has_wheel=False))
    assert (result.state, result.commands) == (State.UNDETERMINED, ("wheelfarm run",))


def test_of_many_failures_the_first_are_told_with_their_reason():
    failed = replace(FOO, verdict=Verdict.BUILD_FAILURE, has_wheel=False)
    releases = tuple(replace(failed, name=f"p{number}") for number in range(5))
    result = ask(Step.BUILD, releases=releases)
    assert len(result.evidence) == 4
    assert result.evidence[-1] == "nor is there a wheel of p3 1.0, p4 1.0"


@pytest.mark.parametrize(
    ("is_damaged", "said"),
    [(False, "no whole run is on record"), (True, "verdicts.json is damaged")],
    ids=["absent", "damaged"],
)
def test_a_run_that_cannot_be_read_counts_as_none(*, is_damaged: bool, said: str):
    changes: dict[str, Any] = {
        "releases": foo(verdict=None, has_wheel=False),
        "judged_at": "",
        "is_run_damaged": is_damaged,
        "trials": {},
    }
    for step in (Step.BUILD, Step.VERDICT):
        result = ask(step, **changes)
        assert result.state is State.OPEN
        assert said in result.evidence[0]


# --- verdict ----------------------------------------------------------------------------------------------------------


def test_a_verdict_counts_what_its_packages_have():
    result = ask(
        Step.VERDICT,
        releases=foo(verdict=Verdict.DISTINCT),
        trials={
            "debian-12": TrialFacts(verdict=ApplicationVerdict.READY_WITH_RISKS, reason="", risks=3)
        },
    )
    assert result.state is State.DONE
    assert "ready with risks on debian-12 (3 to be known)" in result.evidence[0]
    assert result.evidence[1] == "its packages on cp314t: 1 compatible, 1 distinct"


@pytest.mark.parametrize(
    ("verdict", "state", "command"),
    [
        (ApplicationVerdict.BLOCKED, State.FAILED, "wheelfarm app shop"),
        (ApplicationVerdict.UNDETERMINED, State.UNDETERMINED, "wheelfarm run"),
    ],
)
def test_one_base_decides(verdict: ApplicationVerdict, state: State, command: str):
    bad = TrialFacts(verdict=verdict, reason="no libfoo", way_out="install libfoo1")
    result = ask(
        Step.VERDICT,
        bases=("debian-12", "ubuntu-24.04"),
        trials={"debian-12": READY, "ubuntu-24.04": bad},
    )
    assert (result.state, result.commands) == (state, (command,))
    assert result.evidence == ("ubuntu-24.04: no libfoo",)
    assert result.advice == ("install libfoo1" if state is State.FAILED else "")


def test_a_base_that_it_was_not_tried_on_is_still_to_do():
    result = ask(Step.VERDICT, bases=("debian-12", "debian-13"))
    assert (result.state, result.commands) == (State.OPEN, ("wheelfarm run",))
    assert "debian-13" in result.evidence[0]


@pytest.mark.parametrize("lock", [None, frozenset({("foo", "0.9"), ("bar", "1.0")})])
def test_a_verdict_about_another_lock_says_nothing(lock: frozenset[tuple[str, str]] | None):
    result = ask(Step.VERDICT, tried_lock=lock)
    assert (result.state, result.commands) == (State.OPEN, ("wheelfarm run",))
    assert "another lock" in result.evidence[0]


# --- measure and soak -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [Step.MEASURE, Step.SOAK])
def test_what_nobody_measured_names_a_command_only_where_there_is_one(step: Step):
    without = ask(step, observations={})
    assert (without.state, without.commands) == (State.UNAVAILABLE, ())
    assert "cannot" in without.advice

    able = replace(COMMANDS, matrix=("--matrix", "m.toml"), measuring={step: ("show", "shop")})
    result = ask(step, observations={}, commands=able)
    assert (result.state, result.commands) == (
        State.OPEN,
        ("wheelfarm show shop --matrix m.toml",),
    )


def test_a_measurement_that_speaks_against_the_move_is_next():
    worse = Observation(state=State.FAILED, evidence=("p99 is 9 % worse",))
    checklist = check_move(replace(DONE, observations={Step.MEASURE: worse, Step.SOAK: MEASURED}))
    assert checklist.next is not None
    assert (checklist.next.step, checklist.next.evidence) == (Step.MEASURE, worse.evidence)


# --- canary -----------------------------------------------------------------------------------------------------------


def test_without_a_rollout_the_table_is_what_is_missing():
    result = ask(Step.CANARY, has_rollout=False)
    assert (result.state, result.commands) == (State.OPEN, ("wheelfarm run",))
    assert "`[rollout]`" in result.advice

    no_channel = ask(Step.CANARY, has_canary=False)
    assert (no_channel.state, no_channel.commands) == (State.OPEN, ("wheelfarm run",))


def test_a_canary_that_is_complete_says_since_when_and_how_to_install_from_it():
    result = ask(Step.CANARY)
    assert "the last since 2026-01-02 00:00 UTC" in result.evidence[0]
    assert "constraints/canary/cp314t.txt" in result.advice


def test_what_policy_holds_back_is_a_failure_and_what_no_run_published_is_not():
    held = ask(Step.CANARY, releases=foo(canary_since="", verdict=Verdict.RACY, reason="a race"))
    assert (held.state, held.commands) == (State.FAILED, ("wheelfarm show foo",))
    assert held.evidence == ("foo 1.0 is not admitted: racy on cp314t: a race",)

    missing = ask(Step.CANARY, releases=foo(canary_since="", has_wheel=False))
    assert (missing.state, missing.commands) == (State.OPEN, ("wheelfarm run",))


# --- promote ----------------------------------------------------------------------------------------------------------


def waits(kind: Objection, name: str = "foo==1.0") -> WaitingRelease:
    objection = GateObjection(gate="age", kind=kind, reason="too young")
    return WaitingRelease(name=name, objections=(objection,))


def test_what_passes_every_gate_is_promoted_by_name():
    names = ("foo==1.0", "bar==1.0")
    result = ask(Step.PROMOTE, waiting=tuple(WaitingRelease(name=name) for name in names))
    assert (result.state, result.commands) == (
        State.OPEN,
        ("wheelfarm promote foo==1.0 bar==1.0",),
    )


@pytest.mark.parametrize(
    ("kind", "state"),
    [
        (Objection.WAITS, State.OPEN),
        (Objection.LACKS, State.OPEN),
        (Objection.REFUSES, State.FAILED),
    ],
)
def test_a_gate_that_refuses_is_told_once_for_all_that_it_refuses(kind: Objection, state: State):
    result = ask(Step.PROMOTE, waiting=(waits(kind), waits(kind, "bar==1.0")))
    assert (result.state, result.commands) == (state, ("wheelfarm promote --list",))
    assert result.evidence == ("gate age: too young: foo==1.0, bar==1.0",)
    assert bool(result.advice) == (kind is Objection.WAITS)


def test_what_passes_is_promoted_though_others_wait():
    passing = WaitingRelease(name="bar==1.0")
    result = ask(Step.PROMOTE, waiting=(waits(Objection.REFUSES), passing))
    assert result.state is State.FAILED
    assert result.commands == ("wheelfarm promote --list", "wheelfarm promote bar==1.0")


def test_what_is_in_no_channel_comes_by_a_run():
    result = ask(Step.PROMOTE, releases=foo(is_served=False, canary_since=""))
    assert (result.state, result.commands) == (State.OPEN, ("wheelfarm run",))
    assert "`simple/` lacks foo 1.0, which `canary/` has to have first" in result.evidence[0]


def test_a_promotion_says_who_did_it_and_the_way_back():
    result = ask(Step.PROMOTE, last_promotion="the last promotion was by ada")
    assert result.evidence[1] == "the last promotion was by ada"
    assert "`wheelfarm rollback`" in result.advice

    without = ask(Step.PROMOTE, has_rollout=False)
    assert without.state is State.DONE
    assert "without a canary" in without.evidence[0]


# --- commands ---------------------------------------------------------------------------------------------------------


def test_commands_name_what_is_not_the_default_and_quote_it():
    commands = Commands(
        application="shop",
        lock=("--extra", "pg", "my app/uv.lock"),
        matrix=("--matrix", "m.toml"),
        wheelhouse=("--wheelhouse", "w"),
    )
    assert commands.survey == "wheelfarm survey --extra pg 'my app/uv.lock' --wheelhouse w"
    assert (
        commands.add
        == "wheelfarm add --all --extra pg 'my app/uv.lock' --matrix m.toml --wheelhouse w"
    )
    assert commands.run == "wheelfarm run --matrix m.toml --wheelhouse w"
    assert commands.explain == "wheelfarm app shop --wheelhouse w"
    assert commands.promote(["a==1"]) == "wheelfarm promote a==1 --matrix m.toml --wheelhouse w"
    assert commands.roll_back == "wheelfarm rollback --wheelhouse w"
