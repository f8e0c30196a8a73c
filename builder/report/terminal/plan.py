"""What `wheelfarm plan` shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from builder.plan.forecast import NEVER_RAN, OLDER_FARM, OUTPUT_MISSING, count_reasons
from builder.report.terminal.progress import format_duration

if TYPE_CHECKING:
    from collections.abc import Iterator

    from builder.plan.forecast import Forecast, PendingJob
    from builder.plan.resources import Resources

_MAX_WAITS_LISTED = 2


def forecast_json(forecast: Forecast, room: Resources) -> dict[str, Any]:
    """Return a forecast as JSON data."""
    jobs: list[dict[str, Any]] = [
        {"id": str(job), "needs": list(map(str, needs)), "known": True}
        for job, needs in forecast.up_to_date
    ]
    jobs += [
        {
            "id": str(one.job),
            "needs": list(map(str, one.needs)),
            "known": False,
            "why": list(one.reasons),
            "after": list(map(str, one.waits_for)),
            "seconds": round(one.seconds, 2),
        }
        for one in forecast.pending
    ]
    times = {
        "seconds": round(forecast.seconds, 1),
        "work_seconds": round(forecast.work_s, 1),
        "cpus": room.cpus,
    }
    return {"jobs": jobs, "expected": times, "why": dict(count_reasons(forecast.pending))}


def render_lines(forecast: Forecast, room: Resources) -> Iterator[str]:
    """Give what a person reads: each job that would run, with its reason, then the sums."""
    to_run = forecast.pending
    for one in to_run:
        yield f"run  {one.job}{_describe_reasons(one)}"
    known = forecast.up_to_date_count
    yield f"{known + len(to_run)} jobs: {known} known, {len(to_run)} to run"
    if to_run:
        yield "why: " + ", ".join(f"{reason} ({count})" for reason, count in count_reasons(to_run))
        length, work = format_duration(forecast.seconds), format_duration(forecast.work_s)
        yield f"at most {length} on {room.cpus:g} CPUs, by the durations on record: {work} of work"


def _describe_reasons(one: PendingJob) -> str:
    changed = ", ".join(one.reasons)
    parts = (
        [
            changed
            if one.reasons[0] in {NEVER_RAN, OUTPUT_MISSING, OLDER_FARM}
            else f"changed: {changed}"
        ]
        if one.reasons
        else []
    )
    if one.waits_for:
        more = (
            f" and {len(one.waits_for) - _MAX_WAITS_LISTED} more"
            if len(one.waits_for) > _MAX_WAITS_LISTED
            else ""
        )
        parts.append(f"after {', '.join(map(str, one.waits_for[:_MAX_WAITS_LISTED]))}{more}")
    return f"  ({'; '.join(parts)}; {format_duration(one.seconds)})"
