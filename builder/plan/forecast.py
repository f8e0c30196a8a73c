"""What a run would do, why, and for how long. Pure: made from a plan and from what the ledger has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from builder.jobs.job import hash_key_parts, list_needs
from builder.plan import schedule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from builder.jobs.job import Inputs, Job
    from builder.plan.graph import Plan
    from builder.plan.resources import Resources
    from builder.store.evidence import Evidence
    from builder.store.job_ids import JobId

NEVER_RAN = "it never ran"
OUTPUT_MISSING = "what it made is gone from the store"
OLDER_FARM = "last run by an older wheelfarm"


@dataclass(frozen=True, kw_only=True, slots=True)
class PendingJob:
    """One job that would run.

    Attributes:
        reasons: what changed since it ran last, each by its name, or one of `NEVER_RAN`, `OUTPUT_MISSING`
            and `OLDER_FARM`; empty where there is no reason but `after`.
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
    last_asked: Callable[[Iterable[JobId]], Mapping[JobId, Mapping[str, str]]],
    recorded: Mapping[JobId, float],
    peaks: Mapping[JobId, int],
    room: Resources,
    part: Plan | None = None,
) -> Forecast:
    """Tell what a plan would do.

    Args:
        plan: the graph.
        known: evidence that is there, by job: the plan's `outlook`, or the part's.
        last_asked: gives what jobs were asked with when they last ran, by job.
        recorded: durations on record, in seconds, by job.
        peaks: memory that jobs were seen to use, in bytes, by job.
        room: what of the machine jobs may share.
        part: of the plan, what may have changed; for the rest all evidence is there. All of it if not given.
    """
    pending = {job.id: job for job in (part or plan).jobs.values() if job.id not in known}
    took = schedule.expected_durations(pending, recorded) if pending else {}
    before = last_asked(pending)
    needs = {name: list_needs(job) for name, job in pending.items()}
    played = schedule.simulate(needs, took, schedule.expected_resources(pending, peaks), room)
    return Forecast(
        pending=tuple(
            _pending_job(job, known, before.get(job.id), took[job.id]) for job in pending.values()
        ),
        up_to_date=tuple(
            (job.id, list_needs(job)) for job in plan.jobs.values() if job.id not in pending
        ),
        up_to_date_count=len(plan.jobs) - len(pending),
        seconds=played.makespan_s,
        work_s=sum(took.values()),
    )


def empty_forecast(jobs: Iterable[Job], count: int) -> Forecast:
    """Tell that nothing would run.

    Args:
        jobs: to list.
        count: how many there are.
    """
    return Forecast(
        pending=(),
        up_to_date=tuple((job.id, list_needs(job)) for job in jobs),
        up_to_date_count=count,
        seconds=0.0,
        work_s=0.0,
    )


def _pending_job(
    job: Job, known: Mapping[JobId, Evidence], before: Mapping[str, str] | None, seconds: float
) -> PendingJob:
    needs = list_needs(job)
    after = tuple(need for need in needs if need not in known)
    inputs = {role: known[need] for role, need in job.needs.items() if need in known}

    return PendingJob(
        job=job.id,
        needs=needs,
        reasons=_explain_rerun(job, inputs, before, whole=not after),
        waits_for=after,
        seconds=seconds,
    )


def _explain_rerun(
    job: Job, inputs: Inputs, before: Mapping[str, str] | None, *, whole: bool
) -> tuple[str, ...]:  # fmt: skip
    """Name what is not as it was when a job last ran.

    Args:
        job: the job.
        inputs: evidence of its inputs, as far as it is there.
        before: what it was asked with when it last ran; None where it never did.
        whole: whether all of its inputs are there.
    """
    if before is None:
        return (NEVER_RAN,)
    if not before:
        return (OLDER_FARM,)
    now = hash_key_parts(job, inputs if whole else None)
    changed = tuple(name for name, value in now.items() if before.get(name) != value)
    if whole:
        changed += tuple(f"{name} (left out)" for name in before if name not in now)
    return changed or ((OUTPUT_MISSING,) if whole else ())


def count_reasons(jobs: Sequence[PendingJob]) -> list[tuple[str, int]]:
    """Count the jobs to run by reason, the most frequent first; what only follows others is counted as that."""
    counts: dict[str, int] = {}
    for one in jobs:
        reasons = one.reasons or ("what it needs runs first",)
        for reason in reasons:
            counts[reason] = counts.get(reason, 0) + 1
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
