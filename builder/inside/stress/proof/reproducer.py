"""Turn what was seen once into a small program that shows it again, and count how often it does."""

import itertools
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Self

from ...supervise.work_clock import CLOCK
from ..play.player import Player
from ..play.scenarios import Scenario
from ..process.interpreter import Interpreter
from ..sanitizer.frames import Location
from . import script, short_script
from .arms import Arms, make_arms
from .script_run import Run, run_script

_MOST_ATTEMPTS = 10  # to make a scenario smaller; each may take the interpreter's whole patience

_MORE_ROUNDS = (4,)  # times as many, where not every run of a program shows what was seen

_MARGIN = 4
"""Times as many rounds as were enough: a program that is kept has to show the fault where there is less luck, too."""

_FEWEST_TURNS = 3
"""Events that the time is shared among, where there are as many: what cannot be shown again leaves some of it."""

_FEWEST_RUNS = 2  # of a program that shows the fault: what was shown once may have been luck
_SHORT_RUNS = 2  # of the program for people: it is told how often it showed the fault
_MOST_NAMED = 2  # calls of one function that are tried by themselves
_MOST_SUGGESTED = 3  # single calls, and as many pairs: each takes a run

_DECIDING = frozenset({"private", "alone"})
"""Variants that tell whether a harm is the package's at all, and whether anybody can avoid it."""

Predicate = Callable[[Run], bool]
"""Returns whether a run showed again what was seen once, such as a crash or a certain race."""


