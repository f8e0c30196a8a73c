"""The processes that forkserver.py forks, seen from the supervisor: begun, watched, ended.

What they say counts only from the process that was started (inside.supervise).
"""

import contextlib
import os
import signal
from pathlib import Path
from typing import Any

from ...supervise.accounts import take_account
from ...supervise.folders import open_folder
from ...supervise.gil import GilState
from ...supervise.output import Output
from ...supervise.process import PackageProcess
from ...supervise.records import RecordReader, Records, make_token
from ...supervise.work_clock import CLOCK
from ..process.interpreter import Interpreter
from ..sanitizer import reports
from .endings import Ending, Stillness, read_cpu_seconds

# Times that are not derived from anything were not measured: they are long beside what they wait for, and short beside
# the time a package has.
_POLL_S = 0.05  # how often a process is looked at
_IMPORT_S = 60.0  # the fork server answers its first request once it has imported the distribution
_DUMP_S = 0.5  # to write down where all threads stand
_REAP_S = 10.0  # for the kernel to end a process that was killed
_FUNCTIONS_S = 10.0  # to list the native functions of a distribution, which takes less than one

_IDLE_SHARE = 0.15
"""A process that hangs and used less than this of one CPU waits for something; it does not compute without end."""

_OUTPUT_BYTES = 1 << 20  # of what a process prints, the end


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
                interpreter.program("play.forkserver"),
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
            self._process.gil.look_before_imports(address)
        self._process.gil.release()

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
        # A quick one may ask to be looked at before the server names it.
        self._process.gil.pid = None
        self._process.send({**request, "token": self.token})
        answer = self._process.next_answer(_IMPORT_S)
        pid = None if answer is None else answer.get("pid")
        if not isinstance(pid, int):
            return None

        self._process.gil.pid = pid
        # It will be sent signals: no other process may stand in its place. One that has ended already may be named.
        is_running = self._account.owns(pid) and not self.has_ended
        is_gone = pid > 1 and not Path(f"/proc/{pid}").exists()
        return pid if is_running or is_gone else None

    def list_functions(self) -> list[dict[str, Any]]:
        """Return which native function is which callable of Python, by file: what method_tables.py lists.

        Empty where a process that reads it does not come to its end. What the last process said is gone afterwards.
        """
        pid = self.begin({"functions": True})
        if pid is None:
            return []
        if self.wait(_FUNCTIONS_S) is None:
            self.kill(pid)
            self.wait(_REAP_S)
            return []

        records = self.records
        return records.items if records.is_closed else []

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
        states = self._process.gil.states
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


def watch(server: ForkServer, pid: int, interpreter: Interpreter) -> Ending:
    """Wait for a process to end; kill it where it waits for ever, says nothing for too long, or writes without end.

    A sign of life is a new record or, under the sanitizer, a new report. Before the process is killed, its fault
    handler writes the stacks of all threads (not under the sanitizer).

    Args:
        server: the fork server that the process is from.
        pid: the process's id.
        interpreter: what runs it.
    """
    last_sizes, changed_at, cpu_at_change_s = (-1, -1), CLOCK.now(), 0.0
    stillness = Stillness(pid)
    while True:
        status = server.wait(_POLL_S)
        if status is not None:
            server.kill(pid)  # what it may have left in its group
            return Ending(status)

        printed_bytes = server.printed_bytes if interpreter.race else 0
        sizes = (len(server.records.items), printed_bytes)
        if sizes != last_sizes:
            last_sizes, changed_at, cpu_at_change_s = sizes, CLOCK.now(), read_cpu_seconds(pid)
        elapsed = CLOCK.now() - changed_at
        is_stuck = stillness.is_stuck()
        is_silent = elapsed > interpreter.patience_s
        is_flood = printed_bytes > reports.MOST_BYTES
        if is_stuck or is_silent or is_flood:
            break

    is_idle: bool | None = None
    if is_stuck:
        is_idle = True
    elif is_silent:
        is_idle = read_cpu_seconds(pid) - cpu_at_change_s < _IDLE_SHARE * elapsed
    if not interpreter.race:  # there, the fault handler itself would be reported
        server.dump_stacks(pid)
    server.kill(pid)

    return Ending(server.wait(_REAP_S) or 0, is_idle=is_idle, is_flood=is_flood)
