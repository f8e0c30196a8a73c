"""A builder with system packages of its own."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from builder.errors import InfrastructureError
from builder.jobs.images.image import (
    Image,
    build_image,
    image_facts,
    image_tag,
    list_packages,
    read_recipe,
)
from builder.jobs.job import Result
from builder.store.hashing import digest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from builder.jobs.job import Tools
    from builder.store.evidence import Evidence


def packages_image_id(base: str, packages: tuple[str, ...], role: str = "builder") -> str:
    """Return the id of the image job for an image with system packages; without any, the image's own.

    Args:
        base: the base.
        packages: system packages.
        role: `builder` or `race`.
    """
    return f"image:{role}-{base}" + (f"+{digest(packages)[:8]}" if packages else "")


@dataclass(frozen=True, kw_only=True, slots=True)
class PackagesImage(Image):
    """A builder or race detector with the system packages some package asks for: all that ask the same share it."""

    base: str
    packages: tuple[str, ...]
    role: str = "builder"

    @property
    def id(self) -> str:
        return packages_image_id(self.base, self.packages, self.role)

    @property
    def needs(self) -> tuple[str, ...]:
        return (f"image:{self.role}-{self.base}",)

    def settings(self) -> Mapping[str, object]:
        return {"recipe": read_recipe("packages.Dockerfile"), "apt list": self.packages}

    def key(self, inputs: Mapping[str, Evidence]) -> str:
        return digest("packages", *self.settings().values(), inputs[self.needs[0]].facts["content"])

    def run(self, inputs: Mapping[str, Evidence], tools: Tools) -> Result:
        key = self.key(inputs)
        tag = image_tag(f"{self.role}-{self.base}", key)
        if tools.engine.image_labels(tag) is None:
            arguments = {
                "BUILDER": inputs[self.needs[0]].facts["tag"],
                "PACKAGES": " ".join(self.packages),
            }
            if failure := build_image(tag, "packages.Dockerfile", (), arguments, tools):
                return self._explain_failure(failure, tools)
        return image_facts(tag, digest(key, list_packages(tag, tools)), tools)

    def _explain_failure(self, failure: str, tools: Tools) -> Result:
        """Tell a name the base does not have, which is the matrix's affair, from an archive that did not answer."""
        text = tools.log.read_text(errors="replace")
        missing = re.findall(r"E: (?:Unable to locate package|Package '?)\s*([a-z0-9+.-]+)", text)
        if not missing:
            raise InfrastructureError(
                f"system packages could not be installed on {self.base}: {failure} (log: {tools.log})"
            )
        return Result(facts={"missing": sorted(set(missing)), "content": "none"})
