"""One call of cibuildwheel: run, watched for its limits, and cleaned up after."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomli_w

from builder.engine import compiler_cache
from builder.engine.compiler_cache import CompilerCache
from builder.engine.tasks import Limits
from builder.errors import InfrastructureError, Interrupted
from builder.host import settings as host
from builder.jobs.build.cpu_options import find_cpu_options
from builder.jobs.build.log import FailedCall, find_infrastructure_problem
from builder.jobs.build.log_excerpt import read_log
from builder.jobs.build.log_file import BoundedLog
from builder.jobs.build.output import Expectation, Refusal, match_abi, share_wheels
from builder.jobs.build.refusal import Request, read_refusal, write_request
from builder.proxy.report import SessionReport
from builder.untrusted.interpreter import SAFE_PATH, module_command

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from builder.engine.tool_container import OwnEnd
    from builder.jobs.job import Tools
    from builder.proxy.proxy import Session
    from builder.store.job_ids import JobId

_MAX_PROCESSES = 512
"""How many processes a container may have: enough for a parallel build, and few enough that one that forks without end
leaves the machine usable. Not measured."""

_LAUNCHER_BYTES = 4 << 30
"""Address space of cibuildwheel, and of each command of the engine that it starts: that needs less than 800 MB."""

_MOST_FILE_BYTES = 5 << 30
"""The largest file that these may write, the log among them: somewhat more than the wheels of a build may have."""

_POLL_S = 0.1
_PROCESS_CHECK_S = 2.0  # longer than the other poll, because asking the engine costs it some work

_MAX_CROWDED_CHECKS = 3
"""A container that is found crowded (at its limit on processes) this often in a row is ended, because it slows down the
others."""

_CROWDED_SHARE = 0.9
"""The share of its limit on processes from which a container counts as crowded. It is less than all, because processes
start and end all the time."""

_FULL_BYTES = 64 << 20
_FULL_INODES = 1000
"""A disk with less free than this was full for somebody a moment ago. Far below the engine's reserve; not measured."""

_INTERRUPT_GRACE_S = 20
"""How long cibuildwheel may take to end after an interrupt, before it is killed."""

_HOST_VARIABLES = ("PATH", "LANG", "TMPDIR", "DOCKER_CONFIG")
"""The variables that cibuildwheel and the docker command get from the farm's own environment."""

