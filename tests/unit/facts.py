"""Facts as jobs record them, whole and small: what a test changes of them stands out."""

from __future__ import annotations

from typing import Any

from builder.evidence.audit import WheelFacts

WHEEL = "foo-1.0-cp314-cp314t-manylinux_2_17_x86_64.whl"
MODULE = "foo/_foo.cpython-314t-x86_64-linux-gnu.so"
SHA256 = "ca140b45d5325a9478f880e351484f62fef15f336462e449ca0c03c873d589c2"
FETCHED = {"fetched": [{"filename": "setuptools-84.2.1-py3-none-any.whl", "sha256": SHA256}], "asked": ["host.invalid"]}  # fmt: skip

OBJECT: dict[str, Any] = {
    "kind": "extension", "needed": ["libc.so.6"], "soname": "", "rpath": [], "runpath": [],
    "versions": {"libc.so.6": {"GLIBC_2.14": "memcpy"}},
    "stack": False, "text_relocations": False, "relro": True, "bind_now": False, "isa": 1, "debug": False,
    "build": "free-threaded", "build_sign": "the layout of its module definition",
    "init": {"function": True, "phases": "multi", "slots": {"multiple_interpreters": 2, "gil": 1}},
    "threads": {"locks": [], "types": False, "borrowed": [], "libc": [], "writable": 296},
    "paths": [], "undefined": {"PyUnicode_New": MODULE}, "unreached": {}, "outside": {"libc.so.6": MODULE},
}  # fmt: skip
"""An extension module, as builder/inside/objects.py describes it."""

AUDITED: dict[str, Any] = {
    "faults": [], "size": 23881, "members": 11, "dist_info": "foo-1.0.dist-info",
    "metadata": {"metadata-version": ["2.4"], "name": ["foo"], "version": ["1.0"]},
    "wheel": {"wheel-version": ["1.0"], "root-is-purelib": ["false"], "tag": ["cp314-cp314t-manylinux_2_17_x86_64"]},
    "top_level": {"foo": "package", "foo.libs": "libraries"}, "bytecode": [], "sboms": ["foo-1.0.dist-info/sboms/a.json"],
    "components": [["zlib", "1.3", "pkg:generic/zlib@1.3"]], "extensions": {MODULE: "cpython-314t-x86_64-linux-gnu"},
    "objects": {MODULE: OBJECT, "foo/a.so": {"damaged": "it ends too early"}, "foo/b.so": {"machine": "aarch64"}},
    "grafted": [],
    "auditwheel": {"version": 1, "overall_tag": "manylinux_2_17_x86_64", "external_libs": {}, "pure": False},
    "abi3audit": [["WF320", "foo", "foo uses PyX, not in the stable ABI, says abi3audit"]],
}  # fmt: skip
"""A wheel, as builder/inside/audit.py describes it."""

SCENARIO: dict[str, Any] = {
    "id": "pair-7", "kind": "pair", "process": "subject-0", "make": "foo.Box()", "argument": None,
    "rows": [[["s.put(1)", None]], [["s.get()", "1"]]], "observe": ["s.size"], "sharing": "shared",
    "iterations": 600, "threads": 4, "natives": ["foo.Box.get", "foo.Box.put"],
}  # fmt: skip

RACED: dict[str, Any] = {
    "what": "race", "scenario": "pair-7", "kind": "data race", "owner": "package", "places": ["Box_put (foo.c)"],
    "lines": ["foo-1.0/foo.c:12", "foo-1.0/foo.c:30"], "freed": False, "lock_free": False,
    "report": "WARNING: ThreadSanitizer: data race", "times": 3,
}  # fmt: skip

HARMED: dict[str, Any] = {
    "what": "crash", "scenario": "pair-7", "signal": "SIGSEGV", "stack": "Fatal Python error", "times": 1, "calls": SCENARIO,
    "script": "import foo", "shown": 2, "ran": 10, "output": "Fatal Python error", "arms": {"shared": [2, 2], "gil": [0, 2]},
}  # fmt: skip

