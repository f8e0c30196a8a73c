"""Wheels built elsewhere, loaded as a run loads its own: in the same images, by the same job, by the same rules."""

from __future__ import annotations

import contextlib
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
from builder.execute.guardian import guard_containers
from builder.jobs.load import Load
from builder.jobs.prebuilt import Prebuilt
from builder.judge.loads import judge_load
from builder.judge.package import merge_findings
from builder.plan import graph as plan
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
    from builder.judge.findings import Finding
    from builder.plan.resources import Resources
    from builder.store.evidence import Evidence
    from builder.store.store import Store

_BROKEN_CODES: frozenset[FindingCode] = frozenset({"WF305", "WF306", "WF307", "WF308"})
"""The file is no whole and safe wheel: nobody should install it, and neither does the farm."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadEnvironment:
    """Where wheels are loaded.

    Attributes:
        bases: all that are wanted.
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
    place: LoadEnvironment,
    observer: Observer,
    stop: threading.Event,
) -> list[CheckedWheel]:
    """Load wheels on every base they claim, and add to each what that showed.

    Args:
        checked: wheels that were read.
        place: where.
        observer: told what happens.
        stop: set when the farm is asked to stop.

    Returns:
        The same wheels, in the same order.

    Raises:
        Interrupted: the farm was asked to stop.
    """
    neighbours = {
        number: _local_wheel(one, place.store)
        for number, one in enumerate(checked)
        if _is_loadable(one)
    }
    release = catalog.load().releases[place.abis[0].release]
    companions = RuntimeRequirements(
        Index(host.index_settings(), place.store), Version(release.version), neighbours.values()
    )
    planned: list[_WheelPlan] = []
    for number, one in enumerate(checked):
        observer.say(f"sources: {number + 1} of {len(checked)}")
        wheel = neighbours.get(number)
        untold = skip_loads(one, place.bases, place.abis, "it is no whole and safe wheel")
        planned.append(
            _WheelPlan(skipped=untold)
            if wheel is None
            else _plan_wheel(one, wheel, number, companions, place)
        )
    evidence = (
        _run_loads(planned, place, observer, stop) if any(one.loads for one in planned) else {}
    )
    return [_add_results(one, plans, evidence) for one, plans in zip(checked, planned, strict=True)]


def skip_loads(
    checked: CheckedWheel, bases: Sequence[Base], abis: Sequence[Abi], reason: str
) -> tuple[SkippedLoad, ...]:
    """Say of every interpreter and base a wheel claims that it was not loaded there, and why."""
    return tuple(
        SkippedLoad(abi=abi.name, base=base.name, reason=reason)
        for base in _claimed_bases(checked, bases)
        for abi in _accepting_abis(checked, abis)
    )


def _claimed_bases(checked: CheckedWheel, bases: Sequence[Base]) -> list[Base]:
    return [base for base in bases if base.name in checked.bases]


def _accepting_abis(checked: CheckedWheel, abis: Sequence[Abi]) -> list[Abi]:
    return [abi for abi in abis if abi.name in checked.abis]


def _is_loadable(checked: CheckedWheel) -> bool:
    return bool(checked.abis) and not any(
        finding.code in _BROKEN_CODES for finding in checked.findings
    )


def _local_wheel(checked: CheckedWheel, store: Store) -> LocalWheel:
    name, version, _, _ = parse_wheel_filename(checked.filename)
    requires = tuple(checked.facts["metadata"].get("requires-dist", ()))
    sha256 = store.add_file(checked.path)
    return LocalWheel(
        name=str(name), version=version, filename=checked.filename, sha256=sha256, requires=requires
    )


# --- before -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class _WheelPlan:
    """What is done with one wheel.

    Attributes:
        loads: a job for each base.
        prebuilt: wheels in the place of builds, by id: the wheel itself, and what it needs.
        skipped: where it cannot be loaded.
    """

    loads: tuple[Load, ...] = ()
    prebuilt: Mapping[str, Prebuilt] = field(default_factory=dict)
    skipped: tuple[SkippedLoad, ...] = ()


