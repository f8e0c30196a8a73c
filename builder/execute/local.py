"""Run a plan on this machine: a job starts when its inputs exist and a slot is free. There are no rounds."""

from __future__ import annotations

import heapq
import queue
import threading
import time
import traceback
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from builder.errors import CannotTellError, Interrupted
from builder.jobs import ImageJob, Tools, recorded
from builder.store import Evidence, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from builder.engine import Engine
    from builder.execute.observer import Observer
    from builder.jobs import Job
    from builder.plan import Plan
    from builder.store import Store

_WAKE_S = 0.2
_USUAL_S = {
    "image": 60.0, "build": 30.0, "audit": 3.0, "load": 5.0, "remedy": 0.1, "race": 40.0, "exercise": 20.0,
    "speed": 10.0,
}  # fmt: skip
"""What a job of a kind takes before it was ever timed, in seconds."""
_ALONE = frozenset({"speed"})
"""Kinds of jobs that run when nothing else does: what they measure is the machine's to give."""


class LocalExecutor:
    """Runs one plan, once."""

    def __init__(
        self,
        plan: Plan,
        store: Store,
        observer: Observer,
        engine: Callable[[], Engine],
        *,
        slots: int,
        stop: threading.Event,
    ) -> None:
        """Prepare.

        Args:
            plan: what to run.
            store: where evidence is looked up and recorded.
            observer: told what happens.
            engine: gives the container engine; called only if something has to run.
            slots: how many jobs run at once.
            stop: set when the farm is asked to stop.
        """
        self._plan = plan
        self._store = store
        self._observer = observer
        self._engine = engine
        self._slots = slots
        self._stop = stop
        self._ended: dict[str, Evidence] = {}
        self._needed_by = plan.needed_by()
        self._waiting = {job.id: len(set(job.needs)) for job in plan.jobs.values()}
        self._ready: list[tuple[float, str]] = []
        self._ready_alone: list[tuple[float, str]] = []
        self._events: queue.Queue[Callable[[], None]] = queue.Queue()
        self._running = 0

    def run(self, again: frozenset[str] = frozenset()) -> Mapping[str, Evidence]:
        """Run what is not known yet and return the evidence of every job.

        Args:
            again: jobs to run even though they are known.

        Raises:
            Interrupted: the farm was asked to stop; what was finished is recorded.
            EngineMissingError: something has to run and no engine answers.
        """
        known = {job: evidence for job, evidence in self._plan.outlook(self._lookup).items() if job not in again}
        self._observer.planned(len(self._plan.jobs), len(known))
        if len(known) == len(self._plan.jobs):
            return known
        engine = self._engine()
        fresh = self._to_run(known, engine)
        self._priority = self._remaining()
        for job in self._plan.jobs.values():
            if not job.needs:
                self._push(job.id)
        pool = ThreadPoolExecutor(self._slots, thread_name_prefix="job")
        try:
            self._loop(pool, engine, fresh | again)
        finally:
            self._stop.set() if len(self._ended) < len(self._plan.jobs) else None
            pool.shutdown(wait=True, cancel_futures=True)
        return self._ended

    def _lookup(self, job: Job, key: str) -> Evidence | None:
        found = recorded(job, key, self._store)
        return found if found is not None and self._store.has_files(found.files) else None

    def _to_run(self, known: Mapping[str, Evidence], engine: Engine) -> frozenset[str]:
        """Return image jobs that have to run again, because something needs an image that is gone from the engine.

        A remade image may have other contents, so what stands on it may run too, and need further images.
        """
        forced: set[str] = set()
        pending = [job for job in self._plan.jobs if job not in known]
        seen: set[str] = set()
        while pending:
            name = pending.pop()
            if name in seen:
                continue
            seen.add(name)
            for need in self._plan.jobs[name].needs:
                job = self._plan.jobs[need]
                if need.startswith("image:") and need in known and need not in forced:
                    image: ImageJob = job  # type: ignore[assignment] # ids that start with `image:` are image jobs'
                    if not image.present(known[need], engine):
                        forced.add(need)
                        pending += [need, *self._needed_by[need]]
        return frozenset(forced)

    def _remaining(self) -> dict[str, float]:
        """Return the longest path from each job to the end, in seconds, by the durations on record."""
        recorded = self._store.seconds_of()
        remaining: dict[str, float] = {}
        for name in reversed(list(self._plan.jobs)):
            after = max((remaining[job] for job in self._needed_by[name]), default=0.0)
            remaining[name] = after + recorded.get(name, _USUAL_S[name.partition(":")[0]])
        return remaining

    def _push(self, name: str) -> None:
        alone = name.partition(":")[0] in _ALONE
        heapq.heappush(self._ready_alone if alone else self._ready, (-self._priority[name], name))

    def _loop(self, pool: ThreadPoolExecutor, engine: Engine, forced: frozenset[str]) -> None:
        while len(self._ended) < len(self._plan.jobs):
            while self._ready and self._running < self._slots:
                name = heapq.heappop(self._ready)[1]
                self._begin(self._plan.jobs[name], pool, engine, forced)
            while self._ready_alone and not self._ready and not self._running:
                self._begin(self._plan.jobs[heapq.heappop(self._ready_alone)[1]], pool, engine, forced)
            try:
                self._events.get(timeout=_WAKE_S if self._running else 0.001)()
            except queue.Empty:
                if self._stop.is_set():
                    raise Interrupted from None

    def _begin(self, job: Job, pool: ThreadPoolExecutor, engine: Engine, forced: frozenset[str]) -> None:
        """Settle a job whose inputs exist: by what is known, by an input that could not be had, or by running it."""
        inputs = {need: self._ended[need] for need in job.needs}
        untold = next((evidence for evidence in inputs.values() if not evidence.determined), None)
        if untold is not None:
            self._end(replace(untold, key="", job=job.id, seconds=0.0), known=True)
            return
        key = job.key(inputs)
        found = None if job.id in forced else self._lookup(job, key)
        if found is not None:
            # The same question may have been asked by another job: two bases can make the very same wheel.
            self._end(replace(found, job=job.id), known=True)
            return
        self._running += 1
        self._observer.started(job.id)
        pool.submit(self._work, job, key, inputs, engine).add_done_callback(self._noticed)

    def _work(self, job: Job, key: str, inputs: Mapping[str, Evidence], engine: Engine) -> None:
        """Run a job in a worker thread and hand its evidence to the loop."""
        log = self._store.log_path(job.id, key)
        log.unlink(missing_ok=True)

        def say(text: str) -> None:
            self._events.put(partial(self._observer.said, job.id, text))

        tools = Tools(engine=engine, store=self._store, log=log, stop=self._stop, say=say)
        began = time.monotonic()
        evidence = self._evidence(job, key, inputs, tools, began)
        self._events.put(partial(self._finish, evidence))

    def _noticed(self, work: Future[None]) -> None:
        """Pass an error of the executor itself on to the loop, which would wait for ever otherwise."""
        if not work.cancelled() and work.exception() is not None:
            self._events.put(work.result)

    def _evidence(
        self, job: Job, key: str, inputs: Mapping[str, Evidence], tools: Tools, began: float
    ) -> Evidence | None:  # fmt: skip
        log = tools.log
        reason, code = "", "WF902"
        try:
            result = job.run(inputs, tools)
        except Interrupted:
            return None
        except CannotTellError as error:
            reason, code = str(error), error.code
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
                outcome=Outcome.UNDETERMINED,
                reason=reason,
                facts={"code": code},
                log=kept,
                seconds=seconds,
            )
        evidence = Evidence(key=key, job=job.id, facts=result.facts, files=result.files, log=kept, seconds=seconds)
        self._store.put(evidence)
        return evidence

    def _finish(self, evidence: Evidence | None) -> None:
        self._running -= 1
        if evidence is None:
            raise Interrupted
        self._end(evidence, known=False)

    def _end(self, evidence: Evidence, *, known: bool) -> None:
        self._ended[evidence.job] = evidence
        self._observer.ended(evidence, known=known)
        for name in self._needed_by[evidence.job]:
            self._waiting[name] -= 1
            if self._waiting[name] == 0:
                self._push(name)
