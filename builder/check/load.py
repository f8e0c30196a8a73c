"""Wheels built elsewhere, loaded as a run loads its own: in the same images, by the same job, by the same rules."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from packaging.utils import parse_wheel_filename
from packaging.version import Version

from builder.check.companions import LocalWheel, MissingRequirementError, RuntimeRequirements
from builder.check.read import CheckedWheel, LoadResult, SkippedLoad, sort_findings
from builder.config import catalog
from builder.evidence.load import LoadFacts
from builder.execute import LocalExecutor
from builder.execute.guardian import clean_up_containers
from builder.host import settings as host
from builder.jobs.load import Load
from builder.jobs.prebuilt import Prebuilt
from builder.jobs.run_requirements import RunRequirements
from builder.judge.loads import judge_load
from builder.judge.package import merge_findings
from builder.plan import graph, images
from builder.sources.client import Index

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping, Sequence

    from builder.check.companions import WheelFiles
    from builder.config.catalog import Abi, Base
    from builder.engine.client import Engine
    from builder.execute import Observer
    from builder.jobs.job import Job
    from builder.plan.resources import Resources
    from builder.store.evidence import Evidence
    from builder.store.job_ids import JobId
    from builder.store.store import Store
    from builder.verdicts.codes import FindingCode

_BROKEN_CODES: frozenset[FindingCode] = frozenset({"WF305", "WF306", "WF307", "WF308"})
"""Codes of findings that a wheel is damaged or unsafe: nobody should install it, and neither does the farm."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadEnvironment:
    """The bases, interpreters and engine to load wheels with.

    Attributes:
        bases: the bases to load wheels on, as far as a wheel claims them.
        abis: the ABIs of the interpreters to load them with.
        engine: a container engine that answers.
        store: takes wheels, logs and evidence.
        resources: CPUs and memory that containers may share.
    """

    bases: tuple[Base, ...]
    abis: tuple[Abi, ...]
    engine: Engine
    store: Store
    resources: Resources


def load_wheels(
    checked: Sequence[CheckedWheel],
    environment: LoadEnvironment,
    observer: Observer,
    stop: threading.Event,
) -> list[CheckedWheel]:
    """Install and import wheels on every base that they claim to run on, and add the results to each wheel.

    Args:
        checked: wheels that were read.
        environment: the bases, interpreters and engine to load them with.
        observer: shows progress.
        stop: set when the farm is asked to stop.

    Returns:
        The same wheels in the same order.

    Raises:
        Interrupted: the farm was asked to stop.
    """
    plans = _plan_wheels(checked, environment, observer)
    evidence: Mapping[JobId, Evidence] = {}
    if any(plan.loads for plan in plans):
        evidence = _run_loads(plans, environment, observer, stop)

    return [_add_results(wheel, plan, evidence) for wheel, plan in zip(checked, plans, strict=True)]


def skip_loads(
    wheel: CheckedWheel, bases: Sequence[Base], abis: Sequence[Abi], reason: str
) -> tuple[SkippedLoad, ...]:
    """Return a skipped load, with its reason, for every interpreter and base that a wheel claims to support."""
    skipped: list[SkippedLoad] = []
    for base in _claimed_bases(wheel, bases):
        for abi in _accepting_abis(wheel, abis):
            skipped.append(SkippedLoad(abi=abi.name, base=base.name, reason=reason))

    return tuple(skipped)


def _claimed_bases(wheel: CheckedWheel, bases: Sequence[Base]) -> list[Base]:
    return [base for base in bases if base.name in wheel.bases]


def _accepting_abis(wheel: CheckedWheel, abis: Sequence[Abi]) -> list[Abi]:
    return [abi for abi in abis if abi.name in wheel.abis]


def _is_loadable(wheel: CheckedWheel) -> bool:
    """Return whether some interpreter of the farm accepts the wheel, and it is neither damaged nor unsafe."""
    is_broken = any(finding.code in _BROKEN_CODES for finding in wheel.findings)
    return bool(wheel.abis) and not is_broken


