"""The only door to containers, with the modules beside it: the Docker Engine API, by Docker or by Podman.

Every container started here, or by a tool that is handed the arguments of tool_container.py, carries the farm's label,
has limits, cannot gain privileges, sees no file of the host, and is always removed; `reap` clears what a killed farm
left.
"""

from __future__ import annotations

import contextlib
import time
import uuid
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from builder.engine import archives, cleanup, compiler_cache, containment, disk, posture, services
from builder.engine.images import Images
from builder.engine.labels import JOB_LABEL, LABEL, RUN_LABEL
from builder.engine.tasks import TaskResult
from builder.engine.tool_container import ToolContainer
from builder.errors import InfrastructureError, Interrupted

if TYPE_CHECKING:
    import threading
    from collections.abc import Collection, Iterator, Mapping

    from docker import DockerClient
    from docker.models.containers import Container

    from builder.engine.compiler_cache import CompilerCache
    from builder.engine.services import Service
    from builder.engine.tasks import Limits, Task

_POLL_S = 0.5
"""How often it is looked whether the farm was asked to stop, and at a task's limits: seldom enough to cost little."""

_LOG_LIMIT_BYTES = 32 << 20  # as much as the engine keeps of a container


@dataclass(frozen=True, kw_only=True, slots=True)
class _End:
    """Why a container does not run any more, where the farm ended it."""

    timed_out: bool = False
    disk_excess: str | None = None


class Engine:
    """A container engine that answers.

    Attributes:
        images: the images that it has.
        address: where it answers.
        farm_id: whose containers it runs: the wheelhouse's farm.
        run_id: of this process, as long as it has this engine.
    """

    def __init__(self, client: DockerClient, address: str, farm_id: str = "doctor") -> None:
        self._client = client
        self.images = Images(client)
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
            if component.get("Name") != "runc":
                continue

            details = component.get("Details") or {}
            version = str(component.get("Version") or "")
            commit = str(details.get("GitCommit") or "")
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
            nano_cpus=int(limits.usable_cpus * 1e9),
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

            _await_end(container, _POLL_S)
            container.reload()

        return _End()

    def tool_container(self, call: str, limits: Limits) -> ToolContainer:
        """Return the container that a tool will start for a job.

        Args:
            call: the one call of the tool, by a name that no other has.
            limits: what it may use; the caller enforces the time.
        """
        labels = {**self._labels(), JOB_LABEL: call}
        return ToolContainer(self._client, self._storage, labels, limits)

    def read_free_space(self) -> disk.FreeSpace | None:
        """Return what is free where the engine keeps what containers write; None where nobody can see it from here."""
        return self._storage.read_free_space()

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

    # --- cleaning up ----------------------------------------------------------------------------------------------

    def reap(self) -> int:
        """Remove every container and network that this farm owns; return how many containers there were."""
        return cleanup.remove_labelled(self._client, f"{LABEL}={self.farm_id}")

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


def _await_end(container: Container, seconds: float) -> None:
    """Return as soon as a container has ended, or after some time.

    The engine tells the end when it comes: asking now and then, half a second apart, costs a quarter of one each time.
    """
    from requests.exceptions import ConnectionError as NoAnswerError
    from requests.exceptions import Timeout

    # An answer that did not come within the time is one or the other, by what of it was read. A failure of the engine
    # shows where it is asked next.
    with contextlib.suppress(NoAnswerError, Timeout):
        container.wait(timeout=seconds)


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
