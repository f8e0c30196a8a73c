"""Jobs take from containers what their models describe, and are undetermined whatever else those answer."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from builder.config import catalog
from builder.config.effort import EFFORTS, EffortLevel
from builder.config.matrix import OwnTests
from builder.engine.tasks import Task, TaskResult
from builder.errors import InfrastructureError
from builder.evidence.audit import AuditFacts
from builder.evidence.exercise import ExerciseFacts
from builder.evidence.load import LoadFacts
from builder.evidence.race import RaceFacts
from builder.evidence.speed import SpeedFacts
from builder.jobs.audit import Audit
from builder.jobs.build.build import Build
from builder.jobs.job import Job, Result, Tools
from builder.jobs.load import Load
from builder.jobs.threads.exercise import Exercise
from builder.jobs.threads.plan_file import read_plan
from builder.jobs.threads.race import Race
from builder.jobs.threads.speed import Speed
from builder.proxy.report import SessionReport
from builder.store.evidence import Evidence
from builder.store.job_ids import JobId
from builder.store.store import Store
from tests.unit.facts import AUDITED, LOADED, SAMPLES, SCENARIO, WHEEL

BASE = catalog.load().bases["debian-12"]
ABI = catalog.load().abis["cp314t"]
IMAGE = {"tag": "image", "content": "c", "bytes": 1}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "wheelhouse")
    yield opened
    opened.close()


class Container:
    """An engine whose containers answer the same each time."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.tasks: list[Task] = []

    def run(self, task: Task, **_: object) -> TaskResult:
        self.tasks.append(task)
        output = {"answer": self.answer}
        return TaskResult(exit_code=0, timed_out=False, out_of_memory=False, output=output)


def make_evidence(job: JobId, facts: Mapping[str, Any], **files: str) -> Evidence:
    return Evidence(key="k", job=job, facts=facts, files=files)


def run(job: Job, store: Store, answer: Any) -> Result:
    """Run a job whose build made one wheel, in a container that answers."""
    wheel = store.folder / "incoming"
    wheel.write_bytes(b"wheel")
    files = {WHEEL: store.add_file(wheel)}
    facts: dict[str, Any] = {
        "image": IMAGE,
        "build": {"abis": {ABI.name: {"wheel": WHEEL, "requires_python": ""}}},
        "race": {**SAMPLES["race"][3], "kit": {"wheels": [], "requirements": []}},
    }
    inputs = {}
    for role, need in job.needs.items():
        made = files if role == "build" else {}
        inputs[role] = make_evidence(need, facts.get(role, IMAGE), **made)
    tools = Tools(
        engine=cast(Any, Container(answer)), store=store, index=cast(Any, None), log=store.log_path(job.id, "k" * 64),
        stop=threading.Event(), say=lambda _: None,
    )  # fmt: skip
    return job.run(inputs, tools)


RACE_WHEEL = "foo-1.0-cp314-cp314t-linux_x86_64.whl"
AUDIT = Audit(name="foo", base="debian-12")
LOAD = Load(name="foo", version="1.0", built_on="debian-12", base=BASE, abis=(ABI,))
EXERCISE = Exercise(
    name="foo", version="1.0", base="debian-12", abi=ABI, effort=EFFORTS[EffortLevel.QUICK],
    sdist_filename="foo-1.0.tar.gz", sdist_sha256="0" * 64, tests=OwnTests(),
)  # fmt: skip
SPEED = Speed(name="foo", version="1.0", base="debian-12", abis=(ABI,), seconds=1.0)

ASKED = {"abi": ABI.name, "python": ABI.python, "requirement": "foo==1.0", "index": "file:///farm/cp314t/simple/"}  # fmt: skip
AUDIT_ANSWER = {WHEEL: AUDITED}
LOAD_ANSWER = [{**ASKED, **LOADED}]
EXERCISE_ANSWER = {key: value for key, value in SAMPLES["exercise"][2].items() if key not in {"wheel", "fetched", "asked"}}  # fmt: skip
SPEED_ANSWER = {key: value for key, value in SAMPLES["speed"][2].items() if key not in {"wheel", "unknown"}}  # fmt: skip
RACE_ANSWER = {key: value for key, value in SAMPLES["race"][3].items() if key not in {"wheel", "failure", "kit", "signs", "fetched", "asked", "race_wheel"}}  # fmt: skip

LEARNT_ANSWER = {**RACE_ANSWER, "preflight": None, "under_threads": [], "races": [], "harms": []}

GOOD: list[tuple[Job, Any]] = [
    (AUDIT, AUDIT_ANSWER),
    (LOAD, LOAD_ANSWER),
    (EXERCISE, EXERCISE_ANSWER),
    (SPEED, SPEED_ANSWER),
]


