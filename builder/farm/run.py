"""One whole run: matrix -> sources -> plan -> evidence -> verdicts -> index and documents."""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name
from packaging.version import Version

from builder import host, index, sources
from builder.config import catalog
from builder.config.effort import EFFORTS, EffortLevel
from builder.config.matrix import Package, select_thread_target
from builder.engine import provision
from builder.errors import ExitCode, UnknownPackageError
from builder.execute import LocalExecutor
from builder.execute.guardian import clean_up_containers
from builder.farm import merge as merging
from builder.farm import replay as replays
from builder.farm import unchanged
from builder.index import constraints, policy
from builder.jobs.job import Tools, recorded_lookup
from builder.judge import interfaces
from builder.judge import package as verdict
from builder.plan import forecast as forecasts
from builder.plan import graph as plan
from builder.plan import resources, shards
from builder.plan.packages import PackageJobs, group_by_package
from builder.plan.resources import Resources
from builder.proxy.proxy import IndexProxy
from builder.report import document, outputs
from builder.sources.client import Index
from builder.store.job_ids import JobId, JobKind
from builder.verdicts import Verdict

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from builder.config.matrix import Matrix
    from builder.engine.client import Engine
    from builder.execute import Observer
    from builder.farm.replay import Replay, ReplayResult
    from builder.farm.unchanged import CompletedRun, RunInputs
    from builder.judge.package import JudgedPackage
    from builder.plan.forecast import Forecast
    from builder.plan.graph import Plan
    from builder.plan.shards import Shard
    from builder.sources import Sources
    from builder.store.evidence import Evidence
    from builder.store.store import Store

INDEX_MAX_AGE_S = 3600.0
"""How long an answer of the index is believed without asking again, in seconds."""

SHARD_INDEX_MAX_AGE_S = 86_400.0
"""The same for a shard: all shards of a run go by what was resolved when it was planned."""

NO_FAULT_VERDICTS = frozenset(
    {Verdict.COMPATIBLE, Verdict.UNPROVEN, Verdict.UNDETERMINED, Verdict.GIL_REQUIRED}
)
"""Verdicts in which no fault was shown that keeps a wheel from working."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RunRequest:
    """What a run is asked for.

    Attributes:
        only: packages to restrict it to; empty for all.
        max_age_s: how long a recorded answer of the index is believed, in seconds.
        again: run the chosen packages' jobs even though they are known.
        resources: CPUs and memory the jobs may share.
        effort: how hard to look for what breaks under threads.
        locked: whether builds get only the files of the index that they fetched before; what the index answered before
            then does not age.
        shard: the part of the matrix to restrict it to; None for all.
    """

    only: Sequence[str] = ()
    max_age_s: float = INDEX_MAX_AGE_S
    again: bool = False
    resources: Resources = field(default_factory=resources.host_resources)
    shard: Shard | None = None
    effort: EffortLevel = EffortLevel.QUICK
    locked: bool = False

    @property
    def is_whole_matrix(self) -> bool:
        """Whether it is about everything in the matrix, so that the index can be made from it."""
        return not self.only and self.shard is None


@dataclass(frozen=True, kw_only=True, slots=True)
class ResolvedRun:
    """A run before anything was planned.

    Attributes:
        patches: content of each package's patches, by name.
        inputs: everything a whole run would go by; None where only a part was asked for.
        unchanged_run: the last whole run, where nothing at all changed since.
    """

    sources: Sources
    patches: Mapping[str, tuple[str, ...]]
    inputs: RunInputs | None = None
    unchanged_run: CompletedRun | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class PreparedRun:
    """A run before anything was run: sources, and the plan they make."""

    sources: Sources
    plan: Plan


@dataclass(frozen=True, kw_only=True, slots=True)
class RunForecast:
    """What a run would go by, and what it would do."""

    sources: Sources
    forecast: Forecast


@dataclass(frozen=True, kw_only=True, slots=True)
class RunResult:
    """What a run found out.

    Attributes:
        judged: every package with its verdicts, in the matrix's order; nothing where nothing changed.
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


