"""A part of client.py: how much containers write, and where that ends.

No engine bounds what a container writes to its file system (but for some storage drivers), so it is measured while a
container runs, and a container that wrote more than its limit is ended. Measuring takes the engine some work. So it is
done when the free space of the engine's storage has shrunk, which costs nothing to see, and else only now and then.
"""

from __future__ import annotations

import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from builder.errors import InfrastructureError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from docker import DockerClient

RESERVE_BYTES = 2 << 30
"""Free space of the engine's storage that no job may take: the farm, the engine and the host need it to go on."""

_CHECK_S = 0.5
"""As often as the free space is looked at: a fast disk takes some 500 MiB in that time."""
_FREE_STEP_BYTES = 64 << 20  # measured again when so much of the free space is gone
_FREE_STEP_INODES = 20_000
_MEASURE_S = 20.0  # measured again after this time in any case, for an engine whose storage cannot be seen from here
_MEASURE_TIMEOUT_S = 60
_BLAME_BYTES = 1 << 30  # where the reserve is touched, who wrote less is not ended for it


@dataclass(frozen=True, kw_only=True, slots=True)
class DiskLimits:
    """What a container may write.

    Attributes:
        file_system_bytes: to its own file system.
        volume_bytes: what its volumes may have in them.
        inodes: files, folders and links, in both.
    """

    file_system_bytes: int
    volume_bytes: int
    inodes: int


@dataclass(frozen=True, kw_only=True, slots=True)
class FreeSpace:
    """What is free of a file system."""

    bytes: int
    inodes: int


class EngineStorage:
    """Where the engine keeps what containers write."""

    def __init__(self, root: str, address: str) -> None:
        """Prepare.

        Args:
            root: the engine's data folder, as it says itself.
            address: of the engine. Where it is no socket of this machine, the folder is not one of this machine.
        """
        is_local = address.startswith("unix://")
        self._root = Path(root) if is_local and root else None

    def read_free_space(self) -> FreeSpace | None:
        """Return what is free; None where that cannot be seen from here."""
        if self._root is None:
            return None
        try:
            status = os.statvfs(self._root)
        except OSError:
            return None

        return FreeSpace(bytes=status.f_bavail * status.f_frsize, inodes=status.f_favail)

    def check_reserve(self) -> None:
        """Check that another job may be started.

        Raises:
            InfrastructureError: less than the reserve is free.
        """
        free = self.read_free_space()
        if free is not None and free.bytes < RESERVE_BYTES:
            raise InfrastructureError(
                f"{free.bytes >> 20} MiB are free at {self._root}, where the container engine keeps its files; no job "
                f"is started with less than {RESERVE_BYTES >> 20} MiB: free some (`wheelfarm gc`, `docker system df`)"
            )


