"""What `wheelfarm plan` shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from builder.plan.forecast import GONE, NEVER, OLD, summary
from builder.report.terminal.progress import clock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from builder.plan.forecast import Expected, Forecast
    from builder.plan.resources import Room

_MOST_AFTER = 2


def record(forecast: Forecast, room: Room) -> dict[str, Any]:
    """Return a forecast as JSON data."""
    jobs: list[dict[str, Any]] = [
        {"id": job, "needs": needs, "known": True} for job, needs in forecast.known
    ]
    jobs += [
        {
            "id": one.job,
            "needs": list(one.needs),
            "known": False,
            "why": list(one.why),
            "after": list(one.after),
            "seconds": round(one.seconds, 2),
        }
        for one in forecast.to_run
    ]
    times = {
        "seconds": round(forecast.seconds, 1),
        "work_seconds": round(forecast.work_s, 1),
        "cpus": room.cpus,
    }
    return {"jobs": jobs, "expected": times, "why": dict(summary(forecast.to_run))}


def lines(forecast: Forecast, room: Room) -> Iterator[str]:
    """Give what a person reads: each job that would run, with its reason, then the sums."""
    to_run = forecast.to_run
    for one in to_run:
        yield f"run  {one.job}{_reason(one)}"
    known = forecast.known_count
    yield f"{known + len(to_run)} jobs: {known} known, {len(to_run)} to run"
    if to_run:
        yield "why: " + ", ".join(f"{reason} ({count})" for reason, count in summary(to_run))
        length, work = clock(forecast.seconds), clock(forecast.work_s)
        yield f"at most {length} on {room.cpus:g} CPUs, by the durations on record: {work} of work"


def _reason(one: Expected) -> str:
    changed = ", ".join(one.why)
    parts = (
        [changed if one.why[0] in {NEVER, GONE, OLD} else f"changed: {changed}"] if one.why else []
    )
    if one.after:
        more = f" and {len(one.after) - _MOST_AFTER} more" if len(one.after) > _MOST_AFTER else ""
        parts.append(f"after {', '.join(one.after[:_MOST_AFTER])}{more}")
    return f"  ({'; '.join(parts)}; {clock(one.seconds)})"
