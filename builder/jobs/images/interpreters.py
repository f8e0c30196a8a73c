"""Images of compiled interpreters."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from builder.config import catalog
from builder.evidence.image import read_image_tag
from builder.jobs.images import cpython
from builder.jobs.images.ids import INTERPRETERS, RACE_INTERPRETER, base_image_id
from builder.jobs.images.image import BuiltImage

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from builder.jobs.job import Inputs, Needs, Tools
    from builder.store.job_ids import JobId


@dataclass(frozen=True, kw_only=True)
class InterpretersImage(BuiltImage):
    """All interpreters, compiled once, under /opt/python; other images copy them from it.

    Attributes:
        base: name of the base they are compiled on.
        abis: the ABIs, each of which stands for one interpreter.
        releases: the releases of CPython, by version.
    """

    base: str
    abis: tuple[catalog.Abi, ...]
    releases: Mapping[str, catalog.Release]

    recipe: ClassVar[str] = "interpreters"
    files: ClassVar[tuple[str, ...]] = ("build-interpreter.sh",)
    counts_packages: ClassVar[bool] = False

    @cached_property
    def id(self) -> JobId:
        return INTERPRETERS

    @property
    def title(self) -> str:
        return "the interpreters"

    @cached_property
    def needs(self) -> Needs:
        return {"base": base_image_id(self.base)}

    def settings(self) -> Mapping[str, object]:
        interpreters = [
            (abi.directory, abi.configure, self.releases[abi.release].sha256) for abi in self.abis
        ]
        return {"interpreter": interpreters, "recipe": self.read_recipes()}

    def arguments(self, inputs: Inputs) -> Mapping[str, str]:
        lines = [" ".join((abi.release, abi.directory, *abi.configure)) for abi in self.abis]

        return {"BASE": read_image_tag(inputs["base"]), "INTERPRETERS": "\n".join(lines)}

    def extra_files(self, tools: Tools) -> Mapping[str, bytes | Path]:
        """Return the source of each release, fetched if necessary, by its path in the build context."""
        sources: dict[str, bytes | Path] = {}
        for abi in self.abis:
            release = self.releases[abi.release]
            sources[f"sources/{abi.release}.tar.xz"] = cpython.fetch_source(release, tools.say)

        return sources


@dataclass(frozen=True, kw_only=True)
class RaceInterpreter(BuiltImage):
    """The free-threaded interpreter compiled with ThreadSanitizer, which it tells what memory it frees."""

    base: catalog.Base
    abi: catalog.Abi
    release: catalog.Release

    recipe: ClassVar[str] = "race-interpreter"
    files: ClassVar[tuple[str, ...]] = ("build-race-interpreter.sh", "freed-memory.patch")
    counts_packages: ClassVar[bool] = False

    @cached_property
    def id(self) -> JobId:
        return RACE_INTERPRETER

    @property
    def title(self) -> str:
        return "the interpreter with ThreadSanitizer"

    @cached_property
    def needs(self) -> Needs:
        return {"base": base_image_id(self.base.name)}

    def settings(self) -> Mapping[str, object]:
        interpreter = (self.abi.configure, self.release.sha256, self.base.sanitizer)

        return {"interpreter": interpreter, "recipe": self.read_recipes()}

    def arguments(self, inputs: Inputs) -> Mapping[str, str]:
        return {
            "BASE": read_image_tag(inputs["base"]),
            "COMPILER": " ".join(self.base.sanitizer),
            "OPTIONS": " ".join(self.abi.configure),
        }

    def extra_files(self, tools: Tools) -> Mapping[str, bytes | Path]:
        return {"source.tar.xz": cpython.fetch_source(self.release, tools.say)}