class Counted(NamedTuple):
    """How often a scenario's program showed what was seen.

    Attributes:
        scenario: the scenario.
        shown: how many runs showed it.
        ran: how many runs there were.
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

    def shows_more_than(self, other: Self) -> bool:
        """Return whether a larger share of its runs showed it."""
        return self.shown * other.ran > other.shown * self.ran


class Prover:
    """Runs scenarios as small programs, and counts how often these show what was seen.

    Attributes:
        interpreter: what runs them.
        prelude: modules of the package.
        modules: file names of its extension modules.
        rounds: how many rounds a program does.
        deadline: end of all proving, by the clock of work.
        companions: modules of other packages, which are imported before those of the package.
        player: plays what is tried only to find a smaller scenario, or what a harm needs, in processes that are forked:
            that takes less than starting each anew. None to start them.
    """

    def __init__(
        self,
        interpreter: Interpreter,
        prelude: list[str],
        modules: set[str],
        *,
        rounds: int,
        deadline: float,
        companions: Sequence[str] = (),
        player: Player | None = None,
    ) -> None:
        self.interpreter = interpreter
        self.prelude = prelude
        self.modules = modules
        self.rounds = rounds
        self.deadline = deadline
        self._turn_ends = deadline
        self.companions = companions
        self.player = player

    def render_kept(self, scenario: Scenario, title: str) -> str:
        """Return the source of a program that is kept: it makes more rounds than were enough (`render_script`)."""
        rounds = _MARGIN * self.count_rounds(scenario)
        return self.render_script({**scenario, "rounds": rounds}, title)

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
            rounds=self.count_rounds(scenario),
            race=self.interpreter.race,
            companions=self.companions,
        )

    def try_short(self, scenario: Scenario, title: str, reproduces: Predicate) -> dict[str, Any]:
        """Write a program for people to read, and run it a few times; empty where the scenario is not that simple.

        Args:
            scenario: a scenario that reproduces what was seen.
            title: the first line of the program's docstring.
            reproduces: tells whether a run showed it again.

        Returns:
            `short` (the program) and `short_shown` (how often it showed that, and how often it ran).
        """
        text = short_script.render(
            scenario,
            self.prelude,
            title=title,
            rounds=self.count_rounds(scenario),
            race=self.interpreter.race,
        )
        if not text or self.is_late():
            return {}

        shown, ran = 0, 0
        while ran < _SHORT_RUNS and not self.is_late():
            run = run_script(self.interpreter, text, self.modules)
            ran += 1
            shown += reproduces(run)
            if "hang" in run.what:  # another one would take as long again
                break
        return {"short": text, "short_shown": [shown, ran]}

    def run(self, scenario: Scenario, **environment: str) -> Run:
        """Run a scenario's program once."""
        program = self.render_script(scenario, "trial")
        return run_script(self.interpreter, program, self.modules, **environment)

    def count(
        self, scenario: Scenario, reproduces: Predicate, times: int, **environment: str
    ) -> Counted:
        """Run a scenario's program several times; fewer where the time is up, but one that shows it at least twice.

        Args:
            scenario: the scenario.
            reproduces: tells whether a run showed again what was seen.
            times: how often to run the program.
            environment: further environment variables.
        """
        shown, ran, example = 0, 0, None
        for _ in range(times):
            is_enough = ran >= _FEWEST_RUNS or (ran and not shown)
            if is_enough and self.is_late():
                break
            run = self.run(scenario, **environment)
            ran += 1
            if reproduces(run):
                shown += 1
                example = run

        return Counted(scenario, shown, ran, example)

    def settle(self, scenario: Scenario, reproduces: Predicate, times: int) -> Counted:
        """Find out with how many rounds a scenario's program shows nearly each time what was seen.

        What is rare in few rounds is not in many. Of the numbers that are tried, the one that shows it most often is
        taken.

        Args:
            scenario: the scenario.
            reproduces: tells whether a run showed again what was seen.
            times: how often to run the program.

        Returns:
            What `count` does, of the scenario with that number of rounds.
        """
        best = self.count(scenario, reproduces, times)
        for factor in _MORE_ROUNDS:
            if best.is_sure or self.is_late():
                break
            trial = {**scenario, "rounds": factor * self.count_rounds(scenario)}
            counted = self.count(trial, reproduces, times)
            if counted.shows_more_than(best):
                best = counted

        return best

    def shrink(
        self, scenario: Scenario, reproduces: Predicate, functions: Sequence[str] = ()
    ) -> Scenario:
        """Return a smaller scenario that still reproduces what was seen; the given one where no smaller one does.

        This is greedy minimisation, as in delta debugging: of the smaller versions of the scenario, the first that
        reproduces it is taken, and made smaller in the same way, until none does. The smallest scenario so far is
        returned early after `_MOST_ATTEMPTS` runs, or when the time is up.

        If calls `a` and `d` crash together, the rows `[[a, b], [c, d]]` shrink to `[[a], [c, d]]`, then `[[a], [d]]`;
        and to `[[a]]` if one call is enough, made by all threads. What names the functions at fault is tried first.

        Args:
            scenario: a scenario that reproduces it.
            reproduces: tells whether a run showed it again.
            functions: dotted names of the functions that the stacks blame.
        """
        attempts = 0
        smallest = scenario
        suggestions = suggest_rows(scenario["rows"], functions)
        is_shrinking = True
        while is_shrinking:
            is_shrinking = False
            candidates = [*suggestions, *_reduce_rows(smallest["rows"])]
            suggestions = []
            for rows in candidates:
                if attempts >= _MOST_ATTEMPTS or self.is_late():
                    return smallest

                attempts += 1
                trial = {**smallest, "rows": rows}
                if reproduces(self._try(trial)):
                    smallest = trial
                    is_shrinking = True
                    break  # go on with smaller versions of this one

        return smallest

    def variants(
        self, scenario: Scenario, reproduces: Predicate, times: int, shared: list[int]
    ) -> Arms:
        """Run variants of a scenario, to learn whether the harm needs threads, a shared object, or no GIL.

        Those that decide most come first, and run at least once; others are left out where the time is up.

        Args:
            scenario: a scenario that reproduces what was seen.
            reproduces: tells whether a run showed again what was seen.
            times: how often to run each variant.
            shared: what the scenario as it is came to.

        Returns:
            For each variant, how many runs reproduced the harm, and how many there were: `shared`, the scenario as it
            is; those of arms.py; `gil`, the scenario as it is with the GIL on.
        """
        counts = {"shared": shared}
        arms = make_arms(scenario)
        for name in sorted(arms, key=lambda name: name not in _DECIDING):
            if name in _DECIDING or not self.is_late():
                counts[name] = self._count_variant(arms[name], reproduces, times)

        return counts | self.try_with_gil(scenario, reproduces, times)

    def try_with_gil(self, scenario: Scenario, reproduces: Predicate, times: int) -> Arms:
        """Run a scenario with the GIL on; return the counts as the variant `gil`, none where the time is up."""
        if self.is_late():
            return {}
        counted = self.count(scenario, reproduces, times, PYTHON_GIL="1")
        return {"gil": [counted.shown, counted.ran]}

    def _count_variant(self, scenario: Scenario, reproduces: Predicate, times: int) -> list[int]:
        """Return how many tries of a variant reproduced what was seen, and how many there were."""
        shown, ran = 0, 0
        for _ in range(times):
            if ran and self.is_late():
                break
            ran += 1
            shown += reproduces(self._try(scenario))

        return [shown, ran]

    def count_rounds(self, scenario: Scenario) -> int:
        """Return how many rounds the program of a scenario makes."""
        return scenario.get("rounds") or self.rounds

    def _try(self, scenario: Scenario) -> Run:
        """Run a scenario once, as cheaply as possible."""
        if self.player is None:
            return self.run(scenario)

        played = self.player.play_more(
            [scenario], rounds=self.count_rounds(scenario), seconds=self.interpreter.patience_s
        )
        races: dict[tuple[str, ...], list[Location]] = {}
        for event in played.events:
            if event["what"] == "race" and event["owner"] == "package":
                races[tuple(event["places"])] = event["locations"]
        what = {event["what"] for event in played.events if event["what"] != "race"}

        return Run(frozenset({*what, "race"} if races else what), races, output="")

    def begin_turn(self, waiting: int) -> None:
        """Give what is shown next its share of the time that is left.

        Args:
            waiting: how many others are still to be shown.
        """
        now = CLOCK.now()
        self._turn_ends = now + (self.deadline - now) / min(waiting + 1, _FEWEST_TURNS)

    def is_late(self) -> bool:
        """Return whether the time for what is shown now is up."""
        return CLOCK.now() > self._turn_ends


