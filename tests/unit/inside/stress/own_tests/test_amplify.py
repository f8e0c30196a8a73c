"""What own tests and examples do, amplified: which calls are tried, how they are written down, what is made of it."""

from __future__ import annotations

import io
import math
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from builder.inside.stress.calls import snippets, values
from builder.inside.stress.calls.live_calls import CallReader, LiveCall
from builder.inside.stress.calls.recording import Recorder
from builder.inside.stress.own_tests import amplified_tests, amplify, live_trial
from builder.inside.stress.own_tests.amplifier import Amplifier
from builder.inside.stress.own_tests.planner import Planner
from builder.inside.stress.play import reached
from builder.inside.stress.process.interpreter import Interpreter
from builder.inside.supervise.records import Records

MARK = "abc"
PLAIN = Interpreter("python", "/site")
RACE = Interpreter("python", "/site", race=True)


class Parser:
    """Stands in for a native type."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.fed: list[bytes] = []

    def feed(self, data: bytes, *, last: bool = False) -> int:
        self.fed.append(data)
        return len(self.fed)


def making(size: object) -> LiveCall:
    return LiveCall(
        name="pkg.Parser",
        text="pkg.Parser({})",
        function=Parser,
        receiver=None,
        is_bound=False,
        arguments=(size,),
        keywords={},
        makes=Parser,
    )


def feeding(parser: Parser, *given: object, **named: object) -> LiveCall:
    return LiveCall(
        name="pkg.Parser.feed",
        text="s.feed({})",
        function=Parser.feed,
        receiver=parser,
        is_bound=False,
        arguments=given,
        keywords=dict(named),
        makes=None,
    )


# --- which calls are tried ------------------------------------------------------


def test_a_call_is_tried_when_it_is_met_first_and_at_a_few_later_ones():
    planner = Planner()
    tried = []
    for number in range(1, 40):
        if planner.is_due("f", [], 0.0):
            planner.note_trial("f", [])
            tried.append(number)
    assert tried == [1, 3, 9, 27]


def test_pairs_that_were_not_tried_are_worth_another():
    planner = Planner()
    assert planner.is_due("f", [], 0.0)
    planner.note_trial("f", [])
    assert not planner.is_due("f", ["g"], 0.0)
    assert planner.is_due("f", ["g", "h"], 0.0)
    assert planner.choose("f", ["g", "h"]) == ["g", "h"]
    planner.note_trial("f", ["g"])
    assert planner.choose("f", ["g", "h"]) == ["h", "g"]


def test_what_waits_by_design_is_tried_no_more():
    planner = Planner()
    planner.ban("get")
    assert not planner.is_due("get", [], 0.0)
    assert planner.choose("put", ["get", "size"]) == ["size"]


@pytest.mark.parametrize(("spent", "tried"), [(0.6, ["new"]), (0.9, ["new"]), (1.0, [])])
def test_late_only_the_rarest_is_tried(spent: float, tried: list[str]):
    planner = Planner()
    planner.is_due("old", [], 0.0)
    planner.note_trial("old", [])
    planner.is_due("old", [], 0.0)
    assert [name for name in ("old", "new") if planner.is_due(name, [], spent)] == tried


# --- how calls are written down ------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ([1, "a", (2,)], "[1, 'a', (2,)]"),
        ({"a": {1}}, "{'a': {1}}"),
        (set(), "set()"),
        (frozenset({2}), "frozenset([2])"),
        (bytearray(b"ab"), "bytearray(b'ab')"),
        (memoryview(b"ab"), "memoryview(b'ab')"),
        (math.inf, "float('inf')"),
        (io.BytesIO(b"ab"), "io.BytesIO(b'ab')"),
        (int, "int"),
        (object(), None),
        ("x" * 5000, None),
        (list(range(500)), None),
    ],
)
def test_values_are_written_as_expressions(value: object, text: str | None):
    assert Recorder({}).write(value) == text


def test_an_object_is_written_as_what_made_it_and_what_was_done_with_it():
    recorder = Recorder({})
    recorder.note(making(4))
    parser = Parser(4)
    recorder.note(feeding(parser, b"ab"))
    recorder.note(feeding(parser, b"cd", last=True))
    expected = (
        "values.after(pkg.Parser(4), lambda s: s.feed(b'ab'), lambda s: s.feed(b'cd', last=True))"
    )
    assert recorder.make_text(parser) == expected
    assert list(recorder.makes.values()) == [[expected]]
    assert recorder.arguments == {"Parser": ["4"], "feed": ["b'ab'", "b'cd', last=True"]}
    assert recorder.write([parser]) == f"[{expected}]"


def test_of_several_objects_each_has_the_arguments_that_made_it():
    recorder = Recorder({})
    left, right, other = Parser(4), Parser(5), Parser(6)
    recorder.note(making(4))
    recorder.note(making(5))
    assert [recorder.make_text(left), recorder.make_text(right)] == [
        "pkg.Parser(4)",
        "pkg.Parser(5)",
    ]

    recorder.note(making(7))
    recorder.forget_waiting()
    recorder.note(making(6))
    assert recorder.make_text(other) == "pkg.Parser(6)"


def test_what_no_expression_can_make_is_shown_for_people_alone():
    recorder = Recorder({}, {id(Parser)})
    recorder.note(making(object()))
    parser = Parser(4)
    recorder.note(feeding(parser, b"ab"))
    assert recorder.make_text(parser) is None
    assert recorder.arguments == {"feed": ["b'ab'"]}
    assert recorder.show_arguments(making(object())) == "<builtins.object>"


def test_what_a_call_gave_is_written_as_that_call():
    recorder = Recorder({}, {id(Parser)})
    opening = making(4)._replace(name="", text="pkg.open({})", function=len, makes=None)
    recorder.note(opening)
    parser = Parser(4)
    recorder.note(feeding(parser, b"ab"))
    assert recorder.make_text(parser) == "values.after(pkg.open(4), lambda s: s.feed(b'ab'))"
    given = Parser(5)
    recorder.note(feeding(given, b"cd"))
    assert recorder.make_text(given) == (
        "values.after((lambda s: s.feed(b'ab'))(pkg.open(4)), lambda s: s.feed(b'cd'))"
    )


@pytest.mark.parametrize("own_types", [(), {id(Parser)}], ids=["python", "native"])
def test_what_the_package_calls_within_a_public_function_hides_not_what_made_an_object(
    own_types: Any,
):
    recorder = Recorder({id(Parser): "pkg.Parser"}, own_types)
    opening = making(4)._replace(name="", text="pkg.open({})", function=len, makes=None)
    recorder.note(opening)
    recorder.note(making(8)._replace(name=""), by_package=True)
    parser = Parser(4)
    recorder.note(feeding(parser, b"ab"))
    assert recorder.make_text(parser) == "values.after(pkg.open(4), lambda s: s.feed(b'ab'))"


def test_what_native_code_gave_the_package_last_is_a_native_object():
    recorder = Recorder({}, {id(Parser)})
    opening = making(4)._replace(name="", text="pkg.open({})", function=len, makes=None)
    recorder.note(opening)
    recorder.note(
        opening._replace(name="pkg._core.open", text="pkg._core.open({})"), by_package=True
    )
    assert recorder.make_text(Parser(4)) == "pkg._core.open(4)"


def test_what_a_test_made_has_a_stand_in_that_takes_everything():
    recorder = Recorder({}, {id(Parser)})
    assert recorder.write(Path("somewhere")) == "values.Anything()"
    assert recorder.write([Parser(1)]) is None
    listener: Any = values.Anything()
    assert listener.on_data(b"ab").then(1) is listener
    assert (list(listener), len(listener), [5, 6][listener]) == ([], 0, 6)
    assert not hasattr(listener, "__buffer__")


def test_an_object_whose_history_is_not_known_any_more_is_not_written():
    recorder = Recorder({})
    recorder.note(making(4))
    parser = Parser(4)
    recorder.note(feeding(parser, b"ab"))
    recorder.note(feeding(parser, object()))
    assert recorder.make_text(parser) is None


# --- what a child makes --------------------------------------------------------


def test_a_call_is_kept_with_copies_of_plain_arguments_alone():
    data = [1, [2]]
    partner = live_trial.keep_partner(feeding(Parser(1), data), "[1, [2]]")
    assert partner is not None
    data[1].append(3)  # type: ignore[attr-defined]
    parser: Any = Parser(1)
    partner.call(parser)
    assert parser.fed == [[1, [2]]]
    assert live_trial.keep_partner(feeding(Parser(1), Parser(2)), "") is None


def test_a_trial_makes_the_call_against_itself_and_against_others():
    parser = Parser(1)
    partner = live_trial.Partner("pkg.Parser.close", "s.close()", repr)
    recorder = Recorder({}, {id(Parser)})
    trial = live_trial.plan_trial(feeding(parser, b"ab"), [partner], recorder, 4)
    assert [[one.text for one in row] for row in trial.rows] == [
        ["s.feed(b'ab')"],
        ["s.feed(b'ab')", "s.close()", "repr(s)"],
    ]
    assert trial.kind == "method"
    assert not trial.is_expressible


class Hidden(Parser):
    """Stands in for a native type without a public name."""


def split(data: bytes) -> list[bytes]:
    """Stand in for a native function without a public name."""
    return [data]


def call_of(function: Any, receiver: object = None) -> LiveCall:
    return making(1)._replace(function=function, receiver=receiver, makes=None)


def test_what_only_the_package_calls_is_not_called_by_threads_past_its_locks():
    surface: Any = SimpleNamespace(
        natives=[],
        functions={id(split): "pkg._core.split"},
        list_public=lambda: [("pkg.Parser", Parser)],
    )
    reader = CallReader(surface)

    public, hidden = call_of(Parser.feed, Parser(1)), call_of(Hidden.feed, object())
    assert reader.is_offered(public, by_package=True)
    assert reader.is_offered(hidden, by_package=False)
    assert not reader.is_offered(hidden, by_package=True)
    assert not reader.is_offered(call_of(split), by_package=False)
    assert reader.is_offered(call_of(Parser), by_package=True)
    assert not reader.is_offered(call_of(Hidden), by_package=False)


def test_a_new_object_does_what_the_tests_do_with_others():
    partner = live_trial.keep_partner(feeding(Parser(1), b"ab"), "b'ab'")
    assert partner is not None
    trial = live_trial.plan_trial(making(4), [partner], Recorder({}), 4)
    assert trial.kind == "type"
    assert [[one.text for one in row] for row in trial.rows] == [
        ["values.after(pkg.Parser(4), lambda s: s.feed(b'ab'))"]
    ]


def test_threads_get_copies_of_arguments_where_these_can_be_copied():
    assert live_trial._OwnArguments((Parser(1),), {}).copy_for(2)
    assert not live_trial._OwnArguments((open,), {"file": (item for item in "ab")}).copy_for(2)


def run(trial: live_trial.Trial, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Run a trial in this process, which shares nothing with a parent."""
    monkeypatch.setattr(live_trial, "_isolate", lambda _, **__: None)
    return live_trial.run(trial, threads=4, longest_s=20, is_race=False, kept=-1)


