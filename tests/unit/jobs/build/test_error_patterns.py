"""Excerpts of logs of builds that really failed, each in one way, in the builder image of debian-12."""

from pathlib import Path

import pytest

from builder.jobs.build.failure import Failure
from builder.jobs.build.log import explain
from builder.judge.apt_contents import parse_missing

LOGS = Path(__file__).parent / "buildlogs"

# By excerpt: the code, a part of the error, and what of the system is missing.
EXPECTED = {
    "compiler-header": ("WF202", "a header is missing: libxml/parser.h", "header libxml/parser.h"),
    "compiler-local-header": (
        "WF202",
        "a header is missing: probe_tables.h",
        "header probe_tables.h",
    ),
    "compiler-undeclared": ("WF201", "src/probe.c:4:24: error: ", ""),
    "compiler-hash-error": (
        "WF201",
        'src/probe.c:1:2: error: #error "this compiler is not supported"',
        "",
    ),
    "compiler-template": ("WF201", "(required from src/probe.cpp:3)", ""),
    "compiler-removed-api": (
        "WF201",
        "src/probe.c:4:69: error: implicit declaration of function",
        "",
    ),
    "compiler-werror": ("WF201", "src/probe.c:4:23: error: unused variable", ""),
    "linker-library": ("WF202", "a library is missing: libgpgme", "library gpgme"),
    "linker-undefined": (
        "WF201",
        "/project/src/probe.c:3: undefined reference to `PyModuleDef_Init'",
        "",
    ),
    "setuptools-source": ("WF201", "a source file is missing: src/absent.c", ""),
    "setuptools-raises": ("WF201", "RuntimeError: xslt-config said nothing", ""),
    "setuptools-development-packages": (
        "WF202",
        "missing: libxml2 libxslt",
        "development libxml2, development libxslt",
    ),
    "setuptools-pkg-config": ("WF202", "a library is missing: gpgme", "pkg-config gpgme"),
    "setuptools-program": ("WF202", "a program is missing: gpgme-config", "program gpgme-config"),
    "setuptools-shell-program": (
        "WF202",
        "a program is missing: gpgme-config",
        "program gpgme-config",
    ),
    "setuptools-swig": ("WF202", "a program is missing: swig", "program swig"),
    "setuptools-build-import": ("WF201", "No module named 'numpy'", ""),
    "requirement-unknown": ("WF211", "only setuptools<=", ""),
    "meson-dependency": ("WF202", "a library is missing: lcms2", "dependency lcms2"),
    "meson-library": ("WF202", "a library is missing: libgpgme", "library gpgme"),
    "meson-program": ("WF202", "a program is missing: gperf", "program gperf"),
    "meson-header": ("WF202", "a header is missing: expat.h", "header expat.h"),
    "meson-syntax": ("WF201", "Meson: ../meson.build:4:0: ERROR: Expecting rbracket", ""),
    "meson-error": ("WF201", "probe wants a newer kernel", ""),
    "meson-compile": ("WF201", "../src/probe.c:4:24: error: ", ""),
    "cmake-module": ("WF202", "a library is missing: EXPAT", "cmake EXPAT"),
    "cmake-config": ("WF202", "a library is missing: Eigen3", "cmake Eigen3"),
    "cmake-pkg-config": ("WF202", "a library is missing: gpgme", "pkg-config gpgme"),
    "cmake-library": ("WF202", "a library is missing: gpgme", "library gpgme"),
    "cmake-message": (
        "WF201",
        "CMake: probe wants a newer kernel (CMakeLists.txt:3 (message))",
        "",
    ),
    "cmake-syntax": ("WF201", 'CMake: Unknown CMake command "frobnicate".', ""),
    "cmake-compile": ("WF201", "/project/src/probe.c:4:24: error: ", ""),
    "cython-name": ("WF201", "Cython: src/probe.pyx:3:9: 'Foo' is not a type identifier", ""),
    "cython-syntax": ("WF201", "Cython: src/probe.pyx:1:6: Expected ')'", ""),
    "cython-cimport": ("WF201", "Cython: src/probe.pyx:1:8: 'numpy.pxd' not found", ""),
    "rust-compiler": ("WF202", "a compiler is missing: Rust's", "program cargo"),
    "repair-library": ("WF210", 'required library "libgone.so.3" could not be located', ""),
}


def why(log: str) -> Failure:
    return explain(log, 1, "probe", ("cp314",), timeout_s=None, memory_bytes=None, processes=None)[
        0
    ]


def test_every_excerpt_is_told_of():
    assert {path.stem for path in LOGS.iterdir()} == EXPECTED.keys()


@pytest.mark.parametrize("name", EXPECTED)
def test_the_first_error_and_what_is_missing(name: str):
    code, error, missing = EXPECTED[name]
    failure = why((LOGS / f"{name}.log").read_text())
    assert failure.code == code
    assert error in failure.error
    assert (
        ", ".join(f"{want.kind} {want.name}" for want in parse_missing(failure.missing)) == missing
    )


@pytest.mark.parametrize("name", ["cython-cimport", "setuptools-build-import"])
def test_an_undeclared_requirement_of_the_build_is_named(name: str):
    assert "the Python package numpy" in why((LOGS / f"{name}.log").read_text()).remedy


def test_a_question_of_a_configure_step_is_not_the_error():
    log = (
        "Building wheel...\n/tmp/tmpx1/probe.c:1:10: fatal error: sys/epoll2.h: No such file or directory\n"
        "Package foo was not found in the pkg-config search path.\nsrc/a.c:7:1: error: expected ';'\n"
    )
    failure = why(log)
    assert failure.error == "src/a.c:7:1: error: expected ';'"
    assert failure.missing == ()