def resolve(matrix: Matrix, store: Store, request: RunRequest, observer: Observer) -> ResolvedRun:
    """Find every package's source, and whether anything changed since the last whole run.

    Raises:
        UnknownPackageError: `only` names a package the matrix does not have.
    """
    table = catalog.load()
    names = _select_packages(matrix, request.only)
    python = Version(table.releases[table.abis[matrix.abis[0]].release].version)
    observer.say("resolving sources")
    found = sources.resolve(
        matrix,
        store,
        Index(host.index_settings(), store),
        python,
        names=names,
        fresh_s=math.inf if request.locked else request.max_age_s,
        say=observer.say,
    )
    patches, faults = sources.read_patches(matrix, found.found)
    if faults:
        found = replace(
            found,
            found={name: source for name, source in found.found.items() if name not in faults},
            faults={**found.faults, **faults},
        )
    if request.shard is not None:
        found = shards.select_shard(found, request.shard)
    if not request.is_whole_matrix:
        return ResolvedRun(sources=found, patches=patches)
    ground = unchanged.fingerprint_inputs(matrix, found, patches, request.effort)
    sealed = None if request.again else unchanged.find_unchanged_run(store, ground)
    return ResolvedRun(sources=found, patches=patches, inputs=ground, unchanged_run=sealed)


def prepare(matrix: Matrix, store: Store, request: RunRequest, observer: Observer) -> PreparedRun:
    """Resolve the matrix and plan it.

    Raises:
        UnknownPackageError: `only` names a package the matrix does not have.
    """
    resolved = resolve(matrix, store, request, observer)
    return PreparedRun(sources=resolved.sources, plan=_make_plan(matrix, resolved, request))


def _make_plan(matrix: Matrix, resolved: ResolvedRun, request: RunRequest) -> Plan:
    found = resolved.sources.found
    if (
        request.shard is not None and not found
    ):  # there are fewer groups than shards: no image is needed either
        return plan.Plan(jobs={})
    return plan.make_plan(
        matrix, found, resolved.patches, catalog.load(), Package(), EFFORTS.get(request.effort)
    )


def forecast_run(
    matrix: Matrix, store: Store, request: RunRequest, observer: Observer, *, listed: bool = True
) -> RunForecast:
    """Tell what a run would do, why, and for how long. Starts nothing.

    Args:
        matrix: the matrix.
        store: the wheelhouse.
        request: which part, and how.
        observer: told what happens.
        listed: whether to name the jobs that would not run: where nothing changed, they are only counted otherwise.

    Raises:
        UnknownPackageError: `only` names a package the matrix does not have.
    """
    resolved = resolve(matrix, store, request, observer)
    if resolved.unchanged_run is not None and not listed:
        return RunForecast(
            sources=resolved.sources,
            forecast=forecasts.empty_forecast((), resolved.unchanged_run.jobs),
        )
    graph = _make_plan(matrix, resolved, request)
    if resolved.unchanged_run is not None:
        return RunForecast(
            sources=resolved.sources,
            forecast=forecasts.empty_forecast(graph.jobs.values(), len(graph.jobs)),
        )
    changed = (
        None if resolved.inputs is None else unchanged.changed_packages(store, resolved.inputs)
    )
    part = graph if changed is None else graph.affected_by(changed)
    forecast = forecasts.make_forecast(
        graph,
        part.find_evidence(recorded_lookup(store)),
        store.last_key_parts,
        store.recorded_durations(),
        store.memory_peaks(),
        request.resources,
        part,
    )
    return RunForecast(sources=resolved.sources, forecast=forecast)


