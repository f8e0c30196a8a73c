"""CPUs and memory of this machine that jobs share."""

from __future__ import annotations

import os
from dataclasses import dataclass

_MEMORY_SHARE = 0.9
"""The part of this machine's memory that jobs may share. The rest is for the farm, the engine and the system's file
cache. The number was not measured."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Resources:
    """CPUs and memory: those of the machine, or those that a job uses.

    Attributes:
        cpus: CPU time per second of wall time.
        memory_bytes: memory.
    """

    cpus: float
    memory_bytes: int


def host_resources() -> Resources:
    """Return the CPUs and the memory that jobs may share: all CPUs that the farm may use, and most of the memory."""
    # Not `os.cpu_count`: a container or `taskset` may leave the farm fewer.
    cpus = len(os.sched_getaffinity(0))
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")

    return Resources(cpus=float(cpus), memory_bytes=int(memory_bytes * _MEMORY_SHARE))
