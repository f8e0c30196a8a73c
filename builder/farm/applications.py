"""The applications of a matrix, after its index is published: each is tried with what that serves, and judged."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.utils import parse_wheel_filename
from packaging.version import Version

from builder.config import DEFAULT_MATRIX, catalog
from builder.config.cool_down import CoolDown
from builder.distributions.tags import accepts_wheel
from builder.errors import FarmError
from builder.evidence.application import ApplicationFacts
from builder.farm.application_files import find_system_packages, keep_files, read_lock
from builder.host import settings as host
from builder.index import constraints
from builder.jobs.application import Application as ApplicationJob
from builder.jobs.application import LockedWheels
from builder.jobs.images.packages import PackagesImage
from builder.judge.application import (
    Outlook,
    Situation,
    find_blocked,
    judge_application,
    judge_unusable,
    name_other_abi,
    select_wheels,
)
from builder.plan.graph import Plan
from builder.plan.images import image_jobs
from builder.sources.client import Index
from builder.sources.upstream import choose_wheel
from builder.untrusted.package_names import version_of
from builder.untrusted.text import clean_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from builder.config.catalog import Abi, Base
    from builder.config.effort import Effort
    from builder.config.matrix import Application, Matrix
    from builder.index import Entry, Manifest
    from builder.jobs.job import Job
    from builder.judge.application import Blocker, JudgedApplication, LockedPackage
    from builder.judge.package import JudgedPackage
    from builder.sources.releases import Release
    from builder.store.evidence import Evidence
    from builder.store.job_ids import JobId
    from builder.store.store import Store

_PARALLEL_TESTS = "pytest-run-parallel"

_TEST_THREADS = 4
"""Threads that run each test of an application on a free-threaded interpreter: more than there are CPUs, few enough for
tests with a database or a port each."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TriedApplications:
    """What came of the applications of a matrix.

    Attributes:
        judged: one for each application, ABI and base, in the matrix's order.
        evidence: of the jobs that tried them, and of the images these needed.
    """

    judged: tuple[JudgedApplication, ...] = ()
    evidence: Mapping[JobId, Evidence] = field(default_factory=dict)


def try_applications(
    matrix: Matrix,
    store: Store,
    packages: Sequence[JudgedPackage],
    served: Manifest,
    execute: Callable[[Plan], Mapping[JobId, Evidence]],
    effort: Effort | None = None,
) -> TriedApplications:
    """Try every application of a matrix on each ABI and base, and judge it.

    One whose lock cannot be installed from the index is not tried: what blocks it is known.

    Args:
        matrix: the applications.
        store: has the files of the index.
        packages: those of the run with their verdicts.
        served: the content of the channel `simple/`.
        execute: runs the jobs of a plan, and returns the evidence of each; of none where nothing could be run.
        effort: how long threads make the native calls of smoke commands; None for not at all.
    """
    farm = _Farm(
        matrix=matrix,
        store=store,
        packages=_group_by_project(packages),
        served=served,
        index=Index(host.index_settings(), store, CoolDown.for_matrix(matrix)),
        effort=effort,
    )
    places: list[_Place] = []
    for name, application in matrix.applications.items():
        places += farm.iter_places(name, application)
    constraints.remove_other_applications(matrix.applications, store.wheelhouse)

    plan = _make_plan(matrix, [place.job for place in places if place.job is not None])
    evidence = execute(plan) if plan.jobs else {}
    judged = [_judge(place, evidence) for place in places]

    return TriedApplications(
        judged=tuple(name_other_abi(judged, _find_abis(matrix))), evidence=evidence
    )