class Index:
    """A way to the package index whose session fetched nothing, or could not."""

    def __init__(self, *, silent: bool = False) -> None:
        self.report = SessionReport(unanswered=("setuptools",) if silent else ())
        self.locks: list[bool] = []

    def session(self, *_: object) -> Any:
        session = SimpleNamespace(network=None, collect_report=lambda: self.report)
        return contextlib.nullcontext(session)

    def record_lock(self, *_: object, better: bool) -> None:
        self.locks.append(better)


class Compiler(Container):
    """An engine that compiles a wheel, or fails to, and answers whatever else is asked."""

    def __init__(self, answer: Any, wheel: str | None) -> None:
        super().__init__(answer)
        self.wheel = wheel

    def run(self, task: Task, **options: Any) -> TaskResult:
        if task.collect != "/result/wheel":
            return super().run(task)

        options["log"].write_text("foo.c:1:1: fatal error: foo.h: No such file or directory\n")
        output = {} if self.wheel is None else {f"wheel/{self.wheel}": b"compiled"}
        code = 1 if self.wheel is None else 0
        return TaskResult(exit_code=code, timed_out=False, out_of_memory=False, output=output)


def read_request(engine: Container) -> Any:
    """Return what the last container was asked."""
    (content,) = [
        content for path, content in engine.tasks[-1].files.items() if path.endswith("request.json")
    ]
    assert isinstance(content, bytes)
    return json.loads(content)


def run_race(
    store: Store,
    engine: Compiler,
    index: Index,
    *,
    sdist_filename: str = "foo-1.0.tar.gz",
    sdist_sha256: str = "0" * 64,
    wheel: str = WHEEL,
) -> Result:
    """Run a race job whose package has one wheel and no time for own tests."""
    build = Build(
        name="foo", version="1.0", base="debian-12", sdist_filename=sdist_filename, sdist_sha256=sdist_sha256, abis=(ABI.name,),
        environment={}, config_settings={}, skip={}, timeout_s=1, memory_bytes=1,
    )  # fmt: skip
    job = Race(build=build, abi=ABI, effort=EFFORTS[EffortLevel.QUICK], tests=OwnTests())
    sdist = store.file("0" * 64)
    sdist.parent.mkdir(parents=True, exist_ok=True)
    sdist.write_bytes(b"")
    (store.folder / "incoming").write_bytes(b"wheel")
    files = {wheel: store.add_file(store.folder / "incoming")}
    facts = {"audit": SAMPLES["audit"][0], "build": {"abis": {ABI.name: {"wheel": wheel}}}}
    inputs = {}
    for role, need in job.needs.items():
        made = files if role == "build" else {}
        inputs[role] = make_evidence(need, facts.get(role, IMAGE), **made)
    tools = Tools(
        engine=cast(Any, engine), store=store, index=cast(Any, index), log=store.log_path(job.id, "k" * 64),
        stop=threading.Event(), say=lambda _: None,
    )  # fmt: skip
    return job.run(inputs, tools)


def test_what_a_search_for_races_answers_is_recorded_and_its_plan_kept(store: Store):
    index = Index()
    result = run_race(store, Compiler({**RACE_ANSWER, "plan": [SCENARIO]}, RACE_WHEEL), index)

    assert isinstance(result.facts, RaceFacts)
    known: dict[str, Any] = {"wheel": WHEEL, "failure": None, "kit": {"wheels": [], "requirements": []}, "signs": ["writable"]}  # fmt: skip
    assert result.facts.to_json() == {
        **known, "fetched": [], "asked": [], **RACE_ANSWER, "race_wheel": RACE_WHEEL,
    }  # fmt: skip
    assert list(result.files) == ["plan.json", RACE_WHEEL]
    assert index.locks == [True]
    race = make_evidence(JobId.parse("race:foo@debian-12"), result.facts.to_json(), **result.files)
    plan = read_plan(race, store)
    assert plan.to_json() == {
        "surface": RACE_ANSWER["surface"],
        "plan": [SCENARIO],
        "own_code": None,
    }


def test_what_does_not_compile_with_the_sanitizer_is_a_fact(store: Store):
    index = Index()
    engine = Compiler({**LEARNT_ANSWER, "plan": [SCENARIO]}, None)
    result = run_race(store, engine, index)

    assert isinstance(result.facts, RaceFacts)
    assert result.facts.failure == "a header is missing: foo.h"
    assert result.facts.preflight is None
    assert list(result.files) == ["plan.json"]
    assert index.locks == [False]

    # How it is called is learnt all the same, so that threads call the wheel that is served.
    race = make_evidence(JobId.parse("race:foo@debian-12"), result.facts.to_json(), **result.files)
    assert read_plan(race, store).to_json()["plan"] == [SCENARIO]
    assert read_request(engine)["race_wheel"] is None


