"""Start the programs that call native code, watch over them, and say how they ended."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from . import journal, memory, reports
from .dialogue import Dialogue

_PACKAGE = __name__.rpartition(".")[0]
"""What this package is imported as: `inside.stress` in containers."""

_PROGRAMS = Path(__file__).parents[_PACKAGE.count(".") + 1]
"""The folder it is imported from."""

_PASSED_ON = ("PATH", "HOME", "LANG", "LD_LIBRARY_PATH")
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
`report`; `signal`, `stack`; `idle`, `stack`; `sentences`."""


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

    def program_environment(self, prefix: str = "") -> dict[str, str]:
        """Return the environment variables of a program of this package: as `environment`, with another path.

        The folder that this package is imported from comes first on the path, because the distribution may have a
        module of the same name.
        """
        return self.environment(prefix, PYTHONPATH=f"{_PROGRAMS}{os.pathsep}{self.site}")

    def environment(self, prefix: str = "", **more: str) -> dict[str, str]:
        """Return the environment variables of a process that this interpreter runs.

        Args:
            prefix: where a sanitizer writes its reports; empty for standard error.
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
    deadline = time.monotonic() + 2 * request["seconds"] + _LEARN_EXTRA_S
    with tempfile.TemporaryDirectory() as scratch:
        request_file = Path(scratch) / "request.json"
        answer_file = Path(scratch) / "surface.json"
        journal_file = Path(scratch) / "journal"
        command = interpreter.program(
            "learn", str(request_file), str(answer_file), str(journal_file)
        )

        while len(fatal) < _MOST_ENDS and time.monotonic() < deadline:
            remaining_s = deadline - time.monotonic()
            seconds = max(_LEARN_LEAST_S, min(request["seconds"], remaining_s))
            attempt = {**request, "seconds": seconds, "never": fatal, "site": interpreter.site}
            request_file.write_text(json.dumps(attempt))
            with _start(command, interpreter.program_environment(), scratch) as process:
                # learn.py ends by itself when its time is up; `_start` kills one that does not.
                _watch_journal(process, journal_file, time.monotonic() + 2 * seconds + 5)
            if answer_file.exists():
                return {**json.loads(answer_file.read_text()), "fatal": fatal}

            call = journal.read_last_call(journal_file)
            # Without a call to leave out, another attempt would end as this one did.
            if call is None or call in fatal:
                break
            fatal.append(call)

        # What was known before the process ended is better than nothing.
        partial_answer = Path(f"{answer_file}.part")
        if not partial_answer.exists():
            return None
        return {**json.loads(partial_answer.read_text()), "fatal": fatal}


def _watch_journal(process: subprocess.Popen[bytes], journal_file: Path, deadline: float) -> None:
    """Wait for a process to end; give up when it is busy with one call for too long, or when its time is up.

    Args:
        process: a process of learn.py.
        journal_file: its journal, which names the call in progress.
        deadline: when its time is up, by the monotonic clock.
    """
    entry, begun_at = b"", time.monotonic()
    while process.poll() is None:
        now = time.monotonic()
        new_entry = journal.read_entry(journal_file)
        if new_entry != entry:
            entry, begun_at = new_entry, now

        if now - begun_at > _STALL_S or now > deadline:
            return
        time.sleep(_POLL_S)


@contextlib.contextmanager
def _start(
    command: list[str],
    environment: dict[str, str],
    folder: str,
    output: IO[bytes] | None = None,
    prepare: Callable[[], None] | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a process in a group of its own; kill what is left of the group when the `with` block ends.

    Args:
        command: the command.
        environment: its whole environment.
        folder: its working directory.
        output: where it prints to; None to discard that.
        prepare: called in the new process before the command; None for nothing.
    """
    process = subprocess.Popen(
        command,
        env=environment,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=output or subprocess.DEVNULL,
        stderr=output or subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=prepare,  # noqa: PLW1509 - of a process with one thread
    )
    try:
        yield process
    finally:
        _signal_group(process.pid, signal.SIGKILL)
        process.wait()


