"""One whole run: sources -> plan -> evidence -> verdicts -> index and report."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from builder.config.cool_down import CoolDown
from builder.config.effort import EFFORTS, EffortLevel
from builder.config.matrix import Package
from builder.engine import provision
from builder.errors import EngineMissingError, ExitCode
from builder.farm import merge as merging
from builder.farm import record_budget, unchanged
from builder.farm import replay as replays
from builder.farm.applications import TriedApplications, try_applications
from builder.farm.execution import CONTAINMENT_NOTE, execute_plan
from builder.farm.judging import judge_packages
from builder.farm.measurement_history import recall_measurements
from builder.farm.migration import check_for_report
from builder.farm.parity import compare_for_report
from builder.farm.past_builds import find_past_builds
from builder.farm.prepare import RunRequest, make_plan, prepare, resolve
from builder.farm.publishing import close, promote_passing, publish
from builder.farm.pure_modules import find_pure_modules
from builder.jobs.job import Tools
from builder.proxy.proxy import IndexProxy
from builder.report import outputs
from builder.report.documents import verdicts_json
from builder.report.documents.measurements import make_measure_document
from builder.report.documents.migration import make_migrate_document
from builder.report.documents.parity import make_parity_document
from builder.sources.statements import add_statements
from builder.verdicts import ApplicationVerdict, Verdict

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from builder.config.matrix import Matrix
    from builder.execute import Observer
    from builder.farm.replay import Replay, ReplayResult
    from builder.farm.unchanged import CompletedRun
    from builder.index import Manifest
    from builder.judge.application import JudgedApplication
    from builder.judge.package import JudgedPackage
    from builder.plan.graph import Plan
    from builder.plan.shards import Shard
    from builder.report.documents.verdicts_json import Document
    from builder.sources import Sources
    from builder.store.evidence import Evidence
    from builder.store.job_ids import JobId
    from builder.store.store import Store


@dataclass(frozen=True, kw_only=True, slots=True)
class RunResult:
    """The outcome of a run.

    Attributes:
        judged: every package with its verdicts, in the matrix's order; empty where nothing changed.
        applications: every application with its verdict on each ABI and base, as well; empty where the run was not
            about the whole matrix.
        unchanged_run: the last whole run, where nothing at all changed since.
    """

    judged: tuple[JudgedPackage, ...] = ()
    applications: tuple[JudgedApplication, ...] = ()
    unchanged_run: CompletedRun | None = None

    @property
    def verdicts(self) -> frozenset[Verdict]:
        """Every verdict that occurs in this run or, if nothing changed, in the last whole run."""
        if self.unchanged_run is not None:
            return frozenset(Verdict(name) for name in self.unchanged_run.verdicts)
        return frozenset(
            judgement.verdict for package in self.judged for judgement in package.abis.values()
        )

    @property
    def application_verdicts(self) -> frozenset[ApplicationVerdict]:
        """Every verdict of an application that occurs, as well."""
        if self.unchanged_run is not None:
            return frozenset(ApplicationVerdict(name) for name in self.unchanged_run.applications)
        return frozenset(application.verdict for application in self.applications)


def run(
    matrix: Matrix, store: Store, request: RunRequest, observer: Observer, stop: threading.Event
) -> RunResult:
    """Build, audit, load and judge the requested packages.

    A run of the whole matrix also publishes the index and writes the report. It is skipped altogether, with the last
    run as its result, if nothing changed since that one.

    Args:
        matrix: what to build.
        store: the store of the wheelhouse, i.e. of the folder of results; the caller holds its lock.
        request: the options of the run.
        observer: shows progress.
        stop: set when the farm is asked to stop.

    Raises:
        EngineMissingError: a job has to run and no container engine answers.
        Interrupted: the farm was asked to stop; finished jobs keep their evidence.
    """
    with _record_run(store) as run_id:
        resolved = resolve(matrix, store, request, observer)
        if resolved.unchanged_run is not None:
            jobs = resolved.unchanged_run.jobs
            observer.on_plan(jobs, jobs)
            promote_passing(matrix, store, observer)
            return RunResult(unchanged_run=resolved.unchanged_run)

        plan = make_plan(matrix, resolved, request)
        evidence = execute_plan(matrix, plan, store, request, observer, stop)
        read_sources = add_statements(resolved.sources, store)
        judged = _judge(matrix, read_sources, evidence, store)
        replays.write_replays(judged, request.effort, store.wheelhouse)
        if request.shard is not None:
            _write_shard(matrix, store, request, request.shard, read_sources, plan, evidence)
        tried = TriedApplications()
        if request.is_whole_matrix:
            observer.say("publishing the index")
            closure = close(judged, matrix)
            judged = closure.packages
            served = publish(closure, matrix, store, observer)

            def execute(wanted: Plan) -> Mapping[JobId, Evidence]:
                return execute_plan(matrix, wanted, store, request, observer, stop)

            tried = _try_applications(
                matrix, store, judged, served, observer, execute, request.effort
            )

    # The report lists the run with its end, so it is written after that.
    if request.is_whole_matrix:
        recorded = store.get_note(CONTAINMENT_NOTE)
        containment = None if recorded is None else json.loads(recorded)
        written = verdicts_json.write(judged, matrix, store.wheelhouse, containment, tried.judged)
        _write_report(matrix, written, store, observer, run_id)
        assert resolved.inputs is not None, "a whole run has them"
        unchanged.record_run(
            store,
            resolved.inputs,
            run_id,
            {**evidence, **tried.evidence},
            judged,
            tried.judged,
        )

    return RunResult(judged=judged, applications=tried.judged)


def _judge(
    matrix: Matrix, sources: Sources, evidence: Mapping[JobId, Evidence], store: Store
) -> tuple[JudgedPackage, ...]:
    """Return the packages of a run with their verdicts, and with advice by all that the store knows."""
    past_builds = find_past_builds(sources.found, store)
    pure_modules = find_pure_modules(sources, evidence, store)
    return judge_packages(matrix, sources, evidence, past_builds, pure_modules)


def _write_shard(
    matrix: Matrix,
    store: Store,
    request: RunRequest,
    shard: Shard,
    sources: Sources,
    plan: Plan,
    evidence: Mapping[JobId, Evidence],
) -> None:
    """Write the record of a shard, `shard.json`, which `wheelfarm merge` reads.

    What a job was asked with is only in the ledger. The facts are those of the run, which may have read an older log by
    newer rules: the keys of other jobs stand on them.
    """
    complete = {}
    for job, recorded in evidence.items():
        in_ledger = store.get(recorded.key)
        asked = in_ledger.asked if in_ledger is not None else recorded.asked
        complete[job] = replace(recorded, asked=asked)

    fitting = record_budget.fit_evidence(complete, plan)
    merging.write_record(shard, matrix, sources, fitting, store.wheelhouse, request.effort)


def merge(
    matrix: Matrix,
    store: Store,
    wheelhouses: Sequence[Path],
    observer: Observer,
    stop: threading.Event,
) -> RunResult:
    """Merge the shards of a run into one store, then judge, publish and report as one run of the whole matrix does.

    No package is built or loaded. Applications are tried here, as no shard has all that they need; without a container
    engine they are undetermined.

    Args:
        matrix: the whole matrix, of which each shard is a part.
        store: the store to merge into; the caller holds its lock.
        wheelhouses: folders of the shards' results.
        observer: shows progress.
        stop: set when the farm is asked to stop.

    Raises:
        MergeError: a shard is missing, damaged, was run with another matrix, or has something that is not its own.
        Interrupted: the farm was asked to stop.
    """
    # Before the run is recorded: nothing of a merge that is refused stays.
    observer.say(f"merging {len(wheelhouses)} shards")
    merged_shards = merging.merge_shards(wheelhouses, matrix, store)

    # What is judged from here on ran on several machines.
    store.delete_note(CONTAINMENT_NOTE)

    with _record_run(store) as run_id:
        sources, evidence = merged_shards.sources, merged_shards.evidence
        judged = _judge(matrix, sources, evidence, store)
        observer.say("publishing the index")
        closure = close(judged, matrix)
        judged = closure.packages
        served = publish(closure, matrix, store, observer)

        def execute(wanted: Plan) -> Mapping[JobId, Evidence]:
            try:
                return execute_plan(matrix, wanted, store, RunRequest(), observer, stop)
            except EngineMissingError as error:
                observer.say(f"the applications are not tried: {error}")
                return {}
            finally:
                # It says what held the packages, and they ran elsewhere.
                store.delete_note(CONTAINMENT_NOTE)

        tried = _try_applications(
            matrix, store, judged, served, observer, execute, merged_shards.effort
        )

    written = verdicts_json.write(judged, matrix, store.wheelhouse, None, tried.judged)
    _write_report(matrix, written, store, observer, run_id)
    return RunResult(judged=judged, applications=tried.judged)


def _try_applications(
    matrix: Matrix,
    store: Store,
    judged: Sequence[JudgedPackage],
    served: Manifest,
    observer: Observer,
    execute: Callable[[Plan], Mapping[JobId, Evidence]],
    effort: EffortLevel,
) -> TriedApplications:
    """Try the applications of a matrix, if it has any, with the index that was just published."""
    if not matrix.applications:
        return TriedApplications()

    observer.say("trying the applications")
    return try_applications(matrix, store, judged, served, execute, EFFORTS.get(effort))


def _write_report(
    matrix: Matrix, written: Document, store: Store, observer: Observer, run_id: str
) -> None:
    """Write the report in all its formats for a run of the whole matrix, whose verdicts.json is written."""
    observer.say("writing the report")
    parities = compare_for_report(matrix, store, written)
    parity = make_parity_document(parities, written.generated_at) if parities else None
    measured = recall_measurements(store)
    measurements = make_measure_document(measured, {}) if measured else None
    checklists = check_for_report(matrix, store, written)
    migration = None
    if checklists:
        migration = make_migrate_document(checklists, written.generated_at)
    outputs.write_report(written, store, run_id, parity, measurements, migration)


def replay(
    wanted: Replay,
    version: str,
    times: int,
    matrix: Matrix,
    store: Store,
    observer: Observer,
    stop: threading.Event,
) -> ReplayResult:
    """Run the program that reproduces a finding, on the release of the finding or on another one.

    Jobs that the program needs, such as the package's build, run first unless their evidence is recorded.

    Args:
        wanted: the program, with its finding.
        version: the release to run the program on; empty for the release that has the finding.
        times: how often to run the program.
        matrix: contains the package.
        store: the store of the wheelhouse; the caller holds its lock.
        observer: shows progress.
        stop: set when the farm is asked to stop.

    Raises:
        UnknownPackageError: the matrix does not have the package.
        ReplayError: there is no wheel or no image to run the program with.
        InfrastructureError: the container gave no answer.
        Interrupted: the farm was asked to stop.
    """
    if version:
        matrix = _pin_release(matrix, wanted.name, version)
    request = RunRequest(only=(wanted.name,), effort=EffortLevel(wanted.effort))
    prepared = prepare(matrix, store, request, observer)
    plan = replays.plan_for_replay(wanted, prepared.plan)
    evidence = execute_plan(matrix, plan, store, request, observer, stop)

    log = store.wheelhouse / "logs" / "replay" / f"{wanted.id}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    source = prepared.sources.found[wanted.name]
    settings = matrix.packages.get(wanted.name, Package())
    engine = provision.ensure_engine(observer.say, store.farm_id)
    tools = Tools(
        engine=engine,
        store=store,
        index=IndexProxy(engine, store, cool_down=CoolDown.for_matrix(matrix)),
        log=log,
        stop=stop,
        say=observer.say,
    )
    try:
        return replays.run_replay(
            wanted, plan, evidence, source.version, times, source.pure, settings.import_after, tools
        )
    finally:
        engine.reap_run(engine.run_id)


def _pin_release(matrix: Matrix, name: str, version: str) -> Matrix:
    """Return the matrix with another release of a package, from the package index.

    Settings of the package stay, except for those of its present sdist.
    """
    settings = matrix.packages.get(name, Package())
    pinned = settings.model_copy(update={"version": f"=={version}", "sdist": None, "sha256": None})
    return matrix.model_copy(update={"packages": {**matrix.packages, name: pinned}})


@contextlib.contextmanager
def _record_run(store: Store) -> Iterator[str]:
    """Record the start of a run in the ledger, give its id to the block, and record its end.

    The run counts as interrupted if the block ends by any exception.
    """
    run_id = store.publications.begin_run()
    outcome = "interrupted"
    try:
        yield run_id
        outcome = "done"
    finally:
        store.publications.end_run(run_id, outcome)


def exit_code(
    verdicts: Iterable[Verdict], applications: Iterable[ApplicationVerdict] = ()
) -> ExitCode:
    """Return the exit code for the verdicts of packages and applications.

    A fault of a package, or an application that is blocked, comes before an undetermined verdict, that before success.
    """
    of_packages, of_applications = set(verdicts), set(applications)
    has_fault = any(verdict.is_fault for verdict in of_packages)
    if has_fault or ApplicationVerdict.BLOCKED in of_applications:
        return ExitCode.FAULTS
    is_package_open = Verdict.UNDETERMINED in of_packages
    if is_package_open or ApplicationVerdict.UNDETERMINED in of_applications:
        return ExitCode.UNDETERMINED
    return ExitCode.ADMISSIBLE
