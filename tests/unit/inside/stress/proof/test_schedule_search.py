"""The search of delays with which a program shows a fault, with runs that are made up."""

import re
import sys
from pathlib import Path

import pytest

from builder.config.catalog import images_dir
from builder.inside.stress import exercise
from builder.inside.stress.play import delays
from builder.inside.stress.play.schedules import KINDS, PLANS, make_plan
from builder.inside.stress.process.interpreter import Interpreter
from builder.inside.stress.proof import schedule_search, script
from builder.inside.stress.proof.script_run import run_script

from .test_reproducer import MadeUp, crashed, scenario


@pytest.fixture(autouse=True)
def library(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Stand for the library that the images have; return its path."""
    path = tmp_path / "schedule.so"
    path.write_bytes(b"")
    monkeypatch.setattr(delays, "LIBRARY", str(path))
    return path


DELAYED = {**scenario("a"), "delays": make_plan(3)}


def test_plans_are_the_same_in_every_run_and_differ_from_one_another():
    plans = [make_plan(seed) for seed in range(PLANS)]
    assert plans == [make_plan(seed) for seed in range(PLANS)]
    assert len({tuple(plan.values()) for plan in plans}) == PLANS
    assert plans[0]["kinds"] != plans[1]["kinds"]


def test_kinds_of_yield_points_have_the_numbers_of_the_library():
    source = (images_dir() / "schedule.c").read_text()
    listed = re.search(r"enum \{ (ALLOCATE.*?) \};", source)
    assert listed is not None
    numbers = re.findall(r"(\w+) = (\d+)", listed[1])
    assert {name.lower(): int(number) for name, number in numbers} == KINDS


def test_what_is_shown_every_time_is_not_delayed():
    prover = MadeUp(lambda trial, _: True)
    counted = schedule_search.count_best(prover, scenario("a"), crashed, 3)
    assert (counted.shown, counted.ran) == (3, 3)
    assert "delays" not in counted.scenario
    assert len(prover.ran) == 3


def test_what_is_shown_by_luck_is_delayed_so_that_it_is_shown_every_time():
    prover = MadeUp(lambda trial, _: trial.get("delays") == make_plan(3) or len(prover.ran) == 2)
    counted = schedule_search.count_best(prover, scenario("a"), crashed, 3)
    assert (counted.shown, counted.ran) == (3, 3)
    assert counted.scenario["delays"] == make_plan(3)


def test_delays_that_show_it_less_often_are_not_kept():
    prover = MadeUp(lambda trial, _: "delays" not in trial and len(prover.ran) != 2)
    counted = schedule_search.count_best(prover, scenario("a"), crashed, 3)
    assert (counted.shown, counted.ran) == (2, 3)
    assert "delays" not in counted.scenario


def test_what_is_not_shown_as_it_is_is_looked_for_with_delays():
    prover = MadeUp(lambda trial, _: trial.get("delays") == make_plan(3))
    assert schedule_search.find_showing(prover, scenario("a"), crashed) == DELAYED
    assert schedule_search.find_showing(MadeUp(lambda *_: False), scenario("a"), crashed) is None


def test_where_the_library_is_missing_nothing_is_delayed(library: Path):
    library.unlink()
    assert schedule_search.find_showing(MadeUp(lambda *_: True), scenario("a"), crashed) is None


def test_without_time_and_under_a_race_detector_nothing_is_delayed():
    late = MadeUp(lambda *_: True, deadline=0.0)
    assert schedule_search.find_showing(late, scenario("a"), crashed) is None
    watched = MadeUp(lambda *_: True)
    watched.interpreter = Interpreter(sys.executable, ".", race=True)
    assert schedule_search.find_showing(watched, scenario("a"), crashed) is None


def test_a_harm_that_takes_delays_is_shown_again_with_them():
    prover = MadeUp(lambda trial, _: trial.get("delays") == make_plan(3))
    proof = exercise.show_again({"what": "crash"}, scenario("a"), prover, 3)
    assert (proof["shown"], proof["ran"]) == (3, 3)
    assert proof["calls"]["delays"] == make_plan(3)
    assert f"delays=Delays({make_plan(3)!r}" in proof["script"]
    assert "Delays" not in proof["short"]


def test_a_harm_that_takes_many_calls_is_shown_again_with_them():
    few = scenario("a")["iterations"]
    prover = MadeUp(lambda trial, _: trial["iterations"] > few)
    proof = exercise.show_again({"what": "crash"}, scenario("a"), prover, 3)
    assert (proof["shown"], proof["ran"]) == (3, 3)
    assert proof["calls"]["iterations"] > few
    assert exercise.show_again({"what": "crash"}, scenario("a"), MadeUp(lambda *_: False), 3) == {
        "shown": 0,
        "ran": 2,
    }


def test_what_races_is_looked_at_with_delays_before_it_counts_as_harmless():
    prover = MadeUp(lambda trial, _: trial.get("delays") == make_plan(3))
    suspect = {**scenario("a"), "id": "1"}
    effort = {"proofs": 1, "times": 3}
    (harm,) = exercise.exercise_suspects([suspect], prover, effort)
    assert (harm["what"], harm["shown"], harm["ran"], harm["steered"]) == ("crash", 3, 3, True)
    assert exercise.exercise_suspects([suspect], MadeUp(lambda *_: False), effort) == []


def test_a_program_with_delays_runs_where_the_library_is_missing(library: Path):
    library.unlink()
    written = script.render(
        {**scenario("s.append(1)"), "delays": make_plan(0)},
        ["json"],
        title="A title",
        name="replay.py",
        rounds=2,
    )
    plain = Interpreter(sys.executable, ".", patience_s=20.0)
    run = run_script(plain, written, set())
    assert run.what <= {"gil"}
    assert "Traceback" not in run.output
