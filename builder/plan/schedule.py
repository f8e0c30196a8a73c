"""Which job starts next. Pure: the executor and a simulation drive the same queue.

Jobs are not run in stages: a job may start as soon as its inputs exist and its share of CPU and memory is
free, the one with the longest path to the end first.
"""

from __future__ import annotations

import heapq
import statistics
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from builder.jobs.images.ids import INTERPRETERS, RACE_INTERPRETER
from builder.plan.resources import Resources
from builder.store.job_ids import JobId, JobKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

PATIENCE = 8
"""How many jobs may overtake one that does not fit, before nothing more starts until it does."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DefaultCost:
    """What a job takes before it was ever measured.

    Attributes:
        seconds: wall time.
        resources: what of the machine.
    """

    seconds: float
    resources: Resources


def _default_cost(seconds: float, memory_mib: int, cpus: float = 1.0) -> DefaultCost:
    return DefaultCost(
        seconds=seconds, resources=Resources(cpus=cpus, memory_bytes=memory_mib << 20)
    )


ALL_CPUS = 1e9
"""A share of CPUs that no machine has: such a job runs alone."""

DEFAULT_COSTS: Mapping[str, DefaultCost] = {
    JobKind.IMAGE: _default_cost(60.0, 512),
    JobKind.BUILD: _default_cost(30.0, 1024),
    JobKind.AUDIT: _default_cost(3.0, 256),
    JobKind.LOAD: _default_cost(5.0, 512),
    JobKind.REMEDY: _default_cost(0.1, 64),
    JobKind.RACE: _default_cost(40.0, 1536),
    JobKind.EXERCISE: _default_cost(20.0, 1024),
    JobKind.SPEED: _default_cost(10.0, 1024, ALL_CPUS),  # what it measures is the machine's to give
}
"""By a job's kind."""

COMPILE_COSTS: Mapping[JobId, DefaultCost] = {
    # Compiled by as many processes as there are CPUs.
    INTERPRETERS: _default_cost(300.0, 1024, ALL_CPUS),
    RACE_INTERPRETER: _default_cost(300.0, 2048, ALL_CPUS),
}
"""Of the images that take longer than others of their kind."""

LAST_KINDS = frozenset({JobKind.SPEED})
"""Kinds of jobs that start when nothing else is there to run."""


def expected_durations(
    jobs: Iterable[JobId], recorded: Mapping[JobId, float]
) -> dict[JobId, float]:
    """Return what each job is expected to take: what it took last, or what is usual for its kind.

    Args:
        jobs: ids.
        recorded: durations on record, in seconds, by job.
    """
    by_kind: dict[str, list[float]] = defaultdict(list)
    for job, took in recorded.items():
        if job not in COMPILE_COSTS:
            by_kind[job.kind].append(took)
    usual = {kind: statistics.median(times) for kind, times in by_kind.items()}

    durations: dict[JobId, float] = {}
    for job in jobs:
        if job in recorded:
            durations[job] = recorded[job]
        elif job.kind in usual and job not in COMPILE_COSTS:
            durations[job] = usual[job.kind]
        else:
            durations[job] = _default_cost_of(job).seconds

    return durations


def expected_resources(jobs: Iterable[JobId], peaks: Mapping[JobId, int]) -> dict[JobId, Resources]:
    """Return what each job takes of the machine.

    Args:
        jobs: ids.
        peaks: the most memory each job was seen to use, in bytes, where that is on record.
    """
    taken: dict[JobId, Resources] = {}
    for job in jobs:
        usual = _default_cost_of(job).resources
        peak = peaks.get(job)
        taken[job] = usual if peak is None else Resources(cpus=usual.cpus, memory_bytes=peak)

    return taken


def _default_cost_of(job: JobId) -> DefaultCost:
    return COMPILE_COSTS.get(job) or DEFAULT_COSTS[job.kind]


def longest_paths(
    needs: Mapping[JobId, Iterable[JobId]], took: Mapping[JobId, float]
) -> dict[JobId, float]:
    """Return the longest path from the start of each job to the end of all, in seconds.

    Args:
        needs: ids each job needs, every job after all that it needs.
        took: what each job is expected to take, in seconds.
    """
    longest: dict[JobId, float] = {}
    after: dict[JobId, float] = defaultdict(float)
    for job in reversed(list(needs)):
        longest[job] = after[job] + took[job]
        for need in needs[job]:
            after[need] = max(after[need], longest[job])
    return longest


