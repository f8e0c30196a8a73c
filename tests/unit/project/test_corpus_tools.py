"""Another tool is asked about what the farm has built, in containers only: benchmarks/corpus/ask.py."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from benchmarks.corpus import ask
from benchmarks.corpus.answers import read_answers
from benchmarks.detection.labels import Label
from builder.engine.tasks import Task, TaskResult
from builder.jobs.images.ids import role_image_id
from builder.jobs.threads.sanitizer_build import RACE_PYTHON
from builder.store.evidence import Evidence
from builder.store.job_ids import JobId, JobKind
from builder.store.store import Store

if TYPE_CHECKING:
    from collections.abc import Mapping

IMAGE = "wheelfarm/race-debian-12:1"
WHEEL = "pkg-1-cp314-cp314t-linux_x86_64.whl"


def label(package: str, version: str = "") -> Label:
    return Label(
        package=package, version=version, expected="distinct", fault="", functions=("put",)
    )


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    """The folder of a run in which one package was built and compiled with ThreadSanitizer, and one was not."""
    wheelhouse = tmp_path / "run-1" / "0" / "wheelhouse"
    content = tmp_path / "content"
    with Store(wheelhouse) as store:
        content.write_bytes(b"wheel")
        wheel_sha256 = store.add_file(content)
        content.write_bytes(b"sdist")
        sdist_sha256 = store.add_file(content)
        image = Evidence(
            key="1", job=role_image_id("race", "debian-12"), facts={"tag": IMAGE, "content": "1"}
        )
        race = Evidence(
            key="2",
            job=JobId(JobKind.RACE, "pkg", "debian-12"),
            facts={"race_wheel": WHEEL},
            files={WHEEL: wheel_sha256},
        )
        store.put_all([image, race])

    sources = {"filename": "pkg-1.tar.gz", "sha256": sdist_sha256}
    bare = {"filename": "bare-1-py3-none-any.whl", "sha256": sdist_sha256}
    packages = [{"name": "pkg", "source": sources}, {"name": "bare", "source": bare}]
    (wheelhouse / "verdicts.json").write_text(json.dumps({"packages": packages}))
    return wheelhouse.parents[1]


class StubEngine:
    """Answers every task alike, and remembers the tasks."""

    def __init__(self, output: Mapping[str, bytes], exit_code: int = 0) -> None:
        self.tasks: list[Task] = []
        self.output = output
        self.exit_code = exit_code

    def run(self, task: Task, **_: Any) -> TaskResult:
        self.tasks.append(task)
        return TaskResult(
            exit_code=self.exit_code, timed_out=False, out_of_memory=False, output=self.output
        )


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> StubEngine:
    stub = StubEngine({"answer.json": b'{"places": ["a.c:1 put: static"], "note": "1 source"}'})
    monkeypatch.setattr(ask, "connect", lambda _: stub)
    monkeypatch.setattr(ask, "fetch_tool", lambda *_: {"/farm/tool/tool.py": Path(__file__)})
    return stub


def read_given(given: bytes | Path) -> bytes:
    return given if isinstance(given, bytes) else given.read_bytes()


def test_a_tool_gets_the_sdist_or_the_wheel_with_the_sanitizer(
    run_folder: Path, engine: StubEngine, tmp_path: Path
):
    ask.ask_tool("cppcheck", [label("pkg")], run_folder, tmp_path / "cppcheck.tsv")
    ask.ask_tool("ftcheck", [label("pkg")], run_folder, tmp_path / "ftcheck.tsv")

    first, second = engine.tasks
    assert {first.image, second.image} == {IMAGE}
    assert read_given(first.files["/farm/pkg-1.tar.gz"]) == b"sdist"
    assert read_given(second.files[f"/farm/{WHEEL}"]) == b"wheel"
    assert RACE_PYTHON in second.command
    assert "/farm/tool/tool.py" in first.files
    assert [task.network for task in engine.tasks] == [None, None]
    assert [task.user for task in engine.tasks] == ["farm", "farm"]

    answer = read_answers(tmp_path / "ftcheck.tsv")["pkg", ""]
    assert answer.is_blamed
    assert answer.where == "a.c:1 put: static"
    assert answer.note == "1 source"


def test_what_was_answered_is_not_asked_again(run_folder: Path, engine: StubEngine, tmp_path: Path):
    output = tmp_path / "answers.tsv"
    ask.ask_tool("ftcheck", [label("pkg")], run_folder, output)
    ask.ask_tool("ftcheck", [label("pkg")], run_folder, output)
    assert len(engine.tasks) == 1


@pytest.mark.parametrize(
    ("tool", "note"),
    [("cppcheck", "there is no sdist"), ("ftcheck", "there is no wheel with ThreadSanitizer")],
)
def test_a_package_that_it_cannot_be_asked_about_is_not_blamed(
    run_folder: Path, engine: StubEngine, tmp_path: Path, tool: str, note: str
):
    ask.ask_tool(tool, [label("bare")], run_folder, tmp_path / "answers.tsv")

    answer = read_answers(tmp_path / "answers.tsv")["bare", ""]
    assert not answer.is_blamed
    assert answer.note == note
    assert engine.tasks == []


def test_a_tool_that_ends_without_an_answer_blames_nothing(
    run_folder: Path, engine: StubEngine, tmp_path: Path
):
    engine.output = {}
    engine.exit_code = 139
    ask.ask_tool("ftcheck", [label("pkg")], run_folder, tmp_path / "answers.tsv")

    answer = read_answers(tmp_path / "answers.tsv")["pkg", ""]
    assert not answer.is_blamed
    assert answer.note == "it ended with 139"


# --- the program that asks cppcheck -----------------------------------------------------------------------------------

CPPCHECK = """\
#!/bin/sh
for source; do :; done
echo dump > "$source.dump"
"""

ADDON = """\
import json
print("Checking a.c, config ...")
for line, message in ((3, "Local static variable: last"), (90, "strtok is MT-unsafe")):
    print(json.dumps({"file": "a.c", "linenr": line, "message": message}))
