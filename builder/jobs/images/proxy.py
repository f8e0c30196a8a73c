"""Image job: what the farm's index proxy runs in. Facts: `tag`, `content`, `bytes`, as of every image.

The image counts for no other job's key: how a file is fetched does not change what a build makes of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from builder import host
from builder.config import catalog
from builder.errors import InfrastructureError
from builder.jobs.images import image
from builder.store.hashing import digest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from builder.jobs.job import Result, Tools
    from builder.store.evidence import Evidence

INDEX_IMAGE = "image:index"
ORDER_ONLY = frozenset({INDEX_IMAGE})
"""Jobs that others need to run, and that no key counts: what is known of those stays known without them."""
_DOCKERFILE = "index.Dockerfile"
_TOOLS = "index-tools.txt"


@dataclass(frozen=True, kw_only=True, slots=True)
class IndexImage(image.Image):
    """A verification image with the index cache.

    Attributes:
        base: the base whose verification image it stands on.
        abi: whose interpreter runs it.
    """

    base: str
    abi: catalog.Abi

    @property
    def id(self) -> str:
        return INDEX_IMAGE

    @property
    def needs(self) -> tuple[str, ...]:
        return (f"image:verify-{self.base}",)

    def settings(self) -> Mapping[str, object]:
        return {
            "recipe": [image.read_recipe(name) for name in (_DOCKERFILE, _TOOLS)],
            "ABIs": self.abi.directory,
        }

    def key(self, inputs: Mapping[str, Evidence]) -> str:
        return digest("index", *self.settings().values(), inputs[self.needs[0]].facts["content"])

    def run(self, inputs: Mapping[str, Evidence], tools: Tools) -> Result:
        key = self.key(inputs)
        tag = image.image_tag("index", key)
        if tools.engine.image_labels(tag) is None:
            arguments = {
                "VERIFY": inputs[self.needs[0]].facts["tag"],
                "PYTHON": f"/opt/python/{self.abi.directory}/bin/python",
                "HOST_ENVIRONMENT": host.container_assignments(),
            }
            if failure := image.build_image(tag, _DOCKERFILE, (_TOOLS,), arguments, tools):
                raise InfrastructureError(
                    f"the image of the index proxy did not build: {failure} (log: {tools.log})"
                )
        return image.image_facts(tag, key, tools)
