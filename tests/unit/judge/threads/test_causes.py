"""One finding for one cause, and its sentence."""

from dataclasses import replace
from typing import Any

import pytest

from builder.evidence.events import Race, Side
from builder.evidence.scenarios import Scenario
from builder.judge.findings import Finding
from builder.judge.levels import ThreadFault
from builder.judge.location import Location
from builder.judge.threads.causes import explain_failures, fold_causes, settle_by_type
from builder.judge.threads.sentences import (
    clean_call,
    describe_calls,
    describe_places,
    describe_race,
    name_function,
)
from builder.verdicts.codes import FindingCode
from builder.verdicts.levels import Consequence, Need
from tests.unit.facts import RACED, SCENARIO


def side(function: str, kind: str, access: str, **more: Any) -> dict[str, Any]:
    owner = function.rpartition(".")[0] if kind not in {"function", "builtin", ""} else ""
    return {
        "function": function, "kind": kind, "owner": owner, "access": access, "source": "", "place": "", "builtin": "", "api": "", **more,
    }  # fmt: skip


def race(*sides: dict[str, Any], **more: Any) -> Race:
    return Race.model_validate({**RACED, "sides": list(sides), **more})


def finding(code: FindingCode, where: str, *functions: str, **more: Any) -> Finding:
    return Finding(code=code, detail=f"{code} in {where}", where=where, functions=functions, **more)


TRAIN = side("zstandard.backend_c.ZstdCompressionDict.precompute_compress", "call", "free")
USE = side("zstandard.backend_c.ZstdCompressionDict.as_bytes", "call", "read")


# --- the sentence -------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "kind", "name"),
    [
        ("pkg._core.Table.add", "call", "`Table.add()`"),
        ("pkg._core.dump", "function", "`pkg.dump()`"),
        ("zstandard.backend_c.train", "function", "`backend_c.train()`"),
        ("_fast.dump", "function", "`_fast.dump()`"),
        ("pkg._core.Table.size", "get", "`Table.size`"),
        ("pkg._core.Table.size", "set", "`Table.size = …`"),
        ("pkg._core.Table.__new__", "new", "`Table()`"),
        ("pkg._core.Table.__dealloc__", "free", "the end of a `Table`"),
        ("list.clear", "builtin", "`list.clear()`"),
        ("list", "builtin", "`list`"),
        ("table_add", "", "`table_add`"),
    ],
)
def test_a_function_in_a_sentence(function: str, kind: str, name: str):
    assert name_function(Side.model_validate(side(function, kind, "read"))) == name


def test_memory_that_one_function_frees_and_another_uses():
    assert describe_race(race(TRAIN, USE)) == (
        "`ZstdCompressionDict.precompute_compress()` frees memory that another thread uses in "
        "`ZstdCompressionDict.as_bytes()`, and nothing orders the two"
    )


def test_a_function_against_itself():
    one = race(side("p.T.add", "call", "write"), side("p.T.add", "call", "read"))
    assert describe_race(one) == (
        "`T.add()` changes memory that another thread uses in the same function, and nothing orders the two"
    )
    both = race(side("p.T.add", "call", "write"), side("p.T.add", "call", "write"))
    assert "in the same function" in describe_race(both)


def test_all_functions_of_a_cause_are_named_once():
    first = race(side("p.T.add", "call", "write"), side("p.T.get", "call", "read"))
    others = [race(side("p.T.add", "call", "write"), side(f"p.T.get{n}", "call", "read")) for n in range(9)]  # fmt: skip
    sentence = describe_race(first, others)
    assert sentence.startswith("`T.add()` changes memory that another thread uses in `T.get()`, ")
    assert "and 6 more, and nothing" in sentence


def test_a_container_of_the_caller():
    one = race(
        side("ujson.dumps", "function", "read"),
        side("list.clear", "builtin", "write", builtin="list"),
    )
    assert describe_race(one) == (
        "`ujson.dumps()` reads a list while another thread changes it (`list.clear()`), and locks nothing"
    )


def test_locks_in_two_orders():
    one = race(side("p.a", "function", "lock"), side("p.b", "function", "lock"))
    assert describe_race(one) == "`p.a()` and `p.b()` take locks in two orders"


def test_older_evidence_has_lines_only():
    assert describe_race(race()) == "foo-1.0/foo.c:12, foo-1.0/foo.c:30"


def test_places_are_counted():
    races = []
    for line in range(1, 7):
        grow = side("p.f", "function", "write", place="grow (x.c)", source=f"src/x.c:{line}")
        take = side("p.g", "function", "read", place="take (x.so)")
        races.append(race(grow, take))
    text = describe_places(races)
    assert text.startswith(" [grow (src/x.c:1), take (x.so), grow (src/x.c:2), ")
    assert text.endswith(" and 3 more places]")
    assert describe_places([]) == ""


