"""Run a plan on this machine, in the order of `builder/plan/schedule.py`. Jobs are not run in stages."""

from __future__ import annotations

import json
import math
import time
import traceback
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from queue import Empty, Queue
from typing import TYPE_CHECKING

from builder.errors import FarmError, InfrastructureError, Interrupted
from builder.evidence.base import UndeterminedFacts
from builder.jobs.images.ids import ORDER_ONLY
from builder.jobs.job import (
    ImageJob,
    Rebuildable,
    Tools,
    get_recorded,
    hash_key_parts,
    list_needs,
    recorded_lookup,
)
from builder.plan import schedule
from builder.proxy.proxy import IndexProxy
from builder.store.evidence import Evidence, JobOutcome

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping

    from builder.engine.client import Engine
    from builder.execute.observer import Observer
    from builder.finding_codes import FindingCode
    from builder.jobs.job import Inputs, Job, Result
    from builder.plan.graph import Plan
    from builder.plan.resources import Resources
    from builder.store.job_ids import JobId
    from builder.store.store import Store

_WAKE_S = 0.2


class LocalExecutor:
    """Runs one plan, once."""

    def __init__(
        self,
        plan: Plan,
        store: Store,
        observer: Observer,
        engine: Callable[[], Engine],
        *,
        room: Resources,
        stop: threading.Event,
        locked: bool = False,
    ) -> None:
        """Prepare.

        Args:
            plan: what to run.
            store: where evidence is looked up and recorded.
            observer: told what happens.
            engine: gives the container engine; called only if something has to run.
            room: CPUs and memory that the jobs may share.
            stop: set when the farm is asked to stop.
            locked: whether jobs get only the files of the index that are recorded of them.
        """
        self._plan = plan
        self._store = store
        self._observer = observer
        self._engine = engine
        self._room = room
        self._stop = stop
        self._locked = locked
        self._ended: dict[JobId, Evidence] = {}
        self._needed_by = plan.dependents()
        self._waiting = {job.id: len(list_needs(job)) for job in plan.jobs.values()}
        self._known: Mapping[JobId, Evidence] = {}
        self._settling: deque[JobId] = deque()
        self._keys: dict[str, tuple[JobId, ...]] = {}
        self._events: Queue[Callable[[], None]] = Queue()

    def run(self, again: frozenset[JobId] = frozenset()) -> Mapping[JobId, Evidence]:
        """Run what is not known yet and return the evidence of every job.

        Args:
            again: jobs to run even though they are known.

        Raises:
            Interrupted: the farm was asked to stop; what was finished is recorded.
            EngineMissingError: something has to run and no engine answers.
        """
        known = {
            job: evidence
            for job, evidence in self._plan.find_evidence(recorded_lookup(self._store)).items()
            if job not in again
        }
        self._known = known
        self._observer.on_plan(len(self._plan.jobs), len(known))
        if len(known) == len(self._plan.jobs):
            return known
        engine = self._engine()
        self._index = IndexProxy(engine, self._store, locked=self._locked)
        forced = self._find_missing_images(known, engine) | again
        queue = self._make_queue()
        self._settling += (job.id for job in self._plan.jobs.values() if not job.needs)
        # Every share of a job is of at least one CPU, so there are never more threads than CPUs.
        pool = ThreadPoolExecutor(math.ceil(self._room.cpus), thread_name_prefix="job")
        try:
            self._run_loop(queue, pool, engine, forced)
        finally:
            self._stop.set() if len(self._ended) < len(self._plan.jobs) else None
            pool.shutdown(wait=True, cancel_futures=True)
        return self._ended

    def _find_missing_images(
        self, known: Mapping[JobId, Evidence], engine: Engine
    ) -> frozenset[JobId]:
        """Return image jobs that have to run again, because something needs an image that is gone from the engine.

        A remade image may have other contents, so what stands on it may run too, and need further images.
        """
        forced: set[JobId] = set()
        pending = [job for job in self._plan.jobs if job not in known]
        seen: set[JobId] = set()
        while pending:
            name = pending.pop()
            if name in seen:
                continue
            seen.add(name)
            for need in self._plan.jobs[name].needs.values():
                job = self._plan.jobs[need]
                if need not in known or need in forced or not isinstance(job, ImageJob):
                    continue
                if not job.is_present(known[need], engine):
                    forced.add(need)
                    pending += [need, *self._needed_by[need]]
        return frozenset(forced)

    def _make_queue(self) -> schedule.Queue:
        """Return an empty queue that knows how long jobs take and what of the machine, by what is on record."""
        needs = {job.id: list_needs(job) for job in self._plan.jobs.values()}
        took = schedule.expected_durations(needs, self._store.recorded_durations())
        taken = schedule.expected_resources(needs, self._store.memory_peaks())
        return schedule.Queue(
            schedule.priorities(schedule.longest_paths(needs, took)), taken, self._room
        )

    def _run_loop(
        self,
        queue: schedule.Queue,
        pool: ThreadPoolExecutor,
        engine: Engine,
        forced: frozenset[JobId],
    ) -> None:
        while len(self._ended) < len(self._plan.jobs):
            while self._settling:
                self._schedule_job(self._plan.jobs[self._settling.popleft()], queue, forced)
            while (name := queue.start()) is not None:
                self._start_job(self._plan.jobs[name], queue, pool, engine)
            if len(self._ended) == len(self._plan.jobs):
                return
            try:
                self._events.get(timeout=_WAKE_S)()
            except Empty:
                if self._stop.is_set():
                    raise Interrupted from None

    def _schedule_job(self, job: Job, queue: schedule.Queue, forced: frozenset[JobId]) -> None:
        """Settle a job whose inputs exist: by what is known, by an input that could not be had, or by queueing it."""
        known = self._known.get(job.id)
        if known is not None and job.id not in forced and self._has_known_inputs(job):
            self._record_end(known, known=True)
            return
        inputs = {role: self._ended[need] for role, need in job.needs.items()}
        untold = next(
            (evidence for evidence in inputs.values() if not evidence.is_determined), None
        )
        if untold is not None:
            self._record_end(replace(untold, key="", job=job.id, seconds=0.0), known=True)
            return
        key = job.key(inputs)
        found = None if job.id in forced else get_recorded(job, key, self._store)
        if found is not None:
            self._record_end(replace(found, job=job.id), known=True)
            return
        # The same question may be asked by two jobs: two bases can make the very same wheel. The first one asks.
        asked = key in self._keys
        self._keys[key] = (*self._keys.get(key, ()), job.id)
        if not asked:
            queue.add(job.id)

    def _has_known_inputs(self, job: Job) -> bool:
        """Return whether every input of a job came out as it was known before anything ran."""
        return all(
            need in ORDER_ONLY or self._ended[need] is self._known.get(need)
            for need in job.needs.values()
        )

    def _start_job(
        self, job: Job, queue: schedule.Queue, pool: ThreadPoolExecutor, engine: Engine
    ) -> None:
        self._observer.on_job_start(job.id)
        inputs = {role: self._ended[need] for role, need in job.needs.items()}
        pool.submit(self._run_in_worker, job, inputs, queue, engine).add_done_callback(
            self._forward_error
        )

    def _run_in_worker(
        self, job: Job, inputs: Inputs, queue: schedule.Queue, engine: Engine
    ) -> None:
        """Run a job in a worker thread and hand its evidence to the loop."""
        key = job.key(inputs)
        log = self._store.log_path(job.id, key)
        log.unlink(missing_ok=True)

        def say(text: str) -> None:
            self._events.put(partial(self._observer.on_job_message, job.id, text))

        tools = Tools(
            engine=engine, store=self._store, index=self._index, log=log, stop=self._stop, say=say
        )
        began = time.monotonic()
        evidence = self._run_job(job, key, inputs, tools, began)
        self._events.put(partial(self._finish_job, evidence, job.id, key, queue))

    def _forward_error(self, work: Future[None]) -> None:
        """Pass an error of the executor itself on to the loop, which would wait for ever otherwise."""
        if not work.cancelled() and work.exception() is not None:
            self._events.put(work.result)

    def _run_job(
        self, job: Job, key: str, inputs: Inputs, tools: Tools, began: float
    ) -> Evidence | None:  # fmt: skip
        log = tools.log
        reason = ""
        code: FindingCode = "WF902"
        try:
            result = job.run(inputs, tools)
        except Interrupted:
            return None
        except InfrastructureError as error:
            reason, code = str(error), error.code
        except FarmError:
            raise  # such as a full disk: nothing else could be recorded either
        except Exception as error:
            if self._stop.is_set():
                return None
            reason = f"a mistake in the farm itself: {type(error).__name__}: {error} (log: {log})"
            with log.open("a") as file:
                traceback.print_exc(file=file)
        seconds = time.monotonic() - began
        kept = str(log.relative_to(self._store.wheelhouse)) if log.exists() else ""
        if reason:
            return Evidence(
                key=key,
                job=job.id,
                outcome=JobOutcome.UNDETERMINED,
                reason=reason,
                facts=UndeterminedFacts(code=code).to_json(),
                log=kept,
                seconds=seconds,
            )
        evidence = Evidence(
            key=key,
            job=job.id,
            facts={**result.facts.to_json(), **self._compare_rebuild(job, key, result)},
            facts_version=result.facts.schema_version,
            files=result.files,
            log=kept,
            seconds=seconds,
            asked=json.dumps(hash_key_parts(job, inputs)),
        )
        self._store.put(evidence)
        return evidence

    def _compare_rebuild(self, job: Job, key: str, result: Result) -> Mapping[str, object]:
        """Return facts about what came out otherwise than the last time the same key was run, if it was."""
        if not isinstance(job, Rebuildable):
            return {}
        before = self._store.get(key)
        if before is None:
            return {}

        return job.compare_rebuild(before, result, self._store)

    def _finish_job(
        self, evidence: Evidence | None, name: JobId, key: str, queue: schedule.Queue
    ) -> None:
        queue.end(name)
        if evidence is None:
            raise Interrupted
        self._record_end(evidence, known=False)
        for other in self._keys.pop(key)[1:]:
            self._record_end(replace(evidence, job=other), known=True)

    def _record_end(self, evidence: Evidence, *, known: bool) -> None:
        self._ended[evidence.job] = evidence
        self._observer.on_job_end(evidence, known=known)
        for name in self._needed_by[evidence.job]:
            self._waiting[name] -= 1
            if self._waiting[name] == 0:
                self._settling.append(name)
