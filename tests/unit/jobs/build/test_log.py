from typing import Any

import pytest

from builder.jobs.build.failure import Failure
from builder.jobs.build.log import explain

START = "Building cp314-manylinux_x86_64 wheel\nBuilding wheel...\n"


def why(log: str, exit_code: int = 1, **limits: Any) -> tuple[Failure, str]:
    asked: dict[str, Any] = {"timeout_s": None, "memory_bytes": None, "processes": None, **limits}
    return explain(log, exit_code, "foo", ("cp314", "cp314t"), **asked)


@pytest.mark.parametrize(
    ("line", "code", "error"),
    [
        ("src/a.c:3:10: fatal error: libxml/parser.h: No such file or directory", "WF202", "a header is missing: libxml/parser.h"),
        ("/usr/bin/ld: cannot find -lxslt: No such file or directory", "WF202", "a library is missing: libxslt"),
        ("a.c:1:5: error: 'x' undeclared (first use in this function)", "WF201", "a.c:1:5: error: 'x' undeclared"),
        ("../meson.build:4:0: ERROR: Dependency \"lcms2\" not found, tried pkgconfig", "WF202", "a library is missing: lcms2"),
        ("CMake Error at CMakeLists.txt:3 (project):", "WF201", "CMake Error at CMakeLists.txt:3"),
        ("Foo/bar.pyx:1:2: undeclared name not builtin: x", "WF201", "Cython: Foo/bar.pyx:1:2"),
        ("ModuleNotFoundError: No module named 'numpy'", "WF201", "No module named 'numpy'"),
        ("wheelfarm: patch _wheelfarm_patches/001.patch does not apply", "WF208", "patch number 001"),
    ],
)  # fmt: skip
def test_the_first_error_is_found(line: str, code: str, error: str):
    failure, abi = why(
        f"{START}some noise\n{line}\nmore noise\nerror: command '/usr/bin/gcc' failed with exit code 1\n"
    )
    assert (failure.code, abi) == (code, "cp314")
    assert error in failure.error
    assert failure.stage == "building wheel"


def test_a_missing_header_names_the_line_to_add():
    failure, _ = why(START + "a.c:1:1: fatal error: ffi.h: No such file or directory\n")
    assert "apt-file search ffi.h" in failure.remedy
    assert "[packages.foo]" in failure.remedy


def test_the_abi_is_the_one_that_was_being_built():
    log = (
        START
        + "ok\nBuilding cp314t-manylinux_x86_64 wheel\nBuilding wheel...\nb.c:1:1: error: no\n"
    )
    failure, abi = why(log)
    assert abi == "cp314t"
    assert failure.error == "b.c:1:1: error: no"


@pytest.mark.parametrize(
    ("limits", "code", "word"),
    [
        ({"timeout_s": 60}, "WF203", "60 s"),
        ({"memory_bytes": 256 << 20}, "WF204", "256 MiB"),
        ({"processes": 1024}, "WF205", "1024 processes"),
        ({"processes": 1024, "timeout_s": 60}, "WF205", "1024 processes"),
        ({"disk": "5000 MiB in its file system, of 4096 MiB"}, "WF217", "5000 MiB"),
    ],
)
def test_a_limit_that_was_met_is_the_cause(limits: dict[str, Any], code: str, word: str):
    failure, _ = why(START + "a.c:1:1: error: noise\n", **limits)
    assert failure.code == code
    assert word in failure.error


def test_a_pure_wheel_says_why_the_extension_was_left_out():
    failure, _ = why(START + "soft.c:2:2: error: not good enough\n", exit_code=5)
    assert failure.code == "WF206"
    assert "soft.c:2:2" in failure.error


def test_repair_errors_are_told_from_build_errors():
    failure, _ = why(
        START
        + 'Repairing wheel...\nValueError: Cannot repair wheel, because required library "libz.so" could not be located\n'
    )
    assert failure.code == "WF210"


def test_a_log_without_any_known_error_gives_its_last_line():
    failure, _ = why("nothing to see\nthe last line\n")
    assert failure.error == "the last line"
    assert failure.stage == "starting the container"
