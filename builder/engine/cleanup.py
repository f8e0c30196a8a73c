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
    """Remove a container, running or not, with its anonymous volumes.

    That it is gone already, or that somebody else is just removing it, is no error.
    """
    from docker.errors import APIError, NotFound

    with contextlib.suppress(NotFound):
        try:
            container.remove(force=True, v=True)
        except APIError as error:
            is_being_removed = error.status_code == HTTPStatus.CONFLICT
            if not is_being_removed:
                raise


def remove_labelled(client: DockerClient, label: str) -> int:
    """Remove the containers with a label, and the networks with it; return how many containers there were.

    A network that cannot be removed is left: somebody else is removing it, or a container has yet to leave it.
    """
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
    """Remove images, and return how many were removed. An image that something still needs stays.

    Args:
        client: the engine.
        tags: the tags to remove.
        label: images with this label that no tag names, such as replaced ones, are removed as well.
    """
    untagged = client.images.list(filters={"dangling": True, "label": label})
    names = [*tags, *(str(image.id) for image in untagged)]
    return sum(_remove_image(client, name) for name in names)


def _remove_image(client: DockerClient, name: str) -> bool:
    """Remove an image by its tag or id; return False where that cannot be.

    It is gone already then, or a container or another image needs it.
    """
    from docker.errors import APIError

    try:
        client.images.remove(name)
    except APIError:
        return False

    return True


def remove_volume(client: DockerClient, name: str) -> None:
    """Remove a volume. That there is none, or that a container uses it, is no error."""
    from docker.errors import APIError

    with contextlib.suppress(APIError):
        client.volumes.get(name).remove()


def remove_volumes(
    client: DockerClient,
    label: str,
    is_wanted: Callable[[Mapping[str, str]], bool],
    limit_bytes: int | None,
) -> int:
    """Remove volumes with a label, and return how many were removed. A volume that a container uses stays.

    Two kinds go: those that nobody wants, and of the wanted ones the largest, if together they exceed a limit.

    Args:
        client: the engine.
        label: label of the volumes, as `NAME=VALUE`.
        is_wanted: returns whether somebody wants the volume with these labels.
        limit_bytes: how much wanted volumes may take together; None for any amount.
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


def _find_surplus(client: DockerClient, volumes: list[Volume], room_bytes: int) -> list[Volume]:
    """Return the volumes that must go so that the others fit into a limit: the largest ones.

    A volume whose size the engine does not know counts as empty.
    """
    sizes: dict[str, int] = {}
    for description in client.df()["Volumes"] or ():
        sizes[description["Name"]] = max(0, description["UsageData"]["Size"])  # -1 for "unknown"

    surplus = []
    for volume in sorted(volumes, key=lambda volume: sizes.get(volume.name, 0)):
        room_bytes -= sizes.get(volume.name, 0)
        if room_bytes < 0:
            surplus.append(volume)

    return surplus
