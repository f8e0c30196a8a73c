"""The only door to containers, with services.py and cleanup.py: the Docker Engine API, by Docker or by Podman.

Every container started here, or by a tool that is handed `create_arguments`, carries the farm's label, has limits,
cannot gain privileges, sees no file of the host, and is always removed; `reap` clears what a killed farm left.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
import uuid
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from builder import host
from builder.engine import archives, cleanup, compiler_cache, containment, disk, posture, services
from builder.errors import EngineMissingError, InfrastructureError, Interrupted

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from docker import DockerClient
    from docker.models.containers import Container

    from builder.engine.compiler_cache import CompilerCache
    from builder.engine.containment import Kind
    from builder.engine.services import NetworkAttachment, Service

LABEL = "wheelfarm.farm"
"""Container label: the id of the farm that owns it."""
RUN_LABEL = "wheelfarm.run"
"""Container label: the run that started it."""

MINIMUM_API = (1, 41)
"""Oldest Docker Engine API that cibuildwheel drives."""

_JOB_LABEL = "wheelfarm.job"  # of containers that a tool starts for a job
_PLATFORM = "linux/amd64"

_FIRST_POLL_S = 0.02  # so that short tasks are not kept waiting
_POLL_GROWTH = 1.5
_POLL_S = 0.5  # so that long ones cost the engine little

_LOG_LIMIT_BYTES = 32 << 20  # as much as the engine keeps of a container
_BUILD_MEMORY_BYTES = 6 << 30  # for compiling CPython; not measured
_REQUEST_TIMEOUT_S = 120  # importing an image of some GB is one request; not measured


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


@dataclass(frozen=True, kw_only=True, slots=True)
class _End:
    """Why a container does not run any more, where the farm ended it."""

    timed_out: bool = False
    disk_excess: str | None = None


class Engine:
    """A container engine that answers."""

    def __init__(self, client: DockerClient, address: str, farm_id: str = "doctor") -> None:
        self._client = client
        self.address = address
        self.farm_id = farm_id
        self.run_id = uuid.uuid4().hex

    # --- who it is -------------------------------------------------------------------------------------------------

    @property
    def api_version(self) -> tuple[int, int]:
        """The API version in use."""
        major, minor = str(self._client.api.api_version).split(".")[:2]
        return int(major), int(minor)

    def describe(self) -> Mapping[str, Any]:
        """Return the engine's own account of itself (`GET /info`)."""
        return cast("Mapping[str, Any]", self._client.info())

    def runc_version(self) -> str:
        """Return the version of runc with the distribution's revision; empty where the engine does not say.

        `1.1.5+ds1-1+deb12u1`. The commit is where Debian and Ubuntu have it; others have the number as the version.
        """
        for component in self._client.version().get("Components") or ():
            if component.get("Name") == "runc":
                commit = str((component.get("Details") or {}).get("GitCommit") or "")
                version = str(component.get("Version") or "")
                is_revision = commit.startswith(version) and commit != version
                return commit if is_revision else version

        return ""

    def record_containment(self) -> dict[str, Any]:
        """Return what evidence says of the containment that this engine gives, as JSON data."""
        current = posture.read_posture(self.describe())
        return posture.make_record(current, self.find_weaknesses())

    def find_weaknesses(self) -> list[posture.Weakness]:
        """Return what this engine contains containers less with than it could, the gravest first."""
        current = posture.read_posture(self.describe())
        return posture.find_weaknesses(current, self.runc_version())

    @cached_property
    def _storage(self) -> disk.EngineStorage:
        """Where the engine keeps what containers write."""
        return disk.EngineStorage(str(self.describe().get("DockerRootDir", "")), self.address)

    def command_environment(self) -> dict[str, str]:
        """Return the variables with which the `docker` command reaches this engine."""
        return {"DOCKER_HOST": self.address}

    # --- images ----------------------------------------------------------------------------------------------------

    def image_labels(self, tag: str) -> Mapping[str, str] | None:
        """Return an image's labels, or None where there is no such image."""
        from docker.errors import ImageNotFound

        try:
            return cast("Mapping[str, str]", self._client.images.get(tag).labels)
        except ImageNotFound:
            return None

    def newest_image(self, repository: str) -> str | None:
        """Return the tag of the image of a repository that was created last; None where it has no image."""
        images = self._client.images.list(name=repository)
        if not images:
            return None

        newest = max(images, key=lambda image: str(image.attrs["Created"]))
        return str(newest.tags[0])

    def image_bytes(self, tag: str) -> int:
        """Return an image's size."""
        return int(self._client.images.get(tag).attrs["Size"])

    def pull(self, reference: str, tag: str) -> str:
        """Take an image from its registry, give it a tag, and return what was taken.

        The registry's tag is resolved to a digest first, and the digest is what is pulled: a tag may stand for another
        image at any time, a digest for no other.

        Returns:
            `debian@sha256:…`

        Raises:
            InfrastructureError: the registry does not answer or does not have it.
        """
        from docker.errors import DockerException
        from docker.utils import parse_repository_tag

        try:
            digest = str(self._client.images.get_registry_data(reference).id)
            repository, _ = parse_repository_tag(reference)
            pinned = f"{repository}@{digest}"
            image = self._client.images.pull(pinned, platform=_PLATFORM)
            image.tag(tag)
        except (DockerException, OSError) as error:
            raise InfrastructureError(
                f"the container registry did not give {reference}: {error}"
            ) from None

        return pinned

    def is_registry_reachable(self, reference: str) -> bool:
        """Return whether the registry of an image answers and has that image; the image is not pulled."""
        from docker.errors import DockerException

        try:
            self._client.images.get_registry_data(reference)
        except (DockerException, OSError):
            return False

        return True

    def import_root(self, archive: Path, tag: str) -> None:
        """Make an image from a tar archive of a root file system, and give it a tag.

        Raises:
            InfrastructureError: the engine does not take the archive.
        """
        repository, _, version = tag.rpartition(":")
        answer = self._client.api.import_image_from_file(
            str(archive), repository=repository, tag=version
        )
        # A failure can come in the body of an answer.
        if "error" in str(answer):
            raise InfrastructureError(f"the engine did not import {archive.name}: {answer}")

    def build_image(
        self,
        tag: str,
        *,
        context: Mapping[str, bytes | Path],
        arguments: Mapping[str, str],
        labels: Mapping[str, str],
        log: Callable[[str], None],
        stop: threading.Event,
    ) -> str | None:
        """Build an image from a Dockerfile, and pass on what the build prints while it runs.

        Args:
            tag: what to call it.
            context: files by relative path, `Dockerfile` among them.
            arguments: build arguments.
            labels: labels of the image.
            log: takes each line the build prints.
            stop: set when the farm is asked to stop.

        Returns:
            The error that the build ended with; None where the image was built.

        Raises:
            Interrupted: the farm was asked to stop.
        """
        with archives.pack(context) as packed:
            stream = self._client.api.build(
                fileobj=packed,
                custom_context=True,
                tag=tag,
                buildargs={**host.build_proxy_variables(), **arguments},
                labels={LABEL: "image", **labels},
                decode=True,
                rm=True,
                forcerm=True,
                container_limits={"memory": _BUILD_MEMORY_BYTES},
            )

        for message in stream:
            if stop.is_set():
                raise Interrupted

            text = message.get("stream")
            if text:
                log(text)

            error = message.get("error")
            if error:
                log(error + "\n")
                return str(error)

        return None

    # --- containers ------------------------------------------------------------------------------------------------

    def run(self, task: Task, *, log: Path, stop: threading.Event) -> TaskResult:
        """Run a task in a fresh container, and return how the task ended; the container is removed in any case.

        The steps: create the container, copy the task's files into it, start it, wait until it ends or kill it when
        its time is up, save its log, read the files to bring back, remove it. A task that fails or is killed raises
        nothing: the result tells.

        Args:
            task: the program to run, with its image, files and limits.
            log: file that what the program prints is added to.
            stop: set by another thread when the farm is asked to stop; it is looked at while waiting.

        Raises:
            InfrastructureError: the engine failed, or a file could not be read or written.
            Interrupted: `stop` was set before the task ended.
        """
        from docker.errors import DockerException  # here, so that this module loads without it

        try:
            with self._container(task) as container:  # removes it at the end of the block
                if task.files:
                    with archives.pack(task.files) as packed:
                        container.put_archive("/", packed)

                container.start()
                end = self._wait(container, task.limits, stop)  # or Interrupted
                # `attrs` is a copy of what the engine knew when last asked, which may be before a kill.
                container.reload()
                _save_log(container, log)

                # Its files are read inside the block, because they are removed together with the container.
                collected: dict[str, bytes] = {}
                if task.collect is not None:
                    collected = _read_files(container, task.collect, task.collect_bytes)
                state = container.attrs["State"]
                return TaskResult(
                    exit_code=int(state["ExitCode"]),
                    timed_out=end.timed_out,
                    out_of_memory=bool(state["OOMKilled"]),
                    disk_excess=end.disk_excess,
                    output=collected,
                )
        except (DockerException, OSError) as error:
            raise InfrastructureError(f"the container engine failed: {error}") from error

    def serve(self, task: Task, ready: str, stop: threading.Event) -> Service:
        """Start a task that serves other containers on private networks until the run's containers are removed.

        Args:
            task: what to run; it alone reaches outwards.
            ready: absolute path of the file it writes when it can be asked.
            stop: set when the farm is asked to stop, which raises Interrupted.

        Raises:
            InfrastructureError: the engine failed, or the task ended.
        """
        with services.engine_errors("it did not start"):
            container = self._create(task, services.OUTWARD_OPTIONS)
            service = services.start_service(self._client, container, task.files, self._labels())

        service.await_file(ready, stop)
        return service

    def _labels(self) -> dict[str, str]:
        return {LABEL: self.farm_id, RUN_LABEL: self.run_id}

    @contextlib.contextmanager
    def _container(self, task: Task) -> Iterator[Container]:
        """Create a task's container, and remove it when the block ends, also by an exception or an interruption.

        A task without a network gets none at all, not even the engine's default one.
        """
        if task.network is None:
            network: Mapping[str, Any] = {"network_mode": "none"}
        else:
            network = task.network.options()

        container = self._create(task, network)
        try:
            yield container
        finally:
            cleanup.remove_container(container)

    def _create(self, task: Task, network: Mapping[str, Any]) -> Container:
        """Create a container with the task's limits, the farm's labels and no privileges; it is not started.

        Args:
            task: what it is for.
            network: the engine's options of the container's network.

        Raises:
            InfrastructureError: too little of the engine's disk is free.
        """
        from docker.types import LogConfig

        self._storage.check_reserve()

        environment = {**task.kind.environment, **task.environment}
        if task.network is not None:
            environment = {**task.network.environment, **environment}

        limits = task.limits
        return self._client.containers.create(
            task.image,
            list(task.command),
            user=task.user,
            environment=environment,
            working_dir="/",  # where programs of builder/inside/ are: `python -m inside.load` finds them
            labels=self._labels(),
            mem_limit=limits.memory_bytes,
            memswap_limit=limits.memory_bytes,
            nano_cpus=int(_usable_cpus(limits) * 1e9),
            pids_limit=limits.processes,
            log_config=LogConfig(type="json-file", config={"max-size": "32m", "max-file": "1"}),
            init=True,  # ends what the task leaves behind, and hands on signals
            **containment.create_options(task.kind, limits.disk_bytes),
            **network,
        )

    def _wait(self, container: Container, limits: Limits, stop: threading.Event) -> _End:
        """Wait until a container has ended; kill it when its time is up, or when it wrote too much.

        Raises:
            InfrastructureError: the engine's disk is nearly full; the container still runs.
            Interrupted: the farm was asked to stop; the container still runs.
        """
        deadline = time.monotonic() + limits.timeout_s
        watch = disk.DiskWatch(self._client, self._storage, limits.disk)
        pause = _FIRST_POLL_S
        while container.status != "exited":
            if stop.is_set():
                raise Interrupted
            if time.monotonic() > deadline:
                container.kill()
                return _End(timed_out=True)

            excess = watch.measure(str(container.id)) if watch.is_due() else None
            if excess is not None:
                container.kill()
                return _End(disk_excess=excess)

            time.sleep(pause)
            pause = min(pause * _POLL_GROWTH, _POLL_S)
            container.reload()

        return _End()

    # --- containers that tools start -------------------------------------------------------------------------------

    def create_arguments(
        self, limits: Limits, label: str, network: NetworkAttachment, cache: CompilerCache
    ) -> list[str]:
        """Return options of `docker create` that hold a container to the farm's rules although a tool starts it.

        Args:
            limits: what it may use; the caller enforces the time.
            label: value of the label `wheelfarm.job`, by which `remove_labelled` finds it.
            network: the private network it is on.
            cache: the compiler cache it may use.

        Raises:
            InfrastructureError: too little of the engine's disk is free.
        """
        self._storage.check_reserve()
        return [
            f"--label={LABEL}={self.farm_id}",
            f"--label={RUN_LABEL}={self.run_id}",
            f"--label={_JOB_LABEL}={label}",
            *containment.create_arguments(containment.BUILD, limits.disk_bytes),
            f"--memory={limits.memory_bytes}",
            f"--memory-swap={limits.memory_bytes}",
            f"--cpus={_usable_cpus(limits)}",
            f"--pids-limit={limits.processes}",
            "--log-driver=none",
            "--init",
            *network.arguments(),
            *cache.arguments(self.farm_id),
        ]

    def count_processes(self, label: str) -> tuple[int, int] | None:
        """Return (processes now, most allowed) of the container that a tool started for a job.

        None where there is no such container, where it has no limit, or where it ended while the engine was asked.

        Args:
            label: value of the label `wheelfarm.job`, which the container was created with.
        """
        from docker.errors import DockerException

        try:
            containers = self._client.containers.list(
                sparse=True, filters={"label": f"{_JOB_LABEL}={label}"}
            )
            for container in containers:
                stats = cast("Mapping[str, Any]", container.stats(stream=False, one_shot=True))
                process_counts = stats.get("pids_stats", {})
                if "current" in process_counts and process_counts.get("limit"):
                    return int(process_counts["current"]), int(process_counts["limit"])
        except (DockerException, OSError, ValueError):
            # It ended while it was looked at: the engine says so in one of several ways.
            return None

        return None

    def read_free_space(self) -> disk.FreeSpace | None:
        """Return what is free where the engine keeps what containers write; None where nobody can see it from here."""
        return self._storage.read_free_space()

    def watch_disk(self, limits: Limits) -> disk.DiskWatch:
        """Return what looks after how much the container of a tool's job writes (`find_disk_excess`)."""
        return disk.DiskWatch(self._client, self._storage, limits.disk)

    def find_disk_excess(self, label: str, watch: disk.DiskWatch) -> str | None:
        """Return what the container that a tool started for a job wrote too much of; None where there is nothing.

        Cheap enough to be called often.

        Args:
            label: value of the label `wheelfarm.job`, which the container was created with.
            watch: the job's own, kept from call to call.

        Raises:
            InfrastructureError: the engine's disk is nearly full.
        """
        from docker.errors import DockerException

        if not watch.is_due():
            return None

        try:
            containers = self._client.containers.list(
                sparse=True, filters={"label": f"{_JOB_LABEL}={label}"}
            )
            for container in containers:
                excess = watch.measure(str(container.id))
                if excess is not None:
                    return excess
        except (DockerException, OSError, ValueError):
            return None  # it ended while it was looked at

        return None

    def remove_full_compiler_cache(self, cache: CompilerCache) -> bool:
        """Remove the compiler cache of a build where it has more in it than it may, and return whether it had.

        ccache keeps to its own limit; a build that writes there itself does not. Nothing uses the cache meanwhile.
        """
        from docker.errors import DockerException

        try:
            volume = self._client.volumes.get(cache.volume(self.farm_id))
            size = disk.measure_volume(self._client, volume.name, Path(volume.attrs["Mountpoint"]))
            if size <= compiler_cache.LIMIT_BYTES:
                return False
            volume.remove()
        except DockerException:
            return False  # there is none, or another build of the same sdist uses it and will see to it

        return True

    def remove_labelled(self, label: str) -> None:
        """Remove the containers of a tool's job."""
        cleanup.remove_labelled(self._client, f"{_JOB_LABEL}={label}")

    # --- cleaning up ----------------------------------------------------------------------------------------------

    def reap(self) -> int:
        """Remove every container and network that this farm owns; return how many containers there were."""
        return cleanup.remove_labelled(self._client, f"{LABEL}={self.farm_id}")

    def remove_images(self, tags: Collection[str]) -> int:
        """Remove images, and those of the farm's builds that no tag names; return how many there were."""
        return cleanup.remove_images(self._client, tags, LABEL)

    def remove_compiler_caches(
        self, sdists: Collection[str], limit_bytes: int | None = None
    ) -> int:
        """Remove compiler caches of this farm (see compiler_cache.py) and return how many were removed.

        Args:
            sdists: sha256 of the sdists whose caches should stay.
            limit_bytes: how much these may take together, or None for any amount; the largest go until the rest fits.
        """

        def is_wanted(labels: Mapping[str, str]) -> bool:
            return labels[compiler_cache.SDIST_LABEL] in sdists

        return cleanup.remove_volumes(
            self._client, f"{compiler_cache.LABEL}={self.farm_id}", is_wanted, limit_bytes
        )

    def remove_compiler_cache(self, cache: CompilerCache) -> None:
        """Remove a compiler cache, if it is there and nothing uses it."""
        cleanup.remove_volume(self._client, cache.volume(self.farm_id))

    def reap_run(self, run_id: str) -> int:
        """Remove every container and network that one run made and return how many containers there were."""
        return cleanup.remove_labelled(self._client, f"{RUN_LABEL}={run_id}")


