"""What /proc says of a process and all that it started, and what a list of latencies comes to."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_SHARES = {"p50": 0.50, "p75": 0.75, "p95": 0.95, "p99": 0.99}

_MIN_CALLS_ABOVE = 10
"""Fewest calls beyond a quantile, on its thinner side: of fewer it says little (builder/judge/measurements/quantiles.py
has the same). Then the latencies are answered, so that those of several rounds can be pooled."""

_DIGITS = 7
"""Of a latency in seconds that is answered: a tenth of a microsecond, where a thousand take a second."""

# Fields of /proc/PID/stat after the name of the program, which may have blanks (proc_pid_stat(5)).
_SESSION = 3
_CPU_TICKS = slice(11, 15)
"""Of the process in user and kernel mode, and of its children that it waited for, in both."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What the processes of a session have used so far.

    Attributes:
        cpu_s: CPU time, of children that have ended too if they were waited for.
        rss_bytes: resident memory now, of all of them; memory that they share counts in each.
        peak_rss_bytes: the most that each of them ever had, added up.
    """

    cpu_s: float
    rss_bytes: int
    peak_rss_bytes: int


def read_usage(session: int) -> Usage:
    """Return what the processes of a session have used; those that end meanwhile are left out.

    Args:
        session: id of the process that leads it (setsid(2)).
    """
    cpu_s = 0.0
    rss_bytes = 0
    peak_rss_bytes = 0
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal():
            continue
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            if int(fields[_SESSION]) != session:
                continue
            memory = _read_memory(folder)
        except OSError:  # it ended in between
            continue

        cpu_s += sum(int(ticks) for ticks in fields[_CPU_TICKS]) / _TICKS_PER_S
        rss_bytes += memory.get("VmRSS", 0)
        peak_rss_bytes += memory.get("VmHWM", 0)

    return Usage(cpu_s=cpu_s, rss_bytes=rss_bytes, peak_rss_bytes=peak_rss_bytes)


def read_own_memory() -> tuple[int, int]:
    """Return the resident memory of this process now, and the most it ever had, in bytes."""
    memory = _read_memory(Path("/proc/self"))
    return memory["VmRSS"], memory["VmHWM"]


def _read_memory(folder: Path) -> dict[str, int]:
    """Return the sizes in bytes that `status` in a folder of /proc has; none of a process that has ended."""
    sizes: dict[str, int] = {}
    for line in (folder / "status").read_text(errors="replace").splitlines():
        name, _, value = line.partition(":")
        if name.startswith("Vm"):
            sizes[name] = int(value.split()[0]) * 1024

    return sizes


def find_quantiles(latencies_s: list[float]) -> dict[str, float]:
    """Return the quantiles of latencies by their names, each the latency that so many calls do not exceed.

    It is the nearest rank, a latency that was really seen: between the two longest of a hundred nothing is made up.

    Args:
        latencies_s: at least one.
    """
    ordered = sorted(latencies_s)
    quantiles: dict[str, float] = {}
    for name, share in _SHARES.items():
        rank = math.ceil(share * len(ordered))
        quantiles[name] = ordered[rank - 1]

    return quantiles


def make_reading(
    latencies_s: list[float], wall_s: float, cpu_s: float, **others: float
) -> dict[str, Any]:
    """Return what calls or requests came to: a reading, as builder/evidence/measurement.py describes it.

    Args:
        latencies_s: of each of them.
        wall_s: from the beginning of the first to the end of the last.
        cpu_s: CPU time of all of them.
        others: what was measured besides.
    """
    count = len(latencies_s)
    metrics = {"throughput": count / wall_s, "cpu": cpu_s / count, **others}
    quantiles = find_quantiles(latencies_s)
    for name, share in _SHARES.items():
        # Rounded, for 0.05 of 200 calls are not quite ten in binary.
        if round(count * min(share, 1 - share), _DIGITS) >= _MIN_CALLS_ABOVE:
            metrics[name] = quantiles[name]

    reading: dict[str, Any] = {"count": count, "metrics": metrics}
    if not quantiles.keys() <= metrics.keys():
        reading["latencies_s"] = [round(latency_s, _DIGITS) for latency_s in latencies_s]
    return reading
