"""What `wheelfarm check --json` prints: stable, versioned; its JSON Schema is docs/check.schema.json."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import JsonValue

from builder.report.document import LocationPart, Part, location_parts, schema_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from builder.check.read import CheckedWheel
    from builder.judge.findings import Finding

SCHEMA_VERSION = 1


class FloorPart(Part):
    """What needs the newest version of a family of symbol versions."""

    version: str
    """Such as `GLIBC_2.38`."""
    symbol: str
    """Empty where the object needs the version as a whole, for packed relocations."""
    object: str
    """Its path in the wheel."""


class CheckedFindingPart(Part):
    """One judged fact."""

    code: str
    """See docs/findings.md."""
    severity: Literal["info", "warning", "error"]
    title: str
    detail: str
    where: str
    """The module or file it is about."""
    locations: list[LocationPart]
    """The lines of source code it is about, where they are known."""
    bases: list[str]
    """Where it matters or was seen; empty where that does not depend on the base."""
    remedy: str
    log: str
    """The log of loading it, relative to the folder that `--logs` names; empty where there is none."""


class LoadedPart(Part):
    """What loading it on one base with one interpreter showed."""

    abi: str
    base: str
    facts: dict[str, JsonValue]
    """Raw facts; builder/jobs/load.py and builder/inside/load/ describe them. Others may be added."""


class NotLoadedPart(Part):
    """Where it claims to run and was not loaded."""

    abi: str
    base: str
    reason: str


class CheckedPart(Part):
    """One wheel."""

    filename: str
    severity: Literal["info", "warning", "error"] | None
    """Of the worst finding; null where there is none."""
    abis: list[str]
    """The interpreters of the farm that would take it."""
    bases: list[str]
    """The bases it claims to run on."""
    floors: dict[str, FloorPart]
    """By family of symbol versions, such as `GLIBC` or `GLIBCXX`."""
    findings: list[CheckedFindingPart]
    """The worst first."""
    facts: dict[str, JsonValue]
    """Raw facts of the file; builder/inside/audit/ describes them. More may be added. Empty where there are none."""
    loaded: list[LoadedPart]
    not_loaded: list[NotLoadedPart]


class CheckDocument(Part):
    """What `check` found."""

    schema_version: Literal[1]
    static: bool
    """Whether the wheels were only read, because `--static` asked for that."""
    wheels: list[CheckedPart]


def make_check_document(checked: Iterable[CheckedWheel], *, static: bool) -> CheckDocument:
    """Put what was found into the document's form."""
    return CheckDocument(
        schema_version=SCHEMA_VERSION, static=static, wheels=[_wheel_part(one) for one in checked]
    )


def schema() -> str:
    """Return the JSON Schema of the document."""
    return schema_of(CheckDocument)


def _wheel_part(one: CheckedWheel) -> CheckedPart:
    return CheckedPart(
        filename=one.filename,
        severity=None if one.severity is None else one.severity.value,
        abis=list(one.abis),
        bases=list(one.bases),
        floors={
            family: FloorPart(version=version, symbol=symbol, object=path)
            for family, (version, symbol, path) in one.floors.items()
        },
        findings=[_finding_part(finding) for finding in one.findings],
        facts=dict(one.facts),
        loaded=[
            LoadedPart(abi=place.abi, base=place.base, facts=dict(place.facts))
            for place in one.loaded
        ],
        not_loaded=[
            NotLoadedPart(abi=place.abi, base=place.base, reason=place.reason)
            for place in one.not_loaded
        ],
    )


def _finding_part(finding: Finding) -> CheckedFindingPart:
    return CheckedFindingPart(
        code=finding.code,
        severity=finding.kind.severity.value,
        title=finding.kind.title,
        detail=finding.detail,
        where=finding.where,
        locations=location_parts(finding),
        bases=list(finding.bases),
        remedy=finding.remedy or finding.kind.remedy,
        log=finding.log,
    )
