"""Evidence of each stage of a package -> findings: build, audit, load, threads. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from builder.distributions.tags import floor_name, glibc_floors, is_pure_wheel
from builder.evidence.audit import AuditFacts
from builder.evidence.base import UndeterminedFacts
from builder.evidence.build import BuildFacts, Failure
from builder.judge import codes, remedies
from builder.judge.findings import Finding
from builder.judge.loads import judge_load
from builder.judge.threads.jobs import judge_exercise, judge_race
from builder.judge.ways_out import (
    WayOut,
    describe_past_failure,
    find_ways_to_wheel,
    join_ways,
    leave_pure,
    take_upstream,
)
from builder.judge.wheel.compare import compare_wheels
from builder.judge.wheel.installs import judge_overlap
from builder.judge.wheel.rules import judge_wheel
from builder.judge.wheel.subject import Subject
from builder.judge.wheel.upstream import compare_with_upstream

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from builder.config.catalog import Abi
    from builder.evidence.audit import WheelFacts
    from builder.evidence.load import AbiLoad
    from builder.judge.package_evidence import PackageEvidence, PackageFacts
    from builder.sources import Source
    from builder.store.evidence import Evidence


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


def judge_builds(evidence: PackageEvidence, facts: PackageFacts, abi: Abi) -> Iterator[Finding]:
    """Yield findings from building a package for one ABI: from its requirements, each base's build, and rebuilds.

    Where the matrix leaves the ABI out, that is reported (WF209) and no build is looked at.
    """
    source = evidence.source
    yield from judge_held(source)
    if source.trouble:
        yield Finding(code="WF109", detail=source.trouble, where="requirements")
    if source.circle:
        detail = " needs ".join(source.circle)
        yield Finding(code="WF110", detail=detail, where="build requirements")

    if source.doubt:
        yield Finding(code="WF226", detail=source.doubt, where="source")

    if abi.name in evidence.skip:
        yield Finding(code="WF209", detail=evidence.skip[abi.name], where="matrix.toml")
        return

    for base, build in evidence.builds.items():
        yield from _judge_build(evidence, facts, build, base, abi)
    for base, build in evidence.builds.items():
        yield from _judge_rebuild(build, facts.builds[base], base, abi.name)


def judge_held(source: Source) -> Iterator[Finding]:
    """Yield a finding where the cool-down holds a newer release back."""
    if source.held:
        yield Finding(code="WF115", detail=source.held, where="source")


def _judge_build(
    evidence: PackageEvidence, package: PackageFacts, build: Evidence, base: str, abi: Abi
) -> Iterator[Finding]:
    """Yield what one base's build showed: that it is undetermined or failed, and what it did that it should not.

    A failure for which upstream's wheel stands is one of its own kind (WF221), which forces no verdict.
    """
    facts = package.builds[base]
    if facts is None:
        yield _undetermined_finding(build, base)
        return

    outcome = facts.abis.get(abi.name)
    if outcome is not None and outcome.failure is not None:
        yield _describe_failure(evidence, package, build, outcome.failure, base, abi)
        return
    if outcome is not None and outcome.stands_for is not None:
        failure = outcome.stands_for
        kind = codes.load()[failure.code]
        yield Finding(
            code="WF221",
            detail=f"{kind.title}: {failure.error}",
            where=failure.stage,
            bases=(base,),
            remedy=_find_remedy(evidence, failure, base) or kind.remedy,
            log=build.log,
        )
        return

    if outcome is not None and outcome.origin == "upstream":
        return  # what the build did is in no wheel of this ABI

    if facts.cpu_options:
        detail = f"compiled with {'; '.join(facts.cpu_options)}"
        yield Finding(code="WF219", detail=detail, where="build", bases=(base,), log=build.log)
    if facts.asked:
        hosts = ", ".join(facts.asked)
        detail = f"it asked for {hosts}, which no build reaches, and was built without"
        yield Finding(code="WF214", detail=detail, where="build", bases=(base,), log=build.log)


def _describe_failure(
    evidence: PackageEvidence,
    package: PackageFacts,
    build: Evidence,
    failure: Failure,
    base: str,
    abi: Abi,
) -> Finding:
    """Return the finding of an ABI without a wheel, with the ways out that are known and those that may be tried."""
    source = evidence.source
    finding = Finding(
        code=failure.code,
        detail=failure.error + _describe_lack(source, abi.name),
        where=failure.stage,
        bases=(base,),
        remedy=_find_remedy(evidence, failure, base),
        log=build.log,
    )
    if failure.code == "WF220":
        # What was recorded when it was taken does not know what has been built since.
        past = evidence.past_builds.get(abi.name)
        ways_out = find_ways_to_wheel(source, abi, past, _iter_audited(package))
        if abi.name in evidence.pure:
            ways_out = (leave_pure(source.name, abi),)
        detail = failure.error + describe_past_failure(past)
        return replace(finding, detail=detail, remedy=join_ways(ways_out), ways_out=ways_out)

    is_offered = dict(source.offers).get(abi.name) == source.version
    if source.take_from != "sdist" or not is_offered:
        return finding
    mend = WayOut(text=(finding.remedy or finding.kind.remedy).rstrip("."))
    way_out = take_upstream(source.name)
    return replace(finding, remedy=join_ways((mend, way_out)), ways_out=(way_out, mend))


def _iter_audited(facts: PackageFacts) -> Iterator[WheelFacts]:
    """Iterate over what is known of every wheel of a package."""
    for audit in facts.audits.values():
        if audit is not None:
            yield from audit.wheels.values()


def _describe_lack(source: Source, abi: str) -> str:
    """Return why no wheel of upstream's stands in for a failed build; empty where none is to, or there is one."""
    if not source.is_built:
        return ""

    reasons = dict(source.lacking)
    return f"; upstream's wheel cannot stand in: {reasons[abi]}" if abi in reasons else ""


