"""The programs of builder/inside/ are run for real, and what they answer is what its model describes."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import json
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from builder.engine.programs import program_files
from builder.evidence.audit import AuditAnswer, NativeObject, WheelFacts
from builder.evidence.base import MalformedFactsError
from builder.evidence.exercise import ExerciseAnswer
from builder.evidence.load import LoadAnswers
from builder.evidence.own_tests import OwnTests, OwnTestsRace
from builder.evidence.race import RaceAnswer
from builder.evidence.speed import SpeedAnswer
from builder.inside.stress import coverage, exercise, race, race_search, speed
from builder.inside.stress.learn import learning
from builder.inside.stress.measure.speed_calls import choose_calls
from builder.inside.stress.package import installing
from builder.inside.stress.play import canaries
from builder.inside.stress.process.phases import Phases

REPORT = """\
==================
WARNING: ThreadSanitizer: data race (pid=7)
  Write of size 8 at 0x1 by thread T1:
    #0 ({module}+0x1) {function} src/foo.c:7:3
    #1 (/opt/race/bin/python+0x2) main src/main.c:2:3

  Previous read of size 8 at 0x1 by thread T2:
    #0 ({module}+0x3) Box_get src/foo.c:9:3
==================
"""
"""What the fake package writes where ThreadSanitizer would."""

NATIVE = "_foo.cpython-314t.so"

CODE = f"""
import ctypes, os, time

BUSY = []

def fine():
    return 1

def crash():
    ctypes.string_at(0)

def wrong():
    "Give how many threads are in here: one, if it is alone."
    BUSY.append(1)
    time.sleep(0.001)
    found = len(BUSY)
    BUSY.pop()
    return found

def race(function="Box_put"):
    if "TSAN_OPTIONS" in os.environ:
        with open(os.dup(2), "a") as file:
            file.write({REPORT!r}.format(function=function, module={NATIVE!r}))
            file.write({REPORT!r}.format(function="dict_insert", module="/opt/race/bin/python"))