# --- places -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class _Place:
    """An application on one ABI and one base.

    Attributes:
        situation: what it is judged by.
        unusable: why its lock or its files cannot be used; empty where they can.
        job: tries it; None where it cannot be installed.
    """

    situation: Situation
    unusable: str = ""
    job: ApplicationJob | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class _Farm:
    """What applications are tried with.

    Attributes:
        packages: every judged package, by project; several where the matrix has several versions.
        served: the content of the channel `simple/`.
        index: the package index, which is asked about packages that block.
        effort: how long threads make the native calls of smoke commands; None for not at all.
    """

    matrix: Matrix
    store: Store
    packages: Mapping[str, Sequence[JudgedPackage]]
    served: Manifest
    index: Index
    effort: Effort | None = None

    def iter_places(self, name: str, application: Application) -> Iterator[_Place]:
        """Iterate over an application on each ABI and base; its constraints files are written meanwhile."""
        bases = [catalog.load().bases[base] for base in application.bases or self.matrix.bases]
        for abi in _find_abis(self.matrix):
            unusable = ""
            locked: list[LockedPackage] = []
            files: Mapping[str, str] = {}
            try:
                locked = read_lock(self.matrix, application, abi)
                files = keep_files(self.matrix, application, self.store)
            except FarmError as error:
                unusable = clean_line(str(error))
            constraints.write_application(
                name, abi.name, self._pin(locked, abi), self.store.wheelhouse
            )

            for base in bases:
                situation = self._describe(name, application, locked, abi, base)
                if unusable:
                    yield _Place(situation=situation, unusable=unusable)
                elif blockers := find_blocked(situation):
                    yield _Place(situation=self._look_out(situation, blockers))
                else:
                    job = self._make_job(situation, application, files)
                    yield _Place(situation=situation, job=job)

    def _describe(
        self,
        name: str,
        application: Application,
        locked: Sequence[LockedPackage],
        abi: Abi,
        base: Base,
    ) -> Situation:
        """Return what an application is judged by."""
        filenames = {
            package.name: [entry.filename for entry in self._entries_of(package)]
            for package in locked
        }
        return Situation(
            name=name,
            lock=application.lock,
            to_add=describe_addition(self.matrix, application),
            abi=abi,
            base=base,
            locked=locked,
            packages=self._select_packages(locked),
            served=filenames,
            versions=self._list_versions(locked),
        )

    def _list_versions(self, lock: Iterable[LockedPackage]) -> dict[str, list[str]]:
        """Return the releases that the matrix has of each project that is locked, as far as they were found."""
        versions: dict[str, list[str]] = {}
        for package in lock:
            for judged in self.packages.get(package.name, ()):
                if judged.version:
                    versions.setdefault(package.name, []).append(judged.version)

        return versions

    def _select_packages(self, lock: Iterable[LockedPackage]) -> dict[str, JudgedPackage]:
        """Return the judged package for each that is locked, by project; left out are those that the farm lacks.

        Of several versions it is the locked one, or else the first.
        """
        selected: dict[str, JudgedPackage] = {}
        for package in lock:
            versions = self.packages.get(package.name, ())
            if not versions:
                continue
            locked = [judged for judged in versions if _is_release(judged, package.version)]
            selected[package.name] = locked[0] if locked else versions[0]

        return selected

    def _look_out(self, situation: Situation, blockers: Iterable[Blocker]) -> Situation:
        """Return a situation with what the package index has of the packages that block.

        It is not asked about a package with a local sdist: there, the name may be somebody else's.
        """
        outlooks: dict[str, Outlook] = {}
        for blocker in blockers:
            names = self.matrix.find_packages(blocker.package)
            if any(self.matrix.packages[name].sdist for name in names):
                continue
            outlooks[blocker.package] = find_outlook(
                self.index, blocker.package, blocker.version, situation.abi, situation.base
            )
        return replace(situation, outlooks=outlooks)

    def _entries_of(self, package: LockedPackage) -> list[Entry]:
        """Return the files that the index serves of a locked release."""
        locked = Version(package.version)
        entries = self.served.get(package.name, ())
        return [entry for entry in entries if parse_wheel_filename(entry.filename)[1] == locked]

    def _make_job(
        self, situation: Situation, application: Application, files: Mapping[str, str]
    ) -> ApplicationJob:
        """Return the job that tries an application which can be installed."""
        abi, base = situation.abi, situation.base
        locked: list[LockedWheels] = []
        for package in situation.locked:
            hashes = {entry.filename: entry.sha256 for entry in self._entries_of(package)}
            wheels = [(name, hashes[name]) for name in select_wheels(hashes, abi.name, base)]
            locked.append(
                LockedWheels(name=package.name, version=package.version, wheels=tuple(wheels))
            )

        selected = situation.packages.values()
        has_parallel_tests = any(package.name == _PARALLEL_TESTS for package in locked)
        return ApplicationJob(
            name=situation.name,
            abi=abi,
            base=base,
            locked=locked,
            environment=application.env,
            smoke=application.smoke,
            tests=application.tests,
            after=self._find_companions(situation.packages),
            threads=_TEST_THREADS if abi.free_threaded and has_parallel_tests else 0,
            packages=find_system_packages(
                self.matrix, application, [judged.name for judged in selected], base
            ),
            files=files,
            effort=self.effort,
        )

    def _find_companions(self, packages: Mapping[str, JudgedPackage]) -> dict[str, tuple[str, ...]]:
        """Return by project the packages that have to be imported before it (`import-after`), if there are any.

        Args:
            packages: those that an application locks, by project.
        """
        companions: dict[str, tuple[str, ...]] = {}
        for project, package in packages.items():
            settings = self.matrix.packages.get(package.name)
            if settings is not None and settings.import_after:
                companions[project] = settings.import_after

        return companions

    def _pin(self, locked: Iterable[LockedPackage], abi: Abi) -> Iterator[constraints.LockedFiles]:
        """Iterate over the packages of a lock, each with the files of it that may be installed on an ABI."""
        for package in locked:
            hashes = [
                entry.sha256
                for entry in self._entries_of(package)
                if accepts_wheel(entry.filename, abi.name)
            ]
            yield constraints.LockedFiles(
                name=package.name, version=package.version, hashes=tuple(hashes)
            )


