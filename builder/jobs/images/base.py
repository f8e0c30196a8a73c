"""The image of a base: from a registry, or from the distribution's signed archive."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from builder.config import catalog
from builder.errors import InfrastructureError
from builder.jobs.images import bootstrap
from builder.jobs.images.ids import base_image_id
from builder.jobs.images.image import (
    Image,
    image_facts,
    image_tag,
    list_packages,
    parse_packages,
)
from builder.store.hashing import digest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from builder.jobs.job import Inputs, Needs, Result, Tools
    from builder.store.job_ids import JobId


@dataclass(frozen=True, kw_only=True)
class BaseImage(Image):
    """The image of a base, i.e. of a plain release of Debian or Ubuntu."""

    base: catalog.Base
    distribution: catalog.Distribution

    @cached_property
    def id(self) -> JobId:
        return base_image_id(self.base.name)

    @cached_property
    def needs(self) -> Needs:
        return {}

    def settings(self) -> Mapping[str, object]:
        # The columns that are left out do not change this image: other images install those packages.
        row = self.base.model_dump(exclude={"enabled", "runtime", "sanitizer", "rust"})

        return {"base": row, "distribution": self.distribution.model_dump()}

    def key(self, inputs: Inputs) -> str:  # noqa: ARG002 - a base stands on nothing
        return digest("base", *self.settings().values())

    def run(self, inputs: Inputs, tools: Tools) -> Result:
        """Make the image, unless the engine has it, and return its tag and a hash of its packages.

        Raises:
            InfrastructureError: neither the registry nor the archive gives the base.
            Interrupted: the farm was asked to stop.
        """
        tag = image_tag(self.base.name, self.key(inputs))

        taken = ""
        if not self.is_usable(tools.engine.images.read_labels(tag)):
            taken = self._pull_or_bootstrap(tag, tools)

        # The hash is of the packages alone, so that it does not matter whether they came from a registry or an archive.
        listing = list_packages(tag, tools)
        return image_facts(
            tag,
            digest("base", listing),
            tools,
            taken=taken,
            packages=parse_packages(listing),
        )

    def _pull_or_bootstrap(self, tag: str, tools: Tools) -> str:
        """Get the base from the container registry or, where that does not give it, from the distribution's archive.

        Returns:
            What the registry gave, by its digest; empty where it gave nothing.

        Raises:
            InfrastructureError: neither gives it; the text has both reasons.
            Interrupted: the farm was asked to stop.
        """
        tools.say(f"asking the container registry for {self.base.registry}")

        try:
            return tools.engine.images.pull(self.base.registry, tag)
        except InfrastructureError as no_registry:
            tools.say(f"no registry: bootstrapping {self.base.suite} from its signed archive")
            try:
                self._bootstrap(tag, tools)
            except InfrastructureError as no_archive:
                reason = f"base {self.base.name} could not be had: {no_archive}; {no_registry}"
                # Both causes are in the text already.
                raise InfrastructureError(reason, code="WF901") from None

        return ""

    def _bootstrap(self, tag: str, tools: Tools) -> None:
        """Make the base's root file system from packages of the distribution's archive, and import it as an image."""
        with tools.store.scratch_folder() as scratch:
            root_tar = scratch / "root.tar"
            bootstrap.make_root(
                self.base,
                self.distribution,
                root_tar,
                log=tools.log,
                stop=tools.stop,
                say=tools.say,
            )
            tools.engine.images.import_root(root_tar, tag)
