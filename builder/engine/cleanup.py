"""A part of engine.py: how containers, networks, images and volumes of the farm are removed.

Everything goes by its label or its tag, and what something still stands on is left alone.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from docker import DockerClient
    from docker.models.containers import Container


def remove_container(container: Container) -> None:
    """Remove a container, unless it is gone or going."""
    from docker.errors import APIError, NotFound

    with contextlib.suppress(NotFound):
        try:
            container.remove(force=True, v=True)
        except APIError as error:
            if error.status_code != 409:  # noqa: PLR2004 - somebody else is removing it
                raise


def remove_labelled(client: DockerClient, label: str) -> int:
    """Remove the containers with a label, and its networks that none is connected to; return how many containers."""
    from docker.errors import APIError

    # `sparse`: a container that vanishes while it is listed is no error.
    found = client.containers.list(all=True, sparse=True, filters={"label": label})
    for container in found:
        remove_container(container)
    for network in client.networks.list(filters={"label": label}):
        with contextlib.suppress(
            APIError
        ):  # somebody else is removing it, or a container is just leaving it
            network.remove()
    return len(found)


def remove_images(client: DockerClient, tags: Iterable[str], label: str) -> int:
    """Remove images by their tags, and those with a label that no tag names; return how many."""
    stray = client.images.list(filters={"dangling": True, "label": label})
    return sum(_remove_image(client, name) for name in (*tags, *(str(image.id) for image in stray)))


def _remove_image(client: DockerClient, image: str) -> bool:
    from docker.errors import APIError

    try:
        client.images.remove(image)
    except APIError:  # it is gone, or a container or another image stands on it
        return False
    return True


def remove_volumes(
    client: DockerClient, label: str, kept: Callable[[Mapping[str, str]], bool], room: int | None
) -> int:  # fmt: skip
    """Remove the volumes with a label that no container uses, and return how many.

    Args:
        client: the engine.
        label: theirs.
        kept: says of a volume's labels whether somebody wants it kept.
        room: bytes there are for those, or None for any number: the largest go until the rest fits.
    """
    from docker.errors import APIError

    found = client.volumes.list(filters={"label": label})
    going = [volume for volume in found if not kept(volume.attrs["Labels"])]
    if room is not None:
        size = {
            one["Name"]: max(0, one["UsageData"]["Size"]) for one in client.df()["Volumes"] or ()
        }
        for volume in sorted(
            (one for one in found if one not in going), key=lambda one: size.get(one.name, 0)
        ):
            room -= size.get(volume.name, 0)
            if room < 0:
                going.append(volume)
    removed = 0
    for volume in going:
        with contextlib.suppress(APIError):  # a build uses it
            volume.remove()
            removed += 1
    return removed
