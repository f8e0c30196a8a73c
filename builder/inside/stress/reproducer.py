"""Turn what was seen once into a small program that shows it again, and count how often it does."""

import time
from collections.abc import Callable
from typing import Any

from . import script
from .runner import Interpreter, Run, Scenario, run_script

_MOST_ATTEMPTS = 10  # to make a scenario smaller; each may take the interpreter's whole patience

Sign = Callable[[Run], bool]
"""Tells whether a run showed what is looked for."""


class Prover:
    """Runs scenarios as programs of their own.

    Attributes:
        interpreter: what runs them.
        prelude: modules of the package.
        modules: file names of its extension modules.
        rounds: how many rounds a program does.
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

    def render_script(self, scenario: Scenario, title: str) -> str:
        """Return a scenario's program."""
        return script.render(
            scenario,
            self.prelude,
            title=title,
            name="replay.py",
            rounds=self.rounds,
            race=self.interpreter.race,
        )

    def run(self, scenario: Scenario, **environment: str) -> Run:
        """Run a scenario's program once."""
        program = self.render_script(scenario, "trial")
        return run_script(self.interpreter, program, self.modules, **environment)

    def count(
        self, scenario: Scenario, sign: Sign, times: int, **environment: str
    ) -> tuple[int, int, Run | None]:
        """Run a scenario's program several times.

        Returns:
            How often it showed the sign, how often it ran, and a run that showed it.
        """
        shown, ran, example = 0, 0, None
        for _ in range(times):
            if ran and self._is_late():  # once is always
                break
            run = self.run(scenario, **environment)
            ran += 1
            if sign(run):
                shown += 1
                example = run

        return shown, ran, example

    def shrink(self, scenario: Scenario, sign: Sign) -> Scenario:
        """Return a scenario with as few calls as still show the sign."""
        attempts = 0
        while True:
            smaller = None
            for rows in _reduce_rows(scenario["rows"]):
                if attempts >= _MOST_ATTEMPTS or self._is_late():
                    return scenario
                attempts += 1
                trial = {**scenario, "rows": rows}
                if sign(self.run(trial)):
                    smaller = trial
                    break

            if smaller is None:
                return scenario
            scenario = smaller

    def variants(self, scenario: Scenario, sign: Sign, times: int) -> dict[str, list[int]]:
        """Run variants of a scenario that tell what it needs.

        Returns:
            By variant, how often it showed the sign and how often it ran: `shared`, as it is; `reading`, only calls
            that tell the subject's state; `private`, an object for each thread; `alone`, one thread; `gil`, as it is
            with the GIL on.
        """
        is_meeting = scenario["kind"] == "meeting"  # it takes two threads and one object
        counts = {"shared": self._count_shown(scenario, sign, times)}

        if scenario["observe"]:
            calls = [[text, None] for text in scenario["observe"]]
            reading = {**scenario, "rows": [calls], "observe": []}
            counts["reading"] = self._count_shown(reading, sign, times)

        if scenario["sharing"] == "shared" and not is_meeting:
            private = {**scenario, "sharing": "private", "observe": []}
            counts["private"] = self._count_shown(private, sign, times)

        if not is_meeting:
            calls = [call for row in scenario["rows"] for call in row]
            alone = {**scenario, "threads": 1, "rows": [calls], "observe": []}
            counts["alone"] = self._count_shown(alone, sign, times)

        counts["gil"] = self._count_shown(scenario, sign, times, PYTHON_GIL="1")
        return counts

    def _count_shown(
        self, scenario: Scenario, sign: Sign, times: int, **environment: str
    ) -> list[int]:
        shown, ran, _ = self.count(scenario, sign, times, **environment)
        return [shown, ran]

    def _is_late(self) -> bool:
        return time.monotonic() > self.deadline


def _reduce_rows(rows: list[list[Any]]) -> list[list[list[Any]]]:
    """Return smaller versions of rows: each row alone, then one row with half of its calls beside the others."""
    smaller: list[list[list[Any]]] = []
    has_long_rows = any(len(row) > 1 for row in rows)
    if len(rows) > 1 and has_long_rows:
        smaller += [[row] for row in rows]

    for place, row in enumerate(rows):
        half = len(row) // 2
        if half == 0:
            continue
        before, after = rows[:place], rows[place + 1 :]
        smaller.append([*before, row[:half], *after])
        smaller.append([*before, row[half:], *after])

    return smaller
