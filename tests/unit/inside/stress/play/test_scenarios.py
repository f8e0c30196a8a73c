"""Plans for a package that stands in for a native one, and the programs that are written of them, compiled and run."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from builder.inside.stress.calls import values
from builder.inside.stress.play import scenarios
from builder.inside.stress.play.crossed import name_other
from builder.inside.stress.proof import script

CALLBACK = values.CALLBACK
KINDS = {
    "first", "function", "functions", "argument", "pair", "mixed", "private", "series", "life", "iterator", "crossed", "meeting",
    "kept", "component", "reentrant", "tour",
}  # fmt: skip

PARCEL = """
import threading
import time

LOCK = threading.RLock()
LOST = False


def double(text):
    return text * 2


def total(items):
    return sum(list(items))


def each(call):
    return call(1)


class Box:
    def __init__(self, size):
        self.size, self.items = size, []

    def put(self, item):
        if LOST:
            known = len(self.items)
            time.sleep(0)
            self.items = [item] * (known + 1)
        else:
            with LOCK:
                self.items.append(item)

    def room(self):
        return self.size

    def merge(self, other):
        with LOCK:
            self.size = max(self.size, other.size)

    def visit(self, call):
        return call(self.size)

    def __len__(self):
        return len(self.items)

    def __iter__(self):
        return iter(self.items)


class Pair:
    def __init__(self, box):
        self.box = box

    def room(self):
        return self.box.room()


class Lid:
    def fits(self, box):
        return box.room() > 1