def test_threads_make_the_call_on_the_live_object(monkeypatch: pytest.MonkeyPatch):
    parser = Parser(1)
    failing = feeding(parser, b"ab")._replace(text="s.fail({})", function=int.from_bytes)
    trial = live_trial.plan_trial(feeding(parser, b"ab"), [], Recorder({}), 4)
    failed = live_trial.plan_trial(failing, [], Recorder({}), 4)
    trial.rows[1:] = failed.rows[:1]
    answer = run(trial, monkeypatch)
    assert "s.feed(b'ab')" in answer["returned"]
    assert "s.fail(b'ab')" not in answer["returned"]
    assert len(parser.fed) >= 200
    assert answer["errors"]
    assert answer["shares"]


def test_each_thread_has_arguments_of_its_own_and_wrong_answers_are_seen(
    monkeypatch: pytest.MonkeyPatch,
):
    met: set[int] = set()
    shown: list[int] = []

    def total(items: list[int], listener: Parser) -> int:
        met.add(id(listener))
        if len(met) > 2:  # alone there are few; threads have copies
            shown.append(1)
        return sum(items) + (len(shown) == 5)

    call = making(4)._replace(
        name="pkg.total", text="pkg.total({})", function=total, makes=None,
        arguments=([1, 2], Parser(1)),
    )  # fmt: skip
    trial = live_trial.plan_trial(call, [], Recorder({}), 4)
    assert trial.kind == "function"
    answer = run(trial, monkeypatch)
    assert not answer["shares"]
    assert answer["returned"]
    assert answer["errors"] == {}


