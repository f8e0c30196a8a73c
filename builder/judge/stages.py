"""Evidence of each stage of a package -> findings: build, audit, load, threads. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

from builder.distributions.tags import floor_name, glibc_floors
from builder.evidence.audit import AuditFacts
from builder.evidence.base import Facts, UndeterminedFacts
from builder.evidence.build import BuildFacts
from builder.evidence.exercise import ExerciseFacts
from builder.evidence.load import LoadFacts
from builder.evidence.race import RaceFacts
from builder.judge import remedies
from builder.judge.findings import Finding
from builder.judge.loads import judge_load
from builder.judge.threads import judge_exercise, judge_race
from builder.judge.wheel.compare import compare_wheels
from builder.judge.wheel.rules import judge_wheel
from builder.judge.wheel.subject import Subject

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from builder.config.catalog import Abi, Base
    from builder.evidence.audit import WheelFacts
    from builder.evidence.build import Failure
    from builder.judge.interfaces import Interfaces
    from builder.sources import Source
    from builder.store.evidence import Evidence

_Facts = TypeVar("_Facts", bound=Facts)


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


@dataclass(frozen=True, kw_only=True, slots=True)
class PackageFacts:
    """What the evidence of a package says, checked once and read many times; None of what is undetermined.

    Attributes:
        builds: by base.
        audits: by base.
        loads: by (built on, loaded on).
    """

    builds: Mapping[str, BuildFacts | None]
    audits: Mapping[str, AuditFacts | None]
    loads: Mapping[tuple[str, str], LoadFacts | None]
    race: RaceFacts | None
    exercise: ExerciseFacts | None

    @classmethod
    def read(cls, evidence: PackageEvidence) -> PackageFacts:
        """Return the checked facts of every determined job; None for a job that is missing or undetermined.

        Raises:
            builder.evidence.base.EvidenceError: what is recorded is not what its model describes.
        """
        builds = {base: _read(BuildFacts, build) for base, build in evidence.builds.items()}
        audits = {base: _read(AuditFacts, audit) for base, audit in evidence.audits.items()}
        loads = {bases: _read(LoadFacts, load) for bases, load in evidence.loads.items()}

        return cls(
            builds=builds,
            audits=audits,
            loads=loads,
            race=_read(RaceFacts, evidence.race),
            exercise=_read(ExerciseFacts, evidence.exercise),
        )

    def wheel_of(self, base: str, abi: str) -> str | None:
        """Return the file name of the wheel that a base made for an ABI, or None where there is none."""
        build = self.builds[base]
        return None if build is None else build.wheel_of(abi)


def _read(model: type[_Facts], evidence: Evidence | None) -> _Facts | None:
    if evidence is None or not evidence.is_determined:
        return None
    return model.read(evidence)


def _undetermined_finding(evidence: Evidence, base: str) -> Finding:
    """Return a finding for a job that gave no facts, with the code and reason that its evidence records."""
    return Finding(
        code=UndeterminedFacts.read(evidence).code,
        detail=evidence.reason,
        where=base,
        bases=(base,),
        log=evidence.log,
    )


# --- build ------------------------------------------------------------------------------------------------------------


def judge_builds(evidence: PackageEvidence, facts: PackageFacts, abi: str) -> Iterator[Finding]:
    """Yield findings from building a package for one ABI: from its requirements, each base's build, and rebuilds.

    Where the matrix leaves the ABI out, that is reported (WF209) and no build is looked at.
    """
    source = evidence.source
    if source.trouble:
        yield Finding(code="WF109", detail=source.trouble, where="requirements")
    if source.circle:
        detail = " needs ".join(source.circle)
        yield Finding(code="WF110", detail=detail, where="build requirements")

    if abi in evidence.skip:
        yield Finding(code="WF209", detail=evidence.skip[abi], where="matrix.toml")
        return

    for base, build in evidence.builds.items():
        yield from _judge_build(evidence, build, facts.builds[base], base, abi)
    for base, build in evidence.builds.items():
        yield from _judge_rebuild(build, facts.builds[base], base, abi)


def _judge_build(
    evidence: PackageEvidence, build: Evidence, facts: BuildFacts | None, base: str, abi: str
) -> Iterator[Finding]:
    """Yield a finding where one base's build is undetermined, failed for the ABI, or asked for unreachable hosts."""
    if facts is None:
        yield _undetermined_finding(build, base)
        return

    outcome = facts.abis.get(abi)
    if outcome is not None and outcome.failure is not None:
        failure = outcome.failure
        yield Finding(
            code=failure.code,
            detail=failure.error,
            where=failure.stage,
            bases=(base,),
            remedy=_find_remedy(evidence, failure, base),
            log=build.log,
        )
    elif facts.asked:
        hosts = ", ".join(facts.asked)
        detail = f"it asked for {hosts}, which no build reaches, and was built without"
        yield Finding(code="WF214", detail=detail, where="build", bases=(base,), log=build.log)