"""


def operation(
    text: str,
    *native: str,
    result: str | None = None,
    changes: bool = False,
    us: float = 400.0,
    **more: Any,
) -> dict[str, Any]:
    return {
        "text": text,
        "native": list(native),
        "direct": True,
        "result": result,
        "changes": changes,
        "us": us,
        **more,
    }


BOX = "parcel.Box(4)"


def surface() -> dict[str, Any]:
    """Return what would be learnt of the package, as learn.py tells it."""
    box = [
        operation("s.put('ab')", "Box.put", changes=True),
        operation("s.room()", "Box.room", result="4"),
        operation("len(s)", "Box.__len__", result="0"),
        operation("list(itertools.islice(s, 200))", "Box.__iter__", result="[]"),
        operation("iter(s)", "Box.__iter__"),
        operation(f"s.merge({BOX})", "Box.merge", changes=True),
        operation(f"s.visit({CALLBACK})", "Box.visit", result="1"),
        operation("s.put(values.Slow('k'))", "Box.put", changes=True),
        operation("s.put(a)", "Box.put", argument="[1, 2]", mutations="list"),
    ]
    lid = [operation(f"s.fits({BOX})", "Lid.fits", result="True")]
    return {
        "prelude": ["parcel"],
        "callables": ["double", "total", "each", "Box.put", "Box.room", "Box.__len__", "Box.merge", "Box.visit", "Lid.fits"],
        "functions": [
            {"name": "double", "operations": [
                operation("parcel.double('ab')", "double", result="'abab'"), operation("parcel.double(math.floor(2.5))", "double", result="4"),
            ]},
            {"name": "total", "operations": [
                operation("parcel.total([1, 2])", "total", result="3"),
                operation("parcel.total(a)", "total", argument="[1, 2, 3]", mutations="list"),
            ]},
            {"name": "each", "operations": [operation(f"parcel.each({CALLBACK})", "each", result="1")]},
        ],
        "subjects": [
            {"make": BOX, "type": "Box", "operations": box, "observe": ["len(s)"]},
            {"make": "parcel.Box(8)", "type": "Box", "operations": box[:3], "observe": []},
            {"make": "parcel.Lid()", "type": "Lid", "operations": lid, "observe": []},
            {"make": "parcel.Lid", "type": "type", "operations": [], "observe": []},
            {"make": f"parcel.Pair({BOX})", "type": "Pair", "operations": [operation("s.room()", "Pair.room")], "observe": []},
        ],
    }  # fmt: skip


def planned(
    *, seed: int = 1, pairs: int = 8, changed: Callable[[dict[str, Any]], object] = id
) -> list[scenarios.Scenario]:
    learnt = surface()
    changed(learnt)
    return scenarios.plan(learnt, threads=4, seed=seed, pairs=pairs)


def of(kind: str, plan: list[scenarios.Scenario]) -> list[scenarios.Scenario]:
    return [one for one in plan if one["kind"] == kind]


def texts(scenario: scenarios.Scenario) -> list[str]:
    return [text for row in scenario["rows"] for text, _ in row]


def program(scenario: scenarios.Scenario, *, rounds: int = 1, race: bool = False) -> str:
    return script.render(
        scenario, ["parcel"], title="A title", name="replay.py", rounds=rounds, race=race
    )


def test_a_plan_is_the_same_for_the_same_seed():
    assert planned() == planned()
    assert json.dumps(planned()) == json.dumps(planned())
    assert any(planned(seed=1) != planned(seed=other) for other in (2, 3))


def test_every_kind_is_planned_and_ids_are_unique():
    plan = planned()
    assert {one["kind"] for one in plan} == KINDS
    assert len({one["id"] for one in plan}) == len(plan)
    assert json.loads(json.dumps(plan)) == plan


def test_scenarios_keep_to_what_they_promise():
    for one in planned():
        few = {"meeting": {2}, "reentrant": {1, 4}}
        assert one["threads"] in few.get(one["kind"], {4})
        assert one["rows"]
        assert all(one["rows"])
        assert 1 <= one["iterations"] <= 600
        assert one["sharing"] in {"shared", "private", "fresh", "series", "argument"}
        assert one["natives"] == sorted(set(one["natives"]))
        # Who compares answers has to give each thread an object that no other changes.
        if any(result is not None for row in one["rows"] for _, result in row):
            assert one["sharing"] == "fresh"


@pytest.mark.parametrize("pairs", [0, 1, 3, 100])
def test_pairs_are_capped(pairs: int):
    plan = planned(pairs=pairs)
    boxes = [one for one in of("pair", plan) if one["make"] == BOX]
    assert len(boxes) == min(pairs, len(boxes))
    assert len([one for one in of("functions", plan) if len(one["rows"]) == 2]) <= pairs
    assert len(boxes) < 100


def test_what_changes_an_object_is_paired_first():
    def changing(scenario: scenarios.Scenario) -> int:
        return sum(
            any(part in text for part in ("put", "merge"))
            for row in scenario["rows"]
            for text, _ in row[:1]
        )

    first, *_ = of("pair", planned(pairs=2))
    assert changing(first)


def test_two_operations_are_about_the_same_key_where_they_can():
    def called(text: str, *, changes: bool = False) -> dict[str, Any]:
        return {
            "text": text,
            "us": 1.0,
            "result": "1",
            "changes": changes,
            "native": [text[:5]],
            "direct": True,
        }

    operations = [
        called("s.get('a')"), called("s.get(''.join('ab'))"), called("s.get('c', list)"),
        called("s.set('a', 'b')", changes=True), called("s.set('x', ''.join('ab'))", changes=True),
        called("s.set(''.join('ab'), ''.join('cd'))", changes=True),
        called("operator.delitem(s, 'c')", changes=True), called("len(s)"),
    ]  # fmt: skip
    subject = {"type": "T", "make": "m.T()", "operations": operations, "observe": []}
    surface = {"functions": [], "subjects": [subject], "prelude": []}
    pairs = [
        {row[0][0] for row in one["rows"]}
        for one in scenarios.plan(surface, threads=4, seed=1, pairs=99)
        if one["kind"] == "pair"
    ]
    assert {"s.set(''.join('ab'), ''.join('cd'))", "s.get(''.join('ab'))"} in pairs
    assert {"operator.delitem(s, 'c')", "s.get('c', list)"} in pairs
    assert {"len(s)", "s.get('a')"} in pairs


def test_the_same_native_code_meets_itself_once_over_all_objects():
    keys = [tuple(one["natives"]) for one in of("pair", planned(pairs=100))]
    assert len(keys) == len(set(keys))


def test_meetings_are_for_callbacks_alone():
    meetings = of("meeting", planned())
    assert sorted(texts(one)[0] for one in meetings) == ["parcel.each(a)", "s.visit(a)"]
    assert all(
        CALLBACK not in texts(one)[0] and texts(one)[1].startswith("values.join(a, ")
        for one in meetings
    )

    def without(learnt: dict[str, Any]) -> None:
        learnt["functions"].pop()
        learnt["subjects"][0]["operations"] = [
            one for one in learnt["subjects"][0]["operations"] if CALLBACK not in one["text"]
        ]

    assert of("meeting", planned(changed=without)) == []


def test_objects_cross_where_an_argument_is_of_their_own_type():
    crossed = of("crossed", planned())
    assert [texts(one) for one in crossed] == [
        ["(lambda s, o: s.merge(o))(s[0], s[1])", "(lambda s, o: s.merge(o))(s[1], s[0])"]
    ]
    assert crossed[0]["make"] == f"({BOX}, {BOX})"


@pytest.mark.parametrize(
    ("text", "crossed"),
    [
        ("s.merge(pkg.Box(7), 3)", "s.merge(o, 3)"),
        ("s.merge(to=values.after(pkg.Box(1), lambda s: s.put('é')), by=3)", "s.merge(to=o, by=3)"),
        ("operator.iadd(s, pkg.Box(2))", "operator.iadd(s, o)"),
        ("s.merge(pkg.Lid(7))", None),
        ("s.put('pkg.Box(7)')", None),
        ("s.x = 1", None),
    ],
)
def test_an_argument_is_of_the_subjects_type_where_it_is_made_the_same_way(
    text: str, crossed: str | None
):
    """A test of ledgerly: `left.transfer(Account(100), 30)`, where subjects had been used before."""
    make = "values.after(pkg.Box(), lambda s: s.put(1))"
    assert name_other(text, [make], {"pkg.Box"}) == crossed


def test_shared_arguments_are_changed_by_others():
    function, method = of("argument", planned())
    assert (function["make"], function["argument"]) == (None, "[1, 2, 3]")
    assert (method["make"], method["argument"], method["sharing"]) == (BOX, "[1, 2]", "argument")
    for one in (function, method):
        assert "a.clear()" in texts(one)
        assert not any("{" in text for text in texts(one))
    (kept,) = of("kept", planned())
    assert kept["sharing"] == "shared"
    assert {"s.put(a)", "s.room()", "a.clear()"} <= set(texts(kept))
    asking = [text for text, _ in kept["rows"][0]]
    assert asking[:2] == ["s.put(a)", "s.room()"], (
        "what it kept is asked before it keeps something else"
    )
    assert not any(text.startswith("s.put(") and text != "s.put(a)" for text in asking)
    assert not any(one["argument"] for one in planned() if one["kind"] in {"pair", "mixed"})


def test_what_stops_all_threads_does_not_ask_what_was_kept():
    def with_traversal(learnt: dict[str, Any]) -> None:
        for subject in learnt["subjects"]:
            subject["operations"].append(operation("gc.get_referents(s) and None", "traverse"))

    (kept,) = of("kept", planned(changed=with_traversal))
    assert not any("gc." in text for text in texts(kept))


def test_values_change_the_object_that_works_on_them():
    found = of("reentrant", planned())
    assert {one["threads"] for one in found} == {1, 4}
    assert all(texts(one)[0] == "s.put('ab')" for one in found)
    put = f"s.put(values.Reentrant('ab', s, lambda s: s.merge({BOX})))"
    assert put in {text for one in found for text in texts(one)}
    visit = next(text for one in found for text in texts(one) if text.startswith("s.visit("))
    compile(visit, "visit", "eval")


def test_objects_of_each_thread_are_made_of_one():
    (one,) = of("component", planned())
    assert (one["make"], one["argument"]) == (None, BOX)
    assert "(lambda s: s.room())(parcel.Pair(a))" in texts(one)
    assert "(lambda s: s.put('ab'))(a)" in texts(one)


def test_calls_that_stop_all_threads_are_made_less_often():
    def with_referents(learnt: dict[str, Any]) -> None:
        asked = operation("gc.get_referents(s) and None", "Box.__traverse__", us=2.0)
        short = operation("s.room()", "Box.room", us=2.0)
        learnt["subjects"][0]["operations"] = [asked, short]

    for one in of("pair", planned(changed=with_referents, pairs=100)):
        if one["make"] == BOX:
            is_stopping = any("gc." in text for text in texts(one))
            assert (one["iterations"] < 30) == is_stopping


def test_no_kind_comes_last_as_a_whole():
    plan = planned(pairs=100)
    half = {one["kind"] for one in plan[: len(plan) // 2]}
    assert half == KINDS


def test_what_replaces_state_is_beside_what_uses_it_first():
    def with_setter(learnt: dict[str, Any]) -> None:
        setter = [operation("parcel.set(1)", "set", changes=True)]
        learnt["functions"].append({"name": "set", "operations": setter})

    for seed in range(4):
        pairs = of("functions", planned(seed=seed, pairs=3, changed=with_setter))
        assert all("parcel.set(1)" in texts(one) for one in pairs[:3])


def test_of_several_objects_of_a_type_one_stands_for_them():
    plan = planned()
    assert {one["make"] for one in plan if one["kind"] in {"pair", "private", "series"}} == {
        BOX,
        "parcel.Lid()",
        f"parcel.Pair({BOX})",
    }
    assert any(one["make"] == "parcel.Box(8)" for one in of("mixed", plan))


def test_everything_is_called_on_one_object_of_each_type_before_all_else():
    plan = planned()
    tours = [one for one in plan if one["process"].startswith("tour-")]
    assert plan[: len(tours)] == tours
    assert {one["make"] for one in tours} == {None, BOX, "parcel.Lid()", f"parcel.Pair({BOX})"}
    for make in {one["make"] for one in tours}:
        wanted = "function" if make is None else "pair"
        called = [set(one["natives"]) for one in of(wanted, plan) if one["make"] == make]
        toured = [set(one["natives"]) for one in tours if one["make"] == make]
        assert set().union(*called) <= set().union(*toured)
    for tour in tours:
        longest = max(len(row) for row in tour["rows"])
        assert longest <= scenarios._MOST_IN_TOUR
        assert tour["iterations"] >= longest


def test_a_tour_has_a_few_calls_of_each_callable_and_new_objects_again_and_again():
    def with_many(learnt: dict[str, Any]) -> None:
        alike = [operation(f"parcel.set({number})", "set") for number in range(9)]
        others = [operation(f"parcel.f{number}()", f"f{number}") for number in range(70)]
        learnt["functions"] = [{"name": "set", "operations": [*alike, *others]}]

    tours = [one for one in of("tour", planned(changed=with_many)) if one["make"] is None]
    calls = [text for one in tours for text in texts(one)]
    assert len(tours) == 3
    assert [text for text in calls if "set" in text] == ["parcel.set(0)", "parcel.set(1)"]
    assert len(set(calls)) == 72


def test_nothing_learnt_is_nothing_planned():
    assert scenarios.plan({"functions": [], "subjects": []}, threads=4, seed=1, pairs=9) == []


def test_every_program_compiles():
    for one in planned(pairs=100):
        compile(program(one), "replay.py", "exec")


def test_a_program_says_what_is_shared_and_imports_what_it_names():
    text = program(of("function", planned())[0])
    assert text.startswith('"""A title\n')
    assert "import parcel\n" in text
    assert "import subprocess" not in text
    assert "class Slow" not in text
    slow = next(one for one in of("tour", planned()) if "Slow" in str(one["rows"]))
    assert "class Slow" in program(slow)
    assert "lambda s, a: s.put(Slow('k'))," in program(slow)


