"""What a fault needs: variants that share less, and what they tell."""

from typing import Any

import pytest

from builder.inside.stress.play import harness
from builder.inside.stress.play.events import Event
from builder.inside.stress.play.scenarios import Scenario
from builder.inside.stress.proof import arms


def scenario(name: str = "pair-1", **more: Any) -> Scenario:
    return {
        "id": name,
        "kind": "pair",
        "process": name,
        "make": "pkg.Box(4)",
        "argument": None,
        "rows": [[["s.put(1)", None]]],
        "observe": [],
        "sharing": "shared",
        "threads": 4,
        "iterations": 10,
        **more,
    }


def race(place: str, seen_in: str, **more: Any) -> Event:
    return {
        "what": "race", "scenario": seen_in, "places": [place], "owner": "package", "lock_free": False, "effect": "", "freed": False, **more,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("make", "parts"),
    [
        ("pkg.Encoder(pkg.Dictionary(b'x'), 3)", ("pkg.Encoder(a, 3)", "pkg.Dictionary(b'x')")),
        ("pkg.Encoder(dictionary=pkg.Dictionary(b'x'))", ("pkg.Encoder(dictionary=a)", "pkg.Dictionary(b'x')")),
        ("pkg.connect('x').cursor()", ("a.cursor()", "pkg.connect('x')")),
        ("pkg.Box([1, 2], int('3'), bytes(bytearray(8)))", None),
        ("pkg.Box(io.BytesIO(b'x'))", None),
        ("pkg.Box(lambda: pkg.Box(1))", None),
        ("(lambda s: (s, iter(s)))(pkg.Box(1))", None),
        ("[pkg.Box(1)]", None),
        ("pkg.Box(1)", None),
    ],
)  # fmt: skip
def test_a_component_is_what_the_package_makes_inside_of_another_object(
    make: str, parts: tuple[str, str] | None
):
    assert arms.split_component(make) == parts


@pytest.mark.parametrize(
    ("more", "sharing"),
    [
        ({}, {"private": "private"}),
        ({"sharing": "series"}, {"private": "fresh"}),
        ({"make": "pkg.default()"}, {"private": "separate"}),
        ({"make": "pkg.DEFAULT", "sharing": "fresh"}, {"private": "distinct"}),
        ({"argument": "[1]"}, {"private": "private", "argument": "argument"}),
        ({"argument": "[1]", "make": None}, {"private": "separate"}),
        ({"make": "pkg.A(pkg.B())"}, {"private": "private", "component": "component"}),
        ({"make": None, "sharing": "fresh"}, {}),
        ({"kind": "meeting"}, {}),
    ],
)
def test_variants_share_less(more: dict[str, Any], sharing: dict[str, str]):
    made = arms.make_arms(scenario(**more))
    sharing_less = {
        name: arm["sharing"] for name, arm in made.items() if name not in {"locked", "alone"}
    }
    assert sharing_less == sharing


def test_a_lock_is_held_while_an_object_of_its_own_is_made():
    locked = arms.make_arms(scenario(sharing="fresh"))["locked"]
    assert locked["make"] is None
    assert locked["rows"] == [[["values.locked(lambda: (lambda s: s.put(1))(pkg.Box(4)))", None]]]


def test_of_all_scenarios_with_a_race_the_one_that_shares_least_stands_for_it():
    known = [
        scenario("mixed-1", rows=[[["s.a()", None], ["s.b()", None]]]),
        scenario("pair-2"),
        scenario("private-3", sharing="fresh"),
        scenario("function-4", sharing="fresh", make=None),
    ]
    by_id = {item["id"]: item for item in known}
    seen = [race("f", name) for name in ("mixed-1", "pair-2", "private-3", "function-4")]
    for number, name in enumerate(by_id, 1):
        (fault,) = arms.list_faults(seen[:number], by_id)
        assert fault.scenario == by_id[name]


