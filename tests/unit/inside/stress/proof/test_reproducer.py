"""Making a program smaller, and finding out what it needs, with runs that are made up."""

import sys
from collections.abc import Callable
from typing import Any

import pytest

from builder.inside.stress.play.player import PlayResult
from builder.inside.stress.play.scenarios import Scenario
from builder.inside.stress.process.interpreter import Interpreter
from builder.inside.stress.proof.reproducer import Prover
from builder.inside.stress.proof.script_run import Run
from builder.inside.supervise.work_clock import CLOCK

NOTHING = Run(frozenset(), {}, "")
CRASH = Run(frozenset({"crash"}), {}, "", "SIGSEGV")


class MadeUp(Prover):
    """A prover whose runs crash where a function of the scenario and its environment says so."""

    def __init__(self, crashes: Callable[[Scenario, dict[str, str]], bool], **more: Any) -> None:
        settings = {"rounds": 1, "deadline": CLOCK.now() + 60, **more}
        super().__init__(Interpreter(sys.executable, "."), [], set(), **settings)
        self.crashes = crashes
        self.ran: list[Scenario] = []

    def run(self, scenario: Scenario, **environment: str) -> Run:
        self.ran.append(scenario)
        return CRASH if self.crashes(scenario, environment) else NOTHING


def scenario(*rows: str, **more: Any) -> Scenario:
    return {
        "kind": "pair",
        "make": "[]",
        "argument": None,
        "rows": [[[text, None] for text in row.split()] for row in rows],
        "observe": ["len(s)"],
        "sharing": "shared",
        "threads": 4,
        "iterations": 10,
        **more,
    }


def texts(scenario: Scenario) -> list[str]:
    return [" ".join(text for text, _ in row) for row in scenario["rows"]]


def crashed(run: Run) -> bool:
    return "crash" in run.what


def test_calls_that_are_not_needed_go():
    prover = MadeUp(lambda trial, _: "c" in " ".join(texts(trial)))
    assert texts(prover.shrink(scenario("a b c d", "e f"), crashed)) == ["c"]


def test_two_rows_that_are_both_needed_stay():
    prover = MadeUp(lambda trial, _: {"a", "d"} <= set(" ".join(texts(trial)).split()))
    assert texts(prover.shrink(scenario("a b", "c d"), crashed)) == ["a", "d"]


def test_what_cannot_be_smaller_stays_as_it_is():
    whole = scenario("a")
    prover = MadeUp(lambda trial, _: True)
    assert prover.shrink(whole, crashed) is whole
    assert prover.ran == []


def test_a_pair_is_tried_as_one_call_against_itself():
    prover = MadeUp(lambda trial, _: "b" in " ".join(texts(trial)))
    assert texts(prover.shrink(scenario("a", "b"), crashed)) == ["b"]


def test_calls_of_the_functions_at_fault_are_tried_first():
    calls = [f"s.m{number}(1)" for number in range(30)]
    whole = scenario(" ".join(calls), " ".join(reversed(calls)))
    prover = MadeUp(lambda trial, _: "s.m17(1)" in " ".join(texts(trial)))
    small = prover.shrink(whole, crashed, ["pkg.Table.m17", "pkg.Table.m3"])
    assert texts(small) == ["s.m17(1)"]
    assert len(prover.ran) == 1


def test_two_functions_at_fault_are_tried_against_each_other():
    needed = {"operator.getitem(s,1)", "s.clear()"}
    whole = scenario("s.a() operator.getitem(s,1) s.b()", "s.c() s.clear() s.d()")
    prover = MadeUp(lambda trial, _: needed <= set(" ".join(texts(trial)).split()))
    small = prover.shrink(whole, crashed, ["pkg.Table.__getitem__", "pkg.Table.clear"])
    assert texts(small) == ["operator.getitem(s,1)", "s.clear()"]


def test_a_short_program_is_run_before_it_is_sent_to_anyone():
    prover = MadeUp(lambda trial, _: True, rounds=3)
    tried = prover.try_short(
        scenario("s.append(1)"), "A crash.", lambda run: "GIL" not in run.output
    )
    assert tried["short_shown"] == [2, 2]
    lines = tried["short"].splitlines()
    assert len(lines) <= 36
    assert "threading.Barrier(THREADS)" in tried["short"]
    assert tried["short"].startswith('"""A crash.')
    compile(tried["short"], "short.py", "exec")


@pytest.mark.parametrize(
    "more",
    [{"kind": "meeting"}, {"once": True}, {"sharing": "series"}, {"rows": [[["s.a()", None]] * 9]}],
)
def test_calls_that_are_not_simple_have_no_short_program(more: dict[str, Any]):
    prover = MadeUp(lambda trial, _: True)
    assert prover.try_short(scenario("a", **more), "A crash.", crashed) == {}


def test_smaller_programs_are_tried_ten_times_at_most():
    prover = MadeUp(lambda trial, _: False)
    whole = scenario(" ".join("abcdefgh"), *["x y"] * 8)
    assert prover.shrink(whole, crashed) is whole
    assert len(prover.ran) == 10