def test_values_of_the_package_keep_their_name():
    one = {**PUTTING, "rows": [[["parcel.values.Key(values.SlowIndex(1))", None]]]}
    assert "lambda s, a: parcel.values.Key(SlowIndex(1))," in program(one)


def test_a_title_may_hold_anything():
    one = of("pair", planned())[0]
    for title in (
        'race of s.f("a")',
        'it says """ and """',
        "s.f('\\N{x}\\x9')",
        'ends with "',
        "ends with \\",
    ):
        text = script.render(one, ["parcel"], title=title, name="replay.py", rounds=1)
        compile(text, "replay.py", "exec")


def run(text: str, folder: Path) -> subprocess.CompletedProcess[str]:
    (folder / "replay.py").write_text(text)
    (folder / "parcel.py").exists() or (folder / "parcel.py").write_text(PARCEL)
    command = [sys.executable, "-S", "-W", "error", str(folder / "replay.py")]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=folder,
        env={**os.environ, "WHEELFARM_LEAST_S": "0"},
    )


@pytest.mark.parametrize("race", [False, True])
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_program_of_each_kind_runs(tmp_path: Path, kind: str, *, race: bool):
    ended = run(program(of(kind, planned())[0], race=race), tmp_path)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert (
        ended.stdout in {"GIL: on\n", "GIL: off\n"}
        if kind != "first"
        else not ended.stdout.startswith(("WRONG", "EXC"))
    )


