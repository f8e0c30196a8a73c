"""Reports as the sanitizer writes them, with stacks of the shapes that packages give."""

from pathlib import Path
from typing import Any

import pytest

from builder.inside.stress.sanitizer import causes, reports
from builder.inside.stress.sanitizer.attribution import make_owner_test
from builder.inside.stress.sanitizer.native_names import NativeNames
from tests.unit.inside.stress.sanitizer.sanitizer_reports import CALL, EVAL, FREE, race

SO = "_core.cpython-314t-x86_64-linux-gnu.so"
OTHER_SO = "_speed.cpython-314t-x86_64-linux-gnu.so"
MODULES = {SO, OTHER_SO}
NAMES = NativeNames(
    [
        {
            "path": f"/tmp/race-site/pkg/{SO}",
            "base": 0x7F00_0000_0000,
            "functions": [
                [0x1000, 0x100, "pkg._core.Table.add", "call", ""],
                [0x1100, 0x100, "pkg._core.Table.clear", "call", ""],
                [0x1200, 0x100, "pkg._core.Table.size", "get", ""],
                [0x1300, 0x100, "pkg._core.Table.__dealloc__", "free", ""],
                [0x1400, 0x100, "pkg._core.dump", "function", ""],
                [0x1500, 0x100, "pkg._core.Heap.push", "call", ""],
            ],
        }
    ]
)
_OFFSETS = {"add": 0x1010, "clear": 0x1110, "size": 0x1210, "dealloc": 0x1310, "dump": 0x1410, "push": 0x1510}  # fmt: skip
PYTHON = "/opt/race/tree/bin/python3.14t"


def own(method: str, function: str, line: int = 7) -> str:
    """A frame inlined into a method, or the method's own: all have the offset of the method."""
    return f"(/tmp/race-site/pkg/{SO}+{_OFFSETS[method]:#x}) {function} /tmp/project/pkg-1/src/core.c:{line}:1"


def bare(offset: int, function: str = "<null>") -> str:
    return f"(/tmp/race-site/pkg/{SO}+{offset:#x}) {function} <null>"


def python(function: str, file: str) -> str:
    return f"({PYTHON}+0x9) {function} /usr/src/{file}:9:1"


def judge(first: tuple[str, ...], second: tuple[str, ...], **more: Any) -> dict[str, Any]:
    (report,) = reports.parse(race(first, second, **more))
    return causes.judge_report(report, MODULES, NAMES)


def test_a_side_is_the_function_that_the_interpreter_called():
    told = judge(
        (FREE, own("clear", "pool_free", 9), own("clear", "Table_clear"), CALL, EVAL),
        (own("add", "pool_take", 3), own("add", "Table_add"), CALL),
    )
    first, second = told["sides"]
    assert (first["function"], first["owner"], first["access"]) == (
        "pkg._core.Table.clear",
        "pkg._core.Table",
        "free",
    )
    assert (second["function"], second["access"]) == ("pkg._core.Table.add", "read")
    assert second["source"] == "src/core.c:3"
    assert second["place"] == "pool_take (core.c)"


def test_the_nearest_way_into_the_package_counts():
    """`dump` called back into Python, which called `add`."""
    told = judge(
        (own("add", "Table_add"), CALL, EVAL, own("dump", "dump")), (own("push", "Heap_push"), CALL)
    )
    assert [side["function"] for side in told["sides"]] == ["pkg._core.Table.add", "pkg._core.Heap.push"]  # fmt: skip


def test_what_ends_an_object_is_called_by_who_lets_go_of_it():
    told = judge(
        (FREE, own("dealloc", "Table_dealloc"), CALL, own("push", "Heap_push"), CALL),
        (FREE, own("dealloc", "Table_dealloc"), CALL, EVAL),
    )
    assert [side["function"] for side in told["sides"]] == [
        "pkg._core.Heap.push",
        "pkg._core.Table.__dealloc__",
    ]


def test_without_a_table_names_come_from_symbols():
    frame = f"(/tmp/race-site/pkg/{OTHER_SO}+0x77) {{}} /tmp/project/pkg-1/pkg/_speed.c:9:1"
    wrapper = frame.format("__Pyx_CyFunction_Vectorcall_FASTCALL_KEYWORDS")
    cython = frame.format("__pyx_pw_3pkg_6_speed_6Parser_17get_event")
    told = judge(
        (cython, wrapper, CALL), (frame.format("speed_helper"), frame.format("speed_get"), CALL)
    )
    assert [side["function"] for side in told["sides"]] == [
        "pkg._speed.Parser.get_event",
        "speed_get",
    ]
    assert told["sides"][0]["owner"] == "pkg._speed.Parser"


