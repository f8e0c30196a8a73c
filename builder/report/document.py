"""verdicts.json: stable, versioned, with a JSON Schema made from these models (docs/verdicts.schema.json)."""

from __future__ import annotations

import datetime
import json
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from builder import __version__
from builder.judge.bases import BaseOutcome
from builder.judge.threads.headlines import describe_fault
from builder.sources import Source
from builder.store.files import atomic_write
from builder.untrusted.text import clean_line, clean_text
from builder.verdicts import ApplicationVerdict, Severity, Verdict
from builder.verdicts.levels import Consequence, Level, Need

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from builder.config.matrix import Matrix
    from builder.judge.application import JudgedApplication, Risk
    from builder.judge.findings import Finding
    from builder.judge.package import JudgedPackage, Judgement, Wheel
    from builder.judge.speed import Ratio, Speed
    from builder.judge.threads.coverage import ThreadCoverage
    from builder.judge.threads.safety import ThreadSafety
    from builder.judge.threads.statements import UpstreamWords

SCHEMA_VERSION = 1

_RARITY = 100
"""`ExercisedPart.missed` is about a race that shows in one of so many concurrent calls: a round number, for people."""

_MAX_NOT_TRIED = 100
"""Names of callables that threads did not call: enough to see what kind is missing."""

_MISSED_DIGITS = 4
"""Decimal places of a probability: more would claim an accuracy that the estimate does not have."""


CleanText = Annotated[str, AfterValidator(clean_text)]
"""A text that may quote what came from outside: an index, a package, an exception. Every report is made of these."""

CleanLine = Annotated[str, AfterValidator(clean_line)]
"""The same of what is shown in one line, such as a name."""


class Part(BaseModel):
    """A part of a document: unknown keys are an error."""

    # A command builds the models of its own document alone: there are dozens, and each takes milliseconds.
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True, defer_build=True)


class LocationPart(Part):
    """A line of source code."""

    path: CleanLine
    """In the sdist or as installed; of an extension module where only that is known."""

    line: int | None
    """From 1; null where it is not known."""

    function: CleanLine
    """Empty where it is not known."""


class TrialPart(Part):
    """How often a fault showed in one variant of the program that shows it."""

    how: str
    """What the variant is: `with nothing shared`."""

    shown: int
    ran: int


class FindingPart(Part):
    """One judged fact."""

    id: str
    """Stays the same from run to run."""

    code: str
    """See docs/findings.md."""

    severity: Severity
    title: CleanText
    detail: CleanText

    where: CleanLine
    """The module, file, functions or stage it is about."""

    needs: Need | None = None
    """What threads have to share for it to show; null where it is no fault under threads."""

    headline: CleanText = ""
    """When a fault under threads shows and what happens then, for someone who knows no C; empty for any other."""

    consequence: Consequence | None = None
    """What a fault under threads does; null where it is none."""

    calls: CleanText = ""
    """The calls that show a fault under threads, in words, as Markdown; empty for any other."""

    seen: CleanText = ""
    """A wrong result that was met, beside the right one; empty where there was none."""

    trials: list[TrialPart] = []
    """How often a fault under threads showed, as it was found and with less shared; empty where that was not tried."""

    program: CleanText = ""
    """A program of a few lines with the same calls, to be read; empty where there is none."""

    locations: list[LocationPart] = []
    """The lines of source code it is about, where they are known: of a race, both accesses."""

    also: list[CleanLine] = []
    """Of one cause that shows at several places, the names these would have as findings of their own."""

    bases: list[str]
    """Where it was seen."""

    remedy: CleanText

    log: CleanLine
    """The job's log, relative to this file; empty where there is none."""

    replay: CleanLine
    """A command that reproduces it."""


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


class PlayedPart(Part):
    """How many scenarios of a kind there are, and how many were played to their end."""

    planned: int
    """How many there are."""

    played: int
    """How many were played to their end."""


class ExercisedPart(Part):
    """How much native code was exercised under threads."""

    native_callables: int

    called_alone: int
    """How many of them could be called at all."""

    under_threads: int

    pairs: int
    """Pairs of operations that threads ran on one object."""

    missed: float
    """Probability that one trial misses a race that shows in one of 100 concurrent calls."""

    race_detector: bool

    scenarios: dict[CleanLine, PlayedPart] = Field(default_factory=dict)
    """Of each kind of scenario, how many there are, and how many the race detector watched to their end."""

    amplified: int = 0
    """Native calls of own tests and examples that threads of a forked process made as well."""


class CallablePart(Part):
    """How safe a native callable is, or a type where a fault is only known to be of that."""

    name: CleanLine
    level: Level

    needs: Need | None
    """What threads have to share for its faults to show; null where none was seen."""

    consequence: Consequence | None
    """The worst that its faults do; null where none was seen."""

    findings: list[str]
    """Ids of the findings about it."""