def _find_remedy(evidence: PackageEvidence, failure: Failure, base: str) -> str:
    """Return what to do about a failed build; where it missed something of the system, which packages to install."""
    if not failure.missing:
        return failure.remedy

    # What a build fetches may be on the system as well, or not: then the other ways out are left.
    is_fetched = failure.code == "WF213"
    return remedies.suggest_remedy(
        evidence.source.name,
        failure.remedy,
        base,
        evidence.system,
        evidence.remedies,
        has_alternative=is_fetched,
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
    if facts.abis[abi].origin != "built":
        return  # it failed this time, and perhaps not before: upstream's wheel is another one
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

        wheel = audit_facts.wheels.get(filename)
        if wheel is None:
            detail = f"the audit says nothing of {filename}"
            yield Finding(code="WF902", detail=detail, where=base, bases=(base,), log=audit.log)
            continue

        subjects[base] = Subject.from_filename(filename, wheel, evidence.bases, evidence.interfaces)
        for finding in (
            *_judge_audited(filename, wheel, evidence),
            *judge_overlap(subjects[base], evidence.owners),
            *_compare_upstream(evidence, facts, audit_facts, subjects[base], base, abi.name),
        ):
            yield replace(finding, bases=finding.bases or (base,), log=audit.log)

    if len(subjects) > 1:
        yield from compare_wheels(subjects)


def _compare_upstream(
    evidence: PackageEvidence,
    facts: PackageFacts,
    audit: AuditFacts,
    ours: Subject,
    base: str,
    abi: str,
) -> Iterator[Finding]:
    """Yield findings where the wheel that a base built for an ABI lacks what upstream's has.

    Nothing is yielded where there is no such wheel of upstream's, it is the one that is judged, or it is malformed.
    """
    build = facts.builds[base]
    is_built = build is not None and build.abis[abi].origin == "built"
    filenames = [wheel.filename for wheel in evidence.source.wheels if wheel.abi == abi]
    wheel = audit.upstream.get(filenames[0]) if filenames else None
    if not is_built or wheel is None or wheel.faults:
        return

    theirs = Subject.from_filename(filenames[0], wheel, evidence.bases, evidence.interfaces)
    yield from compare_with_upstream(ours, theirs)


def _judge_audited(
    filename: str, wheel: WheelFacts, evidence: PackageEvidence
) -> Iterator[Finding]:
    yield from judge_wheel(filename, wheel, evidence.bases, evidence.interfaces, evidence.excluded)
    yield from _judge_by_auditwheel(filename, wheel)


def _judge_by_auditwheel(filename: str, wheel: WheelFacts) -> Iterator[Finding]:
    """Yield a finding where auditwheel failed, or where it says that a wheel needs a newer glibc than its tags claim.

    Nothing is yielded where auditwheel was not asked, or either side names no glibc. Of a pure wheel it only says that
    this is none for it; one that holds native code is a finding of its own (WF312).
    """
    if is_pure_wheel(filename):
        return
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

        for finding in judge_load(abi_load, evidence.source.project, evidence.neighbours):
            yield replace(finding, bases=(base,), log=load.log)


def loaded_bases(facts: PackageFacts, abi: str) -> tuple[str, ...]:
    """Return the names of the bases on which a wheel of an ABI was installed and imported, whatever that showed."""
    bases: set[str] = set()
    for (_, base), load in facts.loads.items():
        abi_load = None if load is None else load.loads.get(abi)
        if abi_load is None:
            continue

        was_installed = abi_load.tried and abi_load.install is None
        if was_installed and abi_load.modules:
            bases.add(base)

    return tuple(sorted(bases))


def says_gil_stays_off(facts: PackageFacts, abi: str) -> bool:
    """Return whether importing the wheels of an ABI is said to leave the GIL off, on every base where it was tried."""
    states: set[bool | None] = set()
    for load in facts.loads.values():
        abi_load = None if load is None else load.loads.get(abi)
        if abi_load is None:
            continue
        for probe in abi_load.modules:
            if probe.gil is not None:
                states.add(probe.gil.after)

    return states == {False}


def judge_lack_of_loads(facts: PackageFacts, abi: str) -> Iterator[Finding]:
    """Yield a finding where no wheel of an ABI was imported on any base: then nothing shows that it works."""
    imported = False
    reasons: dict[str, str] = {}
    for (_, base), load in facts.loads.items():
        abi_load = None if load is None else load.loads.get(abi)
        reason = _explain_lack_of_load(abi_load, known=load is not None)
        imported = imported or not reason
        reasons.setdefault(base, reason)

    if imported:
        return

    detail = "; ".join(f"{base}: {reason}" for base, reason in reasons.items())
    yield Finding(code="WF417", detail=detail or "nothing was to be loaded", where="load")


def _explain_lack_of_load(load: AbiLoad | None, *, known: bool) -> str:
    """Return why a wheel was not imported on a base; empty where at least one of its modules was.

    Args:
        load: what the load job says of the ABI; None where it says nothing.
        known: whether the load job has a result.
    """
    if not known:
        return "the load job has no result"
    if load is None:
        return "no wheel of the package was there to load"
    if not load.claimed:
        return "its tags do not claim to run there"
    if load.missing:
        return f"it was not tried without {', '.join(load.missing)}"
    if load.install is not None:
        return "it did not install"

    has_imported = any(not probe.failed for probe in load.modules)
    return "" if has_imported else "none of its modules was imported"


# --- threads ----------------------------------------------------------------------------------------------------------


def judge_threads(evidence: PackageEvidence, facts: PackageFacts) -> Iterator[Finding]:
    """Yield findings of the race job (with the race detector) and of the exercise job (with the plain interpreter).

    A job that gave no facts is reported only where its base built the package: otherwise there was nothing to try.
    """
    race = evidence.race
    if race is not None and facts.race is not None:
        plain_harms = () if facts.exercise is None else facts.exercise.harms
        yield from _add_base(judge_race(facts.race, race.log, plain_harms), race)
    elif race is not None:
        yield from _undetermined_threads(race, facts)

    exercise = evidence.exercise
    if exercise is not None and facts.exercise is not None:
        unshared = () if facts.race is None else facts.race.unshared
        yield from _add_base(judge_exercise(facts.exercise, exercise.log, unshared), exercise)
    elif exercise is not None:
        yield from _undetermined_threads(exercise, facts)


def _undetermined_threads(evidence: Evidence, facts: PackageFacts) -> Iterator[Finding]:
    """Yield a finding for a thread job without a result; nothing where the build on its base has none either.

    A job that has a result, about a wheel that is not the package's, has nothing to say about the package.
    """
    base = _base_of(evidence)
    if not evidence.is_determined and facts.builds.get(base) is not None:
        yield _undetermined_finding(evidence, base)


def _add_base(findings: Iterable[Finding], evidence: Evidence) -> Iterator[Finding]:
    base = _base_of(evidence)
    for finding in findings:
        yield replace(finding, bases=(base,))


def _base_of(evidence: Evidence) -> str:
    """Return the base that a job ran on."""
    return evidence.job.base
