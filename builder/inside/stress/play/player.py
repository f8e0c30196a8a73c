"""Play scenarios in processes of their own, and collect what is seen.

An end that the process did not announce is an event.
"""

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from ...supervise.gil import GilState
from ...supervise.records import Records
from ...supervise.work_clock import CLOCK
from ..process.interpreter import Interpreter
from ..sanitizer.causes import ReportJudge
from ..sanitizer.native_names import NativeNames
from .endings import Ending, count_memory_kills, describe_end
from .events import Event
from .forkserver_process import ForkServer, watch
from .scenarios import Scenario

_GROUP_LEAST_S = 1.5  # for a group of scenarios, though its share of the time is less
_LONGEST_LEAST_S = 0.5  # for one scenario, though its share of the time is less
_LONGEST_SHARE = 1 / 24
"""Of all the time, for one scenario whose calls come to an end: slow ones may not take the time of all others."""
_TOUR_SHARE = 1 / 8
"""The same for one that calls all that there is."""
_MOST_DEATHS = 3  # processes of a group that may end early before the rest of the group is left out
_KEPT_SENTENCES = 3  # about wrong results of one scenario

_ITERATIONS_DIVISOR = 3  # a sanitizer takes ten times as long, and sees a race that happened once
_LEAST_ITERATIONS = 10

_REST = -1  # in the place of a scenario's place: what was printed after the last one that ended


@dataclass(slots=True)
class PlayResult:
    """What was seen while a list of scenarios ran.

    Attributes:
        events: what was seen.
        ended: ids of the scenarios that came to their end.
        seconds: how long each took, by id.
        errors: exceptions of the scenarios, by text.
        gil: whether the GIL was on at any time.
        late: how many scenarios there was no time for.
        returned: calls that returned in more than one thread, by id of the scenario.
    """

    events: list[Event] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)
    seconds: dict[str, float] = field(default_factory=dict)
    gil: bool = False
    late: int = 0
    returned: dict[str, list[str]] = field(default_factory=dict)