def _find_remedy(evidence: PackageEvidence, failure: Failure, base: str) -> str:
    """Return what to do about a failed build; where it missed something of the system, which packages to install."""
    if not failure.missing:
        return failure.remedy

    return remedies.suggest_remedy(
        evidence.source.name, failure.remedy, base, evidence.system, evidence.remedies
    )


def _judge_rebuild(
    build: Evidence, facts: BuildFacts | None, base: str, abi: str
) -> Iterator[Finding]:
    """Yield a finding where building a wheel a second time from the same inputs gave other content.

    Nothing is yielded where there is no wheel, or where it was not built again or came out the same.
    """
    wheel = None if facts is None else facts.wheel_of(abi)
    if facts is None or wheel is None:
        return  # there is no wheel
    if not facts.rebuilt.get(wheel):
        return  # it was not built again, or came out the same

    differing = ", ".join(facts.rebuilt[wheel])
    detail = f"built again from the same inputs, these came out otherwise: {differing}"
    yield Finding(code="WF212", detail=detail, where=wheel, bases=(base,), log=build.log)


# --- audit ------------------------------------------------------------------------------------------------------------


def judge_audits(evidence: PackageEvidence, facts: PackageFacts, abi: Abi) -> Iterator[Finding]:
    """Yield findings from reading the wheels that each base built for an ABI, and from comparing them.

    Wheels are compared only where at least two bases made one.
    """
    subjects: dict[str, Subject] = {}
    for base, audit in evidence.audits.items():
        audit_facts = facts.audits[base]
        if audit_facts is None:
            # Without build facts there was nothing to audit: the build's own finding says so.
            if facts.builds[base] is not None:
                yield _undetermined_finding(audit, base)
            continue

        filename = facts.wheel_of(base, abi.name)
        if filename is None:
            continue  # the base made no wheel for this ABI

        wheel = audit_facts.wheels[filename]
        subjects[base] = Subject.from_filename(filename, wheel, evidence.bases, evidence.interfaces)
        for finding in _judge_audited(filename, wheel, evidence):
            yield replace(finding, bases=finding.bases or (base,), log=audit.log)

    if len(subjects) > 1:
        yield from compare_wheels(subjects)


def _judge_audited(
    filename: str, wheel: WheelFacts, evidence: PackageEvidence
) -> Iterator[Finding]:
    yield from judge_wheel(filename, wheel, evidence.bases, evidence.interfaces)
    yield from _judge_by_auditwheel(filename, wheel)