def test_what_is_late_is_not_made_smaller_and_is_counted_twice_where_it_shows_the_fault():
    prover = MadeUp(lambda trial, _: True, deadline=CLOCK.now() - 1)
    whole = scenario("a b", "c d")
    assert prover.shrink(whole, crashed) is whole
    assert prover.count(whole, crashed, 5) == (whole, 2, 2, CRASH)
    silent = MadeUp(lambda trial, _: False, deadline=CLOCK.now() - 1)
    assert silent.count(whole, crashed, 5) == (whole, 0, 1, None)


def test_what_cannot_be_shown_leaves_time_for_others(monkeypatch: pytest.MonkeyPatch):
    """A crash in memory that was damaged before took all the time of the races that had damaged it."""
    now = CLOCK.now()
    prover = MadeUp(lambda trial, _: True, deadline=now + 60)

    for waiting, spent, late in [(5, 0, False), (5, 21, True), (1, 21, False), (1, 42, True), (0, 59, False), (0, 61, True)]:  # fmt: skip
        monkeypatch.setattr(CLOCK, "now", lambda spent=spent: now + spent)
        if not late:
            prover.begin_turn(waiting)
        assert prover.is_late() is late


def test_how_often_it_showed_and_ran():
    turns = iter([True, False, True])
    prover = MadeUp(lambda trial, _: next(turns))
    whole = scenario("a")
    assert prover.count(whole, crashed, 3) == (whole, 2, 3, CRASH)


def test_variants_tell_what_it_needs():
    prover = MadeUp(lambda trial, environment: trial["threads"] > 1 and not environment)
    whole = scenario("a b", "c")
    assert prover.variants(whole, crashed, 2, [3, 4]) == {
        "shared": [3, 4],
        "private": [2, 2],
        "alone": [0, 2],
        "reading": [2, 2],
        "locked": [2, 2],
        "gil": [0, 2],
    }
    private, alone, reading, locked, gil = prover.ran[::2]
    assert texts(reading) == ["len(s)"]
    assert (private["sharing"], private["observe"]) == ("separate", [])
    assert (alone["threads"], texts(alone)) == (1, ["a b c"])
    assert locked["rows"][1] == [["values.locked(lambda: (c))", None]]
    assert whole is gil


def test_of_what_is_late_only_what_decides_is_tried():
    prover = MadeUp(lambda trial, _: True, deadline=CLOCK.now() - 1)
    assert prover.variants(scenario("a"), crashed, 2, [1, 1]) == {
        "shared": [1, 1],
        "private": [1, 1],
        "alone": [1, 1],
    }


@pytest.mark.parametrize(
    ("more", "names"),
    [
        ({"kind": "meeting"}, ["shared", "reading", "gil"]),
        ({"observe": []}, ["shared", "private", "alone", "locked", "gil"]),
        ({"make": None, "observe": []}, ["shared", "alone", "locked", "gil"]),
    ],
)
def test_variants_that_would_tell_nothing_are_left_out(more: dict[str, Any], names: list[str]):
    prover = MadeUp(lambda trial, _: False)
    assert list(prover.variants(scenario("a", **more), crashed, 1, [1, 1])) == names


def test_a_program_imports_first_what_has_to_be_imported_before_the_package():
    prover = Prover(
        Interpreter(sys.executable, "."),
        ["early", "late", "late.core"],
        set(),
        rounds=1,
        deadline=CLOCK.now() + 60,
        companions=["early"],
    )
    program = prover.render_script(scenario("late.core.f()"), "trial")
    assert "\nimport early\nimport late\nimport late.core\n" in program


def test_what_some_runs_show_is_given_more_rounds():
    ran: list[int] = []

    def shows(trial: Scenario, _: dict[str, str]) -> bool:
        ran.append(trial.get("rounds", 0))
        return trial.get("rounds", 0) > 5 or len(ran) == 1

    prover = MadeUp(shows, rounds=3)
    settled = prover.settle(scenario("a"), crashed, 3)
    assert (settled.scenario["rounds"], settled.shown, settled.ran) == (12, 3, 3)
    assert ran == [0, 0, 0, 12, 12, 12]
    assert f"ROUNDS = int(sys.argv[1]) if len(sys.argv) > 1 else {12}" in prover.render_script(
        settled.scenario, "A crash."
    )


def test_what_every_run_shows_keeps_its_rounds():
    settled = MadeUp(lambda trial, _: True).settle(scenario("a"), crashed, 3)
    assert "rounds" not in settled.scenario
    assert (settled.shown, settled.ran) == (3, 3)


class Forking:
    """Stands in for a player, whose forked processes show a race where a call is made."""

    def __init__(self) -> None:
        self.played: list[Scenario] = []

    def play_more(self, trials: list[Scenario], *, rounds: int, seconds: float) -> PlayResult:
        assert rounds == 1
        assert seconds > 0
        self.played += trials
        event = {"what": "race", "owner": "package", "places": ["f (x.c)"], "locations": []}
        return PlayResult(events=[event] if "c" in " ".join(texts(trials[0])) else [])


def test_what_is_only_made_smaller_is_played_in_forked_processes():
    player: Any = Forking()
    prover = MadeUp(lambda trial, _: False, player=player)
    small = prover.shrink(scenario("a b c d", "e f"), lambda run: ("f (x.c)",) in run.races)
    assert texts(small) == ["c"]
    assert prover.ran == []
    assert len(player.played) > 1
