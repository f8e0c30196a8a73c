"""Run a plan on this machine, in the order of `builder/plan/schedule.py`. Jobs are not run in stages."""

from __future__ import annotations

import math
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from queue import Empty, Queue
from typing import TYPE_CHECKING

from builder.errors import Interrupted
from builder.execute.worker import Worker
from builder.jobs.images.ids import ORDER_ONLY
from builder.jobs.job import ImageJob, get_recorded, list_needs, recorded_lookup
from builder.plan import schedule
from builder.proxy.proxy import IndexProxy

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping

    from builder.engine.client import Engine
    from builder.execute.observer import Observer
    from builder.jobs.job import Inputs, Job
    from builder.plan.graph import Plan
    from builder.plan.resources import Resources
    from builder.store.evidence import Evidence
    from builder.store.job_ids import JobId
    from builder.store.store import Store

# How long Ctrl-C may go unnoticed while no job ends; nobody notices a fifth of a second.
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
        resources: Resources,
        stop: threading.Event,
        locked: bool = False,
    ) -> None:
        """Prepare.

        Args:
            plan: what to run.
            store: where evidence is looked up and recorded.
            observer: told what happens.
            engine: gives the container engine; called only if something has to run.
            resources: CPUs and memory that the jobs may share.
            stop: set when the farm is asked to stop.
            locked: whether jobs get only the files of the index that are recorded of them.
        """
        self._plan = plan
        self._store = store
        self._observer = observer
        self._engine = engine
        self._resources = resources
        self._stop = stop
        self._locked = locked

    def run(self, again: frozenset[JobId] = frozenset()) -> Mapping[JobId, Evidence]:
        """Run what is not known yet and return the evidence of every job.

        Args:
            again: jobs to run even though they are known.

        Raises:
            Interrupted: the farm was asked to stop; what was finished is recorded.
            EngineMissingError: something has to run and no engine answers.
        """
        recorded = self._plan.find_evidence(recorded_lookup(self._store))
        known = {job: recorded[job] for job in recorded if job not in again}
        self._observer.on_plan(len(self._plan.jobs), len(known))
        if len(known) == len(self._plan.jobs):
            return known

        engine = self._engine()
        worker = Worker(
            store=self._store,
            engine=engine,
            index=IndexProxy(engine, self._store, locked=self._locked),
            stop=self._stop,
        )
        run = _Run(
            self._plan,
            self._store,
            self._observer,
            worker,
            known=known,
            again=again,
            resources=self._resources,
            stop=self._stop,
        )
        return run.run()


