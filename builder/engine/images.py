"""A part of client.py: images of the engine, how they come there and what is known of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from builder.engine import archives, cleanup
from builder.engine.labels import LABEL
from builder.errors import InfrastructureError, Interrupted
from builder.host import settings as host

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Collection, Mapping
    from pathlib import Path

    from docker import DockerClient

_PLATFORM = "linux/amd64"
_BUILD_MEMORY_BYTES = 6 << 30  # for compiling CPython; not measured


class Images:
    """The images that an engine has, or can take from registries."""

    def __init__(self, client: DockerClient) -> None:
        self._client = client

    def read_labels(self, tag: str) -> Mapping[str, str] | None:
        """Return an image's labels, or None where there is no such image."""
        from docker.errors import ImageNotFound

        try:
            return cast("Mapping[str, str]", self._client.images.get(tag).labels)
        except ImageNotFound:
            return None

    def find_newest(self, repository: str) -> str | None:
        """Return the tag of the image of a repository that was created last; None where it has no image."""
        images = self._client.images.list(name=repository)
        if not images:
            return None

        newest = max(images, key=lambda image: str(image.attrs["Created"]))
        return str(newest.tags[0])

    def read_size(self, tag: str) -> int:
        """Return an image's size, in bytes."""
        return int(self._client.images.get(tag).attrs["Size"])

    def pull(self, reference: str, tag: str) -> str:
        """Take an image from its registry, give it a tag, and return what was taken.

        The registry's tag is resolved to a digest first, and the digest is what is pulled: a tag may stand for another
        image at any time, a digest for no other.

        Returns:
            `debian@sha256:…`

        Raises:
            InfrastructureError: the registry does not answer or does not have it.
        """
        from docker.errors import DockerException
        from docker.utils import parse_repository_tag

        try:
            digest = str(self._client.images.get_registry_data(reference).id)
            repository, _ = parse_repository_tag(reference)
            pinned = f"{repository}@{digest}"
            image = self._client.images.pull(pinned, platform=_PLATFORM)
            image.tag(tag)
        except (DockerException, OSError) as error:
            raise InfrastructureError(
                f"the container registry did not give {reference}: {error}"
            ) from None

        return pinned

    def is_obtainable(self, reference: str) -> bool:
        """Return whether the registry of an image answers and has that image; the image is not pulled."""
        from docker.errors import DockerException

        try:
            self._client.images.get_registry_data(reference)
        except (DockerException, OSError):
            return False

        return True

    def import_root(self, archive: Path, tag: str) -> None:
        """Make an image from a tar archive of a root file system, and give it a tag.

        Raises:
            InfrastructureError: the engine does not take the archive.
        """
        repository, _, version = tag.rpartition(":")
        answer = self._client.api.import_image_from_file(
            str(archive), repository=repository, tag=version
        )
        # A failure can come in the body of an answer.
        if "error" in str(answer):
            raise InfrastructureError(f"the engine did not import {archive.name}: {answer}")

    def build(
        self,
        tag: str,
        *,
        context: Mapping[str, bytes | Path],
        arguments: Mapping[str, str],
        labels: Mapping[str, str],
        log: Callable[[str], None],
        stop: threading.Event,
    ) -> str | None:
        """Build an image from a Dockerfile, and pass on what the build prints while it runs.

        Args:
            tag: what to call it.
            context: files by relative path, `Dockerfile` among them.
            arguments: build arguments.
            labels: labels of the image.
            log: takes each line the build prints.
            stop: set when the farm is asked to stop.

        Returns:
            The error that the build ended with; None where the image was built.

        Raises:
            Interrupted: the farm was asked to stop.
        """
        with archives.pack(context) as packed:
            stream = self._client.api.build(
                fileobj=packed,
                custom_context=True,
                tag=tag,
                buildargs={**host.build_proxy_variables(), **arguments},
                labels={LABEL: "image", **labels},
                decode=True,
                rm=True,
                forcerm=True,
                container_limits={"memory": _BUILD_MEMORY_BYTES},
            )

        for message in stream:
            if stop.is_set():
                raise Interrupted

            text = message.get("stream")
            if text:
                log(text)

            error = message.get("error")
            if error:
                log(error + "\n")
                return str(error)

        return None

    def remove(self, tags: Collection[str]) -> int:
        """Remove images, and those of the farm's builds that no tag names; return how many there were."""
        return cleanup.remove_images(self._client, tags, LABEL)