def describe_addition(matrix: Matrix, application: Application) -> str:
    """Return what `wheelfarm add` is told to take all that an application locks, where this program was started.

    `--extra postgres shop/uv.lock --matrix shop/matrix.toml`.
    """
    return shlex.join([*list_lock_words(matrix, application), *list_matrix_words(matrix)])


def list_lock_words(matrix: Matrix, application: Application) -> list[str]:
    """Return the options and the path by which a command is given the lock of an application, from this folder."""
    words: list[str] = []
    for extra in application.extras:
        words += ["--extra", extra]
    for group in application.groups:
        words += ["--group", group]
    words.append(os.path.relpath(matrix.root / application.lock, Path.cwd()))
    return words


def list_matrix_words(matrix: Matrix) -> list[str]:
    """Return the option that names a matrix to a command, from this folder; none for the default one."""
    here = Path.cwd()
    if matrix.file.resolve() == (here / DEFAULT_MATRIX).resolve():
        return []
    return ["--matrix", os.path.relpath(matrix.file, here)]


def _group_by_project(packages: Iterable[JudgedPackage]) -> dict[str, list[JudgedPackage]]:
    projects: dict[str, list[JudgedPackage]] = {}
    for package in packages:
        projects.setdefault(package.project, []).append(package)

    return projects


def _is_release(judged: JudgedPackage, version: str) -> bool:
    """Return whether a package is a release of its project; one that was not found may state it in its name alone."""
    stated = judged.version or version_of(judged.name)
    return bool(stated) and Version(stated) == Version(version)


def _find_abis(matrix: Matrix) -> list[Abi]:
    return [catalog.load().abis[name] for name in matrix.abis]


def _make_plan(matrix: Matrix, applications: Sequence[ApplicationJob]) -> Plan:
    """Return the jobs that try applications, each after the images that it needs."""
    jobs: dict[JobId, Job] = {}
    bases = tuple(dict.fromkeys((*matrix.bases, *(job.base.name for job in applications))))
    for image in image_jobs(bases, (), catalog.load(), tuple(_find_abis(matrix))):
        jobs[image.id] = image
    for job in applications:
        if job.packages:
            packages_image = PackagesImage(base=job.base.name, packages=job.packages, role="verify")
            jobs[packages_image.id] = packages_image
        jobs[job.id] = job

    return Plan(jobs=jobs).subset_for(job.id for job in applications)


def _judge(place: _Place, evidence: Mapping[JobId, Evidence]) -> JudgedApplication:
    """Return the judgement of an application, tried or not."""
    if place.unusable:
        return judge_unusable(place.situation, place.unusable)
    if place.job is None:
        return judge_application(place.situation, None)

    recorded = evidence.get(place.job.id)
    if recorded is None:
        return judge_application(place.situation, None)

    facts = ApplicationFacts.read(recorded) if recorded.is_determined else None
    return judge_application(place.situation, facts, recorded.log)


def find_outlook(index: Index, name: str, version: str, abi: Abi, base: Base) -> Outlook:
    """Return what the package index has of a package that blocks.

    It is nothing where the index does not answer, or answers nonsense: advice is no evidence.
    """
    try:
        releases = index.releases(name) or ()
        locked = Version(version)
        fitting = _find_fitting(releases, abi, base)
    except Exception:  # the verdict stands without it
        return Outlook()

    stable: list[Version] = []
    for release in releases:
        if not release.yanked and not release.version.is_prerelease:
            stable.append(release.version)
    newer = [version for version in stable if version > locked]
    mending = [version for version in newer if version in fitting]
    older = [version for version in stable if version < locked and version in fitting]

    return Outlook(
        has_wheel=locked in fitting,
        mending_release=str(mending[0]) if mending else "",
        older_release=str(older[0]) if older else "",
        newest_release=str(newer[0]) if newer else "",
    )


def _find_fitting(releases: Iterable[Release], abi: Abi, base: Base) -> set[Version]:
    """Return the releases of which an installer takes a wheel for an ABI on a base."""
    python = Version(catalog.load().releases[abi.release].version)
    fitting: set[Version] = set()
    for release in releases:
        # Names are looked at first: whole files are read for few of thousands of releases.
        names = (file.filename for file in release.wheels)
        if select_wheels(names, abi.name, base) and choose_wheel(release, abi.name, [base], python):
            fitting.add(release.version)

    return fitting