class Player:
    """Plays scenarios in processes of their own."""

    def __init__(
        self,
        interpreter: Interpreter,
        prelude: list[str],
        modules: set[str],
        *,
        rounds: int,
        seconds: float,
        names: NativeNames | None = None,
    ) -> None:
        """Start the fork server, which imports the package.

        Args:
            interpreter: what runs the scenarios.
            prelude: modules of the package, to be imported.
            modules: file names of its extension modules.
            rounds: how often the threads of a scenario make all their calls.
            seconds: most time for everything that is played.
            names: which native function is what in Python; None to ask the package where something is seen.
        """
        self._interpreter = interpreter
        self._rounds = rounds
        self._deadline = CLOCK.now() + seconds
        self._longest_s = max(_LONGEST_LEAST_S, _LONGEST_SHARE * seconds)
        self._tour_s = max(_LONGEST_LEAST_S, _TOUR_SHARE * seconds)
        self._result = PlayResult()
        self._judge = ReportJudge(modules, names, interpreter.unwatched, interpreter.stores)
        self._memory_kills = count_memory_kills()
        self._server = ForkServer(interpreter, prelude)
        self._server.await_start()

    def close(self) -> None:
        """End the fork server and all that it started."""
        self._server.close()

    def play(self, scenarios: list[Scenario]) -> PlayResult:
        """Run scenarios, group by group, until all are done or the time given to the Player is up.

        A scenario describes calls that several threads make at once. Scenarios with the same name under `process` form
        a group: they run one after another in the same process. Each group gets a part of the time that is left, so
        that one which hangs does not take the time of all that follow.

        Returns:
            What was seen in all that this Player has played. `late` counts the scenarios that were not begun.
        """
        groups: dict[str, list[Scenario]] = {}
        for scenario in scenarios:
            groups.setdefault(scenario["process"], []).append(scenario)

        began = CLOCK.now()
        waiting = len(scenarios)  # scenarios of this group and of those that come after it
        for number, group in enumerate(groups.values(), 1):
            remaining_s = self._deadline - CLOCK.now()
            if remaining_s <= 0:
                self._result.late += len(group)
                continue

            # With equal shares, each waiting scenario would get the same part of the time left. A group may take twice
            # its share, or _GROUP_LEAST_S where that is more; but no group may go on after the deadline.
            equal_share_s = remaining_s * len(group) / waiting
            self._play_group(group, max(_GROUP_LEAST_S, 2 * equal_share_s))
            waiting -= len(group)

            elapsed = CLOCK.now() - began
            seen = len(self._result.events)
            print(f"{number} of {len(groups)} groups, {elapsed:.0f} s, {seen} events", flush=True)

        self._name_functions()
        return self._result

    def play_more(self, scenarios: list[Scenario], *, rounds: int, seconds: float) -> PlayResult:
        """Run further scenarios, in processes that are forked as those of the others, and return what is seen in them.

        Args:
            scenarios: what to run.
            rounds: how often the threads of a scenario make all their calls.
            seconds: most time for all of them.
        """
        self._rounds = rounds
        self._deadline = CLOCK.now() + seconds
        self._longest_s = max(_LONGEST_LEAST_S, 2 * seconds / max(1, len(scenarios)))
        self._tour_s = self._longest_s
        self._result = PlayResult()
        return self.play(scenarios)

    def _name_functions(self) -> None:
        """Say of each race and each crash which functions of the package stand behind it.

        That is known to processes that have imported the package; none is asked where nothing was seen.
        """
        unnamed = [event for event in self._result.events if "sides" not in event]
        unnamed = [event for event in unnamed if event["what"] in {"race", "crash"}]
        if not unnamed:
            return

        if self._judge.names is None:
            self._judge.names = NativeNames(self._server.list_functions())
        for event in unnamed:
            if event["what"] == "race":
                event.update(self._judge.judge(event.pop("parsed")))
            else:
                event["sides"] = self._judge.describe_crash(event["stack"])

    def _play_group(self, group: list[Scenario], seconds: float) -> None:
        """Run the scenarios of one group in one process; where it ends early, run the remaining ones in a new process.

        The scenario that ended the process is not run again. After `_MOST_DEATHS` such ends the rest is left out.

        Args:
            group: the scenarios.
            seconds: most time for all of them.
        """
        first, deaths = 0, 0
        deadline = min(self._deadline, CLOCK.now() + seconds)
        while first < len(group) and deaths < _MOST_DEATHS:
            remaining_s = deadline - CLOCK.now()
            if remaining_s <= 0:
                break
            reached, died = self._play_once(group, first, remaining_s)
            first = reached + 1
            deaths += died

        # What was not begun counts as late, whatever the reason.
        self._result.late += max(0, len(group) - first)

    def _play_once(self, group: list[Scenario], first: int, seconds: float) -> tuple[int, bool]:
        """Run the scenarios of a group in one process, and take in what was seen.

        Args:
            group: the scenarios.
            first: the index of the first one to run.
            seconds: most time for them.

        Returns:
            The index of the last scenario that was begun, or the group's length if nothing more of it can be run; and
            whether the process ended before all were done.
        """
        longest_s = self._tour_s if group[first]["kind"] == "tour" else self._longest_s
        request = {
            "scenarios": self._adapt_scenarios(group),
            "first": first,
            "rounds": self._rounds,
            "seconds": CLOCK.stretch(seconds),
            "longest": CLOCK.stretch(min(self._interpreter.longest_s, longest_s)),
            "marks": self._interpreter.race,
        }
        pid = self._server.begin(request)
        if pid is None:
            return len(group), True

        ending = watch(self._server, pid, self._interpreter)
        records = self._server.records
        ids = [scenario["id"] for scenario in group]
        self._result.gil |= self._server.gil_state == GilState.ON
        forgery = self._find_forgery(records, ids)
        if forgery:
            event = {"what": "forged", "scenario": ids[first], "words": forgery}
            self._result.events.append(event)
            return len(group), True

        reached_id = self._record_progress(records.items, ids)
        if reached_id is None:  # it did not even begin: nothing of the group can be played
            return len(group), True

        reached_index = ids.index(reached_id)
        last_line = records.items[-1]
        is_cut_short = "begin" in last_line or not records.is_closed
        if is_cut_short or self._server.has_ended:
            # The process ended, or was killed, within this scenario or before it had said all; or the server was. What
            # is busy under a sanitizer is slow, as everything is, and does not hang.
            is_slow = self._interpreter.race and ending.is_idle is False
            if not is_slow and not ending.is_flood:
                self._record_end(ending, reached_id)
            return reached_index, True
        if "late" in last_line:  # the time was up before the next scenario: none of the rest is run
            return len(group), False

        is_complete = reached_index == len(group) - 1
        return reached_index, not is_complete

    def _find_forgery(self, records: Records, ids: list[str]) -> str:
        """Return what shows that somebody else than the harness spoke, in words; empty where there is nothing.

        Args:
            records: what a process said.
            ids: of all scenarios that it was asked to play.
        """
        if self._server.forgery:
            return self._server.forgery

        is_hidden = self._server.gil_state == GilState.HIDDEN
        if is_hidden and records.is_closed:
            return "nothing: it hides the memory of the process, and with it the state of the GIL"

        # What names a scenario that was not asked for is not by the harness, whatever token it has.
        is_known = all(_name_scenario(line) in ids for line in records.items)
        return "" if is_known else "a record about a scenario that was not asked for"

    def _record_end(self, ending: Ending, scenario: str) -> None:
        """Add the event that a process showed which ended, or was killed, within a scenario.

        Nothing is added where the kernel killed it for its memory.
        """
        event = describe_end(ending, scenario, self._server.read_output())
        memory_kills = count_memory_kills()
        was_killed_for_memory = memory_kills > self._memory_kills
        self._memory_kills = memory_kills
        if event["what"] == "end" and was_killed_for_memory:
            return

        self._result.events.append(event)

    def _adapt_scenarios(self, group: list[Scenario]) -> list[Scenario]:
        """Return the scenarios of a group as they are played. Under a sanitizer they make fewer calls."""
        if not self._interpreter.race:
            return group

        return [adapt_for_sanitizer(scenario) for scenario in group]

    def _record_progress(self, lines: list[dict[str, Any]], ids: list[str]) -> str | None:
        """Add what a process saw to the result; return the id of the last scenario it began, None where it began none.

        Args:
            lines: what the process said before and after each scenario: `{"begin": ID}`, then `{"end": ID, ...}` (see
                `_record_scenario`), which is missing where the scenario did not come to its end. Any other line is
                skipped.
            ids: of all scenarios that were to be played, in their order.
        """
        last_begun = None
        printed: dict[int, str] = {}
        if self._interpreter.race:
            printed = _split_by_marks(self._server.read_output(), self._server.token)

        for line in lines:
            if "begin" in line:
                last_begun = line["begin"]
            elif "end" in line:
                self._record_scenario(line)
                self._record_reports(printed, ids.index(line["end"]), line["end"])

        if last_begun is not None:
            # Reports that came after the last scenario that ended are of the one that did not.
            self._record_races(printed.get(_REST, ""), last_begun)
        return last_begun

    def _record_reports(self, printed: dict[int, str], place: int, scenario: str) -> None:
        """Add the races that the sanitizer reported in a scenario that ended, or an event where they were lost.

        Args:
            printed: what was printed, by the place of the scenario whose mark came next.
            place: the scenario's place among those that were to be played.
            scenario: the scenario's id.
        """
        if not self._interpreter.race:
            return

        if place in printed:
            self._record_races(printed[place], scenario)
        elif not self._server.is_output_cut():
            self._result.events.append({"what": "lost", "scenario": scenario})

    def _record_scenario(self, ended: dict[str, Any]) -> None:
        """Add a scenario that came to its end to `self._result`, and an event where its calls had wrong results.

        Args:
            ended: what its process wrote at its end: `end` (the scenario's id), `seconds` (how long it took), `errors`
                (how often each exception was raised, by the exception's text), `wrong` (a sentence about each wrong
                result), `returned` (calls that returned in more than one thread) and `gil` (whether the GIL was on).
        """
        scenario_id = ended["end"]
        result = self._result
        result.ended.append(scenario_id)
        result.seconds[scenario_id] = ended["seconds"]
        result.returned[scenario_id] = ended["returned"]
        result.errors.update(ended["errors"])  # adds to the counts of earlier scenarios
        result.gil |= ended["gil"]

        if ended["wrong"]:
            sentences = ended["wrong"][:_KEPT_SENTENCES]
            result.events.append({"what": "wrong", "scenario": scenario_id, "sentences": sentences})

    def _record_races(self, text: str, scenario: str) -> None:
        """Add the races in a part of the sanitizer's reports to the result.

        Args:
            text: the part that was written during one scenario.
            scenario: the scenario's id.
        """
        for report in self._judge.read(text):
            # What its functions are in Python is asked at the end, once for all.
            self._result.events.append({"what": "race", "scenario": scenario, "parsed": report})