"""

DATA = """\
from types import SimpleNamespace as N
class CppcheckData:
    def __init__(self, path):
        assert path.endswith("a.c.dump")
    def iterconfigurations(self):
        body = {"bodyStart": N(linenr=2), "bodyEnd": N(linenr=7)}
        yield N(scopes=[N(type="Global", className="", bodyStart=None, bodyEnd=None),
                        N(type="Function", className="push", **body)])
"""


def load_program(name: str) -> ModuleType:
    """Import a program of containers, which is no module of the project."""
    path = Path(ask.__file__).with_name("container") / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    program = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(program)
    return program


def test_a_place_names_the_function_round_the_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    addons = tmp_path / "addons"
    addons.mkdir()
    (tmp_path / "cppcheck").write_text(CPPCHECK)
    (tmp_path / "cppcheck").chmod(0o755)
    (addons / "threadsafety.py").write_text(ADDON)
    (addons / "cppcheckdata.py").write_text(DATA)
    (tmp_path / "a.c").write_text("int push(void) { static int last; return ++last; }\n")
    monkeypatch.syspath_prepend(str(addons))
    monkeypatch.delitem(sys.modules, "cppcheckdata", raising=False)

    places = load_program("ask_cppcheck").look_at(tmp_path / "a.c", tmp_path)

    assert places == ["3 push: Local static variable: last", "90: strtok is MT-unsafe"]
    assert not (tmp_path / "a.c.dump").exists()


# --- the program that asks ftcheck ------------------------------------------------------------------------------------

STRESS = """\
from types import SimpleNamespace as N
STALL_SECONDS = 300
prepare = None
def StressOptions(seed, budget_seconds, iterations):
    return N(seed=seed, budget_seconds=budget_seconds, iterations=iterations)
def load_config(project):
    assert project.is_dir()
    return {}
def run(env, options, limits, config):
    outcome = N(notes=["raw logs: /tmp"], findings=[], result={}, extension_modules=[])
    prepared = prepare(env, options, outcome, install_runner=False, run_label="seed1")
    assert prepared.tsan_dir.is_dir() and STALL_SECONDS < 300 and outcome.extension_modules == ["pkg.so"]
    outcome.findings.append({"primary": {"file": "a.c", "line": 7}, "symbol": "push", "message": "Write in `push`"})
    return outcome
def coverage(result):
    return 3, 4
def verdict(env, outcome):
    return N(headline="1 report")
"""

PIPELINE = """\
from types import SimpleNamespace as N
Options = Prepared = N
def native_modules(wheel):
    return ["pkg"]
def runtime_env(env, options, folder):
    return {}
def _extension_modules(wheel):
    return ["pkg.so"]
def _gil_notes(python, modules, variables, folder):
    return ["`pkg` re-enables the GIL"]
"""

ENVIRONMENT = """\
def Environment(python, toolchain, symbolizer):
    return python
"""


def test_what_ftcheck_reports_and_notes_of_the_gil_are_places(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    package = tmp_path / "tool" / "ftcheck"
    (package / "ci").mkdir(parents=True)
    for name, text in {
        "__init__": "",
        "stress": STRESS,
        "ci/__init__": "",
        "ci/pipeline": PIPELINE,
        "ci/environment": ENVIRONMENT,
    }.items():
        (package / f"{name}.py").write_text(text)
    program = load_program("ask_ftcheck")
    monkeypatch.setattr(program, "_WORK", tmp_path / "work")
    monkeypatch.setattr(program, "install", lambda wheel, python: None)
    monkeypatch.setattr(sys, "path", [*sys.path])
    answer = tmp_path / "answer.json"
    arguments = [str(tmp_path / "tool"), "pkg.whl", "python", "race-python", str(answer)]
    monkeypatch.setattr(sys, "argv", ["ask_ftcheck.py", *arguments])

    program.main()

    assert json.loads(answer.read_text()) == {
        "places": ["`pkg` re-enables the GIL", "a.c:7 push Write in `push`"],
        "note": "3 of 4 callables; 1 report",
    }
