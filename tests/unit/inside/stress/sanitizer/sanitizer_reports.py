"""Reports as ThreadSanitizer writes them, for the tests of what reads and judges them."""

from builder.inside.stress.sanitizer.attribution import Attribution, attribute
from builder.inside.stress.sanitizer.reports import parse

OURS = "_fast.cpython-314t-x86_64-linux-gnu.so"

MODULES = {OURS}

BUMP = f"(/opt/site/{OURS}+0x1a2b) bump /tmp/project/fast-1.0/src/fast.c:41:12"
PEEK = f"(/opt/site/{OURS}+0x1c3d) peek /tmp/project/fast-1.0/src/fast.c:58:5"
CALL = "(/opt/race/tree/bin/python3.14t+0x22d1e0) _PyObject_VectorcallTstate /usr/src/Python/../Include/internal/pycore_call.h:169:11"
EVAL = "(/opt/race/tree/bin/python3.14t+0x33aa10) _PyEval_EvalFrameDefault /usr/src/Python/generated_cases.c.h:1621:35"
FREE = "(/opt/race/tree/bin/python3.14t+0xb0c1f2) free <null>"
FREED = "(/opt/race/tree/bin/python3.14t+0x2001ab) mi_free /usr/src/Objects/mimalloc/alloc.c:603:3"
OTHER = "(/tmp/race-site/multidict/_multidict.cpython-314t-x86_64-linux-gnu.so+0x77) <null> <null>"
CYTHON = f"(/opt/site/{OURS}+0x9e01) __Pyx_PyUnicode_AsKind /tmp/project/fast-1.0/fast.c:8812:9"
INLINED = (
    f"(/opt/site/{OURS}+0x1111) "
    "_Py_atomic_load_ptr_relaxed /opt/python/cp314-cp314t/include/python3.14t/cpython/pyatomic_gcc.h:386:10"
)
STD = f"(/opt/site/{OURS}+0x2222) std::__atomic_base<int>::load(std::memory_order) const /usr/include/c++/12/bits/atomic_base.h:488:9"


def section(title: str, *frames: str) -> str:
    return "\n".join(
        [f"  {title}:", *(f"    #{number} {frame}" for number, frame in enumerate(frames)), ""]
    )


def text(*sections: str, kind: str = "data race", summary: str = "fast.c:41:12 in bump") -> str:
    """Lay sections out as the sanitizer does, with what it says of memory and threads after the accesses."""
    memory = section(
        "Location is heap block of size 48 at 0x7204000 allocated by main thread",
        "(/opt/race/tree/bin/python3.14t+0xb0) malloc <null>",
        PEEK,
    )
    thread = section(
        "Thread T2 'worker' (tid=71, running) created by main thread at",
        "(/opt/race/tree/bin/python3.14t+0xb1) pthread_create <null>",
        BUMP,
    )
    rule = "=================="
    return (
        "\n".join([rule, f"WARNING: ThreadSanitizer: {kind} (pid=70)", *sections, memory, thread])
        + f"SUMMARY: ThreadSanitizer: {kind} {summary}\n{rule}\n"
    )


def race(
    first: tuple[str, ...],
    second: tuple[str, ...],
    *,
    how: tuple[str, str] = ("Write", "read"),
    **more: str,
) -> str:
    return text(
        section(f"{how[0]} of size 8 at 0x720400000010 by thread T2", *first),
        section(
            f"Previous {how[1]} of size 8 at 0x720400000010 by main thread (mutexes: write M0)",
            *second,
        ),
        **more,
    )


def only(written: str) -> Attribution:
    (report,) = parse(written)
    return attribute(report, MODULES)