# --- what is run ----------------------------------------------------------------


def test_snippets_are_examples_and_whole_blocks():
    text = (
        "Use it:\n\n>>> import pkg\n>>> for i in range(2):\n...     pkg.f(i)\n\n"
        "```python\nimport pkg\nx = pkg.g()\n```\n\n```\nnot code\n```\n\n"
        "So::\n\n    pkg.h()\n\n.. code-block:: python\n   :linenos:\n\n   pkg.k()\n\nEnd.\n"
    )
    assert snippets.extract_snippets(text) == [
        "import pkg\n",
        "for i in range(2):\n    pkg.f(i)\n",
        "import pkg\nx = pkg.g()\n",
        "pkg.h()\n\n",
        "pkg.k()\n\n",
    ]


def test_test_files_that_name_the_package_come_first(tmp_path: Path):
    (tmp_path / "test_a.py").write_text("import os\n" * 50)
    (tmp_path / "test_b.py").write_text("import pkg\npkg.f()\n" * 50)
    (tmp_path / "test_benchmark.py").write_text("import pkg\npkg.f()\n" * 90)
    (tmp_path / "helper.py").write_text("import pkg\n")
    ranked = amplified_tests.rank_test_files(tmp_path, {"pkg"})
    assert [path.name for path in ranked] == ["test_b.py", "test_a.py", "test_benchmark.py"]

    (tmp_path / "test_c.py").write_text("import os\n" * 50 + "pkg.Parser(pkg.dump())\n")
    named = amplified_tests.rank_test_files(tmp_path, {"pkg"}, {"Parser", "dump"})
    assert [path.name for path in named][:2] == ["test_c.py", "test_b.py"]


