"""Ids of jobs: what names a job in a plan, in the ledger, in documents and in paths of logs."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class JobKind(StrEnum):
    """What a job does; the first part of its id."""

    IMAGE = "image"
    BUILD = "build"
    AUDIT = "audit"
    LOAD = "load"
    REMEDY = "remedy"
    RACE = "race"
    EXERCISE = "exercise"
    SPEED = "speed"
    APPLICATION = "application"
    MEASUREMENT = "measurement"


class JobId(NamedTuple):
    """The id of a job, unique in a plan.

    Its text is `KIND:NAME`, `KIND:NAME@BASE` or `KIND:NAME@BASE/LOADED_ON`, such as `build:lxml@debian-12`. A named
    tuple, and not a dataclass, because plans of ten thousand packages hash several ids a job: it takes a third of the
    time.

    Attributes:
        kind: a `JobKind`, or what another version of the farm recorded.
        name: the package; of a job that makes an image, the image; of an application, its name in the matrix.
        base: the base that the package is built on, or an application is measured on; of one that is tried, the ABI;
            empty for an image.
        loaded_on: of a load job and of an application, the base that the wheels are loaded on; of a measurement of what
            waits in a channel, the channel; empty otherwise.
    """

    kind: str
    name: str
    base: str = ""
    loaded_on: str = ""

    @classmethod
    def parse(cls, text: str) -> JobId:
        """Read the text of an id: `build:lxml@debian-12` -> `JobId("build", "lxml", "debian-12")`.

        Raises:
            ValueError: it has no kind or no name.
        """
        kind, _, subject = text.partition(":")
        name, _, bases = subject.partition("@")
        base, _, loaded_on = bases.partition("/")

        if not kind or not name:
            raise ValueError(f"expected KIND:NAME or KIND:NAME@BASE, not {text!r}")
        return cls(kind, name, base, loaded_on)

    @property
    def bases(self) -> str:
        """The part after the `@`: the base, and the one it is loaded on."""
        return f"{self.base}/{self.loaded_on}" if self.loaded_on else self.base

    @property
    def filename(self) -> str:
        """What files about the job are called, without an extension: `lxml@debian-12`.

        They lie in a folder named after the kind.
        """
        return f"{self.name}@{self.bases.replace('/', '_')}" if self.base else self.name

    def __str__(self) -> str:
        """Return the text that `parse` reads: `load:lxml@debian-12/ubuntu-24.04`."""
        text = f"{self.kind}:{self.name}"
        if self.base:
            text += f"@{self.base}"
        if self.loaded_on:
            text += f"/{self.loaded_on}"

        return text
