"""The image races are looked for in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from builder.config import catalog
from builder.errors import InfrastructureError
from builder.jobs.images.image import (
    Image,
    build_image,
    image_facts,
    image_tag,
    list_packages,
    read_recipe,
)
from builder.jobs.images.interpreters import RACE_INTERPRETER
from builder.jobs.job import Result
from builder.store.hashing import digest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from builder.jobs.job import Tools
    from builder.store.evidence import Evidence

_RACE_FILES = ("race-tree.sh", "canary.c")


@dataclass(frozen=True, kw_only=True, slots=True)
class RaceImage(Image):
    """A builder with the sanitizer's compiler and interpreter, and the canaries every search for races begins with."""

    base: catalog.Base
    abi: catalog.Abi

    @property
    def id(self) -> str:
        return f"image:race-{self.base.name}"

    @property
    def needs(self) -> tuple[str, ...]:
        return (f"image:builder-{self.base.name}", RACE_INTERPRETER)

    def settings(self) -> Mapping[str, object]:
        recipes = [read_recipe(name) for name in ("race.Dockerfile", *_RACE_FILES)]
        return {"recipe": recipes, "sanitizer": self.base.sanitizer, "ABIs": self.abi.directory}

    def key(self, inputs: Mapping[str, Evidence]) -> str:
        return digest(
            "race",
            *self.settings().values(),
            [inputs[need].facts["content"] for need in self.needs],
        )

    def run(self, inputs: Mapping[str, Evidence], tools: Tools) -> Result:
        key = self.key(inputs)
        tag = image_tag(f"race-{self.base.name}", key)
        if tools.engine.image_labels(tag) is None:
            builder, interpreter = (inputs[need].facts["tag"] for need in self.needs)
            arguments = {
                "BUILDER": builder,
                "RACE_INTERPRETER": interpreter,
                "COMPILER": " ".join(self.base.sanitizer),
                "PLAIN": self.abi.directory,
            }
            if failure := build_image(tag, "race.Dockerfile", _RACE_FILES, arguments, tools):
                raise InfrastructureError(
                    f"the race detector's image did not build: {failure} (log: {tools.log})"
                )
        return image_facts(tag, digest(key, list_packages(tag, tools)), tools)