def suggest_rows(rows: list[list[Any]], functions: Sequence[str]) -> list[list[list[Any]]]:
    """Return rows of the few calls that name some functions: each call against itself, then two against each other.

    Empty where none names them, or there is nothing else to leave out.

    Args:
        rows: of a scenario.
        functions: dotted names, such as `pkg.Table.__getitem__`, which `operator.getitem(s, 1)` names.
    """
    calls = [call for row in rows for call in row]
    if len(calls) < 2:  # noqa: PLR2004 - a single call is as small as it gets
        return []

    named: list[Any] = []
    for function in functions:
        name = function.rpartition(".")[2]
        word = name.strip("_") if name.startswith("__") else name
        pattern = re.compile(rf"(?<![A-Za-z0-9_]){re.escape(word)}(?![A-Za-z0-9_])")
        matching = [call for call in calls if word and pattern.search(call[0])]
        # Those with the shortest text do the least besides.
        matching.sort(key=lambda call: len(call[0]))
        named += [call for call in matching[:_MOST_NAMED] if call not in named]

    single = [[[call]] for call in named]
    paired = [[[first], [second]] for first, second in itertools.combinations(named, 2)]
    return [*single[:_MOST_SUGGESTED], *paired[:_MOST_SUGGESTED]]


def _reduce_rows(rows: list[list[Any]]) -> list[list[list[Any]]]:
    """Return smaller versions of a scenario's rows (lists of calls) to be tried in turn; empty where there is one call.

    First comes each row alone: all threads then make its calls. Then come all rows, with one of them cut to its first
    or its second half. `[[a, b], [c]]` -> `[[a, b]]`, `[[c]]`, `[[a], [c]]`, `[[b], [c]]`.
    """
    smaller: list[list[list[Any]]] = []
    if len(rows) > 1:
        smaller += [[row] for row in rows]

    for number, row in enumerate(rows):
        half = len(row) // 2
        if half == 0:
            continue
        before, after = rows[:number], rows[number + 1 :]
        smaller.append([*before, row[:half], *after])
        smaller.append([*before, row[half:], *after])

    return smaller
