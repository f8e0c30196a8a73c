"""Getting a container engine, and the tool that makes bases, onto a Debian or Ubuntu host."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from builder import host
from builder.engine import client
from builder.errors import EngineMissingError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ENGINE_PACKAGES = ("docker.io", "ca-certificates", "iptables")
BOOTSTRAP_PACKAGES = ("mmdebstrap", "distro-info-data", "debian-archive-keyring")

_DAEMON_LOG = Path("/var/log/wheelfarm-dockerd.log")
_PID_FILES = (Path("/var/run/docker.pid"), Path("/run/docker/containerd/containerd.pid"))
_START_TIMEOUT_S = 60.0  # for a daemon with many images on a slow disk; not measured
_START_POLL_S = 0.5
_EXIT_TIMEOUT_S = 10.0  # not measured
_EXIT_POLL_S = 0.1
_APT_TIMEOUT_S = 300  # for an apt that somebody else is running, such as unattended upgrades
_LAST_LINES = 5  # of what apt printed: the error is among them
_apt_lock = threading.Lock()
"""Jobs run side by side, and apt works for one at a time."""


def ensure_engine(say: Callable[[str], None], farm_id: str = "doctor") -> client.Engine:
    """Return an engine that answers, installing and starting the distribution's where there is none.

    Args:
        say: told what is about to be done, before it is done.
        farm_id: whose containers the engine will start.

    Raises:
        EngineMissingError: none answers and none could be started; the text has the commands to run.
    """
    try:
        return client.connect(farm_id)
    except EngineMissingError as error:
        if os.environ.get("DOCKER_HOST"):
            raise  # somebody chose an engine: another one is not what was asked for
        tried = error.tried

    if host.host_distribution() not in {"debian", "ubuntu"}:
        raise EngineMissingError(
            tried, "install Docker Engine or Podman for this system and start its socket"
        )
    if not host.is_root():
        raise EngineMissingError(tried, _commands_for_root())

    is_installed = shutil.which("dockerd") and client.find_docker_command()
    if not is_installed:
        install_packages((*ENGINE_PACKAGES, *_command_packages()), "the container engine", say)

    _start_engine(say)
    return _wait_for_engine(tried, farm_id)


def install_packages(packages: Sequence[str], purpose: str, say: Callable[[str], None]) -> None:
    """Install system packages of this host's distribution.

    Args:
        packages: their names.
        purpose: what they are for, for the message.
        say: told what is about to be done.

    Raises:
        EngineMissingError: not root, or apt failed; the text has the command to run.
    """
    wait = f"-oDPkg::Lock::Timeout={_APT_TIMEOUT_S}"
    command = ["apt-get", "install", wait, "-y", "--no-install-recommends", *packages]
    if not host.is_root():
        raise EngineMissingError([(purpose, "is not installed")], f"run: sudo {' '.join(command)}")

    say(f"installing {purpose} from this system's archive: {' '.join(packages)}")
    with _apt_lock:
        _run_apt(["apt-get", "update", "-qq"])  # where it fails, older lists may do
        done = _run_apt(command)

    if done.returncode != 0:
        printed = (done.stdout + done.stderr).strip().splitlines()
        last = "\n".join(printed[-_LAST_LINES:])
        raise EngineMissingError(
            [(" ".join(command), last)], "mend apt, then run `make engine` again"
        )


def _run_apt(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def _command_packages() -> tuple[str, ...]:
    """Return the package of the `docker` command where the distribution has split it off (Debian 13)."""
    known = subprocess.run(["apt-cache", "show", "docker-cli"], capture_output=True, check=False)
    return ("docker-cli",) if known.returncode == 0 else ()


def _commands_for_root() -> str:
    packages = " ".join((*ENGINE_PACKAGES, *_command_packages(), *BOOTSTRAP_PACKAGES))
    user = os.environ.get("USER", "$USER")
    start = "sudo sh -c 'nohup dockerd --no-new-privileges &'"
    if _has_systemd():
        start = "sudo systemctl start docker"

    lines = [
        "this needs root, which you are not. Run these, log in again, then repeat:",
        f"  sudo apt-get update && sudo apt-get install -y --no-install-recommends {packages}",
        f"  {start}",
        f"  sudo usermod -aG docker {user}",
    ]
    return "\n".join(lines)


def _has_systemd() -> bool:
    return Path("/run/systemd/system").is_dir()


def _start_engine(say: Callable[[str], None]) -> None:
    if _has_systemd():
        say("starting the container engine: systemctl start docker")
        subprocess.run(["systemctl", "start", "docker"], check=False)
        return

    _clear_stale_daemon()
    say(f"starting the container engine: dockerd (there is no systemd; its log is {_DAEMON_LOG})")
    with _DAEMON_LOG.open("ab") as log:
        # Whatever a container does, image builds included, it gains no privileges.
        subprocess.Popen(
            ["dockerd", "--no-new-privileges"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def _clear_stale_daemon() -> None:
    """Remove what a killed dockerd left: pid files of dead processes, and a containerd without its parent."""
    for path in _PID_FILES:
        try:
            pid = int(path.read_text())
        except (OSError, ValueError):
            continue

        try:
            command = Path(f"/proc/{pid}/comm").read_text().strip()
        except OSError:
            command = ""

        if command == "containerd":
            os.kill(pid, signal.SIGTERM)
            _wait_for_exit(pid)
        if command != "dockerd":
            path.unlink(missing_ok=True)


def _wait_for_exit(pid: int) -> None:
    deadline = time.monotonic() + _EXIT_TIMEOUT_S
    while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
        time.sleep(_EXIT_POLL_S)


def _wait_for_engine(tried: Sequence[tuple[str, str]], farm_id: str) -> client.Engine:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline:
        try:
            return client.connect(farm_id)
        except EngineMissingError as error:
            tried = error.tried
            time.sleep(_START_POLL_S)

    remedy = (
        f"the engine was started but does not answer; see {_DAEMON_LOG} or `journalctl -u docker`"
    )
    raise EngineMissingError(tried, remedy)
