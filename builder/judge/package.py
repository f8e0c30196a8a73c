"""Findings -> the verdict for a package on each ABI. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from builder.distributions.tags import floor_name, is_pure_wheel
from builder.distributions.thread_statements import read_grade
from builder.judge.bases import judge_bases
from builder.judge.findings import Finding
from builder.judge.package_evidence import PackageFacts
from builder.judge.speed import judge_speed
from builder.judge.stages import (
    judge_audits,
    judge_builds,
    judge_held,
    judge_lack_of_loads,
    judge_loads,
    judge_threads,
    loaded_bases,
    says_gil_stays_off,
)
from builder.judge.threads.coverage import ThreadCoverage, measure_coverage
from builder.judge.threads.jobs import deduplicate, judge_gil_state
from builder.judge.threads.safety import assess_package
from builder.judge.threads.statements import compare_words
from builder.untrusted.package_names import project_of, table_key
from builder.verdicts import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from builder.config.catalog import Abi
    from builder.evidence.build import Origin
    from builder.judge.bases import BaseOutcome
    from builder.judge.package_evidence import PackageEvidence
    from builder.judge.speed import Speed
    from builder.judge.threads.safety import ThreadSafety
    from builder.sources import Fault, Source


@dataclass(frozen=True, kw_only=True, slots=True)
class Wheel:
    """One wheel the farm made, or took from upstream.

    Attributes:
        base: the base that it was built on, or that it stands for a build on.
        origin: whether the farm built it, or upstream did.
        rust: the Rust it was built with, where that is not the base's own.
    """

    filename: str
    base: str
    sha256: str
    floor: str
    requires_python: str
    log: str
    origin: Origin = "built"
    rust: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Judgement:
    """The verdict for a package on an ABI, and what it rests on.

    Attributes:
        reason: one sentence for a person.
        wheels: what was built, the base with the oldest glibc first.
        loaded_on: bases it was imported on.
        base_outcomes: what importing showed, by base.
        coverage: how much of it was put under threads.
        held: why the index holds its wheels back though policy admits the verdict; empty where it does not.
        safety: how safe it is under threads; None on an ABI with the GIL, and where nothing of it is native.
    """

    abi: str
    verdict: Verdict
    reason: str
    wheels: tuple[Wheel, ...] = ()
    findings: tuple[Finding, ...] = ()
    loaded_on: tuple[str, ...] = ()
    base_outcomes: Mapping[str, BaseOutcome] = field(default_factory=dict)
    coverage: ThreadCoverage = field(default_factory=ThreadCoverage)
    safety: ThreadSafety | None = None
    held: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class JudgedPackage:
    """A package with its verdicts.

    Attributes:
        speed: how fast its native calls are; None where that was not asked.
    """

    name: str
    version: str
    source: Source | Fault
    abis: Mapping[str, Judgement]
    speed: Speed | None = None

    @property
    def project(self) -> str:
        """The project that it is of, as an index and wheels name it."""
        return project_of(self.name)


def judge_fault(fault: Fault, abis: Iterable[Abi]) -> JudgedPackage:
    """Return the judgement of a package without a usable sdist: on every ABI the verdict and reason of that fault."""
    finding = Finding(code=fault.code, detail=fault.detail, where="source")
    verdict = finding.verdict or Verdict.UNDETERMINED
    reason = f"{finding.kind.title}: {fault.detail}"

    judgements: dict[str, Judgement] = {}
    for abi in abis:
        abi_finding = finding.assign_to(fault.name, fault.version, abi.name)
        judgements[abi.name] = Judgement(
            abi=abi.name, verdict=verdict, reason=reason, findings=(abi_finding,)
        )

    return JudgedPackage(name=fault.name, version=fault.version, source=fault, abis=judgements)


def judge_unreadable(source: Source, detail: str, abis: Iterable[Abi]) -> JudgedPackage:
    """Return the judgement of a package whose evidence could not be judged: undetermined on every ABI (WF904).

    Args:
        source: the package.
        detail: what went wrong, in one line.
        abis: the ABIs of the matrix.
    """
    finding = Finding(code="WF904", detail=detail, where="evidence")
    judgements: dict[str, Judgement] = {}
    for abi in abis:
        abi_finding = finding.assign_to(source.name, source.version, abi.name)
        judgements[abi.name] = Judgement(
            abi=abi.name,
            verdict=Verdict.UNDETERMINED,
            reason=f"{finding.kind.title}: {detail}",
            findings=(abi_finding,),
        )

    return JudgedPackage(name=source.name, version=source.version, source=source, abis=judgements)


def judge_package(evidence: PackageEvidence, abis: Iterable[Abi]) -> JudgedPackage:
    """Return a package's verdict on each ABI, with the findings, wheels and speed that its evidence shows.

    Raises:
        builder.evidence.base.EvidenceError: what is recorded is not what its model describes.
    """
    source = evidence.source
    facts = PackageFacts.read(evidence)

    return JudgedPackage(
        name=source.name,
        version=source.version,
        source=source,
        abis={abi.name: _judge_abi(evidence, facts, abi) for abi in abis},
        speed=judge_speed(evidence.speed),
    )


def _judge_abi(evidence: PackageEvidence, facts: PackageFacts, abi: Abi) -> Judgement:
    """Return the verdict for a package on one ABI, and everything that it rests on.

    A pure-Python package is compatible without any evidence: nothing of it is native.
    """
    source = evidence.source
    if source.only_pure is not None:
        reason = (
            "pure Python: the index's own wheel serves every ABI, there is nothing native to judge"
        )
        held = [
            finding.assign_to(source.name, source.version, abi.name)
            for finding in judge_held(source)
        ]
        return Judgement(
            abi=abi.name, verdict=Verdict.COMPATIBLE, reason=reason, findings=tuple(held)
        )

    wheels = tuple(_built_wheels(evidence, facts, abi.name))
    findings = _collect_findings(evidence, facts, abi, wheels)
    findings = tuple(
        finding.assign_to(source.name, source.version, abi.name) for finding in findings
    )
    coverage = ThreadCoverage()
    is_pure = _are_pure(wheels)
    if abi.free_threaded and not is_pure:
        coverage = measure_coverage(facts.race, facts.exercise)

    loaded_on = loaded_bases(facts, abi.name)
    needs_threads = abi.free_threaded and not is_pure
    verdict = _choose_verdict(findings, coverage, needs_threads=needs_threads)
    safety = None
    if needs_threads and wheels:
        safety = _assess_safety(findings, facts, coverage)
        words = compare_words(source.statement, _list_grades(facts, wheels), safety.level, findings)
        safety = replace(safety, upstream=words)
    if source.pure_wheel and not is_pure and _may_be_replaced(verdict):
        pure_finding = _offer_pure(source, abi)
        findings += (pure_finding.assign_to(source.name, source.version, abi.name),)

    return Judgement(
        abi=abi.name,
        verdict=verdict,
        reason=_choose_reason(
            verdict,
            findings,
            wheels,
            loaded_on,
            coverage,
            safety,
            is_pure=is_pure and source.is_pure,
            after=evidence.after,
        ),
        wheels=wheels,
        findings=findings,
        loaded_on=loaded_on,
        base_outcomes=judge_bases(facts.loads, abi.name, source.project),
        coverage=coverage,
        safety=safety,
    )


def _assess_safety(
    findings: Sequence[Finding], facts: PackageFacts, coverage: ThreadCoverage
) -> ThreadSafety:
    """Return how safe a package with native code is under threads, on a free-threaded ABI."""
    race, exercise = facts.race, facts.exercise
    surface = None if race is None else race.surface
    gil_states = [searched.gil for searched in (race, exercise) if searched is not None]

    return assess_package(
        findings,
        () if race is None else race.under_threads,
        () if surface is None else surface.callables,
        is_reach_sufficient=coverage.is_sufficient,
        has_gil=any(gil_states),
    )


def _list_grades(facts: PackageFacts, wheels: Iterable[Wheel]) -> list[str]:
    """Return the grades of free threading that the metadata of wheels states; empty where none does."""
    grades: list[str] = []
    for wheel in wheels:
        audit = facts.audits.get(wheel.base)
        audited = None if audit is None else audit.wheels.get(wheel.filename)
        if audited is not None:
            grades.append(read_grade(audited.metadata.get("classifier", ())))

    return [grade for grade in grades if grade]


def _built_wheels(evidence: PackageEvidence, facts: PackageFacts, abi: str) -> Iterator[Wheel]:
    """Yield the wheel that each base built for an ABI; a base without one is skipped."""
    for base, build in evidence.builds.items():
        build_facts = facts.builds[base]
        outcome = None if build_facts is None else build_facts.abis.get(abi)
        if build_facts is None or outcome is None or outcome.wheel is None:
            continue  # the build is undetermined, did not cover the ABI, or failed: there is no wheel to list

        yield Wheel(
            filename=outcome.wheel,
            base=base,
            sha256=build.files[outcome.wheel],
            floor=floor_name(outcome.wheel),
            requires_python=outcome.requires_python,
            log=build.log,
            origin=outcome.origin,
            rust=build_facts.rust if outcome.origin == "built" else "",
        )


# --- findings ---------------------------------------------------------------------------------------------------------


def _collect_findings(
    evidence: PackageEvidence, facts: PackageFacts, abi: Abi, wheels: Sequence[Wheel]
) -> tuple[Finding, ...]:
    """Return the findings of every stage (build, audit, load, threads), the worst verdict first.

    Threads count only on a free-threaded ABI, for wheels with native code. A failed build is advisory, i.e. forces no
    verdict, where another base built the ABI's wheel.
    """
    has_wheel = bool(wheels)
    is_pure = _are_pure(wheels)
    findings: list[Finding] = []
    for finding in judge_builds(evidence, facts, abi):
        # What failed on one base was made on another: worth knowing, and no lack of a wheel.
        is_made_up_for = has_wheel and finding.verdict is Verdict.BUILD_FAILURE
        findings.append(replace(finding, advisory=is_made_up_for))

    findings += judge_audits(evidence, facts, abi)
    findings += judge_loads(evidence, facts, abi.name)
    if is_pure:
        # What the sdist has of native code is in none of the wheels, and cannot be a fault of them.
        if not evidence.source.is_pure:
            findings += _judge_purity(wheels)
    elif abi.free_threaded:
        findings += deduplicate(judge_threads(evidence, facts))
        is_said_off = says_gil_stays_off(facts, abi.name)
        findings += judge_gil_state(is_said_off, facts.race, facts.exercise)

    # Whatever is said of a wheel that was imported nowhere, it is nothing good; a fault that was shown stands.
    if not any(_forbids_good_verdict(finding) for finding in findings):
        findings += judge_lack_of_loads(facts, abi.name)

    return merge_findings(findings)


def _are_pure(wheels: Sequence[Wheel]) -> bool:
    """Return whether all wheels of an ABI are for any platform: upstream's of a release that is native elsewhere."""
    return bool(wheels) and all(is_pure_wheel(wheel.filename) for wheel in wheels)


