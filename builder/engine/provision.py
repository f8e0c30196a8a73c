"""Getting a container engine, and the tool that makes bases, onto a Debian or Ubuntu host."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from builder.engine import connection
from builder.errors import EngineMissingError
from builder.host import settings as host

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from builder.engine.client import Engine

ENGINE_PACKAGES = ("docker.io", "ca-certificates", "iptables")
BOOTSTRAP_PACKAGES = ("mmdebstrap", "distro-info-data", "debian-archive-keyring")

ENGINE_SETTINGS: Mapping[str, Any] = {
    # Whatever a container does, image builds included, it gains no privileges.
    "no-new-privileges": True,
    # Root of a container is nobody outside.
    "userns-remap": "default",
    # A network for every build: the engine's own pools are used up after some thirty.
    "default-address-pools": [
        {"base": "172.16.0.0/12", "size": 28},
        {"base": "192.168.0.0/16", "size": 28},
    ],
}
"""How an engine that the farm starts is set up, by the names of daemon.json."""

_USER_NAMESPACES = "userns-remap"
_DAEMON_SETTINGS = Path("/etc/docker/daemon.json")
_DAEMON_LOG = Path("/var/log/wheelfarm-dockerd.log")
_PID_FILES = (Path("/var/run/docker.pid"), Path("/run/docker/containerd/containerd.pid"))
_START_TIMEOUT_S = 60.0  # for a daemon with many images on a slow disk; not measured
_START_POLL_S = 0.5
_EARLY_END_S = 3.0  # dockerd that cannot remap users ends within a second
_EXIT_TIMEOUT_S = 10.0  # not measured
_EXIT_POLL_S = 0.1
_APT_TIMEOUT_S = 300  # for an apt that somebody else is running, such as unattended upgrades
_LAST_LINES = 5  # of what apt printed: the error is among them
_apt_lock = threading.Lock()
"""Jobs run side by side, and apt works for one at a time."""


def ensure_engine(say: Callable[[str], None], farm_id: str = "doctor") -> Engine:
    """Return an engine that answers; where there is none, install and start the distribution's own first.

    Only root on Debian and Ubuntu can have that. Others get the commands to run, in the error.

    Args:
        say: takes a line about what is about to be done.
        farm_id: the farm whose containers the engine will start.

    Raises:
        EngineMissingError: none answers and none could be started; the text has the commands to run.
    """
    try:
        return connection.connect(farm_id)
    except EngineMissingError as error:
        if os.environ.get("DOCKER_HOST"):
            raise  # somebody chose an engine: another one is not what was asked for
        failures = error.tried

    if host.host_distribution() not in {"debian", "ubuntu"}:
        raise EngineMissingError(
            failures, "install Docker Engine or Podman for this system and start its socket"
        )
    if not host.is_root():
        raise EngineMissingError(failures, _commands_for_root())

    is_installed = shutil.which("dockerd") and connection.find_docker_command()
    if not is_installed:
        if _has_systemd():
            _write_settings()
        install_packages((*ENGINE_PACKAGES, *_command_packages()), "the container engine", say)

    daemon = _start_engine(say)
    if daemon is not None and _has_ended_soon(daemon):
        say(
            "the engine did not start with user namespaces; it is started without: root of a container is root of "
            f"this machine, were it to get out ({_DAEMON_LOG} says why)"
        )
        _run_daemon(_list_options({_USER_NAMESPACES}))

    return _wait_for_engine(failures, farm_id)


def _write_settings() -> None:
    """Write how the engine is set up, before it is installed: its package has systemd start it at once.

    Settings that are there already stay as they are.
    """
    if not _DAEMON_SETTINGS.exists():
        _DAEMON_SETTINGS.parent.mkdir(parents=True, exist_ok=True)
        _DAEMON_SETTINGS.write_text(json.dumps(dict(ENGINE_SETTINGS), indent=1) + "\n")


def _list_options(left_out: Collection[str] = ()) -> list[str]:
    """Return the options of `dockerd` for the farm's settings.

    What daemon.json says is not said again: dockerd does not start with a setting in both places.

    Args:
        left_out: settings that are not wanted this time.
    """
    try:
        in_file = set(json.loads(_DAEMON_SETTINGS.read_text()))
    except (OSError, ValueError):
        in_file = set()

    options: list[str] = []
    for name, value in ENGINE_SETTINGS.items():
        if name in in_file or name in left_out:
            continue
        if name == "default-address-pools":
            for pool in value:
                options.append(f"--default-address-pool=base={pool['base']},size={pool['size']}")
        elif value is True:
            options.append(f"--{name}")
        else:
            options.append(f"--{name}={value}")

    return options


def install_packages(packages: Sequence[str], purpose: str, say: Callable[[str], None]) -> None:
    """Install packages of this host's distribution with apt.

    Args:
        packages: their names.
        purpose: what they are for, as messages say it: `the container engine`.
        say: takes a line about what is about to be done.

    Raises:
        EngineMissingError: not root, or apt failed; the text has the command to run.
    """
    lock_timeout = f"-oDPkg::Lock::Timeout={_APT_TIMEOUT_S}"
    command = ["apt-get", "install", lock_timeout, "-y", "--no-install-recommends", *packages]
    if not host.is_root():
        raise EngineMissingError([(purpose, "is not installed")], f"run: sudo {' '.join(command)}")

    say(f"installing {purpose} from this system's archive: {' '.join(packages)}")
    with _apt_lock:
        _run_apt(["apt-get", "update", "-qq"])  # where it fails, older lists may do
        completed = _run_apt(command)

    if completed.returncode != 0:
        printed = (completed.stdout + completed.stderr).strip().splitlines()
        last_lines = "\n".join(printed[-_LAST_LINES:])
        raise EngineMissingError(
            [(" ".join(command), last_lines)], "mend apt, then run `make engine` again"
        )


def _run_apt(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def _command_packages() -> tuple[str, ...]:
    """Return the package that has the `docker` command, where it is not in the engine's own package (Debian 13).

    Empty where the distribution knows no such package.
    """
    lookup = subprocess.run(["apt-cache", "show", "docker-cli"], capture_output=True, check=False)
    return ("docker-cli",) if lookup.returncode == 0 else ()


def _commands_for_root() -> str:
    """Return the text, of several lines, that tells a user without root what to run to get an engine."""
    packages = " ".join((*ENGINE_PACKAGES, *_command_packages(), *BOOTSTRAP_PACKAGES))
    user = os.environ.get("USER", "$USER")
    start_command = f"sudo sh -c 'nohup dockerd {' '.join(_list_options())} &'"
    if _has_systemd():
        start_command = "sudo systemctl start docker"

    lines = [
        "this needs root, which you are not. Run these, log in again, then repeat:",
        f"  sudo apt-get update && sudo apt-get install -y --no-install-recommends {packages}",
        f"  {start_command}",
        f"  sudo usermod -aG docker {user}",
    ]
    return "\n".join(lines)


def _has_systemd() -> bool:
    return Path("/run/systemd/system").is_dir()


def _start_engine(say: Callable[[str], None]) -> subprocess.Popen[bytes] | None:
    """Start the installed engine: by systemd, or, where the host has no systemd, as a process that outlives this one.

    It does not wait for the engine to answer.

    Returns:
        The process; None where systemd has it.
    """
    if _has_systemd():
        say("starting the container engine: systemctl start docker")
        subprocess.run(["systemctl", "start", "docker"], check=False)
        return None

    say(f"starting the container engine: dockerd (there is no systemd; its log is {_DAEMON_LOG})")
    return _run_daemon(_list_options())


def _has_ended_soon(daemon: subprocess.Popen[bytes]) -> bool:
    """Return whether an engine ended right after its start, as it does where it cannot have user namespaces."""
    try:
        daemon.wait(_EARLY_END_S)
    except subprocess.TimeoutExpired:
        return False

    return True


def _run_daemon(options: Sequence[str]) -> subprocess.Popen[bytes]:
    """Start dockerd as a process that outlives this one."""
    _clear_stale_daemon()
    with _DAEMON_LOG.open("ab") as log:
        return subprocess.Popen(
            ["dockerd", *options],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def _clear_stale_daemon() -> None:
    """Remove what a killed dockerd left behind, which would keep a new one from starting.

    That is the pid files of processes which are gone, and a containerd whose dockerd is gone: it is ended. A dockerd
    that is running keeps its pid file.
    """
    for path in _PID_FILES:
        try:
            pid = int(path.read_text())
        except (OSError, ValueError):
            continue  # there is no pid file, or no number in it

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
    """Wait until a process is gone, at most `_EXIT_TIMEOUT_S`; afterwards it may still be there."""
    deadline = time.monotonic() + _EXIT_TIMEOUT_S
    while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
        time.sleep(_EXIT_POLL_S)


def _wait_for_engine(tried: Sequence[tuple[str, str]], farm_id: str) -> Engine:
    """Wait for the engine that was just started, and return it.

    Args:
        tried: what was tried before it was started, as (address, why not), for the error.
        farm_id: the farm whose containers the engine will start.

    Raises:
        EngineMissingError: it does not answer within `_START_TIMEOUT_S`.
    """
    deadline = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline:
        try:
            return connection.connect(farm_id)
        except EngineMissingError as error:
            tried = error.tried
            time.sleep(_START_POLL_S)

    remedy = (
        f"the engine was started but does not answer; see {_DAEMON_LOG} or `journalctl -u docker`. Where this machine "
        f"has no user namespaces, remove {_USER_NAMESPACES!r} from {_DAEMON_SETTINGS}"
    )
    raise EngineMissingError(tried, remedy)