_LIMITS_PREFIX = "wheelfarm-limits: "
_COUNT = re.compile(r"[0-9]{1,15}")
"""What is counted in such a line. The build can print one, too: `²` is a digit as well, and numbers have no end."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CallOutcome:
    """What one call of cibuildwheel made and used.

    Attributes:
        wheels: the wheels that it made, by ABI.
        usage: what the container used of its limits, as images/limits.sh printed it.
        cache_statistics: hits and misses of the compiler cache.
        report: what the container asked of the network.
        cpu_options: how compilers were told to make code for this machine's processor.
        failed_call: what is needed to explain its failure; None where cibuildwheel succeeded.
        refusal: what was wrong with what the build left, so that none of its wheels was taken; None where nothing was.
    """

    wheels: Mapping[str, Path]
    usage: Mapping[str, int]
    cache_statistics: Counter[str]
    report: SessionReport
    cpu_options: tuple[str, ...] = ()
    failed_call: FailedCall | None = None
    refusal: Refusal | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class CallRequest:
    """What one call of cibuildwheel is asked for.

    Attributes:
        job: id of the job that asks; containers are labelled with it.
        expected: the package and the ABIs to build for.
        cache: the compiler cache of the package.
        memory_bytes: limit on the container's memory.
        timeout_s: limit on the time of the whole call.
        configure: returns cibuildwheel's configuration for the given arguments of `docker create`.
    """

    job: JobId
    expected: Expectation
    cache: CompilerCache
    memory_bytes: int
    timeout_s: int
    configure: Callable[[Sequence[str]], dict[str, Any]]

    @property
    def abis(self) -> tuple[str, ...]:
        """The ABIs to build for."""
        return tuple(self.expected.abis)


class CibuildwheelCall:
    """One call of cibuildwheel."""

    def __init__(self, request: CallRequest, project: Path, folder: Path, tools: Tools) -> None:
        """Prepare.

        Args:
            request: what to build, and within which limits.
            project: the folder that is copied into the container. It is ours: nothing in it was unpacked.
            folder: an empty folder for the configuration and the wheels.
            tools: of the job.
        """
        self._request = request
        self._project = project
        self._folder = folder
        self._tools = tools
        limits = _make_limits(request, tools.cpus)
        self._container = tools.engine.tool_container(_name_call(request), limits)
        self._crowded_checks = 0
        self._timed_out = False
        self._disk_excess: str | None = None
        self._disk_was_full: bool | None = None  # None: that cannot be seen
        self._was_running = False

    def run(self, session: Session) -> CallOutcome:
        """Call cibuildwheel once, and return what it made and, where it failed, what is needed to explain that.

        Args:
            session: the container's way to the package index.

        Raises:
            InfrastructureError: the infrastructure failed, not the build.
            Interrupted: the farm was asked to stop.
        """
        (self._folder / "wheels").mkdir(parents=True)
        log = self._tools.log
        log_start = log.stat().st_size if log.exists() else 0

        exit_code = self._execute(self._write_config(session))

        log_end = log.stat().st_size
        printed = read_log(log, log_start, log_end)
        outcome = CallOutcome(
            wheels=self._find_wheels(),
            usage=_parse_usage(printed),
            cache_statistics=compiler_cache.read_statistics(printed),
            report=session.collect_report(),
            cpu_options=find_cpu_options(printed),
        )
        refusal = read_refusal(self._answer)
        if refusal is not None:
            return replace(outcome, wheels={}, refusal=refusal)
        if exit_code == 0:
            return outcome

        own_end = None
        if not self._was_ended_by_farm and not outcome.usage:
            own_end = self._container.find_own_end()
        self._check_infrastructure(printed, outcome.usage, own_end)
        failed_call = self._describe_failure(
            exit_code, (log_start, log_end), outcome, session, own_end
        )
        return replace(outcome, failed_call=failed_call)

    def _write_config(self, session: Session) -> Path:
        """Write cibuildwheel's configuration to a file, and return its path."""
        arguments = self._container.create_arguments(session.network, self._request.cache)
        config = self._folder / "cibuildwheel.toml"
        config.write_text(tomli_w.dumps(self._request.configure(arguments)))

        return config

    @property
    def _answer(self) -> Path:
        """Where the launcher says why it refused what the build left. No container sees it."""
        return self._folder / "refusal.json"

    def _find_wheels(self) -> dict[str, Path]:
        """Return the wheels that were made, by ABI: one that several interpreters take is the wheel of each."""
        paths = sorted((self._folder / "wheels").glob("*.whl"))

        wheels = {match_abi(path.name, self._request.expected): path for path in paths}
        if wheels:
            share_wheels(wheels, self._request.abis)
        return wheels

    @property
    def _was_ended_by_farm(self) -> bool:
        """Whether the farm ended the call, for a limit that was exceeded."""
        return self._was_running or self._crowded_checks > 0

    def _check_infrastructure(
        self, printed: str, usage: Mapping[str, int], own_end: OwnEnd | None
    ) -> None:
        """Check that a failed call did not fail for a reason that is no fault of the package.

        Nothing is checked where the farm ended the call, or where it met a limit: then the reason is known.

        Args:
            printed: what the call printed.
            usage: what it used of its limits.
            own_end: how the container ended by what ran in it; None where that is not known.

        Raises:
            InfrastructureError: the disk was full, or the container was killed from outside.
        """
        met_a_limit = usage.get("memory-kills") or usage.get("processes-refused")
        if self._was_ended_by_farm or met_a_limit:
            return

        problem = find_infrastructure_problem(
            printed, disk_was_full=self._disk_was_full, has_ended_itself=own_end is not None
        )
        if problem is not None:
            raise InfrastructureError(f"{problem} (log: {self._tools.log})")

    def _describe_failure(
        self,
        exit_code: int,
        log: tuple[int, int],
        outcome: CallOutcome,
        session: Session,
        own_end: OwnEnd | None,
    ) -> FailedCall:
        """Return what is needed to explain a failed call, now or after the rules that read its log have changed.

        Args:
            exit_code: cibuildwheel's.
            log: the part of the job's log that is about the call: its first byte, and the one after its last.
            outcome: what the call made and used.
            session: the container's way to the package index.
            own_end: how the container ended by what ran in it; None where that is not known.
        """
        is_crowded = self._crowded_checks >= _MAX_CROWDED_CHECKS
        hit_processes = is_crowded or bool(outcome.usage.get("processes-refused"))
        hit_memory = bool(outcome.usage.get("memory-kills"))
        if own_end is not None:
            hit_memory = own_end.met_memory_limit

        return FailedCall(
            abis=self._request.abis,
            exit_code=exit_code,
            log=log,
            timeout_s=self._request.timeout_s if self._timed_out else None,
            memory_bytes=self._request.memory_bytes if hit_memory else None,
            processes=_MAX_PROCESSES if hit_processes else None,
            disk=self._disk_excess,
            ended=None if own_end is None else own_end.exit_code,
            asked=outcome.report.refused_hosts,
            lacking=outcome.report.lacking_toolchains,
            index=session.network.dns_server,
        )

    def _execute(self, config: Path) -> int:
        """Run cibuildwheel, end it where it exceeds a limit, and return its exit code."""
        request = self._folder / "request.json"
        output = self._folder / "wheels"
        write_request(
            request,
            Request(expected=self._request.expected, answer=self._answer, output=output),
        )
        arguments = [
            *(str(request), str(self._project)),
            *("--platform", "linux", "--archs", "x86_64"),
            *("--output-dir", str(output), "--config-file", str(config)),
        ]
        command = [
            # If the farm is killed, the kernel interrupts cibuildwheel, which then removes its container as on Ctrl-C.
            *("setpriv", "--pdeathsig", "INT"),
            *module_command(
                "builder.jobs.build.launcher",
                *arguments,
                memory_bytes=_LAUNCHER_BYTES,
                file_bytes=_MOST_FILE_BYTES,
            ),
        ]
        log = BoundedLog(self._tools.log)
        try:
            process = subprocess.Popen(
                command,
                cwd=self._project,
                env=self._host_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log.writer,
                stderr=log.writer,
                start_new_session=True,
            )
        finally:
            log.close_writer()
            log.start()
        try:
            self._wait_for_end(process)
        finally:
            self._stop_call(process)
            log.close()

        return process.returncode

    def _host_environment(self) -> dict[str, str]:
        """Return the environment variables of cibuildwheel itself, on the host; the container gets none of them."""
        environment = {name: os.environ[name] for name in _HOST_VARIABLES if name in os.environ}
        environment |= host.proxy_variables()
        environment |= self._tools.engine.command_environment()

        scratch = str(self._folder)
        environment |= {"HOME": scratch, "XDG_CACHE_HOME": scratch}
        environment |= {"NO_COLOR": "1", "PYTHONUNBUFFERED": "1", **SAFE_PATH}
        # cibuildwheel would skip interpreters that `requires-python` excludes. The farm judges that by loading the
        # wheel, so the wheel has to be made.
        environment["CIBW_PROJECT_REQUIRES_PYTHON"] = ">=3.8"

        return environment

    def _wait_for_end(self, process: subprocess.Popen[bytes]) -> None:
        """Wait until cibuildwheel has ended, or has exceeded a limit: then it still runs when this returns.

        The limits are those on processes, on disk and on time.

        Raises:
            InfrastructureError: the engine's disk is nearly full.
            Interrupted: the farm was asked to stop.
        """
        self._look_at_free_space()
        began = time.monotonic()
        next_check = began + _PROCESS_CHECK_S
        while process.poll() is None:
            self._look_at_free_space()
            if self._tools.stop.wait(_POLL_S):
                raise Interrupted
            now = time.monotonic()
            if now > next_check:
                self._check_processes()
                next_check = now + _PROCESS_CHECK_S
            if self._crowded_checks >= _MAX_CROWDED_CHECKS:
                return
            self._disk_excess = self._container.find_disk_excess()
            if self._disk_excess is not None:
                return
            if now - began > self._request.timeout_s:
                self._timed_out = True
                return

    def _look_at_free_space(self) -> None:
        """Note whether the disk is full, now or earlier in this call: afterwards, what filled it may be gone."""
        if self._disk_was_full:
            return

        wheelhouse = os.statvfs(self._folder)
        if wheelhouse.f_bavail * wheelhouse.f_frsize < _FULL_BYTES:
            self._disk_was_full = True
            return

        storage = self._tools.engine.read_free_space()
        if storage is not None:
            self._disk_was_full = storage.bytes < _FULL_BYTES or storage.inodes < _FULL_INODES

    def _check_processes(self) -> None:
        """Count how often in a row the container was found crowded.

        This cannot be found out afterwards: a container that is killed no longer tells how many processes it had.
        """
        counts = self._container.count_processes()
        if counts is None:  # there is no container, not yet or no longer
            self._crowded_checks = 0
            return

        running, limit = counts
        is_crowded = running >= limit * _CROWDED_SHARE
        self._crowded_checks = self._crowded_checks + 1 if is_crowded else 0

    def _stop_call(self, process: subprocess.Popen[bytes]) -> None:
        """End cibuildwheel if it still runs, and remove its container.

        The container is removed before cibuildwheel is interrupted, and looked for again after cibuildwheel has ended.
        Notes whether cibuildwheel still ran, i.e. whether the farm ended it.
        """
        self._was_running = process.poll() is None
        if self._was_running:
            self._container.remove()
            process.send_signal(signal.SIGINT)
            try:
                process.wait(_INTERRUPT_GRACE_S)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

        self._container.remove()
        if self._tools.engine.remove_full_compiler_cache(self._request.cache):
            self._tools.say("its compiler cache was larger than it may be, and was removed")


def _name_call(request: CallRequest) -> str:
    """Return a name that no other call of cibuildwheel has."""
    return f"{request.job}-{'-'.join(request.abis)}-{os.getpid()}-{time.monotonic_ns()}"


def _make_limits(request: CallRequest, cpus: float) -> Limits:
    """Return what the container of a call may use; `cpus` is what the scheduler gives it."""
    return Limits(
        cpus=max(cpus, Limits().cpus),
        memory_bytes=request.memory_bytes,
        processes=_MAX_PROCESSES,
        timeout_s=float(request.timeout_s),
    )


def _parse_usage(printed: str) -> dict[str, int]:
    """Return what a container used of its limits, from the last line that images/limits.sh printed.

    `'wheelfarm-limits: processes-refused=0 memory-kills=1' -> {'processes-refused': 0, 'memory-kills': 1}`. Empty where
    there is no such line.
    """
    lines = [line for line in printed.splitlines() if line.startswith(_LIMITS_PREFIX)]
    if not lines:
        return {}

    usage: dict[str, int] = {}
    for item in lines[-1].removeprefix(_LIMITS_PREFIX).split():
        name, _, value = item.partition("=")
        if _COUNT.fullmatch(value):
            usage[name] = int(value)

    return usage
