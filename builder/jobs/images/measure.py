"""The image that applications are measured in."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from builder.evidence.image import read_image_tag
from builder.jobs.images.ids import COMPARISON_INTERPRETERS, role_image_id
from builder.jobs.images.image import BuiltImage
from builder.store.job_ids import JobId

if TYPE_CHECKING:
    from collections.abc import Mapping

    from builder.jobs.job import Inputs, Needs


@dataclass(frozen=True, kw_only=True)
class MeasureImage(BuiltImage):
    """The image that wheels are imported in, plus the interpreters to compare with and a load generator.

    Attributes:
        base: the base's name.
        interpreters: the job that compiles those to compare with; without any, that of the farm's own.
    """

    base: str
    interpreters: JobId = COMPARISON_INTERPRETERS

    recipe: ClassVar[str] = "measure"

    @cached_property
    def id(self) -> JobId:
        return role_image_id(self.recipe, self.base)

    @property
    def title(self) -> str:
        return f"the {self.recipe} image of {self.base}"

    @cached_property
    def needs(self) -> Needs:
        return {
            "verify": role_image_id("verify", self.base),
            "interpreters": self.interpreters,
        }

    def settings(self) -> Mapping[str, object]:
        return {"recipe": self.read_recipes()}

    def arguments(self, inputs: Inputs) -> Mapping[str, str]:
        """Return the build arguments of the Dockerfile."""
        return {
            "VERIFY": read_image_tag(inputs["verify"]),
            "INTERPRETERS_IMAGE": read_image_tag(inputs["interpreters"]),
        }
