"""What `wheelfarm plan` shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from builder.plan.forecast import NEVER_RAN, OLDER_FARM, OUTPUT_MISSING, count_reasons
from builder.report.terminal.progress import format_duration
from builder.verdicts.wording import join_names

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from builder.plan.forecast import Forecast, PendingJob
    from builder.plan.resources import Resources
    from builder.store.job_ids import JobId

_MAX_WAITS_LISTED = 2
"""Jobs that a job waits for: a line is to fit a terminal, and --json has them all."""

_WHOLE_SENTENCES = frozenset({NEVER_RAN, OUTPUT_MISSING, OLDER_FARM})
"""Reasons that are complete sentences. Any other reason is the name of an input that changed."""


def forecast_json(forecast: Forecast, room: Resources) -> dict[str, Any]:
    """Return a forecast as JSON data: all jobs, the expected times, and how often each reason occurs.

    Args:
        forecast: what a run would do.
        room: CPUs and memory that the jobs may share.
    """
    jobs: list[dict[str, Any]] = []
    for job_id, needs in forecast.up_to_date:
        jobs.append({"id": str(job_id), "needs": [str(need) for need in needs], "known": True})
    for job in forecast.pending:
        jobs.append(_pending_json(job))

    times = {
        "seconds": round(forecast.seconds, 1),
        "work_seconds": round(forecast.work_s, 1),
        "cpus": room.cpus,
    }
    reasons = dict(count_reasons(forecast.pending))
    return {"jobs": jobs, "expected": times, "why": reasons}


def _pending_json(job: PendingJob) -> dict[str, Any]:
    """Return a job that would run as JSON data; `after` lists the jobs that have to run before it."""
    return {
        "id": str(job.job),
        "needs": [str(need) for need in job.needs],
        "known": False,
        "why": list(job.reasons),
        "after": [str(job_id) for job_id in job.waits_for],
        "seconds": round(job.seconds, 2),
    }


def render_lines(forecast: Forecast, room: Resources) -> Iterator[str]:
    """Iterate over the lines that are printed: each job that would run, with its reason, then totals.

    There is only the line of totals if no job would run.
    """
    pending = forecast.pending
    for job in pending:
        yield f"run  {job.job}{_describe_reasons(job)}"

    known_count = forecast.up_to_date_count
    yield f"{known_count + len(pending)} jobs: {known_count} known, {len(pending)} to run"
    if not pending:
        return

    reasons = [f"{reason} ({count})" for reason, count in count_reasons(pending)]
    yield f"why: {', '.join(reasons)}"

    duration = format_duration(forecast.seconds)
    work_duration = format_duration(forecast.work_s)
    yield f"at most {duration} on {room.cpus:g} CPUs, by the durations on record: {work_duration} of work"


def render_trials(trials: Mapping[JobId, float]) -> Iterator[str]:
    """Iterate over the line about the applications that a run tries last; there is none where the matrix has none.

    Args:
        trials: by the job that tries one, how many seconds that should take.
    """
    if trials:
        count = "1 trial" if len(trials) == 1 else f"{len(trials)} trials"
        duration = format_duration(sum(trials.values()))
        yield f"then at most {count} of applications, with what the index serves: {duration} of work"


def _describe_reasons(job: PendingJob) -> str:
    """Return why a job would run, what it waits for, and how long it takes: `  (changed: sdist; 1:05)`."""
    parts: list[str] = []
    if job.reasons:
        reasons = ", ".join(job.reasons)
        is_whole = job.reasons[0] in _WHOLE_SENTENCES
        parts.append(reasons if is_whole else f"changed: {reasons}")
    if job.waits_for:
        parts.append(
            f"after {join_names([str(job_id) for job_id in job.waits_for], _MAX_WAITS_LISTED)}"
        )
    parts.append(format_duration(job.seconds))

    return f"  ({'; '.join(parts)})"
