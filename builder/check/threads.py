"""Wheels built elsewhere, put under threads as a run does it: by the same jobs, in the same images, by the same rules.

The plain search needs the wheel alone. The race detector needs what it was made of, for it compiles that once more.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from packaging.utils import (
    InvalidSdistFilename,
    canonicalize_name,
    parse_sdist_filename,
)
from packaging.version import Version

from builder.check.companions import MissingRequirementError
from builder.check.load import LoadEnvironment, make_prebuilt, prepare_wheels
from builder.check.read import CheckedWheel, NoWheelError, ThreadTrial, sort_findings
from builder.config import catalog
from builder.config.matrix import Package
from builder.evidence.exercise import ExerciseFacts
from builder.evidence.race import RaceFacts
from builder.execute import LocalExecutor
from builder.execute.guardian import clean_up_containers
from builder.host import settings as host
from builder.jobs.audit import Audit
from builder.jobs.build.build import Build
from builder.jobs.images.interpreters import RaceInterpreter
from builder.jobs.images.packages import PackagesImage
from builder.jobs.images.race import RaceImage
from builder.jobs.run_requirements import RunRequirements
from builder.jobs.threads.exercise import Exercise
from builder.jobs.threads.race import Race
from builder.judge.package import merge_findings
from builder.judge.threads.coverage import measure_coverage
from builder.judge.threads.jobs import deduplicate, judge_exercise, judge_race
from builder.plan import graph, images
from builder.sources.client import Index

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from builder.check.companions import LocalWheel, RuntimeRequirements, WheelFiles
    from builder.config.catalog import Abi, Base
    from builder.config.effort import Effort
    from builder.execute import Observer
    from builder.jobs.job import Job
    from builder.judge.findings import Finding
    from builder.store.evidence import Evidence
    from builder.store.job_ids import JobId
    from builder.store.store import Store


@dataclass(frozen=True, kw_only=True, slots=True)
class Sdist:
    """What a release's wheels are made of.

    Attributes:
        filename: its name.
        sha256: hash of its content, which the store has.
    """

    filename: str
    sha256: str


Sdists = dict[tuple[str, Version], Sdist]
"""By canonical name and version of the release."""


def read_sdists(paths: Sequence[Path], store: Store) -> Sdists:
    """Copy sdists into the store, and return them by the release that their file names tell.

    Args:
        paths: the files.
        store: takes them.

    Raises:
        NoWheelError: there is no such file, or its name is no sdist's (PEP 625).
    """
    sdists: Sdists = {}
    for path in paths:
        if not path.is_file():
            raise NoWheelError(f"{path}: there is no such file")
        try:
            release = parse_sdist_filename(path.name)
        except InvalidSdistFilename as error:
            raise NoWheelError(f"{path}: {error}") from None  # the message has the cause

        sdists[release] = Sdist(filename=path.name, sha256=store.add_file(path))

    return sdists


def download_sdists(requirements: Sequence[str], store: Store) -> Sdists:
    """Download the sdists of releases, and return them by release; what has none on the index is left out.

    Args:
        requirements: the releases, as `NAME==VERSION`.
        store: takes them.
    """
    index = Index(host.index_settings(), store)
    sdists: Sdists = {}
    for requirement in requirements:
        name, _, version = requirement.partition("==")
        project = canonicalize_name(name)
        for release in index.releases(project) or ():
            is_wanted = str(release.version) == version
            if is_wanted and release.sdist is not None:
                sha256 = index.download(release.sdist)
                sdist = Sdist(filename=release.sdist.filename, sha256=sha256)
                sdists[project, release.version] = sdist

    return sdists


@dataclass(frozen=True, kw_only=True, slots=True)
class ThreadSettings:
    """What wheels are put under threads with.

    Attributes:
        effort: how long and how hard to look.
        sdists: what releases are made of, as far as that is known; the race detector looks at no other.
        packages: settings of the matrix, such as `apt`, `recipes` and `tests`, by canonical name.
    """

    effort: Effort
    sdists: Mapping[tuple[str, Version], Sdist]
    packages: Mapping[str, Package]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Trial:
    """One wheel to be put under threads, and where.

    Attributes:
        wheel: the wheel in the store.
        abi: the free-threaded interpreter.
        base: where it is tried.
        companions: the wheels that it requires.
        sdist: what it is made of; None where that is not known.
        package: its settings.
    """

    wheel: LocalWheel
    abi: Abi
    base: Base
    companions: WheelFiles
    sdist: Sdist | None
    package: Package


def try_threads(
    checked: Sequence[CheckedWheel],
    settings: ThreadSettings,
    environment: LoadEnvironment,
    observer: Observer,
    stop: threading.Event,
) -> list[CheckedWheel]:
    """Let threads call the native code of wheels, and add what that showed to each wheel.

    One wheel is tried after the other: two builds of one release may be checked together.

    Args:
        checked: wheels that were read.
        settings: how they are tried.
        environment: the bases, interpreters and engine to try wheels with.
        observer: shows progress.
        stop: set when the farm is asked to stop.

    Returns:
        The same wheels in the same order.

    Raises:
        Interrupted: the farm was asked to stop.
    """
    local_wheels, requirements = prepare_wheels(checked, environment)

    tried: list[CheckedWheel] = []
    for number, wheel in enumerate(checked):
        trial = _plan_trial(wheel, local_wheels.get(number), requirements, settings, environment)
        if isinstance(trial, str):
            tried.append(replace(wheel, threads=ThreadTrial(reason=trial)))
        else:
            tried.append(_try_wheel(wheel, trial, settings.effort, environment, observer, stop))

    return tried


def _plan_trial(
    checked: CheckedWheel,
    wheel: LocalWheel | None,
    requirements: RuntimeRequirements,
    settings: ThreadSettings,
    environment: LoadEnvironment,
) -> _Trial | str:
    """Return how a wheel is put under threads, or why it is not."""
    if wheel is None:
        return "no interpreter of the farm takes it, or it is damaged or unsafe"

    abis = [abi for abi in environment.abis if abi.free_threaded and abi.name in checked.abis]
    if not abis:
        return "it is for no free-threaded interpreter"
    if checked.facts is None or not checked.facts.native_objects:
        return "it has no native code"

    bases = [base for base in environment.bases if base.sanitizer and base.name in checked.bases]
    if not bases:
        return "it claims no base that has a race detector"

    abi, base = abis[0], bases[0]
    try:
        companions = requirements.find_wheels(wheel, abi.name, base)
    except MissingRequirementError as error:
        return str(error)

    return _Trial(
        wheel=wheel,
        abi=abi,
        base=base,
        companions=companions,
        sdist=settings.sdists.get((wheel.name, wheel.version)),
        package=settings.packages.get(wheel.name, Package()),
    )


def _try_wheel(
    checked: CheckedWheel,
    trial: _Trial,
    effort: Effort,
    environment: LoadEnvironment,
    observer: Observer,
    stop: threading.Event,
) -> CheckedWheel:
    """Run the jobs of one trial, with the images they need, and return the wheel with what they showed."""
    race, exercise = _make_thread_jobs(trial, effort)
    jobs: dict[JobId, Job] = {}
    for job in _iter_jobs(trial, race, exercise, environment):
        jobs.setdefault(job.id, job)

    executor = LocalExecutor(
        graph.Plan(jobs=jobs).subset_for([race.id, exercise.id]),
        environment.store,
        observer,
        lambda: environment.engine,
        resources=environment.resources,
        stop=stop,
    )
    with clean_up_containers(environment.engine):
        evidence = executor.run()

    return _add_trial(checked, trial, evidence[race.id], evidence[exercise.id])


def _make_thread_jobs(trial: _Trial, effort: Effort) -> tuple[Race, Exercise]:
    """Return the search with the race detector, and the one with the plain interpreter and the wheel as it is."""
    package = trial.package
    sdist = trial.sdist or Sdist(filename="", sha256="")
    build = Build(
        name=trial.wheel.name,
        version=str(trial.wheel.version),
        base=trial.base.name,
        sdist_filename=sdist.filename,
        sdist_sha256=sdist.sha256,
        abis=(trial.abi.name,),
        packages=package.apt_packages(trial.base) if trial.sdist else (),
        environment=package.env,
        config_settings=package.config_settings,
        constraints=package.build_constraints,
        skip={},
        timeout_s=package.timeout_s,
        memory_bytes=package.memory,
    )
    requirements = RunRequirements(
        native=tuple(sorted(trial.companions)),
        system=package.run_packages(trial.base),
    )
    race = Race(
        build=build,
        abi=trial.abi,
        effort=effort,
        tests=package.tests,
        recipes=package.recipes,
        requirements=requirements,
    )
    exercise = Exercise(
        name=build.name,
        version=build.version,
        base=build.base,
        abi=trial.abi,
        effort=effort,
        tests=package.tests,
        sdist_filename=sdist.filename,
        sdist_sha256=sdist.sha256,
        requirements=requirements,
    )

    return race, exercise


def _iter_jobs(
    trial: _Trial, race: Race, exercise: Exercise, environment: LoadEnvironment
) -> Iterator[Job]:
    """Iterate over the jobs of a trial, each after those it needs."""
    table = catalog.load()
    bases = tuple(base.name for base in environment.bases)
    yield from images.image_jobs(bases, (trial.base.name,), table, environment.abis)
    yield RaceInterpreter(base=trial.base, abi=trial.abi, release=table.releases[trial.abi.release])
    yield RaceImage(base=trial.base, abi=trial.abi)
    for role, packages in (("race", race.image_packages), ("verify", exercise.requirements.system)):
        if packages:
            yield PackagesImage(base=trial.base.name, packages=packages, role=role)

    yield from make_prebuilt(trial.wheel, trial.base.name, {trial.abi: trial.companions})
    yield Audit(name=trial.wheel.name, base=trial.base.name)
    yield race
    yield exercise


def _add_trial(
    checked: CheckedWheel, trial: _Trial, race: Evidence, exercise: Evidence
) -> CheckedWheel:
    """Return a wheel with what threads showed: findings, and how much of its native code they called.

    A job without a result gives no findings; the trial then says why.
    """
    base = trial.base.name
    for evidence in (race, exercise):
        if not evidence.is_determined:
            threads = ThreadTrial(abi=trial.abi.name, base=base, reason=evidence.reason)
            return replace(checked, threads=threads)

    race_facts = RaceFacts.read(race)
    exercise_facts = ExerciseFacts.read(exercise)
    findings: list[Finding] = list(checked.findings)
    shown = [
        *judge_race(race_facts, race.log, exercise_facts.harms),
        *judge_exercise(exercise_facts, exercise.log, race_facts.unshared),
    ]
    for finding in deduplicate(shown):
        findings.append(replace(finding, bases=(base,)))

    threads = ThreadTrial(
        abi=trial.abi.name,
        base=base,
        coverage=measure_coverage(race_facts, exercise_facts),
    )
    return replace(checked, findings=sort_findings(merge_findings(findings)), threads=threads)
