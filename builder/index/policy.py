"""Verdicts -> which channel of the index serves which wheel. Pure. Why it is so: docs/decisions/0006-serving.md."""

from __future__ import annotations

from typing import TYPE_CHECKING

from builder.distributions.tags import accepts_wheel
from builder.finding_codes import FindingCode
from builder.index import ServedFile
from builder.sources import Source
from builder.verdicts import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from builder.judge.package import JudgedPackage, Judgement

BASE_MISSING: FindingCode = "WF901"
"""The finding that says nothing about a package: a base could not be had."""


def is_admitted(judgement: Judgement, publish: Iterable[str]) -> bool:
    """Return whether a package's wheels for an ABI are served.

    An undetermined verdict is no fault of a wheel where all that is missing is a base that could not be had: what was
    found out on the bases that are there decides, provided that the wheel was imported on one.
    """
    if judgement.verdict.value in publish:
        return True
    forced = [finding for finding in judgement.findings if finding.verdict is not None]
    missing_bases = bool(forced) and all(finding.code == BASE_MISSING for finding in forced)
    return judgement.verdict is Verdict.UNDETERMINED and missing_bases and bool(judgement.loaded_on)


def assign_channels(
    judged: Sequence[JudgedPackage], publish: Iterable[str]
) -> tuple[list[ServedFile], list[ServedFile]]:
    """Sort every wheel into what is served and what is quarantined, those of the oldest base first.

    Args:
        judged: packages with their verdicts.
        publish: verdicts whose wheels are served.
    """
    allowed = frozenset(publish)
    served: list[ServedFile] = []
    quarantined: list[ServedFile] = []
    for package in judged:
        for judgement in package.abis.values():
            for wheel in judgement.wheels:
                reason = _refusal_reason(package, wheel.filename, allowed)
                target = quarantined if reason else served
                target.append(
                    ServedFile(filename=wheel.filename, sha256=wheel.sha256, yanked=reason)
                )
        served.extend(_pure_wheels(package, allowed))
    return served, quarantined


def collect_remarks(judged: Sequence[JudgedPackage]) -> dict[str, dict[str, str]]:
    """Return what an installer should know, by ABI and package: every verdict that is not plainly good, and why."""
    found: dict[str, dict[str, str]] = {}
    for package in judged:
        for judgement in package.abis.values():
            if not judgement.verdict.is_good:
                remark = f"{judgement.verdict.value}: {judgement.reason}"
                found.setdefault(judgement.abi, {})[package.name] = remark
    return found


def _refusal_reason(package: JudgedPackage, filename: str, allowed: frozenset[str]) -> str:
    """Return why a wheel is not served: it must be admitted for every ABI that would install it."""
    refused = [
        judgement
        for judgement in package.abis.values()
        if accepts_wheel(filename, judgement.abi) and not is_admitted(judgement, allowed)
    ]
    return "; ".join(f"{one.verdict.value} on {one.abi}: {one.reason}" for one in refused)


def _pure_wheels(package: JudgedPackage, allowed: frozenset[str]) -> Iterator[ServedFile]:
    """Give the pure wheels that an admitted package needs."""
    if not isinstance(package.source, Source) or not any(
        is_admitted(one, allowed) for one in package.abis.values()
    ):
        return
    only = package.source.only_pure
    for pure in (*package.source.pure, *((only,) if only else ())):
        yield ServedFile(filename=pure.filename, sha256=pure.sha256)