def _add_to_store(wheel: CheckedWheel, store: Store) -> LocalWheel:
    """Copy a wheel into the store, and return it with its requirements. The wheel must have been read."""
    name, version, _, _ = parse_wheel_filename(wheel.filename)
    assert wheel.facts is not None, "what has an interpreter was read"
    requires = wheel.facts.metadata.get("requires-dist", ())

    return LocalWheel(
        name=str(name),
        version=version,
        filename=wheel.filename,
        sha256=store.add_file(wheel.path),
        requires=requires,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _WheelPlan:
    """The jobs that load one wheel.

    Attributes:
        loads: a load job for each base.
        prebuilt: jobs that stand in for builds, by id: of the wheel itself, and of the wheels that it requires.
        skipped: where the wheel cannot be loaded.
    """

    loads: tuple[Load, ...] = ()
    prebuilt: Mapping[JobId, Prebuilt] = field(default_factory=dict)
    skipped: tuple[SkippedLoad, ...] = ()


def prepare_wheels(
    checked: Sequence[CheckedWheel], environment: LoadEnvironment
) -> tuple[dict[int, LocalWheel], RuntimeRequirements]:
    """Copy the wheels that can be loaded into the store.

    Returns:
        These wheels, by their place among all, and what finds the wheels that they require. A wheel may be what another
        one requires.
    """
    local_wheels: dict[int, LocalWheel] = {}
    for number, wheel in enumerate(checked):
        if _is_loadable(wheel):
            local_wheels[number] = _add_to_store(wheel, environment.store)

    release = catalog.load().releases[environment.abis[0].release]
    index = Index(host.index_settings(), environment.store)
    python = Version(release.version)
    return local_wheels, RuntimeRequirements(index, python, local_wheels.values())


def _plan_wheels(
    checked: Sequence[CheckedWheel], environment: LoadEnvironment, observer: Observer
) -> list[_WheelPlan]:
    """Return a plan for each wheel, in the same order. A wheel may be what another one requires.

    A wheel that cannot be loaded gets a plan without jobs.
    """
    local_wheels, requirements = prepare_wheels(checked, environment)

    plans: list[_WheelPlan] = []
    for number, wheel in enumerate(checked):
        observer.say(f"sources: {number + 1} of {len(checked)}")
        local = local_wheels.get(number)
        if local is None:
            reason = "the wheel is damaged or unsafe"
            skipped = skip_loads(wheel, environment.bases, environment.abis, reason)
            plans.append(_WheelPlan(skipped=skipped))
        else:
            # Two builds of one release may be checked together: the number keeps their job ids apart.
            label = f"{'-'.join(wheel.abis)}.{number + 1}"
            plans.append(_plan_wheel(wheel, local, label, requirements, environment))

    return plans


def _plan_wheel(
    checked: CheckedWheel,
    wheel: LocalWheel,
    label: str,
    requirements: RuntimeRequirements,
    environment: LoadEnvironment,
) -> _WheelPlan:
    """Return the jobs that load a wheel on every base that it claims to run on.

    Interpreters for which its requirements cannot be satisfied are skipped on that base.

    Args:
        checked: the wheel as it was read.
        wheel: the same wheel in the store, with its requirements.
        label: takes the place of a base in job ids, which elsewhere is the base that a wheel was built on.
        requirements: finds the wheels that the wheel requires.
        environment: the bases and interpreters to load it with.
    """
    loads: list[Load] = []
    prebuilt_by_id: dict[JobId, Prebuilt] = {}
    skipped: list[SkippedLoad] = []
    for base in _claimed_bases(checked, environment.bases):
        required_wheels: dict[Abi, WheelFiles] = {}
        for abi in _accepting_abis(checked, environment.abis):
            try:
                required_wheels[abi] = requirements.find_wheels(wheel, abi.name, base)
            except MissingRequirementError as error:
                skipped.append(SkippedLoad(abi=abi.name, base=base.name, reason=str(error)))
        # No interpreter can load it on this base; the reasons are recorded above.
        if not required_wheels:
            continue

        base_label = label
        prebuilt = make_prebuilt(wheel, base_label, required_wheels)
        # On another base the requirements may be other wheels, which must not share job ids with these.
        if any(prebuilt_by_id.get(job.id, job) != job for job in prebuilt):
            base_label = f"{label}+{base.name}"
            prebuilt = make_prebuilt(wheel, base_label, required_wheels)
        prebuilt_by_id |= {job.id: job for job in prebuilt}

        native = tuple(job.name for job in prebuilt[1:])  # the first is the wheel itself
        load = Load(
            name=wheel.name,
            version=str(wheel.version),
            built_on=base_label,
            base=base,
            abis=tuple(required_wheels),
            requirements=RunRequirements(native=native),
        )
        loads.append(load)

    return _WheelPlan(loads=tuple(loads), prebuilt=prebuilt_by_id, skipped=tuple(skipped))


def make_prebuilt(
    wheel: LocalWheel, label: str, needed: Mapping[Abi, WheelFiles]
) -> list[Prebuilt]:
    """Return jobs that stand in for the builds of a wheel and of the wheels that it requires, the wheel itself first.

    A load job takes its wheels from build jobs. Wheels that were built elsewhere have none, so each package gets a
    `Prebuilt` job, which only hands over its wheel for each ABI.

    Args:
        wheel: the wheel to load.
        label: takes the place of a base in job ids.
        needed: the wheels that it requires, by ABI.
    """
    files_by_name = {wheel.name: {abi.name: (wheel.filename, wheel.sha256) for abi in needed}}
    for abi, required in needed.items():
        for name, file in sorted(required.items()):
            files_by_name.setdefault(name, {})[abi.name] = file

    return [
        Prebuilt(name=name, built_on=label, wheels=files) for name, files in files_by_name.items()
    ]


def _run_loads(
    plans: Sequence[_WheelPlan],
    environment: LoadEnvironment,
    observer: Observer,
    stop: threading.Event,
) -> Mapping[JobId, Evidence]:
    """Run the load jobs of all wheels, with the images that they need, and return all evidence by job id.

    The containers are removed, however the run ends.
    """
    base_names = tuple(base.name for base in environment.bases)
    image_jobs = images.image_jobs(base_names, (), catalog.load(), environment.abis)
    jobs: dict[JobId, Job] = {job.id: job for job in image_jobs}
    load_ids: list[JobId] = []
    for plan in plans:
        jobs |= plan.prebuilt
        for load in plan.loads:
            jobs[load.id] = load
            load_ids.append(load.id)

    engine = environment.engine
    executor = LocalExecutor(
        graph.Plan(jobs=jobs).subset_for(load_ids),
        environment.store,
        observer,
        lambda: engine,
        resources=environment.resources,
        stop=stop,
    )
    with clean_up_containers(engine):
        return executor.run()


def _add_results(
    checked: CheckedWheel, plan: _WheelPlan, evidence: Mapping[JobId, Evidence]
) -> CheckedWheel:
    """Return a wheel with the results of its load jobs: facts, findings, and where it could not be loaded.

    A job without a result counts as "not loaded" for each of its interpreters.
    """
    loaded: list[LoadResult] = []
    skipped = list(plan.skipped)
    findings = list(checked.findings)
    for load in plan.loads:
        base = load.base.name
        result = evidence[load.id]
        if not result.is_determined:
            for abi in load.abis:
                skipped.append(SkippedLoad(abi=abi.name, base=base, reason=result.reason))
            continue

        facts = LoadFacts.read(result)
        for abi in load.abis:
            abi_load = facts.loads[abi.name]
            loaded.append(LoadResult(abi=abi.name, base=base, facts=abi_load))
            for finding in judge_load(abi_load, load.name):
                findings.append(replace(finding, bases=(base,), log=result.log))

    return replace(
        checked,
        findings=sort_findings(merge_findings(findings)),
        loaded=tuple(loaded),
        not_loaded=tuple(skipped),
    )
