"""Search the delays with which a program shows a fault every time, where it does so by luck as it is."""

from collections.abc import Iterator
from pathlib import Path

from ..play import delays
from ..play.scenario import Scenario
from ..play.schedules import PLANS, make_plan
from .reproducer import Counted, Predicate, Prover

_RUNS = 2  # of each plan: what shows the fault twice is nearly always better than luck


def settle(prover: Prover, scenario: Scenario, reproduces: Predicate, times: int) -> Counted:
    """Find out with which delays, and how many rounds, a scenario's program shows a fault nearly each time.

    Args:
        prover: runs programs.
        scenario: the scenario, perhaps with delays.
        reproduces: tells whether a run showed the fault.
        times: how often to run the program.

    Returns:
        The scenario that showed it most often, as it is where it needs no delays, with what its program showed.
    """
    best = count_best(prover, scenario, reproduces, times)
    if best.is_sure or prover.is_late():
        return best

    more = prover.settle(best.scenario, reproduces, times)
    return more if more.shows_more_than(best) else best


def count_best(prover: Prover, scenario: Scenario, reproduces: Predicate, times: int) -> Counted:
    """Count how often a scenario's program shows a fault, with the delays that show it best; see `settle`."""
    best = prover.count(scenario, reproduces, times)
    if best.is_sure:
        return best

    for trial in iter_delayed(prover, scenario):
        if not prover.count(trial, reproduces, _RUNS).is_sure:
            continue
        counted = prover.count(trial, reproduces, times)
        if counted.shows_more_than(best):
            best = counted
        if best.is_sure:
            break

    return best


def find_showing(prover: Prover, scenario: Scenario, reproduces: Predicate) -> Scenario | None:
    """Return the scenario with the first delays that show a fault; None where none do.

    Args:
        prover: runs programs.
        scenario: the scenario, which did not show the fault as it is.
        reproduces: tells whether a run showed it.
    """
    for trial in iter_delayed(prover, scenario):
        if reproduces(prover.run(trial)):
            return trial

    return None


def iter_delayed(prover: Prover, scenario: Scenario) -> Iterator[Scenario]:
    """Give a scenario with one plan of delays after another, while there is time.

    None under a race detector, which sees a race in any order, and where the library is missing that delays.
    """
    if prover.interpreter.race or not Path(delays.LIBRARY).exists():
        return

    for seed in range(PLANS):
        if prover.is_late():
            return
        plan = make_plan(seed)
        if plan != scenario.get("delays"):
            yield {**scenario, "delays": plan}
