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
from builder.config.effort import EFFORTS, Level
from builder.config.matrix import Package, threaded
from builder.engine import provision
from builder.errors import ExitCode, UnknownPackageError
from builder.execute import LocalExecutor
from builder.execute.guardian import guarded
from builder.farm import merge as merging
from builder.farm import replay as replays
from builder.farm import unchanged
from builder.index import constraints, policy
from builder.jobs.job import Tools, all_recorded
from builder.judge import interfaces
from builder.judge import package as verdict
from builder.plan import forecast as forecasts
from builder.plan import graph as plan
from builder.plan import resources, shards
from builder.plan.resources import Room
from builder.proxy.proxy import IndexProxy
from builder.report import document, outputs
from builder.sources.client import Index
from builder.verdicts import Verdict

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from builder.config.matrix import Matrix
    from builder.engine.client import Engine
    from builder.execute import Observer
    from builder.farm.replay import Replay, Replayed
    from builder.farm.unchanged import Ground, Seal
    from builder.judge.package import Judged
    from builder.plan.forecast import Forecast
    from builder.plan.graph import Plan
    from builder.plan.shards import Shard
    from builder.sources import Sources
    from builder.store.evidence import Evidence
    from builder.store.store import Store

FRESH_S = 3600.0
"""How long an answer of the index is believed without asking again, in seconds."""

SHARD_FRESH_S = 86_400.0
"""The same for a shard: all shards of a run go by what was resolved when it was planned."""

FAULTLESS = frozenset(
    {Verdict.COMPATIBLE, Verdict.UNPROVEN, Verdict.UNDETERMINED, Verdict.GIL_REQUIRED}
)
"""Verdicts in which no fault was shown that keeps a wheel from working."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What a run is asked for.

    Attributes:
        only: packages to restrict it to; empty for all.
        fresh_s: how long a recorded answer of the index is believed, in seconds.
        again: run the chosen packages' jobs even though they are known.
        room: CPUs and memory the jobs may share.
        effort: how hard to look for what breaks under threads.
        locked: whether builds get only the files of the index that they fetched before; what the index answered before
            then does not age.
        shard: the part of the matrix to restrict it to; None for all.
    """

    only: Sequence[str] = ()
    fresh_s: float = FRESH_S
    again: bool = False
    room: Room = field(default_factory=resources.room)
    shard: Shard | None = None
    effort: Level = Level.QUICK
    locked: bool = False

    @property
    def whole(self) -> bool:
        """Whether it is about everything in the matrix, so that the index can be made from it."""
        return not self.only and self.shard is None


@dataclass(frozen=True, kw_only=True, slots=True)
class Resolved:
    """A run before anything was planned.

    Attributes:
        patches: content of each package's patches, by name.
        ground: everything a whole run would go by; None where only a part was asked for.
        sealed: the last whole run, where nothing at all changed since.
    """

    sources: Sources
    patches: Mapping[str, tuple[str, ...]]
    ground: Ground | None = None
    sealed: Seal | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Prepared:
    """A run before anything was run: sources, and the plan they make."""

    sources: Sources
    plan: Plan


@dataclass(frozen=True, kw_only=True, slots=True)
class Outlook:
    """What a run would go by, and what it would do."""

    sources: Sources
    forecast: Forecast


@dataclass(frozen=True, kw_only=True, slots=True)
class Ran:
    """What a run found out.

    Attributes:
        judged: every package with its verdicts, in the matrix's order; nothing where nothing changed.
        sealed: the last whole run, where nothing at all changed since.
    """

    judged: tuple[Judged, ...] = ()
    sealed: Seal | None = None

    @property
    def verdicts(self) -> frozenset[Verdict]:
        """Every verdict that occurs."""
        if self.sealed is not None:
            return frozenset(Verdict(name) for name in self.sealed.verdicts)
        return frozenset(
            judgement.verdict for package in self.judged for judgement in package.abis.values()
        )