PROBED: dict[str, Any] = {
    "module": "foo", "native": False, "seconds": 0.0123, "rss_bytes": 1 << 20,
    "gil": {"before": False, "after": True, "enabled_by": "foo._foo", "warned": True},
    "natives": {"foo._foo": {"init": "multi-phase", "gil": None, "interpreters": "own-gil"}},
}  # fmt: skip

LOADED: dict[str, Any] = {
    "install": None, "python_version": "3.14.0",
    "metadata": {"requires_python": ">=3.9", "requires_python_ignored": False, "free_threading": None},
    "modules": [
        PROBED,
        {"module": "foo.tk", "native": False, "error": "ModuleNotFoundError: No module named 'tk'", "missing": "tk"},
        {"module": "foo.c", "native": True, "signal": "SIGSEGV",
         "stack": {"native": ["f+0x1 in foo.so"], "python": ["foo/c.py:1 in <module>"]}},
        {"module": "foo.d", "native": True, "hang": "no end within 60 s", "stack": {"native": [], "python": []}},
    ],
    "walk": {"lines": [{"module": "foo", "gil": [False, True], "loaded": ["foo._foo"]}], "warnings": []},
    "dev": {"lines": [], "warnings": [{"category": "DeprecationWarning", "text": "no more", "where": "foo/__init__.py:3"}]},
    "strict": {"lines": [{"module": "foo", "error": "DeprecationWarning: no more", "gil": [False, False], "loaded": []}],
               "warnings": []},
    "threads": {"lines": [{"module": "foo", "error": "ImportError: half"}], "warnings": [], "exit_code": 1},
    "again": {"lines": [], "warnings": [], "signal": "SIGABRT", "stack": {"native": [], "python": []}, "during": "foo"},
    "subinterpreters": {"lines": [{"round": 1, "module": "foo", "error": "ImportError: no", "failed": "foo._foo"}],
                        "warnings": []},
}  # fmt: skip
"""A wheel, as builder/inside/load.py describes it."""

CALL: dict[str, Any] = {"make": None, "text": "foo.f(1)", "native": "foo.f"}

RATES: dict[str, Any] = {
    "cp314t": {"1": [[1e6, 1e6], [1.1e6, 1.1e6]], "2": [[2e6, 1e6], [2.2e6, 1.1e6]]},
    "cp314": {"1": [[2e6, 2e6], [2.2e6, 2.2e6]], "2": [[2e6, 1e6], [2.2e6, 1.1e6]]},
}

