"""The image of a base: from a registry, or from the distribution's signed archive."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from builder.config import catalog
from builder.errors import InfrastructureError
from builder.jobs.images import bootstrap
from builder.jobs.images.image import Image, image_facts, image_tag, list_packages
from builder.jobs.job import Result
from builder.store.hashing import digest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from builder.jobs.job import Tools
    from builder.store.evidence import Evidence


@dataclass(frozen=True, kw_only=True, slots=True)
class BaseImage(Image):
    """A plain release of Debian or Ubuntu."""

    base: catalog.Base
    distribution: catalog.Distribution

    @property
    def id(self) -> str:
        return f"image:{self.base.name}"

    @property
    def needs(self) -> tuple[str, ...]:
        return ()

    def settings(self) -> Mapping[str, object]:
        row = self.base.model_dump(exclude={"enabled", "runtime", "sanitizer"})
        return {"base": row, "distribution": self.distribution.model_dump()}

    def key(self, inputs: Mapping[str, Evidence]) -> str:  # noqa: ARG002 - a base stands on nothing
        return digest("base", *self.settings().values())

    def run(self, inputs: Mapping[str, Evidence], tools: Tools) -> Result:
        tag = image_tag(self.base.name, self.key(inputs))
        if tools.engine.image_labels(tag) is None:
            self._pull_or_bootstrap(tag, tools)
        return image_facts(tag, digest("base", list_packages(tag, tools)), tools)

    def _pull_or_bootstrap(self, tag: str, tools: Tools) -> None:
        """Take the base from the registry or, where none answers, from the distribution's archive."""
        tools.say(f"asking the container registry for {self.base.registry}")
        try:
            tools.engine.pull(self.base.registry, tag)
        except InfrastructureError as no_registry:
            tools.say(f"no registry: bootstrapping {self.base.suite} from its signed archive")
            try:
                self._bootstrap(tag, tools)
            except InfrastructureError as no_archive:
                reason = f"base {self.base.name} could not be had: {no_archive}; {no_registry}"
                raise InfrastructureError(reason, code="WF901") from None

    def _bootstrap(self, tag: str, tools: Tools) -> None:
        with tools.store.scratch_folder() as scratch:
            root = scratch / "root.tar"
            bootstrap.make_root(
                self.base, self.distribution, root, log=tools.log, stop=tools.stop, say=tools.say
            )
            tools.engine.import_root(root, tag)
