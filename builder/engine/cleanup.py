"""A part of client.py: how containers, networks, images and volumes of the farm are removed.

Everything goes by its label or its tag, and what something still stands on is left alone.
"""

from __future__ import annotations

import contextlib
from http import HTTPStatus
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from docker import DockerClient
    from docker.models.containers import Container
    from docker.models.volumes import Volume


def remove_container(container: Container) -> None:
    """Remove a container, unless it is gone or going."""
    from docker.errors import APIError, NotFound

    with contextlib.suppress(NotFound):
        try:
            container.remove(force=True, v=True)
        except APIError as error:
            is_being_removed = error.status_code == HTTPStatus.CONFLICT
            if not is_being_removed:
                raise


def remove_labelled(client: DockerClient, label: str) -> int:
    """Remove the containers with a label, and its networks that none is connected to; return how many containers."""
    from docker.errors import APIError

    # `sparse`: a container that vanishes while it is listed is no error.
    containers = client.containers.list(all=True, sparse=True, filters={"label": label})
    for container in containers:
        remove_container(container)

    for network in client.networks.list(filters={"label": label}):
        # Somebody else is removing it, or a container is just leaving it.
        with contextlib.suppress(APIError):
            network.remove()

    return len(containers)


def remove_images(client: DockerClient, tags: Iterable[str], label: str) -> int:
    """Remove images by their tags, and those with a label that no tag names; return how many."""
    untagged = client.images.list(filters={"dangling": True, "label": label})
    names = [*tags, *(str(image.id) for image in untagged)]
    return sum(_remove_image(client, name) for name in names)


def _remove_image(client: DockerClient, name: str) -> bool:
    from docker.errors import APIError

    try:
        client.images.remove(name)
    except APIError:  # it is gone, or a container or another image stands on it
        return False

    return True


def remove_volumes(
    client: DockerClient,
    label: str,
    is_wanted: Callable[[Mapping[str, str]], bool],
    limit_bytes: int | None,
) -> int:
    """Remove the volumes with a label that no container uses, and return how many.

    Args:
        client: the engine.
        label: theirs.
        is_wanted: says of a volume's labels whether somebody wants it kept.
        limit_bytes: how much there is room for of those, or None for any number: the largest go until the rest fits.
    """
    from docker.errors import APIError

    wanted, unwanted = [], []
    for volume in client.volumes.list(filters={"label": label}):
        if is_wanted(volume.attrs["Labels"]):
            wanted.append(volume)
        else:
            unwanted.append(volume)

    if limit_bytes is not None:
        unwanted += _find_surplus(client, wanted, limit_bytes)

    removed = 0
    for volume in unwanted:
        with contextlib.suppress(APIError):  # a build uses it
            volume.remove()
            removed += 1

    return removed


def _find_surplus(client: DockerClient, volumes: list[Volume], limit_bytes: int) -> list[Volume]:
    """Return the largest of some volumes: as many as must go for the rest to fit."""
    sizes: dict[str, int] = {}
    for described in client.df()["Volumes"] or ():
        sizes[described["Name"]] = max(0, described["UsageData"]["Size"])  # -1 for "unknown"

    surplus = []
    for volume in sorted(volumes, key=lambda volume: sizes.get(volume.name, 0)):
        limit_bytes -= sizes.get(volume.name, 0)
        if limit_bytes < 0:
            surplus.append(volume)

    return surplus
