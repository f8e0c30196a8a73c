import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest
from pydantic import ConfigDict, JsonValue

from builder.errors import InfrastructureError, Interrupted
from builder.evidence.base import Facts
from builder.execute import LocalExecutor
from builder.jobs.images.ids import ORDER_ONLY
from builder.jobs.job import Inputs, Job, Needs, Result, Tools
from builder.plan.graph import Plan
from builder.plan.resources import Resources
from builder.store.evidence import Evidence
from builder.store.hashing import digest
from builder.store.job_ids import JobId
from builder.store.store import Store

ROOM = Resources(cpus=2, memory_bytes=8 << 30)


class StepFacts(Facts):
    """Whatever a step says it found out."""

    model_config = ConfigDict(extra="allow")

    __pydantic_extra__: dict[str, JsonValue]


@dataclass
class Step:
    """A job that notes that it ran; the roles of what it needs are the ids themselves."""

    text: str
    ran: list[str]
    after: tuple[str, ...] = ()
    salt: str = ""
    fails: Exception | None = None
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> JobId:
        return JobId.parse(self.text)

    @property
    def needs(self) -> Needs:
        return {text: JobId.parse(text) for text in self.after}

    def key(self, inputs: Inputs) -> str:
        return digest(self.text, self.salt, self.key_inputs(inputs))

    def settings(self) -> Mapping[str, object]:
        return {"salt": self.salt}

    def key_inputs(self, inputs: Inputs) -> Mapping[str, object]:
        return {
            text: dict(evidence.facts)
            for text, evidence in inputs.items()
            if JobId.parse(text) not in ORDER_ONLY
        }

    def run(self, inputs: Inputs, tools: Tools) -> Result:
        self.ran.append(self.text)
        tools.log.write_text("ran")
        if self.fails is not None:
            raise self.fails
        return Result(facts=StepFacts.check(self.facts))


@dataclass
class ImageStep(Step):
    """One whose image may be gone."""

    there: bool = True

    def is_present(self, evidence: Evidence, engine: object) -> bool:
        return self.there


class Watcher:
    def __init__(self) -> None:
        self.events: list[tuple[str, str]] = []

    def say(self, text: str) -> None:
        return

    def on_plan(self, jobs: int, known: int) -> None:
        self.events.append(("planned", f"{jobs} {known}"))

    def on_job_start(self, job: JobId) -> None:
        self.events.append(("started", str(job)))

    def on_job_message(self, job: JobId, text: str) -> None:
        return

    def on_job_end(self, evidence: Evidence, *, known: bool) -> None:
        self.events.append(("known" if known else "ended", str(evidence.job)))


@pytest.fixture
def store(tmp_path: Path):
    opened = Store(tmp_path / "wheelhouse")
    yield opened
    opened.close()


def run(
    store: Store,
    *steps: Step,
    stop: threading.Event | None = None,
    again: frozenset[JobId] = frozenset(),
) -> dict[str, Evidence]:
    """Run steps and return their evidence by the text of their ids."""
    plan = Plan(jobs={step.id: cast("Job", step) for step in steps})
    engine = cast("Any", object)
    executor = LocalExecutor(
        plan, store, Watcher(), engine, resources=ROOM, stop=stop or threading.Event()
    )
    return {str(job): evidence for job, evidence in executor.run(again).items()}


def test_a_job_runs_after_what_it_needs_and_never_twice(store: Store):
    ran: list[str] = []
    steps = (
        Step("build:a", ran),
        Step("build:b", ran, ("build:a",)),
        Step("load:c", ran, ("build:a", "build:b")),
    )
    run(store, *steps)
    assert ran == ["build:a", "build:b", "load:c"]
    run(store, *steps)
    assert len(ran) == 3


def test_what_is_known_stays_known_without_the_means_that_made_it(store: Store):
    ran: list[str] = []
    (means,) = map(str, ORDER_ONLY)
    index = Step(means, ran)
    built = Step("build:a", ran, (means,))
    run(store, index, built)
    index.salt, index.fails = "of another day", InfrastructureError("no network")
    found = run(store, index, built, Step("build:b", ran, (means,)))
    assert ran == [means, "build:a", means]
    assert {job: evidence.is_determined for job, evidence in found.items()} == {
        means: False, "build:a": True, "build:b": False,
    }  # fmt: skip


def test_what_measures_the_machine_runs_last_and_alone(store: Store):
    ran: list[str] = []
    running: list[str] = []
    seen: dict[str, list[str]] = {}

    @dataclass
    class Watched(Step):
        def run(self, inputs: Inputs, tools: Tools) -> Result:
            running.append(self.text)
            seen[self.text] = list(running)
            result = super().run(inputs, tools)
            running.remove(self.text)
            return result

    run(
        store,
        Watched("build:a", ran),
        Watched("speed:a", ran, ("build:a",)),
        Watched("build:b", ran),
        Watched("load:b", ran, ("build:b",)),
        Watched("speed:b", ran, ("build:b",)),
    )
    assert sorted(ran[-2:]) == ["speed:a", "speed:b"]
    assert seen["speed:a"] == ["speed:a"]
    assert seen["speed:b"] == ["speed:b"]
    ran.clear()
    run(store, Watched("build:a", ran), Watched("speed:a", ran, ("build:a",), salt="2"))
    assert ran == ["speed:a"]


