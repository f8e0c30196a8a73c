"""Verdicts -> which channel of the index serves which wheel. Pure. Why it is so: docs/decisions/0006-serving.md."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from builder.distributions.identity import explain_mismatch
from builder.distributions.tags import accepts_wheel
from builder.index import ServedFile
from builder.sources import Source
from builder.verdicts import Verdict
from builder.verdicts.codes import FindingCode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from builder.judge.package import JudgedPackage, Judgement

BASE_MISSING: FindingCode = "WF901"
"""Code of the finding "a base image is unavailable", which says nothing about the package itself."""


def is_admitted(judgement: Judgement, publish: Iterable[str]) -> bool:
    """Return whether a package's wheels for an ABI are served.

    That is so if policy serves wheels with this verdict. A verdict that is undetermined only because a base image was
    unavailable is no fault of the wheel either, provided that the wheel was imported on another base.

    Args:
        judgement: the verdict for one ABI, with its findings.
        publish: verdicts whose wheels are served.
    """
    if judgement.verdict.value in publish:
        return True

    deciding = [finding for finding in judgement.findings if finding.verdict is not None]
    only_bases_are_missing = bool(deciding) and all(
        finding.code == BASE_MISSING for finding in deciding
    )
    is_undetermined = judgement.verdict is Verdict.UNDETERMINED
    was_imported = bool(judgement.loaded_on)
    return is_undetermined and only_bases_are_missing and was_imported


def assign_channels(
    judged: Sequence[JudgedPackage],
    publish: Iterable[str],
    withheld: Mapping[str, Mapping[tuple[str, str], str]] | None = None,
) -> tuple[list[ServedFile], list[ServedFile]]:
    """Return the files to serve and the files to quarantine, in this order.

    In each list the wheels of a package's oldest base come first. Pure wheels (without native modules) that an admitted
    package requires are served too.

    Args:
        judged: packages with their verdicts.
        publish: verdicts whose wheels are served.
        withheld: by ABI, pure wheels that lack there what they need, and why; None for none.
    """
    allowed = frozenset(publish)
    served: list[ServedFile] = []
    quarantined: list[ServedFile] = []
    for package in judged:
        for judgement in package.abis.values():
            for wheel in judgement.wheels:
                if explain_mismatch(package.project, package.version, wheel.filename):
                    continue  # it is another package's, of whom nothing was judged

                reason = _refusal_reason(package, judgement, wheel.filename, allowed)
                file = ServedFile(
                    filename=wheel.filename,
                    sha256=wheel.sha256,
                    yanked=reason,
                    verdicts=_describe_verdicts(package, judgement, wheel.filename),
                )
                if reason:
                    quarantined.append(file)
                else:
                    served.append(file)
        for file in _find_pure_wheels(package, allowed, withheld or {}):
            if file.yanked:
                quarantined.append(file)
            else:
                served.append(file)

    return served, quarantined


def find_refused_releases(
    judged: Iterable[JudgedPackage], publish: Iterable[str]
) -> dict[tuple[str, str, str], str]:
    """Return the verdict of each release on an ABI that policy does not admit, by (project, version, ABI).

    Args:
        judged: packages with their verdicts.
        publish: verdicts whose wheels are served.
    """
    allowed = frozenset(publish)
    refused: dict[tuple[str, str, str], str] = {}
    for package in judged:
        for judgement in package.abis.values():
            if not is_admitted(judgement, allowed):
                key = (package.project, package.version, judgement.abi)
                refused[key] = judgement.verdict.value

    return refused


def collect_remarks(
    judged: Sequence[JudgedPackage],
    withheld: Mapping[str, Mapping[tuple[str, str], str]] | None = None,
) -> dict[str, dict[str, str]]:
    """Return the verdict and its reason, by ABI and project, as comments for constraints files.

    Packages with a good verdict get no remark, unless they are held back. Of a project with several versions each that
    gets one is named.

    Args:
        judged: packages with their verdicts.
        withheld: by ABI, pure wheels that lack there what they need, and why; None for none.
    """
    versions = Counter(package.project for package in judged)
    remarks: dict[str, dict[str, str]] = {}
    for package in judged:
        for judgement in package.abis.values():
            if judgement.verdict.is_good and not judgement.held:
                continue
            remark = f"{judgement.verdict.value}: {judgement.reason}"
            if judgement.held:
                remark = f"held back: {judgement.held}"
            if versions[package.project] > 1:
                remark = f"{package.version}: {remark}"
            of_abi = remarks.setdefault(judgement.abi, {})
            others = of_abi.get(package.project)
            of_abi[package.project] = f"{others}; {remark}" if others else remark

    for abi, reasons in (withheld or {}).items():
        for (project, _), reason in reasons.items():
            remarks.setdefault(abi, {}).setdefault(project, f"held back: {reason}")

    return remarks


def _refusal_reason(
    package: JudgedPackage, made_for: Judgement, filename: str, allowed: frozenset[str]
) -> str:
    """Return why a wheel is not served, with one reason for each ABI; empty if it is served.

    A wheel is served only if it is admitted for the ABI that it was made for, and for every ABI whose installers would
    take it: the two differ where its tags are not what was asked for. One that all of these hold back is not served
    either; where one ABI alone does, that ABI's constraints leave it out.

    Args:
        package: the package with its verdicts.
        made_for: the verdict for the ABI that the wheel was made for.
        filename: of the wheel.
        allowed: verdicts whose wheels are served.
    """
    reasons: list[str] = []
    held: list[str] = []
    is_installable = False
    for judgement in _iter_concerned(package, made_for, filename):
        if not is_admitted(judgement, allowed):
            verdict = judgement.verdict.value
            reasons.append(f"{verdict} on {judgement.abi}: {judgement.reason}")
        elif judgement.held:
            held.append(f"held back on {judgement.abi}: {judgement.held}")
        else:
            is_installable = True

    if not is_installable:
        reasons += held
    return "; ".join(reasons)


def _iter_concerned(
    package: JudgedPackage, made_for: Judgement, filename: str
) -> Iterator[Judgement]:
    """Iterate over the verdicts for the ABI that a wheel was made for, and for every ABI whose installers take it."""
    for judgement in package.abis.values():
        if judgement is made_for or accepts_wheel(filename, judgement.abi):
            yield judgement


def _describe_verdicts(package: JudgedPackage, made_for: Judgement, filename: str) -> str:
    """Return the verdicts that concern a wheel: `cp314 compatible, cp314t distinct`."""
    concerned = _iter_concerned(package, made_for, filename)
    return ", ".join(f"{judgement.abi} {judgement.verdict.value}" for judgement in concerned)


def _find_pure_wheels(
    package: JudgedPackage,
    allowed: frozenset[str],
    withheld: Mapping[str, Mapping[tuple[str, str], str]],
) -> list[ServedFile]:
    """Return the pure wheels (without native modules) that come with a package.

    The list is empty if the package has no source, or is admitted for no ABI. What lacks on every ABI what it needs is
    yanked.
    """
    source = package.source
    if not isinstance(source, Source):
        return []
    if not any(_is_served(judgement, allowed) for judgement in package.abis.values()):
        return []

    wheels = list(source.pure)
    if source.only_pure is not None:
        wheels.append(source.only_pure)

    own: list[ServedFile] = []
    for wheel in wheels:
        if explain_mismatch(wheel.name, wheel.version, wheel.filename):
            continue

        key = (canonicalize_name(wheel.name), wheel.version)
        reasons = [reasons[key] for reasons in withheld.values() if key in reasons]
        is_nowhere = bool(withheld) and len(reasons) == len(withheld)
        yanked = f"held back: {reasons[0]}" if is_nowhere else ""
        # What only comes with a package has no verdict of its own.
        verdicts = ""
        if wheel is source.only_pure:
            abis = package.abis.values()
            verdicts = ", ".join(f"{judgement.abi} {judgement.verdict.value}" for judgement in abis)
        file = ServedFile(
            filename=wheel.filename, sha256=wheel.sha256, yanked=yanked, verdicts=verdicts
        )
        own.append(file)

    return own


def _is_served(judgement: Judgement, allowed: frozenset[str]) -> bool:
    return is_admitted(judgement, allowed) and not judgement.held
