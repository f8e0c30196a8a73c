"""The images that build wheels and that load them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from builder import host
from builder.config import catalog
from builder.errors import InfrastructureError
from builder.jobs.images.image import (
    CA_LABEL,
    Image,
    build_image,
    ca_digest,
    image_facts,
    image_tag,
    list_packages,
    read_recipe,
)
from builder.jobs.images.interpreters import INTERPRETERS
from builder.jobs.job import Result
from builder.store.hashing import digest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from builder.engine.client import Engine
    from builder.jobs.job import Tools
    from builder.store.evidence import Evidence


@dataclass(frozen=True, kw_only=True, slots=True)
class PythonImage(Image):
    """A base with the interpreters: the builder (`role` builder) or the verification image (`role` verify)."""

    role: str
    base: catalog.Base

    @property
    def id(self) -> str:
        return f"image:{self.role}-{self.base.name}"

    @property
    def needs(self) -> tuple[str, ...]:
        return (f"image:{self.base.name}", INTERPRETERS)

    @property
    def _files(self) -> tuple[str, ...]:
        shared = ("limits.sh", f"{self.role}-tools.txt")
        return (*shared, "install-tools.sh", "compiler.sh") if self.role == "builder" else shared

    def settings(self) -> Mapping[str, object]:
        recipes = [read_recipe(name) for name in (f"{self.role}.Dockerfile", *self._files)]
        return {"recipe": recipes, "runtime packages": self.base.runtime}

    def key(self, inputs: Mapping[str, Evidence]) -> str:
        return digest(
            self.role,
            *self.settings().values(),
            [inputs[need].facts["content"] for need in self.needs],
        )

    def is_present(self, evidence: Evidence, engine: Engine) -> bool:
        labels = engine.image_labels(evidence.facts["tag"])
        return labels is not None and labels.get(CA_LABEL) == ca_digest()

    def run(self, inputs: Mapping[str, Evidence], tools: Tools) -> Result:
        key = self.key(inputs)
        tag = image_tag(f"{self.role}-{self.base.name}", key)
        labels = tools.engine.image_labels(tag)
        if labels is None or labels.get(CA_LABEL) != ca_digest():
            self._assemble(tag, inputs, tools)
        return image_facts(tag, digest(key, list_packages(tag, tools)), tools)

    def _assemble(self, tag: str, inputs: Mapping[str, Evidence], tools: Tools) -> None:
        base, interpreters = (inputs[need].facts["tag"] for need in self.needs)
        arguments = {
            "BASE": base,
            "INTERPRETERS_IMAGE": interpreters,
            "RUNTIME": " ".join(self.base.runtime),
            "HOST_ENVIRONMENT": host.container_assignments(),
        }
        bundle = {"ca-certificates.crt": host.ca_bundle()}
        if failure := build_image(
            tag, f"{self.role}.Dockerfile", self._files, arguments, tools, extra=bundle
        ):
            raise InfrastructureError(
                f"the {self.role} image of {self.base.name} did not build: {failure} (log: {tools.log})"
            )
