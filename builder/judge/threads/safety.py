"""Findings under threads -> how safe a package and each of its native callables is, in numbers and in words. Pure.

Why levels and not alarms: docs/decisions/0028-levels-instead-of-alarm.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from builder.judge.threads.headlines import ENDS, SHARED_THINGS
from builder.verdicts.levels import Consequence, Level, Need
from builder.verdicts.wording import join_names, name_types

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from builder.judge.findings import Finding
    from builder.judge.levels import ThreadFault
    from builder.judge.threads.statements import UpstreamWords
    from builder.verdicts.codes import FindingCode

_MAX_NAMED = 3  # callables in a sentence

_LEVELS_OF_CODES: Mapping[FindingCode, Level] = {
    "WF413": Level.COMPATIBLE,  # concurrent imports share nothing that a user has made
}
"""Levels of what forces a verdict about threads and was not found by calls of the farm's own."""

_ABOUT_THREADS = "WF6"
"""How codes begin of what was found under threads; what of it forces a verdict, and of which nothing more is known,
leaves the level unknown."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CallableSafety:
    """How safe a native callable is, or a type where a fault is named after that.

    Attributes:
        needs: what threads have to share for its faults to show; None where none was seen.
        consequence: the worst that its faults do; None where none was seen.
        findings: ids of the findings about it.
    """

    name: str
    level: Level
    needs: Need | None = None
    consequence: Consequence | None = None
    findings: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class ThreadSafety:
    """How safe a package is under threads.

    Attributes:
        level: of the package.
        sentence: what that means, for someone who knows no C.
        callables: what is known of each native callable that threads called, the least safe first.
        not_tried: native callables that threads did not call, sorted.
        upstream: what the project says of it itself; None where it says nothing.
    """

    level: Level
    sentence: str
    callables: tuple[CallableSafety, ...] = ()
    not_tried: tuple[str, ...] = ()
    upstream: UpstreamWords | None = None


def assess_package(
    findings: Iterable[Finding],
    under_threads: Iterable[str],
    callables: Iterable[str],
    *,
    is_reach_sufficient: bool,
    has_gil: bool,
) -> ThreadSafety:
    """Return how safe a package is under threads.

    Args:
        findings: about the package on a free-threaded ABI.
        under_threads: native callables that threads called under the race detector.
        callables: all native callables.
        is_reach_sufficient: whether finding nothing means something.
        has_gil: whether importing it turns the GIL on: then nothing is known of how it does without.
    """
    faults = [(finding, finding.threads) for finding in findings if finding.threads is not None]
    rows = _collect_rows(faults)
    with_faults = tuple(rows)

    tried = set(under_threads)
    for name in sorted(tried):
        is_covered = any(name == row or name.startswith(f"{row}.") for row in with_faults)
        if not is_covered:
            level = Level.SHARED if is_reach_sufficient else Level.UNKNOWN
            rows[name] = CallableSafety(name=name, level=level)

    level = _choose_level(findings, is_reach_sufficient=is_reach_sufficient, has_gil=has_gil)
    worst_first = sorted(rows.values(), key=lambda row: (-row.level.rank, row.name))
    not_tried = tuple(sorted(set(callables) - tried))

    return ThreadSafety(
        level=level,
        sentence=_explain(level, worst_first, len(tried), len(not_tried), has_gil=has_gil),
        callables=tuple(worst_first),
        not_tried=not_tried,
    )


def _collect_rows(
    faults: Iterable[tuple[Finding, ThreadFault]],
) -> dict[str, CallableSafety]:
    """Return what faults say of each callable, by its name."""
    rows: dict[str, CallableSafety] = {}
    for finding, fault in faults:
        for name in finding.functions or fault.names:
            row = CallableSafety(
                name=name,
                level=fault.level,
                needs=fault.needs,
                consequence=fault.consequence,
                findings=(finding.id,),
            )
            earlier = rows.get(name)
            rows[name] = row if earlier is None else _join_rows(earlier, row)

    return rows


def _join_rows(first: CallableSafety, second: CallableSafety) -> CallableSafety:
    """Return what two faults say of one callable: the worst of both."""
    worse = max((first, second), key=lambda row: row.level.rank)
    consequences = [row.consequence for row in (first, second) if row.consequence is not None]

    return CallableSafety(
        name=first.name,
        level=worse.level,
        needs=worse.needs,
        consequence=max(consequences, key=lambda consequence: consequence.rank),
        findings=(*first.findings, *second.findings),
    )


def _choose_level(
    findings: Iterable[Finding], *, is_reach_sufficient: bool, has_gil: bool
) -> Level:
    """Return the level of a package: the least safe of what was seen, and `shared` only where enough was tried."""
    levels = [Level.SHARED if is_reach_sufficient and not has_gil else Level.UNKNOWN]
    for finding in findings:
        if finding.advisory:
            continue
        if finding.threads is not None:
            levels.append(finding.threads.level)
        elif finding.code in _LEVELS_OF_CODES:
            levels.append(_LEVELS_OF_CODES[finding.code])
        elif finding.code.startswith(_ABOUT_THREADS) and finding.verdict is not None:
            levels.append(Level.UNKNOWN)

    return max(levels, key=lambda level: level.rank)


# --- in words ---------------------------------------------------------------------------------------------------------


def _explain(
    level: Level, rows: Sequence[CallableSafety], tried: int, not_tried: int, *, has_gil: bool
) -> str:
    """Return in a sentence what a level means for who uses the package."""
    reach = f"{tried} of its {tried + not_tried} native callables were called by several threads"
    if level is Level.SHARED:
        return f"threads may share its objects: {reach}, and nothing broke"
    if level in {Level.COMPATIBLE, Level.INCOMPATIBLE}:
        return "; ".join(_explain_broken(rows, level)) or "it breaks although threads share nothing"

    sharing = "; ".join(_explain_sharing(rows))
    if level is Level.DISTINCT:
        return f"safe as long as no two threads use the same object: {sharing}"
    if has_gil:
        return "it turns the GIL on, so nothing is known of how it does without"

    # What was seen comes before what is not known.
    parts = list(_explain_unsettled(rows))
    if sharing:
        parts.append(sharing)
    parts.append(f"it is not known whether threads may share its objects: {reach}")
    return "; ".join(parts)


def _explain_unsettled(rows: Iterable[CallableSafety]) -> Iterator[str]:
    """Yield what breaks though nobody knows what threads have to share for that, the worst first."""
    unsettled = [row for row in rows if row.needs is Need.UNKNOWN]
    for consequence in reversed(Consequence):
        names = [row.name for row in unsettled if row.consequence is consequence]
        if names:
            listed = join_names(names, _MAX_NAMED)
            yield f"when several threads call {listed}, {ENDS[consequence]}; what they share for that was not settled"


def _explain_broken(rows: Sequence[CallableSafety], level: Level) -> Iterator[str]:
    """Yield what breaks although threads share nothing, the worst first, and what to do."""
    broken = [row for row in rows if row.level in {Level.COMPATIBLE, Level.INCOMPATIBLE}]
    for consequence in reversed(Consequence):
        names = [row.name for row in broken if row.consequence is consequence]
        if names:
            listed = join_names(names, _MAX_NAMED)
            what = ENDS[consequence]
            yield f"when several threads call {listed}, {what}, even if each has objects of its own"

    if broken and level is Level.COMPATIBLE:
        yield "one lock round every such call helps, or calling it from one thread only"
    elif broken:
        yield "not even a lock round every such call helps: call it from one thread only"


def _explain_sharing(rows: Sequence[CallableSafety]) -> Iterator[str]:
    """Yield what threads must not share, and what happens if they do."""
    for need, what in SHARED_THINGS.items():
        of_need = [row for row in rows if row.level is Level.DISTINCT and row.needs is need]
        if not of_need:
            continue

        consequences = [row.consequence for row in of_need if row.consequence is not None]
        worst = max(consequences, key=lambda consequence: consequence.rank)
        names = [row.name for row in of_need]
        if need is not Need.ARGUMENT:
            names = name_types(names)
        sharing = what.format(names=join_names(names, _MAX_NAMED))
        yield f"if threads {sharing}, {ENDS[worst]}"
