"""A part of client.py: containers that serve others, each on a private network of its own.

A private network is internal: nothing is routed out of it, and where the engine can leave the host's own address off
it, not even the host is reached. There is one for each client, so that no client meets another. All carry the labels of
the engine that asked, and go with its containers at the latest.
"""

from __future__ import annotations

import contextlib
import re
import time
import uuid
from dataclasses import dataclass
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any

from builder.engine import archives
from builder.errors import InfrastructureError, Interrupted
from builder.store.files import translate_disk_full

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from docker import DockerClient
    from docker.models.containers import Container
    from docker.models.networks import Network

OUTWARD_OPTIONS: Mapping[str, Any] = {"network_mode": "bridge"}
"""Options of the network of a container that is to become a service: it reaches outwards."""

_NO_ADDRESSES = re.compile(
    "address pool|all predefined|subnet.*(?:exhausted|available)", re.IGNORECASE
)
_WITHOUT_HOST = {"com.docker.network.bridge.inhibit_ipv4": "true"}
_START_TIMEOUT_S = 60.0  # not measured
_POLL_S = 0.05
_LAST_LINES = 5  # of what a service printed that did not start


class NoAddressesError(InfrastructureError):
    """The engine has no addresses left for another network."""

    def __init__(self, answer: str) -> None:
        """Make the message from the engine's answer."""
        super().__init__(
            f"the container engine has no addresses left for the network of a build ({answer}): remove networks that "
            "nobody uses (`docker network prune`), or let its networks be smaller (`dockerd --default-address-pool "
            "base=172.16.0.0/12,size=28`, or `default-address-pools` in daemon.json)"
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class NetworkAttachment:
    """A container's connection to a private network.

    Attributes:
        network: its name.
        dns_server: address of the name server.
        environment: variables by which clients find what is served there.
    """

    network: str
    dns_server: str
    environment: Mapping[str, str]

    def options(self) -> dict[str, Any]:
        """Return what the engine's API takes; the environment goes beside it."""
        return {"network": self.network, "dns": [self.dns_server], "dns_search": ["."]}

    def arguments(self) -> list[str]:
        """Return all of it as options of `docker create`."""
        environment = [f"--env={name}={value}" for name, value in self.environment.items()]
        return [
            f"--network={self.network}",
            f"--dns={self.dns_server}",
            "--dns-search=.",
            *environment,
        ]


class PrivateNetwork:
    """An internal network on which a service and one client are.

    Attributes:
        name: what the engine calls it.
        address: of the service.
        subnet: all its addresses, such as `172.16.0.16/28`.
    """

    def __init__(self, network: Network, container: Container) -> None:
        """Take over a network that a service's container was just connected to."""
        self._network = network
        self._container = container
        self.name = str(network.name)

        connection = container.attrs["NetworkSettings"]["Networks"][self.name]
        self.address = str(connection["IPAddress"])
        self.subnet = str(ip_network(f"{self.address}/{connection['IPPrefixLen']}", strict=False))

    def remove(self) -> None:
        """Take the service off the network, and remove the network; a second call does nothing.

        Where a client is still on it, the network stays until the run's containers are removed.
        """
        from docker.errors import APIError

        with contextlib.suppress(APIError):
            self._network.disconnect(self._container, force=True)
        with contextlib.suppress(APIError):
            self._network.remove()


class Service:
    """A container that serves others on private networks, and reaches outwards itself."""

    def __init__(
        self, client: DockerClient, container: Container, labels: Mapping[str, str]
    ) -> None:
        """Take over a container that was started.

        Args:
            client: the engine.
            container: the container.
            labels: labels of its networks.
        """
        self._client = client
        self._container = container
        self._labels = labels

    def open_network(self) -> PrivateNetwork:
        """Make a private network for one client, with the service on it.

        Raises:
            InfrastructureError: the container is gone.
            NoAddressesError: the engine has no addresses left for another network.
        """
        with engine_errors("it has no network for a build"):
            network = _create_private_network(self._client, self._labels)
            try:
                network.connect(self._container)
                self._container.reload()
                return PrivateNetwork(network, self._container)
            except Exception:
                network.remove()
                raise

    def put(self, files: Mapping[str, bytes | Path]) -> None:
        """Put files into the service's container, by absolute path.

        Raises:
            InfrastructureError: the container is gone.
        """
        with engine_errors("it takes no files"):
            self._container.reload()
            if self._container.status != "running":
                raise InfrastructureError("the farm's index proxy ended before its time")

            with archives.pack(files) as packed:
                self._container.put_archive("/", packed)

    def copy(self, path: str, target: Path) -> None:
        """Copy a file of any size out of the service's container.

        Args:
            path: absolute path of the file in the container.
            target: where the copy goes.

        Raises:
            InfrastructureError: the container is gone, or has no such file.
            NoSpaceError: the disk is full.
        """
        with engine_errors("it gives no files"), translate_disk_full(target.parent):
            stream, _ = self._container.get_archive(path)
            archives.unpack_file(stream, target)

    def get(self, path: str) -> bytes | None:
        """Return the content of a file in the service's container, or None where there is no such file.

        Raises:
            InfrastructureError: the container is gone.
        """
        from docker.errors import NotFound

        with engine_errors("it gives no files"):
            try:
                stream, _ = self._container.get_archive(path)
            except NotFound:
                self._container.reload()  # raises where the container itself is what is not found
                return None

            files = archives.unpack(stream, path)
            return next(iter(files.values()))

    def await_file(self, path: str, stop: threading.Event) -> None:
        """Wait until the service has written a file, by which it says that it is ready.

        Args:
            path: absolute path of the file in the container.
            stop: set when the farm is asked to stop.

        Raises:
            InfrastructureError: it ended, or did not write the file within `_START_TIMEOUT_S`.
            Interrupted: the farm was asked to stop.
        """
        deadline = time.monotonic() + _START_TIMEOUT_S
        while self.get(path) is None:
            if stop.wait(_POLL_S):
                raise Interrupted

            self._container.reload()
            has_ended = self._container.status != "running"
            if has_ended or time.monotonic() > deadline:
                printed = self._container.logs(tail=_LAST_LINES).decode(errors="replace").strip()
                raise InfrastructureError(
                    f"the farm's index proxy did not start: {printed or 'it printed nothing'}"
                )


def start_service(
    client: DockerClient,
    container: Container,
    files: Mapping[str, bytes | Path],
    labels: Mapping[str, str],
) -> Service:
    """Start a container that was just created as a service.

    Args:
        client: the engine.
        container: the container; it was created with `OUTWARD_OPTIONS`.
        files: content by absolute path, put there before it starts.
        labels: labels of its networks.
    """
    with archives.pack(files) as packed:
        container.put_archive("/", packed)

    container.start()
    return Service(client, container, labels)


def _create_private_network(client: DockerClient, labels: Mapping[str, str]) -> Network:
    """Create an internal network: nothing on it reaches the outside.

    It is made without an address of the host, so that its containers do not reach the host either. An engine that does
    not know this option makes a network with one.

    Raises:
        NoAddressesError: the engine has no addresses left for it.
    """
    from docker.errors import APIError

    def create(options: Mapping[str, str]) -> Network:
        """Create the network under a new name, with some options of its driver."""
        name = f"wheelfarm-{uuid.uuid4().hex[:12]}"
        return client.networks.create(
            name, driver="bridge", internal=True, labels=dict(labels), options=dict(options)
        )

    try:
        return create(_WITHOUT_HOST)
    except APIError as error:
        if _NO_ADDRESSES.search(str(error)):
            raise NoAddressesError(str(error)) from error

    return create({})  # this engine does not know the option


@contextlib.contextmanager
def engine_errors(trouble: str) -> Iterator[None]:
    """Raise errors of the engine in the block as errors of the index proxy, the only service there is.

    Args:
        trouble: what failed, to be read after "the farm's index proxy failed, ".

    Raises:
        InfrastructureError: in place of the engine's error.
    """
    from docker.errors import DockerException

    try:
        yield
    except (DockerException, OSError) as error:
        raise InfrastructureError(f"the farm's index proxy failed, {trouble}: {error}") from error
