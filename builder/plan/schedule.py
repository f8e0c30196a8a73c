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

from builder.jobs.images.ids import INTERPRETERS, RACE_INTERPRETER
from builder.plan.resources import Resources
from builder.store.job_ids import JobId, JobKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

PATIENCE = 8
"""How many jobs may overtake one that does not fit, before nothing more starts until it does.

Without overtaking, CPUs idle while a large job waits for memory; without a limit, small jobs keep it waiting for ever.
The number itself is not measured.
"""


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
    # A job beside it would take a part of what it measures.
    JobKind.SPEED: _default_cost(10.0, 1024, ALL_CPUS),
}
"""By a job's kind. They are guesses, and count only until a job of the kind is on record."""

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
    for job, seconds in recorded.items():
        if job not in COMPILE_COSTS:
            by_kind[job.kind].append(seconds)
    usual = {kind: statistics.median(times) for kind, times in by_kind.items()}

    durations: dict[JobId, float] = {}
    for job in jobs:
        if job in recorded:
            durations[job] = recorded[job]
        elif job in COMPILE_COSTS:
            durations[job] = COMPILE_COSTS[job].seconds
        else:
            durations[job] = usual.get(job.kind, DEFAULT_COSTS[job.kind].seconds)

    return durations


def expected_resources(jobs: Iterable[JobId], peaks: Mapping[JobId, int]) -> dict[JobId, Resources]:
    """Return what each job takes of the machine.

    Args:
        jobs: ids.
        peaks: the most memory each job was seen to use, in bytes, where that is on record.
    """
    shares: dict[JobId, Resources] = {}
    for job in jobs:
        usual = COMPILE_COSTS.get(job, DEFAULT_COSTS[job.kind]).resources
        peak = peaks.get(job)
        shares[job] = usual if peak is None else replace(usual, memory_bytes=peak)

    return shares


def longest_paths(
    needs: Mapping[JobId, Iterable[JobId]], durations: Mapping[JobId, float]
) -> dict[JobId, float]:
    """Return the longest path from the start of each job to the end of all, in seconds.

    Args:
        needs: ids each job needs, every job after all that it needs.
        durations: what each job is expected to take, in seconds.
    """
    longest: dict[JobId, float] = {}
    after: dict[JobId, float] = defaultdict(float)
    for job in reversed(list(needs)):
        longest[job] = after[job] + durations[job]
        for need in needs[job]:
            after[need] = max(after[need], longest[job])

    return longest


def priorities(longest: Mapping[JobId, float]) -> dict[JobId, float]:
    """Return what starts first: the longer path to the end; 0 for what waits until nothing else is there."""
    return {job: 0.0 if job.kind in LAST_KINDS else left for job, left in longest.items()}


class Queue:
    """Jobs whose inputs exist, and what of the machine is free for them."""

    def __init__(
        self,
        priority: Mapping[JobId, float],
        shares: Mapping[JobId, Resources],
        resources: Resources,
    ) -> None:
        """Prepare.

        Args:
            priority: what starts first: the larger number.
            shares: what each job takes; one that takes more than there is gets all there is.
            resources: what there is.
        """
        self._priority = priority
        self._shares = shares
        self._all = resources
        self._free_cpus = resources.cpus
        self._free_memory_bytes = resources.memory_bytes
        self._ready: list[tuple[float, JobId]] = []
        self._overtaken: Counter[JobId] = Counter()

    def __len__(self) -> int:
        return len(self._ready)

    def add(self, job: JobId) -> None:
        """Take in a job whose inputs exist."""
        heapq.heappush(self._ready, (-self._priority[job], job))

    def start(self) -> JobId | None:
        """Return the job to start now and give it its share, or None where nothing fits."""
        passed: list[tuple[float, JobId]] = []
        started = None
        while self._ready and self._free_cpus > 0 and len(passed) < PATIENCE:
            entry = heapq.heappop(self._ready)
            _, job = entry
            if self._fits(job):
                started = job
                break
            passed.append(entry)
            if self._blocks_others(job):
                break

        for entry in passed:
            heapq.heappush(self._ready, entry)
        if started is None:
            return None

        self._overtaken.update(job for _, job in passed)
        share = self._share_of(started)
        self._free_cpus -= share.cpus
        self._free_memory_bytes -= share.memory_bytes

        return started

    def end(self, job: JobId) -> None:
        """Take a job's share back."""
        share = self._share_of(job)
        self._free_cpus += share.cpus
        self._free_memory_bytes += share.memory_bytes

    def _blocks_others(self, job: JobId) -> bool:
        """Return whether a job that does not fit was overtaken so often that it is the next to start."""
        waits_for_all_others = self._priority[job] <= 0

        return not waits_for_all_others and self._overtaken[job] >= PATIENCE

    def _share_of(self, job: JobId) -> Resources:
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
    durations: Mapping[JobId, float],
    shares: Mapping[JobId, Resources],
    resources: Resources,
) -> Simulation:
    """Play a graph through the queue on a clock of its own.

    Args:
        needs: ids each job needs, every job after all that it needs; ids that are not in it are there already.
        durations: what each job takes, in seconds.
        shares: what each job takes of the machine.
        resources: the machine.
    """
    inputs: dict[JobId, list[JobId]] = {}
    dependents: dict[JobId, list[JobId]] = defaultdict(list)
    for job, wanted in needs.items():
        inputs[job] = [need for need in wanted if need in needs]
        for need in inputs[job]:
            dependents[need].append(job)

    longest = longest_paths(inputs, durations)
    queue = Queue(priorities(longest), shares, resources)
    waiting = {job: len(wanted) for job, wanted in inputs.items()}
    for job, count in waiting.items():
        if count == 0:
            queue.add(job)

    now = 0.0
    running: list[tuple[float, JobId]] = []
    starts: dict[JobId, float] = {}
    while len(queue) or running:
        while (started := queue.start()) is not None:
            starts[started] = now
            heapq.heappush(running, (now + durations[started], started))

        now, ended = heapq.heappop(running)
        queue.end(ended)
        for job in dependents[ended]:
            waiting[job] -= 1
            if waiting[job] == 0:
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
    """Return the time that no order of jobs can beat, in seconds."""
    cpu_seconds = 0.0
    for job in longest:
        cpu_seconds += durations[job] * min(shares[job].cpus, resources.cpus)

    longest_path = max(longest.values(), default=0.0)

    return max(longest_path, cpu_seconds / resources.cpus)
