"""One whole run: sources -> plan -> evidence -> verdicts -> index and report."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from builder import index
from builder.config.effort import EffortLevel
from builder.config.matrix import Package
from builder.engine import provision
from builder.errors import ExitCode
from builder.execute import LocalExecutor
from builder.execute.guardian import clean_up_containers
from builder.farm import merge as merging
from builder.farm import replay as replays
from builder.farm import unchanged
from builder.farm.judging import judge_packages
from builder.farm.prepare import RunRequest, make_plan, prepare, resolve
from builder.index import constraints, policy
from builder.jobs.job import Tools
from builder.proxy.proxy import IndexProxy
from builder.report import document, outputs
from builder.store.job_ids import JobKind
from builder.verdicts import Verdict

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from builder.config.matrix import Matrix
    from builder.engine.client import Engine
    from builder.execute import Observer
    from builder.farm.prepare import ResolvedRun
    from builder.farm.replay import Replay, ReplayResult
    from builder.farm.unchanged import CompletedRun
    from builder.judge.package import JudgedPackage
    from builder.plan.graph import Plan
    from builder.plan.shards import Shard
    from builder.store.evidence import Evidence
    from builder.store.job_ids import JobId
    from builder.store.store import Store


@dataclass(frozen=True, kw_only=True, slots=True)
class RunResult:
    """The outcome of a run.

    Attributes:
        judged: every package with its verdicts, in the matrix's order; empty where nothing changed.
        unchanged_run: the last whole run, where nothing at all changed since.
    """

    judged: tuple[JudgedPackage, ...] = ()
    unchanged_run: CompletedRun | None = None

    @property
    def verdicts(self) -> frozenset[Verdict]:
        """Every verdict that occurs."""
        if self.unchanged_run is not None:
            return frozenset(Verdict(name) for name in self.unchanged_run.verdicts)
        return frozenset(
            judgement.verdict for package in self.judged for judgement in package.abis.values()
        )


def run(
    matrix: Matrix, store: Store, request: RunRequest, observer: Observer, stop: threading.Event
) -> RunResult:
    """Build, audit, load and judge what is requested; of the whole matrix, publish the index and write the report.

    Args:
        matrix: what to build.
        store: the wheelhouse; the caller holds its lock.
        request: which part, and how.
        observer: is shown what happens.
        stop: set when the farm is asked to stop.

    Raises:
        EngineMissingError: something has to run and no engine answers.
        Interrupted: the farm was asked to stop; what was finished is kept.
    """
    with _record_run(store) as run_id:
        resolved = resolve(matrix, store, request, observer)
        if resolved.unchanged_run is not None:
            jobs = resolved.unchanged_run.jobs
            observer.on_plan(jobs, jobs)
            return RunResult(unchanged_run=resolved.unchanged_run)

        plan = make_plan(matrix, resolved, request)
        evidence = _execute(plan, store, request, observer, stop)
        judged = judge_packages(matrix, resolved.sources, evidence)
        replays.write_replays(judged, request.effort, store.wheelhouse)
        if request.shard is not None:
            _write_shard(matrix, store, request.shard, resolved, evidence)
        if request.is_whole_matrix:
            observer.say("publishing the index")
            publish(judged, matrix, store)

    # The report lists the run with its end, so it is written after that.
    if request.is_whole_matrix:
        _write_report(matrix, store, observer, run_id, judged)
        assert resolved.inputs is not None, "a whole run has them"
        unchanged.record_run(store, resolved.inputs, run_id, evidence, judged)

    return RunResult(judged=judged)


def _write_shard(
    matrix: Matrix,
    store: Store,
    shard: Shard,
    resolved: ResolvedRun,
    evidence: Mapping[JobId, Evidence],
) -> None:
    """Leave the record that `merge` reads, with all that the ledger has about each piece of evidence."""
    complete = {}
    for job, recorded in evidence.items():
        complete[job] = store.get(recorded.key) or recorded

    merging.write_record(shard, matrix, resolved.sources, complete, store.wheelhouse)


def merge(
    matrix: Matrix, store: Store, wheelhouses: Sequence[Path], observer: Observer
) -> tuple[JudgedPackage, ...]:
    """Judge the evidence of a run's shards, publish the index and write the report, as one run does.

    Args:
        matrix: what the shards are parts of.
        store: where they are merged; the caller holds its lock.
        wheelhouses: of the shards.
        observer: is shown what happens.

    Raises:
        MergeError: a shard is missing, damaged, or of another matrix.
    """
    with _record_run(store) as run_id:
        observer.say(f"merging {len(wheelhouses)} shards")
        merged = merging.merge_shards(wheelhouses, matrix, store)
        judged = judge_packages(matrix, merged.sources, merged.evidence)
        observer.say("publishing the index")
        publish(judged, matrix, store)

    _write_report(matrix, store, observer, run_id, judged)
    return judged


def _write_report(
    matrix: Matrix,
    store: Store,
    observer: Observer,
    run_id: str,
    judged: tuple[JudgedPackage, ...],
) -> None:
    observer.say("writing the report")
    written = document.write(judged, matrix, store.wheelhouse)
    outputs.write_report(written, store, run_id)


def replay(
    wanted: Replay,
    version: str,
    times: int,
    matrix: Matrix,
    store: Store,
    observer: Observer,
    stop: threading.Event,
) -> ReplayResult:
    """Run the program that reproduces a finding, on the release it was found in or on another.

    Args:
        wanted: the replay.
        version: the release to run it on; empty for the one it was found in.
        times: how often to run it.
        matrix: has the package.
        store: the wheelhouse; the caller holds its lock.
        observer: is shown what happens.
        stop: set when the farm is asked to stop.

    Raises:
        UnknownPackageError: the matrix does not have the package.
        ReplayError: there is no wheel to run it on.
        InfrastructureError: the container gave no answer.
        Interrupted: the farm was asked to stop.
    """
    if version:
        matrix = _pin_release(matrix, wanted.name, version)
    request = RunRequest(only=(wanted.name,), effort=EffortLevel(wanted.effort))
    prepared = prepare(matrix, store, request, observer)
    plan = replays.plan_for_replay(wanted, prepared.plan)
    evidence = _execute(plan, store, request, observer, stop)

    log = store.wheelhouse / "logs" / "replay" / f"{wanted.id}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    source = prepared.sources.found[wanted.name]
    engine = provision.ensure_engine(observer.say, store.farm_id)
    tools = Tools(
        engine=engine,
        store=store,
        index=IndexProxy(engine, store),
        log=log,
        stop=stop,
        say=observer.say,
    )
    try:
        return replays.run_replay(wanted, plan, evidence, source.version, times, source.pure, tools)
    finally:
        engine.reap_run(engine.run_id)


def _pin_release(matrix: Matrix, name: str, version: str) -> Matrix:
    """Return the matrix with another release of a package, from the package index."""
    settings = matrix.packages.get(name, Package())
    pinned = settings.model_copy(update={"version": f"=={version}", "sdist": None, "sha256": None})
    return matrix.model_copy(update={"packages": {**matrix.packages, name: pinned}})


@contextlib.contextmanager
def _record_run(store: Store) -> Iterator[str]:
    """Enter a run into the ledger, and how it ended; give its id."""
    run_id = store.publications.begin_run()
    outcome = "interrupted"
    try:
        yield run_id
        outcome = "done"
    finally:
        store.publications.end_run(run_id, outcome)


def publish(judged: Sequence[JudgedPackage], matrix: Matrix, store: Store) -> None:
    """Publish the index's channels, and the constraints of what is served."""
    served_files, quarantined_files = policy.assign_channels(judged, matrix.farm.publish)
    served = index.describe(served_files, store)
    quarantined = index.describe(quarantined_files, store)

    index.publish(served, store, quarantined)
    constraints.write(served, matrix.abis, policy.collect_remarks(judged), store.wheelhouse)


def exit_code(verdicts: Iterable[Verdict]) -> ExitCode:
    """Return the class of outcome of a run."""
    seen = set(verdicts)
    if any(verdict.is_fault for verdict in seen):
        return ExitCode.FAULTS
    if Verdict.UNDETERMINED in seen:
        return ExitCode.UNDETERMINED
    return ExitCode.ADMISSIBLE


def _execute(
    plan: Plan, store: Store, request: RunRequest, observer: Observer, stop: threading.Event
) -> Mapping[JobId, Evidence]:
    """Run a plan, and remove the containers that this run started, however it ends."""
    again: frozenset[JobId] = frozenset()
    if request.again:
        again = frozenset(job for job in plan.jobs if job.kind != JobKind.IMAGE)

    with contextlib.ExitStack() as guards:

        def connect_engine() -> Engine:
            engine = provision.ensure_engine(observer.say, store.farm_id)
            leftovers = engine.reap()
            if leftovers:
                observer.say(f"removed {leftovers} containers that an earlier run left behind")
            guards.enter_context(clean_up_containers(engine))
            return engine

        executor = LocalExecutor(
            plan,
            store,
            observer,
            connect_engine,
            resources=request.resources,
            stop=stop,
            locked=request.locked,
        )
        return executor.run(again)
