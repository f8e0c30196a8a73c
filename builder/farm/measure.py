"""`wheelfarm measure`: how long the scenarios of applications take, and what they need, with several interpreters."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from builder import index
from builder.config import catalog
from builder.errors import ExitCode, FarmError
from builder.farm.execution import execute_plan
from builder.farm.measure_request import (
    MeasureError,
    select_applications,
    select_base,
    select_interpreters,
)
from builder.farm.measurement_history import (
    pin_measurement,
    recall_measurement,
    recall_measurements,
)
from builder.farm.measurement_jobs import make_job
from builder.farm.prepare import RunRequest
from builder.jobs.measurement import measurement_id
from builder.plan.measurements import plan_measurements
from builder.report.documents.measurements import make_measure_document
from builder.report.site import site
from builder.untrusted.text import clean_line

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping, Sequence

    from builder.config.catalog import Abi, Interpreter
    from builder.config.matrix import Matrix
    from builder.execute import Observer
    from builder.farm.measure_request import MeasureRequest
    from builder.jobs.measurement import Measurement
    from builder.judge.measurements.application import JudgedMeasurement
    from builder.store.evidence import Evidence
    from builder.store.job_ids import JobId
    from builder.store.store import Store


@dataclass(frozen=True, kw_only=True, slots=True)
class MeasureResult:
    """What came of it.

    Attributes:
        judged: what is said of each application that was measured.
        failures: by application that was not measured, why.
    """

    judged: tuple[JudgedMeasurement, ...] = ()
    failures: Mapping[str, str] = field(default_factory=dict)


def measure_applications(
    matrix: Matrix,
    store: Store,
    request: MeasureRequest,
    observer: Observer,
    stop: threading.Event,
) -> MeasureResult:
    """Measure scenarios of applications, and judge what that came to.

    Every measurement is recorded, so that later ones can be compared with it. The page of the report shows the newest.

    Args:
        matrix: has the applications and their scenarios.
        store: has the files of the index; the caller holds its lock.
        request: what is to be measured.
        observer: shows progress.
        stop: set when the farm is asked to stop.

    Raises:
        MeasureError: there is nothing to measure.
        EngineMissingError: no container engine answers.
        Interrupted: the farm was asked to stop.
    """
    names = select_applications(matrix, request)
    interpreters = select_interpreters(matrix, request)
    manifests = index.current_manifests(store)
    _check_index(store, manifests)

    jobs: list[Measurement] = []
    failures: dict[str, str] = {}
    for name in names:
        try:
            jobs.append(make_job(name, matrix, store, request, interpreters, manifests))
        except MeasureError:
            raise  # what was asked for is wrong
        except FarmError as error:
            failures[name] = clean_line(str(error))

    judged: list[JudgedMeasurement] = []
    evidence = _execute(matrix, store, jobs, interpreters, observer, stop)
    for job in jobs:
        recorded = evidence[job.id]
        found = recall_measurement(store, job.id) if recorded.is_determined else None
        if found is None:
            failures[job.name] = recorded.reason
            continue
        judged.append(found)
        if request.pins:
            pin_measurement(store, job.id)

    page = make_measure_document(recall_measurements(store), {})
    site.write_measurements(page, store.wheelhouse / "report")
    return MeasureResult(judged=tuple(judged), failures=failures)


def _check_index(store: Store, manifests: Mapping[str, index.Manifest]) -> None:
    """Go on if `simple/` has something that can be installed.

    Raises:
        MeasureError: it has nothing.
    """
    if manifests[index.SERVED_CHANNEL]:
        return

    if manifests.get(index.CANARY_CHANNEL):
        raise MeasureError(
            "simple/ has nothing yet to measure or to compare with; promote what waits in canary/ once: "
            "`wheelfarm promote --force --reason TEXT`"
        )
    raise MeasureError(f"{store.wheelhouse} has no index yet; start `wheelfarm run`")


def recall_applications(matrix: Matrix, store: Store, request: MeasureRequest) -> MeasureResult:
    """Return what is said of the newest measurement of applications; nothing is measured.

    Raises:
        MeasureError: there is no such application.
    """
    judged: list[JudgedMeasurement] = []
    failures: dict[str, str] = {}
    for name in select_applications(matrix, request):
        base = select_base(matrix, matrix.applications[name], request)
        job = measurement_id(name, base.name, is_canary=request.is_canary)
        found = recall_measurement(store, job)
        if found is None:
            failures[name] = f"it was not measured on {base.name} yet"
        else:
            judged.append(found)

    return MeasureResult(judged=tuple(judged), failures=failures)


def exit_code(result: MeasureResult) -> ExitCode:
    """Return the exit code: something is worse, then something could not be measured at all."""
    if any(judged.has_worse for judged in result.judged):
        return ExitCode.FAULTS
    if result.failures or not all(judged.has_answer for judged in result.judged):
        return ExitCode.UNDETERMINED
    return ExitCode.ADMISSIBLE


def _execute(
    matrix: Matrix,
    store: Store,
    jobs: Sequence[Measurement],
    interpreters: Sequence[Interpreter],
    observer: Observer,
    stop: threading.Event,
) -> Mapping[JobId, Evidence]:
    """Run measurements, those of each base with the images that they need."""
    tables = catalog.load()
    abis: tuple[Abi, ...] = tuple(tables.abis[name] for name in matrix.abis)
    by_base: dict[str, list[Measurement]] = {}
    for job in jobs:
        by_base.setdefault(job.base, []).append(job)

    evidence: dict[JobId, Evidence] = {}
    for of_base in by_base.values():
        plan = plan_measurements(of_base, interpreters, tables, abis, matrix.bases)
        evidence |= execute_plan(matrix, plan, store, RunRequest(), observer, stop)

    return evidence