@dataclass
class MeetingStep(Step):
    """One that waits for the others: it ends where all of them run at the same time."""

    barrier: threading.Barrier = field(default_factory=lambda: threading.Barrier(1))

    def run(self, inputs: Inputs, tools: Tools) -> Result:
        self.barrier.wait(timeout=10)
        return super().run(inputs, tools)


def test_a_load_runs_beside_two_jobs_that_leave_half_a_cpu(store: Store):
    barrier = threading.Barrier(3)
    texts = ("exercise:a", "exercise:b", "load:c")
    ended = run(store, *(MeetingStep(text, [], barrier=barrier) for text in texts))
    assert all(evidence.is_determined for evidence in ended.values())


def test_a_changed_input_runs_just_what_stands_on_it(store: Store):
    ran: list[str] = []

    def steps(salt: str, content: str) -> tuple[Step, ...]:
        return (
            Step("build:a", ran, salt=salt, facts={"content": content}),
            Step("build:b", ran, ("build:a",)),
            Step("build:c", ran),
        )

    run(store, *steps("1", "x"))
    ran.clear()
    run(store, *steps("2", "x"))
    assert ran == ["build:a"]  # it came out the same: nothing above it has to run
    ran.clear()
    run(store, *steps("3", "y"))
    assert ran == ["build:a", "build:b"]


def test_what_cannot_be_told_reaches_its_dependents_and_no_others(store: Store):
    ran: list[str] = []
    steps = (
        ImageStep("image:a", ran, fails=InfrastructureError("the archive is silent")),
        Step("build:b", ran, ("image:a",)),
        Step("build:c", ran),
    )
    ended = run(store, *steps)
    assert not ended["build:b"].is_determined
    assert ended["build:b"].reason == "the archive is silent"
    assert ended["build:c"].is_determined
    ran.clear()
    run(store, *steps)
    assert ran == ["image:a"]  # asked again, the rest is known


def test_a_mistake_in_a_job_is_no_verdict_and_stops_no_other(store: Store):
    ran: list[str] = []
    ended = run(store, Step("build:a", ran, fails=ZeroDivisionError("oh")), Step("build:b", ran))
    assert "a mistake in the farm itself: ZeroDivisionError" in ended["build:a"].reason
    assert (store.wheelhouse / ended["build:a"].log).read_text().count("ZeroDivisionError") == 1
    assert ended["build:b"].is_determined


def test_an_image_that_is_gone_is_made_again_only_if_something_needs_it(store: Store):
    ran: list[str] = []

    def steps(salt: str, *, there: bool) -> tuple[Step, ...]:
        return (
            ImageStep("image:a", ran, there=there),
            ImageStep("image:other", ran, there=there),
            Step("build:b", ran, ("image:a",), salt=salt),
            Step("build:c", ran, ("image:other",)),
        )

    run(store, *steps("1", there=True))
    ran.clear()
    run(store, *steps("1", there=False))
    assert ran == []
    run(store, *steps("2", there=False))
    assert ran == ["image:a", "build:b"]


def test_two_jobs_that_ask_the_same_share_the_answer(store: Store):
    @dataclass
    class Asking(Step):
        def key(self, inputs: Inputs) -> str:
            return "the same question"

    ran: list[str] = []
    ended = run(
        store,
        Asking("build:a", ran),
        Step("build:b", ran, ("build:a",)),
        Asking("load:c", ran, ("build:b",)),
    )
    assert ran == ["build:a", "build:b"]
    assert {job: str(evidence.job) for job, evidence in ended.items()} == {
        job: job for job in ended
    }


def test_again_runs_what_is_known(store: Store):
    ran: list[str] = []
    run(store, Step("build:a", ran), Step("build:b", ran))
    ran.clear()
    run(
        store, Step("build:a", ran), Step("build:b", ran), again=frozenset({JobId.parse("build:b")})
    )
    assert ran == ["build:b"]


def test_an_interrupted_run_keeps_what_was_finished(store: Store):
    ran: list[str] = []
    steps = (Step("build:a", ran), Step("build:b", ran, ("build:a",), fails=Interrupted()))
    with pytest.raises(Interrupted):
        run(store, *steps)
    ran.clear()
    run(store, Step("build:a", ran), Step("build:b", ran, ("build:a",)))
    assert ran == ["build:b"]


def test_evidence_whose_files_are_gone_is_not_evidence(store: Store, tmp_path: Path):
    path = tmp_path / "wheel"
    path.write_text("x")

    @dataclass
    class Maker(Step):
        def run(self, inputs: Inputs, tools: Tools) -> Result:
            super().run(inputs, tools)
            return Result(facts=StepFacts(), files={"wheel": tools.store.add_file(path)})

    ran: list[str] = []
    ended = run(store, Maker("build:a", ran))
    run(store, Maker("build:a", ran))
    assert ran == ["build:a"]
    store.file(ended["build:a"].files["wheel"]).unlink()
    run(store, Maker("build:a", ran))
    assert ran == ["build:a", "build:a"]
