"""What a run would do, why, and for how long.

Pure: a forecast is made from a plan and from what the ledger has recorded. Nothing is run, and nothing is read.
"""

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
        needs: every job that it needs.
        reasons: names of the settings and inputs that changed since its last run, or one of `NEVER_RAN`,
            `OUTPUT_MISSING` and `OLDER_FARM`. Empty where it may run only because jobs in `waits_for` do.
        waits_for: the jobs of `needs` that would run. Should their results be the same as before, it does not run.
        seconds: how long it is expected to take.
    """

    job: JobId
    needs: tuple[JobId, ...]
    reasons: tuple[str, ...]
    waits_for: tuple[JobId, ...]
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Forecast:
    """What the next run would do.

    Attributes:
        pending: jobs that would run.
        up_to_date: jobs that would not run, as (id, ids of the jobs it needs). Plain tuples, because there are many
            thousand. Empty where the caller only counts them.
        up_to_date_count: how many jobs would not run.
        seconds: how long the run should take, at most, if nothing else uses the machine.
        work_s: how long its jobs would take one after the other.
    """

    pending: tuple[PendingJob, ...]
    up_to_date: tuple[tuple[JobId, tuple[JobId, ...]], ...]
    up_to_date_count: int
    seconds: float
    work_s: float


def make_forecast(
    plan: Plan,
    evidence: Mapping[JobId, Evidence],
    last_key_parts: Callable[[Iterable[JobId]], Mapping[JobId, Mapping[str, str]]],
    recorded: Mapping[JobId, float],
    peaks: Mapping[JobId, int],
    resources: Resources,
    part: Plan | None = None,
) -> Forecast:
    """Return which jobs of a plan a run would execute, why each of them, and how long the run should take.

    A job would run if it has no evidence, i.e. no result of an earlier run that is still valid. All others are up to
    date. `evidence` decides which jobs run and with `last_key_parts` why; `recorded`, `peaks` and `resources` only
    serve to estimate how long the run takes.

    Args:
        plan: all jobs, with what each needs.
        evidence: the valid results, by job, as `find_evidence` of `part` returns them, or of `plan` without a part.
        last_key_parts: returns for some jobs, by name of a setting or input, its hash when the job last ran. A job
            that never ran is left out, and one that an older farm ran may have no hashes.
        recorded: how many seconds jobs took in earlier runs, by job; a job that is missing gets an estimate.
        peaks: the most memory, in bytes, that jobs used in earlier runs, by job; a job that is missing gets a guess.
        resources: CPUs and memory that all jobs running at the same time share.
        part: the jobs of `plan` that may have to run, with all that these need. Jobs outside of it count as up to
            date, although `evidence` does not have them. None where every job of the plan may have to run.
    """
    examined = plan if part is None else part
    jobs_to_run = {job.id: job for job in examined.jobs.values() if job.id not in evidence}
    durations = schedule.expected_durations(jobs_to_run, recorded)
    simulation = schedule.simulate(
        {job_id: list_needs(job) for job_id, job in jobs_to_run.items()},
        durations,
        schedule.expected_resources(jobs_to_run, peaks),
        resources,
    )

    last_parts = last_key_parts(jobs_to_run)
    pending: list[PendingJob] = []
    for job_id, job in jobs_to_run.items():
        pending.append(_pending_job(job, evidence, last_parts.get(job_id), durations[job_id]))

    # Of the whole plan, not only of the part: what is not going to run is up to date.
    up_to_date = _list_with_needs(job for job in plan.jobs.values() if job.id not in jobs_to_run)
    return Forecast(
        pending=tuple(pending),
        up_to_date=up_to_date,
        up_to_date_count=len(plan.jobs) - len(jobs_to_run),
        seconds=simulation.makespan_s,
        work_s=sum(durations.values()),
    )


def empty_forecast(jobs: Iterable[Job], count: int) -> Forecast:
    """Return the forecast of a run that has nothing to do.

    Args:
        jobs: the jobs to list as up to date; empty to list none.
        count: how many jobs are up to date, listed or not.
    """
    return Forecast(
        pending=(),
        up_to_date=_list_with_needs(jobs),
        up_to_date_count=count,
        seconds=0.0,
        work_s=0.0,
    )


def count_reasons(jobs: Sequence[PendingJob]) -> list[tuple[str, int]]:
    """Return (reason, number of jobs) for the jobs to run, the most frequent reason first.

    A job with several reasons is counted once for each. A job without any, which may run only because a job that it
    needs does, is counted under the reason `what it needs runs first`.
    """
    counts = Counter[str]()
    for job in jobs:
        counts.update(job.reasons or (_WAITS_ONLY,))

    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))


def _list_with_needs(jobs: Iterable[Job]) -> tuple[tuple[JobId, tuple[JobId, ...]], ...]:
    return tuple((job.id, list_needs(job)) for job in jobs)


def _pending_job(
    job: Job,
    evidence: Mapping[JobId, Evidence],
    last_parts: Mapping[str, str] | None,
    seconds: float,
) -> PendingJob:
    """Return the entry of the forecast for a job that would run, with the reasons why.

    Args:
        job: the job.
        evidence: evidence that is recorded and still valid, by job.
        last_parts: hashes of what its key was made of when it last ran, by name; None where it never ran, empty
            where a farm ran it that did not record them.
        seconds: how long it is expected to take.
    """
    needs = list_needs(job)
    waits_for = tuple(need for need in needs if need not in evidence)

    reasons: tuple[str, ...]
    if last_parts is None:
        reasons = (NEVER_RAN,)
    elif not last_parts:
        reasons = (OLDER_FARM,)
    elif waits_for:
        # Not all inputs are known yet, so only the job's own settings can be compared.
        reasons = _changed_parts(hash_key_parts(job), last_parts)
    else:
        inputs = {role: evidence[need] for role, need in job.needs.items()}
        parts = hash_key_parts(job, inputs)
        removed = tuple(f"{name} (left out)" for name in last_parts if name not in parts)
        changed = _changed_parts(parts, last_parts) + removed
        # With the same key, it runs only because the store lost files of the recorded result.
        reasons = changed or (OUTPUT_MISSING,)

    return PendingJob(
        job=job.id,
        needs=needs,
        reasons=reasons,
        waits_for=waits_for,
        seconds=seconds,
    )


def _changed_parts(parts: Mapping[str, str], last_parts: Mapping[str, str]) -> tuple[str, ...]:
    """Return the names of the parts of a key whose hash is new or is not the one of the last run."""
    return tuple(name for name, value in parts.items() if last_parts.get(name) != value)