def _judge_purity(wheels: Iterable[Wheel]) -> Iterator[Finding]:
    """Yield a finding for wheels without native code that a native package has for an ABI."""
    for wheel in wheels:
        detail = f"{wheel.filename} has no native code: an interpreter that it serves runs the package's Python"
        yield Finding(code="WF224", detail=detail, where=wheel.filename, bases=(wheel.base,))


def _may_be_replaced(verdict: Verdict) -> bool:
    """Return whether an ABI lacks a wheel without a fault, or that leaves the GIL off."""
    return verdict.is_fault or verdict is Verdict.GIL_REQUIRED


def _offer_pure(source: Source, abi: Abi) -> Finding:
    """Return the finding that upstream has a wheel without native code of a release whose native one is at fault."""
    return Finding(
        code="WF227",
        detail=f"upstream has {source.pure_wheel} of this release, which has no native code",
        where=source.pure_wheel,
        remedy=(
            f'try `pure = ["{abi.name}"]` in [packages.{table_key(source.name)}]: it is judged then,'
            " and served if it imports; it may be many times slower"
        ),
    )


def _forbids_good_verdict(finding: Finding) -> bool:
    return finding.verdict is not None and finding.verdict.rank >= Verdict.UNDETERMINED.rank


def merge_findings(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return the findings with those of the same code, `where` and detail joined into one, the worst verdict first.

    A joined finding names the bases of all; its other fields are those of the first.
    """
    merged: dict[tuple[str, str, str], Finding] = {}
    for finding in findings:
        key = (finding.code, finding.where, finding.detail)
        earlier = merged.get(key)
        if earlier is None:
            merged[key] = replace(finding, bases=tuple(dict.fromkeys(finding.bases)))
        else:
            bases = dict.fromkeys((*earlier.bases, *finding.bases))
            merged[key] = replace(earlier, bases=tuple(bases))

    return tuple(sorted(merged.values(), key=lambda finding: finding.verdict_rank, reverse=True))


# --- the verdict ------------------------------------------------------------------------------------------------------


def _choose_verdict(
    findings: Iterable[Finding], coverage: ThreadCoverage, *, needs_threads: bool
) -> Verdict:
    """Return the worst verdict that any finding forces, or else the best that the evidence allows.

    The best is `compatible`; where there is native code on a free-threaded ABI (`needs_threads`), it is `unproven`
    unless threads called enough of that.
    """
    best = Verdict.COMPATIBLE
    if needs_threads and not coverage.is_sufficient:
        best = Verdict.UNPROVEN

    forced = [finding.verdict for finding in findings if finding.verdict is not None]
    return max([best, *forced], key=lambda verdict: verdict.rank)


def _choose_reason(
    verdict: Verdict,
    findings: Iterable[Finding],
    wheels: Iterable[Wheel],
    loaded_on: tuple[str, ...],
    coverage: ThreadCoverage,
    safety: ThreadSafety | None,
    *,
    is_pure: bool,
    after: Sequence[str] = (),
) -> str:
    """Return one sentence on why the verdict is what it is.

    Where findings force the verdict, it is the first of them and how many more there are; otherwise it says what was
    built, where it imports, and how much was put under threads.
    """
    if verdict is Verdict.DISTINCT and safety is not None:
        return safety.sentence

    deciding = [finding for finding in findings if finding.verdict is verdict]
    if deciding:
        first, *others = deciding
        more_clause = f" (and {len(others)} more)" if others else ""
        return f"{first.kind.title}: {first.detail}{more_clause}"

    kind = "pure Python, " if is_pure else ""
    after_clause = f", after {', '.join(after)}" if after else ""
    bases = ", ".join(loaded_on) or "no base"
    reason = f"{kind}{_describe_wheels(wheels)}, imports on {bases}{after_clause}"
    if verdict is Verdict.UNPROVEN:
        return f"{reason}, GIL stays off; {_describe_coverage(coverage)}"
    if coverage.is_sufficient:
        return f"{reason}, GIL stays off; {_describe_coverage(coverage)}, nothing found"

    return reason


def _describe_wheels(wheels: Iterable[Wheel]) -> str:
    """Return in words what the wheels of an ABI claim and who built them: `built as manylinux_2_17`."""
    floors: dict[str, list[str]] = {}
    for wheel in wheels:
        words, floor = "built as", wheel.floor
        if wheel.origin == "upstream":
            words = "upstream's wheel for"
            floor = "any platform" if is_pure_wheel(wheel.filename) else floor
        named = floors.setdefault(words, [])
        if floor not in named:
            named.append(floor)

    return ", ".join(f"{words} {', '.join(named)}" for words, named in floors.items())


def _describe_coverage(coverage: ThreadCoverage) -> str:
    """Return in words how much of a package threads called.

    For example `threads called 12 of its 20 native callables with the race detector`.
    """
    if not coverage.under_threads and coverage.unwatched:
        return f"threads called it in {coverage.unwatched} scenarios, none of them under the race detector"
    if not coverage.under_threads:
        return "none of its native code was exercised under threads"

    detector_clause = "with the race detector"
    if not coverage.detector:
        detector_clause = "without a working race detector"

    return (
        f"threads called {coverage.under_threads} of its {coverage.callables} native callables"
        f" {detector_clause}"
    )