# --- what comes of it -----------------------------------------------------------


def trial(number: int, **more: Any) -> dict[str, Any]:
    return {
        "trial": number,
        "kind": "method",
        "make": "pkg.Parser(4)",
        "rows": [["s.feed(b'ab')"], ["s.feed(b'ab')", "s.close()"]],
        "names": {"s.feed(b'ab')": "pkg.Parser.feed", "s.close()": "pkg.Parser.close"},
        "expressible": True,
        "threads": 4,
        "iterations": 40,
        "source": "test_it.py::test_one",
        "status": "ok",
        "signal": "",
        "idle": False,
        "errors": {},
        "wrong": [],
        "returned": [],
        "shares": True,
        **more,
    }


def read(*records: dict[str, Any], printed: str = "", interpreter: Interpreter = PLAIN) -> Any:
    return amplify.read_records(
        Records(items=list(records)), printed, MARK, interpreter, {"_core.so"}
    )


def test_what_returned_in_several_threads_counts_and_so_do_pairs():
    amplified = read(
        trial(0, returned=["s.feed(b'ab')", "s.close()", "repr(s)"], errors={"ValueError: no": 3})
    )
    assert amplified.returned == {"pkg.Parser.feed", "pkg.Parser.close"}
    assert amplified.pairs == {
        ("pkg.Parser.feed", "pkg.Parser.feed"),
        ("pkg.Parser.close", "pkg.Parser.feed"),
    }
    assert amplified.errors == {"ValueError: no": 3}
    assert amplified.events == []


