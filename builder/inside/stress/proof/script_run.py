"""Run a replay script, and say what it showed."""

import re
import signal
from dataclasses import dataclass

from ...supervise.accounts import name_user, take_account
from ...supervise.folders import make_folder, open_folder
from ...supervise.output import Output
from ...supervise.process import PackageProcess
from ...supervise.work_clock import CLOCK
from ..play.endings import Stillness, name_fatal_signal
from ..process import memory
from ..process.interpreter import Interpreter
from ..sanitizer import causes, frames, reports

_POLL_S = 0.1
_DUMP_S = 0.5  # to write down where all threads stand
_KEPT_OUTPUT = 8000  # characters of what a script printed, and of what a sanitizer said of it
_WRONG_LINE = re.compile(r"^WRONG:", re.MULTILINE)
_GIL_LINE = re.compile(r"^GIL: on", re.MULTILINE)
"""What a script prints about what it saw (script.py)."""

_OUTPUT_BYTES = 1 << 20  # of what a process prints, the end


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
    races: dict[tuple[str, ...], list[frames.Location]]
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
    output = Output(0, _OUTPUT_BYTES)
    errors = Output(reports.MOST_BYTES, _OUTPUT_BYTES)
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
            timed_out = not _await_end(process, interpreter)
            if timed_out and not interpreter.race:
                # The fault handler then shows where all threads stand.
                process.send_signal(signal.SIGABRT)
                process.wait(_DUMP_S)
            exit_code = process.end()

    reported, beside_reports = reports.separate(errors.read_text())
    printed = (output.read_text() + beside_reports)[-_KEPT_OUTPUT:]
    signal_name = "" if timed_out else name_fatal_signal(exit_code)
    races = _find_own_races(reported, modules, interpreter.unwatched)

    observations = {
        "hang": timed_out,
        "crash": bool(signal_name),
        "wrong": _WRONG_LINE.search(printed) is not None,
        "race": bool(races),
        "gil": _GIL_LINE.search(printed) is not None,
    }
    seen = frozenset(what for what, was_seen in observations.items() if was_seen)

    return Run(seen, races, printed + reported[:_KEPT_OUTPUT], signal_name)


def _await_end(process: PackageProcess, interpreter: Interpreter) -> bool:
    """Wait for a script; return False where it takes too long, or where all of its threads wait for something."""
    deadline = CLOCK.now() + interpreter.patience_s
    stillness = Stillness(process.pid)
    while not process.wait(_POLL_S):
        if stillness.is_stuck() or CLOCK.now() > deadline:
            return False

    return True


def _find_own_races(
    text: str, modules: set[str], unwatched: frozenset[str]
) -> dict[tuple[str, ...], list[frames.Location]]:
    """Return the races of the package in a sanitizer's reports: their locations by their places.

    Races of other owners are skipped. Of several races between the same places, the first counts.
    """
    races: dict[tuple[str, ...], list[frames.Location]] = {}
    for report in reports.parse(text):
        attribution = causes.judge_report(report, modules, unwatched=unwatched)
        if attribution["owner"] == "package":
            races.setdefault(tuple(attribution["places"]), attribution["locations"])

    return races
