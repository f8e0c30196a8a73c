"""A part of client.py: the container that a tool, such as cibuildwheel, starts for a job, held to the farm's rules."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from builder.engine import cleanup, containment, disk
from builder.engine.labels import JOB_LABEL, LABEL

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from docker import DockerClient
    from docker.models.containers import Container

    from builder.engine.compiler_cache import CompilerCache
    from builder.engine.services import NetworkAttachment
    from builder.engine.tasks import Limits

_ENDS = frozenset({"die", "died"})
"""What the engine calls the end of a container: Docker, and Podman."""

_ORDERS = frozenset({"kill", "stop"})
"""What the engine notes before that where somebody asked it to end the container."""

_OUT_OF_MEMORY = "oom"
"""What it notes where the kernel ended a process at the container's limit on memory."""

_KERNEL_COUNTERS = Path("/proc/vmstat")


@dataclass(frozen=True, kw_only=True, slots=True)
class OwnEnd:
    """How a container ended by what ran in it.

    Attributes:
        exit_code: of its first process: 137 where that was killed.
        met_memory_limit: whether the kernel ended a process of it for its memory.
    """

    exit_code: int
    met_memory_limit: bool


class ToolContainer:
    """The container that a tool starts for a job; there is none before that, and none after the tool has ended."""

    def __init__(
        self,
        client: DockerClient,
        storage: disk.EngineStorage,
        labels: Mapping[str, str],
        limits: Limits,
    ) -> None:
        """Prepare; nothing is started here.

        Args:
            client: the engine.
            storage: where the engine keeps what the container writes.
            labels: of the container; `wheelfarm.job` among them is how it is found.
            limits: what it may use; the caller enforces the time.
        """
        self._client = client
        self._storage = storage
        self._labels = labels
        self._limits = limits
        self._job_filter = f"{JOB_LABEL}={labels[JOB_LABEL]}"
        self._disk_watch = disk.DiskWatch(client, storage, limits.disk)
        self._asked_at = time.time()
        self._kernel_kills = _count_kernel_kills()

    def create_arguments(self, network: NetworkAttachment, cache: CompilerCache) -> list[str]:
        """Return options of `docker create` that hold a container to the farm's rules although a tool starts it.

        Args:
            network: the private network it is on.
            cache: the compiler cache it may use.

        Raises:
            InfrastructureError: too little of the engine's disk is free.
        """
        self._storage.check_reserve()
        labels = [f"--label={name}={value}" for name, value in self._labels.items()]
        return [
            *labels,
            *containment.create_arguments(containment.BUILD, self._limits.disk_bytes),
            f"--memory={self._limits.memory_bytes}",
            f"--memory-swap={self._limits.memory_bytes}",
            f"--cpus={self._limits.usable_cpus}",
            f"--pids-limit={self._limits.processes}",
            "--log-driver=none",
            "--init",
            *network.arguments(),
            *cache.arguments(self._labels[LABEL]),
        ]

    def count_processes(self) -> tuple[int, int] | None:
        """Return (processes now, most allowed) of the container.

        None where there is no such container, where it has no limit, or where it ended while the engine was asked.
        """
        from docker.errors import DockerException

        try:
            for container in self._list():
                stats = cast("Mapping[str, Any]", container.stats(stream=False, one_shot=True))
                process_counts = stats.get("pids_stats", {})
                if "current" in process_counts and process_counts.get("limit"):
                    return int(process_counts["current"]), int(process_counts["limit"])
        except (DockerException, OSError, ValueError):
            # It ended while it was looked at: the engine says so in one of several ways.
            return None

        return None

    def find_disk_excess(self) -> str | None:
        """Return what the container wrote too much of; None where there is nothing. Cheap enough to be called often.

        Raises:
            InfrastructureError: the engine's disk is nearly full.
        """
        from docker.errors import DockerException

        if not self._disk_watch.is_due():
            return None

        try:
            for container in self._list():
                excess = self._disk_watch.measure(str(container.id))
                if excess is not None:
                    return excess
        except (DockerException, OSError, ValueError):
            return None  # it ended while it was looked at

        return None

    def find_own_end(self) -> OwnEnd | None:
        """Return how the container ended by what ran in it, before the tool had done with it.

        The engine's own notes say so: a container that it ends for somebody has an order before its end. None where
        there is such an order, where the notes have no end, or where something else may have killed it: a kernel that
        is out of memory, or whatever happens on another machine.
        """
        from docker.errors import DockerException

        is_elsewhere = self._storage.read_free_space() is None
        if is_elsewhere:
            return None

        try:
            notes = self._client.events(
                since=int(self._asked_at),
                until=int(time.time()) + 1,  # it ends then: in a second at most
                filters={"type": "container", "label": self._job_filter},
                decode=True,
            )
            return self._read_own_end(notes)
        except (DockerException, OSError, ValueError, KeyError):
            return None  # an engine that was stopped has no notes any more

    def _read_own_end(self, notes: Iterable[Mapping[str, Any]]) -> OwnEnd | None:
        """Return what the engine's notes on the container say of its end; see `find_own_end`."""
        met_memory_limit = False
        for note in notes:
            action = note.get("Action")
            if action in _ORDERS:
                return None
            if action == _OUT_OF_MEMORY:
                met_memory_limit = True
            if action in _ENDS:
                if not met_memory_limit and _count_kernel_kills() != self._kernel_kills:
                    return None
                exit_code = int(note["Actor"]["Attributes"]["exitCode"])
                return OwnEnd(exit_code=exit_code, met_memory_limit=met_memory_limit)

        return None

    def remove(self) -> None:
        """Remove the container, if it is there."""
        cleanup.remove_labelled(self._client, self._job_filter)

    def _list(self) -> list[Container]:
        """Return the container, if it is there. One that vanishes while it is listed is no error."""
        return self._client.containers.list(sparse=True, filters={"label": self._job_filter})


def _count_kernel_kills() -> int:
    """Return how many processes of this machine the kernel has ended for their memory, in containers or not."""
    try:
        lines = _KERNEL_COUNTERS.read_text().splitlines()
    except OSError:
        return 0

    for line in lines:
        name, _, value = line.partition(" ")
        if name == "oom_kill":
            return int(value)
    return 0
