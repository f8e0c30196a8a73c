"""One call of cibuildwheel, watched."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomli_w
from packaging.utils import parse_wheel_filename

from builder import host
from builder.engine import compiler_cache
from builder.engine.client import Limits
from builder.engine.compiler_cache import CompilerCache
from builder.errors import InfrastructureError, Interrupted
from builder.jobs.build.log import FailedCall, find_infrastructure_problem
from builder.proxy.proxy import SessionReport

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from builder.jobs.job import Tools
    from builder.proxy.proxy import Session
    from builder.store.job_ids import JobId

_LOG_LIMIT_BYTES = 64 << 20
_MAX_PROCESSES = 512
_POLL_S = 0.1
_PROCESS_CHECK_S = 2.0
_MAX_CROWDED_CHECKS = 3
"""A container that is found at its limit on processes this often in a row is ended: it starves its neighbours."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CallOutcome:
    """What one call of cibuildwheel made: wheels by ABI, and what it used and asked of the network."""

    wheels: Mapping[str, Path]
    usage: Mapping[str, int]
    cache_statistics: Counter[str]
    visit: SessionReport
    failed_call: FailedCall | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class CallRequest:
    """What one call of cibuildwheel is asked for.

    Attributes:
        job: id of the job that asks; containers are labelled with it.
        abis: the ABIs to build for.
        cache: where the compiler's results are kept.
        memory_bytes: limit on the container's memory.
        timeout_s: limit on the whole call.
        configure: makes cibuildwheel's configuration from the arguments its container is created with.
    """

    job: JobId
    abis: tuple[str, ...]
    cache: CompilerCache
    memory_bytes: int
    timeout_s: int
    configure: Callable[[Sequence[str]], dict[str, Any]]