PUTTING = {
    "kind": "pair", "make": BOX, "argument": None, "rows": [[["s.put('ab')", None]]], "observe": ["len(s)"], "sharing": "shared",
    "iterations": 200, "threads": 4,
}  # fmt: skip


def test_a_lost_result_is_told(tmp_path: Path):
    assert run(program(PUTTING, rounds=3), tmp_path).returncode == 0
    (tmp_path / "parcel.py").write_text(PARCEL.replace("LOST = False", "LOST = True"))
    ended = run(program(PUTTING, rounds=3), tmp_path)
    assert ended.returncode == 1
    assert ended.stdout.startswith("WRONG: afterwards the subject shows [")
    assert "alone ['800']" in ended.stdout


def test_what_is_done_once_in_a_process_is_told_too(tmp_path: Path):
    wrong = {**PUTTING, "rows": [[["s.room()", "5"]]], "observe": [], "once": True, "iterations": 2}
    ended = run(program(wrong, rounds=2), tmp_path)
    assert ended.returncode == 1
    assert "WRONG: s.room() gave 4, alone it gives 5" in ended.stdout


def test_exceptions_are_told_and_are_no_wrong_results(tmp_path: Path):
    failing = {**PUTTING, "rows": [[["s.missing()", None]]], "observe": [], "iterations": 3}
    ended = run(program(failing), tmp_path)
    assert ended.returncode == 0
    assert (
        "EXCEPTION: AttributeError: 'Box' object has no attribute 'missing' (12 times)"
        in ended.stdout
    )