def test_native_code_that_a_wrapper_reaches_has_returned_with_it():
    record = trial(0, returned=["s.feed(b'ab')"])
    reached = {"reached": {"pkg.Parser.feed": ["pkg._core.Inner.feed", "pkg._core.grow"]}}
    amplified = read(record | reached)
    assert amplified.returned == {"pkg._core.Inner.feed", "pkg._core.grow"}
    [scenario] = amplified.scenarios.values()
    assert "pkg._core.grow" in scenario["natives"]
    assert "pkg.Parser.feed" not in scenario["natives"]


def test_a_crash_is_an_event_with_its_stack_and_how_often_it_came():
    arms = {"shared": [3, 3], "alone": [0, 2]}
    amplified = read(
        trial(7, status="crash", signal="SIGSEGV", arms=arms),
        printed=f"noise\n{MARK} 7 <\nFatal Python error\n{MARK} 7 >\nnoise",
    )
    (event,) = amplified.events
    assert (event["what"], event["signal"], event["shown"], event["ran"]) == (
        "crash",
        "SIGSEGV",
        3,
        3,
    )
    assert event["stack"] == "Fatal Python error"
    scenario = amplified.scenarios[event["scenario"]]
    assert scenario["kind"] == "amplified"
    assert scenario["source"] == "test_it.py::test_one"
    assert scenario["natives"] == ["pkg.Parser.close", "pkg.Parser.feed"]


def test_what_waits_in_one_thread_too_is_no_hang():
    alone = {"shared": [3, 3], "alone": [2, 2]}
    assert read(trial(0, status="hang", idle=True, arms=alone)).events == []
    never_alone = {"shared": [3, 3], "alone": [0, 2]}
    (event,) = read(trial(0, status="hang", idle=True, arms=never_alone)).events
    assert (event["what"], event["idle"]) == ("hang", True)


def test_an_object_that_no_expression_makes_is_of_the_kind_live():
    scenario = amplify.make_scenario(trial(0, expressible=False, make=None))
    assert (scenario["kind"], scenario["make"]) == ("live", "the object of this test")
    own = amplify.make_scenario(trial(0, expressible=False, make=None, kind="type", shares=False))
    assert (own["make"], own["argument"], own["sharing"]) == (None, None, "fresh")
    shared = amplify.make_scenario(trial(0, expressible=False, make=None, kind="type"))
    assert shared["argument"] == "the arguments of this test"


@pytest.mark.parametrize(("shares", "kind"), [(True, "live"), (False, "amplified")])
def test_what_threads_shared_and_no_program_makes_anew_is_of_the_kind_live(
    *, shares: bool, kind: str
):
    scenario = amplify.make_scenario(trial(0, make=None, kind="function", shares=shares))
    assert scenario["kind"] == kind


def test_what_was_recorded_last_counts_and_odd_parts_of_it_do_not():
    amplified = read(
        {"recorded": {"arguments": {"f": ["1"]}, "makes": {}, "calls": {"pkg.f": 1}}},
        {
            "recorded": {
                "arguments": {"f": ["1", 2], "g": "no"},
                "makes": {"T": ["pkg.T(1)", 3]},
                "calls": {"pkg.f": 4, "pkg.g": "many"},
            }
        },
    )
    assert amplified.calls == {"pkg.f": 4}
    assert amplified.arguments == {"f": ["1"]}
    assert amplified.makes == ["pkg.T(1)"]


def test_races_are_those_of_the_trial_that_wrote_them():
    report = (
        "==================\nWARNING: ThreadSanitizer: data race (pid=7)\n"
        "  Write of size 8 at 0x1 by thread T1:\n"
        "    #0 (/tmp/race-site/_core.so+0x1) parser_feed core.c:7\n"
        "  Previous read of size 8 at 0x1 by thread T2:\n"
        "    #0 (/tmp/race-site/_core.so+0x2) parser_close core.c:9\n"
        "==================\n"
    )
    printed = f"{MARK} 0 <\n\n{MARK} 0 >\n{report}\n{MARK} 1 <\n{report}\n{MARK} 1 >\n"
    amplified = read(trial(0), trial(1), printed=printed, interpreter=RACE)
    (event,) = amplified.events
    assert (event["what"], event["scenario"]) == ("race", "amplified-1")


