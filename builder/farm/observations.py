"""What is on record of measuring applications, for the checklists of their moves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from builder.farm.measurement_history import recall_measurement
from builder.jobs.measurement import CANARY
from builder.judge.measurements.answers import Answer
from builder.judge.migration.facts import Observation
from builder.judge.migration.model import State, Step
from builder.store.job_ids import JobKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from builder.judge.measurements.answers import Comparison
    from builder.judge.measurements.application import JudgedMeasurement
    from builder.store.store import Store

_MOST_WORSE = 3
"""Metrics that are told as worse: the page of the measurement has all."""


def name_command(step: Step, application: str) -> tuple[str, ...]:
    """Return the words of the command that measures for a step, without `wheelfarm`; none where there is no such.

    Args:
        step: `MEASURE` or `SOAK`.
        application: its name.
    """
    return ("measure", application) if step is Step.MEASURE else ()


def find_observation(store: Store, step: Step, application: str, abi: str) -> Observation | None:
    """Return what the newest measurements of an application say of its move; None where there are none.

    Args:
        store: has all measurements.
        step: `MEASURE` or `SOAK`.
        application: its name.
        abi: name of the ABI that it moves to.
    """
    if step is not Step.MEASURE:
        return None

    comparisons: list[Comparison] = []
    moments: list[str] = []
    for measured in _iter_measurements(store, application):
        found = list(_iter_comparisons(measured, abi))
        comparisons += found
        if found:
            moments.append(f"{measured.base} at {measured.facts.moment}")
    if not comparisons:
        return None

    evidence = (f"measured on {', '.join(moments)}: {_count_answers(comparisons)}",)
    return Observation(
        state=_choose_state(comparisons), evidence=(*evidence, *_list_worse(comparisons))
    )


def _iter_measurements(store: Store, application: str) -> Iterator[JudgedMeasurement]:
    """Yield the newest measurement on each base; one of `canary/` is about what waits there."""
    jobs = {evidence.job for evidence in store.all_evidence_of(JobKind.MEASUREMENT, application)}
    for job in sorted(jobs):
        measured = None if job.loaded_on == CANARY else recall_measurement(store, job)
        if measured is not None:
            yield measured


def _iter_comparisons(measured: JudgedMeasurement, abi: str) -> Iterator[Comparison]:
    """Yield what was said of the variants that an ABI ran, with as many threads as it may be."""
    for scenario in measured.scenarios:
        for judged in scenario.variants:
            if judged.variant.interpreter == abi:
                yield from judged.comparisons


def _choose_state(comparisons: Iterable[Comparison]) -> State:
    answers = {comparison.answer for comparison in comparisons}
    if Answer.WORSE in answers:
        return State.FAILED
    return State.DONE if answers - {Answer.UNKNOWN} else State.UNDETERMINED


def _count_answers(comparisons: Iterable[Comparison]) -> str:
    """Return how many metrics have each answer: `3 same, 1 worse`."""
    answers = [comparison.answer for comparison in comparisons]
    counted = [f"{answers.count(answer)} {answer}" for answer in Answer if answer in answers]
    return ", ".join(counted)


def _list_worse(comparisons: Iterable[Comparison]) -> list[str]:
    worse: list[str] = []
    for comparison in comparisons:
        if comparison.answer is Answer.WORSE and comparison.ratio is not None:
            change = 100 * (comparison.ratio.estimate - 1)
            worse.append(f"{comparison.metric} of {comparison.variant} changed by {change:+.1f} %")

    return worse[:_MOST_WORSE]
