"""Evidence -> findings -> verdict. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from builder.distributions.tags import floor_name, glibc_floors
from builder.judge import bases as base_outcomes
from builder.judge import loads as load_rules
from builder.judge import remedies, speed
from builder.judge import threads as stress_rules
from builder.judge.findings import Finding
from builder.judge.threads import ThreadCoverage
from builder.judge.wheel import compare
from builder.judge.wheel.rules import findings as findings_of
from builder.judge.wheel.subject import Subject
from builder.verdicts import Verdict

if TYPE_CHECKING:
    from builder.config.catalog import Abi, Base
    from builder.judge.bases import BaseOutcome
    from builder.judge.interfaces import Interfaces
    from builder.judge.speed import Speed
    from builder.sources import Fault, Source
    from builder.store.evidence import Evidence


@dataclass(frozen=True, kw_only=True, slots=True)
class Wheel:
    """One wheel the farm made."""

    filename: str
    base: str
    sha256: str
    floor: str
    requires_python: str
    log: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Judgement:
    """The verdict for a package on an ABI, and what it rests on.

    Attributes:
        reason: one sentence for a person.
        wheels: what was built, the base with the oldest glibc first.
        loaded_on: bases it was imported on.
        base_outcomes: what importing showed, by base.
        coverage: how much of it was put under threads.
    """

    abi: str
    verdict: Verdict
    reason: str
    wheels: tuple[Wheel, ...] = ()
    findings: tuple[Finding, ...] = ()
    loaded_on: tuple[str, ...] = ()
    base_outcomes: Mapping[str, BaseOutcome] = field(default_factory=dict)
    coverage: ThreadCoverage = field(default_factory=ThreadCoverage)


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


@dataclass(frozen=True, kw_only=True, slots=True)
class PackageEvidence:
    """What there is to judge a package by: evidence per base it was built on, and per base it was loaded on.

    Attributes:
        builds: by base.
        audits: by base.
        loads: by (built on, loaded on).
        skip: reasons by ABI that the matrix leaves out.
        bases: where the wheels are meant to run.
        interfaces: what interpreters and bases offer.
        race: what the race detector saw, where it was asked.
        exercise: what threads did to it, where that was tried.
        speed: how fast it is, where that was measured.
        remedies: what was found out about what a build missed, by base.
        system: system packages the matrix has for it, by base it is built on.
    """

    source: Source
    builds: Mapping[str, Evidence]
    audits: Mapping[str, Evidence]
    loads: Mapping[tuple[str, str], Evidence]
    skip: Mapping[str, str]
    bases: tuple[Base, ...]
    interfaces: Interfaces
    race: Evidence | None = None
    exercise: Evidence | None = None
    speed: Evidence | None = None
    remedies: Mapping[str, Evidence] = field(default_factory=dict)
    system: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def judge_fault(fault: Fault, abis: Iterable[Abi]) -> JudgedPackage:
    """Judge a package that has no usable sdist."""
    finding = Finding(code=fault.code, detail=fault.detail, where="source")
    verdict = finding.verdict or Verdict.UNDETERMINED
    judgements = {
        abi.name: Judgement(
            abi=abi.name,
            verdict=verdict,
            reason=f"{finding.kind.title}: {fault.detail}",
            findings=(finding,),
        )
        for abi in abis
    }
    return JudgedPackage(name=fault.name, version=fault.version, source=fault, abis=judgements)


def judge_package(case: PackageEvidence, abis: Iterable[Abi]) -> JudgedPackage:
    """Judge a package by its evidence."""
    judgements = {abi.name: _judge_abi(case, abi) for abi in abis}
    source = case.source
    found = speed.judge_speed(case.speed)
    return JudgedPackage(
        name=source.name, version=source.version, source=source, abis=judgements, speed=found
    )


def _judge_abi(case: PackageEvidence, abi: Abi) -> Judgement:
    if case.source.only_pure is not None:
        reason = (
            "pure Python: the index's own wheel serves every ABI, there is nothing native to judge"
        )
        return Judgement(abi=abi.name, verdict=Verdict.COMPATIBLE, reason=reason)
    wheels = tuple(_built_wheels(case, abi.name))
    built = list(_build_findings(case, abi.name))
    if wheels:
        # What failed on one base was made on another: worth knowing, and no lack of a wheel.
        built = [
            replace(finding, advisory=finding.verdict is Verdict.BUILD_FAILURE) for finding in built
        ]
    threads = list(stress_rules.deduplicate(_thread_findings(case))) if abi.free_threaded else []
    exercised = (
        stress_rules.measure_coverage(case.race, case.exercise)
        if abi.free_threaded
        else ThreadCoverage()
    )
    findings = merge_findings(
        [*built, *_audit_findings(case, abi), *_load_findings(case, abi.name), *threads]
    )
    loaded = tuple(
        sorted({base for (_, base), load in case.loads.items() if _was_loaded(load, abi.name)})
    )
    verdict = _choose_verdict(findings, abi, exercised)
    reason = _choose_reason(verdict, findings, wheels, loaded, exercised)
    return Judgement(
        abi=abi.name,
        verdict=verdict,
        reason=reason,
        wheels=wheels,
        findings=findings,
        loaded_on=loaded,
        base_outcomes=base_outcomes.judge_bases(case.loads, abi.name, case.source.name),
        coverage=exercised,
    )


def _choose_verdict(findings: Iterable[Finding], abi: Abi, exercised: ThreadCoverage) -> Verdict:
    """Take the worst verdict any finding forces; without one, what was put under threads decides."""
    forced = [finding.verdict for finding in findings if finding.verdict is not None]
    best = (
        Verdict.UNPROVEN
        if abi.free_threaded and not exercised.is_sufficient
        else Verdict.COMPATIBLE
    )
    return max([best, *forced], key=lambda verdict: verdict.rank)


def _choose_reason(
    verdict: Verdict, findings: tuple[Finding, ...], wheels: tuple[Wheel, ...], loaded: tuple[str, ...],
    exercised: ThreadCoverage,
) -> str:  # fmt: skip
    deciding = [finding for finding in findings if finding.verdict is verdict]
    if deciding:
        first = deciding[0]
        more = f" (and {len(deciding) - 1} more)" if len(deciding) > 1 else ""
        return f"{first.kind.title}: {first.detail}{more}"
    floors = ", ".join(dict.fromkeys(wheel.floor for wheel in wheels))
    seen = f"built as {floors}, imports on {', '.join(loaded) or 'no base'}"
    if verdict is Verdict.UNPROVEN:
        return f"{seen}, GIL stays off; {_coverage_sentence(exercised)}"
    return (
        f"{seen}, GIL stays off; {_coverage_sentence(exercised)}, nothing found"
        if exercised.is_sufficient
        else seen
    )


def _coverage_sentence(exercised: ThreadCoverage) -> str:
    """Say how much of a package was put under threads."""
    if not exercised.under_threads:
        return "none of its native code was exercised under threads"
    watched = "with the race detector" if exercised.detector else "without a working race detector"
    return f"threads called {exercised.under_threads} of its {exercised.callables} native callables {watched}"


def merge_findings(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Join what was seen alike on several bases, the worst first."""
    joined: dict[tuple[str, str, str], Finding] = {}
    for finding in findings:
        key = (finding.code, finding.where, finding.detail)
        known = joined.get(key)
        bases = () if known is None else known.bases
        joined[key] = replace(
            finding if known is None else known,
            bases=tuple(dict.fromkeys((*bases, *finding.bases))),
        )
    return tuple(
        sorted(
            joined.values(),
            key=lambda finding: -1 if finding.verdict is None else finding.verdict.rank,
            reverse=True,
        )
    )