class CibuildwheelCall:
    """One call of cibuildwheel."""

    def __init__(self, request: CallRequest, project: Path, folder: Path, tools: Tools) -> None:
        """Prepare.

        Args:
            request: what to build, and within which limits.
            project: the unpacked sdist.
            folder: an empty folder for the configuration and the wheels.
            tools: the job's.
        """
        self._request = request
        self._abis = request.abis
        self._project = project
        self._folder = folder
        self._tools = tools
        self._label = f"{request.job}-{'-'.join(request.abis)}-{os.getpid()}-{time.monotonic_ns()}"
        self._crowded = 0
        self._cut = False

    def run(self, session: Session) -> CallOutcome:
        """Call cibuildwheel with this session's way to the package index.

        Raises:
            InfrastructureError: the infrastructure failed.
            Interrupted: the farm was asked to stop.
        """
        (self._folder / "wheels").mkdir(parents=True)
        limits = Limits(
            memory_bytes=self._request.memory_bytes,
            processes=_MAX_PROCESSES,
            timeout_s=float(self._request.timeout_s),
        )
        arguments = self._tools.engine.create_arguments(
            limits, self._label, session.network, self._request.cache
        )
        config = self._folder / "cibuildwheel.toml"
        config.write_text(tomli_w.dumps(self._request.configure(arguments)))
        start = self._tools.log.stat().st_size if self._tools.log.exists() else 0
        timed_out, exit_code = self._execute(config, limits.timeout_s)
        with self._tools.log.open("rb") as file:
            file.seek(start)
            read = file.read()
        printed = read.decode(errors="replace")
        wheels = {
            _match_abi(path, self._abis): path
            for path in sorted((self._folder / "wheels").glob("*.whl"))
        }
        usage, compiled, visit = (
            _parse_usage(printed),
            compiler_cache.read_statistics(printed),
            session.collect_report(),
        )
        if exit_code == 0:
            return CallOutcome(wheels=wheels, usage=usage, cache_statistics=compiled, visit=visit)
        limited = (
            self._cut
            or self._crowded
            or usage.get("memory-kills")
            or usage.get("processes-refused")
        )
        if not limited and (why := find_infrastructure_problem(printed)):
            raise InfrastructureError(f"{why} (log: {self._tools.log})")
        call = FailedCall(
            abis=self._abis,
            exit_code=exit_code,
            log=(start, start + len(read)),
            timeout_s=self._request.timeout_s if timed_out else None,
            memory_bytes=self._request.memory_bytes if usage.get("memory-kills") else None,
            processes=_MAX_PROCESSES
            if usage.get("processes-refused") or self._crowded >= _MAX_CROWDED_CHECKS
            else None,
            asked=visit.refused_hosts,
            index=session.network.dns_server,
        )
        return CallOutcome(
            wheels=wheels, usage=usage, cache_statistics=compiled, visit=visit, failed_call=call
        )

    def _execute(self, config: Path, timeout_s: float) -> tuple[bool, int]:
        """Run cibuildwheel; return whether its time was up, and its exit code."""
        command = [
            # Should the farm be killed, cibuildwheel is interrupted, and removes its container as it does on Ctrl-C.
            "setpriv", "--pdeathsig", "INT", sys.executable, "-m", "cibuildwheel", str(self._project),
            "--platform", "linux", "--archs", "x86_64",
            "--output-dir", str(self._folder / "wheels"), "--config-file", str(config),
        ]  # fmt: skip
        with self._tools.log.open("ab") as log:
            process = subprocess.Popen(
                command,
                cwd=self._project,
                env=self._host_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
            try:
                timed_out = self._wait_for_end(process, timeout_s)
            finally:
                self._stop_call(process)
        return timed_out, process.returncode

    def _host_environment(self) -> dict[str, str]:
        """Return what cibuildwheel itself needs on the host; nothing of it enters the container."""
        kept = {
            name: os.environ[name]
            for name in ("PATH", "LANG", "TMPDIR", "DOCKER_CONFIG")
            if name in os.environ
        }
        scratch = str(self._folder)
        return {
            **kept, **host.proxy_variables(), **self._tools.engine.command_environment(),
            "HOME": scratch, "XDG_CACHE_HOME": scratch, "NO_COLOR": "1", "PYTHONUNBUFFERED": "1",
            # Whether requires-python leaves an interpreter out is judged by loading the wheel, so it has to be made.
            "CIBW_PROJECT_REQUIRES_PYTHON": ">=3.8",
        }  # fmt: skip

    def _wait_for_end(self, process: subprocess.Popen[bytes], timeout_s: float) -> bool:
        deadline = time.monotonic() + timeout_s
        look = time.monotonic() + _PROCESS_CHECK_S
        while process.poll() is None:
            now = time.monotonic()
            if self._tools.stop.wait(_POLL_S):
                raise Interrupted
            if self._tools.log.stat().st_size > _LOG_LIMIT_BYTES:
                return False
            if now > look:
                self._check_processes()
                look = now + _PROCESS_CHECK_S
            if self._crowded >= _MAX_CROWDED_CHECKS:
                return False
            if now > deadline:
                return True
        return False

    def _check_processes(self) -> None:
        """Notice a container at its limit on processes: once it is killed nothing tells."""
        counted = self._tools.engine.count_processes(self._label)
        crowded = counted is not None and counted[0] >= counted[1] * 0.9
        self._crowded = self._crowded + 1 if crowded else 0

    def _stop_call(self, process: subprocess.Popen[bytes]) -> None:
        """End cibuildwheel, if it is still there, and its container."""
        self._cut = process.poll() is None
        if self._cut:
            self._tools.engine.remove_labelled(self._label)
            process.send_signal(signal.SIGINT)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        self._tools.engine.remove_labelled(self._label)


def _match_abi(wheel: Path, abis: Sequence[str]) -> str:
    """Return which of the ABIs a wheel was made for: the one it names, or the first that takes it."""
    tags = parse_wheel_filename(wheel.name)[3]
    named = {tag.abi for tag in tags}
    return next((abi for abi in abis if abi in named), abis[0])


def _parse_usage(text: str) -> dict[str, int]:
    """Read what images/limits.sh printed last."""
    lines = [line for line in text.splitlines() if line.startswith("wheelfarm-limits: ")]
    if not lines:
        return {}
    pairs = (item.partition("=") for item in lines[-1].split()[1:])
    return {name: int(value) for name, _, value in pairs if value.isdigit()}
