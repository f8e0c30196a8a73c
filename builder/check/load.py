"""Wheels built elsewhere, loaded as a run loads its own: in the same images, by the same job, by the same rules."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from packaging.utils import parse_wheel_filename
from packaging.version import Version

from builder import host
from builder.check.companions import LocalWheel, MissingRequirementError, RuntimeRequirements
from builder.check.read import CheckedWheel, LoadResult, SkippedLoad, sort_findings
from builder.config import catalog
from builder.evidence.load import LoadFacts
from builder.execute import LocalExecutor
from builder.execute.guardian import clean_up_containers
from builder.jobs.load import Load
from builder.jobs.prebuilt import Prebuilt
from builder.judge.loads import judge_load
from builder.judge.package import merge_findings
from builder.plan import graph
from builder.sources.client import Index

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping, Sequence

    from builder.check.companions import WheelFiles
    from builder.config.catalog import Abi, Base
    from builder.engine.client import Engine
    from builder.execute import Observer
    from builder.finding_codes import FindingCode
    from builder.jobs.job import Job
    from builder.plan.resources import Resources
    from builder.store.evidence import Evidence
    from builder.store.job_ids import JobId
    from builder.store.store import Store

_BROKEN_CODES: frozenset[FindingCode] = frozenset({"WF305", "WF306", "WF307", "WF308"})
"""The wheel is damaged or unsafe: nobody should install it, and neither does the farm."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadEnvironment:
    """Where wheels are loaded.

    Attributes:
        bases: all that were asked for.
        abis: interpreters.
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
    """Load wheels on every base they claim, and add to each what that showed.

    Args:
        checked: wheels that were read.
        environment: where.
        observer: shows progress.
        stop: set when the farm is asked to stop.

    Returns:
        The same wheels, in the same order.

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
    """Say of every interpreter and base a wheel claims that it was not loaded there, and why."""
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
    is_broken = any(finding.code in _BROKEN_CODES for finding in wheel.findings)
    return bool(wheel.abis) and not is_broken


def _add_to_store(wheel: CheckedWheel, store: Store) -> LocalWheel:
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
    """What is done with one wheel.

    Attributes:
        loads: a job for each base.
        prebuilt: wheels in the place of builds, by id: the wheel itself, and what it needs.
        skipped: where it cannot be loaded.
    """

    loads: tuple[Load, ...] = ()
    prebuilt: Mapping[JobId, Prebuilt] = field(default_factory=dict)
    skipped: tuple[SkippedLoad, ...] = ()


def _plan_wheels(
    checked: Sequence[CheckedWheel], environment: LoadEnvironment, observer: Observer
) -> list[_WheelPlan]:
    """Plan the loads of all wheels; each may be what another one requires."""
    local_wheels: dict[int, LocalWheel] = {}
    for number, wheel in enumerate(checked):
        if _is_loadable(wheel):
            local_wheels[number] = _add_to_store(wheel, environment.store)

    release = catalog.load().releases[environment.abis[0].release]
    index = Index(host.index_settings(), environment.store)
    requirements = RuntimeRequirements(index, Version(release.version), local_wheels.values())

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
    """Plan to load a wheel on every base it claims, with every interpreter for which its requirements can be satisfied.

    Args:
        checked: the wheel.
        wheel: the same, in the store.
        label: stands where the job's id has the base that a wheel was built on.
        requirements: finds what it requires.
        environment: where wheels are loaded.
    """
    loads: list[Load] = []
    prebuilt_by_id: dict[JobId, Prebuilt] = {}
    skipped: list[SkippedLoad] = []
    for base in _claimed_bases(checked, environment.bases):
        needed: dict[Abi, WheelFiles] = {}
        for abi in _accepting_abis(checked, environment.abis):
            try:
                needed[abi] = requirements.find_wheels(wheel, abi.name, base)
            except MissingRequirementError as error:
                skipped.append(SkippedLoad(abi=abi.name, base=base.name, reason=str(error)))
        if not needed:
            continue

        base_label = label
        prebuilt = _make_prebuilt(wheel, base_label, needed)
        # Requirements may be other wheels on another base: then they must not stand under the same ids.
        if any(prebuilt_by_id.get(job.id, job) != job for job in prebuilt):
            base_label = f"{label}+{base.name}"
            prebuilt = _make_prebuilt(wheel, base_label, needed)
        prebuilt_by_id |= {job.id: job for job in prebuilt}

        load = Load(
            name=wheel.name,
            version=str(wheel.version),
            built_on=base_label,
            base=base,
            abis=tuple(needed),
            requires=tuple(job.name for job in prebuilt[1:]),
        )
        loads.append(load)

    return _WheelPlan(loads=tuple(loads), prebuilt=prebuilt_by_id, skipped=tuple(skipped))


def _make_prebuilt(
    wheel: LocalWheel, label: str, needed: Mapping[Abi, WheelFiles]
) -> list[Prebuilt]:
    """Put a wheel and what it requires in the place of builds, the wheel itself first."""
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
    bases = tuple(base.name for base in environment.bases)
    images = graph.image_jobs(bases, (), catalog.load(), environment.abis)
    jobs: dict[JobId, Job] = {job.id: job for job in images}
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
    """Add to a wheel what loading it showed."""
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
