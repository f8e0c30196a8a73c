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
    """Some interpreters, compiled once, under /opt/python; other images copy them from it.

    Attributes:
        base: name of the base they are compiled on.
        interpreters: what is compiled.
        releases: the releases of CPython, by version.
        packages: system packages that compiling them needs beside what every interpreter does.
        id: of the job.
    """

    base: str
    interpreters: tuple[catalog.Interpreter, ...]
    releases: Mapping[str, catalog.Release]
    packages: tuple[str, ...] = ()
    id: JobId = INTERPRETERS

    recipe: ClassVar[str] = "interpreters"
    files: ClassVar[tuple[str, ...]] = ("build-interpreter.sh",)
    counts_packages: ClassVar[bool] = False

    @property
    def title(self) -> str:
        return f"the image {self.id.name}"

    @cached_property
    def needs(self) -> Needs:
        return {"base": base_image_id(self.base)}

    def settings(self) -> Mapping[str, object]:
        interpreters = [
            (
                interpreter.directory,
                interpreter.configure,
                self.releases[interpreter.release].sha256,
            )
            for interpreter in self.interpreters
        ]
        settings: dict[str, object] = {"interpreter": interpreters, "recipe": self.read_recipes()}
        if self.packages:
            settings["apt list"] = self.packages
        return settings

    def arguments(self, inputs: Inputs) -> Mapping[str, str]:
        lines: list[str] = []
        for interpreter in self.interpreters:
            words = (interpreter.release, interpreter.directory, *interpreter.configure)
            lines.append(" ".join(words))

        return {
            "BASE": read_image_tag(inputs["base"]),
            "INTERPRETERS": "\n".join(lines),
            "PACKAGES": " ".join(self.packages),
        }

    def extra_files(self, tools: Tools) -> Mapping[str, bytes | Path]:
        """Return the source of each release, fetched if necessary, by its path in the build context."""
        sources: dict[str, bytes | Path] = {}
        for interpreter in self.interpreters:
            release = self.releases[interpreter.release]
            sources[f"sources/{release.version}.tar.xz"] = cpython.fetch_source(release, tools.say)

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