# --- what counts as reached -------------------------------------------------------


def scenario(number: str, make: str | None, sharing: str) -> dict[str, Any]:
    natives = ["T.close", "T.feed", "f"]
    return {"id": number, "make": make, "sharing": sharing, "argument": None, "natives": natives}


def test_methods_count_on_a_shared_object_and_functions_everywhere():
    def operation(text: str, *native: str) -> dict[str, Any]:
        return {"text": text, "native": list(native)}

    surface = {
        "functions": [{"name": "f", "operations": [operation("pkg.f(1)", "f")]}],
        "subjects": [
            {"operations": [operation("s.feed(1)", "T.feed"), operation("s.close()", "T.close")]},
            {"operations": [operation("s.close()", "Other.close")]},
        ],
        "stateless": ["f"],
    }
    plan = [
        scenario("shared", "pkg.T()", "shared"),
        scenario("own", "pkg.T()", "fresh"),
        scenario("none", None, "fresh"),
        scenario("raised", "pkg.T()", "shared"),
    ]
    found = reached.find_reached(
        plan,
        {
            "shared": ["s.close()"],
            "own": ["s.feed(1)"],
            "none": ["(lambda s: s.feed(1))(pkg.T())", "pkg.f(1)"],
            "raised": [],
        },
        surface,
    )
    assert found == {"T.close", "f"}
    apart = {"shared": ["s.close()"], "own": ["s.feed(1)"], "none": ["pkg.f(1)"]}
    assert reached.find_unshared(plan, apart, surface) == {"T.feed", "f"}
    life = [scenario("life", "[pkg.T()]", "shared")]
    assert reached.find_reached(life, {"life": ["(lambda s: s.feed(1))(s[0])"]}, surface) == {
        "T.feed"
    }


# --- what a child leaves to its parent -----------------------------------------


@pytest.mark.parametrize(("keeps_pipes", "received"), [(False, b""), (True, b"x")])
def test_a_child_writes_into_no_pipe_of_its_parent_but_where_a_sanitizer_needs_them(
    *, keeps_pipes: bool, received: bytes
):
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    live_trial._replace_descriptor(writing, keeps_pipes=keeps_pipes)
    os.write(writing, b"x")
    os.close(writing)
    assert os.read(reading, 1) == received
    os.close(reading)


def test_a_reader_of_calls_knows_names_that_came_later():
    surface = SimpleNamespace(natives=[], list_public=list)
    reader = CallReader(surface)  # type: ignore[arg-type]
    assert reader._public_names == {}
    surface.list_public = lambda: [("pkg.Parser", Parser)]
    reader.refresh()
    assert reader._public_names == {id(Parser): "pkg.Parser"}


def test_which_tests_called_native_code_is_kept_for_the_choice_of_those_that_run_again():
    part = {"file": "t.py", "name": "test_1", "seconds": 1, "opening_s": 2, "callables": ["f"]}
    amplified = read({"part": part}, {"part": "no"}, {"ran": "t.py"}, {"ran": 3})
    assert [(one.file, one.name, one.callables) for one in amplified.parts] == [
        ("t.py", "test_1", frozenset({"f"}))
    ]
    assert amplified.ran == {"t.py"}


def test_code_belongs_to_a_package_by_its_file_also_where_other_code_reads_alike():
    amplifier = object.__new__(Amplifier)
    amplifier._own_files = ("/site/", "/tests/")
    amplifier._is_own = {}
    elsewhere = compile("call()", "/usr/lib/other.py", "exec")
    own = compile("call()", "/site/other.py", "exec")
    assert elsewhere == own
    assert not amplifier._belongs_to_package(elsewhere)
    assert amplifier._belongs_to_package(own)
    assert amplifier._belongs_to_package(compile("call()", "<README.md>", "exec"))
    assert not amplifier._belongs_to_package(compile("call()", "<frozen importlib>", "exec"))
