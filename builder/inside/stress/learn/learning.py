"""Run learn.py, which calls native code to learn how it can be called, and survive the calls that end it.

What learn.py says counts only from the process that was started (inside.supervise).
"""

from pathlib import Path
from typing import Any

from ...supervise.accounts import take_account
from ...supervise.folders import open_folder
from ...supervise.output import Output
from ...supervise.process import PackageProcess
from ...supervise.records import Records
from ...supervise.work_clock import CLOCK
from ..process import journal
from ..process.interpreter import Interpreter

# Times that are not derived from anything were not measured: they are long beside what they wait for, and short beside
# the time a package has.
_POLL_S = 0.05  # how often a process is looked at
_STALL_S = 2.0  # learn.py interrupts a call after a tenth of that; what goes on cannot be
_LEARN_LEAST_S = 2.0  # less than this is not worth an attempt to learn
_LEARN_EXTRA_S = 10.0  # to import the distribution, beside calling it

_MOST_ENDS = 25  # calls that end the process while learning: each costs an attempt
_SURFACE_BYTES = 1 << 30  # of all that learn.py says, the whole surface again each second
_OUTPUT_BYTES = 1 << 20  # of what a process prints, the end


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
    deadline = CLOCK.now() + 2 * request["seconds"] + _LEARN_EXTRA_S
    command = interpreter.program("learn.learn")

    while len(fatal) < _MOST_ENDS and CLOCK.now() < deadline:
        remaining_s = deadline - CLOCK.now()
        seconds = max(_LEARN_LEAST_S, min(request["seconds"], remaining_s))
        attempt = {
            **request,
            "seconds": CLOCK.stretch(seconds),
            "never": fatal,
            "site": interpreter.site,
        }
        with open_folder(is_writable=False) as scratch:
            journal_file = scratch / "journal"
            journal_file.touch()
            journal_file.chmod(0o666)
            records = _learn_once(interpreter, command, attempt, journal_file, seconds)
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
    interpreter: Interpreter,
    command: list[str],
    attempt: dict[str, Any],
    journal_file: Path,
    seconds: float,
) -> Records:
    """Run learn.py once; return the newest of what it said.

    Args:
        interpreter: what runs it.
        command: the command.
        attempt: what it is asked.
        journal_file: where it notes the call in progress.
        seconds: how long it may take, beside coming to its end.
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
        _watch_journal(process, journal_file, CLOCK.now() + 2 * seconds + 5)
        process.end()

    return process.records


def _watch_journal(process: PackageProcess, journal_file: Path, deadline: float) -> None:
    """Wait for a process to end; give up when it is busy with one call for too long, or when its time is up.

    What comes before the first call, such as importing the package, may take as long as there is time: on a busy
    machine that is more than any call takes.

    Args:
        process: a process of learn.py.
        journal_file: its journal, which names the call in progress.
        deadline: when its time is up, by the clock of work.
    """
    entry, begun_at = b"", CLOCK.now()
    while not process.wait(_POLL_S):
        del process.records.items[:-1]  # each says all that the one before it did

        now = CLOCK.now()
        new_entry = journal.read_entry(journal_file)
        if new_entry != entry:
            entry, begun_at = new_entry, now

        is_in_call = bool(entry.rstrip(b"\0 "))
        is_stalled = is_in_call and now - begun_at > _STALL_S
        if is_stalled or now > deadline:
            return
