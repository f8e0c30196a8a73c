"""The jobs that measure applications: what is compared with what, and what is installed for it."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import TYPE_CHECKING

from builder import index
from builder.config import catalog
from builder.config.cool_down import CoolDown
from builder.errors import FarmError
from builder.evidence.measurement import PendingWheels
from builder.farm.application_files import (
    ApplicationError,
    find_system_packages,
    keep_files,
    read_lock,
)
from builder.farm.measure_request import FEWEST_WAYS, select_base, select_scenarios
from builder.farm.measurement_wheels import WheelFinder
from builder.host import settings as host
from builder.index.rollout import find_pending
from builder.jobs.measurement import Environment, Measurement, Variant
from builder.plan.measurements import Group, Way, list_ways, plan_variants
from builder.sources.client import Index
from builder.untrusted.text import clean_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from builder.config.catalog import Interpreter
    from builder.config.matrix import Application, Matrix
    from builder.farm.measure_request import MeasureRequest
    from builder.store.store import Store

_SCENARIO_LIMIT_S = 7200.0
"""Longest time of all rounds of a scenario; a limit for what hangs, and no plan."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Comparison:
    """What is compared.

    Attributes:
        groups: ways to run the application, with what each is compared with.
        environments: what is installed, by name.
        lacking: by interpreter that cannot be measured with, why.
        pending: the releases of `canary/` that it is about.
    """

    groups: tuple[Group, ...]
    environments: Mapping[str, Environment]
    lacking: Mapping[str, str]
    pending: tuple[PendingWheels, ...] = ()


def make_job(
    name: str,
    matrix: Matrix,
    store: Store,
    request: MeasureRequest,
    interpreters: Sequence[Interpreter],
    manifests: Mapping[str, index.Manifest],
) -> Measurement:
    """Return the job that measures an application.

    Args:
        name: of the application.
        matrix: has it.
        store: gets the files of the project, and upstream's wheels.
        request: what is to be measured.
        interpreters: what is measured with.
        manifests: the content of each channel of the index.

    Raises:
        MeasureError: it has no such base.
        FarmError: its lock or its files cannot be used, or there is nothing to compare.
    """
    application = matrix.applications[name]
    base = select_base(matrix, application, request)
    scenarios = select_scenarios(application, request)
    finder = WheelFinder(
        matrix=matrix,
        base=base,
        served=manifests[index.SERVED_CHANNEL],
        canary=manifests.get(index.CANARY_CHANNEL, {}),
        index=Index(host.index_settings(), store, CoolDown.for_matrix(matrix)),
    )
    if request.is_canary:
        compared = _compare_channels(name, application, finder, interpreters)
    else:
        compared = _compare_interpreters(application, finder, interpreters)

    thread_counts: set[int] = set()
    for scenario in scenarios.values():
        thread_counts.update(scenario.thread_counts)

    locked: list[str] = []
    for package in read_lock(matrix, application, interpreters[0]):
        locked += matrix.find_packages(package.name)
    return Measurement(
        name=name,
        base=base.name,
        python=catalog.load().abis[matrix.abis[0]].python,
        environments=compared.environments,
        variants=_plan_measurable(compared, thread_counts),
        scenarios=scenarios,
        lacking=compared.lacking,
        variables=application.env,
        packages=find_system_packages(matrix, application, locked, base),
        files=keep_files(matrix, application, store),
        rounds=request.rounds,
        seconds=request.seconds,
        limit_s=_SCENARIO_LIMIT_S,
        moment=read_clock(),
        is_whole=not (request.scenarios or request.interpreters),
        pending=compared.pending,
    )


def read_clock() -> str:
    """Return what time it is, UTC and ISO 8601."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def _compare_interpreters(
    application: Application, finder: WheelFinder, interpreters: Sequence[Interpreter]
) -> _Comparison:
    """Return the comparison of all interpreters that the lock can be installed for with the first of them.

    Raises:
        ApplicationError: fewer than two are left.
    """
    environments: dict[str, Environment] = {}
    lacking: dict[str, str] = {}
    for interpreter in interpreters:
        try:
            environments[interpreter.name] = finder.make_environment(application, interpreter)
        except FarmError as error:
            lacking[interpreter.name] = clean_line(str(error))

    ways = list(list_ways(environments[name].interpreter for name in environments))
    if len(ways) < FEWEST_WAYS:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in lacking.items())
        raise ApplicationError(f"there are not two interpreters to compare: {reasons}")

    baseline, *others = ways
    group = Group(baseline=baseline, others=tuple(others))
    return _Comparison(groups=(group,), environments=environments, lacking=lacking)


def _compare_channels(
    name: str, application: Application, finder: WheelFinder, interpreters: Sequence[Interpreter]
) -> _Comparison:
    """Return the comparison of what waits in `canary/` with what `simple/` has, for each interpreter.

    Raises:
        ApplicationError: nothing that the application locks waits there.
    """
    groups: list[Group] = []
    environments: dict[str, Environment] = {}
    lacking: dict[str, str] = {}
    pending: dict[str, PendingWheels] = {}
    waiting = find_pending(finder.served, finder.canary)
    for interpreter in interpreters:
        releases = finder.find_pending(application, interpreter, waiting)
        for release in releases.values():
            hashes = tuple(sorted(release.hashes))
            pending[release.name] = PendingWheels(release=release.name, hashes=hashes)
        if not releases:
            continue
        try:
            before, after = finder.make_canary_environments(application, interpreter, releases)
        except FarmError as error:
            lacking[interpreter.name] = clean_line(str(error))
            continue

        served, canary = (f"{interpreter.name} {channel}" for channel in ("simple", "canary"))
        environments |= {served: before, canary: after}
        baseline = Way(title=served, environment=served)
        other = Way(title=canary, environment=canary)
        groups.append(Group(baseline=baseline, others=(other,)))

    if not pending:
        raise ApplicationError(
            f"nothing that {name} locks waits in canary/; `wheelfarm promote --list` shows what does"
        )
    return _Comparison(
        groups=tuple(groups),
        environments=environments,
        lacking=lacking,
        pending=tuple(pending.values()),
    )


def _plan_measurable(compared: _Comparison, thread_counts: Iterable[int]) -> tuple[Variant, ...]:
    """Return the variants of a comparison.

    Raises:
        ApplicationError: there are none, for nothing can be installed.
    """
    if not compared.groups:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in compared.lacking.items())
        raise ApplicationError(f"nothing can be installed: {reasons}")
    return plan_variants(compared.groups, thread_counts)