def test_a_stripped_file_is_known_by_its_table_else_by_its_name():
    told = judge((bare(0x1420), bare(0x1430), CALL), (bare(0x9000), bare(0x9100), CALL))
    assert [side["function"] for side in told["sides"]] == ["pkg._core.dump", "_core"]


def test_a_container_of_the_caller():
    told = judge(
        (own("dump", "walk"), own("dump", "dump"), CALL),
        (python("list_clear_impl", "Objects/listobject.c"), python("py_list_clear", "Objects/clinic/listobject.c.h"), EVAL),
    )  # fmt: skip
    own_side, other = told["sides"]
    assert (other["function"], other["kind"], other["builtin"]) == ("list.clear", "builtin", "list")
    assert own_side["function"] == "pkg._core.dump"
    assert told["owner"] == "package"  # it reads the items by itself


# --- whose it is --------------------------------------------------------------

POP = (
    f"({PYTHON}+0x9) memmove <null>",
    python("list_pop_impl", "Objects/listobject.c"),
    python("list_pop", "Objects/clinic/listobject.c.h"),
)
GET = (
    python("list_get_item_ref", "Objects/listobject.c"),
    python("list_item", "Objects/listobject.c"),
)


def test_the_interpreters_list_is_not_the_packages():
    told = judge(
        (*POP, python("PyObject_VectorcallMethod", "Objects/call.c"), own("clear", "Table_clear")),
        (*GET, python("PyList_GetItemRef", "Objects/listobject.c"), own("add", "Table_add")),
    )
    assert told["owner"] == "interpreter"
    assert "gh-129069" in told["known"]
    assert [side["function"] for side in told["sides"]] == [
        "pkg._core.Table.clear",
        "pkg._core.Table.add",
    ]


@pytest.mark.parametrize("api", ["PyList_GetItem", "PySequence_Fast_GET_ITEM"])
def test_what_needs_the_callers_lock_is_the_packages(api: str):
    told = judge(
        (*POP, CALL, EVAL), (*GET, python(api, "Objects/listobject.c"), own("add", "Table_add"))
    )
    assert told["owner"] == "package"


def test_pydict_next_without_a_critical_section_is_the_packages():
    walk = (
        python("_PyDict_Next", "Objects/dictobject.c"),
        python("PyDict_Next", "Objects/dictobject.c"),
    )
    change = (
        python("insertdict", "Objects/dictobject.c"),
        python("dict_ass_sub", "Objects/dictobject.c"),
    )
    told = judge((*walk, own("dump", "dump")), (*change, EVAL))
    assert told["owner"] == "package"
    assert told["sides"][0]["api"] == "PyDict_Next"


def test_an_object_that_is_just_made_is_published_by_the_package():
    make = (python("PyUnicode_New", "Objects/unicodeobject.c"), own("add", "Table_add"))
    told = judge(make, (python("unicode_eq", "Objects/unicodeobject.c"), own("size", "Table_size")))
    assert told["owner"] == "package"


def test_memory_that_the_package_allocated_is_the_packages():
    """sanitizer_reports.text() says of every report that `peek` of `_fast` allocated the memory, by malloc."""
    (report,) = reports.parse(
        race((*POP, own("clear", "Table_clear")), (*GET, own("add", "Table_add")))
    )
    by_package = [frame for frame in report["allocation"] if frame["module"].startswith("_fast")]
    assert by_package
    modules = {*MODULES, by_package[0]["module"]}
    assert causes.judge_report(report, modules, NAMES)["owner"] == "package"
    assert causes.judge_report(report, MODULES, NAMES)["owner"] == "interpreter"


def test_who_looks_at_an_object_that_is_freed_has_borrowed_it():
    free = (
        python("mi_free", "Objects/mimalloc/alloc.c"),
        python("PyObject_Free", "Objects/obmalloc.c"),
        python("dict_dealloc", "Objects/dictobject.c"),
        python("_Py_Dealloc", "Objects/object.c"),
        python("PyDict_Clear", "Objects/dictobject.c"),
        own("clear", "Table_clear"),
    )
    read = (
        python("dict_length", "Objects/dictobject.c"),
        python("PyObject_Size", "Objects/abstract.c"),
        own("size", "Table_size"),
    )
    told = judge(free, read)
    assert (told["owner"], told["freed"]) == ("package", True)
    assert [side["access"] for side in told["sides"]] == ["free", "read"]


# --- one cause ----------------------------------------------------------------