def adapt_for_sanitizer(scenario: Scenario) -> Scenario:
    """Return a copy of a scenario for the sanitizer's interpreter, with fewer calls and without observers.

    That interpreter takes ten times as long, and sees races without comparing the subject's state. Each thread makes
    each of its calls at least once, if it does so without a sanitizer. A scenario marked `once`, whose calls can be
    made only once in a process, keeps their number.
    """
    iterations = scenario["iterations"]
    if not scenario.get("once"):
        longest_row = max(len(row) for row in scenario["rows"])
        least = max(_LEAST_ITERATIONS, min(longest_row, iterations))
        iterations = max(least, iterations // _ITERATIONS_DIVISOR)

    return {**scenario, "iterations": iterations, "observe": []}


def _name_scenario(line: dict[str, Any]) -> object:
    """Return the id of the scenario that a record is about; None where it is about none."""
    return line.get("begin") or line.get("end") or line.get("late")


def _split_by_marks(printed: str, token: str) -> dict[int, str]:
    """Return what was printed in each scenario, by its place; under `_REST` what came after the last mark.

    Where a scenario ended, a line of its own has the token and the place.
    """
    *marked, rest = re.split(rf"^{token} (\d+)\n", printed, flags=re.MULTILINE)
    parts = {_REST: rest}
    for text, place in zip(marked[::2], marked[1::2], strict=True):
        parts[int(place)] = text

    return parts
