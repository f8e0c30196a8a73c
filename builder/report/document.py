"""verdicts.json: stable, versioned, with a JSON Schema made from these models (docs/verdicts.schema.json)."""

from __future__ import annotations

import datetime
import json
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from builder import __version__
from builder.sources import Source
from builder.store.files import atomic_write

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from builder.config.matrix import Matrix
    from builder.judge.findings import Finding
    from builder.judge.package import JudgedPackage, Judgement
    from builder.judge.speed import Ratio, Speed

SCHEMA_VERSION = 1
_RARITY = 100


class Part(BaseModel):
    """A part of a document: unknown keys are a mistake."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class LocationPart(Part):
    """A line of source code."""

    path: str
    """In the sdist or as installed; of an extension module where only that is known."""
    line: int | None
    """From 1; null where it is not known."""
    function: str
    """Empty where it is not known."""


class FindingPart(Part):
    """One judged fact."""

    id: str
    """Stays the same from run to run."""
    code: str
    """See docs/findings.md."""
    severity: Literal["info", "warning", "error"]
    title: str
    detail: str
    where: str
    """The module, file, functions or stage it is about."""
    locations: list[LocationPart] = []
    """The lines of source code it is about, where they are known: of a race, both accesses."""
    bases: list[str]
    """Where it was seen."""
    remedy: str
    log: str
    """The job's log, relative to this file; empty where there is none."""
    replay: str
    """A command that reproduces it."""


class WheelPart(Part):
    """A wheel the farm made."""

    filename: str
    base: str
    """What it was built on."""
    sha256: str
    floor: str
    """The oldest platform it claims, such as `manylinux_2_17`."""
    log: str
    """The log of its build, relative to this file."""


class ExercisedPart(Part):
    """How much native code was put under threads."""

    native_callables: int
    called_alone: int
    """Those that could be called at all."""
    under_threads: int
    pairs: int
    """Pairs of operations that threads tried on one object."""
    missed: float
    """How likely one trial misses a race that shows in one of 100 calls made side by side."""
    race_detector: bool


class RatioPart(Part):
    """Of the ratios of several calls."""

    low: float
    median: float
    high: float


class SpeedPart(Part):
    """How fast its native calls are, measured with objects of each thread's own."""

    calls: int
    """How many were measured."""
    tried: int
    """How many were meant to be."""
    cpus: int
    """How many CPUs they could use."""
    baseline: str
    """The ABI whose throughput on one thread counts as 1."""
    throughput: dict[str, dict[str, RatioPart]]
    """By ABI and number of threads; empty where it cannot be said."""
    machine: dict[str, float]
    """What threads of pure Python reached without the GIL meanwhile, by their number; one counts as 1."""
    cost: RatioPart | None
    """CPU time of a call on one thread without the GIL, by that with it."""
    plain_cost: float | None
    """The same for a loop of pure Python."""
    why: str
    """What is not said, and why; empty where all is."""


class AbiPart(Part):
    """The verdict for one ABI."""

    verdict: Literal[
        "compatible", "unproven", "gil-required", "racy", "thread-unsafe", "abi-mismatch", "import-failure",
        "build-failure", "undetermined",
    ]  # fmt: skip
    reason: str
    """One sentence for a person."""
    wheels: list[WheelPart]
    loaded_on: list[str]
    """Bases it was imported on."""
    on: dict[str, Literal["imports", "fails", "not-claimed", "no-wheel", "undetermined"]] = {}
    """What importing its wheels showed, by base; empty where nothing native was to be imported."""
    exercised: ExercisedPart
    findings: list[FindingPart]


class SourcePart(Part):
    """What it was built from."""

    kind: Literal["index", "local", "none"]
    filename: str
    sha256: str
    needed_by: str
    """The package for whose sake it was built, where the matrix does not name it."""


class PackagePart(Part):
    """One package."""

    name: str
    version: str
    source: SourcePart
    abis: dict[str, AbiPart]
    speed: SpeedPart | None = None
    """Measured at the efforts `standard` and `deep`."""


class FarmPart(Part):
    """What made this file."""

    version: str
    bases: list[str]
    build_on: list[str]


class Document(Part):
    """The verdicts of a run."""

    schema_version: Literal[1]
    generated_at: str
    """UTC, ISO 8601."""
    farm: FarmPart
    packages: list[PackagePart]


