"""Jobs take from containers what their models describe, and are undetermined whatever else those answer."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from builder.config import catalog
from builder.config.effort import EFFORTS, EffortLevel
from builder.config.matrix import OwnTests
from builder.engine.client import Task, TaskResult
from builder.errors import InfrastructureError
from builder.evidence.audit import AuditFacts
from builder.evidence.exercise import ExerciseFacts
from builder.evidence.load import LoadFacts
from builder.evidence.speed import SpeedFacts
from builder.jobs.audit import Audit
from builder.jobs.job import Job, Result, Tools
from builder.jobs.load import Load
from builder.jobs.threads.exercise import Exercise
from builder.jobs.threads.speed import Speed
from builder.store.evidence import Evidence
from builder.store.job_ids import JobId
from builder.store.store import Store
from tests.unit.facts import AUDITED, LOADED, SAMPLES, WHEEL

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

GOOD: list[tuple[Job, Any]] = [
    (AUDIT, AUDIT_ANSWER),
    (LOAD, LOAD_ANSWER),
    (EXERCISE, EXERCISE_ANSWER),
    (SPEED, SPEED_ANSWER),
]


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
