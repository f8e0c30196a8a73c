import pytest

from builder.inside.stress.sanitizer.attribution import attribute
from builder.inside.stress.sanitizer.reports import parse
from tests.unit.inside.stress.sanitizer.sanitizer_reports import (
    BUMP,
    CALL,
    CYTHON,
    EVAL,
    FREE,
    FREED,
    INLINED,
    MODULES,
    OTHER,
    OURS,
    PEEK,
    STD,
    only,
    race,
    section,
    text,
)


def test_a_race_between_two_functions_of_the_package():
    (report,) = parse(race((BUMP, CALL, EVAL), (PEEK, CALL)))
    assert report["kind"] == "data race"
    assert [stack["access"] for stack in report["stacks"]] == [
        "write of size 8",
        "previous read of size 8",
    ]
    assert [len(stack["frames"]) for stack in report["stacks"]] == [
        3,
        2,
    ]  # without memory's and threads' beginnings
    assert report["text"].startswith("WARNING: ThreadSanitizer")
    assert attribute(report, MODULES) == {
        "owner": "package", "places": ["bump (fast.c)", "peek (fast.c)"], "lines": ["src/fast.c:41", "src/fast.c:58"],
        "locations": [("src/fast.c", 41, "bump"), ("src/fast.c", 58, "peek")], "freed": False, "lock_free": False,
    }  # fmt: skip


def test_each_line_keeps_its_function():
    """Places and lines are sorted apart: `a` is in line 9, `b` in line 2."""
    frames = [
        f"(/opt/site/{OURS}+0x1) {name} /tmp/project/fast-1.0/fast.c:{line}:1"
        for name, line in (("b", 2), ("a", 9))
    ]
    attribution = only(race((frames[0],), (frames[1],)))
    assert attribution["places"] == ["a (fast.c)", "b (fast.c)"]
    assert attribution["lines"] == ["fast-1.0/fast.c:2", "fast-1.0/fast.c:9"]
    assert attribution["locations"] == [("fast.c", 2, "b"), ("fast.c", 9, "a")]


def test_whose_a_race_is():
    half = only(race((CALL, EVAL), (EVAL, BUMP)))
    assert half["owner"] == "package"
    assert half["places"] == ["_PyObject_VectorcallTstate (pycore_call.h)", "bump (fast.c)"]
    assert only(race((CALL, EVAL), (EVAL,)))["owner"] == "interpreter"
    generated = only(race((CYTHON, CALL), (EVAL,)))
    assert generated["owner"] == "generator"
    assert "__Pyx_PyUnicode_AsKind (fast.c)" in generated["places"]
    assert only(race((CYTHON, BUMP), (CYTHON, PEEK)))["places"] == [
        "bump (fast.c)",
        "peek (fast.c)",
    ]


def test_a_module_of_someone_else_is_not_the_packages():
    assert (
        only(race((BUMP.replace(OURS, "_other.so"),), (PEEK.replace(OURS, "_other.so"),)))["owner"]
        == "interpreter"
    )


def test_a_frame_far_down_is_no_cause():
    assert only(race((*[EVAL] * 40, BUMP), (EVAL,)))["owner"] == "interpreter"


@pytest.mark.parametrize(
    ("top", "kind", "freed"),
    [
        (FREE, "data race", True),
        (FREED, "data race", True),
        (
            "(/opt/race/tree/bin/python3.14t+0xb0c1f2) operator delete(void*, unsigned long) <null>",
            "data race",
            True,
        ),
        (
            "(/opt/race/tree/bin/python3.14t+0xb0c1f2) operator delete[](void*) <null>",
            "data race",
            True,
        ),
        (
            "(/opt/race/tree/bin/python3.14t+0xb0c1f2) mi_free /usr/src/Objects/mimalloc/alloc.c:600:3",
            "data race",
            True,
        ),
        (PEEK, "heap-use-after-free", True),
        (PEEK.replace("peek", "free_list_length"), "data race", False),
        (BUMP, "data race on vptr (ctor/dtor vs virtual call)", False),
    ],
)
def test_memory_that_is_given_back(top: str, kind: str, *, freed: bool):
    told = only(race((BUMP, CALL), (top, PEEK), kind=kind))
    assert told["freed"] is freed
    assert told["owner"] == "package"


def test_locks_taken_in_two_orders():
    take = f"(/opt/site/{OURS}+0x31) take /tmp/project/fast-1.0/src/locks.c:9:5"
    give = f"(/opt/site/{OURS}+0x61) give /tmp/project/fast-1.0/src/locks.c:19:5"
    lock = "(/opt/race/tree/bin/python3.14t+0xb0d0aa) pthread_mutex_lock <null>"
    report = text(
        "  Cycle in lock order graph: M0 (0x720c00000010) => M1 (0x720c00000040) => M0\n",
        section("Mutex M1 acquired here while holding mutex M0 in thread T1", lock, take, CALL),
        "    Hint: use TSAN_OPTIONS=second_deadlock_stack=1 to get more informative warning message\n",
        section("Mutex M0 acquired here while holding mutex M1 in thread T2", lock, give, CALL),
        kind="lock-order-inversion (potential deadlock)",
    )
    told = only(report)
    assert told["owner"] == "package"
    assert told["places"] == ["give (locks.c)", "take (locks.c)"]
    assert told["locations"] == [("src/locks.c", 9, "take"), ("src/locks.c", 19, "give")]
    assert only(report.replace(OURS, "_other.so"))["owner"] == "interpreter"