def make_document(judged: Iterable[JudgedPackage], matrix: Matrix) -> Document:
    """Put verdicts into the document's form."""
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    farm = FarmPart(version=__version__, bases=list(matrix.bases), build_on=list(matrix.build_on))
    return Document(
        schema_version=SCHEMA_VERSION,
        generated_at=now,
        farm=farm,
        packages=[_package_part(package) for package in judged],
    )


def write(judged: Sequence[JudgedPackage], matrix: Matrix, wheelhouse: Path) -> Document:
    """Write verdicts.json, which is replaced whole, and return what it says."""
    made = make_document(judged, matrix)
    with atomic_write(wheelhouse / "verdicts.json") as aside:
        aside.write_text(made.model_dump_json(indent=1) + "\n")
    return made


def read(wheelhouse: Path) -> Document | None:
    """Return the verdicts of the last whole run, or None where there was none or another version wrote them."""
    try:
        return Document.model_validate_json((wheelhouse / "verdicts.json").read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def schema() -> str:
    """Return the JSON Schema of verdicts.json."""
    return schema_of(Document)


def schema_of(model: type[Part]) -> str:
    """Return the JSON Schema of a document as text."""
    described: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **model.model_json_schema(),
    }
    return json.dumps(described, indent=1) + "\n"


def _package_part(package: JudgedPackage) -> PackagePart:
    return PackagePart(
        name=package.name,
        version=package.version,
        source=_source_part(package),
        abis={abi: _abi_part(judgement) for abi, judgement in package.abis.items()},
        speed=None if package.speed is None else _speed_part(package.speed),
    )


def _source_part(package: JudgedPackage) -> SourcePart:
    source = package.source
    if not isinstance(source, Source):
        return SourcePart(kind="none", filename="", sha256="", needed_by="")
    return SourcePart(
        kind=source.kind, filename=source.filename, sha256=source.sha256, needed_by=source.needed_by
    )


def _abi_part(judgement: Judgement) -> AbiPart:
    return AbiPart(
        verdict=judgement.verdict.value,
        reason=judgement.reason,
        wheels=[
            WheelPart(
                filename=wheel.filename,
                base=wheel.base,
                sha256=wheel.sha256,
                floor=wheel.floor,
                log=wheel.log,
            )
            for wheel in judgement.wheels
        ],
        loaded_on=list(judgement.loaded_on),
        on={base: outcome.value for base, outcome in judgement.base_outcomes.items()},
        exercised=ExercisedPart(
            native_callables=judgement.coverage.callables,
            called_alone=judgement.coverage.alone,
            under_threads=judgement.coverage.under_threads,
            pairs=judgement.coverage.pairs,
            missed=round(judgement.coverage.miss_probability(_RARITY), 4),
            race_detector=judgement.coverage.detector,
        ),
        findings=[_finding_part(finding) for finding in judgement.findings],
    )


def _speed_part(speed: Speed) -> SpeedPart:
    return SpeedPart(
        calls=speed.calls,
        tried=speed.tried,
        cpus=speed.cpus,
        baseline=speed.baseline,
        throughput={
            abi: {str(threads): _ratio_part(ratio) for threads, ratio in ratios.items()}
            for abi, ratios in speed.throughput.items()
        },
        machine={str(threads): ratio for threads, ratio in speed.machine.items()},
        cost=None if speed.cost is None else _ratio_part(speed.cost),
        plain_cost=speed.plain_cost,
        why=speed.why,
    )


def _ratio_part(ratio: Ratio) -> RatioPart:
    return RatioPart(low=ratio.low, median=ratio.median, high=ratio.high)


def location_parts(finding: Finding) -> list[LocationPart]:
    """Return where a finding is, in a document's form."""
    return [
        LocationPart(path=location.path, line=location.line, function=location.function)
        for location in finding.locations
    ]


def _finding_part(finding: Finding) -> FindingPart:
    replay = f"wheelfarm run --only {finding.package} --again"
    if finding.script:
        replay = f"wheelfarm replay {finding.id}"

    return FindingPart(
        id=finding.id,
        code=finding.code,
        severity=finding.kind.severity.value,
        title=finding.kind.title,
        detail=finding.detail,
        where=finding.where,
        locations=location_parts(finding),
        bases=list(finding.bases),
        remedy=finding.remedy or finding.kind.remedy,
        log=finding.log,
        replay=replay,
    )