def test_an_object_is_brought_to_a_state_with_stand_ins_for_what_tests_have(tmp_path: Path):
    make = f"values.after({BOX}, lambda s: s.put(values.Anything()), lambda s: s.missing())"
    amplified = {**PUTTING, "kind": "amplified", "make": make, "rows": [[["len(s)", "1"]]]}
    text = program({**amplified, "observe": []})
    assert "class Anything" in text
    ended = run(text, tmp_path)
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.parametrize(
    "value",
    [
        "values.Reentrant('ab', s, lambda s: s.room())",
        "values.ReentrantItems(s, lambda s: s.room())",
        "values.own(property(lambda owner: 7)).x",
    ],
)
def test_values_that_act_stand_in_programs_with_all_they_need(tmp_path: Path, value: str):
    acting = {**PUTTING, "rows": [[[f"s.put({value})", None]]], "observe": [], "iterations": 3}
    ended = run(program(acting), tmp_path)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "EXCEPTION" not in ended.stdout


def test_what_spoils_an_object_is_played_in_one_thread_alone():
    def operation(name: str) -> dict[str, Any]:
        return {
            "text": f"s.{name}()", "native": [f"pkg.Box.{name}"], "direct": True, "result": None, "changes": True, "us": 1.0,
        }  # fmt: skip

    subject = {
        "make": "pkg.Box(4)",
        "type": "pkg.Box",
        "operations": [operation("size"), operation("put")],
        "observe": [],
        "spoils": [operation("tear")],
    }
    surface = {"functions": [], "subjects": [subject]}
    plan = scenarios.plan(surface, threads=4, seed=1, pairs=10)

    tearing = [scenario for scenario in plan if "s.tear()" in str(scenario["rows"])]
    assert [(scenario["kind"], scenario["threads"]) for scenario in tearing] == [("spoiled", 1)]
    assert [text for text, *_ in tearing[0]["rows"][0]] == ["s.tear()", "s.size()", "s.put()"]
