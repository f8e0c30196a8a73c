"""Matrix and sources -> graph of jobs. Pure: no I/O, no clock."""

from __future__ import annotations

from dataclasses import dataclass, replace
from graphlib import TopologicalSorter
from typing import TYPE_CHECKING

from builder.config.matrix import OwnTests, select_thread_target
from builder.jobs.audit import Audit
from builder.jobs.build.build import Build
from builder.jobs.images.ids import ORDER_ONLY
from builder.jobs.images.interpreters import RaceInterpreter
from builder.jobs.images.packages import PackagesImage
from builder.jobs.images.race import RaceImage
from builder.jobs.job import ImageJob
from builder.jobs.load import Load
from builder.jobs.remedy import Remedy
from builder.jobs.run_requirements import RunRequirements
from builder.jobs.threads.exercise import Exercise
from builder.jobs.threads.race import Race
from builder.jobs.threads.speed import Speed
from builder.jobs.upstream import Upstream
from builder.plan.images import image_jobs
from builder.plan.rust import find_rust, supply_rust

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from builder.config.catalog import Abi, Base, Catalog
    from builder.config.effort import Effort
    from builder.config.matrix import Matrix, Package
    from builder.jobs.job import Job
    from builder.sources import Source, UpstreamWheel
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
        """Return, for every job of the plan, the ids of the jobs that need it; an empty list where none does."""
        dependents: dict[JobId, list[JobId]] = {job: [] for job in self.jobs}
        for job in self.jobs.values():
            for need in set(job.needs.values()):
                dependents[need].append(job.id)

        return dependents

    def subset_for(self, wanted: Iterable[JobId]) -> Plan:
        """Return the part of the plan that runs some jobs: these jobs and, directly or not, all that they need.

        Args:
            wanted: ids of the jobs to run.
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
        """Return the part of the plan whose results a change of some packages may change, with all that it needs.

        A job is affected if it is about one of the packages or needs an affected job. Jobs that make images are about
        no package, even where their id is the same word as a package's name.

        Args:
            names: names of the packages that changed.
        """
        affected: set[JobId] = set()
        # Each job of a plan comes after those it needs: whether these are affected is known when its turn comes.
        for job in self.jobs.values():
            is_about_them = job.id.name in names and not isinstance(job, ImageJob)
            needs_affected = not affected.isdisjoint(job.needs.values())
            if is_about_them or needs_affected:
                affected.add(job.id)

        return self.subset_for(affected)

    def find_evidence(self, lookup: Callable[[Job, str], Evidence | None]) -> dict[JobId, Evidence]:
        """Return the evidence that is recorded and still valid, by job id.

        A job is left out, and would run, where nothing is recorded under its key, or where the key is not known yet
        because a job that it needs would run: a key is made of the job's settings and of the results of those jobs.

        Args:
            lookup: returns the evidence that is recorded for a job under a key, or None.
        """
        found: dict[JobId, Evidence] = {}
        # Each job of a plan comes after those it needs: their evidence is found when its turn comes.
        for job in self.jobs.values():
            # The evidence of order-only jobs counts in no key, so that it may be missing.
            missing = {need for need in job.needs.values() if need not in found}
            if missing - ORDER_ONLY:
                continue

            inputs = {role: found[need] for role, need in job.needs.items() if need in found}
            evidence = lookup(job, job.key(inputs))
            if evidence is None:
                continue

            # The same key may have been recorded for another job: two bases can make the very same wheel.
            if evidence.job != job.id:
                evidence = replace(evidence, job=job.id)
            found[job.id] = evidence

        return found


def make_plan(
    matrix: Matrix,
    sources: Mapping[str, Source],
    patches: Mapping[str, tuple[str, ...]],
    catalog: Catalog,
    default: Package,
    effort: Effort | None = None,
) -> Plan:
    """Return the graph of all jobs that the matrix asks for, each job after those it needs.

    There are no jobs about packages that only exist as pure-Python wheels, and no jobs about threads without an
    effort, a free-threaded ABI in the matrix, or anything to build.

    Args:
        matrix: the matrix.
        sources: the packages that were found on the index, by name.
        patches: content of each package's patches, by name of the package.
        catalog: bases and interpreters.
        default: settings of packages the matrix does not name.
        effort: how long and how hard to look for what breaks under threads; None to not look at all.
    """
    native = {name: source for name, source in sources.items() if source.only_pure is None}
    planner = _Planner(
        matrix=matrix,
        sources=native,
        patches=patches,
        catalog=catalog,
        default=default,
        abis=tuple(catalog.abis[name] for name in matrix.abis),
    )
    builds = list(planner.iter_build_jobs())

    jobs = list(image_jobs(matrix.bases, matrix.build_on, catalog, planner.abis))
    jobs += builds
    jobs += planner.iter_check_jobs()
    thread_target = select_thread_target(matrix, catalog)
    if effort is not None and thread_target is not None and builds:
        base, abi = thread_target
        jobs += planner.iter_thread_jobs(builds, base, abi, effort)

    # Packages that ask for the same system packages share one image, and each of them planned it.
    unique: dict[JobId, Job] = {}
    for job in jobs:
        unique.setdefault(job.id, job)

    return Plan(jobs=unique)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Planner:
    """Plans the jobs about packages, each after those it needs.

    Attributes:
        sources: native packages that have a source, by name.
        patches: content of each package's patches, by name.
        default: settings of packages the matrix does not name.
        abis: the interpreters.
    """

    matrix: Matrix
    sources: Mapping[str, Source]
    patches: Mapping[str, tuple[str, ...]]
    catalog: Catalog
    default: Package
    abis: tuple[Abi, ...]

    def iter_build_jobs(self) -> Iterator[Job]:
        """Iterate over the builds, each after the images with system packages and the builds that it needs.

        There is one for each package and base, or a job in its place that takes upstream's wheels. Packages are in the
        order of what they are built with: one whose wheels another package needs to build comes first.
        """
        requirements = {
            name: self._own(source.builds_with) for name, source in self.sources.items()
        }
        for name in TopologicalSorter(requirements).static_order():
            package = self.matrix.packages.get(name, self.default)
            source = self.sources[name]
            for base in self.matrix.build_on:
                if not source.is_built:
                    yield _upstream_job(package, source, base)
                    continue

                build = self._build_job(package, source, base)
                if build.packages:
                    yield PackagesImage(base=base, packages=build.packages)
                yield build

    def iter_check_jobs(self) -> Iterator[Job]:
        """Iterate over the jobs that check the wheels of builds, or look up what failed builds missed.

        For each package and base it is built on, these are an audit, a remedy, and a load on every base.
        """
        for name, source in self.sources.items():
            for built_on in self.matrix.build_on:
                package = self.matrix.packages.get(name, self.default)
                compared = _find_native(source, package) if source.is_built else ()
                yield Audit(name=name, base=built_on, upstream=compared)
                yield Remedy(name=name, base=self.catalog.bases[built_on])
                for base in self.matrix.bases:
                    requirements = self._find_requirements(source, base)
                    if requirements.system:
                        yield PackagesImage(base=base, packages=requirements.system, role="verify")
                    yield Load(
                        name=name,
                        version=source.version,
                        built_on=built_on,
                        base=self.catalog.bases[base],
                        abis=self.abis,
                        requirements=requirements,
                    )

    def iter_thread_jobs(
        self, planned: Iterable[Job], base: Base, abi: Abi, effort: Effort
    ) -> Iterator[Job]:
        """Iterate over the jobs that look for what breaks under threads, and measure speed with threads.

        Args:
            planned: jobs that are planned already; only the builds on `base` among them count.
            base: the one base that threads are tried on.
            abi: the free-threaded ABI.
            effort: how long and how hard to look. Speed is measured only where it leaves time for that.
        """
        yield RaceInterpreter(base=base, abi=abi, release=self.catalog.releases[abi.release])
        yield RaceImage(base=base, abi=abi)

        for job in planned:
            if not isinstance(job, Build | Upstream) or job.base != base.name:
                continue
            build = self._sanitized_build(job)
            race = self._race_job(build, abi, effort)
            if race.image_packages:
                yield PackagesImage(base=base.name, packages=race.image_packages, role="race")
            yield race
            yield self._exercise_job(build, abi, effort)
            if effort.speed_s:
                yield self._speed_job(build, abi, effort.speed_s)

    def _sanitized_build(self, job: Build | Upstream) -> Build:
        """Return how the race detector's wheel is made: as the farm builds it, or would build what upstream built."""
        if isinstance(job, Build):
            return job

        package = self.matrix.packages.get(job.name, self.default)
        return self._build_job(package, self.sources[job.name], job.base)

    def _build_job(self, package: Package, source: Source, base: str) -> Build:
        """Return the build of one package on one base.

        Args:
            package: the package's settings.
            source: the release to build; without an sdist nothing will be compiled.
            base: the base's name.
        """
        base_row = self.catalog.bases[base]
        rust = find_rust(package, source, base_row)
        packages = set(package.apt_packages(base_row))
        if rust is not None:
            packages.update(rust.packages)

        return Build(
            name=source.name,
            version=source.version,
            base=base,
            sdist_filename=source.filename,
            sdist_sha256=source.sha256,
            abis=tuple(abi.name for abi in self.abis),
            packages=tuple(sorted(packages)) if source.sha256 else (),
            rust=supply_rust(package, source, base_row),
            environment=package.env,
            config_settings=package.config_settings,
            constraints=package.build_constraints,
            exclude=package.exclude,
            patches=self.patches.get(source.name, ()),
            skip=package.skip,
            timeout_s=package.timeout_s,
            memory_bytes=package.memory,
            requires=self._own(source.builds_with),
            is_pure=source.is_pure,
            pure=tuple(wheel for wheel in source.wheels if wheel.abi in package.pure),
            lacking=tuple(lack for lack in source.lacking if lack[0] in package.pure),
            upstream=_find_native(source, package),
            build_tag=package.build_tag or "",
        )

    def _race_job(self, build: Build, abi: Abi, effort: Effort) -> Race:
        """Return the search for data races in the package that a build builds.

        A package that the matrix does not name has no recipes, and its own tests run by the usual settings.
        """
        source = self.sources[build.name]
        package = self.matrix.packages.get(build.name)

        return Race(
            build=build,
            abi=abi,
            effort=effort,
            tests=package.tests if package else OwnTests(),
            recipes=package.recipes if package else (),
            requirements=self._find_requirements(source, build.base),
        )

    def _exercise_job(self, build: Build, abi: Abi, effort: Effort) -> Exercise:
        """Return the job that calls a build's free-threaded wheel by threads, with the plain interpreter."""
        source = self.sources[build.name]
        package = self.matrix.packages.get(build.name)

        return Exercise(
            name=build.name,
            version=build.version,
            base=build.base,
            abi=abi,
            effort=effort,
            tests=package.tests if package else OwnTests(),
            sdist_filename=build.sdist_filename,
            sdist_sha256=build.sdist_sha256,
            requirements=self._find_requirements(source, build.base),
        )

    def _speed_job(self, build: Build, abi: Abi, seconds: float) -> Speed:
        """Return the job that measures how fast a build's wheels are on several threads.

        Args:
            build: makes the wheels.
            abi: the free-threaded ABI.
            seconds: most time to measure.
        """
        source = self.sources[build.name]

        return Speed(
            name=build.name,
            version=build.version,
            base=build.base,
            abis=self._speed_abis(abi),
            seconds=seconds,
            requirements=self._find_requirements(source, build.base),
        )

    def _speed_abis(self, free_threaded: Abi) -> tuple[Abi, ...]:
        """Return the ABIs to compare: the free-threaded one and, if the matrix has any, the first with the GIL."""
        for abi in self.abis:
            if not abi.free_threaded:
                return (free_threaded, abi)

        return (free_threaded,)

    def _find_requirements(self, source: Source, base: str) -> RunRequirements:
        """Return what must be installed with a package to import it on a base."""
        package = self.matrix.packages.get(source.name)

        return RunRequirements(
            native=self._own(source.needs),
            pure=source.pure,
            system=self._run_packages(source, base),
            first=package.import_after if package else (),
        )

    def _run_packages(self, source: Source, base: str) -> tuple[str, ...]:
        """Return the system packages that a package and what it needs have to find where they are used, sorted."""
        names: set[str] = set()
        for name in (source.name, *self._own(source.needs)):
            package = self.matrix.packages.get(name, self.default)
            names.update(package.run_packages(self.catalog.bases[base]))

        return tuple(sorted(names))

    def _own(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return those of some packages that the farm builds itself; the others come from the index."""
        return tuple(name for name in names if name in self.sources)


def _find_native(source: Source, package: Package) -> tuple[UpstreamWheel, ...]:
    """Return upstream's wheels of a release but for those that the matrix takes because they have no native code."""
    return tuple(wheel for wheel in source.wheels if wheel.abi not in package.pure)


def _upstream_job(package: Package, source: Source, base: str) -> Upstream:
    """Return the job that takes upstream's wheels of one package, in the place of a build on one base.

    Args:
        package: the package's settings.
        source: the release.
        base: the base's name.
    """
    return Upstream(
        name=source.name,
        version=source.version,
        base=base,
        wheels=source.wheels,
        lacking=source.lacking,
        skip=package.skip,
    )
