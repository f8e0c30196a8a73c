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


TRACEBACK = 'Traceback (most recent call last):\n  File "setup.py", line 9, in <module>\n'
FIND_PYTHON = (
    "CMake Error at /usr/share/cmake/Modules/FindPackageHandleStandardArgs.cmake:230 (message):\n  "
)
PYTHON_H = "/opt/python/cp314-cp314t/include/python3.14t/pyport.h:1:2"


@pytest.mark.parametrize(
    ("text", "code", "remedy", "missing"),
    [
        ("Error: pg_config executable not found.\n\nPlease add the directory\n", "WF202", "apt-file search bin/pg_config", [("program", "pg_config")]),
        ("__main__.ConfigurationError: Could not run curl-config: [Errno 2] No such file or directory: 'curl-config'\n", "WF202", "bin/curl-config",
         [("program", "curl-config")]),
        ("proj executable not found. Please set the PROJ_DIR variable.\nerror: subprocess\n", "WF202", "proj.h", [("program", "proj"), ("header", "proj.h")]),
        (TRACEBACK + "Command 'pkg-config --exists mysqlclient' returned non-zero exit status 1.\nException: Can not find valid pkg-config name.\n", "WF202",
         "mysqlclient.pc", [("pkg-config", "mysqlclient")]),
        (TRACEBACK + "ModuleNotFoundError: No module named 'pkg_resources'\n", "WF201", 'set build-constraints = ["setuptools<82"] in [packages.foo]', []),
        (TRACEBACK + "ModuleNotFoundError: No module named 'setuptools.command.test'\n", "WF201", '"setuptools<72"', []),
        (TRACEBACK + "ModuleNotFoundError: No module named 'distutils.core'\n", "WF201", "add setuptools to `build-system.requires`", []),
        (TRACEBACK + "ModuleNotFoundError: No module named 'cgi'\n", "WF201", "removed cgi", []),
        (TRACEBACK + "ModuleNotFoundError: No module named 'foo.version'\n", "WF201", "a module of the package itself", []),
        (TRACEBACK + "ValueError: `py_limited_api='cp38'` not supported. `Py_LIMITED_API` is incompatible with `Py_GIL_DISABLED`.\n", "WF201",
         'skip = { cp314t = "needs the stable ABI" }', []),
        (f'{PYTHON_H}: error: #error "Py_LIMITED_API is not currently supported in the free-threaded build"\n', "WF201", "no stable ABI without the GIL", []),
        (FIND_PYTHON + 'Could NOT find Python3 (missing: Python3_LIBRARIES Development\n  Development.Embed) (found version "3.14.5")\n', "WF201",
         "`Development.Module` in place of `Development`", []),
        (FIND_PYTHON + "Could NOT find PythonLibs (missing: PYTHON_LIBRARIES PYTHON_INCLUDE_DIRS)\n", "WF201", "Development.Module", []),
        ("CMake Error at CMakeLists.txt:1 (cmake_minimum_required):\n  Compatibility with CMake < 3.5 has been removed from CMake.\n", "WF201",
         'env = { CMAKE_POLICY_VERSION_MINIMUM = "3.5" }', []),
        ("src/a.c:10:5: error: implicit declaration of function 'PyUnicode_AsUnicode' [-W]\n", "WF201", "CPython 3.14 has no PyUnicode_AsUnicode", []),
        ("cc1plus: error: unrecognized command-line option '-std=c++26'\n", "WF201", "build on a base with a newer one", []),
        ("foo/a.pyx:3:8: 'long' is not a type identifier\n", "WF201", '"cython<3.1"', []),
        ("  cause: The Python request from `/opt/p` resolved to Python 3.14.5, which is incompatible with the project's Python requirement: `<3.14`\n", "WF201",
         "lift the cap on `requires-python`", []),
        (TRACEBACK + "LookupError: setuptools-scm was unable to detect version for /project.\n", "WF201", "SETUPTOOLS_SCM_PRETEND_VERSION", []),
        ("error: rustc 1.63.0 is not supported by the following package:\n\n  pyo3@0.26.0 requires rustc 1.74\n", "WF201", "Rust is older than that", []),
        ("wheelfarm-toolchain-refused: the archive of Rust 1.98.0 is refused: '../a' is no path within it\n", "WF201", "ask who runs it", []),
        ("error: failed to run custom build command for `orjson v3 (/project)`\n\nCaused by:\n  process failed\n  --- stderr\n\n\n  orjson v3 has no GIL\n", "WF201",
         "", []),
        ("error: failed to get `pyo3` as a dependency of package `foo v1.0 (/project)`\n\nCaused by:\n  Unable to update https://a.invalid/pyo3.git\n",
         "WF201", "`cargo vendor`", []),
        (("error: failed to get `pyo3` as a dependency of package `foo v1.0 (/project)`\n\nCaused by:\n  failed to load source for dependency `pyo3`\n\nCaused by:\n"
         "  unable to update registry `crates-io`\n\nCaused by:\n  download of config.json failed\n"), "WF225",
         "`cargo vendor`", []),
        ("error: failed to get `pyo3` as a dependency of package `foo v1.0 (/project)`\n\nCaused by:\n  failed to query replaced source registry `crates-io`\n",
         "WF225", "WHEELFARM_CARGO_REGISTRY", []),
        ("error: failed to download from `http://a.invalid/dl/tiny`\n", "WF225", "[packages.foo]", []),
        ("error: no matching package named `tiny` found\nlocation searched: `wheelfarm` index\n", "WF225", "WHEELFARM_CARGO_REGISTRY", []),
        ("error: failed to select a version for the requirement `tiny = \"^9\"`\n", "WF225", "WHEELFARM_CARGO_REGISTRY", []),
        ("error: checksum for `tiny v0.1.0` changed between lock files\n", "WF225", "another file under that name", []),
        ("auditwheel.error.InvalidLibcError: couldn't detect libc for python extension /tmp/x/speedups.abi3.so\n", "WF210", "wheelfarm run --again foo", []),
    ],
)  # fmt: skip
def test_what_is_known_of_an_error_is_a_remedy_that_works(
    text: str, code: str, remedy: str, missing: list[tuple[str, str]]
):
    failure, _ = why(START + text)
    assert failure.code == code
    assert remedy in failure.remedy
    assert list(failure.missing) == missing


def test_headers_of_python_that_cmake_does_not_find_are_no_reason_to_install_a_python():
    """Debian's python3-dev has a libpython, of another Python: a wheel that is linked to it loads nowhere else."""
    failure, _ = why(
        START + FIND_PYTHON + "Could NOT find Python3 (missing: Development) (found)\n"
    )
    assert failure.missing == ()
