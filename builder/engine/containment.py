"""What every container of the farm is allowed; nothing else decides it.

A container gets no capability but those its kind needs, the system calls of seccomp.json, no privileges by setuid
programs, no IPv6, no core dumps, and files up to its limit on disk.

Its root file system is writable: the engine refuses to put files into a container whose root is read-only, and copies
nothing in or out of a tmpfs, and files go in and out of every container. What a container writes there is bounded by
its limit on disk (disk.py), and goes with it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

PROFILE = Path(__file__).with_name("seccomp.json")
"""The list of system calls, as the engines read it. What is not on it fails with EPERM."""

_SHARED_MEMORY_BYTES = 64 << 20
"""Of /dev/shm: the engines' default, said so that no daemon's setting changes results."""
_FILE_SLACK_BYTES = 4 << 30  # more than a disk takes until the watch looks again
_IPV6 = Path("/proc/sys/net/ipv6")
_WITHOUT_IPV6 = {
    "net.ipv6.conf.all.disable_ipv6": "1",
    "net.ipv6.conf.default.disable_ipv6": "1",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """A kind of container.

    Attributes:
        name: what evidence and documents call it.
        capabilities: what it may do beside an ordinary user, each with what fails without.
        sysctls: settings of its own network stack.
        environment: variables that make up for what it may not.
    """

    name: str
    capabilities: Mapping[str, str]
    sysctls: Mapping[str, str]
    environment: Mapping[str, str] = field(default_factory=dict)


PROGRAM = Kind(name="program", capabilities={}, sysctls={})
"""Programs of the farm and of packages: audits, loads, fetching, compiling for the race detector."""

SUPERVISED = Kind(
    name="supervised",
    capabilities={
        "SETUID": "the supervisor, which is root, cannot become the user `farm` for the package's code",
        "SETGID": "it cannot leave root's group",
        "KILL": "it cannot end what runs as the user `farm`",
    },
    sysctls={},
)
"""Programs whose supervisor is another user than the package's code. A task of this kind has the user `root`."""

BUILD = Kind(
    name="build",
    capabilities={},
    sysctls={},
    # GNU tar as root gives files back to their owners, and fails without CHOWN: builds that unpack a library of theirs.
    environment={"TAR_OPTIONS": "--no-same-owner"},
)
"""Builds: root of the container, because cibuildwheel installs build requirements into the image's interpreters."""

SERVICE = Kind(
    name="service",
    capabilities={},
    sysctls={
        # It answers where name servers do, as nobody in particular.
        "net.ipv4.ip_unprivileged_port_start": "0",
        # It is on the network of every session, and no way from one to another.
        "net.ipv4.ip_forward": "0",
        "net.ipv4.conf.all.arp_ignore": "1",
        "net.ipv4.conf.all.accept_source_route": "0",
        "net.ipv4.conf.default.accept_source_route": "0",
    },
)
"""The index proxy: the farm's own program."""

KINDS = (PROGRAM, SUPERVISED, BUILD, SERVICE)


def create_options(kind: Kind, disk_bytes: int) -> dict[str, Any]:
    """Return the options of the engine's API for a container of a kind.

    Args:
        kind: what it is for.
        disk_bytes: the most that it may write.
    """
    from docker.types import Ulimit

    ulimits = []
    for name, most in _resource_limits(disk_bytes).items():
        ulimits.append(Ulimit(name=name, soft=most, hard=most))

    return {
        "security_opt": ["no-new-privileges", f"seccomp={_read_profile()}"],
        "cap_drop": ["ALL"],
        "cap_add": list(kind.capabilities),
        "sysctls": _sysctls(kind),
        "ulimits": ulimits,
        "shm_size": _SHARED_MEMORY_BYTES,
    }


def create_arguments(kind: Kind, disk_bytes: int) -> list[str]:
    """Return the same as options of `docker create`."""
    return [
        "--security-opt=no-new-privileges",
        f"--security-opt=seccomp={PROFILE}",
        "--cap-drop=ALL",
        *(f"--cap-add={capability}" for capability in kind.capabilities),
        *(f"--env={name}={value}" for name, value in kind.environment.items()),
        *(f"--sysctl={name}={value}" for name, value in _sysctls(kind).items()),
        *(f"--ulimit={name}={most}:{most}" for name, most in _resource_limits(disk_bytes).items()),
        f"--shm-size={_SHARED_MEMORY_BYTES}",
    ]


@cache
def _read_profile() -> str:
    return PROFILE.read_text()


def _resource_limits(disk_bytes: int) -> dict[str, int]:
    """Return the limits of each process (getrlimit(2)): on the size of a file, and no core dumps.

    A file may be larger than all that a container may write: the watch on that (disk.py) ends the container and says
    why, which an error in the middle of a write does not. The limit is for files that take no space (sparse ones).
    """
    return {"fsize": disk_bytes + _FILE_SLACK_BYTES, "core": 0}


def _sysctls(kind: Kind) -> dict[str, str]:
    """Return the settings of a container's network stack.

    A kernel without IPv6 has no setting to turn it off, and the engine would not start the container for that.
    """
    has_ipv6 = _IPV6.is_dir()
    return {**kind.sysctls, **(_WITHOUT_IPV6 if has_ipv6 else {})}