def event(
    *sides: tuple[str, str], what: str = "race", place: str = "", **more: Any
) -> dict[str, Any]:
    described = []
    for function, access in sides:
        is_builtin = function.startswith(("list", "dict"))
        is_method = not is_builtin and function.rpartition(".")[0].rpartition(".")[2].istitle()
        described.append(
            {
                "function": function,
                "kind": "builtin" if is_builtin else "call" if is_method else "function",
                "owner": function.rpartition(".")[0] if is_method else "",
                "access": access,
                "source": "",
                "place": place,
                "builtin": function.partition(".")[0] if is_builtin else "",
                "api": "",
            }
        )
    return {"what": what, "sides": described, **more}


def label(*events: dict[str, Any]) -> list[str]:
    causes.label_causes(events)
    return [each["cause"] for each in events]


def test_the_same_two_functions_are_one_cause_wherever_in_them_it_is():
    one = event(("p.load", "write"), ("p.dump", "read"))
    other = event(("p.dump", "read"), ("p.load", "write"))
    assert label(one, other, event(("p.other", "write"), ("p.other", "write"))) == [
        "p.dump and p.load",
        "p.dump and p.load",
        "p.other",
    ]


def test_methods_of_one_type_are_one_cause():
    """The parser of pyyaml: eight pairs of methods, and none takes a lock."""
    pairs = [("get", "peek"), ("check", "peek"), ("check", "check"), ("token", "token")]
    events = [event((f"p.Parser.{a}", "read"), (f"p.Parser.{b}", "write")) for a, b in pairs]
    labels = label(*events, event(("p.Emitter.open", "read"), ("p.Emitter.open", "write")))
    assert labels == ["p.Parser"] * 4 + ["p.Emitter.open"]


def test_what_one_function_writes_is_one_cause_whoever_reads_it():
    events = [event(("p.Dict.train", "free"), (f"p.Box{n}.go".replace("Box", "Box"), "read")) for n in range(5)]  # fmt: skip
    assert label(*events) == ["p.Dict.train"] * 5


def test_readers_alone_join_nothing():
    one = event(("p.a", "write"), ("p.read", "read"))
    other = event(("p.b", "write"), ("p.read", "read"))
    assert len(set(label(one, other))) == 2


def test_one_helper_of_c_is_one_cause_by_whatever_way():
    one = event(("p.load", "write"), ("p.load", "write"), place="decref (data.h)")
    other = event(("p.save", "write"), ("p.save", "read"), place="decref (data.h)")
    assert len(set(label(one, other))) == 1


def test_containers_of_the_caller_are_told_apart_by_type():
    events = [
        event(("p.dump", "read"), ("list.clear", "write")),
        event(("p.dump", "read"), ("list.reverse", "write")),
        event(("p.dump", "read"), ("dict", "write")),
    ]
    assert label(*events) == ["p.dump and list", "p.dump and list", "p.dump and dict"]


def test_a_crash_joins_the_races_of_its_function():
    crash = event(("p.Table.add", "crash"), what="crash")
    assert len(set(label(event(("p.Table.add", "write"), ("p.Table.size", "read")), crash))) == 1


def test_the_order_of_events_does_not_matter():
    events = [
        event(("p.Parser.get", "read"), ("p.Parser.peek", "write")),
        event(("p.Parser.check", "read"), ("p.Parser.check", "write")),
        event(("p.f", "read"), ("p.g", "write")),
        event(("p.g", "write"), ("p.h", "read")),
    ]
    labels = label(*events)
    assert label(*reversed(events)) == labels[::-1]


# --- crashes ------------------------------------------------------------------

CRASH = f"""Fatal Python error: Segmentation fault

Current thread's C stack trace (most recent call first):
  Binary file "{PYTHON}", at _Py_DumpStack+0x38 [0x558fffcad458]
  Binary file "/lib/x86_64-linux-gnu/libc.so.6", at +0x3c050 [0x7f4493352050]
  Binary file "/tmp/race-site/pkg/{SO}", at +0x1130 [0x7f0000001130]
  Binary file "{PYTHON}", at PyObject_Vectorcall+0x94 [0x558fff9adc84]
  <truncated rest of calls>

Extension modules: pkg._core (total: 1)
"""


def test_where_a_crash_is_comes_from_its_c_stack():
    is_own = make_owner_test(MODULES)
    (side,) = causes.describe_crash(CRASH, is_own, NAMES)
    assert (side["function"], side["access"]) == ("pkg._core.Table.clear", "crash")
    assert causes.describe_crash(CRASH.replace(SO, "_else.so"), is_own, NAMES) == []
    assert causes.describe_crash("", is_own, NAMES) == []
    assert causes.describe_crash(CRASH, is_own, NativeNames([])) == []
    # Another process has the file elsewhere; where there is a symbol, only the address tells.
    moved = CRASH.replace("0x7f0000001130", "0x7f9990001130")
    assert causes.describe_crash(moved, is_own, NAMES) == [side]
    exported = CRASH.replace("at +0x1130", "at PyInit__core+0x99")
    assert causes.describe_crash(exported, is_own, NAMES) == [side]
    by_symbol = CRASH.replace("at +0x1130", "at table_clear+0x30")
    (side,) = causes.describe_crash(by_symbol, is_own, NativeNames([]))
    assert side["function"] == "table_clear"