# --- wheels ----------------------------------------------------------------------------------------------------------


def _built_wheels(case: PackageEvidence, abi: str) -> Iterator[Wheel]:
    for base, build in case.builds.items():
        made = build.facts.get("abis", {}).get(abi, {})
        if "wheel" in made:
            filename = made["wheel"]
            yield Wheel(
                filename=filename,
                base=base,
                sha256=build.files[filename],
                floor=floor_name(filename),
                requires_python=made["requires_python"],
                log=build.log,
            )


# --- findings --------------------------------------------------------------------------------------------------------


def _undetermined_finding(evidence: Evidence, base: str) -> Finding:
    return Finding(
        code=evidence.facts["code"],
        detail=evidence.reason,
        where=base,
        bases=(base,),
        log=evidence.log,
    )


def _build_findings(case: PackageEvidence, abi: str) -> Iterator[Finding]:
    if case.source.trouble:
        yield Finding(code="WF109", detail=case.source.trouble, where="requirements")
    if case.source.circle:
        yield Finding(
            code="WF110", detail=" needs ".join(case.source.circle), where="build requirements"
        )
    if abi in case.skip:
        yield Finding(code="WF209", detail=case.skip[abi], where="matrix.toml")
        return
    for base, build in case.builds.items():
        if not build.is_determined:
            yield _undetermined_finding(build, base)
        elif failure := build.facts["abis"].get(abi, {}).get("failure"):
            yield Finding(
                code=failure["code"],
                detail=failure["error"],
                where=failure["stage"],
                bases=(base,),
                remedy=_find_remedy(case, failure, base),
                log=build.log,
            )
        elif asked := build.facts.get("asked"):
            detail = (
                f"it asked for {', '.join(asked)}, which no build reaches, and was built without"
            )
            yield Finding(code="WF214", detail=detail, where="build", bases=(base,), log=build.log)
    yield from _rebuild_findings(case, abi)


