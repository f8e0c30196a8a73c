"""Which release of a project mends a fault under threads, where the same run judged several releases of it. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from packaging.version import Version

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from builder.judge.findings import Finding
    from builder.judge.package import JudgedPackage, Judgement


def name_mended(judged: Iterable[JudgedPackage]) -> list[JudgedPackage]:
    """Return judged packages whose faults under threads name the next release that was tried and did not show them.

    Only what threads called of that release counts: what was not tried there is not mended.
    """
    packages = list(judged)
    projects: dict[str, list[JudgedPackage]] = {}
    for package in packages:
        if package.version:
            projects.setdefault(package.project, []).append(package)

    return [_name_in_package(package, projects.get(package.project, ())) for package in packages]


def _name_in_package(package: JudgedPackage, releases: Sequence[JudgedPackage]) -> JudgedPackage:
    """Return a package with the release that mends it in the remedy of each of its faults under threads."""
    if len(releases) < 2 or not package.version:  # noqa: PLR2004 - itself and another
        return package

    version = Version(package.version)
    newer = [release for release in releases if Version(release.version) > version]
    newer.sort(key=lambda release: Version(release.version))

    judgements: dict[str, Judgement] = {}
    for abi, judgement in package.abis.items():
        findings = [_name_in_finding(finding, abi, newer) for finding in judgement.findings]
        judgements[abi] = replace(judgement, findings=tuple(findings))

    return replace(package, abis=judgements)


def _name_in_finding(finding: Finding, abi: str, newer: Iterable[JudgedPackage]) -> Finding:
    for release in newer:
        judgement = release.abis.get(abi)
        if judgement is not None and _is_mended(finding, judgement):
            remedy = (
                f"Take release {release.version}: it was tried here too, and did not show this."
            )
            return replace(finding, remedy=f"{remedy} Or: {finding.remedy or finding.kind.remedy}")

    return finding


def _is_mended(finding: Finding, judgement: Judgement) -> bool:
    """Return whether threads called all that a fault is about in another release, and nothing broke there."""
    if finding.threads is None or not finding.threads.names or judgement.safety is None:
        return False

    unbroken = {row.name for row in judgement.safety.callables if row.needs is None}
    return judgement.coverage.is_sufficient and unbroken.issuperset(finding.threads.names)
