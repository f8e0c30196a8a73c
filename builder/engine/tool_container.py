"""A part of client.py: the container that a tool, such as cibuildwheel, starts for a job, held to the farm's rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from builder.engine import cleanup, containment, disk
from builder.engine.labels import JOB_LABEL, LABEL

if TYPE_CHECKING:
    from collections.abc import Mapping

    from docker import DockerClient
    from docker.models.containers import Container

    from builder.engine.compiler_cache import CompilerCache
    from builder.engine.services import NetworkAttachment
    from builder.engine.tasks import Limits


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

    def remove(self) -> None:
        """Remove the container, if it is there."""
        cleanup.remove_labelled(self._client, self._job_filter)

    def _list(self) -> list[Container]:
        """Return the container, if it is there. One that vanishes while it is listed is no error."""
        return self._client.containers.list(sparse=True, filters={"label": self._job_filter})