def run(
    matrix: Matrix, store: Store, request: RunRequest, observer: Observer, stop: threading.Event
) -> RunResult:
    """Do the main job and write index and documents.

    Args:
        matrix: what to build.
        store: the wheelhouse; the caller holds its lock.
        request: which part, and how.
        observer: told what happens.
        stop: set when the farm is asked to stop.

    Raises:
        EngineMissingError: something has to run and no engine answers.
        Interrupted: the farm was asked to stop; what was finished is kept.
    """
    with _record_run(store) as entry:
        resolved = resolve(matrix, store, request, observer)
        if resolved.unchanged_run is not None:
            observer.on_plan(resolved.unchanged_run.jobs, resolved.unchanged_run.jobs)
            return RunResult(unchanged_run=resolved.unchanged_run)
        evidence = _execute(_make_plan(matrix, resolved, request), store, request, observer, stop)
        judged = _judge_packages(matrix, resolved.sources, evidence)
        if request.shard is not None:
            whole = {job: store.get(one.key) or one for job, one in evidence.items()}
            merging.write_record(request.shard, matrix, resolved.sources, whole, store.wheelhouse)
        replays.write_replays(judged, request.effort, store.wheelhouse)
        if request.is_whole_matrix:
            observer.say("publishing the index")
            publish(judged, matrix, store)
    if request.is_whole_matrix:
        observer.say("writing the report")
        outputs.write_report(document.write(judged, matrix, store.wheelhouse), store, entry)
        assert resolved.inputs is not None, "a whole run has one"
        unchanged.record_run(store, resolved.inputs, entry, evidence, judged)
    return RunResult(judged=judged)


def replay(
    wanted: Replay,
    version: str,
    times: int,
    matrix: Matrix,
    store: Store,
    observer: Observer,
    stop: threading.Event,
) -> ReplayResult:
    """Show a finding again, on the release it was found in or on another.

    Args:
        wanted: the replay.
        version: the release to run it on; empty for the one it was found in.
        times: how often to run it.
        matrix: has the package.
        store: the wheelhouse; the caller holds its lock.
        observer: told what happens.
        stop: set when the farm is asked to stop.

    Raises:
        UnknownPackageError: the matrix does not have the package.
        ReplayError: there is no wheel to run it on.
        InfrastructureError: the container gave no answer.
        Interrupted: the farm was asked to stop.
    """
    if version:
        changed = {"version": f"=={version}", "sdist": None, "sha256": None}
        package = matrix.packages.get(wanted.name, Package()).model_copy(update=changed)
        matrix = matrix.model_copy(update={"packages": {**matrix.packages, wanted.name: package}})
    request = RunRequest(only=(wanted.name,), effort=EffortLevel(wanted.effort))
    prepared = prepare(matrix, store, request, observer)
    graph = replays.plan_for_replay(wanted, prepared.plan)
    evidence = _execute(graph, store, request, observer, stop)
    source = prepared.sources.found[wanted.name]
    log = store.wheelhouse / "logs" / "replay" / f"{wanted.id}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    engine = provision.ensure_engine(observer.say, store.farm_id)
    try:
        tools = Tools(
            engine=engine,
            store=store,
            index=IndexProxy(engine, store),
            log=log,
            stop=stop,
            say=observer.say,
        )
        return replays.run_replay(
            wanted, graph, evidence, source.version, times, source.pure, tools
        )
    finally:
        engine.reap_run(engine.run_id)


def merge(
    matrix: Matrix, store: Store, wheelhouses: Sequence[Path], observer: Observer
) -> tuple[JudgedPackage, ...]:
    """Judge what the shards of a run found out, and write index and documents as one run does.

    Args:
        matrix: what the shards were cut from.
        store: takes everything in; the caller holds its lock.
        wheelhouses: of the shards.
        observer: told what happens.

    Raises:
        MergeError: a shard is missing, damaged, or of another matrix.
    """
    with _record_run(store) as entry:
        observer.say(f"merging {len(wheelhouses)} shards")
        merged = merging.merge_shards(wheelhouses, matrix, store)
        judged = _judge_packages(matrix, merged.sources, merged.evidence)
        observer.say("publishing the index")
        publish(judged, matrix, store)
    observer.say("writing the report")
    outputs.write_report(document.write(judged, matrix, store.wheelhouse), store, entry)
    return judged


@contextlib.contextmanager
def _record_run(store: Store) -> Iterator[str]:
    """Enter a run into the ledger, and how it ended."""
    entry, outcome = store.publications.begin_run(), "interrupted"
    try:
        yield entry
        outcome = "done"
    finally:
        store.publications.end_run(entry, outcome)