def connect(farm_id: str = "doctor") -> Engine:
    """Return the first engine that answers of `DOCKER_HOST`, or else of the default sockets of Docker and Podman.

    Raises:
        EngineMissingError: none answers, or only one that is too old; the error lists what was tried.
    """
    from docker import DockerClient
    from docker.errors import DockerException

    failures: list[tuple[str, str]] = []
    for address in candidate_addresses():
        if _lacks_socket(address):
            failures.append((address, "there is no such socket"))
            continue

        try:
            client = DockerClient(base_url=address, timeout=_REQUEST_TIMEOUT_S)
            engine = Engine(client, address, farm_id)
            client.ping()
        except (DockerException, OSError) as error:
            failures.append((address, str(error)))
            continue

        if engine.api_version >= MINIMUM_API:
            return engine

        version = _format_version(engine.api_version)
        failures.append(
            (address, f"its API {version} is older than {_format_version(MINIMUM_API)}")
        )

    raise EngineMissingError(
        failures, "run `make engine`, or set DOCKER_HOST to an engine that is running"
    )


def _lacks_socket(address: str) -> bool:
    return address.startswith("unix://") and not Path(address.removeprefix("unix://")).exists()


def _format_version(version: tuple[int, int]) -> str:
    major, minor = version
    return f"{major}.{minor}"