class DiskWatch:
    """Looks after what one container writes."""

    def __init__(self, client: DockerClient, storage: EngineStorage, limits: DiskLimits) -> None:
        """Prepare; nothing is measured yet.

        Args:
            client: the engine.
            storage: where the container's files are.
            limits: what it may write.
        """
        self._client = client
        self._storage = storage
        self._limits = limits
        self._highest = storage.read_free_space()
        self._next_check = 0.0
        self._next_measurement = time.monotonic() + _MEASURE_S

    def is_due(self) -> bool:
        """Return whether to measure now. Cheap enough to be asked often: most of the time it looks at nothing."""
        now = time.monotonic()
        if now < self._next_check:
            return False
        self._next_check = now + _CHECK_S

        free = self._storage.read_free_space()
        if not self._has_shrunk(free) and now < self._next_measurement:
            return False

        self._highest = free
        return True

    def measure(self, container_id: str) -> str | None:
        """Return what a container wrote too much of, as a text; None where it is within its limits.

        Raises:
            InfrastructureError: the storage is nearly full, and this container has a large part in that.
        """
        excess = self._find_excess(container_id)
        self._next_measurement = time.monotonic() + _MEASURE_S
        return excess

    def _has_shrunk(self, free: FreeSpace | None) -> bool:
        """Return whether much is gone of the most that was free since the last measurement."""
        if free is None or self._highest is None:
            return False

        self._highest = FreeSpace(
            bytes=max(free.bytes, self._highest.bytes),
            inodes=max(free.inodes, self._highest.inodes),
        )
        is_smaller = self._highest.bytes - free.bytes > _FREE_STEP_BYTES
        has_fewer = self._highest.inodes - free.inodes > _FREE_STEP_INODES
        return is_smaller or has_fewer or free.bytes < RESERVE_BYTES

    def _find_excess(self, container_id: str) -> str | None:
        """Measure what a container wrote, and return what is too much of it."""
        description = self._inspect(container_id)
        if description is None:
            return None

        volumes = _list_volumes(description)
        folders = [*_find_upper_folder(description), *(path for _, path in volumes)]

        written = self._measure_file_system(container_id, description)
        if written > self._limits.file_system_bytes:
            return f"{_mebibytes(written)} in its file system, of {_mebibytes(self._limits.file_system_bytes)}"

        in_volumes = sum(measure_volume(self._client, name, path) for name, path in volumes)
        if in_volumes > self._limits.volume_bytes:
            return f"{_mebibytes(in_volumes)} in its compiler cache, of {_mebibytes(self._limits.volume_bytes)}"

        inodes = _run_du(["--inodes"], _select_readable(folders))
        if inodes > self._limits.inodes:
            return f"{inodes} files, of {self._limits.inodes}"

        free = self._highest
        is_nearly_full = free is not None and free.bytes < RESERVE_BYTES
        if is_nearly_full and written + in_volumes > _BLAME_BYTES:
            raise InfrastructureError(
                f"the container engine's disk is nearly full, and a container that had written {_mebibytes(written)} "
                "was ended; free some space (`wheelfarm gc`, `docker system df`)"
            )
        return None

    def _inspect(self, container_id: str) -> Mapping[str, Any] | None:
        """Return the engine's description of a container; None where there is no such container."""
        from docker.errors import APIError

        try:
            description: Mapping[str, Any] = self._client.api.inspect_container(container_id)
        except APIError:
            return None

        return description

    def _measure_file_system(self, container_id: str, description: Mapping[str, Any]) -> int:
        """Return how many bytes a container wrote to its own file system.

        They are counted on the disk where that can be read. Else the engine counts them, which fails for a folder so
        deep that its path is longer than any path may be: what is below it counts as nothing then.
        """
        upper = _select_readable(_find_upper_folder(description))
        if upper:
            return _run_du(["--block-size=1"], upper)

        listed = self._client.api.containers(all=True, size=True, filters={"id": container_id})
        return sum(max(0, int(container.get("SizeRw") or 0)) for container in listed)


def measure_volume(client: DockerClient, name: str, path: Path) -> int:
    """Return how many bytes a volume has: counted on its disk where that can be read, else as the engine says.

    Zero where neither tells.
    """
    readable = _select_readable([path])
    if readable:
        return _run_du(["--block-size=1"], readable)

    for description in client.df()["Volumes"] or ():
        if description["Name"] == name:
            return max(0, int(description["UsageData"]["Size"]))  # -1 for "unknown"
    return 0


def _list_volumes(description: Mapping[str, Any]) -> list[tuple[str, Path]]:
    """Return (name, folder on the engine's machine) of the volumes of a container."""
    volumes = []
    for mount in description.get("Mounts") or ():
        if mount.get("Type") == "volume":
            volumes.append((str(mount["Name"]), Path(mount["Source"])))

    return volumes


def _find_upper_folder(description: Mapping[str, Any]) -> list[Path]:
    """Return the folder of what a container wrote, where the storage driver is overlay2; else nothing."""
    driver = description.get("GraphDriver") or {}
    upper = (driver.get("Data") or {}).get("UpperDir")
    return [Path(upper)] if upper else []


def _select_readable(folders: Sequence[Path]) -> list[Path]:
    """Return the folders that this process can read, as root on the engine's machine can."""
    return [folder for folder in folders if os.access(folder, os.R_OK | os.X_OK)]


def _run_du(options: Sequence[str], folders: Sequence[Path]) -> int:
    """Return the sum that `du` gives for folders; it follows no link and leaves their file systems for no other.

    Zero where it takes too long.
    """
    if not folders:
        return 0

    command = [
        "du",
        "--summarize",
        "--one-file-system",
        "--total",
        *options,
        "--",
        *map(str, folders),
    ]
    try:
        # Files that vanish meanwhile are errors to du, which counts the others all the same.
        completed = subprocess.run(
            command, capture_output=True, check=False, timeout=_MEASURE_TIMEOUT_S
        )
    except subprocess.TimeoutExpired:
        return 0

    lines = completed.stdout.splitlines()
    return int(lines[-1].split()[0]) if lines else 0


def _mebibytes(size: int) -> str:
    return f"{size >> 20} MiB"