"""


def write_wheel(folder: Path, name: str, members: Mapping[str, bytes]) -> Path:
    """Write a wheel that pip installs."""
    info = f"{name.replace('-', '_')}-1.0.dist-info"
    content = {
        **members,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = ""
    for path, data in content.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        record += f"{path},sha256={digest},{len(data)}\n"

    folder.mkdir(parents=True, exist_ok=True)
    wheel = folder / f"{name.replace('-', '_')}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, data in content.items():
            archive.writestr(path, data)
        archive.writestr(f"{info}/RECORD", f"{record}{info}/RECORD,,\n")
    return wheel


def extension() -> tuple[str, bytes]:
    """Return the file name and content of some extension module of this interpreter."""
    found = importlib.util.find_spec("coverage.tracer")
    assert found is not None
    assert found.origin is not None
    path = Path(found.origin)
    return path.name, path.read_bytes()


def run_program(folder: Path, package: str, *arguments: str) -> None:
    """Run a package of builder/inside/ as a container does: its files in a folder, and nothing of the farm."""
    for path, content in program_files(package, str(folder)).items():
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_bytes(content)
    command = [sys.executable, "-m", f"inside.{package}", *arguments]
    if (
        package == "load"
    ):  # without other users: those may not reach the interpreter that runs the tests
        code = (
            "import sys; from inside.load.load import answer_request; answer_request(*sys.argv[1:])"
        )
        command[1:3] = ["-c", code]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=120)


# --- audit ------------------------------------------------------------------------------------------------------------


def test_audit_answers_as_described(tmp_path: Path):
    name, content = extension()
    members = {"foo/__init__.py": b"", f"foo/{name}": content, "foo/b.cpython-314-x.so": b"\x7fELF"}
    wheel = write_wheel(tmp_path, "foo", members)
    (tmp_path / "broken.whl").write_bytes(b"PK")
    run_program(tmp_path, "audit", "answer.json", "--no-auditwheel", str(wheel), "broken.whl")

    facts = AuditAnswer.parse((tmp_path / "answer.json").read_bytes())
    assert facts.wheels["broken.whl"].faults[0][0] == "unreadable"
    audited = facts.wheels[wheel.name]
    assert audited.faults == ()
    assert isinstance(audited.objects[f"foo/{name}"], NativeObject)
    assert audited.objects.keys() - audited.native_objects.keys() == {"foo/b.cpython-314-x.so"}
    lost = set(WheelFacts.model_fields) - audited.model_fields_set
    assert lost == {"auditwheel", "auditwheel_error", "abi3audit"}
    read = audited.native_objects[f"foo/{name}"]
    assert read.model_fields_set == set(NativeObject.model_fields)


# --- load -------------------------------------------------------------------------------------------------------------


def make_index(folder: Path, wheel: Path) -> str:
    """Return the address of an index of one wheel."""
    pages = folder / "simple" / "foo"
    pages.mkdir(parents=True)
    (pages / "index.html").write_text(f'<a href="{wheel.as_uri()}">{wheel.name}</a>')
    return f"{(folder / 'simple').as_uri()}/"


def test_load_answers_as_described(tmp_path: Path):
    name, content = extension()
    members = {
        "foo/__init__.py": b"import warnings; warnings.warn('old', DeprecationWarning)",
        "bar.py": b"import none_such",
        f"foo/{name}": content,
        "killed.py": b"import os, signal; os.kill(os.getpid(), signal.SIGSEGV)",
    }
    index = make_index(tmp_path, write_wheel(tmp_path, "foo", members))
    asked = {"abi": "cp314", "python": sys.executable, "requirement": "foo==1.0", "index": index}
    (tmp_path / "request.json").write_text(
        json.dumps([asked, {**asked, "abi": "cp314t", "requirement": "none-such==1"}])
    )
    run_program(tmp_path, "load", "request.json", "answer.json")

    whole, none = LoadAnswers.parse((tmp_path / "answer.json").read_bytes()).answers
    assert none.install is not None
    assert none.model_fields_set == {*asked, "install", "modules"}
    probes = {probe.module: probe for probe in whole.modules}
    assert probes.keys() == {"foo", "bar", "killed", "foo.tracer"}
    assert probes["bar"].missing == "none_such"
    assert probes["killed"].signal == "SIGSEGV"
    assert probes["killed"].stack is not None
    assert probes["foo.tracer"].natives.keys() == {"foo.tracer"}
    assert not probes["foo"].failed
    # Nothing was asked to be imported first.
    assert whole.model_fields_set == set(type(whole).model_fields) - {"after"}
    assert whole.walk is not None
    assert {line.module for line in whole.walk.lines} == {"foo", "foo.tracer"}
    assert whole.dev is not None
    assert whole.dev.warnings[0].text == "old"
    assert whole.strict is not None
    assert whole.strict.errors.keys() >= {"foo"}


def test_what_is_imported_was_compiled_once_when_it_was_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    # A probe may not write what it compiled: each would compile the whole package anew.
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    code = b"import os; assert os.path.exists(__spec__.cached), __spec__.cached"
    wheel = write_wheel(tmp_path, "foo", {"foo/__init__.py": code})
    asked = {"abi": "cp314", "python": sys.executable, "requirement": "foo==1.0"}
    asked["index"] = make_index(tmp_path, wheel)
    (tmp_path / "request.json").write_text(json.dumps([asked]))
    run_program(tmp_path, "load", "request.json", "answer.json")

    (answer,) = LoadAnswers.parse((tmp_path / "answer.json").read_bytes()).answers
    assert answer.install is None
    assert [probe.error for probe in answer.modules] == [None]


# --- threads ----------------------------------------------------------------------------------------------------------


def make_scenario(identity: str, call: str, result: str | None = None) -> dict[str, Any]:
    return {
        "id": identity, "kind": "function", "process": identity, "make": None, "argument": None, "rows": [[[call, result]]],
        "observe": [], "sharing": "fresh", "iterations": 20, "threads": 2, "natives": [f"foo.{identity}"],
    }  # fmt: skip


PLAN = [
    make_scenario("fine", "foo.fine()", "1"),
    make_scenario("crash", "foo.crash()"),
    make_scenario("wrong", "foo.wrong()", "1"),
    make_scenario("race", "foo.race()"),
]
SURFACE: dict[str, Any] = {
    "prelude": ["foo"], "failed": {"foo.tk": "ImportError: no"}, "callables": ["foo.fine"], "reached": ["foo.fine"],
    "stateless": ["foo.fine"], "fatal": ["foo.exit()"], "complete": True, "subjects": [],
    "functions": [
        {"name": f"foo.{name}", "operations": [
            {"text": f"foo.{name}()", "us": 1.0, "result": "1", "native": [f"foo.{name}"], "direct": True, "changes": False}
        ]} for name in ("fine", "crash", "race")
    ],
}  # fmt: skip
EFFORT = {
    "threads": 2, "scenarios": 50, "pairs": 4, "learn_s": 1.0, "race_s": 60.0, "plain_s": 2.0, "amplify_s": 1.0, "tests_s": 30.0, "iterations": 1,
    "proofs": 1, "times": 1,
}  # fmt: skip

PYTEST = f"""
import os, sys

