"""Start the programs that call native code, watch over them, and say how they ended.

Each runs as a user of its own (inside.supervise). What it says counts only from the program that was started, and an
end that this program did not announce is an event.
"""

import contextlib
import json
import os
import re
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..supervise.accounts import take_account
from ..supervise.folders import make_folder, open_folder
from ..supervise.process import GilState, Output, PackageProcess, read_gil
from ..supervise.records import RecordReader, Records, make_token
from . import journal, memory, reports

_PACKAGE = __name__.rpartition(".")[0]
"""What this package is imported as: `inside.stress` in containers."""

_PROGRAMS = Path(__file__).parents[_PACKAGE.count(".") + 1]
"""The folder it is imported from."""

_PASSED_ON = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "LD_LIBRARY_PATH")
"""Variables of the container that what runs native code sees as well."""

# Times that are not derived from anything were not measured: they are long beside what they wait for, and short beside
# the time a package has.
_POLL_S = 0.05  # how often a process is looked at
_STALL_S = 3.0  # learn.py interrupts a call after a tenth of that; what goes on cannot be
_LEARN_LEAST_S = 2.0  # less than this is not worth an attempt to learn
_LEARN_EXTRA_S = 10.0  # to import the distribution, beside calling it
_GROUP_LEAST_S = 3.0  # for a group of scenarios, though its share of the time is less
_IMPORT_S = 60.0  # the fork server answers its first request once it has imported the distribution
_DUMP_S = 0.5  # to write down where all threads stand
_REAP_S = 10.0  # for the kernel to end a process that was killed

_CUT_SHARE = 0.7
"""What of the patience a scenario has whose calls come to an end: only a call without one is taken for a hang."""

_IDLE_SHARE = 0.15
"""A process that hangs and used less than this of one CPU waits for something; it does not compute without end."""

_MOST_ENDS = 25  # calls that end the process while learning: each costs an attempt
_MOST_DEATHS = 3  # processes of a group that may end early before the rest of the group is left out
_KEPT_REPORT = 6000  # characters of a report that go into the evidence: both stacks, and more
_KEPT_OUTPUT = 8000  # characters of what a script printed, and of what a sanitizer said of it
_KEPT_SENTENCES = 3  # about wrong results of one scenario
_TAIL_LINES = 160  # of the output: the fault handler writes last
_STACK_LINES = 80  # of these, the first ones

_ITERATIONS_DIVISOR = 3  # a sanitizer takes ten times as long, and sees a race that happened once
_LEAST_ITERATIONS = 10

_ENDED_BY_OTHERS = frozenset({-signal.SIGKILL, -signal.SIGTERM})
"""Exit statuses of what did not end by its own fault: the kernel kills what takes too much memory."""

_INTERFERENCE = frozenset({"end", "forged", "lost"})
_MOST_INTERFERENCE = 20  # of one package: one is enough for the verdict

_REST = -1  # in the place of a scenario's place: what was printed after the last one that ended

_MEMORY_COUNTERS = (
    "/sys/fs/cgroup/memory.events",
    "/sys/fs/cgroup/memory/memory.oom_control",
)
"""Where the kernel counts the processes it killed for their memory: control groups of version 2, and of version 1."""

_SURFACE_BYTES = 1 << 30  # of all that learn.py says, the whole surface again each second
_OUTPUT_BYTES = 1 << 20  # of what a process prints, the end

_TSAN_OPTIONS = (
    "suppressions=/opt/race/suppressions.txt",  # CPython's own
    "external_symbolizer_path=/usr/local/bin/llvm-symbolizer",
    "exitcode=0",  # a report is no failure of the program
    # A sanitizer that handles a crash itself may print without end: the kernel is to end the process.
    "handle_segv=0",
    "handle_sigbus=0",
    "handle_abort=0",
    "handle_sigill=0",
    "handle_sigfpe=0",
    "detect_deadlocks=1",
    "second_deadlock_stack=1",  # both places of locks that are taken in two orders
    "history_size=4",  # further back than the default: a report needs the stack of the earlier access too
    "atexit_sleep_ms=0",  # processes are many, and each would wait a second for races at its end
)

