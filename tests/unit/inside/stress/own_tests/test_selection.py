"""Which of a package's own tests and documents are run again."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from builder.inside.stress.own_tests.planner import Planner
from builder.inside.stress.own_tests.pytest_plugin import Plugin, choose_tests
from builder.inside.stress.own_tests.selection import Part, PartLog, read_part, select


def part(name: str, seconds: float, *callables: str, file: str = "test_a.py", opening_s: float = 0):
    return Part(
        file=file,
        name=name,
        seconds=seconds,
        opening_s=opening_s,
        callables=frozenset(callables),
    )


def test_the_cheapest_tests_that_call_everything_are_chosen():
    parts = [
        part("test_slow", 2.0, "feed", "close"),
        part("test_both", 0.1, "feed", "close"),
        part("test_feed", 0.08, "feed"),
    ]
    selection = select(parts, ["test_a.py"], times=1)
    assert selection.to_json() == {
        "steps": [{"file": "test_a.py", "names": ["test_both"]}],
        "callables": ["close", "feed"],
        "ran": ["test_a.py"],
        "banned": [],
    }


def test_what_few_tests_call_comes_first():
    common = [part(f"test_{number}", 0.1, "feed") for number in range(9)]
    selection = select([*common, part("test_rare", 0.1, "reset", file="test_b.py")], [], times=1)
    assert [step["names"] for step in selection.steps] == [["test_rare"], ["test_0"]]


def test_a_file_that_takes_long_to_import_is_opened_where_nothing_else_calls_it():
    parts = [
        part("test_quick", 0.01, "feed", file="test_heavy.py", opening_s=3.0),
        part("test_feed", 0.2, "feed"),
        part("test_only", 0.01, "close", file="test_heavy.py", opening_s=3.0),
    ]
    steps = select(parts, [], times=1).steps
    assert steps == [
        {"file": "test_a.py", "names": ["test_feed"]},
        {"file": "test_heavy.py", "names": ["test_only"]},
    ]


def test_everything_is_tried_once_before_anything_is_tried_twice():
    parts = [
        part("test_1", 0.1, "feed"),
        part("test_2", 0.2, "feed"),
        part("test_3", 0.3, "close", file="test_b.py"),
    ]
    assert [step["names"] for step in select(parts, [], times=2).steps] == [
        ["test_1"],
        ["test_3"],
        ["test_2"],
    ]


def test_what_the_plan_has_reached_is_wanted_once_less():
    parts = [part("test_1", 0.1, "feed"), part("test_2", 0.2, "close")]
    steps = select(parts, [], times=1, covered={"feed"}).steps
    assert [step["names"] for step in steps] == [["test_2"]]
    assert select(parts, [], times=1, covered={"feed", "close"}).steps == []


def test_a_log_tells_what_each_test_called_and_how_long_it_and_its_file_took():
    log = PartLog()
    log.open_file("test_a.py", 1.0)
    log.begin("test_1", 3.0)
    assert log.is_wanted("feed")
    log.note("feed", (1, 2))
    assert not log.is_wanted("feed")
    record = log.end(3.5)
    assert read_part(record) == part("test_1", 0.5, "feed", opening_s=2.0)

    log.begin("test_2", 4.0)
    assert log.end(5.0) is None  # it called nothing


def test_a_call_that_raises_does_not_count_and_the_same_elsewhere_does():
    log = PartLog()
    log.begin("test_1", 0.0)
    log.note("feed", (1, 2))
    log.note("close", (1, 4))
    log.forget((1, 2))
    log.forget((1, 4))
    assert log.is_wanted("feed")
    log.note("feed", (1, 6))
    assert (log.end(1.0) or {})["callables"] == ["feed"]


def test_a_log_looks_at_no_call_outside_of_a_test():
    log = PartLog()
    assert not log.is_wanted("feed")
    log.begin("test_1", 0.0)
    assert log.is_wanted("feed")
    log.end(1.0)
    assert not log.is_wanted("feed")


def test_a_log_looks_at_few_calls_of_one_callable_and_tells_of_few_tests_like_one_another():
    log = PartLog()
    log.begin("test_1", 0.0)
    assert sum(log.is_wanted("feed") for _ in range(1000)) < 10

    told = 0
    for number in range(100):
        log.begin(f"test_{number}", 0.0)
        log.note("feed", (1, 2))
        told += log.end(1.0) is not None
    assert 1 < told < 20


@pytest.mark.parametrize(
    "record",
    [
        None,
        {"file": "a", "name": 1, "seconds": 1, "opening_s": 0, "callables": []},
        {"file": "a", "name": "x" * 10_000, "seconds": 1, "opening_s": 0, "callables": []},
        {"file": "a", "name": "b", "seconds": 1, "opening_s": 0, "callables": "no"},
    ],
)
def test_a_record_of_another_form_is_no_part(record: object):
    assert read_part(record) is None


def test_chosen_tests_run_in_the_order_of_the_choice():
    items: list[Any] = [SimpleNamespace(nodeid=f"tests/test_a.py::T::test_{n}") for n in "abc"]
    session: Any = SimpleNamespace()
    Plugin(session, ["T::test_c", "T::test_gone", "T::test_a"]).pytest_collection_modifyitems(items)
    assert [item.nodeid[-1] for item in items] == ["c", "a"]


def test_where_none_of_the_chosen_tests_is_there_all_are_run():
    assert choose_tests(["test_a", "test_b"], ["test_gone"]) == ["test_a", "test_b"]
    assert choose_tests(["test_a", "test_b"], None) == ["test_a", "test_b"]


def test_time_is_kept_for_callables_that_are_yet_to_come():
    def count_trials(awaited: list[str]) -> int:
        planner = Planner(awaited)
        for number in range(40):
            if planner.is_due("first", [], number / 100):
                planner.note_trial("first", [])
        return planner.forks["first"]

    assert count_trials([]) == 4
    assert count_trials(["first"]) == 4
    assert count_trials(["first", *(f"other{number}" for number in range(50))]) == 1