def _rebuild_findings(case: PackageEvidence, abi: str) -> Iterator[Finding]:
    """Give a finding for each wheel that came out otherwise when it was built again."""
    for base, build in case.builds.items():
        wheel = build.facts.get("abis", {}).get(abi, {}).get("wheel")
        differing = build.facts.get("rebuilt", {}).get(wheel)
        if differing:
            detail = f"built again from the same inputs, these came out otherwise: {', '.join(differing)}"
            yield Finding(code="WF212", detail=detail, where=wheel, bases=(base,), log=build.log)


def _find_remedy(case: PackageEvidence, failure: Mapping[str, Any], base: str) -> str:
    hint = str(failure["remedy"])
    if not failure.get("missing"):
        return hint
    return remedies.suggest_remedy(case.source.name, hint, base, case.system, case.remedies)


def _audit_findings(case: PackageEvidence, abi: Abi) -> Iterator[Finding]:
    subjects: dict[str, Subject] = {}
    for base, audit in case.audits.items():
        if not audit.is_determined:
            if case.builds[base].is_determined:
                yield _undetermined_finding(audit, base)
            continue
        filename = case.builds[base].facts["abis"].get(abi.name, {}).get("wheel")
        if filename is None:
            continue
        facts = audit.facts["wheels"][filename]
        for finding in (
            *findings_of(filename, facts, case.bases, case.interfaces),
            *_auditwheel_findings(filename, facts),
        ):
            yield replace(finding, bases=finding.bases or (base,), log=audit.log)
        subjects[base] = Subject.from_filename(filename, facts, case.bases, case.interfaces)
    if len(subjects) > 1:
        yield from compare.findings(subjects)


def _auditwheel_findings(filename: str, facts: Mapping[str, Any]) -> Iterator[Finding]:
    """Take what auditwheel says beside the farm's own reading."""
    if "auditwheel_error" in facts:
        yield Finding(code="WF303", detail=facts["auditwheel_error"], where=filename)
    elif (
        "auditwheel" in facts
        and (floor := _auditwheel_floor(facts["auditwheel"]))
        and _claims_lower_glibc(filename, floor)
    ):
        detail = f"it is tagged {floor_name(filename)}; auditwheel says that it needs glibc {floor[0]}.{floor[1]}"
        yield Finding(code="WF302", detail=detail, where=filename)


def _claims_lower_glibc(filename: str, floor: tuple[int, int]) -> bool:
    """Return whether a wheel claims to be content with an older glibc than auditwheel says it needs."""
    claimed = glibc_floors(filename)
    return bool(claimed) and claimed[0] < floor


def _auditwheel_floor(audited: Mapping[str, Any]) -> tuple[int, int] | None:
    """Return the glibc that auditwheel's policy names, or None where it names none."""
    floors = glibc_floors(f"x-0-py3-none-{audited['overall_tag']}.whl")
    return floors[-1] if floors else None


def _was_loaded(load: Evidence, abi: str) -> bool:
    facts = load.facts.get("loads", {}).get(abi, {}) if load.is_determined else {}
    return bool(facts.get("modules")) and facts.get("install") is None


def _load_findings(case: PackageEvidence, abi: str) -> Iterator[Finding]:
    for (built_on, base), load in case.loads.items():
        if not load.is_determined:
            if case.builds[built_on].is_determined:
                yield _undetermined_finding(load, base)
            continue
        facts = load.facts["loads"].get(abi)
        for finding in () if facts is None else load_rules.findings(facts, case.source.name):
            yield replace(finding, bases=(base,), log=load.log)


def _thread_findings(case: PackageEvidence) -> Iterator[Finding]:
    """Judge what threads showed; what the farm could not tell counts only where there is a wheel."""
    for evidence, findings in (
        (case.race, stress_rules.race_findings),
        (case.exercise, stress_rules.exercise_findings),
    ):
        if evidence is None:
            continue
        base = evidence.job.base
        if evidence.is_determined:
            for finding in findings(evidence.facts, evidence.log):
                yield replace(finding, bases=(base,))
        elif case.builds[base].is_determined:
            yield _undetermined_finding(evidence, base)
