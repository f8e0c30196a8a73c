"""The images that build wheels and that load them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from builder.config import catalog
from builder.evidence.image import read_image_tag
from builder.host import settings as host
from builder.jobs.images.ids import INTERPRETERS, base_image_id, role_image_id
from builder.jobs.images.image import CA_LABEL, BuiltImage, ca_digest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from builder.jobs.job import Inputs, Needs, Tools
    from builder.store.job_ids import JobId


@dataclass(frozen=True, kw_only=True)
class PythonImage(BuiltImage):
    """A base plus the interpreters, for one role: building wheels or loading them."""

    base: catalog.Base

    @cached_property
    def id(self) -> JobId:
        return role_image_id(self.recipe, self.base.name)

    @property
    def title(self) -> str:
        return f"the {self.recipe} image of {self.base.name}"

    @cached_property
    def needs(self) -> Needs:
        return {"base": base_image_id(self.base.name), "interpreters": INTERPRETERS}

    def settings(self) -> Mapping[str, object]:
        return {"recipe": self.read_recipes(), "runtime packages": self.base.runtime}

    def is_usable(self, labels: Mapping[str, str] | None) -> bool:
        # The host's CA bundle is in no key, because it does not change what is built. But with an old bundle nothing
        # can be fetched, so an image with another one is made again.
        return labels is not None and labels.get(CA_LABEL) == ca_digest()

    def arguments(self, inputs: Inputs) -> Mapping[str, str]:
        """Return the build arguments of the Dockerfile; it copies the interpreters from another image."""
        return {
            "BASE": read_image_tag(inputs["base"]),
            "INTERPRETERS_IMAGE": read_image_tag(inputs["interpreters"]),
            "RUNTIME": " ".join(self.base.runtime),
            "HOST_ENVIRONMENT": host.container_assignments(),
        }

    def extra_files(self, tools: Tools) -> Mapping[str, bytes | Path]:  # noqa: ARG002 - nothing is fetched
        return {"ca-certificates.crt": host.ca_bundle()}


class BuilderImage(PythonImage):
    """The image that wheels are built in."""

    recipe: ClassVar[str] = "builder"
    files: ClassVar[tuple[str, ...]] = (
        "limits.sh",
        "builder-tools.txt",
        "install-tools.sh",
        "compiler.sh",
    )


class VerifyImage(PythonImage):
    """The image that wheels are installed and imported in."""

    recipe: ClassVar[str] = "verify"
    files: ClassVar[tuple[str, ...]] = ("limits.sh", "schedule.c", "verify-tools.txt")
