"""The image of a base: from a registry, or from the distribution's signed archive."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from builder.config import catalog
from builder.errors import CannotTellError
from builder.jobs.images import bootstrap
from builder.jobs.images.image import Image, facts, installed_packages, tag_of
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
        tag = tag_of(self.base.name, self.key(inputs))
        if tools.engine.image_labels(tag) is None:
            self._obtain(tag, tools)
        return facts(tag, digest("base", installed_packages(tag, tools)), tools)

    def _obtain(self, tag: str, tools: Tools) -> None:
        """Take the base from the registry or, where none answers, from the distribution's archive."""
        tools.say(f"asking the container registry for {self.base.registry}")
        try:
            tools.engine.pull(self.base.registry, tag)
        except CannotTellError as no_registry:
            tools.say(f"no registry: bootstrapping {self.base.suite} from its signed archive")
            try:
                self._bootstrap(tag, tools)
            except CannotTellError as no_archive:
                reason = f"base {self.base.name} could not be had: {no_archive}; {no_registry}"
                raise CannotTellError(reason, code="WF901") from None

    def _bootstrap(self, tag: str, tools: Tools) -> None:
        with tools.store.scratch() as scratch:
            root = scratch / "root.tar"
            bootstrap.make_root(
                self.base, self.distribution, root, log=tools.log, stop=tools.stop, say=tools.say
            )
            tools.engine.import_root(root, tag)