Scenario = dict[str, Any]
"""One of scenarios.py."""

Event = dict[str, Any]
"""`what` (race, crash, hang, wrong), `scenario` (its id) and, by what it is: `kind`, what reports.Attribution has and
`report`; `signal`, `stack`; `idle`, `stack`; `sentences`. Beside these, what shows that the package interfered: `end`
(a process that ended early by none of these; `exit_code`), `forged` (`words`: a record that the harness did not write)
and `lost` (reports of the sanitizer that did not arrive)."""


@dataclass(frozen=True, slots=True)
class Interpreter:
    """What runs native code.

    Attributes:
        python: the program.
        site: the folder the distribution is installed in.
        race: whether it was compiled with ThreadSanitizer.
        patience_s: how long a scenario may go on without a sign of life.
    """

    python: str
    site: str
    race: bool = False
    patience_s: float = 10.0

    @property
    def longest_s(self) -> float:
        """Seconds a scenario may take if each of its calls ends: less than the patience, after which it is a hang."""
        return _CUT_SHARE * self.patience_s

    def program(self, name: str, *arguments: str) -> list[str]:
        """Return the command that runs a program of this package.

        Args:
            name: of its module.
            arguments: what it is given.
        """
        # -P: its working directory is not to be imported from.
        return [self.python, "-P", "-m", f"{_PACKAGE}.{name}", *arguments]

    def program_environment(self, home: str) -> dict[str, str]:
        """Return the environment variables of a program of this package: as `environment`, with another path.

        The path has the folder that this package is imported from, and not the distribution: the program adds that by
        itself, once it has begun.

        Args:
            home: the folder in which it may write.
        """
        return self.environment(PYTHONPATH=str(_PROGRAMS), **name_user(home))

    def environment(self, prefix: str = "", **more: str) -> dict[str, str]:
        """Return the environment variables of a process that this interpreter runs.

        Args:
            prefix: where a sanitizer writes its reports; empty for standard error, where they cannot be taken back.
            more: further variables.
        """
        environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        environment |= {
            "PYTHONPATH": self.site,
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONFAULTHANDLER": "1",
            "PYTHONHASHSEED": "0",
            "WHEELFARM_LONGEST_S": str(self.longest_s),  # replay scripts go by it
            **more,
        }
        if self.race:
            options = list(_TSAN_OPTIONS)
            if prefix:
                options.append(f"log_path={prefix}")
            environment["TSAN_OPTIONS"] = " ".join(options)

        return environment


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
    """

    events: list[Event] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)
    seconds: dict[str, float] = field(default_factory=dict)
    gil: bool = False
    late: int = 0


# --- learning --------------------------------------------------------------------------------------------------------


def learn(interpreter: Interpreter, request: dict[str, Any]) -> dict[str, Any] | None:
    """Run learn.py, which tries how native code can be called; when a call ends its process, run it without that call.

    Args:
        interpreter: what runs learn.py, and where the distribution is installed.
        request: what learn.py is asked; `never` and `site` are added.

    Returns:
        What learn.py wrote, with `fatal`, the calls that ended an attempt. Where no attempt came to its end, what the
        last one had written until then; None where it had written nothing.
    """
    fatal: list[str] = []
    newest: dict[str, Any] | None = None
    deadline = time.monotonic() + 2 * request["seconds"] + _LEARN_EXTRA_S
    command = interpreter.program("learn")

    while len(fatal) < _MOST_ENDS and time.monotonic() < deadline:
        remaining_s = deadline - time.monotonic()
        seconds = max(_LEARN_LEAST_S, min(request["seconds"], remaining_s))
        attempt = {**request, "seconds": seconds, "never": fatal, "site": interpreter.site}
        with open_folder(is_writable=False) as scratch:
            journal_file = scratch / "journal"
            journal_file.touch()
            journal_file.chmod(0o666)
            records = _learn_once(interpreter, command, attempt, journal_file)
            call = journal.read_last_call(journal_file)

        if records.items:
            newest = records.items[-1]
        if records.is_closed and not records.forgery and newest is not None:
            break

        # Without a call to leave out, another attempt would end as this one did.
        if call is None or call in fatal:
            break
        fatal.append(call)

    # What was known before the process ended is better than nothing.
    return None if newest is None else {**newest, "fatal": fatal}


def _learn_once(
    interpreter: Interpreter, command: list[str], attempt: dict[str, Any], journal_file: Path
) -> Records:
    """Run learn.py once; return the newest of what it said.

    Args:
        interpreter: what runs it.
        command: the command.
        attempt: what it is asked.
        journal_file: where it notes the call in progress.
    """
    with (
        open_folder() as home,
        PackageProcess(
            command,
            account=take_account(),
            environment=interpreter.program_environment(str(home)),
            folder=str(home),
            output=Output(0, _OUTPUT_BYTES),
            request={**attempt, "journal": str(journal_file)},
            most_bytes=_SURFACE_BYTES,
        ) as process,
    ):
        # learn.py ends by itself when its time is up; one that does not is killed.
        _watch_journal(process, journal_file, time.monotonic() + 2 * attempt["seconds"] + 5)
        process.end()

    return process.records


def _watch_journal(process: PackageProcess, journal_file: Path, deadline: float) -> None:
    """Wait for a process to end; give up when it is busy with one call for too long, or when its time is up.

    Args:
        process: a process of learn.py.
        journal_file: its journal, which names the call in progress.
        deadline: when its time is up, by the monotonic clock.
    """
    entry, begun_at = b"", time.monotonic()
    while not process.wait(_POLL_S):
        del process.records.items[:-1]  # each says all that the one before it did

        now = time.monotonic()
        new_entry = journal.read_entry(journal_file)
        if new_entry != entry:
            entry, begun_at = new_entry, now

        if now - begun_at > _STALL_S or now > deadline:
            return


# --- playing scenarios -----------------------------------------------------------------------------------------------


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
    ) -> None:
        """Start the fork server, which imports the package.

        Args:
            interpreter: what runs the scenarios.
            prelude: modules of the package, to be imported.
            modules: file names of its extension modules.
            rounds: how often the threads of a scenario make all their calls.
            seconds: most time for everything that is played.
        """
        self._interpreter = interpreter
        self._modules = modules
        self._rounds = rounds
        self._deadline = time.monotonic() + seconds
        self._result = PlayResult()
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

        began = time.monotonic()
        waiting = len(scenarios)  # scenarios of this group and of those that come after it
        for number, group in enumerate(groups.values(), 1):
            remaining_s = self._deadline - time.monotonic()
            if remaining_s <= 0:
                self._result.late += len(group)
                continue

            # With equal shares, each waiting scenario would get the same part of the time left. A group may take twice
            # its share, or _GROUP_LEAST_S where that is more; but no group may go on after the deadline.
            equal_share_s = remaining_s * len(group) / waiting
            self._play_group(group, max(_GROUP_LEAST_S, 2 * equal_share_s))
            waiting -= len(group)

            elapsed = time.monotonic() - began
            seen = len(self._result.events)
            print(f"{number} of {len(groups)} groups, {elapsed:.0f} s, {seen} events", flush=True)

        return self._result

    def _play_group(self, group: list[Scenario], seconds: float) -> None:
        """Run the scenarios of one group in one process; where it ends early, run the remaining ones in a new process.

        The scenario that ended the process is not run again. After `_MOST_DEATHS` such ends the rest is left out.

        Args:
            group: the scenarios.
            seconds: most time for all of them.
        """
        first, deaths = 0, 0
        deadline = min(self._deadline, time.monotonic() + seconds)
        while first < len(group) and deaths < _MOST_DEATHS:
            remaining_s = deadline - time.monotonic()
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
        request = {
            "scenarios": self._adapt_scenarios(group),
            "first": first,
            "rounds": self._rounds,
            "seconds": seconds,
            "longest": self._interpreter.longest_s,
            "marks": self._interpreter.race,
        }
        pid = self._server.begin(request)
        if pid is None:
            return len(group), True

        ended = _watch(self._server, pid, self._interpreter)
        records = self._server.records
        ids = [scenario["id"] for scenario in group]
        # What names a scenario that was not asked for is not by the harness, whatever token it has.
        is_known = all(_name_scenario(line) in ids for line in records.items)
        forgery = self._server.forgery
        gil_state = self._server.gil_state
        self._result.gil |= gil_state == GilState.ON
        if gil_state == GilState.HIDDEN and records.is_closed:
            forgery = (
                forgery
                or "nothing: it hides the memory of the process, and with it the state of the GIL"
            )
        if forgery or not is_known:
            words = forgery or "a record about a scenario that was not asked for"
            self._result.events.append({"what": "forged", "scenario": ids[first], "words": words})
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
            is_slow = self._interpreter.race and ended.is_idle is False
            if not is_slow and not ended.is_flood:
                self._record_end(ended, reached_id)
            return reached_index, True
        if "late" in last_line:  # the time was up before the next scenario: none of the rest is run
            return len(group), False

        is_complete = reached_index == len(group) - 1
        return reached_index, not is_complete

    def _record_end(self, ended: "_Ending", scenario: str) -> None:
        """Add the event that a process showed which ended, or was killed, within a scenario.

        Nothing is added where the kernel killed it for its memory.
        """
        event = _describe_end(ended, scenario, self._server.read_output())
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
                result) and `gil` (whether the GIL was on).
        """
        scenario_id = ended["end"]
        result = self._result
        result.ended.append(scenario_id)
        result.seconds[scenario_id] = ended["seconds"]
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
        for report in reports.parse(text):
            self._result.events.append(
                {
                    "what": "race",
                    "scenario": scenario,
                    "kind": report["kind"],
                    **reports.attribute(report, self._modules),
                    "report": report["text"][:_KEPT_REPORT],
                }
            )


