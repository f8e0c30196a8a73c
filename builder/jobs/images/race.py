"""The image in which data races are looked for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from builder.config import catalog
from builder.evidence.image import read_image_tag
from builder.jobs.images.ids import RACE_INTERPRETER, role_image_id
from builder.jobs.images.image import BuiltImage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from builder.jobs.job import Inputs, Needs
    from builder.store.job_ids import JobId


@dataclass(frozen=True, kw_only=True)
class RaceImage(BuiltImage):
    """A builder's image plus what it takes to look for data races.

    That is a compiler with ThreadSanitizer that leaves the symbols in what it compiles, the interpreter compiled with
    it, and the canaries: three small extension modules, one that races on purpose, one that uses objects which other
    threads free, and one that does neither. Every search tries its detector on them first.
    """

    base: catalog.Base
    abi: catalog.Abi

    recipe: ClassVar[str] = "race"
    files: ClassVar[tuple[str, ...]] = ("race-tree.sh", "keep-symbols.sh", "canary.c", "stores.c")

    @cached_property
    def id(self) -> JobId:
        return role_image_id("race", self.base.name)

    @property
    def title(self) -> str:
        return "the race detector's image"

    @cached_property
    def needs(self) -> Needs:
        return {
            "builder": role_image_id("builder", self.base.name),
            "interpreter": RACE_INTERPRETER,
        }

    def settings(self) -> Mapping[str, object]:
        return {
            "recipe": self.read_recipes(),
            "sanitizer": self.base.sanitizer,
            "ABIs": self.abi.directory,
        }

    def arguments(self, inputs: Inputs) -> Mapping[str, str]:
        """Return the build arguments of the Dockerfile; PLAIN is the interpreter without ThreadSanitizer."""
        return {
            "BUILDER": read_image_tag(inputs["builder"]),
            "RACE_INTERPRETER": read_image_tag(inputs["interpreter"]),
            "COMPILER": " ".join(self.base.sanitizer),
            "PLAIN": self.abi.directory,
        }