def _signal_group(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process and all that it started; nothing happens where none of them is left."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, number)


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
        self._folder = tempfile.TemporaryDirectory()
        self._prefix = f"{self._folder.name}/reports"
        self._server = ForkServer(interpreter, prelude, self._folder.name, self._prefix)

    def close(self) -> None:
        """End the fork server, and delete the folder of its files."""
        self._server.close()
        self._folder.cleanup()

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
            with tempfile.TemporaryDirectory() as scratch:
                reached, died = self._play_once(group, first, remaining_s, Path(scratch))
            first = reached + 1
            deaths += died

        # What was not begun counts as late, whatever the reason.
        self._result.late += max(0, len(group) - first)

    def _play_once(
        self, group: list[Scenario], first: int, seconds: float, scratch: Path
    ) -> tuple[int, bool]:
        """Run the scenarios of a group in one process, and take in what was seen.

        Args:
            group: the scenarios.
            first: the index of the first one to run.
            seconds: most time for them.
            scratch: a folder for the files of this process.

        Returns:
            The index of the last scenario that was begun, or the group's length if nothing more of it can be run; and
            whether the process ended before all were done.
        """
        progress_file, output_file = scratch / "progress.jsonl", scratch / "output"
        request = {
            "scenarios": str(self._write_scenarios(group, scratch)),
            "progress": str(progress_file),
            "prefix": self._prefix,
            "output": str(output_file),
            "first": first,
            "rounds": self._rounds,
            "seconds": seconds,
            "longest": self._interpreter.longest_s,
        }
        pid = self._server.begin(request)
        if pid is None:
            return len(group), True

        report_file = Path(f"{self._prefix}.{pid}")
        status, idle = _watch(self._server, pid, progress_file, self._interpreter, report_file)
        progress_lines = _read_lines(progress_file)
        reached_id = self._record_progress(progress_lines, _read_reports(report_file))
        if reached_id is None:  # it did not even begin: nothing of the group can be played
            return len(group), True

        ids = [scenario["id"] for scenario in group]
        reached_index = ids.index(reached_id)
        last_line = progress_lines[-1]
        if "begin" in last_line:  # the process ended, or was killed, within this scenario
            # What is busy under a sanitizer is slow, as everything is, and does not hang.
            is_slow = self._interpreter.race and idle is False
            if not is_slow:
                text = output_file.read_text(errors="replace")
                self._result.events.append(_describe_end(status, idle, reached_id, text))
            return reached_index, True
        if "late" in last_line:  # the time was up before the next scenario: none of the rest is run
            return len(group), False

        is_complete = reached_index == len(group) - 1
        return reached_index, not is_complete

    def _write_scenarios(self, group: list[Scenario], scratch: Path) -> Path:
        """Write the scenarios of a group to a file, and return its path. Under a sanitizer they make fewer calls."""
        path = scratch / "scenarios.json"
        if self._interpreter.race:
            group = [adapt_for_sanitizer(scenario) for scenario in group]
        path.write_text(json.dumps(group))

        return path

    def _record_progress(self, lines: list[dict[str, Any]], text: str) -> str | None:
        """Add what a process saw to the result; return the id of the last scenario it began, None where it began none.

        Args:
            lines: what the process wrote before and after each scenario: `{"begin": ID}`, then `{"end": ID, ...}` (see
                `_record_scenario`), which is missing where the scenario did not come to its end. Any other line is
                skipped.
            text: all reports that the sanitizer wrote of the process.
        """
        last_begun = None
        assigned_until = 0  # how much of `text` belongs to scenarios that ended
        for line in lines:
            if "begin" in line:
                last_begun = line["begin"]
            elif "end" in line:
                self._record_scenario(line)
                start, end = line["reports"]
                self._record_races(text[start:end], line["end"])
                assigned_until = end

        if last_begun is not None:
            # Reports that came after the last scenario that ended are of the one that did not.
            self._record_races(text[assigned_until:], last_begun)
        return last_begun

    def _record_scenario(self, ended: dict[str, Any]) -> None:
        """Add a scenario that came to its end to `self._result`, and an event where its calls had wrong results.

        Args:
            ended: what its process wrote at its end: `end` (the scenario's id), `seconds` (how long it took), `errors`
                (how often each exception was raised, by the exception's text), `wrong` (a sentence about each wrong
                result) and `gil` (whether the GIL was on). Its `reports` are not used here.
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


class ForkServer:
    """A process that has imported the distribution and forks for every list of scenarios: forkserver.py."""

    def __init__(
        self, interpreter: Interpreter, prelude: list[str], folder: str, prefix: str
    ) -> None:
        """Start the process, which then imports the distribution.

        Args:
            interpreter: what runs it.
            prelude: modules of the distribution, to be imported.
            folder: its working directory.
            prefix: where its sanitizer writes reports.
        """
        asked = Path(folder) / "prelude.json"
        asked.write_text(json.dumps({"modules": prelude, "immortal": interpreter.race}))
        command = interpreter.program("forkserver", str(asked))
        self._dialogue = Dialogue(command, interpreter.program_environment(prefix), folder)

    def begin(self, request: dict[str, Any]) -> int | None:
        """Start a process that runs a list of scenarios; return its id, or None where the server has ended.

        Args:
            request: `scenarios`, `progress` and `output` (files: what to run, where to write a line before and after
                each scenario, and where to print), `prefix` (of files of a sanitizer's reports), `first` (index of the
                first scenario to run), `rounds` (how often a scenario's threads make all their calls), `seconds` (for
                everything) and `longest` (seconds for one scenario).
        """
        if not self._dialogue.ask(request):
            return None
        answer = self._dialogue.read_answer(_IMPORT_S)
        if answer is None:
            return None

        return int(answer["pid"])

    def wait(self, seconds: float) -> int | None:
        """Wait for the process in progress; return its exit status (negative for a signal), None if it goes on."""
        answer = self._dialogue.read_answer(seconds)
        if answer is None:
            return None

        return int(answer["status"])

    def close(self) -> None:
        """End the server and the process that it forked."""
        self._dialogue.close()


def _watch(
    server: ForkServer, pid: int, progress: Path, interpreter: Interpreter, report_file: Path
) -> tuple[int, bool | None]:
    """Wait for a process to end; kill it where it shows no sign of life for too long, or writes reports without end.

    A sign of life is a new line of progress or a new report. Before the process is killed, its fault handler writes
    the stacks of all threads (not under the sanitizer).

    Args:
        server: the fork server that the process is from.
        pid: the process's id.
        progress: the file to which it writes a line for each scenario.
        interpreter: what runs it.
        report_file: the file of its sanitizer's reports.

    Returns:
        Its exit status; and whether it was idle while it was silent, None where it was not silent.
    """
    last_sizes, changed_at, cpu_at_change_s = (-1, -1), time.monotonic(), 0.0
    while True:
        status = server.wait(_POLL_S)
        if status is not None:
            return status, None

        sizes = (_size(progress), _size(report_file))
        if sizes != last_sizes:
            last_sizes, changed_at, cpu_at_change_s = sizes, time.monotonic(), _cpu_seconds(pid)
        elapsed = time.monotonic() - changed_at
        is_silent = elapsed > interpreter.patience_s
        if is_silent or last_sizes[1] > reports.MOST_BYTES:
            break

    is_idle: bool | None = None
    if is_silent:
        is_idle = _cpu_seconds(pid) - cpu_at_change_s < _IDLE_SHARE * elapsed
    if not interpreter.race:  # there, the fault handler itself would be reported
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGUSR1)
        time.sleep(_DUMP_S)
    _signal_group(pid, signal.SIGKILL)

    return server.wait(_REAP_S) or 0, is_idle


def _size(path: Path) -> int:
    """Return the size of a file in bytes; 0 where there is none."""
    return path.stat().st_size if path.exists() else 0


def _cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process, in user and system mode; 0 where the process has ended."""
    with contextlib.suppress(OSError, IndexError, ValueError):
        # proc(5): the name, in brackets, may hold anything; fields 14 and 15, in clock ticks.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return 0.0


def _read_lines(progress: Path) -> list[dict[str, Any]]:
    """Return the lines of a progress file; empty where there is none."""
    if not progress.exists():
        return []
    return [json.loads(line) for line in progress.read_text().splitlines()]


def _read_reports(report_file: Path) -> str:
    """Return the text of a sanitizer's report file, and remove the file; empty where there is none."""
    if not report_file.exists():
        return ""
    text = reports.read([report_file])
    report_file.unlink()

    return text


def _describe_end(
    returncode: int,
    idle: bool | None,  # noqa: FBT001 - None for no hang
    scenario: str,
    output: str,
) -> Event:
    """Return the event that a scenario showed in which a process ended or was killed.

    Args:
        returncode: the process's exit status.
        idle: whether it was idle while it hung; None where it did not hang.
        scenario: the scenario's id.
        output: what the process printed; after a crash or a hang, the stacks are at its end.

    Returns:
        A hang, a crash (by a signal), or an `end`: the process called exit(), or something else killed it.
    """
    last_lines = output.splitlines()[-_TAIL_LINES:]
    stack = "\n".join(last_lines[:_STACK_LINES])
    if idle is not None:
        return {"what": "hang", "scenario": scenario, "idle": idle, "stack": stack}
    if signal_name := _name_fatal_signal(returncode):
        return {"what": "crash", "scenario": scenario, "signal": signal_name, "stack": stack}

    return {"what": "end", "scenario": scenario, "exit_code": returncode, "stack": stack}


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
    with tempfile.TemporaryDirectory() as scratch:
        script_file, output_file = Path(scratch) / "replay.py", Path(scratch) / "output"
        script_file.write_text(script)
        environment = interpreter.environment(f"{scratch}/reports", **more)
        command = [interpreter.python, str(script_file)]
        prepare = None if interpreter.race else memory.limit_address_space
        with (
            output_file.open("wb") as sink,
            _start(command, environment, scratch, sink, prepare) as process,
        ):
            timed_out = not _wait(process, interpreter.patience_s)
            if timed_out and not interpreter.race:
                # The fault handler then shows where all threads stand.
                process.send_signal(signal.SIGABRT)
                time.sleep(_DUMP_S)

        printed = output_file.read_text(errors="replace")[-_KEPT_OUTPUT:]
        reported = reports.read(Path(scratch).glob("reports.*"))

    signal_name = "" if timed_out else _name_fatal_signal(process.returncode)
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


def _wait(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Wait for a process to end; return False if it has not after that many seconds."""
    deadline = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < deadline:
        time.sleep(_POLL_S)

    return process.poll() is not None


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


def write_answer(path: str, facts: dict[str, Any]) -> None:
    """Write a program's facts, as JSON, to the file that the farm collects."""
    target = Path(path)
    target.write_text(json.dumps(facts))
    print(f"wrote {target.name}, {target.stat().st_size} bytes", flush=True)
    sys.stdout.flush()
