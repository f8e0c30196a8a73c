"""Packages that try to end, or to speak for, the process in which threads call them: it shows."""

import sys
from pathlib import Path
from typing import Any

import pytest

from builder.inside.stress.calls import instrumentation
from builder.inside.stress.package import installing
from builder.inside.stress.play.forkserver_process import ForkServer
from builder.inside.stress.play.player import Player, PlayResult
from builder.inside.stress.process.interpreter import Interpreter
from tests.unit.inside.load.test_attacks import FIND_PIPE, FORGED
from tests.unit.inside.stress.play.test_player import scenario
from tests.unit.inside.stress.sanitizer.sanitizer_reports import BUMP, OURS, PEEK, race

CODE = (
    FIND_PIPE
    + f"""
import signal, sys, threading, time

def forge():
    say({FORGED!r})

def later(function):
    threading.Timer(0.1, function).start()
    time.sleep(0.5)

def leave_behind():
    if not os.fork():
        os.setsid()
        time.sleep(0.3)
        forge()
        os._exit(0)

def hide_errors():
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
"""
)


def play(folder: Path, *texts: str, code: str = CODE, **more: Any) -> PlayResult:
    """Return what is seen while one thread makes each of these calls once, of a module with this code."""
    (folder / "hostile.py").write_text(code)
    scenarios = []
    for text in texts:
        scenarios.append(scenario(text, text, threads=1, iterations=1))
    interpreter = Interpreter(sys.executable, str(folder), patience_s=3.0, **more)
    player = Player(interpreter, ["hostile"], {OURS}, rounds=1, seconds=60)
    result = player.play(scenarios)
    player.close()
    return result


def interference(result: PlayResult) -> list[str]:
    return [event["what"] for event in result.events]


def test_an_honest_module_does_not_interfere(tmp_path: Path):
    result = play(tmp_path, "len(s)", "hostile.os.getpid()", code="import os")
    assert result.ended == ["len(s)", "hostile.os.getpid()"]
    assert result.events == []


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("hostile.os._exit(0)", "end"),
        ("hostile.os._exit(3)", "end"),
        ("hostile.os.kill(hostile.os.getpid(), 15)", "end"),
        ("hostile.os.kill(hostile.os.getpid(), 9)", "end"),
        ("hostile.later(lambda: hostile.os._exit(0))", "end"),
        # The fork server.
        ("hostile.os.kill(hostile.os.getppid(), 9)", "end"),
        ("hostile.forge()", "forged"),
        ("hostile.later(hostile.forge)", "forged"),
        ("[hostile.forge(), hostile.os._exit(0)]", "forged"),
        # The child of the child says nothing; that its parent is gone is seen.
        ("hostile.os.fork() and hostile.os._exit(0)", "end"),
    ],
)
def test_what_ends_the_process_or_speaks_for_it_is_an_event(tmp_path: Path, text: str, what: str):
    result = play(tmp_path, "len(s)", text)
    assert what in interference(result), result
    assert (
        text not in result.ended or "getppid" in text
    )  # it came to its end, and its server did not


def test_what_is_left_behind_cannot_speak_for_the_next(tmp_path: Path):
    result = play(tmp_path, "hostile.leave_behind()", "hostile.time.sleep(1)")
    assert interference(result) == ["forged"]


@pytest.mark.parametrize("name", ["sitecustomize", "usercustomize", "json", "threading"])
def test_no_module_of_the_distribution_runs_before_the_harness(tmp_path: Path, name: str):
    (tmp_path / f"{name}.py").write_text("import os; os._exit(0)")
    result = play(tmp_path, "s.append(1)", code="value = 1")
    assert (result.ended, result.events) == (["s.append(1)"], [])


def test_reports_that_are_turned_away_are_missed(tmp_path: Path):
    text = race((BUMP,), (PEEK,))
    call = f"[hostile.hide_errors(), hostile.os.write(2, {text!r}.encode())]"
    result = play(tmp_path, "len(s)", call, race=True)
    assert interference(result) == ["lost"]


@pytest.mark.parametrize(
    "code",
    [
        "import sys; sys._is_gil_enabled = lambda: False",
        "import json; json.dumps = json.loads = None",
        "import os; os.write = os._exit = os.getpid = None",
        "import time; time.perf_counter = lambda: float('inf'); time.monotonic = time.perf_counter",
        "import builtins; builtins.range = lambda *_: ()",
        "import sys\nfor name in list(sys.modules):\n if 'inside' in name: sys.modules[name].__dict__.clear()",
    ],
)
def test_what_is_replaced_in_modules_does_not_matter(tmp_path: Path, code: str):
    result = play(tmp_path, "s.append(1)", "s.missing", code=code)
    assert result.ended == ["s.append(1)", "s.missing"]
    assert list(result.errors.values()) == [1]
    assert result.gil  # the interpreter that runs the tests has one
    assert result.events == []


@pytest.mark.parametrize("pid", ["1", "os.getppid()", "0", "-1", "'x'", "None"])
def test_a_server_that_names_another_process_starts_nothing(tmp_path: Path, pid: str):
    """A package has the server say that it forked a process which the supervisor would kill."""
    code = f"""
import os, sys
frame = sys._getframe()
while "run_scenarios" not in frame.f_globals:
    frame = frame.f_back
frame.f_globals["_fork"] = lambda: {pid}
"""
    (tmp_path / "hostile.py").write_text(code)
    server = ForkServer(Interpreter(sys.executable, str(tmp_path)), ["hostile"])
    server.await_start()
    request = {"scenarios": [], "first": 0, "rounds": 1, "seconds": 1, "longest": 1, "marks": False}
    assert server.begin(request) is None
    server.close()


