"""How a process that runs native code ended, and whether that was by a fault of its own."""

import contextlib
import os
import signal
from dataclasses import dataclass
from pathlib import Path

from ...supervise.work_clock import CLOCK
from .events import Event

_STUCK_S = 4.0  # without CPU time: what calls a package waits for nothing but its own threads
_IDLE_SHARE = 0.02  # of one CPU, which whoever waits may take
_TAIL_LINES = 160  # of the output: the fault handler writes last
_STACK_LINES = 80  # of these, the first ones

_ENDED_BY_OTHERS = frozenset({-signal.SIGKILL, -signal.SIGTERM})
"""Exit statuses of what did not end by its own fault: the kernel kills what takes too much memory."""

_MEMORY_COUNTERS = (
    "/sys/fs/cgroup/memory.events",
    "/sys/fs/cgroup/memory/memory.oom_control",
)
"""Where the kernel counts the processes it killed for their memory: control groups of version 2, and of version 1."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a process ended that played scenarios.

    Attributes:
        status: its exit status, negative for a signal.
        is_idle: whether it was idle while it was silent; None where it was not silent.
        is_flood: whether it was killed because it printed without end.
    """

    status: int
    is_idle: bool | None = None
    is_flood: bool = False


def describe_end(ending: Ending, scenario: str, output: str) -> Event:
    """Return the event that a scenario showed in which a process ended or was killed.

    Args:
        ending: how it ended.
        scenario: the scenario's id.
        output: what the process printed; after a crash or a hang, the stacks are at its end.

    Returns:
        A hang, a crash (by a signal), or an `end`: the process called exit(), or something else killed it.
    """
    last_lines = output.splitlines()[-_TAIL_LINES:]
    stack = "\n".join(last_lines[:_STACK_LINES])
    if ending.is_idle is not None:
        return {"what": "hang", "scenario": scenario, "idle": ending.is_idle, "stack": stack}
    if signal_name := name_fatal_signal(ending.status):
        return {"what": "crash", "scenario": scenario, "signal": signal_name, "stack": stack}

    return {"what": "end", "scenario": scenario, "exit_code": ending.status, "stack": stack}


def name_fatal_signal(returncode: int) -> str:
    """Return the name of the signal that a process died of, such as `SIGSEGV`.

    Empty where it died of none, or was killed from outside, as the kernel does when memory runs out.
    """
    if returncode >= 0 or returncode in _ENDED_BY_OTHERS:
        return ""
    try:
        return signal.Signals(-returncode).name
    except ValueError:  # a real-time signal has a number only
        return f"signal {-returncode}"


def count_memory_kills() -> int:
    """Return how many processes of this container the kernel has killed for their memory; 0 where it does not say."""
    for path in _MEMORY_COUNTERS:
        with contextlib.suppress(OSError, ValueError):
            for line in Path(path).read_text().splitlines():
                name, _, value = line.partition(" ")
                if name == "oom_kill":
                    return int(value)

    return 0


class Stillness:
    """Tells for how long a process and its children have been waiting, all of them.

    Children count: a sanitizer has the lines of its reports looked up by one.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._since = CLOCK.now()
        self._used_s = 0.0

    def is_stuck(self) -> bool:
        """Return whether they have used no CPU for so long that they wait for each other for ever."""
        now, used_s = CLOCK.now(), _read_family_cpu_seconds(self._pid)
        if used_s - self._used_s > _IDLE_SHARE * _STUCK_S:
            self._since, self._used_s = now, used_s
        return now - self._since > _STUCK_S


def _read_family_cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process and of its children."""
    children: list[str] = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            children += path.read_text().split()

    return read_cpu_seconds(pid) + sum(read_cpu_seconds(int(child)) for child in children)


def read_cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process, in user and system mode; 0 where the process has ended."""
    with contextlib.suppress(OSError, IndexError, ValueError):
        # proc(5): the name, in brackets, may hold anything; fields 14 and 15, in clock ticks.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return 0.0
