"""The door through which the farm starts Python on its own machine.

Python looks for modules first in its working directory (`-m`, `-c`). Where that is a folder that somebody else filled,
a file called `typing.py` in it is run with the farm's rights. So an interpreter that is started here never has its
working directory on its path (`-P`), whatever that is; nor do the interpreters that it starts itself
(`PYTHONSAFEPATH`). Nothing else in `builder/` starts one.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from builder import ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SAFE_PATH = {"PYTHONSAFEPATH": "1"}
"""The variable by which interpreters that are started by others leave out their working directory."""

_OUTPUT_BYTES = 64 << 20
"""How much of what a confined program printed is read: a report on one wheel is some kB."""

_LIMITED_PROGRAM = """
import json, resource, runpy, sys
settings = json.loads(sys.argv.pop(1))
for name, value in settings["limits"].items():
    kind = getattr(resource, name)
    _, most = resource.getrlimit(kind)
    value = value if most == resource.RLIM_INFINITY else min(value, most)
    resource.setrlimit(kind, (value, value))
sys.path[:0] = settings["paths"]
runpy.run_module(settings["module"], run_name="__main__", alter_sys=True)
"""
"""Limits itself, then runs a module as `-m` does. The limits are set by the process itself, because the farm has
threads, and what is set between fork and exec of such a process may wait for ever for a lock."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ProcessLimits:
    """What a process on the farm's machine may use.

    Attributes:
        memory_bytes: address space.
        cpu_s: processor time in seconds.
        file_bytes: the largest file that it may write.
        wall_s: wall time in seconds, at the end of which it is killed.
    """

    memory_bytes: int
    cpu_s: int
    file_bytes: int
    wall_s: int

    def record(self) -> dict[str, int]:
        """Return the limits that the kernel holds a process to, by their names in the module `resource`."""
        return {
            "RLIMIT_AS": self.memory_bytes,
            "RLIMIT_CPU": self.cpu_s,
            "RLIMIT_FSIZE": self.file_bytes,
            "RLIMIT_CORE": 0,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class ProcessEnd:
    """How a confined process ended.

    Attributes:
        exit_code: its own; negative for the signal that killed it.
        output: the beginning of its standard output.
        errors: the beginning of its standard error.
    """

    exit_code: int
    output: bytes
    errors: str


class TimeLimitError(Exception):
    """A confined process did not end in time."""


def module_command(
    module: str,
    *arguments: str,
    memory_bytes: int | None = None,
    file_bytes: int | None = None,
) -> list[str]:
    """Return a command that runs a module, of the farm or of what it needs, with this interpreter.

    The farm's own modules come from where this process has them.

    Args:
        module: full name of the module.
        arguments: of the program.
        memory_bytes: limit on the address space of the process, and of each that it starts itself; None for none.
        file_bytes: the largest file that it, and each that it starts itself, may write; None for any.
    """
    limits: dict[str, int] = {}
    if memory_bytes is not None:
        limits["RLIMIT_AS"] = memory_bytes
    if file_bytes is not None:
        limits["RLIMIT_FSIZE"] = file_bytes
    settings = {"limits": limits, "paths": [str(ROOT.parent)], "module": module}
    return [sys.executable, "-P", "-c", _LIMITED_PROGRAM, json.dumps(settings), *arguments]


def run_confined(
    module: str,
    arguments: list[str],
    folder: Path,
    limits: ProcessLimits,
    *,
    only: Path | None = None,
) -> ProcessEnd:
    """Run a module in a process with limits and without the farm's environment, and return how it ended.

    Args:
        module: full name of the module.
        arguments: of the program.
        folder: an empty folder of our own: its working directory, its home and its place for temporary files.
        limits: what it may use.
        only: a folder; then the module is taken from there, and none of the packages that are installed for this
            interpreter can be imported.

    Raises:
        TimeLimitError: it did not end in time, and was killed.
    """
    settings: dict[str, Any] = {"limits": limits.record(), "paths": [], "module": module}
    options = ["-P"]
    if only is not None:
        settings["paths"] = [str(only)]
        options = ["-I", "-S"]

    command = [sys.executable, *options, "-c", _LIMITED_PROGRAM, json.dumps(settings), *arguments]
    output, errors = folder / ".output", folder / ".errors"
    with output.open("wb") as output_file, errors.open("wb") as errors_file:
        try:
            ended = subprocess.run(
                command,
                cwd=folder,
                env=_confined_environment(folder),
                stdin=subprocess.DEVNULL,
                stdout=output_file,
                stderr=errors_file,
                timeout=limits.wall_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise TimeLimitError(f"it takes longer than {limits.wall_s} s") from None

    return ProcessEnd(
        exit_code=ended.returncode,
        output=_read_beginning(output),
        errors=_read_beginning(errors).decode(errors="replace"),
    )


def _confined_environment(folder: Path) -> Mapping[str, str]:
    home = str(folder)
    return {"HOME": home, "TMPDIR": home, "XDG_CACHE_HOME": home, **SAFE_PATH}


def _read_beginning(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_OUTPUT_BYTES)