class _Run:
    """A run of a plan of which something has to run.

    One thread, the caller's, decides everything and calls the observer. Workers run the jobs, and hand back to it what
    to do next through a queue of functions.
    """

    def __init__(
        self,
        plan: Plan,
        store: Store,
        observer: Observer,
        worker: Worker,
        *,
        known: Mapping[JobId, Evidence],
        again: frozenset[JobId],
        resources: Resources,
        stop: threading.Event,
    ) -> None:
        """Prepare.

        Args:
            plan: what to run.
            store: where evidence is looked up and recorded.
            observer: told what happens.
            worker: runs the jobs.
            known: evidence that was there before anything ran.
            again: jobs to run even though they are known.
            resources: CPUs and memory that the jobs may share.
            stop: set when the farm is asked to stop.
        """
        self._plan = plan
        self._store = store
        self._observer = observer
        self._worker = worker
        self._known = known
        self._stop = stop

        self._ended: dict[JobId, Evidence] = {}
        self._dependents = plan.dependents()
        self._waiting = {job.id: len(list_needs(job)) for job in plan.jobs.values()}
        self._ready = deque(job.id for job in plan.jobs.values() if not job.needs)
        self._jobs_by_key: dict[str, tuple[JobId, ...]] = {}
        self._forced = self._find_missing_images() | again
        self._queue = self._make_queue(resources)

        self._events: Queue[Callable[[], None]] = Queue()
        # Every share of a job is of at least one CPU, so there are never more threads than CPUs.
        self._pool = ThreadPoolExecutor(math.ceil(resources.cpus), thread_name_prefix="job")

    def run(self) -> Mapping[JobId, Evidence]:
        """Run all of it, and return the evidence of every job.

        Raises:
            Interrupted: the farm was asked to stop; what was finished is recorded.
        """
        try:
            self._run_loop()
        finally:
            # After an error nobody waits for the jobs that still run.
            if len(self._ended) < len(self._plan.jobs):
                self._stop.set()
            self._pool.shutdown(wait=True, cancel_futures=True)

        return self._ended

    def _find_missing_images(self) -> frozenset[JobId]:
        """Return image jobs that have to run again, because something needs an image that is gone from the engine.

        A remade image may have other contents, so what stands on it may run too, and need further images.
        """
        missing: set[JobId] = set()
        seen: set[JobId] = set()
        pending = [job for job in self._plan.jobs if job not in self._known]
        while pending:
            name = pending.pop()
            if name in seen:
                continue
            seen.add(name)

            for need in list_needs(self._plan.jobs[name]):
                if need not in missing and self._is_missing_image(need):
                    missing.add(need)
                    pending += [need, *self._dependents[need]]

        return frozenset(missing)

    def _is_missing_image(self, name: JobId) -> bool:
        """Return whether a job is known to have made an image that is gone from the engine."""
        job = self._plan.jobs[name]
        if name not in self._known or not isinstance(job, ImageJob):
            return False

        return not job.is_present(self._known[name], self._worker.engine)

    def _make_queue(self, resources: Resources) -> schedule.Queue:
        """Return an empty queue that knows how long jobs take and what of the machine, by what is on record."""
        needs = {job.id: list_needs(job) for job in self._plan.jobs.values()}
        durations = schedule.expected_durations(needs, self._store.recorded_durations())
        shares = schedule.expected_resources(needs, self._store.memory_peaks())
        priorities = schedule.priorities(schedule.longest_paths(needs, durations))

        return schedule.Queue(priorities, shares, resources)

    def _run_loop(self) -> None:
        """Start jobs and take in what they found out until every job has ended."""
        while True:
            while self._ready:
                self._schedule_job(self._plan.jobs[self._ready.popleft()])
            while (name := self._queue.start()) is not None:
                self._start_job(self._plan.jobs[name])

            if len(self._ended) == len(self._plan.jobs):
                return
            try:
                handle_event = self._events.get(timeout=_WAKE_S)
            except Empty:
                if self._stop.is_set():
                    raise Interrupted from None
            else:
                handle_event()

    def _schedule_job(self, job: Job) -> None:
        """End a job whose inputs exist by what is known, or by an input that is undetermined; otherwise queue it."""
        is_forced = job.id in self._forced
        known = self._known.get(job.id)
        if known is not None and not is_forced and self._has_known_inputs(job):
            self._record_end(known, known=True)
            return

        inputs = self._inputs_of(job)
        for evidence in inputs.values():
            if not evidence.is_determined:
                inherited = replace(evidence, key="", job=job.id, seconds=0.0)
                self._record_end(inherited, known=True)
                return

        key = job.key(inputs)
        recorded = None if is_forced else get_recorded(job, key, self._store)
        if recorded is not None:
            self._record_end(replace(recorded, job=job.id), known=True)
            return

        # Two jobs may have the same key: two bases can make the very same wheel. The first one runs, for both.
        same_key = self._jobs_by_key.get(key, ())
        self._jobs_by_key[key] = (*same_key, job.id)
        if not same_key:
            self._queue.add(job.id)

    def _has_known_inputs(self, job: Job) -> bool:
        """Return whether every input of a job came out as it was known before anything ran."""
        for need in list_needs(job):
            came_out_as_known = self._ended[need] is self._known.get(need)
            if need not in ORDER_ONLY and not came_out_as_known:
                return False

        return True

    def _inputs_of(self, job: Job) -> Inputs:
        return {role: self._ended[need] for role, need in job.needs.items()}

    def _start_job(self, job: Job) -> None:
        self._observer.on_job_start(job.id)
        work = self._pool.submit(self._run_in_worker, job, self._inputs_of(job))
        work.add_done_callback(self._forward_error)

    def _run_in_worker(self, job: Job, inputs: Inputs) -> None:
        """Run a job and hand its evidence to the loop."""
        key = job.key(inputs)

        def say(text: str) -> None:
            self._events.put(partial(self._observer.on_job_message, job.id, text))

        evidence = self._worker.run_job(job, key, inputs, say)
        self._events.put(partial(self._finish_job, evidence, job.id, key))

    def _forward_error(self, work: Future[None]) -> None:
        """Pass an error of the executor itself on to the loop, which would wait for ever otherwise."""
        if not work.cancelled() and work.exception() is not None:
            self._events.put(work.result)

    def _finish_job(self, evidence: Evidence | None, name: JobId, key: str) -> None:
        """Take in the evidence of a job, and of those that have the same key."""
        self._queue.end(name)
        if evidence is None:
            raise Interrupted

        self._record_end(evidence, known=False)
        for other in self._jobs_by_key.pop(key)[1:]:
            self._record_end(replace(evidence, job=other), known=True)

    def _record_end(self, evidence: Evidence, *, known: bool) -> None:
        """Note that a job has ended; what waited for nothing else is ready then."""
        self._ended[evidence.job] = evidence
        self._observer.on_job_end(evidence, known=known)

        for name in self._dependents[evidence.job]:
            self._waiting[name] -= 1
            if self._waiting[name] == 0:
                self._ready.append(name)
