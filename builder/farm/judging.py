"""From the evidence of a run to a verdict for each package and ABI."""

from __future__ import annotations

from typing import TYPE_CHECKING

from builder.config import catalog
from builder.config.matrix import select_thread_target
from builder.judge import interfaces
from builder.judge.package import judge_fault, judge_package
from builder.judge.stages import PackageEvidence
from builder.plan.packages import PackageJobs, group_by_package

if TYPE_CHECKING:
    from collections.abc import Mapping

    from builder.config.matrix import Matrix
    from builder.judge.package import JudgedPackage
    from builder.sources import Source, Sources
    from builder.store.evidence import Evidence
    from builder.store.job_ids import JobId


def judge_packages(
    matrix: Matrix, resolved: Sources, evidence: Mapping[JobId, Evidence]
) -> tuple[JudgedPackage, ...]:
    """Judge every package of a run.

    Args:
        matrix: the matrix.
        resolved: packages with a source, and those without.
        evidence: of all jobs.

    Returns:
        Packages in the order of the matrix; those that they require follow by name.
    """
    table = catalog.load()
    abis = [table.abis[name] for name in matrix.abis]
    judged = [judge_fault(fault, abis) for fault in resolved.faults.values()]

    jobs_of = group_by_package(evidence)
    for source in resolved.found.values():
        jobs = jobs_of.get(source.name, PackageJobs())
        judged.append(judge_package(_collect_evidence(matrix, source, jobs, evidence), abis))

    order = {name: number for number, name in enumerate(matrix.packages)}

    def place(package: JudgedPackage) -> tuple[int, str]:
        return order.get(package.name, len(order)), package.name

    return tuple(sorted(judged, key=place))


def _collect_evidence(
    matrix: Matrix, source: Source, jobs: PackageJobs, evidence: Mapping[JobId, Evidence]
) -> PackageEvidence:
    """Return what a package is judged by.

    Args:
        matrix: the matrix.
        source: the package's source.
        jobs: the jobs about the package.
        evidence: of all jobs.
    """
    table = catalog.load()
    package = matrix.packages.get(source.name)
    thread_target = select_thread_target(matrix, table)
    thread_base = thread_target[0].name if thread_target else ""
    built_on = matrix.build_on if source.only_pure is None else ()

    loads: dict[tuple[str, str], Evidence] = {}
    system: dict[str, tuple[str, ...]] = {}
    for base in built_on:
        system[base] = package.apt_packages(table.bases[base]) if package else ()
        for loaded_on in matrix.bases:
            loads[base, loaded_on] = evidence[jobs.loads[base, loaded_on]]

    def on_thread_base(by_base: Mapping[str, JobId]) -> Evidence | None:
        return evidence[by_base[thread_base]] if thread_base in by_base else None

    return PackageEvidence(
        source=source,
        builds={base: evidence[jobs.builds[base]] for base in built_on},
        audits={base: evidence[jobs.audits[base]] for base in built_on},
        loads=loads,
        skip={} if package is None else package.skip,
        bases=tuple(table.bases[base] for base in matrix.bases),
        interfaces=interfaces.load(),
        race=on_thread_base(jobs.races),
        exercise=on_thread_base(jobs.exercises),
        speed=on_thread_base(jobs.speeds),
        remedies={base: evidence[jobs.remedies[base]] for base in built_on},
        system=system,
    )