def test_without_an_sdist_nothing_is_compiled_or_fetched(store: Store):
    index = Index(silent=True)
    engine = Compiler({**LEARNT_ANSWER, "plan": [SCENARIO]}, None)
    result = run_race(store, engine, index, sdist_filename="", sdist_sha256="")

    assert isinstance(result.facts, RaceFacts)
    assert result.facts.failure == "there is no sdist to compile"
    assert result.facts.surface is not None
    assert index.locks == []
    assert len(engine.tasks) == 1
    assert read_request(engine)["sdist"] is None


def test_a_wheel_without_native_code_is_not_searched_for_races(store: Store):
    result = run_race(store, Compiler({}, None), Index(), wheel="foo-1.0-py3-none-any.whl")
    assert result.facts.to_json() == {"wheel": None}


def test_without_the_index_a_failed_compilation_says_nothing_of_the_package(store: Store):
    with pytest.raises(InfrastructureError, match="did not give setuptools"):
        run_race(store, Compiler(LEARNT_ANSWER, None), Index(silent=True))
    assert run_race(
        store, Compiler({**RACE_ANSWER, "plan": []}, RACE_WHEEL), Index(silent=True)
    ).files


@pytest.mark.parametrize("answer", [b"", {}, {**SAMPLES["race"][3]}, {"preflight": {}}])
def test_a_spoilt_answer_about_races_is_undetermined(store: Store, answer: Any):
    with pytest.raises(InfrastructureError, match="looking for races: the answer is not"):
        run_race(store, Compiler(answer, RACE_WHEEL), Index())


def test_what_an_audit_answers_is_recorded(store: Store):
    facts = run(AUDIT, store, AUDIT_ANSWER).facts

    assert isinstance(facts, AuditFacts)
    assert facts.to_json() == {"wheels": AUDIT_ANSWER}


def test_what_a_load_answers_is_recorded_without_what_was_asked(store: Store):
    facts = run(LOAD, store, LOAD_ANSWER).facts

    assert isinstance(facts, LoadFacts)
    known = {"wheel": WHEEL, "claimed": True, "missing": []}
    assert facts.to_json() == {"loads": {ABI.name: {**known, **LOADED}}}


def test_what_an_exercise_answers_is_recorded(store: Store):
    facts = run(EXERCISE, store, EXERCISE_ANSWER).facts

    assert isinstance(facts, ExerciseFacts)
    assert facts.to_json() == {"wheel": WHEEL, "fetched": [], "asked": [], **EXERCISE_ANSWER}


def test_what_is_measured_is_recorded(store: Store):
    facts = run(SPEED, store, SPEED_ANSWER).facts

    assert isinstance(facts, SpeedFacts)
    assert facts.to_json() == {"wheel": WHEEL, "unknown": None, **SPEED_ANSWER}


@pytest.mark.parametrize(("job", "answer"), GOOD, ids=lambda value: getattr(value, "id", ""))
@pytest.mark.parametrize(
    "spoil",
    [
        lambda _: b"",
        lambda _: b"\x00",
        lambda _: b"[" * 100_000,
        lambda _: None,
        lambda _: [],
        lambda _: {},
        lambda _: {"wheel": WHEEL},
        lambda answer: [*answer, *answer] if isinstance(answer, list) else [answer],
        lambda answer: {**answer, "more": 1} if isinstance(answer, dict) else answer[0],
    ],
)
def test_a_spoilt_answer_is_undetermined_and_says_what_was_found(
    store: Store, job: Job, answer: Any, spoil: Callable[[Any], Any]
):
    with pytest.raises(InfrastructureError) as caught:
        run(job, store, spoil(answer))

    text = str(caught.value)
    assert str(store.log_path(job.id, "k" * 64)) in text
    assert len(text) < 400
    assert "\n" not in text


def test_an_answer_about_something_else_is_undetermined(store: Store):
    with pytest.raises(InfrastructureError, match="other ABIs than were asked"):
        run(LOAD, store, [{**ASKED, **LOADED, "abi": "cp314"}])
    with pytest.raises(InfrastructureError, match="other wheels than were asked"):
        run(AUDIT, store, {"other.whl": AUDITED})


def test_a_wrong_value_is_named_by_its_path(store: Store):
    broken = [{**ASKED, **LOADED, "metadata": {**LOADED["metadata"], "free_threading": 3}}]
    with pytest.raises(InfrastructureError) as caught:
        run(LOAD, store, broken)

    assert "loading on debian-12: " in str(caught.value)
    assert "answers.0.metadata.free_threading: expected a valid string, found 3" in str(caught.value)  # fmt: skip
