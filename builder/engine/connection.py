"""Find an engine that answers, and the command that drives it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from builder.engine.client import Engine
from builder.errors import EngineMissingError

MINIMUM_API = (1, 41)
"""Oldest Docker Engine API that cibuildwheel drives."""

_REQUEST_TIMEOUT_S = 120  # importing an image of some GB is one request; not measured


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
