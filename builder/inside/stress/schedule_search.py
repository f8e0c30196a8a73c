"""Search the delays with which a program shows a fault every time, where it does so by luck as it is."""

from collections.abc import Iterator
from dataclasses import dataclass

from .reproducer import Predicate, Prover
from .scenario import Scenario
from .schedules import PLANS, make_plan
from .script_run import Run

_RUNS = 2  # of each plan: what shows the fault twice is nearly always better than luck


@dataclass(frozen=True, slots=True)
class Count:
    """How often the program of a scenario showed a fault.

    Attributes:
        scenario: the scenario, with the delays that it was run with.
        shown: how many runs showed it.
        ran: how many there were.
        example: the last run that showed it; None where none did.
    """

    scenario: Scenario
    shown: int
    ran: int
    example: Run | None

    @property
    def is_sure(self) -> bool:
        """Whether every run showed it."""
        return 0 < self.ran == self.shown


def count_best(prover: Prover, scenario: Scenario, reproduces: Predicate, times: int) -> Count:
    """Count how often a scenario's program shows a fault, with the delays that show it best; none where it needs none.

    Args:
        prover: runs programs.
        scenario: the scenario, perhaps with delays.
        reproduces: tells whether a run showed the fault.
        times: how often to run the program.
    """
    best = _count(prover, scenario, reproduces, times)
    if best.is_sure:
        return best

    for trial in iter_delayed(scenario, prover):
        # A hang takes as long as the prover's whole patience: it is not counted twice.
        tried = _count(prover, trial, reproduces, _RUNS)
        if not tried.is_sure:
            continue
        counted = _count(prover, trial, reproduces, times)
        if counted.shown * best.ran > best.shown * counted.ran:
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
    for trial in iter_delayed(scenario, prover):
        if reproduces(prover.run(trial)):
            return trial

    return None


def iter_delayed(scenario: Scenario, prover: Prover) -> Iterator[Scenario]:
    """Give a scenario with one plan of delays after another, while there is time.

    None under a race detector: it sees a race in any order.
    """
    if prover.interpreter.race:
        return

    for seed in range(PLANS):
        if prover.is_late():
            return
        plan = make_plan(seed)
        if plan != scenario.get("delays"):
            yield {**scenario, "delays": plan}


def _count(prover: Prover, scenario: Scenario, reproduces: Predicate, times: int) -> Count:
    shown, ran, example = prover.count(scenario, reproduces, times)
    return Count(scenario, shown, ran, example)