def main(arguments, plugins=()):
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    sys.path += {sys.path!r}
    sys.path.remove(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    del sys.modules["pytest"]
    import pytest
    own = ("--parallel-threads", "--iterations")
    return pytest.main([text for text in arguments if not text.startswith(own)], plugins=list(plugins))
"""
"""In the place of pytest: the one that runs this test, without what only pytest-run-parallel understands."""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder with a distribution that crashes, gives wrong results and races."""
    folder = tmp_path / "site"
    wheel = write_wheel(tmp_path, "foo", {"foo.py": CODE.encode(), NATIVE: b""})
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


@pytest.fixture
def tests(tmp_path: Path) -> dict[str, Any]:
    """What a distribution's own tests are asked with."""
    start = b"import pytest, sys; sys.exit(pytest.main(sys.argv[1:]))"
    members = {"pytest/__init__.py": PYTEST.encode(), "pytest/__main__.py": start}
    write_wheel(tmp_path / "wheels", "pytest", members)
    write_wheel(tmp_path / "wheels", "pytest-run-parallel", {"run_parallel.py": b""})
    code = tmp_path / "foo-1.0" / "tests" / "test_foo.py"
    code.parent.mkdir(parents=True)
    code.write_text(
        "import foo\ndef test_fine():\n    foo.race('Box_drop')\ndef test_bad():\n    assert False\n"
    )
    with tarfile.open(tmp_path / "foo-1.0.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "foo-1.0", "foo-1.0")
    return {
        "sdist": str(tmp_path / "foo-1.0.tar.gz"), "requirements": [], "threads": 2, "iterations": 1, "seconds": 60,
        "deselect": [], "command": [],
    }  # fmt: skip


def test_exercise_answers_as_described(site: Path, tests: dict[str, Any]):
    request = {
        "python": sys.executable, "name": "foo", "surface": SURFACE, "plan": PLAN, "suspects": [PLAN[1]], "effort": EFFORT,
        "sdist": None, "kit": None, "tests": tests, "wheels": str(Path(tests["sdist"]).parent / "wheels"),
    }  # fmt: skip
    phases = Phases()
    answer = ExerciseAnswer.check(
        as_json(
            {
                "install": None,
                **exercise.look_for_harm(request, str(site), phases),
                "phases": phases.describe(),
            }
        )
    )

    assert answer.model_fields_set == set(ExerciseAnswer.model_fields)
    harms = {harm.what: harm for harm in answer.harms}
    assert harms["crash"].shown
    assert harms["crash"].arms is not None
    assert harms["crash"].signal == "SIGSEGV"
    assert harms["wrong"].sentences
    assert isinstance(answer.own_tests, OwnTests)
    assert answer.own_tests.ran
    assert answer.own_tests.baseline_failures == ("tests.test_foo::test_bad",)


def test_where_a_race_was_seen_harm_is_described_too(site: Path):
    request = {
        "python": sys.executable, "name": "foo", "surface": SURFACE, "plan": PLAN[:1], "suspects": [PLAN[1]],
        "effort": EFFORT, "sdist": None, "kit": None, "tests": None, "wheels": "",
    }  # fmt: skip
    phases = Phases()
    answer = ExerciseAnswer.check(
        as_json(
            {
                "install": None,
                **exercise.look_for_harm(request, str(site), phases),
                "phases": phases.describe(),
            }
        )
    )

    assert [harm.steered for harm in answer.harms] == [True]


def test_race_answers_as_described(
    site: Path, tests: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    # What learns how to call a package needs a newer interpreter than the farm may run on.
    monkeypatch.setattr(learning, "learn", lambda *_: SURFACE)
    # As in images, where that interpreter has no pip.
    race_python = tmp_path / "race-python"
    race_python.write_text(f'#!/bin/sh\n[ "$2" != pip ] || exit 1\nexec {sys.executable} "$@"\n')
    race_python.chmod(0o755)
    request: dict[str, Any] = {
        "python": sys.executable, "race_python": str(race_python), "name": "foo", "sdist": None, "recipes": [], "seed": 1,
        "signs": [], "effort": EFFORT, "tests": tests, "wheels": str(tmp_path / "wheels"),
    }  # fmt: skip
    phases = Phases()
    hunted = race.hunt_races(request, str(site), str(site), phases)
    flight = canaries.check_canaries(sys.executable, 2)
    answer = RaceAnswer.check(
        as_json({"preflight": flight, "install": None, **hunted, "phases": phases.describe()})
    )
    incomplete = {"racy_seen": True, "clean_silent": True}
    forgetful = as_json({"preflight": incomplete, "install": None, **hunted})
    with pytest.raises(MalformedFactsError, match="expected freed_seen beside the preflight"):
        RaceAnswer.check(forgetful)

    assert answer.model_fields_set == set(RaceAnswer.model_fields)
    shown, tested = answer.races
    assert shown.places == ("Box_get (foo.c)", "Box_put (foo.c)")
    assert shown.script is not None
    assert shown.calls is not None
    assert (tested.places[0], tested.calls) == ("Box_drop (foo.c)", None)
    assert {one.owner for one in answer.advisory} == {"interpreter"}
    assert {harm.what for harm in answer.harms} == {"crash"}
    assert answer.harms[0].arms is not None
    assert answer.own_tests == OwnTestsRace.model_validate(hunted["own_tests"])
    assert answer.own_tests.ran


def test_what_cannot_be_watched_is_learnt_and_not_played(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A package that does not compile with the sanitizer, or has no sdist: threads are to call its wheel all the same."""
    learnt = {
        "prelude": ["foo"], "failed": {}, "callables": ["foo.fine"], "reached": ["foo.fine"], "stateless": [], "fatal": [], "complete": True,
        "functions": [], "subjects": [],
    }  # fmt: skip
    scenario = make_scenario("fine", "foo.fine()")
    monkeypatch.setattr(race_search, "learn_surface", lambda *_: learnt)
    monkeypatch.setattr(race, "plan_scenarios", lambda *_: [scenario])
    monkeypatch.setattr(coverage, "choose_calls", lambda _: [])
    monkeypatch.setattr(installing, "install", lambda *_: None)
    monkeypatch.setattr(installing, "SITE", str(site))
    monkeypatch.setattr(race, "supervise", lambda: None)
    request = {"python": sys.executable, "name": "foo", "sdist": None, "race_wheel": None, "requirement": "foo", "wheels": "", "effort": {"threads": 2, "scenarios": 0, "amplify_s": 1.0}}  # fmt: skip
    (tmp_path / "request.json").write_text(json.dumps(request))
    output = tmp_path / "answer.json"
    monkeypatch.setattr(sys, "argv", ["race", str(tmp_path / "request.json"), str(output)])
    race.main()

    facts = RaceAnswer.parse(output.read_bytes())
    assert facts.preflight is None
    assert facts.surface is not None
    assert [planned.id for planned in facts.plan] == ["fine"]
    assert (facts.scenarios, facts.played, facts.under_threads) == (1, 0, ())


def test_speed_answers_as_described(site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    request = {
        "requirement": "foo==1.0", "wheels": str(wheels), "prelude": ["foo"], "calls": choose_calls(SURFACE),
        "seconds": 1.0, "cpus": 2.0, "interpreters": {"cp314t": sys.executable, "cp314": sys.executable},
    }  # fmt: skip
    refused = SpeedAnswer.check(as_json(speed.measure(request)))
    assert refused.unknown is not None

    monkeypatch.setattr(installing, "install", lambda *_: None)
    monkeypatch.setenv("PYTHONPATH", str(site))
    answer = SpeedAnswer.check(as_json(speed.measure(request)))
    assert answer.model_fields_set == set(SpeedAnswer.model_fields) - {"unknown"}
    assert answer.plain is not None
    assert answer.plain.rates.keys() == {"cp314t", "cp314"}


def as_json(facts: Any) -> Any:
    """Return facts as they are once a program has written them."""
    return json.loads(json.dumps(facts))


# --- how much is played -------------------------------------------------------------


def _made_up(name: str, *, once: bool = False) -> dict[str, Any]:
    made: dict[str, Any] = {"id": name, "process": f"process of {name}"}
    return {**made, "once": True} if once else made


def test_a_search_plays_as_many_scenarios_as_there_are_things_to_call():
    plan = [_made_up("pair-0"), _made_up("first-1", once=True), _made_up("pair-2")]
    surface = {"reached": ["foo.f"]}

    def names(most: int) -> list[str]:
        chosen = race_search.choose_scenarios(plan, surface, {"scenarios": most})
        assert len({scenario["id"] for scenario in chosen}) == len(chosen)
        return [scenario["id"] for scenario in chosen]

    assert names(1) == ["pair-0", "first-1"]
    # What is there once in a process is not played again.
    assert names(6) == [
        "pair-0",
        "first-1",
        "pair-2",
        "pair-0+1",
        "pair-2+1",
        "pair-0+2",
        "pair-2+2",
    ]
    again = race_search.choose_scenarios(plan, surface, {"scenarios": 4})[3]
    assert again["process"] == "process of pair-0+1"
    assert race_search.choose_scenarios([], surface, {"scenarios": 9}) == []