# --- the report ---------------------------------------------------------------


def test_a_report_is_kept_whole_with_the_interpreter_folded():
    told = judge((own("clear", "Table_clear"), CALL, *[EVAL] * 40), (own("add", "Table_add"), CALL))
    text = told["report"]
    assert "#0 Table_clear src/core.c:7 (" in text
    assert "... and 39 more of the interpreter" in text
    assert "Previous read" in text
    assert "Location is heap block of size 48" in text
    assert "BuildId" not in text
    assert len(text.splitlines()) < 30


# --- reports of packages ------------------------------------------------------

REPORTS = Path(__file__).parent / "reports"
"""What the race detector said of releases, without what came before the package was called, and without threads."""


@pytest.mark.parametrize(
    ("file", "module", "owner", "functions", "cause"),
    [
        (
            "frozenlist-extend",
            "_frozenlist.cpython-314t-x86_64-linux-gnu.so",
            "package",
            [
                "frozenlist._frozenlist.FrozenList.append",
                "frozenlist._frozenlist.FrozenList.extend",
            ],
            "frozenlist._frozenlist.FrozenList",
        ),
        (  # PyList_GetItemRef takes strong references: the race with list.reverse() is the interpreter's
            "joinery-total-length",
            "_native.cpython-314t-x86_64-linux-gnu.so",
            "interpreter",
            ["list.reverse", "total_length"],
            "total_length and list",
        ),
        (  # PyDict_Next needs a critical section of the caller; the file is stripped
            "ujson-dict",
            "ujson.cpython-314t-x86_64-linux-gnu.so",
            "package",
            ["ujson_dump", "dict"],
            "ujson_dump and dict",
        ),
    ],
)
def test_reports_of_packages(file: str, module: str, owner: str, functions: list[str], cause: str):
    (report,) = reports.parse((REPORTS / f"{file}.txt").read_text())
    told = {"what": "race", **causes.judge_report(report, {module})}
    causes.label_causes([told])
    assert told["owner"] == owner
    assert [side["function"] for side in told["sides"]] == functions
    assert told["cause"] == cause


def read_through_view(**more: Any) -> dict[str, Any]:
    """A race of `Table.add` with who reads its memory through a memoryview."""
    view = (
        python("unpack_single", "Objects/memoryobject.c"),
        python("memory_item", "Objects/memoryobject.c"),
        EVAL,
    )
    return judge((own("add", "Table_add"), CALL), view, **more)


def test_who_uses_memory_through_a_view_has_to_agree_with_others():
    told = read_through_view()
    assert told["owner"] == "interpreter"
    assert "PEP 3118" in told["known"]


def test_memory_that_is_given_back_under_a_view_is_the_packages_fault():
    view = (python("unpack_single", "Objects/memoryobject.c"), EVAL)
    told = judge((FREE, own("clear", "Table_clear"), CALL), view)
    assert (told["owner"], told["freed"]) == ("package", True)


def test_a_view_that_the_package_itself_reads_is_its_own():
    view = (python("unpack_single", "Objects/memoryobject.c"), own("dump", "dump"), CALL)
    assert judge((own("add", "Table_add"), CALL), view)["owner"] == "package"


def test_a_race_that_harms_nobody_has_no_part_in_the_cause_of_one_that_does():
    tested, read = (
        judge((own("add", "Table_add"), CALL), (own("size", "size"), CALL)) for _ in "12"
    )
    events = [{**read, "what": "race"}, {**tested, "what": "race", "effect": "tested"}]
    causes.label_causes(events)
    assert events[0]["cause"] == events[1]["cause"] == "pkg._core.Table"
    harmless = {**tested, "what": "race", "effect": "tested", "sides": [events[1]["sides"][1]] * 2}
    other = judge((own("push", "Heap_push"), CALL), (own("push", "Heap_push"), CALL))
    mixed = [harmless, {**read, "what": "race"}, {**other, "what": "race"}]
    causes.label_causes(mixed)
    assert [event["cause"] for event in mixed] == [
        "pkg._core.Table.size", "pkg._core.Table", "pkg._core.Heap.push",
    ]  # fmt: skip
