"""What `wheelfarm measure` is asked for: applications and scenarios of a matrix, interpreters, a base."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from builder.config import catalog
from builder.config.rounds import DEFAULT_ROUNDS, DEFAULT_SECONDS
from builder.errors import ExitCode, FarmError
from builder.plan.measurements import list_ways

if TYPE_CHECKING:
    from collections.abc import Sequence

    from builder.config.catalog import Base, Interpreter
    from builder.config.matrix import Application, Matrix
    from builder.config.scenarios import Scenario

FEWEST_WAYS = 2
"""Fewer are compared with nothing."""


class MeasureError(FarmError):
    """There is nothing to measure: no such application, scenario or interpreter, or no index."""

    exit_code = ExitCode.USAGE


@dataclass(frozen=True, kw_only=True, slots=True)
class MeasureRequest:
    """What is to be measured, and how.

    Attributes:
        applications: their names; empty for all that have scenarios.
        scenarios: their names; empty for all.
        interpreters: names of rows of images/interpreters.toml, the first of which the others are compared with; empty
            for all.
        base: what is measured on; empty for the first base of the application.
        is_canary: whether what waits in `canary/` is compared with what `simple/` has, and not interpreters.
        rounds: how often everything is measured.
        seconds: how long the calls of one reading take, about.
        pins: whether later measurements are compared with this one.
    """

    applications: Sequence[str] = ()
    scenarios: Sequence[str] = ()
    interpreters: Sequence[str] = ()
    base: str = ""
    is_canary: bool = False
    rounds: int = DEFAULT_ROUNDS
    seconds: float = DEFAULT_SECONDS
    pins: bool = False


def select_applications(matrix: Matrix, request: MeasureRequest) -> list[str]:
    """Return the names of the applications to measure.

    Raises:
        MeasureError: the matrix does not have one of them, or none with a scenario.
    """
    unknown = [name for name in request.applications if name not in matrix.applications]
    if unknown:
        known = ", ".join(matrix.applications) or "none"
        raise MeasureError(f"{matrix.file} has no application {unknown[0]!r}; it has {known}")

    names = list(request.applications) or list(matrix.applications)
    chosen = [name for name in names if matrix.applications[name].scenarios]
    lacking = [name for name in request.applications if name not in chosen]
    if lacking or not chosen:
        name = lacking[0] if lacking else "NAME"
        raise MeasureError(
            f"{matrix.file} has no scenario to measure; add one, such as [applications.{name}.scenarios.start] with "
            '`command = "python -m shop"` (docs/measurements.md)'
        )

    known_scenarios: set[str] = set()
    for name in chosen:
        known_scenarios.update(matrix.applications[name].scenarios)
    unknown = [name for name in request.scenarios if name not in known_scenarios]
    if unknown:
        known = ", ".join(sorted(known_scenarios))
        raise MeasureError(f"no scenario {unknown[0]!r}; there are {known}")
    return [name for name in chosen if select_scenarios(matrix.applications[name], request)]


def select_interpreters(matrix: Matrix, request: MeasureRequest) -> list[Interpreter]:
    """Return what is measured with: by itself what is compared with, then the ABIs of the matrix.

    Raises:
        MeasureError: there is no such interpreter, or nothing to compare.
    """
    tables = catalog.load()
    own = {name: tables.abis[name] for name in matrix.abis}
    known: dict[str, Interpreter] = {**own}
    if not request.is_canary:
        # What a service moves from comes first, for all others are compared with it; a trial of the JIT comes last.
        known = {**tables.comparisons, **own}
        known = dict(sorted(known.items(), key=lambda item: item[1].has_jit))

    unknown = [name for name in request.interpreters if name not in known]
    if unknown:
        raise MeasureError(f"no interpreter {unknown[0]!r}; there are {', '.join(known)}")
    chosen = [known[name] for name in request.interpreters or known]

    if not request.is_canary and len(list(list_ways(chosen))) < FEWEST_WAYS:
        raise MeasureError(
            f"nothing to compare {chosen[0].name} with; name another --interpreter: {', '.join(known)}"
        )
    return chosen


def select_base(matrix: Matrix, application: Application, request: MeasureRequest) -> Base:
    """Return the base to measure on.

    Raises:
        MeasureError: it is none of the application's.
    """
    bases = application.bases or matrix.bases
    if request.base and request.base not in bases:
        raise MeasureError(f"no base {request.base!r}; the application has {', '.join(bases)}")
    return catalog.load().bases[request.base or bases[0]]


def select_scenarios(application: Application, request: MeasureRequest) -> dict[str, Scenario]:
    """Return the scenarios of an application that are asked for, by name."""
    scenarios = application.scenarios
    names = [name for name in scenarios if not request.scenarios or name in request.scenarios]
    return {name: scenarios[name] for name in names}
