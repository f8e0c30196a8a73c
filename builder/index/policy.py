"""Verdicts -> which channel of the index serves which wheel. Pure. Why it is so: docs/decisions/0006-serving.md."""

from __future__ import annotations

from typing import TYPE_CHECKING

from builder.distributions.tags import serves
from builder.index import Served
from builder.sources import Source
from builder.verdicts import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from builder.judge.package import Judged, Judgement

_PLAIN = frozenset({Verdict.COMPATIBLE, Verdict.UNPROVEN})

BASE_MISSING = "WF901"
"""The finding that says nothing about a package: a base could not be had."""


def admits(judgement: Judgement, publish: Iterable[str]) -> bool:
    """Return whether a package's wheels for an ABI are served.

    An undetermined verdict is no fault of a wheel where all that is missing is a base that could not be had: what was
    found out on the bases that are there decides, provided that the wheel was imported on one.
    """
    if judgement.verdict.value in publish:
        return True
    forced = [finding for finding in judgement.findings if finding.verdict is not None]
    missing_bases = bool(forced) and all(finding.code == BASE_MISSING for finding in forced)
    return judgement.verdict is Verdict.UNDETERMINED and missing_bases and bool(judgement.loaded_on)


def channels(judged: Sequence[Judged], publish: Iterable[str]) -> tuple[list[Served], list[Served]]:
    """Sort every wheel into what is served and what is quarantined, those of the oldest base first.

    Args:
        judged: packages with their verdicts.
        publish: verdicts whose wheels are served.
    """
    allowed = frozenset(publish)
    served: list[Served] = []
    quarantined: list[Served] = []
    for package in judged:
        for judgement in package.abis.values():
            for wheel in judgement.wheels:
                reason = _refusal(package, wheel.filename, allowed)
                target = quarantined if reason else served
                target.append(Served(filename=wheel.filename, sha256=wheel.sha256, yanked=reason))
        served.extend(_pure(package, allowed))
    return served, quarantined


def remarks(judged: Sequence[Judged]) -> dict[str, dict[str, str]]:
    """Return what an installer should know, by ABI and package: every verdict that is not plainly good, and why."""
    found: dict[str, dict[str, str]] = {}
    for package in judged:
        for judgement in package.abis.values():
            if judgement.verdict not in _PLAIN:
                remark = f"{judgement.verdict.value}: {judgement.reason}"
                found.setdefault(judgement.abi, {})[package.name] = remark
    return found


def _refusal(package: Judged, filename: str, allowed: frozenset[str]) -> str:
    """Return why a wheel is not served: it must be admitted for every ABI that would install it."""
    refused = [
        judgement
        for judgement in package.abis.values()
        if serves(filename, judgement.abi) and not admits(judgement, allowed)
    ]
    return "; ".join(f"{one.verdict.value} on {one.abi}: {one.reason}" for one in refused)


def _pure(package: Judged, allowed: frozenset[str]) -> Iterator[Served]:
    """Give the pure wheels that an admitted package needs."""
    if not isinstance(package.source, Source) or not any(
        admits(one, allowed) for one in package.abis.values()
    ):
        return
    only = package.source.only_pure
    for pure in (*package.source.pure, *((only,) if only else ())):
        yield Served(filename=pure.filename, sha256=pure.sha256)