def _judge_by_auditwheel(filename: str, wheel: WheelFacts) -> Iterator[Finding]:
    """Yield a finding where auditwheel failed, or where it says that a wheel needs a newer glibc than its tags claim.

    Nothing is yielded where auditwheel was not asked, or either side names no glibc.
    """
    if wheel.auditwheel_error is not None:
        yield Finding(code="WF303", detail=wheel.auditwheel_error, where=filename)
        return
    if wheel.auditwheel is None:
        return

    needed = _glibc_of_policy(wheel.auditwheel.overall_tag)
    claimed = next(iter(glibc_floors(filename)), None)  # the oldest glibc that the tags name
    if needed is None or claimed is None:
        return  # without a glibc on each side there is nothing to compare
    if claimed >= needed:
        return

    major, minor = needed
    detail = (
        f"it is tagged {floor_name(filename)}; auditwheel says that it needs glibc {major}.{minor}"
    )
    yield Finding(code="WF302", detail=detail, where=filename)


def _glibc_of_policy(platform: str) -> tuple[int, int] | None:
    """Return the glibc that a policy of auditwheel names, or None where it names none."""
    floors = glibc_floors(f"x-0-py3-none-{platform}.whl")
    return floors[-1] if floors else None


# --- load -------------------------------------------------------------------------------------------------------------


def judge_loads(evidence: PackageEvidence, facts: PackageFacts, abi: str) -> Iterator[Finding]:
    """Yield findings from installing and importing the wheels of an ABI, on each base where they were tried."""
    for (built_on, base), load in evidence.loads.items():
        load_facts = facts.loads[built_on, base]
        if load_facts is None:
            # Without build facts there was nothing to load: the build's own finding says so.
            if facts.builds[built_on] is not None:
                yield _undetermined_finding(load, base)
            continue

        abi_load = load_facts.loads.get(abi)
        if abi_load is None:
            continue  # no wheel of this ABI was loaded

        for finding in judge_load(abi_load, evidence.source.name):
            yield replace(finding, bases=(base,), log=load.log)


def loaded_bases(facts: PackageFacts, abi: str) -> tuple[str, ...]:
    """Return the names of the bases on which a wheel of an ABI was installed and imported, whatever that showed."""
    bases: set[str] = set()
    for (_, base), load in facts.loads.items():
        abi_load = None if load is None else load.loads.get(abi)
        if abi_load is None:
            continue

        was_installed = abi_load.install is None
        if was_installed and abi_load.modules:
            bases.add(base)

    return tuple(sorted(bases))


def says_gil_stays_off(facts: PackageFacts, abi: str) -> bool:
    """Return whether importing the wheels of an ABI is said to leave the GIL off, on every base where it was tried."""
    states: set[bool | None] = set()
    for load in facts.loads.values():
        abi_load = None if load is None else load.loads.get(abi)
        probes = () if abi_load is None else abi_load.modules
        states.update(probe.gil.after for probe in probes if probe.gil is not None)

    return states == {False}


# --- threads ----------------------------------------------------------------------------------------------------------


def judge_threads(evidence: PackageEvidence, facts: PackageFacts) -> Iterator[Finding]:
    """Yield findings of the race job (with the race detector) and of the exercise job (with the plain interpreter).

    A job that gave no facts is reported only where its base built the package: otherwise there was nothing to try.
    """
    race = evidence.race
    if race is not None and facts.race is not None:
        yield from _add_base(judge_race(facts.race, race.log), race)
    elif race is not None:
        yield from _undetermined_threads(race, facts)

    exercise = evidence.exercise
    if exercise is not None and facts.exercise is not None:
        yield from _add_base(judge_exercise(facts.exercise, exercise.log), exercise)
    elif exercise is not None:
        yield from _undetermined_threads(exercise, facts)


def _undetermined_threads(evidence: Evidence, facts: PackageFacts) -> Iterator[Finding]:
    """Yield a finding for a thread job without facts; nothing where the build on its base is undetermined as well."""
    base = _base_of(evidence)
    if facts.builds[base] is not None:
        yield _undetermined_finding(evidence, base)


def _add_base(findings: Iterable[Finding], evidence: Evidence) -> Iterator[Finding]:
    base = _base_of(evidence)
    for finding in findings:
        yield replace(finding, bases=(base,))


def _base_of(evidence: Evidence) -> str:
    """Return the base that a job ran on."""
    return evidence.job.base
