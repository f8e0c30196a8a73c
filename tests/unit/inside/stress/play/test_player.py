"""Scenarios that are played for real, by the interpreter that runs the tests."""

import _json
import sys
from pathlib import Path
from typing import Any

import pytest

from builder.inside.stress.play import endings
from builder.inside.stress.play.forkserver_process import ForkServer
from builder.inside.stress.play.player import Player, PlayResult, adapt_for_sanitizer
from builder.inside.stress.process.interpreter import Interpreter
from builder.inside.stress.sanitizer.native_names import NativeNames
from tests.unit.inside.stress.sanitizer.sanitizer_reports import BUMP, CALL, OTHER, OURS, PEEK, race

PRELUDE = ["os", "threading"]


def scenario(name: str, text: str, **more: Any) -> dict[str, Any]:
    return {
        "id": name,
        "kind": "function",
        "process": "one",
        "make": "[]",
        "argument": None,
        "rows": [[[text, None]]],
        "observe": [],
        "sharing": "shared",
        "threads": 2,
        "iterations": 4,
        **more,
    }


def play(
    *scenarios: dict[str, Any], seconds: float = 60.0, rounds: int = 1, **more: Any
) -> PlayResult:
    interpreter = Interpreter(sys.executable, "/nowhere", **more)
    player = Player(interpreter, PRELUDE, {OURS}, rounds=rounds, seconds=seconds)
    result = player.play(list(scenarios))
    player.close()
    return result


def test_what_ends_is_noted_with_its_exceptions():
    result = play(scenario("good", "s.append(1)"), scenario("bad", "s.missing"), rounds=3)
    assert result.ended == ["good", "bad"]
    assert result.errors == {"AttributeError: 'list' object has no attribute 'missing'": 2 * 4 * 3}
    assert set(result.seconds) == {"good", "bad"}
    assert (result.events, result.late) == ([], 0)


def test_a_crash_takes_the_other_scenarios_of_its_process_along_only_so_far():
    result = play(
        scenario("before", "s.append(1)"),
        scenario("crash", "os.abort()"),
        scenario("after", "len(s)"),
    )
    assert result.ended == ["before", "after"]
    (event,) = result.events
    assert (event["what"], event["scenario"], event["signal"]) == ("crash", "crash", "SIGABRT")
    assert "Fatal Python error" in event["stack"]


def test_a_group_that_dies_again_and_again_is_given_up():
    dying = [scenario(f"crash {number}", "os.abort()") for number in range(5)]
    result = play(*dying, scenario("other", "len(s)", process="another"))
    assert len(result.events) == 3
    assert result.ended == ["other"]
    assert result.late == 2


@pytest.mark.parametrize(
    ("text", "idle"), [("threading.Event().wait()", True), ("sum(iter(int, 1))", False)]
)
def test_what_goes_on_without_a_sign_of_life_hangs(text: str, *, idle: bool):
    result = play(scenario("hang", text, iterations=1), patience_s=1.0)
    (event,) = result.events
    assert (event["what"], event["scenario"], event["idle"]) == ("hang", "hang", idle)
    assert "most recent call first" in event["stack"]
    assert result.ended == []


@pytest.mark.parametrize("is_race", [False, True])
def test_what_waits_for_ever_is_not_waited_for_any_longer(
    monkeypatch: pytest.MonkeyPatch, *, is_race: bool
):
    monkeypatch.setattr(endings, "_STUCK_S", 0.5)
    stuck = scenario("stuck", "threading.Event().wait()")
    result = play(stuck, scenario("next", "len(s)"), race=is_race, patience_s=600.0)
    (event,) = result.events
    assert (event["what"], event["idle"]) == ("hang", True)
    assert result.ended == ["next"]


def test_what_is_busy_under_a_sanitizer_is_slow():
    result = play(
        scenario("slow", "sum(iter(int, 1))"),
        scenario("next", "len(s)"),
        race=True,
        patience_s=1.0,
    )
    assert result.events == []
    assert result.ended == ["next"]


