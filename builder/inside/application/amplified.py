"""Run smoke commands once more, watched: several threads make the native calls that they make (inside.smoke).

Each Python process that the command starts in the environment forks at some of these calls, and its children try them.
What a process says comes through a pipe of its own; a `.pth` file in the environment has it begin.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..load.distribution import find_modules
from ..load.install import run_as
from ..supervise.accounts import take_account
from ..supervise.distributions import list_distributions
from ..supervise.folders import open_folder
from ..supervise.output import Output
from ..supervise.process import PackageProcess
from ..supervise.programs import PROGRAMS
from ..supervise.records import RecordReader, make_token
from ..supervise.work_clock import CLOCK
from .commands import write_command_line
from .environment import describe_environment, find_site
from .trials import summarize

if TYPE_CHECKING:
    from ..supervise.accounts import Account

_VARIABLE = "WHEELFARM_WATCH"  # as inside.smoke.watch reads it
_PROCESSES = 4  # Python processes of one command that are watched
_CHILD_S = 2.0  # for one trial
_SLOWDOWN = 3  # of a command whose calls are watched, beside the trials: most of it is importing
_INSTALL_S = 60.0  # for writing one file
_PTH = "wheelfarm_watch.pth"
_MOST_BYTES = 16 << 20  # of what a process says
_OUTPUT_BYTES = 1 << 16
_LOG_CHARACTERS = 2000  # of what a command printed, its end

_UNWATCHED = "no Python process of its environment ran that could be watched"


class Slot:
    """Pipes for one Python process of a command: it finds a request in one, and writes records into the other."""

    def __init__(self, request: dict[str, Any]) -> None:
        """Open the pipes, and lay the request into the first.

        Args:
            request: what the process is asked.
        """
        token = make_token()
        self.reader = RecordReader(token, _MOST_BYTES)
        self.asking, sending = os.pipe()
        self.listening, self.answering = os.pipe()
        asked = {"token": token, "descriptor": self.answering, "request": request}
        os.write(sending, json.dumps(asked).encode() + b"\n")
        os.close(sending)

    @property
    def pair(self) -> str:
        """The descriptors, as the environment of the command names them."""
        return f"{self.asking}:{self.answering}"

    def close_theirs(self) -> None:
        """Close the ends that the command has copies of."""
        os.close(self.asking)
        os.close(self.answering)


def amplify_commands(
    request: dict[str, Any], environment: Path, runs: list[dict[str, Any]], account: Account
) -> list[dict[str, Any]]:
    """Run those commands watched that ended well; return what came of each (AmplifiedCommand).

    Args:
        request: the request of this program.
        environment: the virtual environment.
        runs: how the commands ended without being watched.
        account: who installed the environment.
    """
    fine = [run for run in runs if run["exit_code"] == 0]
    if not fine:
        return []

    packages = environment.parent / "packages.json"
    packages.write_text(json.dumps(_describe_packages(request, environment)))
    _install_beginning(request["python"], find_site(environment) / _PTH, account)

    return [_amplify(run, request, environment, packages) for run in fine]


def _describe_packages(request: dict[str, Any], environment: Path) -> dict[str, Any]:
    """Return what a watched process has to know of the environment."""
    site = find_site(environment)
    modules: dict[str, str] = {}
    natives: list[str] = []
    for name, distribution in list_distributions(str(site)):
        own = find_modules(distribution)
        natives += own.natives
        for module in (*own.tops, *own.natives):
            modules.setdefault(module, name)

    return {
        "modules": modules,
        "natives": natives,
        "site": str(site),
        "project": request["project"],
        "environment": str(environment),
    }


def _install_beginning(python: str, path: Path, account: Account) -> None:
    """Have each process of the environment run inside/smoke/begin.py first, where it is to be watched.

    Only who installed the environment may write there.
    """
    program = str(PROGRAMS / "inside" / "smoke" / "begin.py")
    line = f"import os; {_VARIABLE!r} in os.environ and exec(open({program!r}).read(), {{'__file__': {program!r}}})\n"
    write = "import pathlib, sys; pathlib.Path(sys.argv[1]).write_text(sys.argv[2])"
    run_as(account, [python, "-I", "-c", write, str(path), line], _INSTALL_S)


def _amplify(
    run: dict[str, Any], request: dict[str, Any], environment: Path, packages: Path
) -> dict[str, Any]:
    """Run one command watched.

    Args:
        run: how it ended without being watched.
        request: the request of this program.
        environment: the virtual environment.
        packages: the file with what is installed.
    """
    print("$ (watched)", run["command"], flush=True)
    CLOCK.now()
    seconds = CLOCK.stretch(request["amplify"]["seconds"])
    began = time.monotonic()
    until = began + _SLOWDOWN * run["seconds"] + seconds
    asked = {
        "threads": request["amplify"]["threads"],
        "seconds": seconds,
        "child_s": CLOCK.stretch(_CHILD_S),
        "until": until,
        "packages": str(packages),
    }
    slots = [Slot(asked) for _ in range(_PROCESSES)]
    output = Output(_OUTPUT_BYTES, _OUTPUT_BYTES)
    with open_folder() as home:
        variables = describe_environment(request, environment, home)
        variables[_VARIABLE] = ",".join(slot.pair for slot in slots)
        with PackageProcess(
            write_command_line(run["command"]),
            account=take_account(),
            environment=variables,
            folder=request["project"],
            output=output,
            passed_on=[end for slot in slots for end in (slot.asking, slot.answering)],
            listeners={slot.listening: slot.reader.feed for slot in slots},
        ) as process:
            for slot in slots:
                slot.close_theirs()
            has_ended = process.wait(request["smoke_s"] + until - began)
            exit_code = process.end()

    print(output.read_text()[-_LOG_CHARACTERS:], flush=True)
    told = [slot.reader.records for slot in slots if slot.reader.records.items]
    facts = {
        "command": run["command"],
        "exit_code": exit_code if has_ended else None,
        "seconds": round(time.monotonic() - began, 2),
        **summarize(told),
    }
    facts["unexamined"] = _explain(facts, silent=sum(not records.is_closed for records in told))
    print("watched:", json.dumps(facts), flush=True)
    return facts


def _explain(facts: dict[str, Any], *, silent: int) -> str:
    """Return why little or nothing of a command could be examined; empty where nothing speaks against it.

    Args:
        facts: of the command.
        silent: how many of its processes did not say that they came to their end.
    """
    if facts["exit_code"] is None:
        return "it did not end in time when it was watched"
    if facts["exit_code"] != 0:
        return f"it ended with exit code {facts['exit_code']} when it was watched"
    if not facts["processes"]:
        return _UNWATCHED
    if silent:
        return f"{silent} of {facts['processes']} processes ended before they had told all of their native calls"
    return ""
