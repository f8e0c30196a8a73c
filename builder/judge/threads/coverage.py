"""How much of a package's native code was put under threads, by a detector that has proven itself. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from builder.judge.findings import Finding
from builder.verdicts.wording import join_names

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from builder.evidence.exercise import ExerciseFacts
    from builder.evidence.race import Preflight, RaceFacts
    from builder.evidence.scenarios import Surface

MIN_COVERAGE = 0.5
"""Share of the native callables that must have been called by threads for `compatible`."""

_MAX_MISSED = 6  # callables named of those that threads did not call


@dataclass(frozen=True, kw_only=True, slots=True)
class ThreadCoverage:
    """How much native code was put under threads.

    Attributes:
        callables: native callables there are.
        alone: those that could be called at all.
        under_threads: those that threads called, with the race detector watching.
        pairs: pairs of operations that threads tried on one object.
        side_by_side: calls that each thread made while the others called, too, in one trial of such a pair.
        detector: whether the race detector watched and had proven itself.
        unwatched: scenarios that threads played without it.
        stateful: whether any of them works on an object, so that there are pairs to be tried.
        kinds: of each kind of scenario, how many there are and how many the race detector watched to their end.
        amplified: native calls of own tests and examples that threads made as well.
    """

    callables: int = 0
    alone: int = 0
    under_threads: int = 0
    pairs: int = 0
    side_by_side: int = 0
    detector: bool = False
    unwatched: int = 0
    stateful: bool = False
    kinds: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    amplified: int = 0

    @property
    def is_sufficient(self) -> bool:
        """Whether finding nothing means something."""
        has_callables = self.callables > 0
        covers_enough = self.under_threads >= MIN_COVERAGE * self.callables
        # What works on objects has to have been tried against something else on one of them.
        has_pairs = self.pairs > 0 or not self.stateful

        return self.detector and has_callables and covers_enough and has_pairs

    def miss_probability(self, rarity: int) -> float:
        """Return the probability that one trial misses a race that shows on average once in `rarity` calls."""
        return float((1 - 1 / rarity) ** self.side_by_side)


def measure_coverage(race: RaceFacts | None, exercise: ExerciseFacts | None) -> ThreadCoverage:
    """Return how much of a package's native code threads called, by the facts of the race and exercise jobs.

    All numbers are 0 where the race job found no surface, i.e. list of the package's native callables. `detector` is
    true only if the detector has proven itself and the exercise with the plain interpreter was done as well.
    """
    if race is None or race.surface is None:
        return ThreadCoverage()

    callables = set(race.surface.callables)
    was_exercised = exercise is not None and exercise.done
    unwatched = exercise.played if exercise is not None else 0

    return ThreadCoverage(
        callables=len(callables),
        alone=len(callables.intersection(race.surface.reached)),
        under_threads=len(callables.intersection(race.under_threads)),
        pairs=race.pairs,
        side_by_side=race.side_by_side,
        detector=is_proven(race.preflight) and was_exercised,
        unwatched=unwatched,
        stateful=bool(race.surface.stateful),
        kinds=race.kinds,
        amplified=race.amplified.trials if race.amplified is not None else 0,
    )


def judge_coverage(facts: RaceFacts, surface: Surface, log: str) -> Iterator[Finding]:
    """Yield findings where threads called fewer native callables than `compatible` asks for, or not side by side."""
    callables = set(surface.callables)
    missed = sorted(callables.difference(facts.under_threads))
    called = len(callables) - len(missed)

    if called < MIN_COVERAGE * len(callables):
        names = join_names(missed, _MAX_MISSED)
        detail = f"threads called {called} of {len(callables)} native callables; not {names}"
        yield Finding(code="WF611", detail=detail, where="surface", log=log)
    elif surface.stateful and not facts.pairs:
        detail = "no two operations were tried against each other on one object"
        yield Finding(code="WF611", detail=detail, where="pairs", log=log)

    late_kinds = [kind for kind, (planned, played) in facts.kinds.items() if planned and not played]
    if late_kinds:
        names = join_names(sorted(late_kinds), _MAX_MISSED)
        detail = f"there was no time for scenarios of these kinds: {names}"
        yield Finding(code="WF611", detail=detail, where="kinds", log=log)


def is_proven(preflight: Preflight | None) -> bool:
    """Return whether the detector reported what is wrong in known faulty programs and nothing in a known clean one.

    Only a detector that does all that can be believed when it reports nothing about a package.
    """
    return preflight is not None and describe_preflight(preflight) is None


def describe_preflight(preflight: Preflight | None) -> str | None:
    """Return what the detector did that it should not; None where it did all as it should."""
    if preflight is None or not preflight.racy_seen:
        return "did not see a race that is there"
    # In older evidence this is None.
    if preflight.freed_seen is False:
        return "did not see that an object is used which another thread frees"
    if not preflight.clean_silent:
        return "saw a race where there is none"
    return None
