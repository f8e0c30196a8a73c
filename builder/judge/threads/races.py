"""Reports of the race detector -> findings. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from builder.evidence.events import Variants
from builder.judge.findings import Finding
from builder.judge.levels import assess_fault, shares_anything
from builder.judge.location import pair_locations, read_locations
from builder.judge.threads.sentences import (
    count_shown,
    describe_calls,
    describe_counts,
    describe_places,
    describe_race,
    describe_variants,
    list_changing,
    list_functions,
)
from builder.verdicts.levels import Consequence

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from builder.evidence.events import Race, ShownRace
    from builder.evidence.race import RaceFacts
    from builder.judge.location import Location
    from builder.verdicts.codes import FindingCode

_EFFECTS = {
    "tested": "one of them only asks whether something is there, and forgets what it read",
    "unchanged": "what is stored was there already, each time that it was stored",
}
"""Why a race harms nobody, by its effect."""


def judge_races(facts: RaceFacts, log: str) -> Iterator[Finding]:
    """Yield findings for the races of a package. Races are told by cause (causes.py), so that all of them count."""
    for race in facts.races:
        yield _race_finding(race, _find_alike(race, facts.races), log, facts.unshared)


def judge_advisories(facts: RaceFacts, log: str) -> Iterator[Finding]:
    """Yield findings for reports that show no mistake of the package.

    Of a cause that does harm, no access is said to harm nobody: the flag that says whether a table is ready is tested
    in passing, and the table is not ready.
    """
    harmful_causes = {race.cause for race in facts.races}
    for advisory in facts.advisory:
        if advisory.effect and advisory.cause in harmful_causes:
            continue
        yield _advisory_finding(advisory, _find_alike(advisory, facts.advisory), log)


def _find_alike(race: Race, races: Iterable[Race]) -> list[Race]:
    """Return the other races with the cause of one; none in older evidence, which says nothing about causes."""
    return [
        other for other in races if other is not race and race.cause and other.cause == race.cause
    ]


def _race_finding(
    race: ShownRace, alike: Sequence[Race], log: str, unshared: Sequence[str]
) -> Finding:
    """Return the finding for a race that a program of its own showed again.

    Args:
        race: the race.
        alike: others with the same cause, which are told with it.
        log: of the job.
        unshared: native callables that threads called while they shared nothing.
    """
    functions = list_functions(race.sides)
    calls = describe_calls(race.calls, functions)
    counts = describe_counts(race.shown, race.ran)
    variants = describe_variants(race.arms or Variants())
    places = describe_places([race, *alike]) if race.sides else ""
    fault = assess_fault(
        race.calls,
        race.arms,
        Consequence.FREED if race.freed else Consequence.RACE,
        came_again=count_shown(race.shown, race.ran),
        changing=list_changing([race, *alike]),
        functions=functions,
        unshared=unshared,
    )

    return Finding(
        code="WF604" if race.freed else "WF605",
        detail=f"{describe_race(race, alike)}{places}, when threads make {calls}{counts}{variants}",
        where=race.cause or _join_places(race),
        locations=_locate(race),
        log=log,
        script=race.script or "",
        short=race.short or "",
        race=True,
        cause=race.cause,
        functions=functions,
        places=tuple(race.places),
        also=_list_also(race),
        remedy=fault.remedy,
        calls=calls,
        threads=fault,
        shares=race.calls is not None and shares_anything(race.calls),
    )


def _advisory_finding(race: Race, alike: Sequence[Race], log: str) -> Finding:
    """Return the finding for a report of the detector that shows no mistake of the package.

    That code comes from a generator is only known by what its functions are called, which the package decides.

    Args:
        race: the report.
        alike: others with the same cause, which are told with it.
        log: of the job.
    """
    code: FindingCode = "WF624" if race.owner == "generator" else "WF606"
    detail = f"{race.kind}: {', '.join(race.lines)}"
    if alike:
        detail += f" and {len(alike)} more places"
    if race.known:
        detail += f"; {race.known}"
    if race.owner == "unwatched":
        detail += "; it goes through native code not compiled for the detector, which sees none of its locks"

    if race.lock_free:
        code = "WF607"
    elif race.effect:
        code = "WF629"
        detail += f"; {_EFFECTS[race.effect]}"

    return Finding(
        code=code,
        detail=detail,
        where=race.cause or _join_places(race),
        locations=_locate(race),
        log=log,
        also=_list_also(race),
    )


def _list_also(race: Race) -> tuple[str, ...]:
    """Return what a race would be called by itself, where it goes by the name of its cause."""
    return (_join_places(race),) if race.cause else ()


def _join_places(race: Race) -> str:
    """Return the functions that race, as part of a finding's id: they stay the same from release to release."""
    return " and ".join(race.places)


def _locate(race: Race) -> tuple[Location, ...]:
    if race.locations:
        return read_locations(race.locations)
    return pair_locations(race.places, race.lines)
