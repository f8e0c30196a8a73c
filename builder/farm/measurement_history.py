"""Measurements on record: which there are, and which one later ones are compared with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from builder.evidence.base import EvidenceError
from builder.evidence.kinds import is_readable
from builder.evidence.measurement import MeasurementFacts
from builder.jobs.measurement import CANARY
from builder.judge.measurements.application import judge_with_history
from builder.store.job_ids import JobId, JobKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from builder.judge.measurements.application import JudgedMeasurement
    from builder.store.evidence import Evidence
    from builder.store.store import Store


def recall_measurement(store: Store, job: JobId) -> JudgedMeasurement | None:
    """Return what is said of the newest measurement that a job made; None where there is none that can be read.

    It is compared with the one that was pinned, or else with the one before it. One of a channel is compared with none:
    each is about other releases.

    Args:
        store: has all measurements.
        job: the job that makes them.
    """
    history: dict[str, MeasurementFacts] = {}
    for evidence in store.all_evidence_of(JobKind.MEASUREMENT, job.name):
        facts = _read(evidence) if evidence.job == job else None
        if facts is not None:
            history[evidence.key] = facts
    if not history:
        return None

    record = None
    if job.loaded_on != CANARY:
        record = _choose_record(history, find_pinned_key(store, job))

    return judge_with_history(job.name, job.base, list(history.values()), record)


def _choose_record(
    history: Mapping[str, MeasurementFacts], pinned_key: str | None
) -> MeasurementFacts | None:
    """Return which measurement the newest is compared with; None where there is no other.

    Without a pinned one it is the last before it with all of its scenarios: in between, a person may have looked at one
    of them.

    Args:
        history: all measurements by key, the newest last.
        pinned_key: that of the one that was pinned, which may be gone; None where none was.
    """
    *earlier_keys, newest_key = history
    if pinned_key is not None and pinned_key in history:
        return None if pinned_key == newest_key else history[pinned_key]

    wanted = _list_scenarios(history[newest_key])
    for key in reversed(earlier_keys):
        if _list_scenarios(history[key]) >= wanted:
            return history[key]
    return history[earlier_keys[-1]] if earlier_keys else None


def _list_scenarios(facts: MeasurementFacts) -> set[str]:
    return {readings.name for readings in facts.scenarios}


def recall_measurements(store: Store) -> tuple[JudgedMeasurement, ...]:
    """Return what is said of the newest measurement of everything that was ever measured, by name."""
    jobs = {evidence.job for evidence in store.all_evidence_of(JobKind.MEASUREMENT, "*")}
    recalled = [recall_measurement(store, job) for job in sorted(jobs)]
    return tuple(judged for judged in recalled if judged is not None)


def pin_measurement(store: Store, job: JobId) -> None:
    """Make the newest measurement of a job what later ones are compared with."""
    newest = store.newest_evidence(job)
    if newest is not None:
        store.set_note(_name_note(job), newest.key)


def find_pinned_key(store: Store, job: JobId) -> str | None:
    """Return the key of the measurement that others of a job are compared with; None where none was pinned."""
    return store.get_note(_name_note(job))


def _name_note(job: JobId) -> str:
    return f"compared-with:{job}"


def _read(evidence: Evidence) -> MeasurementFacts | None:
    """Return the facts of a measurement; None where they cannot be read, which is no reason to measure nothing."""
    if not evidence.is_determined or not is_readable(evidence):
        return None
    try:
        return MeasurementFacts.read(evidence)
    except EvidenceError:
        return None