@pytest.mark.parametrize(
    ("top", "how", "lock_free"),
    [
        (BUMP, ("Atomic write", "read"), True),
        (
            PEEK,
            ("Write", "atomic read"),
            False,
        ),  # the plain access is the package's, the atomic one is not
        (STD, ("Atomic write", "read"), True),
        (INLINED, ("Atomic write", "read"), False),
        (BUMP, ("Write", "read"), False),
    ],
)
def test_an_atomic_access_that_the_package_wrote(
    top: str, how: tuple[str, str], *, lock_free: bool
):
    told = only(race((top, BUMP), (CALL,), how=how))
    assert told["lock_free"] is lock_free
    assert told["owner"] == "package"


def test_a_stack_that_could_not_be_restored():
    written = race((BUMP, CALL), ("[failed to restore the stack]",))
    assert only(written.replace("#0 [failed", "[failed"))["places"] == ["bump (fast.c)"]


@pytest.mark.parametrize(
    "frame",
    [
        f"(/opt/site/{OURS}+0x1a2b) bump x (libc.so.6+0x1):41:12",
        f"(/opt/site/{OURS}+0x1a2b) bump (libc.so.6+0x1) y (/usr/lib/libc.so.6+0x1) /tmp/x.c:1:2",
        f"(/opt/site/{OURS}+0x1a2b) bump {'/x' * 9000}.c:41:12",
        f"(/opt/site/{OURS}+0x1a2b) bump /usr/include/stdio.h:41:12",
    ],
)
def test_names_of_functions_and_files_do_not_say_whose_a_race_is(frame: str):
    """They are what the package likes: `#line 1 "x (libc.so.6+0x1)"`."""
    assert only(race((frame, CALL, EVAL), (frame, CALL)))["owner"] == "package"


def test_a_header_below_generated_code_is_the_generators():
    assert only(race((STD, CYTHON, CALL), (STD, CYTHON)))["owner"] == "generator"


def test_a_report_that_was_torn_is_the_packages():
    """A line break in the name of a file ends the block before its first frame is whole."""
    torn = f"(/opt/site/{OURS}+0x1a2b) bump /tmp/x\n==================\n.c:41:12"
    assert only(race((torn, CALL), (PEEK, CALL)))["owner"] == "package"


@pytest.mark.parametrize(
    "module",
    [
        "/proc/self/fd/3+0x11b0",  # of a memfd
        "/memfd:libc.so.6 (deleted)+0x11b0",
        "/tmp/home/libc.so.6+0x11b0",
        "/tmp/gone.so+0x11b0",
        "/dev/shm/python3.14t+0x11b0",
        "<null>+0x0",  # memory that no file is mapped to
        "/usr/lib/../../tmp/x.so+0x1",
        "/tmp/link/../../usr/lib/libc.so.6+0x1",  # it leads wherever the link does
        "./libc.so.6+0x1",
        "/tmp/a (/usr/lib/libc.so.6+0x1) b+0x1",
        "/tmp/a\nb.so+0x1",
    ],
)
def test_code_that_came_while_the_package_ran_is_the_packages(module: str):
    """By the file's name alone it is the interpreter's or nobody's: 3, libc.so.6, python3.14t."""
    brought = f"({module}) <null> <null>"
    assert only(race((brought, CALL), (brought, CALL)))["owner"] == "package"


@pytest.mark.parametrize(
    "module",
    [
        "/opt/race/tree/bin/python3.14t",
        "/usr/lib/x86_64-linux-gnu/libstdc++.so.6",
        "/lib/x86_64-linux-gnu/libc.so.6",
        "/tmp/race-site/numpy/_core.cpython-314t-x86_64-linux-gnu.so",
        "/tmp/race-site/numpy/_core/../../numpy.libs/libscipy_openblas.so",
    ],
)
def test_code_that_was_there_before_is_not_the_packages(module: str):
    frame = f"({module}+0x11b0) update <null>"
    assert only(race((frame, CALL), (frame, CALL)))["owner"] == "interpreter"


def test_what_tests_need_is_not_the_packages():
    frame = "(/tmp/tmp1/tools/numpy/_core.so+0x11b0) update <null>"
    (report,) = parse(race((frame, CALL), (frame, CALL)))
    assert attribute(report, MODULES)["owner"] == "package"
    assert attribute(report, MODULES, ("/tmp/tmp1/tools",))["owner"] == "interpreter"


@pytest.mark.parametrize(
    ("first", "unwatched"),
    [
        ((CALL, OTHER, EVAL, BUMP), True),
        ((CALL, BUMP, EVAL, OTHER), False),  # it called the package, for which the access was made
        ((OTHER, EVAL, BUMP), False),  # what makes an access that is reported is watched
        ((BUMP,), False),
        ((CALL, EVAL), False),
    ],
)
def test_code_that_is_not_watched_may_have_locks_that_are_not_seen(
    first: tuple[str, ...], *, unwatched: bool
):
    files = frozenset({"_multidict.cpython-314t-x86_64-linux-gnu.so"})
    for accesses in ((first, (PEEK,)), ((PEEK,), first)):
        (report,) = parse(race(*accesses))
        owner = attribute(report, MODULES, unwatched=files)["owner"]
        assert owner == ("unwatched" if unwatched else "package")
        assert attribute(report, MODULES)["owner"] == "package"


def test_cffi_locks_nothing_of_what_it_is_pointed_to():
    cffi = "_cffi_backend.cpython-314t-x86_64-linux-gnu.so"
    reader = (EVAL, f"(/tmp/race-site/{cffi}+0x77) <null> <null>", CALL)
    (report,) = parse(race((BUMP,), reader))
    assert attribute(report, MODULES, unwatched=frozenset({cffi}))["owner"] == "package"