class QuotePart(Part):
    """A sentence of a project about threads."""

    file: CleanLine
    """Where it stands: a path in the sdist, or `METADATA` of the wheel."""

    line: int | None
    """From 1; null where it is not known."""

    text: CleanLine
    """The sentence, without markup."""

    about: CleanLine = ""
    """The class or function in whose docstring it stands; empty elsewhere."""


class UpstreamPart(Part):
    """What the project says of threads itself."""

    classifier: CleanLine
    """The grade in its trove classifier of free threading, such as `3 - Stable`; `stated` where it has no grade, empty
    where there is no such classifier."""

    meaning: CleanText
    """What that grade means; empty where nothing is known of it."""

    quotes: list[QuotePart]
    """Sentences of its README, documents and docstrings, those that say most first."""

    disagreement: CleanText
    """Where that and what was measured differ, in a sentence; empty where they do not."""


class ThreadSafetyPart(Part):
    """How safe a package is under threads, in CPython's terms (its documentation, "Thread Safety Guarantees")."""

    level: Level
    """`shared`: threads may share its objects; `distinct`: if each thread has objects of its own; `compatible`: if a
    lock is round every call; `incompatible`: not even then; `unknown`: too little was tried, or not settled."""

    sentence: CleanText
    """What that means, for someone who knows no C."""

    callables: list[CallablePart]
    """What is known of each native callable that threads called, the least safe first."""

    not_tried: list[CleanLine]
    """Native callables that threads did not call: the first of them."""

    not_tried_count: int
    """How many these are in all."""

    upstream: UpstreamPart | None = None
    """What the project says of it itself; null where it says nothing."""


class RatioPart(Part):
    """A ratio of several calls: the lowest, the median, the highest."""

    low: float
    median: float
    high: float


class SpeedPart(Part):
    """How fast its native calls are, where each thread has objects of its own."""

    calls: int
    """How many were measured."""

    tried: int
    """How many the farm tried to measure."""

    cpus: int
    """How many CPUs they could use."""

    baseline: str
    """The ABI whose throughput on one thread counts as 1."""

    throughput: dict[str, dict[str, RatioPart]]
    """By ABI and number of threads; empty where it was not measured."""

    machine: dict[str, float]
    """Throughput of pure Python without the GIL on the same machine, by number of threads; one thread counts as 1."""

    cost: RatioPart | None
    """CPU time of a call on one thread without the GIL, by that with it."""

    plain_cost: float | None
    """The same for a loop of pure Python."""

    why: CleanText
    """What was not measured, and why; empty where everything was."""


class AbiPart(Part):
    """The verdict for one ABI."""

    verdict: Verdict

    reason: CleanText
    """One sentence for a person."""

    wheels: list[WheelPart]

    loaded_on: list[str]
    """Bases it was imported on."""

    on: dict[str, BaseOutcome] = {}
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


class BlockerPart(Part):
    """What keeps an application from moving."""

    package: CleanLine
    """The package that does; empty where it is the application itself."""

    version: CleanLine
    """The release that is locked; empty where it is the application itself."""

    what: CleanText

    ways_out: list[CleanText]
    """What helps, the shortest way first."""


class RiskPart(Part):
    """What does not keep an application from moving, and has to be known."""

    package: CleanLine
    """The package that it is about; empty where it is the application itself."""

    what: CleanText

    code: str = ""
    """Of the kind of finding; empty where it has none."""

    remedy: CleanText = ""
    """What to do about it; empty where `what` says all."""


class ApplicationPart(Part):
    """The verdict of an application on one ABI and one base."""

    name: CleanLine
    abi: str
    base: str
    verdict: ApplicationVerdict

    reason: CleanText
    """One sentence for a person."""

    way_out: CleanText
    """The shortest way out; empty where nothing blocks, or no way is known."""

    packages: int
    """How many its lock has."""

    blockers: list[BlockerPart]
    risks: list[RiskPart]

    log: CleanLine
    """The log of the job that tried it, relative to this file; empty where it was not tried."""

    threads: CleanText = ""
    """What came of its native calls in several threads; empty where they were not made so."""

    def explain(self) -> str:
        """Return the reason, and the shortest way out where there is one."""
        return f"{self.reason}. Way out: {self.way_out}" if self.way_out else self.reason


class FarmPart(Part):
    """The farm that wrote this file."""

    version: str
    bases: list[str]
    build_on: list[str]


class ContainmentPart(Part):
    """What held the code of packages on the machine that ran it last."""

    engine: str
    """Version of the container engine."""

    runc: str
    """Version of what starts its containers; empty where it does not say."""

    kernel: str

    cgroup: str
    """Version of the control groups, which limits stand on."""

    user_namespaces: bool
    """Whether root of a container is nobody outside."""

    seccomp: str
    """Hash of the list of system calls; empty where none are filtered."""

    capabilities: dict[str, list[str]]
    """What each kind of container may do beside an ordinary user."""

    weaknesses: list[str]
    """What contains less there than it could, as `wheelfarm doctor` explains it."""