def priorities(longest: Mapping[JobId, float]) -> dict[JobId, float]:
    """Return what starts first: the longer path to the end; 0 for what waits until nothing else is there."""
    return {job: 0.0 if job.kind in LAST_KINDS else left for job, left in longest.items()}


class Queue:
    """Jobs whose inputs exist, and what of the machine is free for them."""

    def __init__(
        self, priority: Mapping[JobId, float], taken: Mapping[JobId, Resources], room: Resources
    ) -> None:
        """Prepare.

        Args:
            priority: what starts first: the larger number.
            taken: what each job takes; one that takes more than there is gets all there is.
            room: what there is.
        """
        self._priority = priority
        self._taken = taken
        self._all = room
        self._cpus = room.cpus
        self._memory = room.memory_bytes
        self._ready: list[tuple[float, JobId]] = []
        self._overtaken: dict[JobId, int] = {}

    def __len__(self) -> int:
        return len(self._ready)

    def add(self, job: JobId) -> None:
        """Take in a job whose inputs exist."""
        heapq.heappush(self._ready, (-self._priority[job], job))

    def start(self) -> JobId | None:
        """Return the job to start now and give it its share, or None where nothing fits."""
        passed: list[tuple[float, JobId]] = []
        found = None
        while self._ready and found is None and self._cpus > 0 and len(passed) < PATIENCE:
            entry = heapq.heappop(self._ready)
            if self._fits(entry[1]):
                found = entry[1]
                continue
            passed.append(entry)
            if self._priority[entry[1]] > 0 and self._overtaken.get(entry[1], 0) >= PATIENCE:
                break
        for entry in passed:
            heapq.heappush(self._ready, entry)
            if found is not None:
                self._overtaken[entry[1]] = self._overtaken.get(entry[1], 0) + 1
        if found is not None:
            share = self._share(found)
            self._cpus -= share.cpus
            self._memory -= share.memory_bytes
        return found

    def end(self, job: JobId) -> None:
        """Take a job's share back."""
        share = self._share(job)
        self._cpus += share.cpus
        self._memory += share.memory_bytes

    def _share(self, job: JobId) -> Resources:
        share = self._taken[job]
        return Resources(
            cpus=min(share.cpus, self._all.cpus),
            memory_bytes=min(share.memory_bytes, self._all.memory_bytes),
        )

    def _fits(self, job: JobId) -> bool:
        share = self._share(job)
        return share.cpus <= self._cpus and share.memory_bytes <= self._memory


@dataclass(frozen=True, kw_only=True, slots=True)
class Simulation:
    """How long a graph takes.

    Attributes:
        makespan_s: from the first start to the last end, as the queue would have it.
        lower_bound_s: no order of jobs is faster: the longest path, or all work over all CPUs.
        starts: when each job starts, in seconds.
    """

    makespan_s: float
    lower_bound_s: float
    starts: Mapping[JobId, float]


def simulate(
    needs: Mapping[JobId, Iterable[JobId]],
    took: Mapping[JobId, float],
    taken: Mapping[JobId, Resources],
    room: Resources,
) -> Simulation:
    """Play a graph through the queue on a clock of its own.

    Args:
        needs: ids each job needs, every job after all that it needs; ids that are not in it are there already.
        took: what each job takes, in seconds.
        taken: what each job takes of the machine.
        room: the machine.
    """
    inputs = {job: [need for need in wanted if need in needs] for job, wanted in needs.items()}
    needed_by: dict[JobId, list[JobId]] = {job: [] for job in inputs}
    for job, wanted in inputs.items():
        for need in wanted:
            needed_by[need].append(job)
    waiting = {job: len(wanted) for job, wanted in inputs.items()}
    longest = longest_paths(inputs, took)
    queue = Queue(priorities(longest), taken, room)
    for job, left in waiting.items():
        if not left:
            queue.add(job)
    now, running, starts = 0.0, list[tuple[float, JobId]](), dict[JobId, float]()
    while len(queue) or running:
        name = queue.start()
        while name is not None:
            starts[name] = now
            heapq.heappush(running, (now + took[name], name))
            name = queue.start()
        now, ended = heapq.heappop(running)
        queue.end(ended)
        for job in needed_by[ended]:
            waiting[job] -= 1
            if not waiting[job]:
                queue.add(job)
    work = sum(took[job] * min(taken[job].cpus, room.cpus) for job in inputs)
    bound = max(max(longest.values(), default=0.0), work / room.cpus)
    return Simulation(makespan_s=now, lower_bound_s=bound, starts=starts)