def adapt_for_sanitizer(scenario: Scenario) -> Scenario:
    """Return a copy of a scenario for the sanitizer's interpreter, with fewer calls and without observers.

    That interpreter takes ten times as long, and sees races without comparing the subject's state. A scenario marked
    `once`, whose calls can be made only once in a process, keeps their number.
    """
    iterations = scenario["iterations"]
    if not scenario.get("once"):
        iterations = max(_LEAST_ITERATIONS, iterations // _ITERATIONS_DIVISOR)

    return {**scenario, "iterations": iterations, "observe": []}


def name_user(home: str) -> dict[str, str]:
    """Return the variables that tell a process who it is: its user is in no table of users.

    Args:
        home: the folder in which it may write.
    """
    return {"HOME": home, "USER": "farm", "LOGNAME": "farm"}


class ForkServer:
    """A process that has imported the distribution and forks for every list of scenarios: forkserver.py.

    Attributes:
        token: the secret of the process that was forked last.
    """

    def __init__(self, interpreter: Interpreter, prelude: list[str]) -> None:
        """Start the process, which then imports the distribution.

        Args:
            interpreter: what runs it.
            prelude: modules of the distribution, to be imported.
        """
        self._is_race = interpreter.race
        self._stack = contextlib.ExitStack()
        self._account = take_account()
        home = str(self._stack.enter_context(open_folder()))
        self.token = ""
        self._process = self._stack.enter_context(
            PackageProcess(
                interpreter.program("forkserver"),
                account=self._account,
                environment=interpreter.program_environment(home),
                folder=home,
                output=self._make_output(),
                request={
                    "modules": prelude,
                    "immortal": interpreter.race,
                    "site": interpreter.site,
                },
                has_dialogue=True,
            )
        )

    def await_start(self) -> None:
        """Wait until the server runs, and look at the state of its GIL before it imports anything."""
        answer = self._process.next_answer(_IMPORT_S)
        address = None if answer is None else answer.get("gil_at")
        if isinstance(address, int):
            self._process.gil_address = address
            self._process.gil_states.append(read_gil(self._account, self._process.pid, address))
        self._process.release()

    def begin(self, request: dict[str, Any]) -> int | None:
        """Start a process that runs a list of scenarios; return its id, or None where the server has ended.

        Args:
            request: `scenarios` (what to run), `first` (index of the first scenario to run), `rounds` (how often a
                scenario's threads make all their calls), `seconds` (for everything), `longest` (seconds for one
                scenario) and `marks` (whether to mark the end of each scenario in what is printed).
        """
        self.token = make_token()
        self._process.reader = RecordReader(self.token)
        self._process.output = self._process.errors = self._make_output()
        self._process.watched_pid = (
            None  # a quick one may ask to be looked at before the server names it
        )
        self._process.send({**request, "token": self.token})
        answer = self._process.next_answer(_IMPORT_S)
        if answer is None:
            return None

        pid = answer.get("pid")
        if isinstance(pid, int):
            self._process.watched_pid = pid
        # It will be sent signals: no other process may stand in its place.
        is_own = isinstance(pid, int) and self._account.owns(pid)
        has_ended = self._process.exit_code is not None
        return pid if is_own and not has_ended else self._begin_dead(pid)

    def _begin_dead(self, pid: object) -> int | None:
        """Return the id of a process that has ended already, or None where it never was one."""
        is_gone = isinstance(pid, int) and pid > 1 and not Path(f"/proc/{pid}").exists()
        return pid if is_gone and isinstance(pid, int) else None

    def wait(self, seconds: float) -> int | None:
        """Wait for the process in progress; return its exit status (negative for a signal), None if it goes on.

        Where the server itself has ended, so has what it started: the status is that of the server.
        """
        answer = self._process.next_answer(seconds)
        if answer is not None:
            status = answer.get("status")
            return status if isinstance(status, int) else 0
        if self._process.exit_code is not None or self.forgery:
            return self._process.end()

        return None

    def kill(self, pid: int) -> None:
        """Kill a process that was forked, with what it started."""
        if self._account.owns(pid):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)

    def dump_stacks(self, pid: int) -> None:
        """Have the fault handler of a process that was forked write the stacks of all threads."""
        if self._account.owns(pid):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGUSR1)
            self._process.wait(_DUMP_S)

    def close(self) -> None:
        """End the server and the processes that it forked."""
        self._stack.close()

    @property
    def gil_state(self) -> GilState | None:
        """What was seen of the GIL when it was looked at last; None where that is not possible."""
        states = self._process.gil_states
        return states[-1] if states else None

    @property
    def forgery(self) -> str:
        """What came that neither the server nor the process that it forked last wrote; empty where there is nothing."""
        answers = self._process.answers
        return self._process.records.forgery or (answers.records.forgery if answers else "")

    @property
    def has_ended(self) -> bool:
        """Whether the server itself has ended, which it does only when it is closed."""
        return self._process.exit_code is not None

    @property
    def records(self) -> Records:
        """What the process that was forked last said so far, with all that has arrived."""
        self._process.drain()
        return self._process.records

    @property
    def printed_bytes(self) -> int:
        """How much the process that was forked last has printed."""
        return self._process.output.size

    def read_output(self) -> str:
        """Return what the process that was forked last printed."""
        return self._process.output.read_text()

    def is_output_cut(self) -> bool:
        """Return whether it printed more than is kept."""
        return self._process.output.size > reports.MOST_BYTES

    def _make_output(self) -> Output:
        """Return what takes the output of a process: reports from the first one on, stacks at the end."""
        return Output(reports.MOST_BYTES if self._is_race else 0, _OUTPUT_BYTES)