class Document(Part):
    """The verdicts of a run."""

    schema_version: Literal[1]

    generated_at: str
    """UTC, ISO 8601."""

    farm: FarmPart

    containment: ContainmentPart | None = None
    """Null where it is not known: no code of a package was run yet, or the verdicts are of several machines."""

    packages: list[PackagePart]

    applications: list[ApplicationPart] = []
    """What the farm's index has to do for: one for each application, ABI and base."""

    def iter_verdicts(self) -> Iterator[tuple[PackagePart, str, AbiPart]]:
        """Iterate over (package, ABI, verdict with its findings) of every verdict, package by package."""
        for package in self.packages:
            for abi, part in package.abis.items():
                yield package, abi, part

    def list_abis(self) -> list[str]:
        """Return the ABIs that some package has a verdict for, each once."""
        abis = dict.fromkeys(abi for _, abi, _ in self.iter_verdicts())
        return list(abis)

    def list_verdicts(self, abi: str) -> list[Verdict]:
        """Return the verdicts of all packages on an ABI."""
        return [part.verdict for _, name, part in self.iter_verdicts() if name == abi]


def make_document(
    judged: Iterable[JudgedPackage],
    matrix: Matrix,
    containment: Mapping[str, Any] | None = None,
    applications: Iterable[JudgedApplication] = (),
) -> Document:
    """Return the content of verdicts.json for judged packages; the time in it is now.

    Args:
        judged: the packages.
        matrix: what they are from.
        containment: what held them, as `Engine.record_containment` says it; None where that is not known.
        applications: the judged applications.
    """
    now = datetime.datetime.now(datetime.UTC)
    farm = FarmPart(
        version=__version__,
        bases=list(matrix.bases),
        build_on=list(matrix.build_on),
    )

    return Document(
        schema_version=SCHEMA_VERSION,
        generated_at=now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        farm=farm,
        containment=None if containment is None else ContainmentPart.model_validate(containment),
        packages=[_package_part(package) for package in judged],
        applications=[_application_part(application) for application in applications],
    )


def write(
    judged: Sequence[JudgedPackage],
    matrix: Matrix,
    wheelhouse: Path,
    containment: Mapping[str, Any] | None = None,
    applications: Iterable[JudgedApplication] = (),
) -> Document:
    """Replace verdicts.json as a whole, and return its content; for the arguments see `make_document`."""
    document = make_document(judged, matrix, containment, applications)
    text = document.model_dump_json(indent=1) + "\n"
    with atomic_write(wheelhouse / "verdicts.json") as draft:
        draft.write_text(text)

    return document


def read(wheelhouse: Path) -> Document | None:
    """Return the verdicts of the last whole run.

    None means that there was no such run, or that a version of wheelfarm with another format wrote the file.
    """
    try:
        return Document.model_validate_json((wheelhouse / "verdicts.json").read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def schema() -> str:
    """Return the JSON Schema of verdicts.json."""
    return schema_of(Document)


def schema_of(model: type[BaseModel]) -> str:
    """Return the JSON Schema of a document's model, as text."""
    schema_document: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **model.model_json_schema(),
    }
    return json.dumps(schema_document, indent=1) + "\n"


def _package_part(package: JudgedPackage) -> PackagePart:
    """Return a package's part of verdicts.json; it has no speed if that was not measured."""
    speed = None if package.speed is None else _speed_part(package.speed)
    abis = {abi: _abi_part(judgement) for abi, judgement in package.abis.items()}

    return PackagePart(
        name=package.name,
        project=package.project,
        version=package.version,
        source=_source_part(package),
        abis=abis,
        speed=speed,
    )


def _risk_part(risk: Risk) -> RiskPart:
    """Return a risk's part of verdicts.json."""
    return RiskPart(package=risk.package, what=risk.what, code=risk.code or "", remedy=risk.remedy)