def test_races_with_one_cause_are_one_fault_and_freed_memory_comes_first():
    known = [scenario("mixed-1", rows=[[["s.a()", None], ["s.b()", None]]]), scenario("pair-2")]
    by_id = {item["id"]: item for item in known}
    side = {"kind": "call", "owner": "", "access": "write", "place": "", "builtin": ""}
    one = {**race("f", "mixed-1"), "sides": [{**side, "function": "pkg.put"}] * 2}
    other = {**race("g", "pair-2"), "sides": [{**side, "function": "pkg.put"}] * 2}
    freed = {**race("h", "mixed-1"), "freed": True}

    first, second = arms.list_faults([one, other, freed], by_id)
    assert first.is_freed
    assert first.places == {("race", "h")}
    assert second.places == {("race", "f"), ("race", "g")}
    assert second.scenario == by_id["pair-2"]

    seen = [race("g", "pair-2/shared/0")]
    assert arms.count_arms(second, seen, ["pair-2/shared/0"]) == {"shared": [1, 1]}


def fault_of(place: str, whole: dict[str, Any]) -> arms.Fault:
    return arms.Fault(places=frozenset({("race", place)}), scenario=whole, is_freed=False)


def test_runs_of_variants_are_counted_for_each_race():
    whole = scenario()
    trials = arms.plan_arms([whole, scenario("function-2", make=None)])
    assert [trial["id"] for trial in trials] == [
        "pair-1/shared/0", "pair-1/private/0", "pair-1/shared/1", "pair-1/private/1",
        "pair-1/locked/0", "pair-1/alone/0", "function-2/locked/0", "function-2/alone/0",
        "pair-1/locked/1", "pair-1/alone/1", "function-2/locked/1", "function-2/alone/1",
    ]  # fmt: skip
    seen = [
        race("f", "pair-1/shared/0"),
        race("f", "pair-1/shared/1"),
        race("g", "pair-1/private/0"),
    ]
    ended = [trial["id"] for trial in trials[:4]]
    assert arms.count_arms(fault_of("f", whole), seen, ended) == {
        "shared": [2, 2],
        "private": [0, 2],
    }
    assert arms.count_arms(fault_of("g", whole), seen, ended) == {
        "shared": [0, 2],
        "private": [1, 2],
    }


def test_nothing_is_called_where_objects_of_their_own_are_one_and_the_same():
    single = object()
    called: list[object] = []

    def run(make: Any, sharing: str) -> int:
        called.clear()
        calls = [[("s", lambda s, a: called.append(s), None)]]
        harness.run_rounds(
            make, lambda: None, calls, [], threads=2, iterations=3, rounds=1, sharing=sharing
        )
        return len(called)

    assert run(lambda: single, "separate") == run(lambda: single, "distinct") == 0
    assert run(object, "separate") == run(object, "distinct") == 6
    assert run(lambda: single, "private") == run(lambda a: [a], "component") == 6
    assert run(object, "argument") == 6


def test_what_is_made_of_a_component_shares_it():
    parts: list[object] = []
    harness.run_rounds(
        lambda a: (a,),
        object,
        [[("s", lambda s, a: parts.append(s[0]), None)]],
        [],
        threads=2,
        iterations=2,
        rounds=1,
        sharing="component",
    )
    assert len(set(map(id, parts))) == 1


@pytest.mark.parametrize(
    ("rows", "iterations"),
    [([["a"]], 40), ([["a"], ["b"]], 20), ([["a", "b"], ["c"], ["d"]], 14)],
    ids=["one row", "two rows", "three rows"],
)
def test_one_thread_makes_as_many_calls_as_all(rows: list[list[str]], iterations: int):
    calls = [[[f"s.{name}()", None] for name in row] for row in rows]
    alone = arms.make_arms(scenario(rows=calls))["alone"]
    assert (alone["threads"], alone["iterations"]) == (1, iterations)
    assert len(alone["rows"]) == 1