def publish(judged: Sequence[JudgedPackage], matrix: Matrix, store: Store) -> None:
    """Sort wheels into the index's channels, publish both, and write what constrains an installer to the first."""
    served, quarantined = (
        index.describe(files, store)
        for files in policy.assign_channels(judged, matrix.farm.publish)
    )
    index.publish(served, store, quarantined)
    constraints.write(served, matrix.abis, policy.collect_remarks(judged), store.wheelhouse)


def exit_code(verdicts: Iterable[Verdict]) -> ExitCode:
    """Return the class of outcome of a run."""
    worst = set(verdicts)
    if worst - NO_FAULT_VERDICTS:
        return ExitCode.FAULTS
    return ExitCode.UNDETERMINED if Verdict.UNDETERMINED in worst else ExitCode.ADMISSIBLE


def _select_packages(matrix: Matrix, only: Sequence[str]) -> list[str]:
    wanted = [str(canonicalize_name(name)) for name in only]
    for name in wanted:
        if name not in matrix.packages:
            raise UnknownPackageError(name, tuple(matrix.packages))
    return wanted or list(matrix.packages)


def _execute(
    graph: Plan, store: Store, request: RunRequest, observer: Observer, stop: threading.Event
) -> Mapping[JobId, Evidence]:
    again: frozenset[JobId] = frozenset()
    if request.again:
        again = frozenset(job for job in graph.jobs if job.kind != JobKind.IMAGE)
    with contextlib.ExitStack() as guards:

        def engine() -> Engine:
            found = provision.ensure_engine(observer.say, store.farm_id)
            if leftovers := found.reap():
                observer.say(f"removed {leftovers} containers that an earlier run left behind")
            guards.enter_context(clean_up_containers(found))
            return found

        executor = LocalExecutor(
            graph, store, observer, engine, room=request.resources, stop=stop, locked=request.locked
        )
        return executor.run(again)


def _judge_packages(
    matrix: Matrix, found: Sources, evidence: Mapping[JobId, Evidence]
) -> tuple[JudgedPackage, ...]:
    table = catalog.load()
    abis = [table.abis[name] for name in matrix.abis]
    order = {name: place for place, name in enumerate(matrix.packages)}
    judged = [verdict.judge_fault(fault, abis) for fault in found.faults.values()]
    packages = group_by_package(evidence)
    for source in found.found.values():
        jobs = packages.get(source.name, PackageJobs())
        case = _collect_evidence(matrix, source, jobs, evidence)
        judged.append(verdict.judge_package(case, abis))
    return tuple(
        sorted(judged, key=lambda package: (order.get(package.name, len(order)), package.name))
    )


def _collect_evidence(
    matrix: Matrix, source: sources.Source, jobs: PackageJobs, evidence: Mapping[JobId, Evidence]
) -> verdict.PackageEvidence:
    """Return what a package is judged by.

    Args:
        matrix: the matrix.
        source: the package's source.
        jobs: the jobs about the package.
        evidence: of all jobs.
    """
    table = catalog.load()
    package = matrix.packages.get(source.name)
    thread_target = select_thread_target(matrix, table)
    thread_base = thread_target[0].name if thread_target else ""
    built_on = matrix.build_on if source.only_pure is None else ()

    loads: dict[tuple[str, str], Evidence] = {}
    system: dict[str, tuple[str, ...]] = {}
    for base in built_on:
        system[base] = package.apt_packages(table.bases[base]) if package else ()
        for loaded_on in matrix.bases:
            loads[base, loaded_on] = evidence[jobs.loads[base, loaded_on]]

    def on_thread_base(by_base: Mapping[str, JobId]) -> Evidence | None:
        return evidence[by_base[thread_base]] if thread_base in by_base else None

    return verdict.PackageEvidence(
        source=source,
        builds={base: evidence[jobs.builds[base]] for base in built_on},
        audits={base: evidence[jobs.audits[base]] for base in built_on},
        loads=loads,
        skip={} if package is None else package.skip,
        bases=tuple(table.bases[base] for base in matrix.bases),
        interfaces=interfaces.load(),
        race=on_thread_base(jobs.races),
        exercise=on_thread_base(jobs.exercises),
        speed=on_thread_base(jobs.speeds),
        remedies={base: evidence[jobs.remedies[base]] for base in built_on},
        system=system,
    )
