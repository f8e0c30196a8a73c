"""Matrix and sources -> graph of jobs. Pure: no I/O, no clock."""

from __future__ import annotations

from dataclasses import dataclass, replace
from graphlib import TopologicalSorter
from typing import TYPE_CHECKING

from builder.config.matrix import OwnTests, select_thread_target
from builder.jobs.audit import Audit
from builder.jobs.build.build import Build
from builder.jobs.images.base import BaseImage
from builder.jobs.images.ids import ORDER_ONLY
from builder.jobs.images.interpreters import InterpretersImage, RaceInterpreter
from builder.jobs.images.packages import PackagesImage
from builder.jobs.images.proxy import IndexImage
from builder.jobs.images.python import BuilderImage, VerifyImage
from builder.jobs.images.race import RaceImage
from builder.jobs.job import ImageJob
from builder.jobs.load import Load
from builder.jobs.remedy import Remedy
from builder.jobs.threads.exercise import Exercise
from builder.jobs.threads.race import Race
from builder.jobs.threads.speed import Speed

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from builder.config.catalog import Abi, Base, Catalog
    from builder.config.effort import Effort
    from builder.config.matrix import Matrix, Package
    from builder.jobs.job import Job
    from builder.sources import Source
    from builder.store.evidence import Evidence
    from builder.store.job_ids import JobId


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """A graph of jobs.

    Attributes:
        jobs: by id, each after all that it needs.
    """

    jobs: Mapping[JobId, Job]

    def dependents(self) -> dict[JobId, list[JobId]]:
        """Return the ids of the jobs that need each job."""
        dependents: dict[JobId, list[JobId]] = {job: [] for job in self.jobs}
        for job in self.jobs.values():
            for need in set(job.needs.values()):
                dependents[need].append(job.id)

        return dependents

    def subset_for(self, wanted: Iterable[JobId]) -> Plan:
        """Return the part of it that ends with some jobs: those, and all that they need.

        Args:
            wanted: ids of jobs.
        """
        selected: set[JobId] = set()
        pending = list(wanted)
        while pending:
            job = pending.pop()
            if job not in selected:
                selected.add(job)
                pending += self.jobs[job].needs.values()

        return Plan(jobs={name: job for name, job in self.jobs.items() if name in selected})

    def affected_by(self, names: Collection[str]) -> Plan:
        """Return the part of it that a change of some packages reaches, and all that this part needs.

        Args:
            names: of the packages.
        """
        reached: set[JobId] = set()
        for job in self.jobs.values():
            is_own = job.id.name in names and not isinstance(job, ImageJob)
            if is_own or not reached.isdisjoint(job.needs.values()):
                reached.add(job.id)

        return self.subset_for(reached)

    def find_evidence(self, lookup: Callable[[Job, str], Evidence | None]) -> dict[JobId, Evidence]:
        """Return the evidence that is there already, by job id; what is left out would run.

        Args:
            lookup: finds evidence by job and key.
        """
        known: dict[JobId, Evidence] = {}
        for job in self.jobs.values():
            needs = job.needs
            if not all(need in known or need in ORDER_ONLY for need in needs.values()):
                continue

            inputs = {role: known[need] for role, need in needs.items() if need in known}
            found = lookup(job, job.key(inputs))
            if found is not None:
                # The same key may have been recorded of another job: two bases can make the very same wheel.
                known[job.id] = found if found.job == job.id else replace(found, job=job.id)

        return known


def make_plan(
    matrix: Matrix,
    sources: Mapping[str, Source],
    patches: Mapping[str, tuple[str, ...]],
    catalog: Catalog,
    default: Package,
    effort: Effort | None = None,
) -> Plan:
    """Plan everything the matrix asks for.

    Args:
        matrix: the matrix.
        sources: packages that have a source, by name.
        patches: content of each package's patches, by name.
        catalog: bases and interpreters.
        default: settings of packages the matrix does not name.
        effort: how hard to look for what breaks under threads; None for not at all.
    """
    abis = tuple(catalog.abis[name] for name in matrix.abis)
    native = {name: source for name, source in sources.items() if source.only_pure is None}
    jobs: dict[JobId, Job] = {}
    planned = [
        *image_jobs(matrix.bases, matrix.build_on, catalog, abis),
        *_package_jobs(matrix, native, patches, catalog, abis, default),
    ]
    place = select_thread_target(matrix, catalog)
    if effort is not None and place is not None and native:
        planned += _thread_jobs(matrix, native, catalog, planned, *place, effort)
    for job in planned:
        jobs.setdefault(job.id, job)
    return Plan(jobs=_sort_jobs(jobs))


