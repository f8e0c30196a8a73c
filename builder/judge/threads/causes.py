"""One finding for one cause: findings about threads that have the same cause become one. Pure.

Which events have one cause is found out where they were seen (builder/inside/stress/sanitizer/causes.py), and whether
what the race detector saw and what the plain interpreter did are the same, here.
docs/decisions/0030-one-finding-per-cause.md.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from builder.judge.levels import join_faults
from builder.verdicts.levels import Consequence, Level, Need

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from builder.judge.findings import Finding
    from builder.verdicts.codes import FindingCode

_GRAVITY: tuple[FindingCode, ...] = ("WF601", "WF603", "WF604", "WF605", "WF615")
"""Codes of what can be one fault, the gravest first: the finding has the code of the gravest that was seen. A hang is
none of them: what threads wait for is no memory that they race for."""

_RACES: frozenset[FindingCode] = frozenset({"WF604", "WF605"})

_UNEXPLAINED: frozenset[FindingCode] = frozenset({"WF615", "WF621", "WF626"})
"""Codes of what may come of memory that threads have damaged before."""

_MOST_PLACES = 2  # a race has two sides

_COUNTED: dict[FindingCode, tuple[str, str]] = {
    "WF601": ("crash", "crashes"),
    "WF603": ("wrong result", "wrong results"),
    "WF604": ("race on freed memory", "races on freed memory"),
    "WF605": ("race", "races"),
    "WF615": ("failure that was seen once", "failures that were seen once"),
}


def fold_causes(findings: Iterable[Finding]) -> list[Finding]:
    """Return the findings with those of one cause joined into the gravest of them.

    A joined finding says how many it stands for, keeps the names that the others had (`also`), and takes the program of
    another where it has none itself.
    """
    groups: list[list[Finding]] = []
    others: list[Finding] = []
    for finding in findings:
        is_known = bool(finding.cause or finding.functions)
        if finding.code not in _GRAVITY or not is_known:
            others.append(finding)
            continue

        # It may join causes that seemed to be two, as a crash in one function does with the races of that.
        alike = [group for group in groups if _has_same_cause(finding, group)]
        groups = [group for group in groups if group not in alike]
        groups.append([*(member for group in alike for member in group), finding])

    return [*(_join(group) for group in groups), *others]


def settle_by_type(findings: Sequence[Finding]) -> list[Finding]:
    """Return the findings, of which those of a type that breaks when it is shared need no less than that.

    A type that takes no lock has many faults, and not each comes again when less is shared: what was settled for one
    of its methods holds for the others, if theirs were seen on shared objects as well.

    Args:
        findings: about threads.
    """
    broken_types: set[str] = set()
    for finding in findings:
        is_settled = finding.threads is not None and finding.threads.needs is Need.OBJECT
        if is_settled and not finding.advisory:
            broken_types |= _list_types(finding)

    settled: list[Finding] = []
    for finding in findings:
        fault, types = finding.threads, _list_types(finding)
        is_open = fault is not None and fault.needs is Need.UNKNOWN and finding.shares
        if fault is not None and is_open and types and types <= broken_types:
            fault = replace(fault, needs=Need.OBJECT)
            settled.append(replace(finding, threads=fault, remedy=fault.remedy))
        else:
            settled.append(finding)

    return settled


def _list_types(finding: Finding) -> set[str]:
    """Return the dotted names of what the functions of a finding belong to."""
    return {function.rpartition(".")[0] for function in finding.functions}


def explain_failures(findings: Sequence[Finding]) -> list[Finding]:
    """Return the findings, of which those that a fault explains force no verdict beside that.

    Threads that damage an object which they share may do it anywhere and at any time: a failure that was seen once, or
    a process that ended early, tells nothing more where they shared one as well. It is another matter where they
    shared none.

    Args:
        findings: about threads.
    """
    is_explained = any(_is_harm_by_sharing(finding) for finding in findings)
    if not is_explained:
        return list(findings)

    explained: list[Finding] = []
    for finding in findings:
        if finding.code in _UNEXPLAINED and finding.shares and not finding.advisory:
            detail = f"{finding.detail}; the fault of shared objects that was shown explains it"
            explained.append(replace(finding, advisory=True, detail=detail))
        else:
            explained.append(finding)

    return explained


def _is_harm_by_sharing(finding: Finding) -> bool:
    """Return whether a finding is about harm that came again, and that threads do to what they share.

    Memory that is used after it was given back is such harm, whether or not a program of its own showed it.
    """
    fault = finding.threads
    if fault is None or finding.advisory:
        return False

    came_again = bool(finding.script) or fault.consequence is Consequence.FREED
    return came_again and fault.consequence.is_harm and fault.level is Level.DISTINCT


def _has_same_cause(finding: Finding, group: Sequence[Finding]) -> bool:
    """Return whether a finding has the cause of others: the same name, or harm in a function that they are about."""
    for other in group:
        if other.advisory != finding.advisory:
            continue
        has_same_name = bool(finding.cause) and other.cause == finding.cause
        # Which races have one cause was decided with their stacks at hand.
        are_races = other.code in _RACES and finding.code in _RACES
        shares_function = not set(other.functions).isdisjoint(finding.functions)
        if has_same_name or (shares_function and not are_races):
            return True

    return False


def _join(group: Sequence[Finding]) -> Finding:
    """Return one finding for several of one cause."""
    ranked = sorted(group, key=lambda finding: (_GRAVITY.index(finding.code), not finding.script))
    first = ranked[0]
    if len(ranked) == 1:
        return first

    by_code: dict[FindingCode, list[Finding]] = {}
    for finding in ranked[1:]:
        by_code.setdefault(finding.code, []).append(finding)
    parts = []
    for code, alike in by_code.items():
        singular, plural = _COUNTED[code]
        more = "more " if code == first.code else ""
        places = "" if first.code in _RACES else _describe_common_places(alike)
        parts.append(f"{len(alike)} {more}{singular if len(alike) == 1 else plural}{places}")

    threads = join_faults([finding.threads for finding in ranked if finding.threads is not None])
    shown = next((finding for finding in ranked if finding.script), first)
    also = [name for finding in ranked for name in (finding.where, *finding.also)]
    functions = [name for finding in ranked for name in finding.functions]
    return replace(
        first,
        detail=f"{first.detail}; with the same cause: {', '.join(parts)}",
        also=tuple(name for name in dict.fromkeys(also) if name != first.where),
        functions=tuple(dict.fromkeys(functions)),
        script=shown.script,
        short=shown.short,
        calls=shown.calls or first.calls,
        race=shown.race,
        locations=shown.locations or first.locations,
        remedy=first.remedy if threads is None else threads.remedy,
        threads=threads,
    )


def _describe_common_places(findings: Sequence[Finding]) -> str:
    """Return in which functions of native code most of some races are, to be added to their count.

    Harm is told by the calls that showed it; where it comes from is what its races have in common. Empty for what is no
    race, and where races have nothing in common.
    """
    counts: Counter[str] = Counter()
    for finding in findings:
        if finding.code in _RACES:
            counts.update(dict.fromkeys(finding.places, 1))

    common = [
        place for place, count in counts.most_common(_MOST_PLACES) if 2 * count > len(findings)
    ]
    if not common:
        return ""

    share = "in" if all(counts[place] == len(findings) for place in common) else "most in"
    return f" [{share} {' and '.join(common)}]"
