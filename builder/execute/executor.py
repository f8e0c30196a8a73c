"""Run a plan on this machine, in the order of `builder/plan/schedule.py`. Jobs are not run in stages.

A job is *known* here if the ledger has valid evidence of it from before this run.
"""

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

    from builder.config.cool_down import CoolDown
    from builder.engine.client import Engine
    from builder.execute.observer import Observer
    from builder.jobs.job import Inputs, Job
    from builder.plan.graph import Plan
    from builder.plan.resources import Resources
    from builder.store.evidence import Evidence
    from builder.store.job_ids import JobId
    from builder.store.store import Store

# How long Ctrl-C may go unnoticed while no job ends. A person does not notice a fifth of a second.
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
        cool_down: CoolDown | None = None,
    ) -> None:
        """Prepare.

        Args:
            plan: what to run.
            store: where evidence is looked up and recorded.
            observer: told what happens.
            engine: returns the container engine; called only if something has to run.
            resources: CPUs and memory that the jobs may share.
            stop: set when the farm is asked to stop.
            locked: whether a job gets only those files of the index that it got, and recorded, before.
            cool_down: which files of the index are too young to be given to a job; None for none.
        """
        self._cool_down = cool_down
        self._plan = plan
        self._store = store
        self._observer = observer
        self._engine = engine
        self._resources = resources
        self._stop = stop
        self._locked = locked

    def run(self, again: frozenset[JobId] = frozenset()) -> Mapping[JobId, Evidence]:
        """Run the jobs that have no valid evidence yet, and return the evidence of every job of the plan.

        If no job has to run, the container engine is not even asked for.

        Args:
            again: jobs to run even though their evidence is recorded and valid.

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
            index=IndexProxy(engine, self._store, locked=self._locked, cool_down=self._cool_down),
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
    """A run of a plan in which at least one job has to run.

    One thread, the caller's, decides everything and calls the observer. Jobs run in other threads, which report to it
    through a queue of events. An event is a function that the deciding thread calls.
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
            known: evidence that was recorded and valid before anything ran, by job.
            again: jobs to run even though their evidence is recorded and valid.
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
        self._open_inputs = {job.id: len(list_needs(job)) for job in plan.jobs.values()}
        self._ready = deque(job.id for job in plan.jobs.values() if not job.needs)
        self._jobs_by_key: dict[str, tuple[JobId, ...]] = {}
        self._forced = self._find_missing_images() | again
        self._queue = self._make_queue(resources)

        self._events: Queue[Callable[[], None]] = Queue()
        most_jobs = math.ceil(resources.cpus / schedule.LEAST_CPUS)
        self._pool = ThreadPoolExecutor(most_jobs, thread_name_prefix="job")

    def run(self) -> Mapping[JobId, Evidence]:
        """Run the plan to its end, and return the evidence of every job.

        Raises:
            Interrupted: the farm was asked to stop; the results of finished jobs are recorded.
        """
        try:
            self._run_loop()
        finally:
            # The loop ended early, by an error or an interruption. Jobs that still run are told to stop.
            if len(self._ended) < len(self._plan.jobs):
                self._stop.set()
            self._pool.shutdown(wait=True, cancel_futures=True)

        return self._ended

    def _find_missing_images(self) -> frozenset[JobId]:
        """Return the image jobs that have to run again, because a job to run needs an image the engine has lost.

        An image that is made again may have other contents. So the jobs that need it may have to run as well, and the
        images these need are looked at, too. An image that no job to run needs may stay lost.
        """
        missing: set[JobId] = set()
        seen: set[JobId] = set()
        pending = [job for job in self._plan.jobs if job not in self._known]
        while pending:
            job_id = pending.pop()
            if job_id in seen:
                continue
            seen.add(job_id)

            for need in list_needs(self._plan.jobs[job_id]):
                if need not in missing and self._is_missing_image(need):
                    missing.add(need)
                    pending += [need, *self._dependents[need]]

        return frozenset(missing)

    def _is_missing_image(self, job_id: JobId) -> bool:
        """Return whether a job made an image, by its valid evidence, that the container engine no longer has.

        False for jobs that make no image, and for those without valid evidence, which run anyway.
        """
        job = self._plan.jobs[job_id]
        if job_id not in self._known or not isinstance(job, ImageJob):
            return False

        return not job.is_present(self._known[job_id], self._worker.engine)

    def _make_queue(self, resources: Resources) -> schedule.Queue:
        """Return an empty queue that knows, from earlier runs, how long jobs take and how much CPU and memory.

        Args:
            resources: CPUs and memory that the jobs may share.
        """
        needs = {job.id: list_needs(job) for job in self._plan.jobs.values()}
        durations = schedule.expected_durations(needs, self._store.recorded_durations())
        shares = schedule.expected_resources(needs, self._store.memory_peaks())
        priorities = schedule.priorities(schedule.longest_paths(needs, durations))

        return schedule.Queue(priorities, shares, resources)

    def _run_loop(self) -> None:
        """Start jobs and handle what their threads report, until every job has ended.

        Raises:
            Interrupted: the farm was asked to stop.
        """
        while True:
            while self._ready:
                self._schedule_job(self._plan.jobs[self._ready.popleft()])
            while (job_id := self._queue.start()) is not None:
                self._start_job(self._plan.jobs[job_id])

            if len(self._ended) == len(self._plan.jobs):
                return
            try:
                handle_event = self._events.get(timeout=_WAKE_S)
            except Empty:
                # No job reported anything for a while. That is the time to look whether somebody asked to stop; the
                # empty queue itself is no error, so it is not shown as the cause.
                if self._stop.is_set():
                    raise Interrupted from None
            else:
                handle_event()

    def _schedule_job(self, job: Job) -> None:
        """Decide what happens to a job whose inputs exist: it ends at once, or is added to the queue.

        It ends at once, without running, where its evidence is recorded, where one of its inputs is undetermined (the
        infrastructure failed, and then nothing can be said about this job either), or where a job with the same key
        is in the queue already: it then gets that job's evidence.
        """
        is_forced = job.id in self._forced
        recorded_before = self._known.get(job.id)
        may_stand = not is_forced and self._has_known_inputs(job)
        if recorded_before is not None and may_stand:
            self._record_end(recorded_before, known=True)
            return

        inputs = self._inputs_of(job)
        for evidence in inputs.values():
            if not evidence.is_determined:
                # Without a key it is not recorded: the next run tries again.
                inherited = replace(evidence, key="", job=job.id, seconds=0.0)
                self._record_end(inherited, known=True)
                return

        # Inputs came out otherwise than before, but there may be evidence under the new key as well.
        key = job.key(inputs)
        recorded = None if is_forced else get_recorded(job, key, self._store)
        if recorded is not None:
            self._record_end(replace(recorded, job=job.id), known=True)
            return

        # Two jobs may have the same key: two bases can make the very same wheel. Only the first of them runs.
        same_key = self._jobs_by_key.get(key, ())
        self._jobs_by_key[key] = (*same_key, job.id)
        if not same_key:
            self._queue.add(job.id)

    def _has_known_inputs(self, job: Job) -> bool:
        """Return whether the evidence of every input of a job is still the one from before the run.

        Order-only inputs are skipped: they count in no key.
        """
        for need in list_needs(job):
            is_unchanged = self._ended[need] is self._known.get(need)
            if need not in ORDER_ONLY and not is_unchanged:
                return False

        return True

    def _inputs_of(self, job: Job) -> Inputs:
        return {role: self._ended[need] for role, need in job.needs.items()}

    def _start_job(self, job: Job) -> None:
        self._observer.on_job_start(job.id)
        cpus = self._queue.share_of_running(job.id).cpus
        work = self._pool.submit(self._run_in_worker, job, self._inputs_of(job), cpus)
        work.add_done_callback(self._forward_error)

    def _run_in_worker(self, job: Job, inputs: Inputs, cpus: float) -> None:
        """Run a job in this thread, and report its messages and its evidence to the deciding thread."""
        key = job.key(inputs)

        def say(text: str) -> None:
            self._events.put(partial(self._observer.on_job_message, job.id, text))

        evidence = self._worker.run_job(job, key, inputs, cpus, say)
        self._events.put(partial(self._finish_job, evidence, job.id, key))

    def _forward_error(self, work: Future[None]) -> None:
        """Report an error that ended a job's thread to the deciding thread, which would wait for ever otherwise.

        Calling `result` there raises the error again.
        """
        if not work.cancelled() and work.exception() is not None:
            self._events.put(work.result)

    def _finish_job(self, evidence: Evidence | None, job_id: JobId, key: str) -> None:
        """End a job that ran, and all jobs with the same key, which share its evidence.

        Args:
            evidence: what it found out; None where it was interrupted.
            job_id: the job that ran.
            key: its key.

        Raises:
            Interrupted: it was interrupted.
        """
        self._queue.end(job_id)
        if evidence is None:
            raise Interrupted

        self._record_end(evidence, known=False)
        for other in self._jobs_by_key.pop(key)[1:]:
            self._record_end(replace(evidence, job=other), known=True)

    def _record_end(self, evidence: Evidence, *, known: bool) -> None:
        """Note that a job has ended; jobs that waited only for this one become ready.

        Args:
            evidence: of the job.
            known: whether the evidence was found or inherited, so that the job did not run.
        """
        self._ended[evidence.job] = evidence
        self._observer.on_job_end(evidence, known=known)

        for dependent in self._dependents[evidence.job]:
            self._open_inputs[dependent] -= 1
            if self._open_inputs[dependent] == 0:
                self._ready.append(dependent)
