"""What `wheelfarm check --json` prints: stable, versioned; its JSON Schema is docs/check.schema.json."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import JsonValue

from builder.report.documents.findings import LocationPart, make_location_parts
from builder.report.documents.part import CleanLine, CleanText, Part
from builder.report.documents.thread_safety import ExercisedPart, make_exercised_part
from builder.verdicts import Severity

if TYPE_CHECKING:
    from collections.abc import Iterable

    from builder.check.read import CheckedWheel, LoadResult, SkippedLoad, ThreadTrial
    from builder.judge.findings import Finding

SCHEMA_VERSION = 1


class FloorPart(Part):
    """What needs the newest version of a family of symbol versions."""

    version: CleanLine
    """Such as `GLIBC_2.38`."""

    symbol: CleanLine
    """Empty where the object needs the version as a whole, for packed relocations."""

    object: CleanLine
    """Its path in the wheel."""


class CheckedFindingPart(Part):
    """One judged fact."""

    code: str
    """See docs/findings.md."""

    severity: Severity
    title: CleanText
    detail: CleanText

    where: CleanLine
    """The module or file it is about."""

    locations: list[LocationPart]
    """The lines of source code it is about, where they are known."""

    bases: list[str]
    """Where it matters or was seen; empty where that does not depend on the base."""

    remedy: CleanText

    log: CleanLine
    """The log of loading it, relative to the folder that `--logs` names; empty where there is none."""


class LoadedPart(Part):
    """The result of loading it on one base with one interpreter."""

    abi: str
    base: str

    facts: dict[str, JsonValue]
    """Raw facts; builder/jobs/load.py and builder/inside/load/ describe them. Others may be added."""


class NotLoadedPart(Part):
    """A base and an interpreter that it claims to support, where it was not loaded."""

    abi: str
    base: str
    reason: CleanText


class ThreadsPart(Part):
    """What came of putting it under threads."""

    abi: str
    """The free-threaded interpreter; empty where it was not tried."""

    base: str
    """Where it was tried; empty where it was not."""

    exercised: ExercisedPart | None
    """How much of its native code threads called; null without a result."""

    reason: CleanText
    """Why there is no result; empty where there is one."""


class CheckedPart(Part):
    """One wheel."""

    filename: CleanLine

    severity: Severity | None
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

    threads: ThreadsPart | None
    """Null where `--threads` did not ask for it."""


class CheckDocument(Part):
    """The result of `wheelfarm check`."""

    schema_version: Literal[1]

    static: bool
    """Whether the wheels were only read, because `--static` asked for that."""

    wheels: list[CheckedPart]


def make_check_document(checked: Iterable[CheckedWheel], *, static: bool) -> CheckDocument:
    """Return the JSON document of `wheelfarm check` for checked wheels.

    Args:
        checked: the wheels, in the order in which the document lists them.
        static: whether the wheels were only read because `--static` asked for that.
    """
    wheels = [_wheel_part(wheel) for wheel in checked]
    return CheckDocument(schema_version=SCHEMA_VERSION, static=static, wheels=wheels)


def _wheel_part(wheel: CheckedWheel) -> CheckedPart:
    """Return a wheel's part of the document. The facts of a wheel that could not be read are empty."""
    floors: dict[str, FloorPart] = {}
    for family, (version, symbol, path) in wheel.floors.items():
        floors[family] = FloorPart(version=version, symbol=symbol, object=path)

    facts = {} if wheel.facts is None else wheel.facts.to_json()

    return CheckedPart(
        filename=wheel.filename,
        severity=wheel.severity,
        abis=list(wheel.abis),
        bases=list(wheel.bases),
        floors=floors,
        findings=[_finding_part(finding) for finding in wheel.findings],
        facts=facts,
        loaded=[_loaded_part(load) for load in wheel.loaded],
        not_loaded=[_not_loaded_part(load) for load in wheel.not_loaded],
        threads=_threads_part(wheel.threads),
    )


def _loaded_part(load: LoadResult) -> LoadedPart:
    facts = load.facts.model_dump(mode="json", exclude_unset=True)
    return LoadedPart(abi=load.abi, base=load.base, facts=facts)


def _not_loaded_part(load: SkippedLoad) -> NotLoadedPart:
    return NotLoadedPart(abi=load.abi, base=load.base, reason=load.reason)


def _threads_part(trial: ThreadTrial | None) -> ThreadsPart | None:
    if trial is None:
        return None

    exercised = None if trial.coverage is None else make_exercised_part(trial.coverage)
    return ThreadsPart(abi=trial.abi, base=trial.base, exercised=exercised, reason=trial.reason)


def _finding_part(finding: Finding) -> CheckedFindingPart:
    """Return a finding's part of the document. A finding without a remedy of its own gets that of its code."""
    return CheckedFindingPart(
        code=finding.code,
        severity=finding.severity,
        title=finding.kind.title,
        detail=finding.detail,
        where=finding.where,
        locations=make_location_parts(finding),
        bases=list(finding.bases),
        remedy=finding.remedy or finding.kind.remedy,
        log=finding.log,
    )
