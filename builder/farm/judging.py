"""From the evidence of a run to a verdict for each package and ABI."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from builder.config import catalog
from builder.config.matrix import select_thread_target
from builder.evidence.audit import AuditFacts
from builder.evidence.base import EvidenceError
from builder.judge import interfaces
from builder.judge.import_remedies import Neighbours
from builder.judge.mended import name_mended
from builder.judge.package import judge_fault, judge_package, judge_unreadable
from builder.judge.package_evidence import PackageEvidence
from builder.judge.wheel.installs import Owners
from builder.plan.packages import PackageJobs, group_by_package
from builder.store.job_ids import JobKind
from builder.untrusted.names import UntrustedNameError, parse_requirement
from builder.untrusted.package_names import project_of
from builder.untrusted.text import clean_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from builder.config.catalog import Abi
    from builder.config.matrix import Matrix
    from builder.evidence.audit import WheelFacts
    from builder.judge.package import JudgedPackage
    from builder.judge.ways_out import PastBuild
    from builder.sources import Source, Sources
    from builder.store.evidence import Evidence
    from builder.store.job_ids import JobId

_MAX_DETAIL = 300
"""Characters of an exception in a finding: enough to name the field that could not be read."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Known:
    """What a package is judged by beside the evidence of its own jobs.

    Attributes:
        owners: who in the run brings which packages and modules.
        past_builds: what builds of it in earlier runs came to, by ABI.
        neighbours: the other packages of the run.
    """

    owners: Owners
    past_builds: Mapping[str, PastBuild]
    neighbours: Neighbours


def judge_packages(
    matrix: Matrix,
    resolved: Sources,
    evidence: Mapping[JobId, Evidence],
    past_builds: Mapping[str, Mapping[str, PastBuild]] | None = None,
    pure_modules: Mapping[str, Sequence[str]] | None = None,
) -> tuple[JudgedPackage, ...]:
    """Judge every package of a run for each ABI of the matrix.

    A package without a source gets the verdict of its fault, i.e. of the reason why no source could be used.

    Args:
        matrix: the packages, bases and ABIs of the run.
        resolved: the sources of the packages, and the faults of those without one.
        evidence: results of all jobs of the run, by job id.
        past_builds: what builds in earlier runs came to, by package and ABI, for advice.
        pure_modules: which pure packages bring a module, by the first part of its name, for advice.

    Returns:
        Packages in the order of the matrix; those that are only required by others follow, sorted by name.
    """
    catalog_tables = catalog.load()
    abis = [catalog_tables.abis[name] for name in matrix.abis]
    judged = [judge_fault(fault, abis) for fault in resolved.faults.values()]

    extras = find_extras(resolved.found.values())
    jobs_by_package = group_by_package(evidence)
    owners = Owners.collect(_iter_audited(evidence))
    modules = _join_modules(owners, pure_modules or {})
    for source in resolved.found.values():
        jobs = jobs_by_package.get(source.name, PackageJobs())
        known = _Known(
            owners=owners,
            past_builds=(past_builds or {}).get(source.name, {}),
            neighbours=Neighbours(
                extra_of=tuple(extras.get(source.project, ())),
                modules=modules,
            ),
        )
        judged.append(_judge_guarded(matrix, source, jobs, evidence, abis, known))

    matrix_positions = {name: position for position, name in enumerate(matrix.packages)}

    def sort_key(package: JudgedPackage) -> tuple[int, str]:
        return matrix_positions.get(package.name, len(matrix_positions)), package.name

    return tuple(sorted(name_mended(judged), key=sort_key))


def find_extras(sources: Iterable[Source]) -> dict[str, list[str]]:
    """Return by package those whose metadata names it in an extra: `psycopg-c; extra == "c"` of psycopg."""
    extras: dict[str, list[str]] = {}
    for source in sources:
        for text in source.requires:
            # Most requirements are of no extra, and parsing them takes time.
            if "extra" not in text:
                continue
            try:
                requirement = parse_requirement(text)
            except UntrustedNameError:
                continue  # what is wrong with it is said where it is resolved
            if requirement.marker is not None and "extra ==" in str(requirement.marker):
                named = extras.setdefault(canonicalize_name(requirement.name), [])
                if source.project not in named:
                    named.append(source.project)

    return extras


