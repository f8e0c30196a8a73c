"""Images of compiled interpreters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from builder.config import catalog
from builder.errors import InfrastructureError
from builder.jobs.images import cpython
from builder.jobs.images.image import Image, build_image, image_facts, image_tag, read_recipe
from builder.jobs.job import Result
from builder.store.hashing import digest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from builder.jobs.job import Tools
    from builder.store.evidence import Evidence

INTERPRETERS = "image:interpreters"
RACE_INTERPRETER = "image:race-interpreter"


@dataclass(frozen=True, kw_only=True, slots=True)
class InterpretersImage(Image):
    """Every interpreter, compiled once, under /opt/python."""

    base: str
    abis: tuple[catalog.Abi, ...]
    releases: Mapping[str, catalog.Release]

    @property
    def id(self) -> str:
        return INTERPRETERS

    @property
    def needs(self) -> tuple[str, ...]:
        return (f"image:{self.base}",)

    def settings(self) -> Mapping[str, object]:
        builds = [
            (abi.directory, abi.configure, self.releases[abi.release].sha256) for abi in self.abis
        ]
        return {
            "interpreter": builds,
            "recipe": [read_recipe("interpreters.Dockerfile"), read_recipe("build-interpreter.sh")],
        }

    def key(self, inputs: Mapping[str, Evidence]) -> str:
        return digest(
            "interpreters", *self.settings().values(), inputs[self.needs[0]].facts["content"]
        )

    def run(self, inputs: Mapping[str, Evidence], tools: Tools) -> Result:
        key = self.key(inputs)
        tag = image_tag("interpreters", key)
        if tools.engine.image_labels(tag) is None:
            self._compile(tag, inputs[self.needs[0]].facts["tag"], tools)
        return image_facts(tag, key, tools)

    def _compile(self, tag: str, base_tag: str, tools: Tools) -> None:
        sources = {
            abi.release: cpython.fetch_source(self.releases[abi.release], tools.say)
            for abi in self.abis
        }
        lines = (" ".join((abi.release, abi.directory, *abi.configure)) for abi in self.abis)
        failure = build_image(
            tag,
            "interpreters.Dockerfile",
            ("build-interpreter.sh",),
            {"BASE": base_tag, "INTERPRETERS": "\n".join(lines)},
            tools,
            extra={f"sources/{release}.tar.xz": path for release, path in sources.items()},
        )
        if failure:
            raise InfrastructureError(
                f"the interpreters did not build: {failure} (log: {tools.log})"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class RaceInterpreter(Image):
    """The free-threaded interpreter compiled with ThreadSanitizer."""

    base: catalog.Base
    abi: catalog.Abi
    release: catalog.Release

    @property
    def id(self) -> str:
        return RACE_INTERPRETER

    @property
    def needs(self) -> tuple[str, ...]:
        return (f"image:{self.base.name}",)

    def settings(self) -> Mapping[str, object]:
        built = (self.abi.configure, self.release.sha256, self.base.sanitizer)
        recipes = [
            read_recipe("race-interpreter.Dockerfile"),
            read_recipe("build-race-interpreter.sh"),
        ]
        return {"interpreter": built, "recipe": recipes}

    def key(self, inputs: Mapping[str, Evidence]) -> str:
        return digest(
            "race-interpreter", *self.settings().values(), inputs[self.needs[0]].facts["content"]
        )

    def run(self, inputs: Mapping[str, Evidence], tools: Tools) -> Result:
        key = self.key(inputs)
        tag = image_tag("race-interpreter", key)
        if tools.engine.image_labels(tag) is None:
            arguments = {
                "BASE": inputs[self.needs[0]].facts["tag"],
                "COMPILER": " ".join(self.base.sanitizer),
                "OPTIONS": " ".join(self.abi.configure),
            }
            source = {"source.tar.xz": cpython.fetch_source(self.release, tools.say)}
            recipe = "race-interpreter.Dockerfile"
            if failure := build_image(
                tag, recipe, ("build-race-interpreter.sh",), arguments, tools, extra=source
            ):
                raise InfrastructureError(
                    f"the interpreter with ThreadSanitizer did not build: {failure} (log: {tools.log})"
                )
        return image_facts(tag, key, tools)
