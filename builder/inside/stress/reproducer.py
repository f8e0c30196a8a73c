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
    """Runs scenarios as small programs, and counts how often these show what was seen.

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
        """Return the source of a program that runs a scenario.

        Args:
            scenario: the scenario.
            title: the first line of the program's docstring.
        """
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
        """Run a scenario's program several times; fewer, but at least once, where the time is up.

        Args:
            scenario: the scenario.
            sign: tells whether a run showed what is looked for.
            times: how often to run the program.
            environment: further environment variables.

        Returns:
            How often it showed the sign, how often it ran, and the last run that showed it (None where none did).
        """
        shown, ran, example = 0, 0, None
        for _ in range(times):
            if ran and self._is_late():
                break
            run = self.run(scenario, **environment)
            ran += 1
            if sign(run):
                shown += 1
                example = run

        return shown, ran, example

    def shrink(self, scenario: Scenario, sign: Sign) -> Scenario:
        """Return a scenario with as few calls as still show the sign.

        As long as a smaller scenario shows it, that one is made smaller in turn. The scenario comes back as it is where
        none of them does; the search ends early after some attempts, or when the time is up.

        Args:
            scenario: a scenario that shows the sign.
            sign: tells whether a run showed what is looked for.
        """
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
        """Run variants of a scenario, whose counts tell what a harm needs: threads, a shared object, no GIL.

        Args:
            scenario: a scenario that shows the sign.
            sign: tells whether a run showed what is looked for.
            times: how often to run each variant.

        Returns:
            For each variant, how often it showed the sign and how often it ran: `shared`, as it is; `reading`, only
            calls that show the subject's state; `private`, an object for each thread; `alone`, one thread; `gil`, as it
            is with the GIL on. A variant that makes no sense for the scenario is missing.
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
        """Return how often a scenario's program showed the sign, and how often it ran. See `count`."""
        shown, ran, _ = self.count(scenario, sign, times, **environment)
        return [shown, ran]

    def _is_late(self) -> bool:
        return time.monotonic() > self.deadline


def _reduce_rows(rows: list[list[Any]]) -> list[list[list[Any]]]:
    """Return smaller versions of a scenario's rows, to be tried one after another; empty where each has one call.

    First come the rows alone (if any has several calls), then all rows with one of them cut to its first or second
    half.
    """
    smaller: list[list[list[Any]]] = []
    has_long_rows = any(len(row) > 1 for row in rows)
    if len(rows) > 1 and has_long_rows:
        smaller += [[row] for row in rows]

    for number, row in enumerate(rows):
        half = len(row) // 2
        if half == 0:
            continue
        before, after = rows[:number], rows[number + 1 :]
        smaller.append([*before, row[:half], *after])
        smaller.append([*before, row[half:], *after])

    return smaller