def _join_modules(
    owners: Owners, pure_modules: Mapping[str, Sequence[str]]
) -> dict[str, tuple[str, ...]]:
    """Return which packages bring a module, by the first part of its name: those that were audited, and pure ones."""
    bringers: dict[str, dict[str, None]] = {}
    for root, packages in owners.packages.items():
        top = root.partition("/")[0]
        bringers.setdefault(top, {}).update(dict.fromkeys(packages))
    for top, pure_packages in pure_modules.items():
        bringers.setdefault(top, {}).update(dict.fromkeys(pure_packages))

    return {top: tuple(names) for top, names in bringers.items()}


def _judge_guarded(
    matrix: Matrix,
    source: Source,
    jobs: PackageJobs,
    evidence: Mapping[JobId, Evidence],
    abis: Sequence[Abi],
    known: _Known,
) -> JudgedPackage:
    """Return the judgement of one package; whatever is raised meanwhile becomes its own finding and ends nothing else.

    Facts come from containers and from other machines: there may always be some that no rule expects.
    """
    try:
        collected = _collect_evidence(matrix, source, jobs, evidence)
        collected = replace(
            collected,
            owners=known.owners,
            past_builds=known.past_builds,
            neighbours=known.neighbours,
        )
        return judge_package(collected, abis)
    except Exception as error:  # that is the guard
        detail = clean_line(f"{type(error).__name__}: {error}", _MAX_DETAIL)
        return judge_unreadable(source, detail, abis)


def _iter_audited(evidence: Mapping[JobId, Evidence]) -> Iterator[tuple[str, WheelFacts]]:
    """Iterate over (project, facts) of every wheel that was audited.

    Evidence that cannot be read is skipped: the judgement of its own package says so.
    """
    for job, recorded in evidence.items():
        if job.kind != JobKind.AUDIT or not recorded.is_determined:
            continue
        try:
            wheels = AuditFacts.read(recorded).wheels
        except EvidenceError:
            continue
        for wheel in wheels.values():
            yield project_of(job.name), wheel


def _collect_evidence(
    matrix: Matrix, source: Source, jobs: PackageJobs, evidence: Mapping[JobId, Evidence]
) -> PackageEvidence:
    """Return everything that one package is judged by, selected from the evidence of the whole run.

    Thread tests and speed tests ran on one base only, the thread base; their evidence is None if that job was not
    planned. A package with only a pure wheel (one without native modules) was not built, so it has no builds, audits or
    loads.

    Args:
        matrix: the packages, bases and ABIs of the run.
        source: the package's source.
        jobs: ids of the jobs about the package.
        evidence: results of all jobs of the run, by job id.
    """
    catalog_tables = catalog.load()
    settings = matrix.packages.get(source.name)
    thread_target = select_thread_target(matrix, catalog_tables)
    thread_base = thread_target[0].name if thread_target else ""
    built_on = matrix.build_on if source.only_pure is None else ()

    loads: dict[tuple[str, str], Evidence] = {}
    apt_packages: dict[str, tuple[str, ...]] = {}
    for base in built_on:
        apt_packages[base] = settings.apt_packages(catalog_tables.bases[base]) if settings else ()
        for loaded_on in matrix.bases:
            loads[base, loaded_on] = evidence[jobs.loads[base, loaded_on]]

    def on_thread_base(ids_by_base: Mapping[str, JobId]) -> Evidence | None:
        """Return the result of the job on the thread base; None if no such job was planned."""
        job_id = ids_by_base.get(thread_base)
        if job_id is None:
            return None

        return evidence[job_id]

    return PackageEvidence(
        source=source,
        builds={base: evidence[jobs.builds[base]] for base in built_on},
        audits={base: evidence[jobs.audits[base]] for base in built_on},
        loads=loads,
        skip={} if settings is None else settings.skip,
        bases=tuple(catalog_tables.bases[base] for base in matrix.bases),
        interfaces=interfaces.load(),
        race=on_thread_base(jobs.races),
        exercise=on_thread_base(jobs.exercises),
        speed=on_thread_base(jobs.speeds),
        remedies={base: evidence[jobs.remedies[base]] for base in built_on},
        system=apt_packages,
        excluded=() if settings is None else settings.exclude,
        after=() if settings is None else settings.import_after,
        pure=() if settings is None else settings.pure,
    )