def _plan_wheel(
    checked: CheckedWheel,
    wheel: LocalWheel,
    number: int,
    companions: RuntimeRequirements,
    place: LoadEnvironment,
) -> _WheelPlan:
    """Plan to load a wheel on every base it claims, with every interpreter for which its companions can be had."""
    loads: list[Load] = []
    given: dict[str, Prebuilt] = {}
    untold: list[SkippedLoad] = []
    for base in _claimed_bases(checked, place.bases):
        needed: dict[Abi, WheelFiles] = {}
        for abi in _accepting_abis(checked, place.abis):
            try:
                needed[abi] = companions.find_wheels(wheel, abi.name, base)
            except MissingRequirementError as error:
                untold.append(SkippedLoad(abi=abi.name, base=base.name, reason=str(error)))
        if not needed:
            continue
        label = f"{'-'.join(checked.abis)}.{number + 1}"
        brought = _make_prebuilt(wheel, label, needed)
        if any(
            given.get(one.id, one) != one for one in brought
        ):  # this base takes other companions than the last
            label = f"{label}+{base.name}"
            brought = _make_prebuilt(wheel, label, needed)
        given |= {one.id: one for one in brought}
        loads.append(
            Load(
                name=wheel.name, version=str(wheel.version), built_on=label, base=base, abis=tuple(needed),
                requires=tuple(one.name for one in brought[1:]),
            )
        )  # fmt: skip
    return _WheelPlan(loads=tuple(loads), prebuilt=given, skipped=tuple(untold))


def _make_prebuilt(
    wheel: LocalWheel, label: str, needed: Mapping[Abi, WheelFiles]
) -> list[Prebuilt]:
    """Put a wheel and its companions in the place of builds, the wheel itself first."""
    wheels = {wheel.name: {abi.name: (wheel.filename, wheel.sha256) for abi in needed}}
    for abi, companions in needed.items():
        for name, file in sorted(companions.items()):
            wheels.setdefault(name, {})[abi.name] = file
    return [Prebuilt(name=name, built_on=label, wheels=files) for name, files in wheels.items()]


# --- running ----------------------------------------------------------------------------------------------------------


def _run_loads(
    planned: Sequence[_WheelPlan], place: LoadEnvironment, observer: Observer, stop: threading.Event
) -> Mapping[str, Evidence]:  # fmt: skip
    bases = tuple(base.name for base in place.bases)
    jobs: dict[str, Job] = {
        job.id: job for job in plan.image_jobs(bases, (), catalog.load(), place.abis)
    }
    for one in planned:
        jobs |= one.prebuilt
        jobs |= {load.id: load for load in one.loads}
    graph = plan.Plan(jobs=jobs).subset_for(load.id for one in planned for load in one.loads)
    with contextlib.ExitStack() as guards:
        guards.callback(place.engine.reap)
        guards.enter_context(guard_containers(place.engine.address, place.engine.run_id))
        executor = LocalExecutor(
            graph, place.store, observer, lambda: place.engine, room=place.resources, stop=stop
        )
        return executor.run()


# --- after ------------------------------------------------------------------------------------------------------------


def _add_results(
    checked: CheckedWheel, planned: _WheelPlan, evidence: Mapping[str, Evidence]
) -> CheckedWheel:
    """Add to a wheel what loading it showed."""
    loaded: list[LoadResult] = []
    missed = list(planned.skipped)
    found: list[Finding] = list(checked.findings)
    for load in planned.loads:
        base, known = load.base.name, evidence[load.id]
        for abi in load.abis:
            if not known.is_determined:
                missed.append(SkippedLoad(abi=abi.name, base=base, reason=known.reason))
                continue
            facts = known.facts["loads"][abi.name]
            abi_load = LoadFacts.read(known).loads[abi.name]
            loaded.append(LoadResult(abi=abi.name, base=base, facts=facts))
            findings = judge_load(abi_load, load.name)
            found += (replace(finding, bases=(base,), log=known.log) for finding in findings)
    return replace(
        checked,
        findings=sort_findings(merge_findings(found)),
        loaded=tuple(loaded),
        not_loaded=tuple(missed),
    )
