"""The image that the farm's index proxy runs in.

It counts in the key of no other job: how a file is fetched does not change what a build makes of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from builder.config import catalog
from builder.evidence.image import read_image_tag
from builder.host import settings as host
from builder.jobs.images.ids import INDEX_IMAGE, role_image_id
from builder.jobs.images.image import BuiltImage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from builder.jobs.job import Inputs, Needs
    from builder.store.job_ids import JobId


@dataclass(frozen=True, kw_only=True)
class IndexImage(BuiltImage):
    """A base's verification image plus the program of the index proxy.

    Attributes:
        base: name of the base.
        abi: the ABI whose interpreter runs the proxy.
    """

    base: str
    abi: catalog.Abi

    recipe: ClassVar[str] = "index"
    files: ClassVar[tuple[str, ...]] = ("index-tools.txt",)
    counts_packages: ClassVar[bool] = False

    @cached_property
    def id(self) -> JobId:
        return INDEX_IMAGE

    @property
    def title(self) -> str:
        return "the image of the index proxy"

    @cached_property
    def needs(self) -> Needs:
        return {"verify": role_image_id("verify", self.base)}

    def settings(self) -> Mapping[str, object]:
        return {"recipe": self.read_recipes(), "ABIs": self.abi.directory}

    def arguments(self, inputs: Inputs) -> Mapping[str, str]:
        return {
            "VERIFY": read_image_tag(inputs["verify"]),
            "PYTHON": self.abi.python,
            "HOST_ENVIRONMENT": host.container_assignments(),
        }