def test_what_was_not_compiled_for_the_detector_is_named(tmp_path: Path):
    library = tmp_path / "plain.so"
    library.write_bytes(Path("/proc/self/exe").read_bytes())
    assert (
        instrumentation.explain_unwatched(library) == "it was not compiled with -fsanitize=thread"
    )
    library.write_bytes(b"\x7fELF\x01\x01" + bytes(100))
    assert "cannot be read" in (instrumentation.explain_unwatched(library) or "")
    library.write_bytes(b"no code")
    assert instrumentation.explain_unwatched(library) is None


@pytest.mark.parametrize(
    "name",
    [
        "foo/_fast.cpython-314t-x86_64-linux-gnu.so",
        "foo/_fast.so",
        "foo/data.bin",
        "foo-1.0.dist-info/fast.so",
        "other.data/fast",
    ],
)
def test_native_code_counts_whatever_its_file_is_called(tmp_path: Path, name: str):
    """A build that knows the race detector's flags may leave out what races, or keep it from being watched."""
    judged, raced = tmp_path / "judged", tmp_path / "raced"
    native = Path("/proc/self/exe").read_bytes()
    for site, members in ((judged, {name: native}), (raced, {"foo/other.py": b""})):
        install(site, members)
    missing = instrumentation.find_unwatched("foo", str(judged), str(raced))
    assert [reason.partition(",")[0] for reason in missing.values()] == [
        "compiled for the race detector"
    ]

    install(raced, {name: native})
    unwatched = instrumentation.find_unwatched("foo", str(judged), str(raced))
    assert unwatched == {name: "it was not compiled with -fsanitize=thread"}


def test_vendored_libraries_may_have_another_name(tmp_path: Path):
    for site, name in (("judged", "libm-1.so"), ("raced", "libm-2.so")):
        install(tmp_path / site, {f"foo.libs/{name}": b"\x7fELF"})
    unwatched = instrumentation.find_unwatched(
        "foo", str(tmp_path / "judged"), str(tmp_path / "raced")
    )
    assert list(unwatched) == ["foo.libs/libm-2.so"]  # it is not watched, which is another thing


def test_dependencies_that_were_not_compiled_for_the_detector_are_named(tmp_path: Path):
    native = Path("/proc/self/exe").read_bytes()
    install(tmp_path, {"foo/_fast.so": native})
    install(tmp_path, {"bar/_bar.so": native, "bar/__init__.py": b""}, "Bar")
    install(tmp_path, {"pure/__init__.py": b""}, "pure")
    found = instrumentation.find_unwatched_dependencies("foo", str(tmp_path))
    assert found == {"bar": ["_bar.so"]}


def install(site: Path, members: dict[str, bytes], project: str = "foo") -> None:
    info = f"{project}-1.0.dist-info"
    record = "".join(f"{name},,\n" for name in (*members, f"{info}/METADATA"))
    metadata = f"Metadata-Version: 2.1\nName: {project}\nVersion: 1.0\n"
    files = {f"{info}/METADATA": metadata.encode()}
    files |= {f"{info}/RECORD": record.encode(), **members}
    for name, content in files.items():
        path = site / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def test_code_that_silences_the_race_detector_is_not_watched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    names = [b"__tsan_init", b"__tsan_func_entry"]
    monkeypatch.setattr(instrumentation, "_iter_symbols", lambda _: iter(names))
    install(tmp_path, {"foo/data.bin": b"\x7fELF", "foo/plain.txt": b"text"})
    library = tmp_path / "foo" / "data.bin"
    assert instrumentation.explain_unwatched(library) is None
    assert instrumentation.find_watched("foo", str(tmp_path)) == {"data.bin"}

    names.append(b"AnnotateIgnoreReadsBegin")
    reason = instrumentation.explain_unwatched(library)
    assert reason == ("it tells the race detector what not to report: AnnotateIgnoreReadsBegin")


def test_what_only_looks_like_the_installed_distribution_is_not_taken_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Any wheel may bring such a folder: it would say which modules are called, and which the detector has to see."""
    monkeypatch.setattr(instrumentation, "_iter_symbols", lambda _: iter([b"__tsan_func_entry"]))
    decoy = tmp_path / "foo.egg-info"
    decoy.mkdir()
    (decoy / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: foo\nVersion: 1.0\n")
    (decoy / "SOURCES.txt").write_text("")
    install(tmp_path, {"foo/_fast.so": b"\x7fELF..\0PyInit__fast\0.."})
    names, native = installing.find_modules("foo", str(tmp_path))
    assert (names, native) == (["foo._fast"], {"_fast.so"})
    assert instrumentation.find_watched("foo", str(tmp_path)) == {"_fast.so"}
    assert installing.find_modules("bar", str(tmp_path)) == ([], set())


def test_a_module_without_the_tag_of_an_interpreter_is_called_too(tmp_path: Path):
    """Else all that races could be in one, and what is called of the others would be all that is looked at."""
    members = {
        "foo/__init__.py": b"",
        "foo/_fast.so": b"\x7fELF..\0PyInit__fast\0..",
        "foo/libfast.so": b"\x7fELF..\0PyInit__fast\0..",
        "foo/_data.so": b"\x7fELF",
    }
    install(tmp_path, members)
    names, native = installing.find_modules("foo", str(tmp_path))
    assert names == ["foo", "foo._fast"]
    assert native == {"_fast.so", "libfast.so", "_data.so"}
