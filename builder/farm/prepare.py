"""Preparing a run: sources of the matrix, the plan they make, and a forecast of what it would do. Starts no job."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from packaging.version import Version

from builder import sources
from builder.config import catalog
from builder.config.cool_down import CoolDown
from builder.config.effort import EFFORTS, EffortLevel
from builder.config.matrix import Package
from builder.errors import UnknownPackageError
from builder.farm import unchanged
from builder.host import settings as host
from builder.jobs.job import recorded_lookup
from builder.plan import forecast, graph, resources, schedule, shards
from builder.plan.graph import Plan
from builder.plan.resources import Resources
from builder.sources.client import Index
from builder.store.job_ids import JobId, JobKind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from builder.config.matrix import Matrix
    from builder.execute import Observer
    from builder.farm.unchanged import CompletedRun, RunInputs
    from builder.plan.forecast import Forecast
    from builder.plan.shards import Shard
    from builder.sources import Fault, Sources
    from builder.store.store import Store

INDEX_MAX_AGE_S = 3600.0
"""How long an answer of the package index is reused, in seconds."""

SHARD_INDEX_MAX_AGE_S = 86_400.0
"""The same for a shard: all shards of a run use what was resolved when it was planned."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RunRequest:
    """The options of a run.

    Attributes:
        only: packages to restrict it to; empty for all.
        max_age_s: how long a recorded answer of the package index is reused, in seconds.
        again: ignore recorded evidence of the selected packages.
        resources: CPUs and memory the jobs may share.
        shard: the part of the matrix to restrict it to; None for all.
        effort: how long to search for thread-safety problems.
        locked: whether builds get only the files that they fetched before; recorded answers of the package index are
            then reused whatever their age.
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
    """A run whose sources are known, but which is not planned yet.

    Attributes:
        sources: the sources of the packages, and the faults of those without one.
        patches: content of each package's patches, by name.
        inputs: hashes of everything that decides the result of a whole run; None if only a part was requested.
        unchanged_run: the last whole run if its inputs were the same as today; None if something changed.
    """

    sources: Sources
    patches: Mapping[str, tuple[str, ...]]
    inputs: RunInputs | None = None
    unchanged_run: CompletedRun | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class PreparedRun:
    """A run that is planned, but of which no job was started.

    Attributes:
        sources: the sources of the packages, and the faults of those without one.
        plan: the graph of jobs.
    """

    sources: Sources
    plan: Plan


@dataclass(frozen=True, kw_only=True, slots=True)
class RunForecast:
    """The forecast of a run.

    Attributes:
        sources: the sources that the run would use, and the faults of packages without one.
        forecast: which jobs would run, why, and for how long.
        trials: by the job that tries an application on an ABI and base, how many seconds that should take. Whether one
            runs is known when the index is published: it does not where something blocks it, or nothing changed.
    """

    sources: Sources
    forecast: Forecast
    trials: Mapping[JobId, float]


def resolve(matrix: Matrix, store: Store, request: RunRequest, observer: Observer) -> ResolvedRun:
    """Find the source of every package, and whether anything changed since the last whole run.

    A package whose patches cannot be read counts as one without a source.

    Raises:
        UnknownPackageError: `only` names a package the matrix does not have.
    """
    names = _select_packages(matrix, request.only)
    observer.say("resolving sources")
    resolved = sources.resolve(
        matrix,
        store,
        Index(host.index_settings(), store, CoolDown.for_matrix(matrix)),
        _target_python(matrix),
        names=names,
        fresh_s=math.inf if request.locked else request.max_age_s,
        say=observer.say,
    )
    patches, faults = sources.read_patches(matrix, resolved.found)
    if faults:
        resolved = _add_faults(resolved, faults)
    if request.shard is not None:
        resolved = shards.select_shard(resolved, request.shard)

    if not request.is_whole_matrix:
        return ResolvedRun(sources=resolved, patches=patches)

    inputs = unchanged.fingerprint_inputs(matrix, resolved, patches, request.effort)
    unchanged_run = None
    if not request.again:
        unchanged_run = unchanged.find_unchanged_run(store, inputs)

    return ResolvedRun(
        sources=resolved, patches=patches, inputs=inputs, unchanged_run=unchanged_run
    )


def _target_python(matrix: Matrix) -> Version:
    """Return the CPython release whose environment markers decide which requirements apply.

    It is the release of the matrix's first ABI.
    """
    catalog_tables = catalog.load()
    first_abi = catalog_tables.abis[matrix.abis[0]]
    return Version(catalog_tables.releases[first_abi.release].version)


def _add_faults(resolved: Sources, faults: Mapping[str, Fault]) -> Sources:
    """Return sources with further faults; packages that have one of these lose their source."""
    remaining = {name: source for name, source in resolved.found.items() if name not in faults}
    return replace(resolved, found=remaining, faults={**resolved.faults, **faults})


def _select_packages(matrix: Matrix, only: Sequence[str]) -> list[str]:
    """Return the names of the packages to resolve: those of `--only`, or all of the matrix.

    A project's name stands for all its versions.

    Raises:
        UnknownPackageError: `only` names a package the matrix does not have.
    """
    if not only:
        return list(matrix.packages)

    selected: list[str] = []
    for text in only:
        names = matrix.find_packages(text)
        if not names:
            raise UnknownPackageError(text, tuple(matrix.packages))
        selected += names

    return list(dict.fromkeys(selected))


def prepare(matrix: Matrix, store: Store, request: RunRequest, observer: Observer) -> PreparedRun:
    """Resolve the sources of the matrix and plan its jobs. This starts no job.

    Raises:
        UnknownPackageError: `only` names a package the matrix does not have.
    """
    resolved = resolve(matrix, store, request, observer)
    return PreparedRun(sources=resolved.sources, plan=make_plan(matrix, resolved, request))


def make_plan(matrix: Matrix, resolved: ResolvedRun, request: RunRequest) -> Plan:
    """Return the jobs of a run whose sources are resolved; no job at all for a shard without packages."""
    sources_by_name = resolved.sources.found
    # Where there are fewer groups of packages than shards, a shard is empty and needs no image either.
    is_empty_shard = request.shard is not None and not sources_by_name
    if is_empty_shard:
        return Plan(jobs={})

    return graph.make_plan(
        matrix,
        sources_by_name,
        resolved.patches,
        catalog.load(),
        Package(),
        EFFORTS.get(request.effort),
    )


def forecast_run(
    matrix: Matrix, store: Store, request: RunRequest, observer: Observer, *, listed: bool = True
) -> RunForecast:
    """Forecast which jobs a run would start, why, and for how long. This starts no job.

    Args:
        matrix: the packages, bases and ABIs of the run.
        store: the store of the wheelhouse.
        request: the options of the run.
        observer: shows progress.
        listed: whether to list the jobs that would not run. Without it they are only counted if nothing changed since
            the last whole run, which saves planning them.

    Raises:
        UnknownPackageError: `only` names a package the matrix does not have.
    """
    resolved = resolve(matrix, store, request, observer)
    return RunForecast(
        sources=resolved.sources,
        forecast=_make_forecast(matrix, store, request, resolved, listed=listed),
        trials=schedule.expected_durations(_list_trials(matrix), store.recorded_durations()),
    )


def _list_trials(matrix: Matrix) -> list[JobId]:
    """Return the jobs that may try the applications of a matrix, each on an ABI and a base."""
    return [
        JobId(JobKind.APPLICATION, name, abi, base)
        for name, application in matrix.applications.items()
        for abi in matrix.abis
        for base in application.bases or matrix.bases
    ]


def _make_forecast(
    matrix: Matrix, store: Store, request: RunRequest, resolved: ResolvedRun, *, listed: bool
) -> Forecast:
    """Return the forecast for resolved sources, with as little planning and as few lookups as the changes permit.

    If nothing changed since the last whole run, no job would run; there is no plan either unless the jobs are to be
    listed. If only some packages changed, recorded evidence is looked up for the jobs that this affects.
    """
    unchanged_run = resolved.unchanged_run
    if unchanged_run is not None and not listed:
        return forecast.empty_forecast((), unchanged_run.jobs)

    plan = make_plan(matrix, resolved, request)
    if unchanged_run is not None:
        return forecast.empty_forecast(plan.jobs.values(), len(plan.jobs))

    # The evidence about packages that did not change since the last whole run is complete, so it need not be looked up.
    affected = plan
    if resolved.inputs is not None:
        changed = unchanged.changed_packages(store, resolved.inputs)
        if changed is not None:
            affected = plan.affected_by(changed)

    return forecast.make_forecast(
        plan,
        affected.find_evidence(recorded_lookup(store)),
        store.last_key_parts,
        store.recorded_durations(),
        store.memory_peaks(),
        request.resources,
        affected,
    )
