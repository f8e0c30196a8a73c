"""The start-up check for platforms: real virtual environments, and interpreters made of small scripts."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import time
import venv
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

START = Path(__file__).parents[3] / "examples" / "platforms" / "start.py"
PYTHON = sys.executable

FAKE_GIL = """
import sys
sys._is_gil_enabled = lambda: sys.__dict__.get("gil_is_on", False)
"""
"""A `sitecustomize` by which an interpreter says what a free-threaded one would say of its GIL."""


class Ended(NamedTuple):
    code: int
    lines: list[dict[str, Any]]
    stdout: str
    stderr: str


def run(*arguments: str | Path) -> Ended:
    """Run start.py as a platform does, in a folder of its own; the limit ends a test that would hang."""
    done = subprocess.run(
        [PYTHON, START, *arguments],
        cwd=START.parent / "docker",  # no folder of modules: it is on the path of what is examined
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    lines = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
    return Ended(done.returncode, lines, done.stdout, done.stderr)


def make_environment(folder: Path, distributions: Mapping[str, Mapping[str, str]]) -> Path:
    """Make a real virtual environment with distributions, each of some files; return its interpreter."""
    venv.create(folder, symlinks=True)
    (site,) = folder.glob("lib/python*/site-packages")
    for name, files in distributions.items():
        info = site / f"{name.replace('-', '_')}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        for path, text in files.items():
            (site / path).parent.mkdir(parents=True, exist_ok=True)
            (site / path).write_text(text)
        (info / "RECORD").write_text("".join(f"{path},,\n" for path in files))

    return folder / "bin" / "python"


def write_interpreter(path: Path, script: str) -> Path:
    """Write an interpreter that is a shell script."""
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def write_lock(folder: Path, text: str = "foo==1.0\n") -> Path:
    path = folder / "requirements.txt"
    path.write_text(text)
    return path


def check(folder: Path, *runtimes: str, extra: tuple[str, ...] = ()) -> Ended:
    """Examine runtimes, each `NAME=PYTHON`, with the lock of a folder."""
    options = [word for runtime in runtimes for word in ("--runtime", runtime)]
    lock = folder / "requirements.txt"
    if not lock.exists():
        write_lock(folder)
    return run("--lock", lock, *options, *extra, "--check")


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    """An environment in which all that the lock names can be imported."""
    return make_environment(tmp_path / "sound", {"foo": {"foo/__init__.py": "", "_foo.py": ""}})


def failures_of(ended: Ended, place: int = 0) -> list[tuple[str, str, str]]:
    failures = ended.lines[place]["failures"]
    return [(failure["module"], failure["distribution"], failure["why"]) for failure in failures]


def broken(tmp_path: Path, code: str, name: str = "broken") -> Path:
    return make_environment(tmp_path / name, {"foo": {"foo.py": code}})


# --- the choice -------------------------------------------------------------------------------------------------------


def test_a_runtime_that_imports_everything_is_usable(sound: Path, tmp_path: Path):
    ended = check(tmp_path, f"3.14={sound}")
    assert ended.code == 0
    (line,) = ended.lines
    assert (line["runtime"], line["usable"], line["modules"]) == ("3.14", True, 2)


def test_a_wheel_that_does_not_import_is_named_in_one_line_and_the_next_runtime_is_taken(
    sound: Path, tmp_path: Path
):
    first = broken(tmp_path, "raise ImportError('undefined symbol: PyFoo')")
    ended = check(tmp_path, f"3.14t={first}", f"3.14={sound}")
    assert ended.code == 75
    assert failures_of(ended) == [("foo", "foo 1.0", "ImportError: undefined symbol: PyFoo")]
    assert [(line["runtime"], line["usable"]) for line in ended.lines] == [
        ("3.14t", False),
        ("3.14", True),
    ]
    assert ended.lines[0]["next"] == "3.14"


def test_where_no_runtime_is_usable_nothing_is_started(tmp_path: Path):
    first = broken(tmp_path, "raise RuntimeError('one')")
    second = broken(tmp_path, "raise RuntimeError('two')", "other")
    marker = tmp_path / "started"
    ended = run(
        *("--lock", write_lock(tmp_path), "--runtime", f"a={first}", "--runtime", f"b={second}"),
        *("--", "touch", marker),
    )
    assert ended.code == 69
    assert not marker.exists()
    assert [line["next"] for line in ended.lines] == ["b", None]
    assert ended.stderr.count("\n") == 2


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "it died of SIGSEGV"),
        ("import os; os._exit(3)", "it ended early, with exit code 3"),
        ("import os; os._exit(0)", "it ended before it was through"),
        ("raise SystemExit('no license')", "SystemExit: no license"),
        ("print('chatter')\nraise KeyError('x')", "KeyError: 'x'"),
    ],
    ids=["signal", "exit", "silent-exit", "system-exit", "chatter"],
)
def test_whatever_an_import_does_is_told_with_the_module(tmp_path: Path, code: str, why: str):
    ended = check(tmp_path, f"3.14={broken(tmp_path, code)}")
    assert ended.code == 69
    assert failures_of(ended) == [("foo", "foo 1.0", why)]
    assert ended.stdout == ""


def test_an_import_that_hangs_ends_with_its_time_and_all_that_it_started(tmp_path: Path):
    pid = tmp_path / "pid"
    begun = json.dumps({"state": "begin", "module": "foo", "distribution": "foo 1.0"})
    script = f"sleep 600 & echo $! > {pid}\nprintf '%s\\n' '{begun}' > /dev/fd/$3\nwait"
    runtime = write_interpreter(tmp_path / "python-slow", script)
    ended = check(tmp_path, f"3.14={runtime}", extra=("--timeout-s", "5"))
    assert failures_of(ended) == [("foo", "foo 1.0", "it did not end within 5 s")]
    wait_until_gone(int(pid.read_text()))


def wait_until_gone(pid: int) -> None:
    """Wait until a killed process is gone, or is a zombie that nobody has collected."""
    state = Path(f"/proc/{pid}/stat")
    for _ in range(300):
        if not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z":
            return
        time.sleep(0.1)
    raise AssertionError(f"process {pid} still runs")


def test_a_child_that_an_import_leaves_behind_does_not_hold_the_check_up(tmp_path: Path):
    code = "import os, time\nif os.fork() == 0:\n    time.sleep(600)\n"
    ended = check(tmp_path, f"3.14={broken(tmp_path, code)}", extra=("--timeout-s", "100"))
    assert (ended.code, ended.lines[0]["usable"]) == (0, True)


def test_an_interpreter_that_is_not_there_or_no_interpreter_is_passed_over(
    sound: Path, tmp_path: Path
):
    other = write_interpreter(tmp_path / "python-no", "echo no; exit 7")
    ended = check(tmp_path, f"a={tmp_path / 'none'}", f"b={other}", f"c={sound}")
    assert ended.code == 75
    assert "does not start" in failures_of(ended)[0][2]
    assert failures_of(ended, 1) == [("", "", "it ended early, with exit code 7")]


def test_a_report_that_is_cut_off_or_no_report_is_none(tmp_path: Path):
    script = """printf '[1]\\n{"state": "complete" }{' > /dev/fd/$3"""
    fake = write_interpreter(tmp_path / "python-odd", script)
    ended = check(tmp_path, f"a={fake}")
    assert failures_of(ended) == [("", "", "it ended before it was through")]


# --- the GIL ----------------------------------------------------------------------------------------------------------


def make_free_threaded(folder: Path, code: str) -> Path:
    """Make an interpreter that says of its GIL what a free-threaded one would."""
    files = {"foo.py": code, "sitecustomize.py": FAKE_GIL}
    return make_environment(folder, {"foo": files})


def test_a_module_that_turns_the_gil_on_is_named_where_it_has_to_stay_off(
    sound: Path, tmp_path: Path
):
    runtime = make_free_threaded(tmp_path / "t", "import sys; sys.gil_is_on = True")
    wanted = check(tmp_path, f"3.14t={runtime}", f"3.14={sound}", extra=("--without-gil", "3.14t"))
    assert wanted.code == 75
    assert failures_of(wanted)[0] == ("foo", "foo 1.0", "importing it turns the GIL on")
    assert check(tmp_path, f"3.14t={runtime}").code == 0


def test_a_runtime_whose_gil_stays_off_is_usable(tmp_path: Path):
    runtime = make_free_threaded(tmp_path / "t", "")
    assert check(tmp_path, f"3.14t={runtime}", extra=("--without-gil", "3.14t")).code == 0


@pytest.mark.skipif(
    hasattr(sys, "_is_gil_enabled") and not sys._is_gil_enabled(),
    reason="this interpreter has no GIL",
)
def test_an_interpreter_that_always_has_a_gil_is_not_one_without(sound: Path, tmp_path: Path):
    ended = check(tmp_path, f"3.14t={sound}", extra=("--without-gil", "3.14t"))
    assert failures_of(ended) == [("", "", "the GIL is on from the start")]


# --- what is imported -------------------------------------------------------------------------------------------------


def test_every_top_level_module_of_the_lock_is_imported_and_nothing_else(tmp_path: Path):
    runtime = make_environment(
        tmp_path / "env",
        {
            "one-dist": {
                "one/__init__.py": "",
                "one/deep.py": "raise ValueError('not a top-level module')",
                "space/part/__init__.py": "",
                "one.libs/readme.txt": "",
                "data/table.csv": "",
                "../../../bin/one.py": "raise ValueError('a program')",
            },
            "other": {"other.py": "raise ValueError('not in the lock')"},
        },
    )
    write_lock(tmp_path, "# by a tool\none_dist==1.0 \\\n    --hash=sha256:00\n-r other.txt\n")
    ended = check(tmp_path, f"a={runtime}")
    assert (ended.code, ended.lines[0]["modules"]) == (0, 2)


def test_what_is_not_installed_is_a_failure_unless_a_marker_may_leave_it_out(
    sound: Path, tmp_path: Path
):
    write_lock(tmp_path, "foo==1.0\nbar==1.0\nbaz==1.0 ; sys_platform == 'win32'\n")
    ended = check(tmp_path, f"a={sound}")
    assert failures_of(ended) == [("", "bar", "it is not installed")]


def test_modules_can_be_left_out_and_imported_first(tmp_path: Path):
    runtime = make_environment(
        tmp_path / "env",
        {
            "foo": {
                "a_late.py": "import sys; assert 'z_early' in sys.modules",
                "z_early.py": "",
                "tests/__init__.py": "raise ImportError('no pytest')",
            }
        },
    )
    extra = ("--first", "z_early", "--skip", "tests")
    assert check(tmp_path, f"a={runtime}", extra=extra).code == 0
    ended = check(tmp_path, f"a={runtime}")
    assert [failure[0] for failure in failures_of(ended)] == ["a_late", "tests"]


def test_many_failures_are_counted_and_the_line_stays_short(tmp_path: Path):
    files = {f"m{number:02}.py": "raise ValueError('x' * 10_000)" for number in range(30)}
    ended = check(tmp_path, f"a={make_environment(tmp_path / 'env', {'foo': files})}")
    assert (len(ended.lines[0]["failures"]), ended.lines[0]["failure_count"]) == (10, 30)
    assert len(ended.stderr) < 8000


# --- the command ------------------------------------------------------------------------------------------------------


def test_the_command_runs_in_the_environment_of_the_runtime_and_gives_the_exit_code(
    sound: Path, tmp_path: Path
):
    code = "import os, sys; print(sys.prefix, os.environ['VIRTUAL_ENV']); sys.exit(9)"
    ended = run(
        *("--lock", write_lock(tmp_path), "--runtime", f"3.14={sound}"),
        *("--", "python", "-c", code),
    )
    assert ended.code == 9
    assert ended.stdout.split() == [str(sound.parent.parent)] * 2


def test_a_command_that_is_not_there_has_the_code_of_the_shell(sound: Path, tmp_path: Path):
    ended = run("--lock", write_lock(tmp_path), "--runtime", f"a={sound}", "--", "no-such-command")
    assert ended.code == 127
    assert "no-such-command" in ended.lines[-1]["error"]


def test_a_signal_during_the_check_ends_it(tmp_path: Path):
    ready = tmp_path / "ready"
    runtime = broken(tmp_path, f"open({str(ready)!r}, 'w').close()\nimport time; time.sleep(600)")
    write_lock(tmp_path)
    process = subprocess.Popen(
        [
            PYTHON,
            START,
            "--lock",
            tmp_path / "requirements.txt",
            "--runtime",
            f"a={runtime}",
            "--check",
        ]
    )
    try:
        for _ in range(600):
            if ready.exists():
                break
            time.sleep(0.1)
        process.terminate()
        assert process.wait(60) == 143
    finally:
        process.kill()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--runtime", "a", "--check"), "NAME=PYTHON"),
        (("--runtime", "a=b", "--check", "--timeout-s", "0"), "seconds above 0"),
        (("--runtime", "a=b", "--check", "--timeout-s", "nan"), "seconds above 0"),
        (("--runtime", "a=b", "--check", "--without-gil", "c"), "no --runtime"),
        (("--runtime", "a=b", "--runtime", "a=c", "--check"), "one name"),
        (("--runtime", "a=b"), "expected either"),
        (("--check",), "--runtime"),
    ],
    ids=["runtime", "no-time", "nan", "gil", "twice", "no-command", "no-runtime"],
)
def test_a_wrong_command_line_starts_nothing(tmp_path: Path, arguments: tuple[str, ...], said: str):
    ended = run("--lock", write_lock(tmp_path), *arguments)
    assert ended.code == 64
    assert said in ended.stderr


@pytest.mark.parametrize("text", ["", "# nothing\n--hash=sha256:00\n"])
def test_a_lock_that_names_nothing_is_wrong(tmp_path: Path, text: str):
    write_lock(tmp_path, text)
    ended = check(tmp_path, "a=b")
    assert ended.code == 64
    assert "names no distribution" in ended.lines[0]["error"]


def test_a_lock_that_is_not_there_is_wrong(tmp_path: Path):
    ended = run("--lock", tmp_path / "none", "--runtime", "a=b", "--check")
    assert (ended.code, "cannot be read" in ended.lines[0]["error"]) == (64, True)


def test_it_is_written_for_python_3_9_and_needs_the_standard_library_alone():
    tree = ast.parse(START.read_text(), feature_version=(3, 9))
    names: set[str] = set()
    for node in ast.walk(tree):
        assert not isinstance(node, ast.Match)
        if isinstance(node, ast.Import):
            names.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names.add(str(node.module).partition(".")[0])
    assert names <= set(sys.stdlib_module_names)
