"""Wheels built elsewhere, loaded as a run loads its own: in the same images, by the same job, by the same rules."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from packaging.utils import parse_wheel_filename
from packaging.version import Version

from builder import host
from builder.check.companions import Companions, Neighbour, NoCompanionsError
from builder.check.read import Checked, Loaded, NotLoaded, ordered
from builder.config import catalog
from builder.execute import LocalExecutor
from builder.execute.guardian import guarded
from builder.jobs.load import Load
from builder.jobs.prebuilt import Given
from builder.judge import loads as load_rules
from builder.judge.package import merged
from builder.plan import graph as plan
from builder.sources.client import Index

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping, Sequence

    from builder.check.companions import Wheels
    from builder.config.catalog import Abi, Base
    from builder.engine.client import Engine
    from builder.execute import Observer
    from builder.jobs.job import Job
    from builder.judge.findings import Finding
    from builder.plan.resources import Room
    from builder.store.evidence import Evidence
    from builder.store.store import Store

_BROKEN = frozenset({"WF305", "WF306", "WF307", "WF308"})
"""The file is no whole and safe wheel: nobody should install it, and neither does the farm."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where wheels are loaded.

    Attributes:
        bases: all that are wanted.
        abis: interpreters.
        engine: a container engine that answers.
        store: takes wheels, logs and evidence.
        room: CPUs and memory that containers may share.
    """

    bases: tuple[Base, ...]
    abis: tuple[Abi, ...]
    engine: Engine
    store: Store
    room: Room


def load(
    checked: Sequence[Checked], place: Place, observer: Observer, stop: threading.Event
) -> list[Checked]:
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
        number: _neighbour(one, place.store) for number, one in enumerate(checked) if _whole(one)
    }
    release = catalog.load().releases[place.abis[0].release]
    companions = Companions(
        Index(host.index_settings(), place.store), Version(release.version), neighbours.values()
    )
    planned: list[_Planned] = []
    for number, one in enumerate(checked):
        observer.say(f"sources: {number + 1} of {len(checked)}")
        wheel = neighbours.get(number)
        untold = not_loaded(one, place.bases, place.abis, "it is no whole and safe wheel")
        planned.append(
            _Planned(untold=untold)
            if wheel is None
            else _plan(one, wheel, number, companions, place)
        )
    evidence = _run(planned, place, observer, stop) if any(one.loads for one in planned) else {}
    return [_told(one, plans, evidence) for one, plans in zip(checked, planned, strict=True)]


def not_loaded(
    checked: Checked, bases: Sequence[Base], abis: Sequence[Abi], reason: str
) -> tuple[NotLoaded, ...]:
    """Say of every interpreter and base a wheel claims that it was not loaded there, and why."""
    return tuple(
        NotLoaded(abi=abi.name, base=base.name, reason=reason)
        for base in _claimed(checked, bases)
        for abi in _taking(checked, abis)
    )


def _claimed(checked: Checked, bases: Sequence[Base]) -> list[Base]:
    return [base for base in bases if base.name in checked.bases]


def _taking(checked: Checked, abis: Sequence[Abi]) -> list[Abi]:
    return [abi for abi in abis if abi.name in checked.abis]


def _whole(checked: Checked) -> bool:
    return bool(checked.abis) and not any(finding.code in _BROKEN for finding in checked.findings)


def _neighbour(checked: Checked, store: Store) -> Neighbour:
    name, version, _, _ = parse_wheel_filename(checked.filename)
    requires = tuple(checked.facts["metadata"].get("requires-dist", ()))
    sha256 = store.add_file(checked.path)
    return Neighbour(
        name=str(name), version=version, filename=checked.filename, sha256=sha256, requires=requires
    )


# --- before -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class _Planned:
    """What is done with one wheel.

    Attributes:
        loads: a job for each base.
        given: wheels in the place of builds, by id: the wheel itself, and what it needs.
        untold: where it cannot be loaded.
    """

    loads: tuple[Load, ...] = ()
    given: Mapping[str, Given] = field(default_factory=dict)
    untold: tuple[NotLoaded, ...] = ()


def _plan(
    checked: Checked, wheel: Neighbour, number: int, companions: Companions, place: Place
) -> _Planned:
    """Plan to load a wheel on every base it claims, with every interpreter for which its companions can be had."""
    loads: list[Load] = []
    given: dict[str, Given] = {}
    untold: list[NotLoaded] = []
    for base in _claimed(checked, place.bases):
        needed: dict[Abi, Wheels] = {}
        for abi in _taking(checked, place.abis):
            try:
                needed[abi] = companions.of(wheel, abi.name, base)
            except NoCompanionsError as error:
                untold.append(NotLoaded(abi=abi.name, base=base.name, reason=str(error)))
        if not needed:
            continue
        label = f"{'-'.join(checked.abis)}.{number + 1}"
        brought = _given(wheel, label, needed)
        if any(
            given.get(one.id, one) != one for one in brought
        ):  # this base takes other companions than the last
            label = f"{label}+{base.name}"
            brought = _given(wheel, label, needed)
        given |= {one.id: one for one in brought}
        loads.append(
            Load(
                name=wheel.name, version=str(wheel.version), built_on=label, base=base, abis=tuple(needed),
                requires=tuple(one.name for one in brought[1:]),
            )
        )  # fmt: skip
    return _Planned(loads=tuple(loads), given=given, untold=tuple(untold))


def _given(wheel: Neighbour, label: str, needed: Mapping[Abi, Wheels]) -> list[Given]:
    """Put a wheel and its companions in the place of builds, the wheel itself first."""
    wheels = {wheel.name: {abi.name: (wheel.filename, wheel.sha256) for abi in needed}}
    for abi, companions in needed.items():
        for name, file in sorted(companions.items()):
            wheels.setdefault(name, {})[abi.name] = file
    return [Given(name=name, built_on=label, wheels=files) for name, files in wheels.items()]


# --- running ----------------------------------------------------------------------------------------------------------


def _run(
    planned: Sequence[_Planned], place: Place, observer: Observer, stop: threading.Event
) -> Mapping[str, Evidence]:  # fmt: skip
    bases = tuple(base.name for base in place.bases)
    jobs: dict[str, Job] = {
        job.id: job for job in plan.images(bases, (), catalog.load(), place.abis)
    }
    for one in planned:
        jobs |= one.given
        jobs |= {load.id: load for load in one.loads}
    graph = plan.Plan(jobs=jobs).upto(load.id for one in planned for load in one.loads)
    with contextlib.ExitStack() as guards:
        guards.callback(place.engine.reap)
        guards.enter_context(guarded(place.engine.address, place.engine.run_id))
        executor = LocalExecutor(
            graph, place.store, observer, lambda: place.engine, room=place.room, stop=stop
        )
        return executor.run()


# --- after ------------------------------------------------------------------------------------------------------------


def _told(checked: Checked, planned: _Planned, evidence: Mapping[str, Evidence]) -> Checked:
    """Add to a wheel what loading it showed."""
    loaded: list[Loaded] = []
    missed = list(planned.untold)
    found: list[Finding] = list(checked.findings)
    for load in planned.loads:
        base, known = load.base.name, evidence[load.id]
        for abi in load.abis:
            if not known.determined:
                missed.append(NotLoaded(abi=abi.name, base=base, reason=known.reason))
                continue
            facts = known.facts["loads"][abi.name]
            loaded.append(Loaded(abi=abi.name, base=base, facts=facts))
            findings = load_rules.findings(facts, load.name)
            found += (replace(finding, bases=(base,), log=known.log) for finding in findings)
    return replace(
        checked, findings=ordered(merged(found)), loaded=tuple(loaded), not_loaded=tuple(missed)
    )