def candidate_addresses() -> list[str]:
    """Return the addresses where an engine may listen, in the order they are asked.

    `DOCKER_HOST` alone where it is set: another engine is not what its user asked for.
    """
    chosen_address = os.environ.get("DOCKER_HOST")
    if chosen_address:
        return [chosen_address]

    runtime_folder = os.environ.get("XDG_RUNTIME_DIR", f"/run/user/{os.getuid()}")
    sockets = (
        "/var/run/docker.sock",
        f"{runtime_folder}/docker.sock",
        f"{runtime_folder}/podman/podman.sock",
        "/run/podman/podman.sock",
    )
    return [f"unix://{socket}" for socket in sockets]


def find_docker_command() -> str | None:
    """Return where the `docker` command is, which cibuildwheel drives, or None."""
    return shutil.which("docker")


def _usable_cpus(limits: Limits) -> float:
    """Return how many CPUs a container may use: no more than the machine has, because engines refuse that."""
    return min(limits.cpus, os.cpu_count() or 1)


def _read_files(container: Container, path: str, limit_bytes: int) -> dict[str, bytes]:
    """Return the files under a path of a container, by path relative to the path's parent; empty where there is none.

    `/result` with a file `facts.json` -> `{"result/facts.json": …}`
    """
    from docker.errors import NotFound

    try:
        stream, _ = container.get_archive(path)
    except NotFound:
        return {}

    return archives.unpack(stream, path, limit_bytes)


def _save_log(container: Container, log: Path) -> None:
    """Add what a container printed to a file, cut after `_LOG_LIMIT_BYTES`; a last line says that it was cut."""
    size = 0
    with log.open("ab") as file:
        for chunk in container.logs(stream=True, follow=False):
            size += len(chunk)
            file.write(chunk)
            if size > _LOG_LIMIT_BYTES:
                file.write(b"\n[the log was cut here]\n")
                return