def resolve(matrix: Matrix, store: Store, request: Request, observer: Observer) -> Resolved:
    """Find every package's source, and whether anything changed since the last whole run.

    Raises:
        UnknownPackageError: `only` names a package the matrix does not have.
    """
    table = catalog.load()
    names = _chosen(matrix, request.only)
    python = Version(table.releases[table.abis[matrix.abis[0]].release].version)
    observer.say("resolving sources")
    found = sources.resolve(
        matrix,
        store,
        Index(host.index_settings(), store),
        python,
        names=names,
        fresh_s=math.inf if request.locked else request.fresh_s,
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
        found = shards.part(found, request.shard)
    if not request.whole:
        return Resolved(sources=found, patches=patches)
    ground = unchanged.ground(matrix, found, patches, request.effort)
    sealed = None if request.again else unchanged.unbroken(store, ground)
    return Resolved(sources=found, patches=patches, ground=ground, sealed=sealed)


def prepare(matrix: Matrix, store: Store, request: Request, observer: Observer) -> Prepared:
    """Resolve the matrix and plan it.

    Raises:
        UnknownPackageError: `only` names a package the matrix does not have.
    """
    resolved = resolve(matrix, store, request, observer)
    return Prepared(sources=resolved.sources, plan=_plan(matrix, resolved, request))


def _plan(matrix: Matrix, resolved: Resolved, request: Request) -> Plan:
    found = resolved.sources.found
    if (
        request.shard is not None and not found
    ):  # there are fewer groups than shards: no image is needed either
        return plan.Plan(jobs={})
    return plan.make(
        matrix, found, resolved.patches, catalog.load(), Package(), EFFORTS.get(request.effort)
    )


def outlook(
    matrix: Matrix, store: Store, request: Request, observer: Observer, *, listed: bool = True
) -> Outlook:
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
    if resolved.sealed is not None and not listed:
        return Outlook(
            sources=resolved.sources, forecast=forecasts.nothing((), resolved.sealed.jobs)
        )
    graph = _plan(matrix, resolved, request)
    if resolved.sealed is not None:
        return Outlook(
            sources=resolved.sources,
            forecast=forecasts.nothing(graph.jobs.values(), len(graph.jobs)),
        )
    changed = None if resolved.ground is None else unchanged.changed(store, resolved.ground)
    part = graph if changed is None else graph.reached_by(changed)
    forecast = forecasts.make(
        graph, part.outlook(all_recorded(store)), store.last_asked, store.seconds_of(), store.memory_peaks(),
        request.room, part,
    )  # fmt: skip
    return Outlook(sources=resolved.sources, forecast=forecast)


def run(
    matrix: Matrix, store: Store, request: Request, observer: Observer, stop: threading.Event
) -> Ran:
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
    with _entered(store) as entry:
        resolved = resolve(matrix, store, request, observer)
        if resolved.sealed is not None:
            observer.planned(resolved.sealed.jobs, resolved.sealed.jobs)
            return Ran(sealed=resolved.sealed)
        evidence = _execute(_plan(matrix, resolved, request), store, request, observer, stop)
        judged = _judged(matrix, resolved.sources, evidence)
        if request.shard is not None:
            whole = {job: store.get(one.key) or one for job, one in evidence.items()}
            merging.write(request.shard, matrix, resolved.sources, whole, store.wheelhouse)
        replays.write(judged, request.effort, store.wheelhouse)
        if request.whole:
            observer.say("publishing the index")
            publish(judged, matrix, store)
    if request.whole:
        observer.say("writing the report")
        outputs.write(document.write(judged, matrix, store.wheelhouse), store, entry)
        assert resolved.ground is not None, "a whole run has one"
        unchanged.set_on(store, resolved.ground, entry, evidence, judged)
    return Ran(judged=judged)


def replay(
    wanted: Replay,
    version: str,
    times: int,
    matrix: Matrix,
    store: Store,
    observer: Observer,
    stop: threading.Event,
) -> Replayed:
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
        CannotTellError: the container gave no answer.
        Interrupted: the farm was asked to stop.
    """
    if version:
        changed = {"version": f"=={version}", "sdist": None, "sha256": None}
        package = matrix.packages.get(wanted.name, Package()).model_copy(update=changed)
        matrix = matrix.model_copy(update={"packages": {**matrix.packages, wanted.name: package}})
    request = Request(only=(wanted.name,), effort=Level(wanted.effort))
    prepared = prepare(matrix, store, request, observer)
    graph = replays.needed(wanted, prepared.plan)
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
        return replays.run(wanted, evidence, source.version, times, source.pure, tools)
    finally:
        engine.reap_run(engine.run_id)


def merge(
    matrix: Matrix, store: Store, wheelhouses: Sequence[Path], observer: Observer
) -> tuple[Judged, ...]:
    """Judge what the shards of a run found out, and write index and documents as one run does.

    Args:
        matrix: what the shards were cut from.
        store: takes everything in; the caller holds its lock.
        wheelhouses: of the shards.
        observer: told what happens.

    Raises:
        MergeError: a shard is missing, damaged, or of another matrix.
    """
    with _entered(store) as entry:
        observer.say(f"merging {len(wheelhouses)} shards")
        merged = merging.merge(wheelhouses, matrix, store)
        judged = _judged(matrix, merged.sources, merged.evidence)
        observer.say("publishing the index")
        publish(judged, matrix, store)
    observer.say("writing the report")
    outputs.write(document.write(judged, matrix, store.wheelhouse), store, entry)
    return judged


@contextlib.contextmanager
def _entered(store: Store) -> Iterator[str]:
    """Enter a run into the ledger, and how it ended."""
    entry, outcome = store.begin_run(), "interrupted"
    try:
        yield entry
        outcome = "done"
    finally:
        store.end_run(entry, outcome)


def publish(judged: Sequence[Judged], matrix: Matrix, store: Store) -> None:
    """Sort wheels into the index's channels, publish both, and write what constrains an installer to the first."""
    served, quarantined = (
        index.described(files, store) for files in policy.channels(judged, matrix.farm.publish)
    )
    index.publish(served, store, quarantined)
    constraints.write(served, matrix.abis, policy.remarks(judged), store.wheelhouse)


def exit_code(verdicts: Iterable[Verdict]) -> ExitCode:
    """Return the class of outcome of a run."""
    worst = set(verdicts)
    if worst - FAULTLESS:
        return ExitCode.FAULTS
    return ExitCode.UNDETERMINED if Verdict.UNDETERMINED in worst else ExitCode.ADMISSIBLE


def _chosen(matrix: Matrix, only: Sequence[str]) -> list[str]:
    wanted = [str(canonicalize_name(name)) for name in only]
    for name in wanted:
        if name not in matrix.packages:
            raise UnknownPackageError(name, tuple(matrix.packages))
    return wanted or list(matrix.packages)


def _execute(
    graph: Plan, store: Store, request: Request, observer: Observer, stop: threading.Event
) -> Mapping[str, Evidence]:
    again = (
        frozenset(job for job in graph.jobs if not job.startswith("image:"))
        if request.again
        else frozenset()
    )
    with contextlib.ExitStack() as guards:

        def engine() -> Engine:
            found = provision.ensure_engine(observer.say, store.farm_id)
            if leftovers := found.reap():
                observer.say(f"removed {leftovers} containers that an earlier run left behind")
            guards.callback(found.reap)
            guards.enter_context(guarded(found.address, found.run_id))
            return found

        executor = LocalExecutor(
            graph, store, observer, engine, room=request.room, stop=stop, locked=request.locked
        )
        return executor.run(again)


def _judged(matrix: Matrix, found: Sources, evidence: Mapping[str, Evidence]) -> tuple[Judged, ...]:
    table = catalog.load()
    abis = [table.abis[name] for name in matrix.abis]
    order = {name: place for place, name in enumerate(matrix.packages)}
    judged = [verdict.judge_fault(fault, abis) for fault in found.faults.values()]
    judged += [
        verdict.judge(_case(matrix, source, evidence), abis) for source in found.found.values()
    ]
    return tuple(
        sorted(judged, key=lambda package: (order.get(package.name, len(order)), package.name))
    )


def _case(matrix: Matrix, source: sources.Source, evidence: Mapping[str, Evidence]) -> verdict.Case:
    name = source.name
    bases = matrix.build_on if source.only_pure is None else ()
    package = matrix.packages.get(name)
    place = threaded(matrix, catalog.load())
    base = place[0].name if place else ""
    return verdict.Case(
        source=source,
        builds={base: evidence[f"build:{name}@{base}"] for base in bases},
        audits={base: evidence[f"audit:{name}@{base}"] for base in bases},
        loads={
            (built, base): evidence[f"load:{name}@{built}/{base}"]
            for built in bases
            for base in matrix.bases
        },
        skip={} if package is None else package.skip,
        bases=tuple(catalog.load().bases[base] for base in matrix.bases),
        interfaces=interfaces.load(),
        race=evidence.get(f"race:{name}@{base}"),
        exercise=evidence.get(f"exercise:{name}@{base}"),
        speed=evidence.get(f"speed:{name}@{base}"),
        remedies={base: evidence[f"remedy:{name}@{base}"] for base in bases},
        system={
            base: package.apt_on(catalog.load().bases[base]) if package else () for base in bases
        },
    )