def test_places_are_those_of_the_package():
    """Not the interpreter's, nor names that Cython made."""
    cython = side("p.T.f", "call", "write", place="__pyx_pf_1p_1T_f (p.c)", source="p.c:7")
    stripped = side("p.g", "function", "read")
    lists = side("list.clear", "builtin", "write", place="list_clear (listobject.c)", source="x:1")
    assert describe_places([race(cython, lists), race(stripped, lists)]) == " [p.c:7]"


@pytest.mark.parametrize(
    ("call", "cleaned"),
    [
        ("s.get(values.Slow('k'))", "s.get('k')"),
        ("s.insert(values.SlowIndex(1), 2)", "s.insert(1, 2)"),
        ("s.feed(''.join('xyz') * 700)", "s.feed('xyz')"),
        ("s.put(values.SlowEnd())", "s.put(object())"),
        ("s.map((lambda *given, **named: 1))", "s.map(callback)"),
        ("s.map((lambda *given, **named: int('1001')), 2)", "s.map(callback, 2)"),
        ("pkg.join([values.Pausing(), values.Pausing()])", "pkg.join([item, item])"),
        ("(lambda s, o: s.update(o))(s[0], s[1])", "s.update(o)"),
        ("operator.getitem(s, 1)", "s[1]"),
        ("s.add(1)", "s.add(1)"),
        (
            "s.count(values.Reentrant(1, s, lambda s: s.append('x')), 2)",
            "s.count(1 that calls s.append('x'), 2)",
        ),
        ("s.count(values.Reentrant(1, s", "s.count(values.Reentrant(1, s"),
    ],
)
def test_calls_are_written_as_a_person_would(call: str, cleaned: str):
    assert clean_call(call) == cleaned


def test_calls_of_the_functions_at_fault_come_first():
    rows = [[["gc.get_referents(s) and None", None], ["s.k", None], ["s.a()", None], ["s.b()", None]],
            [["s.precompute_compress(3)", None]]]  # fmt: skip
    scenario = Scenario.model_validate({**SCENARIO, "make": "z.Dict(b'1')", "rows": rows})
    assert describe_calls(scenario, ["z.Dict.precompute_compress"]) == (
        "`s.precompute_compress(3)`, `s.k`, `s.a()` and 1 more calls of `z.Dict(b'1')`"
    )
    assert describe_calls(None) == "calls of the package's own tests"


# --- one for all --------------------------------------------------------------


def test_findings_of_one_cause_become_the_gravest():
    found = fold_causes(
        [
            finding("WF605", "z.Dict", "z.Dict.train", cause="z.Dict", also=("a (x.c)",)),
            finding("WF605", "z.Dict", "z.Dict.train", cause="z.Dict", also=("b (x.c)",), script="again"),
            finding("WF604", "z.Dict", "z.Dict.train", "z.Dict.get", cause="z.Dict", also=("c (x.c)",)),
            finding("WF601", "z.Dict.train", "z.Dict.train"),
            finding("WF615", "z.Dict.get", "z.Dict.get"),
            finding("WF605", "z.load", "z.load", cause="z.load"),
        ]
    )  # fmt: skip
    (first, other) = sorted(found, key=lambda one: one.code)
    assert (first.code, first.where) == ("WF601", "z.Dict.train")
    assert first.detail == (
        "WF601 in z.Dict.train; with the same cause: 1 race on freed memory, 2 races, 1 failure that was seen once"
    )
    assert set(first.also) == {"z.Dict", "a (x.c)", "b (x.c)", "c (x.c)", "z.Dict.get"}
    assert (other.code, other.where) == ("WF605", "z.load")


def test_harm_is_told_with_what_its_races_have_in_common():
    """The calls that show a damaged free list are those of whoever comes next."""
    make, end, other = "vec_make (_vec.c)", "vec_dealloc (_vec.c)", "vec_cross (_vec.c)"

    def detail_of(*places: tuple[str, ...]) -> str:
        races = [finding("WF605", "v", "v.Vec", cause="v", places=place) for place in places]
        (one,) = fold_causes([finding("WF603", "v.sub", "v.Vec"), *races])
        return one.detail.partition("cause: ")[2]

    assert detail_of((make, end)) == f"1 race [in {make} and {end}]"
    assert detail_of((make, end), (make, other)) == f"2 races [in {make}]"
    assert detail_of((make,), (make, other), (end,)) == f"3 races [most in {make}]"
    assert detail_of((make,), (other,)) == "2 races"