def _application_part(application: JudgedApplication) -> ApplicationPart:
    """Return an application's part of verdicts.json, for one ABI and base."""
    blockers = [
        BlockerPart(
            package=blocker.package,
            version=blocker.version,
            what=blocker.what,
            ways_out=list(blocker.ways_out),
        )
        for blocker in application.blockers
    ]

    return ApplicationPart(
        name=application.name,
        abi=application.abi,
        base=application.base,
        verdict=application.verdict,
        reason=application.reason,
        way_out=application.way_out,
        packages=application.packages,
        blockers=blockers,
        risks=[_risk_part(risk) for risk in application.risks],
        log=application.log,
        threads=application.threads,
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


def _abi_part(judgement: Judgement) -> AbiPart:
    """Return the verdict for one ABI, with its wheels, findings and the outcome on each base."""
    findings = [_finding_part(finding) for finding in judgement.findings]

    return AbiPart(
        verdict=judgement.verdict,
        reason=judgement.reason,
        wheels=[_wheel_part(wheel) for wheel in judgement.wheels],
        loaded_on=list(judgement.loaded_on),
        on=dict(judgement.base_outcomes),
        exercised=exercised_part(judgement.coverage),
        thread_safety=None if judgement.safety is None else _safety_part(judgement.safety),
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


def exercised_part(coverage: ThreadCoverage) -> ExercisedPart:
    """Return how much native code the thread tests exercised, and how likely they miss a rare race."""
    return ExercisedPart(
        native_callables=coverage.callables,
        called_alone=coverage.alone,
        under_threads=coverage.under_threads,
        pairs=coverage.pairs,
        missed=round(coverage.miss_probability(_RARITY), _MISSED_DIGITS),
        race_detector=coverage.detector,
        scenarios={
            kind: PlayedPart(planned=planned, played=played)
            for kind, (planned, played) in sorted(coverage.kinds.items())
        },
        amplified=coverage.amplified,
    )


def _safety_part(safety: ThreadSafety) -> ThreadSafetyPart:
    """Return how safe a package is under threads, in the form of verdicts.json."""
    callables = [
        CallablePart(
            name=row.name,
            level=row.level,
            needs=row.needs,
            consequence=row.consequence,
            findings=list(row.findings),
        )
        for row in safety.callables
    ]

    return ThreadSafetyPart(
        level=safety.level,
        sentence=safety.sentence,
        callables=callables,
        not_tried=list(safety.not_tried[:_MAX_NOT_TRIED]),
        not_tried_count=len(safety.not_tried),
        upstream=None if safety.upstream is None else _upstream_part(safety.upstream),
    )


def _upstream_part(words: UpstreamWords) -> UpstreamPart:
    """Return what a project says of threads, in the form of verdicts.json."""
    quotes = [
        QuotePart(file=quote.file, line=quote.line or None, text=quote.text, about=quote.about)
        for quote in words.quotes
    ]

    return UpstreamPart(
        classifier=words.classifier,
        meaning=words.meaning,
        quotes=quotes,
        disagreement=words.disagreement,
    )


def _speed_part(speed: Speed) -> SpeedPart:
    """Return the measured speed in the form of verdicts.json: numbers of threads become keys of JSON, i.e. texts."""
    throughput: dict[str, dict[str, RatioPart]] = {}
    for abi, ratios in speed.throughput.items():
        throughput[abi] = {str(threads): _ratio_part(ratio) for threads, ratio in ratios.items()}

    return SpeedPart(
        calls=speed.calls,
        tried=speed.tried,
        cpus=speed.cpus,
        baseline=speed.baseline,
        throughput=throughput,
        machine={str(threads): ratio for threads, ratio in speed.machine.items()},
        cost=None if speed.cost is None else _ratio_part(speed.cost),
        plain_cost=speed.plain_cost,
        why=speed.why,
    )


def _ratio_part(ratio: Ratio) -> RatioPart:
    return RatioPart(low=ratio.low, median=ratio.median, high=ratio.high)


def location_parts(finding: Finding) -> list[LocationPart]:
    """Return the lines of source code that a finding is about, in the form of a document."""
    return [
        LocationPart(path=location.path, line=location.line, function=location.function)
        for location in finding.locations
    ]


def _finding_part(finding: Finding) -> FindingPart:
    """Return a finding's part of verdicts.json. A finding without a remedy of its own gets that of its code."""
    # A finding without a program that reproduces it is reproduced by running all jobs of the package again.
    if finding.script:
        command = f"wheelfarm replay {finding.id}"
    else:
        command = f"wheelfarm run --only {finding.package} --again"

    fault = finding.threads
    trials: list[TrialPart] = []
    if fault is not None:
        for trial in fault.trials:
            trials.append(TrialPart(how=trial.how, shown=trial.shown, ran=trial.ran))

    return FindingPart(
        id=finding.id,
        code=finding.code,
        severity=finding.severity,
        title=finding.kind.title,
        detail=finding.detail,
        where=finding.where,
        needs=None if fault is None else fault.needs,
        headline="" if fault is None else describe_fault(fault),
        consequence=None if fault is None else fault.consequence,
        calls=finding.calls,
        seen=finding.seen,
        trials=trials,
        program=finding.short,
        locations=location_parts(finding),
        also=list(finding.also),
        bases=list(finding.bases),
        remedy=finding.remedy or finding.kind.remedy,
        log=finding.log,
        replay=command,
    )