@dataclass(frozen=True, slots=True)
class _Ending:
    """How a process ended that played scenarios.

    Attributes:
        status: its exit status, negative for a signal.
        is_idle: whether it was idle while it was silent; None where it was not silent.
        is_flood: whether it was killed because it printed without end.
    """

    status: int
    is_idle: bool | None = None
    is_flood: bool = False


def _watch(server: ForkServer, pid: int, interpreter: Interpreter) -> _Ending:
    """Wait for a process to end; kill it where it shows no sign of life for too long, or writes reports without end.

    A sign of life is a new record or, under the sanitizer, a new report. Before the process is killed, its fault
    handler writes the stacks of all threads (not under the sanitizer).

    Args:
        server: the fork server that the process is from.
        pid: the process's id.
        interpreter: what runs it.
    """
    last_sizes, changed_at, cpu_at_change_s = (-1, -1), time.monotonic(), 0.0
    while True:
        status = server.wait(_POLL_S)
        if status is not None:
            server.kill(pid)  # what it may have left in its group
            return _Ending(status)

        printed_bytes = server.printed_bytes if interpreter.race else 0
        sizes = (len(server.records.items), printed_bytes)
        if sizes != last_sizes:
            last_sizes, changed_at, cpu_at_change_s = sizes, time.monotonic(), _cpu_seconds(pid)
        elapsed = time.monotonic() - changed_at
        is_silent = elapsed > interpreter.patience_s
        is_flood = printed_bytes > reports.MOST_BYTES
        if is_silent or is_flood:
            break

    is_idle: bool | None = None
    if is_silent:
        is_idle = _cpu_seconds(pid) - cpu_at_change_s < _IDLE_SHARE * elapsed
    if not interpreter.race:  # there, the fault handler itself would be reported
        server.dump_stacks(pid)
    server.kill(pid)

    return _Ending(server.wait(_REAP_S) or 0, is_idle=is_idle, is_flood=is_flood)


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


