"""What a run would do, why, and for how long. Pure: made from a plan and from what the ledger has."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from builder.jobs.job import hash_key_parts, list_needs
from builder.plan import schedule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from builder.jobs.job import Job
    from builder.plan.graph import Plan
    from builder.plan.resources import Resources
    from builder.store.evidence import Evidence
    from builder.store.job_ids import JobId

NEVER_RAN = "it never ran"
OUTPUT_MISSING = "what it made is gone from the store"
OLDER_FARM = "its last run is of an older farm"

_WAITS_ONLY = "what it needs runs first"


@dataclass(frozen=True, kw_only=True, slots=True)
class PendingJob:
    """One job that would run.

    Attributes:
        reasons: what changed since it ran last, each by its name, or one of `NEVER_RAN`, `OUTPUT_MISSING` and
            `OLDER_FARM`; empty where there is no reason but `waits_for`.
        waits_for: jobs it needs that would run; should they come out as they were, it does not run.
        seconds: how long it should take.
    """

    job: JobId
    needs: tuple[JobId, ...]
    reasons: tuple[str, ...]
    waits_for: tuple[JobId, ...]
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Forecast:
    """A run to come.

    Attributes:
        pending: jobs that would run.
        up_to_date: the others, as (id, what it needs): there are many thousand. Empty where they are only counted.
        up_to_date_count: how many others there are.
        seconds: how long it should take, at most, with the machine to itself.
        work_s: how long its jobs take one after the other.
    """

    pending: tuple[PendingJob, ...]
    up_to_date: tuple[tuple[JobId, tuple[JobId, ...]], ...]
    up_to_date_count: int
    seconds: float
    work_s: float


def make_forecast(
    plan: Plan,
    known: Mapping[JobId, Evidence],
    last_key_parts: Callable[[Iterable[JobId]], Mapping[JobId, Mapping[str, str]]],
    recorded: Mapping[JobId, float],
    peaks: Mapping[JobId, int],
    resources: Resources,
    part: Plan | None = None,
) -> Forecast:
    """Return what a plan would do.

    Args:
        plan: the graph.
        known: evidence that is there, by job: what `find_evidence` of the plan, or the part, returned.
        last_key_parts: gives what the keys of jobs were made of when they last ran, by job.
        recorded: durations on record, in seconds, by job.
        peaks: memory that jobs were seen to use, in bytes, by job.
        resources: what of the machine jobs may share.
        part: of the plan, what may have changed; for the rest all evidence is there. All of it if not given.
    """
    examined = plan if part is None else part
    jobs = {job.id: job for job in examined.jobs.values() if job.id not in known}
    durations = schedule.expected_durations(jobs, recorded)
    simulation = schedule.simulate(
        {name: list_needs(job) for name, job in jobs.items()},
        durations,
        schedule.expected_resources(jobs, peaks),
        resources,
    )

    last = last_key_parts(jobs)
    pending: list[PendingJob] = []
    for name, job in jobs.items():
        pending.append(_pending_job(job, known, last.get(name), durations[name]))

    return Forecast(
        pending=tuple(pending),
        up_to_date=_list_with_needs(job for job in plan.jobs.values() if job.id not in jobs),
        up_to_date_count=len(plan.jobs) - len(jobs),
        seconds=simulation.makespan_s,
        work_s=sum(durations.values()),
    )


def empty_forecast(jobs: Iterable[Job], count: int) -> Forecast:
    """Return the forecast of a run that has nothing to do.

    Args:
        jobs: to list.
        count: how many there are.
    """
    return Forecast(
        pending=(),
        up_to_date=_list_with_needs(jobs),
        up_to_date_count=count,
        seconds=0.0,
        work_s=0.0,
    )


def count_reasons(jobs: Sequence[PendingJob]) -> list[tuple[str, int]]:
    """Count the jobs to run by reason, the most frequent first; what only follows others is counted as that."""
    counts = Counter[str]()
    for job in jobs:
        counts.update(job.reasons or (_WAITS_ONLY,))

    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))


def _list_with_needs(jobs: Iterable[Job]) -> tuple[tuple[JobId, tuple[JobId, ...]], ...]:
    return tuple((job.id, list_needs(job)) for job in jobs)


def _pending_job(
    job: Job, known: Mapping[JobId, Evidence], last: Mapping[str, str] | None, seconds: float
) -> PendingJob:
    """Return a job that would run, with the reasons.

    Args:
        job: the job.
        known: evidence that is there, by job.
        last: what its key was made of when it last ran; None where it never did.
        seconds: how long it should take.
    """
    needs = list_needs(job)
    waits_for = tuple(need for need in needs if need not in known)

    reasons: tuple[str, ...]
    if last is None:
        reasons = (NEVER_RAN,)
    elif not last:
        reasons = (OLDER_FARM,)
    elif waits_for:
        # Of its key, all but the inputs is known already.
        reasons = _changed_parts(hash_key_parts(job), last)
    else:
        inputs = {role: known[need] for role, need in job.needs.items()}
        parts = hash_key_parts(job, inputs)
        left_out = tuple(f"{name} (left out)" for name in last if name not in parts)
        reasons = _changed_parts(parts, last) + left_out or (OUTPUT_MISSING,)

    return PendingJob(
        job=job.id,
        needs=needs,
        reasons=reasons,
        waits_for=waits_for,
        seconds=seconds,
    )


def _changed_parts(parts: Mapping[str, str], last: Mapping[str, str]) -> tuple[str, ...]:
    """Return the names of the parts of a key that are not as they were."""
    return tuple(name for name, value in parts.items() if last.get(name) != value)
