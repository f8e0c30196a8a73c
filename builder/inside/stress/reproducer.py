"""Turn what was seen once into a small program that shows it again, and count how often it does."""

import time
from collections.abc import Callable
from typing import Any

from . import script
from .runner import Interpreter, Run, run_script

_MOST_ATTEMPTS = 10

Sign = Callable[[Run], bool]
"""Tells whether a run showed what is looked for."""


class Prover:
    """Runs scenarios as programs of their own.

    Attributes:
        interpreter: what runs them.
        prelude: modules of the package.
        modules: file names of its extension modules.
        deadline: end of all proving, by the monotonic clock.
    """

    def __init__(
        self,
        interpreter: Interpreter,
        prelude: list[str],
        modules: set[str],
        *,
        rounds: int,
        deadline: float,
    ) -> None:
        self.interpreter = interpreter
        self.prelude = prelude
        self.modules = modules
        self.rounds = rounds
        self.deadline = deadline

    def render_script(self, scenario: dict[str, Any], title: str, rounds: int | None = None) -> str:
        """Return a scenario's program."""
        return script.render(
            scenario,
            self.prelude,
            title=title,
            name="replay.py",
            rounds=rounds or self.rounds,
            race=self.interpreter.race,
        )

    def run(self, scenario: dict[str, Any], **environment: str) -> Run:
        """Run a scenario's program once."""
        return run_script(
            self.interpreter, self.render_script(scenario, "trial"), self.modules, **environment
        )

    def count(
        self, scenario: dict[str, Any], sign: Sign, times: int, **environment: str
    ) -> tuple[int, int, Run | None]:
        """Run a scenario's program several times; return how often it showed the sign, how often it ran, and a run that did."""
        shown, ran, example = 0, 0, None
        for _ in range(times):
            if time.monotonic() > self.deadline and ran:
                break
            run = self.run(scenario, **environment)
            ran += 1
            if sign(run):
                shown += 1
                example = run
        return shown, ran, example

    def shrink(self, scenario: dict[str, Any], sign: Sign) -> dict[str, Any]:
        """Return a scenario with as few calls as still show the sign."""
        attempts = 0
        changed = True
        while changed and attempts < _MOST_ATTEMPTS and time.monotonic() < self.deadline:
            changed = False
            for rows in _reduced(scenario["rows"]):
                attempts += 1
                trial = {**scenario, "rows": rows}
                if sign(self.run(trial)):
                    scenario, changed = trial, True
                    break
                if attempts >= _MOST_ATTEMPTS or time.monotonic() > self.deadline:
                    break
        return scenario

    def variants(self, scenario: dict[str, Any], sign: Sign, times: int) -> dict[str, list[int]]:
        """Run variants of a scenario that tell what it needs.

        Returns:
            By arm, how often it showed the sign and how often it ran: `shared`, as it is; `reading`, only calls that
            tell the subject's state; `private`, an object for each thread; `alone`, one thread; `gil`, as it is with the GIL on.
        """
        found = {"shared": [*self.count(scenario, sign, times)[:2]]}
        if scenario["observe"]:
            reading = {
                **scenario,
                "rows": [[[text, None] for text in scenario["observe"]]],
                "observe": [],
            }
            found["reading"] = [*self.count(reading, sign, times)[:2]]
        if scenario["sharing"] == "shared" and scenario["kind"] != "meeting":
            found["private"] = [
                *self.count({**scenario, "sharing": "private", "observe": []}, sign, times)[:2]
            ]
        if scenario["kind"] != "meeting":
            calls = [call for row in scenario["rows"] for call in row]
            found["alone"] = [
                *self.count(
                    {**scenario, "threads": 1, "rows": [calls], "observe": []}, sign, times
                )[:2]
            ]
        found["gil"] = [*self.count(scenario, sign, times, PYTHON_GIL="1")[:2]]
        return found


def _reduced(rows: list[list[Any]]) -> list[list[list[Any]]]:
    """Return smaller versions of rows, the smallest first: one call each, then halves, then one row less."""
    found: list[list[list[Any]]] = []
    if len(rows) > 1:
        found += [[row] for row in rows if any(len(other) > 1 for other in rows)]
    for place, row in enumerate(rows):
        if len(row) > 1:
            half = len(row) // 2
            found += [
                [*rows[:place], part, *rows[place + 1 :]] for part in (row[:half], row[half:])
            ]
    return found
