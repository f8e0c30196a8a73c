"""What runs in a container, what it may use, and how it ended."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from builder.engine import archives, compiler_cache, containment, disk

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from builder.engine.containment import Kind
    from builder.engine.services import NetworkAttachment


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What a container may use.

    Attributes:
        memory_bytes: memory, swap included.
        cpus: CPU time per second of wall time.
        processes: processes and threads.
        timeout_s: wall time.
        disk_bytes: what it writes to its file system; also the size of each file.
        inodes: files, folders and links that it makes.
    """

    memory_bytes: int = 2 << 30
    cpus: float = 2.0
    processes: int = 512
    timeout_s: float = 300.0
    disk_bytes: int = 4 << 30
    inodes: int = 500_000

    @property
    def disk(self) -> disk.DiskLimits:
        """What it may write, its compiler cache included."""
        return disk.DiskLimits(
            file_system_bytes=self.disk_bytes,
            volume_bytes=compiler_cache.LIMIT_BYTES,
            inodes=self.inodes,
        )

    @property
    def usable_cpus(self) -> float:
        """CPU time per second of wall time, no more than the machine has, because engines refuse that."""
        return min(self.cpus, os.cpu_count() or 1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """One program to run in a fresh container.

    Attributes:
        files: content by absolute path, put there before it starts.
        collect: absolute path of a file or folder to bring back.
        collect_bytes: how much that may be; more is an error of the infrastructure.
        network: what it reaches; None for nothing.
        user: who it runs as.
        kind: what it may do (containment.py).
    """

    image: str
    command: Sequence[str]
    files: Mapping[str, bytes | Path] = field(default_factory=dict)
    collect: str | None = None
    collect_bytes: int = archives.LIMIT_BYTES
    network: NetworkAttachment | None = None
    user: str = "farm"
    environment: Mapping[str, str] = field(default_factory=dict)
    limits: Limits = Limits()
    kind: Kind = containment.PROGRAM


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskResult:
    """How a task ended.

    Attributes:
        exit_code: the program's; 128 + n where signal n killed it.
        timed_out: the limit on time ended it.
        out_of_memory: the kernel killed a process for the limit on memory.
        disk_excess: what it wrote too much of, so that it was ended; None where it kept within its limit on disk.
        output: files under the collected path, by path relative to its parent.
    """

    exit_code: int
    timed_out: bool
    out_of_memory: bool
    disk_excess: str | None = None
    output: Mapping[str, bytes]

    @property
    def disk_exceeded(self) -> bool:
        """Whether its limit on disk ended it."""
        return self.disk_excess is not None