def count_memory_kills() -> int:
    """Return how many processes of this container the kernel has killed for their memory; 0 where it does not say."""
    for path in _MEMORY_COUNTERS:
        with contextlib.suppress(OSError, ValueError):
            for line in Path(path).read_text().splitlines():
                name, _, value = line.partition(" ")
                if name == "oom_kill":
                    return int(value)

    return 0


def _cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process, in user and system mode; 0 where the process has ended."""
    with contextlib.suppress(OSError, IndexError, ValueError):
        # proc(5): the name, in brackets, may hold anything; fields 14 and 15, in clock ticks.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return 0.0


def _describe_end(ended: _Ending, scenario: str, output: str) -> Event:
    """Return the event that a scenario showed in which a process ended or was killed.

    Args:
        ended: how it ended.
        scenario: the scenario's id.
        output: what the process printed; after a crash or a hang, the stacks are at its end.

    Returns:
        A hang, a crash (by a signal), or an `end`: the process called exit(), or something else killed it.
    """
    last_lines = output.splitlines()[-_TAIL_LINES:]
    stack = "\n".join(last_lines[:_STACK_LINES])
    if ended.is_idle is not None:
        return {"what": "hang", "scenario": scenario, "idle": ended.is_idle, "stack": stack}
    if signal_name := _name_fatal_signal(ended.status):
        return {"what": "crash", "scenario": scenario, "signal": signal_name, "stack": stack}

    return {"what": "end", "scenario": scenario, "exit_code": ended.status, "stack": stack}


# --- running replay scripts ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Run:
    """How one run of a script ended.

    Attributes:
        what: what was seen: crash, hang, wrong, race; and `gil` where the GIL was on.
        races: places of the races, as sorted texts, and their locations.
        output: what it printed.
        signal: the name of the signal it crashed by, or nothing.
    """

    what: frozenset[str]
    races: dict[tuple[str, ...], list[reports.Location]]
    output: str
    signal: str = ""


def run_script(interpreter: Interpreter, script: str, modules: set[str], **more: str) -> Run:
    """Run a replay script once, and return what it showed. A script that takes too long counts as a hang.

    Args:
        interpreter: what runs it.
        script: its text.
        modules: file names of the package's extension modules.
        more: further environment variables.
    """
    output, errors = Output(0, _OUTPUT_BYTES), Output(reports.MOST_BYTES, _OUTPUT_BYTES)
    with open_folder(is_writable=False) as scratch:
        script_file, home = scratch / "replay.py", scratch / "home"
        script_file.write_text(script)
        make_folder(home)
        with PackageProcess(
            [interpreter.python, str(script_file)],
            account=take_account(),
            environment=interpreter.environment(**name_user(str(home)), **more),
            folder=str(home),
            output=output,
            errors=errors if interpreter.race else None,
            prepare=None if interpreter.race else memory.limit_address_space,
        ) as process:
            timed_out = not process.wait(interpreter.patience_s)
            if timed_out and not interpreter.race:
                # The fault handler then shows where all threads stand.
                process.send_signal(signal.SIGABRT)
                process.wait(_DUMP_S)
            exit_code = process.end()

    reported, beside_reports = reports.separate(errors.read_text())
    printed = (output.read_text() + beside_reports)[-_KEPT_OUTPUT:]
    signal_name = "" if timed_out else _name_fatal_signal(exit_code)
    races = _find_own_races(reported, modules)

    seen = set()
    if timed_out:
        seen.add("hang")
    if signal_name:
        seen.add("crash")
    if re.search(r"^WRONG:", printed, re.MULTILINE):
        seen.add("wrong")
    if races:
        seen.add("race")
    if re.search(r"^GIL: on", printed, re.MULTILINE):
        seen.add("gil")

    return Run(frozenset(seen), races, printed + reported[:_KEPT_OUTPUT], signal_name)


def _find_own_races(text: str, modules: set[str]) -> dict[tuple[str, ...], list[reports.Location]]:
    """Return the races of the package in a sanitizer's reports: their locations by their places.

    Races of other owners are skipped. Of several races between the same places, the first counts.
    """
    races: dict[tuple[str, ...], list[reports.Location]] = {}
    for report in reports.parse(text):
        attribution = reports.attribute(report, modules)
        if attribution["owner"] == "package":
            races.setdefault(tuple(attribution["places"]), attribution["locations"])

    return races


def _name_fatal_signal(returncode: int) -> str:
    """Return the name of the signal that a process died of, such as `SIGSEGV`.

    Empty where it died of none, or was killed from outside, as the kernel does when memory runs out.
    """
    if returncode >= 0 or returncode in _ENDED_BY_OTHERS:
        return ""
    try:
        return signal.Signals(-returncode).name
    except ValueError:  # a real-time signal has a number only
        return f"signal {-returncode}"


# --- what every program does -----------------------------------------------------------------------------------------


def deduplicate(events: Iterable[Event]) -> list[Event]:
    """Return one event of each kind and place, the one seen first, with the number of such events in `times`.

    Events without places, such as a crash, count as the same where they are of the same scenario.
    """
    by_key: dict[tuple[Any, ...], Event] = {}
    for event in events:
        places = event.get("places") or [event["scenario"]]
        key = (event["what"], *places)
        if key in by_key:
            by_key[key]["times"] += 1
        else:
            by_key[key] = {**event, "times": 1}

    return list(by_key.values())


def list_interference(events: Iterable[Event], by_id: dict[str, Scenario]) -> list[dict[str, Any]]:
    """Return the events that show that the package interfered with the processes that called it.

    Args:
        events: what was seen, without repetitions.
        by_id: the scenarios by their ids.

    Returns:
        Of each `what` (`end`, `forged` or `lost`), `calls` (the scenario), `detail` (what came) and `times`.
    """
    interference: list[dict[str, Any]] = []
    for event in events:
        if event["what"] not in _INTERFERENCE:
            continue

        detail = event.get("words", "")
        if event["what"] == "end":
            detail = f"ended with exit code {event['exit_code']}"
            if event["exit_code"] < 0:
                detail = f"was ended by signal {-event['exit_code']}"
        interference.append(
            {
                "what": event["what"],
                "calls": by_id[event["scenario"]],
                "detail": detail,
                "times": event["times"],
            }
        )

    return interference[:_MOST_INTERFERENCE]


def write_answer(path: str, facts: dict[str, Any]) -> None:
    """Write a program's facts, as JSON, to the file that the farm collects."""
    target = Path(path)
    target.write_text(json.dumps(facts))
    print(f"wrote {target.name}, {target.stat().st_size} bytes", flush=True)
    sys.stdout.flush()
