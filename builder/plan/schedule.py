"""Which job starts next. Pure: the executor and a simulation drive the same queue.

Jobs are not run in stages: a job may start as soon as its inputs exist and its share of CPU and memory is free, the
one with the longest path to the end first.
"""

from __future__ import annotations

import heapq
import statistics
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from builder.jobs.images.ids import COMPARISON_INTERPRETERS, INTERPRETERS, RACE_INTERPRETER
from builder.plan.resources import Resources
from builder.store.job_ids import JobId, JobKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

PATIENCE = 8
"""How many jobs may overtake one that does not fit. After that many, nothing more starts until it fits.

Without overtaking, CPUs idle while a large job waits for memory; without a limit, small jobs keep it waiting for ever.
The number itself is not measured.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class DefaultCost:
    """What a job is expected to use as long as it was never measured.

    Attributes:
        seconds: wall time.
        resources: CPUs and memory.
    """

    seconds: float
    resources: Resources


def _default_cost(seconds: float, memory_mib: int, cpus: float = 1.0) -> DefaultCost:
    return DefaultCost(
        seconds=seconds, resources=Resources(cpus=cpus, memory_bytes=memory_mib << 20)
    )


ALL_CPUS = 1e9
"""More CPUs than any machine has. A job that asks for them gets all there are, and so runs alone."""

DEFAULT_COSTS: Mapping[str, DefaultCost] = {
    JobKind.IMAGE: _default_cost(60.0, 512),
    JobKind.BUILD: _default_cost(30.0, 1024),
    JobKind.AUDIT: _default_cost(3.0, 256),
    JobKind.LOAD: _default_cost(5.0, 512),
    JobKind.REMEDY: _default_cost(0.1, 64),
    JobKind.RACE: _default_cost(40.0, 1536),
    # Of msgpack it took 21 s of CPU in 29 s: threads that hang are waited for.
    JobKind.EXERCISE: _default_cost(20.0, 1024, 0.75),
    # A job beside it would take a part of what it measures.
    JobKind.SPEED: _default_cost(10.0, 1024, ALL_CPUS),
    JobKind.APPLICATION: _default_cost(60.0, 1024),
    JobKind.MEASUREMENT: _default_cost(600.0, 4096, ALL_CPUS),
}
"""Expected costs, by kind of job. They are guesses, and count only until a job of the kind has been recorded."""

COMPILE_COSTS: Mapping[JobId, DefaultCost] = {
    # Compiled by as many processes as there are CPUs.
    INTERPRETERS: _default_cost(300.0, 1024, ALL_CPUS),
    RACE_INTERPRETER: _default_cost(300.0, 2048, ALL_CPUS),
    COMPARISON_INTERPRETERS: _default_cost(400.0, 2048, ALL_CPUS),
}
"""Expected costs of the images that take much longer than other images, because they compile interpreters."""

GROWING_KINDS = frozenset({JobKind.BUILD})
"""Kinds of jobs that use as many CPUs as they get: compilers run beside one another."""

MOST_CPUS = 16.0
"""How many CPUs such a job gets at most: linking, configuring and the largest source take as long with more."""

FILLING_KINDS = frozenset({JobKind.AUDIT, JobKind.LOAD})
"""Kinds of jobs that take a few seconds, and longer with less than a CPU: one of them at a time fills a part of a CPU
that is free and enough for no other job."""

LEAST_CPUS = 0.5
"""How much of a CPU has to be free for it, and so the smallest share of any job. Shares are made of quarters, which sum
up exactly."""

LAST_KINDS = frozenset({JobKind.SPEED, JobKind.MEASUREMENT})
"""Kinds of jobs that start only when there is nothing else to run."""


def expected_durations(
    jobs: Iterable[JobId], recorded: Mapping[JobId, float]
) -> dict[JobId, float]:
    """Return how long each job should take, in seconds: as long as last time, or else as is usual.

    Usual is what the same took on another base, where that is recorded: what takes an hour on one does on another.
    Else it is the median of the recorded jobs of that kind, and a guess where none is recorded.

    Args:
        jobs: ids of the jobs.
        recorded: how long jobs took, in seconds, by job.
    """
    by_kind: dict[str, list[float]] = defaultdict(list)
    elsewhere: dict[tuple[str, str], float] = {}
    for job, seconds in recorded.items():
        # Images that compile interpreters take much longer than others and would spoil the median.
        if job not in COMPILE_COSTS:
            by_kind[job.kind].append(seconds)
            elsewhere[job.kind, job.name] = max(seconds, elsewhere.get((job.kind, job.name), 0.0))
    usual = {kind: statistics.median(times) for kind, times in by_kind.items()}

    durations: dict[JobId, float] = {}
    for job in jobs:
        if job in recorded:
            durations[job] = recorded[job]
        elif job in COMPILE_COSTS:
            durations[job] = COMPILE_COSTS[job].seconds
        else:
            of_kind = usual.get(job.kind, DEFAULT_COSTS[job.kind].seconds)
            durations[job] = elsewhere.get((job.kind, job.name), of_kind)

    return durations


def expected_resources(jobs: Iterable[JobId], peaks: Mapping[JobId, int]) -> dict[JobId, Resources]:
    """Return the share of each job, i.e. the CPUs and the memory that it should use.

    Args:
        jobs: ids of the jobs.
        peaks: the most memory a job was seen to use, in bytes, by job. A job that is not in it gets a guess.
    """
    shares: dict[JobId, Resources] = {}
    for job in jobs:
        guess = COMPILE_COSTS.get(job, DEFAULT_COSTS[job.kind]).resources
        peak = peaks.get(job)
        shares[job] = guess if peak is None else replace(guess, memory_bytes=peak)

    return shares


def longest_paths(
    needs: Mapping[JobId, Iterable[JobId]], durations: Mapping[JobId, float]
) -> dict[JobId, float]:
    """Return for each job the length of the longest path from its start to the end of the graph, in seconds.

    That is its own duration plus that of the longest chain of jobs that depend on it. A job of 2 s that only a job of
    5 s needs has 7 s.

    Args:
        needs: ids of the jobs that each job needs; every job comes after all that it needs.
        durations: how long each job should take, in seconds.
    """
    longest: dict[JobId, float] = {}
    longest_after: dict[JobId, float] = defaultdict(float)
    # Backwards, so that a job comes after all that depend on it.
    for job in reversed(list(needs)):
        longest[job] = longest_after[job] + durations[job]
        for need in needs[job]:
            longest_after[need] = max(longest_after[need], longest[job])

    return longest


def priorities(longest: Mapping[JobId, float]) -> dict[JobId, float]:
    """Return the priority of each job, given its longest path to the end; the job with the largest starts first.

    The priority is the length of the path, but 0 for the kinds of jobs that start when nothing else is left to run.
    """
    return {job: 0.0 if job.kind in LAST_KINDS else path_s for job, path_s in longest.items()}


class Queue:
    """The jobs that are ready (whose inputs exist), and the CPUs and memory that are free for them."""

    def __init__(
        self,
        priority: Mapping[JobId, float],
        shares: Mapping[JobId, Resources],
        resources: Resources,
    ) -> None:
        """Prepare.

        Args:
            priority: a number for each job; the job with the larger one starts first.
            shares: CPUs and memory that each job uses. A job that asks for more than there is gets all there is.
            resources: CPUs and memory that there are.
        """
        self._priority = priority
        self._shares = shares
        self._all = resources
        self._free_cpus = resources.cpus
        self._free_memory_bytes = resources.memory_bytes
        self._ready: list[tuple[float, JobId]] = []
        # Those of `_ready` that can fill a part of a CPU. One that has started stays in the other of the two heaps,
        # and is passed over there.
        self._filling: list[tuple[float, JobId]] = []
        self._waiting: set[JobId] = set()
        self._filler: JobId | None = None
        self._overtaken: Counter[JobId] = Counter()
        self._running: dict[JobId, Resources] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, job: JobId) -> None:
        """Add a job whose inputs exist."""
        entry = (-self._priority[job], job)
        heapq.heappush(self._ready, entry)
        if job.kind in FILLING_KINDS:
            heapq.heappush(self._filling, entry)
        self._waiting.add(job)

    def start(self) -> JobId | None:
        """Choose the job to start next, take it out of the queue, reserve its CPUs and memory, and return it.

        None if no ready job may start now: call it until it returns None, and again when a job was added or has ended.
        The caller runs the job and reports its end with `end`, which frees the CPUs and memory.

        The choice is the job with the highest priority that fits. It overtakes those that do not fit, but none of them
        more than `PATIENCE` times. Where none fits, a job that fills what is left of a CPU may start (FILLING_KINDS).
        It delays no other: for what it takes there is no use until another job ends.
        """
        # Search: take jobs off the heap, the one with the highest priority first, until one fits.
        too_large: list[tuple[float, JobId]] = []
        started = None
        is_blocked = False
        # Without a free CPU nothing fits, and after `PATIENCE` jobs that do not fit the search is given up.
        while self._ready and self._free_cpus > 0 and len(too_large) < PATIENCE:
            entry = heapq.heappop(self._ready)
            _, job = entry
            if job not in self._waiting:
                continue
            if self._fits(job):
                started = job
                break
            too_large.append(entry)
            is_blocked = self._blocks_others(job)
            if is_blocked:
                break

        # Jobs that do not fit stay in the queue.
        for entry in too_large:
            heapq.heappush(self._ready, entry)
        if started is None:
            return None if is_blocked else self._start_filler()

        self._overtaken.update(job for _, job in too_large)
        self._occupy(started, self._grow(started, self._share_of(started)))
        return started

    def _start_filler(self) -> JobId | None:
        """Start a job with the part of a CPU that is free, and return it; None where there is none, or too little."""
        if self._filler is not None or self._free_cpus < LEAST_CPUS:
            return None
        while self._filling and self._filling[0][1] not in self._waiting:
            heapq.heappop(self._filling)
        if not self._filling:
            return None

        _, job = self._filling[0]
        share = self._share_of(job)
        if share.memory_bytes > self._free_memory_bytes:
            return None

        self._filler = job
        self._occupy(job, replace(share, cpus=min(share.cpus, self._free_cpus)))
        return job

    def _occupy(self, job: JobId, share: Resources) -> None:
        """Record that a job starts, and what it occupies."""
        self._waiting.remove(job)
        self._running[job] = share
        self._free_cpus -= share.cpus
        self._free_memory_bytes -= share.memory_bytes

    def share_of_running(self, job: JobId) -> Resources:
        """Return the CPUs and memory that a job has which was started and has not ended."""
        return self._running[job]

    def _grow(self, job: JobId, share: Resources) -> Resources:
        """Return the share of a job that starts, with the CPUs that nobody waits for if it can use them.

        Every job that is ready to start keeps one, and one stays free for what becomes ready meanwhile.
        """
        others = len(self._waiting) - 1
        idle_cpus = self._free_cpus - share.cpus - others - 1
        if job.kind not in GROWING_KINDS or idle_cpus <= 0:
            return share

        return replace(share, cpus=max(share.cpus, min(share.cpus + idle_cpus, MOST_CPUS)))

    def end(self, job: JobId) -> None:
        """Free the share of a job that has ended."""
        share = self._running.pop(job)
        if job == self._filler:
            self._filler = None
        self._free_cpus += share.cpus
        self._free_memory_bytes += share.memory_bytes

    def _blocks_others(self, job: JobId) -> bool:
        """Return whether a job that does not fit was overtaken so often that no other may start before it."""
        starts_last = self._priority[job] <= 0

        return not starts_last and self._overtaken[job] >= PATIENCE

    def _share_of(self, job: JobId) -> Resources:
        """Return the share of a job, cut to what the machine has."""
        share = self._shares[job]

        return Resources(
            cpus=min(share.cpus, self._all.cpus),
            memory_bytes=min(share.memory_bytes, self._all.memory_bytes),
        )

    def _fits(self, job: JobId) -> bool:
        share = self._share_of(job)

        return share.cpus <= self._free_cpus and share.memory_bytes <= self._free_memory_bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Simulation:
    """How long a graph of jobs takes.

    Attributes:
        makespan_s: time from the first start to the last end, in the order that the queue gives.
        lower_bound_s: the time that no order can beat: the longest path, or all CPU time divided by all CPUs.
        starts: when each job starts, in seconds after the first start.
    """

    makespan_s: float
    lower_bound_s: float
    starts: Mapping[JobId, float]


def simulate(
    needs: Mapping[JobId, Iterable[JobId]],
    durations: Mapping[JobId, float],
    shares: Mapping[JobId, Resources],
    resources: Resources,
) -> Simulation:
    """Return how long a graph of jobs would take, by running it through the queue on a simulated clock.

    No job is executed: the clock jumps from the end of one job to the end of the next.

    Args:
        needs: ids of the jobs that each job needs; every job comes after all that it needs. A job that is needed but
            is no key of this mapping has ended already.
        durations: how long each job takes, in seconds.
        shares: CPUs and memory that each job uses.
        resources: CPUs and memory that there are.
    """
    # Turn the graph round: by job, the jobs that need it. Inputs that have ended already are left out.
    inputs: dict[JobId, list[JobId]] = {}
    dependents: dict[JobId, list[JobId]] = defaultdict(list)
    for job, needed in needs.items():
        inputs[job] = [need for need in needed if need in needs]
        for need in inputs[job]:
            dependents[need].append(job)

    # Fill the queue with the jobs that wait for nothing.
    longest = longest_paths(inputs, durations)
    queue = Queue(priorities(longest), shares, resources)
    open_inputs = {job: len(needed) for job, needed in inputs.items()}  # inputs yet to end
    for job, count in open_inputs.items():
        if count == 0:
            queue.add(job)

    # Run: start all that fits, go to the moment when the next job ends, and add the jobs that waited only for it.
    now = 0.0
    running: list[tuple[float, JobId]] = []  # a heap of (time of the end, job)
    starts: dict[JobId, float] = {}
    while len(queue) or running:
        while (started := queue.start()) is not None:
            starts[started] = now
            heapq.heappush(running, (now + durations[started], started))

        now, ended = heapq.heappop(running)
        queue.end(ended)
        for job in dependents[ended]:
            open_inputs[job] -= 1
            if open_inputs[job] == 0:
                queue.add(job)

    return Simulation(
        makespan_s=now,
        lower_bound_s=_lower_bound(longest, durations, shares, resources),
        starts=starts,
    )


def _lower_bound(
    longest: Mapping[JobId, float],
    durations: Mapping[JobId, float],
    shares: Mapping[JobId, Resources],
    resources: Resources,
) -> float:
    """Return the time that no order of jobs can beat, in seconds.

    A run takes at least as long as its longest path, and as all its CPU time divided by the number of CPUs.
    """
    cpu_seconds = 0.0
    for job in longest:
        cpu_seconds += durations[job] * min(shares[job].cpus, resources.cpus)

    longest_path = max(longest.values(), default=0.0)

    return max(longest_path, cpu_seconds / resources.cpus)