def _thread_jobs(
    matrix: Matrix, sources: Mapping[str, Source], catalog: Catalog, planned: list[Job], base: Base, abi: Abi,
    effort: Effort,
) -> list[Job]:  # fmt: skip
    """Plan what looks for trouble with threads, beside what was planned already."""
    jobs: list[Job] = [
        RaceInterpreter(base=base, abi=abi, release=catalog.releases[abi.release]),
        RaceImage(base=base, abi=abi),
    ]
    builds = [job for job in planned if isinstance(job, Build) and job.base == base.name]
    for build in builds:
        source = sources[build.name]
        requires = tuple(need for need in source.needs if need in sources)
        package = matrix.packages.get(build.name)
        if build.packages:
            jobs.append(PackagesImage(base=base.name, packages=build.packages, role="race"))
        recipes = package.recipes if package else ()
        tests = package.tests if package else OwnTests()
        jobs.append(
            Race(
                build=build,
                abi=abi,
                effort=effort,
                tests=tests,
                recipes=recipes,
                requires=requires,
                pure=source.pure,
            )
        )
        jobs.append(
            Exercise(
                name=build.name,
                version=build.version,
                base=base.name,
                abi=abi,
                effort=effort,
                tests=tests,
                sdist_filename=build.sdist_filename,
                sdist_sha256=build.sdist_sha256,
                requires=requires,
                pure=source.pure,
            )
        )
        if effort.speed_s:
            jobs.append(
                Speed(
                    name=build.name,
                    version=build.version,
                    base=base.name,
                    abis=_speed_abis(matrix, catalog, abi),
                    seconds=effort.speed_s,
                    requires=requires,
                    pure=source.pure,
                )
            )
    return jobs


def _speed_abis(matrix: Matrix, catalog: Catalog, free: Abi) -> tuple[Abi, ...]:
    """Return the ABI without the GIL and, where the matrix has one, the first with it."""
    others = [catalog.abis[name] for name in matrix.abis if not catalog.abis[name].free_threaded]
    return (free, *others[:1])


def image_jobs(
    bases: tuple[str, ...], build_on: tuple[str, ...], catalog: Catalog, abis: tuple[Abi, ...]
) -> Iterator[Job]:
    """Give the jobs that make images.

    Args:
        bases: names of the bases wheels are imported on; the oldest of them compiles the interpreters.
        build_on: names of those they are built on.
        catalog: bases and interpreters.
        abis: the interpreters.
    """
    for name in bases:
        base = catalog.bases[name]
        yield BaseImage(base=base, distribution=catalog.distributions[base.distribution])
    releases = {abi.release: catalog.releases[abi.release] for abi in abis}
    yield InterpretersImage(base=catalog.oldest(bases).name, abis=abis, releases=releases)
    if build_on:
        yield IndexImage(base=catalog.oldest(bases).name, abi=abis[0])
    for name in build_on:
        yield BuilderImage(base=catalog.bases[name])
    for name in bases:
        yield VerifyImage(base=catalog.bases[name])


def _package_jobs(
    matrix: Matrix, sources: Mapping[str, Source], patches: Mapping[str, tuple[str, ...]], catalog: Catalog,
    abis: tuple[Abi, ...], default: Package,
) -> Iterator[Job]:  # fmt: skip
    build_on, bases = matrix.build_on, matrix.bases
    for name, source in sources.items():
        package = matrix.packages.get(name, default)
        for built_on in build_on:
            system = package.apt_packages(catalog.bases[built_on])
            if system:
                yield PackagesImage(base=built_on, packages=system)
            own = tuple(need for need in source.builds_with if need in sources)
            yield _build_job(source, package, patches.get(name, ()), built_on, system, abis, own)
            yield Audit(name=name, base=built_on)
            yield Remedy(name=name, base=catalog.bases[built_on])
            for base in bases:
                yield Load(
                    name=name,
                    version=source.version,
                    built_on=built_on,
                    base=catalog.bases[base],
                    abis=abis,
                    requires=tuple(need for need in source.needs if need in sources),
                    pure=source.pure,
                )


def _build_job(
    source: Source,
    package: Package,
    patches: tuple[str, ...],
    base: str,
    system: tuple[str, ...],
    abis: tuple[Abi, ...],
    requires: tuple[str, ...],
) -> Build:
    return Build(
        name=source.name,
        version=source.version,
        base=base,
        sdist_filename=source.filename,
        sdist_sha256=source.sha256,
        abis=tuple(abi.name for abi in abis),
        packages=system,
        environment=package.env,
        config_settings=package.config_settings,
        patches=patches,
        skip=package.skip,
        timeout_s=package.timeout_s,
        memory_bytes=package.memory,
        requires=requires,
    )


def _sort_jobs(jobs: Mapping[JobId, Job]) -> dict[JobId, Job]:
    """Put every job after those it needs."""
    sorter = TopologicalSorter({job.id: job.needs.values() for job in jobs.values()})

    return {job: jobs[job] for job in sorter.static_order()}
