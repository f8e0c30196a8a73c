"""CPUs and memory of this machine that jobs share."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Resources:
    """What there is, or what a job takes of it.

    Attributes:
        cpus: CPU time per second of wall time.
        memory_bytes: memory.
    """

    cpus: float
    memory_bytes: int


_MEMORY_SHARE = 0.9
"""Of this machine's memory, the part that jobs may share."""


def host_resources() -> Resources:
    """Return what of this machine jobs may share: every CPU that the farm itself may use, and most of the memory."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return Resources(
        cpus=float(len(os.sched_getaffinity(0))), memory_bytes=int(memory * _MEMORY_SHARE)
    )
