"""Packages, each with its wheels and its verdict for each ABI, as verdicts.json has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from builder.judge.bases import BaseOutcome
from builder.report.documents.findings import FindingPart, make_finding_part
from builder.report.documents.part import CleanLine, CleanText, Part
from builder.report.documents.speed import SpeedPart, make_speed_part
from builder.report.documents.thread_safety import (
    ExercisedPart,
    ThreadSafetyPart,
    make_exercised_part,
    make_safety_part,
)
from builder.sources import Source
from builder.verdicts import Verdict

if TYPE_CHECKING:
    from builder.judge.package import JudgedPackage, Judgement, Wheel


class WheelPart(Part):
    """A wheel that was built, or taken from upstream."""

    filename: CleanLine

    origin: Literal["built", "upstream"] = "built"
    """Whether the farm built it, or it is upstream's own, byte for byte."""

    rust: CleanLine = ""
    """The Rust it was built with, where that is not the base's own: `1.90.0`. The evidence has its files by sha256."""

    base: CleanLine
    """The base it was built on, or that upstream's stands for a build on."""

    sha256: str

    floor: CleanLine
    """The oldest platform it claims, such as `manylinux_2_17`."""

    log: CleanLine
    """The log of its build, relative to this file."""


class AbiPart(Part):
    """The verdict for one ABI."""

    verdict: Verdict

    reason: CleanText
    """One sentence for a person."""

    wheels: list[WheelPart]

    loaded_on: list[str]
    """Bases it was imported on."""

    on: dict[str, BaseOutcome] = Field(default={})
    """Result of importing its wheels, by base; empty where there is no native module to import."""

    exercised: ExercisedPart

    thread_safety: ThreadSafetyPart | None = None
    """Null on an ABI with the GIL, where nothing is native or there is no wheel, and in older documents."""

    findings: list[FindingPart]


class SourcePart(Part):
    """What its wheels are made of."""

    kind: Literal["index", "local", "none"]

    filename: CleanLine
    """Of the sdist; empty where the release has none."""

    sha256: str
    """Of the sdist."""

    take_from: Literal["sdist", "wheel", "either"] = "sdist"
    """What was asked for: to build, to take upstream's wheels, or these where the build fails."""

    needed_by: CleanLine
    """The package that requires it, where the matrix does not name it."""


class PackagePart(Part):
    """One package."""

    name: CleanLine
    """As the matrix names it: `numpy`, or `numpy==2.3.4` where it has several versions."""

    project: CleanLine = ""
    """As the index names it: `numpy`. Empty in documents of older versions."""

    version: CleanLine
    source: SourcePart
    abis: dict[str, AbiPart]

    speed: SpeedPart | None = None
    """Measured at the efforts `standard` and `deep`."""

    @property
    def title(self) -> str:
        """Project and version, for a heading: `numpy 2.3.4`."""
        return f"{self.project or self.name} {self.version}".strip()


def make_package_part(package: JudgedPackage) -> PackagePart:
    """Return a package's part of verdicts.json; it has no speed if that was not measured."""
    speed = None if package.speed is None else make_speed_part(package.speed)
    abis = {abi: make_abi_part(judgement) for abi, judgement in package.abis.items()}

    return PackagePart(
        name=package.name,
        project=package.project,
        version=package.version,
        source=_source_part(package),
        abis=abis,
        speed=speed,
    )


def _source_part(package: JudgedPackage) -> SourcePart:
    """Return where a package's sdist came from; of kind "none" if no source could be used."""
    source = package.source
    if not isinstance(source, Source):
        return SourcePart(kind="none", filename="", sha256="", needed_by="")

    return SourcePart(
        kind=source.kind,
        filename=source.filename,
        sha256=source.sha256,
        take_from=source.take_from,
        needed_by=source.needed_by,
    )


def make_abi_part(judgement: Judgement) -> AbiPart:
    """Return the verdict for one ABI, with its wheels, findings and the outcome on each base."""
    findings = [make_finding_part(finding) for finding in judgement.findings]

    return AbiPart(
        verdict=judgement.verdict,
        reason=judgement.reason,
        wheels=[_wheel_part(wheel) for wheel in judgement.wheels],
        loaded_on=list(judgement.loaded_on),
        on=dict(judgement.base_outcomes),
        exercised=make_exercised_part(judgement.coverage),
        thread_safety=None if judgement.safety is None else make_safety_part(judgement.safety),
        findings=findings,
    )


def _wheel_part(wheel: Wheel) -> WheelPart:
    """Return a wheel's part of verdicts.json."""
    return WheelPart(
        filename=wheel.filename,
        origin=wheel.origin,
        rust=wheel.rust,
        base=wheel.base,
        sha256=wheel.sha256,
        floor=wheel.floor,
        log=wheel.log,
    )