def test_of_races_with_one_cause_the_one_with_a_program_is_told():
    (one,) = fold_causes(
        [
            finding("WF605", "p.T", "p.T.a", cause="p.T"),
            finding("WF605", "p.T", "p.T.b", cause="p.T", script="again"),
        ]
    )
    assert one.script == "again"
    assert one.detail.endswith("with the same cause: 1 more race")
    assert one.functions == ("p.T.b", "p.T.a")


def test_the_gravest_takes_the_program_of_another_with_its_cause():
    """A use of freed memory was seen, and a race of the same function shown again."""
    lines = (Location(path="x.c", line=7, function="grow"),)
    shown = finding("WF605", "p.T", "p.T.a", cause="p.T", script="again", short="few", race=True)
    (one,) = fold_causes(
        [finding("WF604", "p.T", "p.T.a", cause="p.T"), replace(shown, locations=lines)]
    )
    assert (one.code, one.script, one.short, one.race) == ("WF604", "again", "few", True)
    assert one.locations == lines


def test_races_that_share_a_function_may_have_two_causes():
    races = [
        finding("WF605", "p.a and p.read", "p.a", "p.read", cause="p.a and p.read"),
        finding("WF605", "p.b and p.read", "p.b", "p.read", cause="p.b and p.read"),
    ]
    assert fold_causes(races) == races
    # A crash in the function that they share stands for both.
    assert len(fold_causes([*races, finding("WF601", "p.read", "p.read")])) == 1


def test_what_has_no_cause_stays_as_it_is():
    findings = [
        finding("WF605", "a (x.c)"),
        finding("WF601", "p.a"),
        finding("WF602", "p.a", "p.a"),
        finding("WF606", "x", cause="x"),
        finding("WF606", "x", cause="x"),
        finding("WF601", "p.b", "p.b"),
        finding("WF605", "p.b", "p.b", cause="p.b", advisory=True),
    ]
    assert sorted(fold_causes(findings), key=str) == sorted(findings, key=str)


def fault(consequence: Consequence, needs: Need) -> ThreadFault:
    return ThreadFault(needs=needs, consequence=consequence, names=("pkg.Table",))


@pytest.mark.parametrize(
    ("shown", "shares", "is_explained"),
    [
        (fault(Consequence.CRASH, Need.OBJECT), True, True),
        (fault(Consequence.CRASH, Need.OBJECT), False, False),
        (fault(Consequence.CRASH, Need.NOTHING), True, False),
        (fault(Consequence.RACE, Need.OBJECT), True, False),
    ],
)
def test_what_damaged_memory_does_elsewhere_is_explained_by_the_fault(
    shown: ThreadFault,
    shares: bool,  # noqa: FBT001 - a parameter of the test
    is_explained: bool,  # noqa: FBT001
):
    crash = finding("WF601", "pkg.Table.put", script="import pkg", threads=shown)
    ended = finding("WF621", "pkg.Table.get", shares=shares)
    once = finding("WF615", "pkg.Table.pop", shares=shares)
    watched = finding("WF626", "crash", shares=shares)

    explained = explain_failures([crash, ended, once, watched])
    assert explained[0] == crash
    assert [one.advisory for one in explained[1:]] == [is_explained] * 3
    assert explain_failures([ended, once, watched]) == [ended, once, watched]


def test_a_use_of_freed_memory_explains_failures_though_no_program_shows_it_again():
    """Cython's geodist: a place that two threads put into one origin, and crashes in whatever came next."""
    freed = finding("WF604", "Origin.to", threads=fault(Consequence.FREED, Need.OBJECT))
    raced = finding("WF605", "Origin.to", threads=fault(Consequence.RACE, Need.OBJECT))
    once = finding("WF615", "Origin.latitude", shares=True)

    assert explain_failures([freed, once])[1].advisory
    assert not explain_failures([raced, once])[1].advisory


def test_what_is_settled_for_a_type_holds_for_its_other_methods():
    settled = finding(
        "WF601", "put", "pkg.Table.put", threads=fault(Consequence.CRASH, Need.OBJECT)
    )
    unknown = fault(Consequence.FREED, Need.UNKNOWN)
    same = finding("WF604", "pop", "pkg.Table.pop", threads=unknown, shares=True)
    alone = finding("WF604", "pop", "pkg.Table.get", threads=unknown, shares=False)
    other = finding("WF604", "pop", "pkg.Queue.pop", threads=unknown, shares=True)

    kept, adopted, *rest = settle_by_type([settled, same, alone, other])
    assert kept == settled
    assert adopted.threads == fault(Consequence.FREED, Need.OBJECT)
    assert adopted.remedy.startswith("Give each thread its own `Table`")
    assert rest == [alone, other]