SAMPLES: dict[str, list[dict[str, Any]]] = {
    "application": [
        {"install": "no matching distribution found for foo==1.0"},
        {
            "install": None,
            "unmet": ["foo 1.0 requires bar, which is not installed."],
            "imports": {
                "modules": 2,
                "failed": [{"module": "foo", "distribution": "foo", "error": "ImportError: no", "gil": [False, True], "loaded": ["foo._x"]}],
                "gil": True, "enabled_by": "foo._x", "gil_seen": "on",
            },
            "smoke": [{"command": "foo --version", "exit_code": 0, "seconds": 0.1, "output": "1.0\n"}],
            "tests": {"command": "pytest", "exit_code": None, "seconds": 900.0, "output": ""},
            "amplified": [{
                "command": "foo --version", "exit_code": 0, "seconds": 4.2, "processes": 1, "trials": 3, "callables": 2, "returned": 2,
                "pairs": 1, "skipped": {"lock": 1}, "unexamined": "",
                "events": [{
                    "what": "crash", "name": "foo._x.Box.put", "distribution": "foo", "kind": "method", "shares": True, "signal": "SIGSEGV",
                    "call": "s.put(1)", "beside": ["foo._x.Box.get"], "sentences": [], "shared": [3, 3], "alone": [0, 2],
                    "line": {"file": "main.py", "line": 3, "function": "<module>"}, "caller": None,
                }],
            }],
        },
        {"install": None, "imports": {"modules": 0, "failed": [], "signal": "SIGSEGV", "during": "foo", "stack": {"native": [], "python": []}}},
    ],
    "image": [
        {"tag": "wheelfarm/builder:abc", "content": "abc", "bytes": 3 << 28},
        {"missing": ["libnone-dev"], "content": "none"},
    ],
    "build": [
        {
            "abis": {
                "cp314": {"wheel": "foo-1.0-cp314-cp314-manylinux_2_17_x86_64.whl", "requires_python": ">=3.9"},
                "cp314t": {
                    "failure": {"code": "WF201", "stage": "building wheel", "error": "foo.h: no such file", "remedy": "see the log",
                                "missing": [["header", "foo.h"]]},
                    "call": {"abis": ["cp314", "cp314t"], "exit_code": 1, "log": [0, 5120], "timeout_s": None, "memory_bytes": None,
                             "processes": None, "asked": ["host.invalid"], "index": "192.0.2.2"},
                },
            },
            "rules": "0123456789abcdef", "limits": {"processes-refused": 0, "memory-kills": 0, "memory-peak-bytes": 1 << 28},
            "compiler_cache": {"hits": 3, "misses": 1}, **FETCHED, "rebuilt": {WHEEL: [MODULE]},
        },
        {"abis": {"cp314": {"failure": {"code": "WF105", "stage": "unpack", "error": "it does not unpack", "remedy": "", "missing": []}}},
         "rules": "0123456789abcdef", "limits": {}},
        {"abis": {"cp314t": {"wheel": WHEEL}}},
    ],
    "audit": [{"wheels": {WHEEL: AUDITED}}, {"wheels": {}}],
    "load": [
        {
            "loads": {
                "cp314": {"wheel": WHEEL, "claimed": False, "missing": []},
                "cp314t": {"wheel": WHEEL, "claimed": True, "missing": [], **LOADED},
            }
        },
        {"loads": {"cp314t": {"wheel": WHEEL, "claimed": True, "missing": [], "install": "it conflicts", "modules": []}}},
    ],
    "race": [
        {"wheel": None},
        {"wheel": WHEEL, "failure": "clang: error", "kit": {"wheels": [], "requirements": []}, "signs": [], **FETCHED},
        {"wheel": WHEEL, "failure": None, "kit": {"wheels": [], "requirements": []}, "signs": [], **FETCHED,
         "preflight": {"racy_seen": True, "freed_seen": True, "clean_silent": True}, "install": "it conflicts", "race_wheel": WHEEL},
        {
            "wheel": WHEEL, "failure": None, "kit": {"wheels": ["pytest-9.0-py3-none-any.whl"], "requirements": ["attrs"]},
            "signs": ["bare", "writable"], **FETCHED, "preflight": {"racy_seen": True, "freed_seen": True, "clean_silent": True}, "install": None,
            "surface": {"prelude": ["foo"], "failed": {"foo.tk": "ImportError: no"}, "callables": ["foo.f"], "reached": ["foo.f"],
                        "fatal": [], "complete": True, "calls": [CALL]},
            "scenarios": 141, "played": 120, "late": 21, "gil": False, "under_threads": ["foo.f"],
            "unwatched": {}, "unwatched_dependencies": [], "interference": [], "natives": ["_foo.cpython-314t-x86_64-linux-gnu.so"], "pairs": 24, "side_by_side": 72, "errors": {"ValueError: no": 7},
            "own_tests": {"ran": True, "seconds": 1.5, "passed": 3, "ended": "by itself"},
            "races": [
                {**RACED, "locations": [["foo.c", 12, "Box_put"], ["foo.c", 30, "Box_put"]], "calls": SCENARIO, "script": "import foo", "shown": 3, "ran": 3, "output": "WARNING"},
                {**{key: value for key, value in RACED.items() if key not in {"scenario", "times"}}, "calls": None},
            ],
            "advisory": [{**RACED, "owner": "interpreter"}], "harms": [HARMED], "race_wheel": WHEEL,
        },
    ],
    "exercise": [
        {"wheel": None},
        {"wheel": WHEEL, **FETCHED, "install": "it conflicts"},
        {
            "wheel": WHEEL, **FETCHED, "install": None, "played": 120, "late": 0, "gil": False, "errors": {},
            "harms": [
                {**HARMED, "steered": True, "malloc": "debug"},
                {"what": "wrong", "scenario": "pair-7", "sentences": ["s.get() gave 2, alone it gives 1"], "times": 2, "steered": False,
                 "calls": {**SCENARIO, "once": True}},
                {"what": "hang", "scenario": "pair-7", "idle": True, "stack": "Thread 0x1", "steered": False, "calls": SCENARIO,
                 "shown": 0, "ran": 2},
            ],
            "own_tests": {
                "ran": True, "seconds": 2.5, "alone": {"passed": 3, "failed": 0, "skipped": 1, "ended": "by itself"},
                "parallel": {"passed": 2, "failed": 1, "skipped": 1, "ended": "by itself"}, "threads": 4, "single": {"t::a": "it says so"},
                "uncollected": [], "baseline_failures": [], "crash": "", "crash_stack": "", "findings": {"t::b": "assert 1 == 2"},
            },
        },
    ],
    "speed": [
        {"wheel": None},
        {"wheel": WHEEL, "unknown": "it is not known how to call it"},
        {
            "wheel": WHEEL, "unknown": None, "cpus": 4, "install": None, "gil": False, "tried": 3, "left_out": {"short": 1, "raises": 1},
            "rounds": 2, "plain": {"make": "1", "text": "s", "native": "", "rates": RATES}, "calls": [{**CALL, "rates": RATES}],
        },
    ],
    "measurement": [
        {
            "errors": {"cp314t": "no matching distribution found for foo==1.0"},
            "scenarios": [{
                "name": "list",
                "rounds": [
                    {},
                    {
                        "cp313/1": {"count": 20, "metrics": {"p50": 0.01, "throughput": 90}, "latencies_s": [0.01, 0.02]},
                        "cp314/1": {"count": 1000, "metrics": {"p99": 0.02}, "gil": True},
                    },
                ],
                "failures": {"cp314t/1": "exit code 1"},
            }],
            "moment": "2026-11-27T10:00:00+00:00",
            "machine": {"processor": "Abacus 9", "cpus": 2, "memory_bytes": 1 << 32, "kernel": "6.1"},
            "variants": [
                {"name": "cp313/1", "interpreter": "cp313", "version": "3.13.5", "threads": 1},
                {"name": "again/1", "interpreter": "again", "version": "3.13.5", "threads": 1, "baseline": "cp313/1", "is_control": True},
            ],
            "lacking": {"cp314": "foo 1.0 has no wheel"},
            "thresholds": {"list": {"p99": "+10%"}},
            "is_whole": False,
            "pending": [{"release": "foo==2.0", "hashes": ["a"]}],
        },
    ],
    "remedy": [
        {"found": [], "unknown": []},
        {"found": [{"kind": "header", "name": "foo.h", "packages": [["libfoo-dev", "/usr/include/foo.h"]]}], "unknown": [["program", "foo"]]},
    ],
}  # fmt: skip
"""By kind of job, every shape that its facts have."""


def native_object(**more: Any) -> dict[str, Any]:
    """Return an extension module about which there is nothing to say, and what a test adds."""
    return {
        **OBJECT, "needed": [], "versions": {}, "undefined": {}, "outside": {}, "bind_now": True, "build": None, "build_sign": "",
        "init": {"function": True, "phases": "multi", "slots": {}}, "threads": None, **more,
    }  # fmt: skip


def wheel_facts(**more: Any) -> WheelFacts:
    """Return a wheel without native code about which there is nothing to say, and what a test adds."""
    quiet: dict[str, Any] = {
        "faults": [], "size": 1000, "members": 5, "dist_info": "foo-1.0.dist-info", "bytecode": [], "sboms": [],
        "components": [], "grafted": [], "metadata": {"name": ["foo"], "version": ["1.0"]}, "top_level": {"foo": "package"},
        "wheel": {"wheel-version": ["1.0"]}, "extensions": {}, "objects": {},
    }  # fmt: skip
    return WheelFacts.check({**quiet, **more})
