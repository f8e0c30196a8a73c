"""What this machine is: figures of one machine say nothing about another."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path

_MODEL = "model name"


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """What tells machines apart whose figures cannot be compared.

    Attributes:
        processor: name of the processor, or of its architecture where the kernel does not say more.
        cpus: how many this process may use.
        memory_bytes: of the machine.
        kernel: release of the kernel.
    """

    processor: str
    cpus: int
    memory_bytes: int
    kernel: str


def describe_machine() -> Machine:
    """Return what this machine is."""
    return Machine(
        processor=_read_processor(),
        cpus=len(os.sched_getaffinity(0)),
        memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        kernel=platform.release(),
    )


def _read_processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(errors="replace").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == _MODEL:
            return value.strip()

    return platform.machine()
