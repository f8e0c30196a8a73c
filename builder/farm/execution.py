"""Running the jobs of a plan, with the engine that they need and without leftovers."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING

from builder.config.cool_down import CoolDown
from builder.engine import provision
from builder.execute import LocalExecutor
from builder.execute.guardian import clean_up_containers
from builder.store.job_ids import JobKind

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping

    from builder.config.matrix import Matrix
    from builder.engine.client import Engine
    from builder.execute import Observer
    from builder.farm.prepare import RunRequest
    from builder.plan.graph import Plan
    from builder.store.evidence import Evidence
    from builder.store.job_ids import JobId
    from builder.store.store import Store

CONTAINMENT_NOTE = "containment"
"""Name of the store's note with what held the code of packages when it was last run."""


def execute_plan(
    matrix: Matrix,
    plan: Plan,
    store: Store,
    request: RunRequest,
    observer: Observer,
    stop: threading.Event,
) -> Mapping[JobId, Evidence]:
    """Run the jobs of a plan, and remove the containers that this run started, however it ends.

    With `request.again` recorded evidence is ignored, except for images.

    Returns:
        The evidence of every job of the plan, by job id.
    """
    again: frozenset[JobId] = frozenset()
    if request.again:
        again = frozenset(job for job in plan.jobs if job.kind != JobKind.IMAGE)

    with contextlib.ExitStack() as guards:

        def connect_engine() -> Engine:
            """Return an engine without leftovers of killed runs; the executor calls this once a job has to run."""
            engine = provision.ensure_engine(observer.say, store.farm_id)
            leftovers = engine.reap()
            if leftovers:
                observer.say(f"removed {leftovers} containers that an earlier run left behind")
            guards.enter_context(clean_up_containers(engine))
            recorder.engine = engine
            return engine

        recorder = _ContainmentRecorder(observer, store)
        executor = LocalExecutor(
            plan,
            store,
            recorder,
            connect_engine,
            resources=request.resources,
            stop=stop,
            locked=request.locked,
            cool_down=CoolDown.for_matrix(matrix),
        )
        return executor.run(again)


class _ContainmentRecorder:
    """Passes the events of a run on, and notes the engine's containment once the first job of a package starts.

    Jobs that make images run no code of packages: a run of them alone says nothing of what held the packages.

    Attributes:
        engine: the engine of the run; None until a job has to run.
    """

    def __init__(self, observer: Observer, store: Store) -> None:
        self._observer = observer
        self._store = store
        self._is_recorded = False
        self.engine: Engine | None = None

    def say(self, text: str) -> None:
        self._observer.say(text)

    def on_plan(self, jobs: int, known: int) -> None:
        self._observer.on_plan(jobs, known)

    def on_job_start(self, job: JobId) -> None:
        runs_package_code = job.kind != JobKind.IMAGE
        if runs_package_code and not self._is_recorded:
            assert self.engine is not None, "a job starts after the engine was asked for"
            self._store.set_note(CONTAINMENT_NOTE, json.dumps(self.engine.record_containment()))
            self._is_recorded = True

        self._observer.on_job_start(job)

    def on_job_message(self, job: JobId, text: str) -> None:
        self._observer.on_job_message(job, text)

    def on_job_end(self, evidence: Evidence, *, known: bool) -> None:
        self._observer.on_job_end(evidence, known=known)