def test_a_wrong_result_is_an_event():
    rows = [[["[s.append(1), len(s)][1]", "1"]]]
    wrong = scenario("wrong", "", rows=rows, iterations=1)
    (event,) = play(wrong).events
    assert event == {
        "what": "wrong",
        "scenario": "wrong",
        "sentences": ["[s.append(1), len(s)][1] gave 2, alone it gives 1"],
    }


def test_a_report_belongs_to_the_scenario_it_was_written_in():
    """A call writes what a sanitizer would, to standard error."""
    text = race((BUMP,), (PEEK,))
    report = scenario("racy", f"os.write(2, {text!r}.encode())", threads=1, once=True)
    report["iterations"] = 1
    result = play(scenario("silent", "len(s)"), report, scenario("later", "len(s)"), race=True)
    assert result.ended == ["silent", "racy", "later"]
    (event,) = result.events
    assert (event["what"], event["scenario"], event["owner"]) == ("race", "racy", "package")
    assert event["places"] == ["bump (fast.c)", "peek (fast.c)"]
    assert event["report"].startswith("WARNING: ThreadSanitizer")


def test_a_race_through_code_that_is_not_watched_is_not_held_against_the_package():
    text = race((CALL, OTHER, BUMP), (PEEK,))
    report = scenario("racy", f"os.write(2, {text!r}.encode())", threads=1, once=True)
    report["iterations"] = 1
    unwatched = frozenset({"_multidict.cpython-314t-x86_64-linux-gnu.so"})
    (event,) = play(report, race=True, unwatched=unwatched).events
    assert (event["what"], event["owner"]) == ("race", "unwatched")


def test_without_time_everything_is_late():
    assert play(scenario("one", "len(s)"), scenario("two", "len(s)"), seconds=0.0).late == 2


def test_an_interpreter_that_does_not_begin_plays_nothing():
    player = Player(Interpreter("/bin/false", "/nowhere"), [], set(), rounds=1, seconds=20)
    result = player.play([scenario("one", "len(s)")])
    player.close()
    assert (result.ended, result.events) == ([], [])


def test_scenarios_are_shorter_under_a_sanitizer_and_what_is_done_once_is_not():
    plain = scenario("one", "len(s)", iterations=300, observe=["len(s)"])
    assert adapt_for_sanitizer(plain) == {**plain, "iterations": 100, "observe": []}
    assert adapt_for_sanitizer({**plain, "iterations": 12})["iterations"] == 10
    assert adapt_for_sanitizer({**plain, "once": True})["iterations"] == 300
    # A thread makes each of its calls at least once, unless it does not without a sanitizer either.
    many = {**plain, "rows": [[["len(s)", None]] * 130, [["len(s)", None]]]}
    assert adapt_for_sanitizer(many)["iterations"] == 130
    assert adapt_for_sanitizer({**many, "iterations": 60})["iterations"] == 60


def test_a_process_that_has_imported_a_package_says_what_its_functions_are():
    file = Path(_json.__file__)
    interpreter = Interpreter(sys.executable, str(file.parent))
    server = ForkServer(interpreter, ["_json"])
    server.await_start()
    names = NativeNames(server.list_functions())
    listed_again = server.list_functions()
    server.close()

    (listed,) = [one for one in listed_again if one["path"] == str(file)]
    offset = next(row[0] for row in listed["functions"] if row[2] == "_json.scanstring")
    found = names.find(file.name, offset)
    assert found is not None
    assert (found.name, found.kind) == ("_json.scanstring", "function")


def test_races_are_named_once_all_scenarios_were_played():
    """No file of this folder is in memory: names come from the sanitizer's symbols alone."""
    interpreter = Interpreter(sys.executable, "/nowhere")
    player = Player(interpreter, PRELUDE, {OURS}, rounds=1, seconds=60.0)
    player._record_races(race((BUMP,), (PEEK,)), "pair-1")
    (event,) = player.play([]).events
    player.close()
    assert [side["function"] for side in event["sides"]] == ["bump", "peek"]
    assert event["report"].startswith("WARNING: ThreadSanitizer: data race")
