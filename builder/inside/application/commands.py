"""Run commands of an application by the shell, each as a user of its own."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from ..supervise.accounts import take_account
from ..supervise.folders import open_folder
from ..supervise.process import run_to_end
from .environment import describe_environment

_OUTPUT_CHARACTERS = 4000  # of what a command printed, its end


def run_command(
    command: str, request: dict[str, Any], environment: Path, seconds: float, **variables: str
) -> dict[str, Any]:
    """Run a command of the application by the shell, as a user of its own; return how it ended.

    Args:
        command: the command.
        request: the request of this program.
        environment: the virtual environment, whose programs come first.
        seconds: most time for it.
        variables: further variables.
    """
    print("$", command, flush=True)
    started = time.monotonic()
    with open_folder() as home:
        exit_code, printed = run_to_end(
            write_command_line(command),
            account=take_account(),
            seconds=seconds,
            folder=request["project"],
            environment={**describe_environment(request, environment, home), **variables},
        )
    print(printed, flush=True)

    return {
        "command": command,
        "exit_code": exit_code,
        "seconds": round(time.monotonic() - started, 2),
        "output": printed[-_OUTPUT_CHARACTERS:],
    }


def write_command_line(command: str) -> list[str]:
    """Return what runs a command by the shell."""
    return ["/bin/sh", "-c", command]
