"""What is reported of a search for races: what was learnt, what was played, and how many chances a race had."""

from collections.abc import Sequence
from typing import Any

from .measure.speed_calls import choose_calls
from .own_tests.amplify import Amplified
from .play import reached
from .play.player import PlayResult, adapt_for_sanitizer
from .play.scenarios import Scenario

_LEARNT_FACTS = ("prelude", "failed", "callables", "reached", "fatal", "complete")
"""What of a surface is a fact; the rest is for the plan alone."""


def describe_surface(surface: dict[str, Any]) -> dict[str, Any]:
    """Return what is reported of a surface, i.e. of what learn.py found out about how to call a distribution.

    Args:
        surface: what learn.py wrote.

    Returns:
        The entries of the surface that `_LEARNT_FACTS` names; `stateful`, how many native callables work on an object;
        and `calls`: calls whose speed is worth measuring.
    """
    facts = {name: surface[name] for name in _LEARNT_FACTS}
    stateful = len(set(surface["callables"]).difference(surface["stateless"]))
    return {**facts, "stateful": stateful, "calls": choose_calls(surface)}


def describe_coverage(
    plan: Sequence[Scenario],
    played: PlayResult,
    surface: dict[str, Any],
    amplified: Amplified,
    *,
    left_out: int = 0,
) -> dict[str, Any]:
    """Return how many scenarios were run, and which native callables returned in several threads.

    Args:
        plan: the scenarios that were planned.
        played: what was seen of those that were run.
        surface: what learn.py wrote.
        amplified: what came of own tests and examples.
        left_out: how many there were more than the effort has room for.

    Returns:
        `scenarios` (how many were planned), `played` (how many came to their end), `late` (how many were not begun),
        `kinds` (the first two, of each kind), `gil` (whether the GIL was ever on), `under_threads` (names of native
        callables, sorted) and `unshared` (the same of those that returned while threads shared nothing).
    """
    # What ended its process was played as well.
    ended = {*played.ended, *(event["scenario"] for event in played.events)}
    kinds: dict[str, list[int]] = {}
    for scenario in plan:
        counts = kinds.setdefault(scenario["kind"], [0, 0])
        counts[0] += 1
        counts[1] += scenario["id"] in ended

    natives = reached.find_reached(plan, played.returned, surface)
    unshared = reached.find_unshared(plan, played.returned, surface)
    return {
        "scenarios": len(plan),
        "played": sum(came_to_end for _, came_to_end in kinds.values()),
        "late": played.late + left_out,
        "kinds": kinds,
        "gil": played.gil,
        "under_threads": sorted(natives | amplified.returned),
        "unshared": sorted(unshared),
    }


def count_trials(plan: Sequence[Scenario], ended: set[str], amplified: Amplified) -> dict[str, int]:
    """Return how many chances a race had to show itself while several threads made calls under the sanitizer.

    Args:
        plan: the scenarios, each of which says what calls its threads make at the same time.
        ended: ids of the scenarios that came to their end; others may have been cut short, and do not count.
        amplified: what came of own tests and examples.

    Returns:
        `pairs`: in how many scenarios two operations were tried against each other on one object, and how many pairs
        own tests and examples gave.
        `side_by_side`: how many calls one thread made beside the calls of the others, in a typical scenario (the
        median of all that count, the upper one of two; 0 where none counts).
    """
    pairs = 0
    calls_per_thread: list[int] = []  # an entry for each scenario that counts
    for scenario in plan:
        has_ended = scenario["id"] in ended
        is_threaded = scenario["threads"] > 1
        # What is marked `once`, such as the first use of a module, cannot be repeated: it is a single chance.
        is_repeated = not scenario.get("once")
        if not (has_ended and is_threaded and is_repeated):
            continue

        if scenario["kind"] == "pair":
            pairs += 1
        # The sanitizer is slow: scenarios make fewer calls under it than the plan says.
        as_played = adapt_for_sanitizer(scenario)
        calls_per_thread.append(as_played["iterations"])

    calls_per_thread.sort()
    median = calls_per_thread[len(calls_per_thread) // 2] if calls_per_thread else 0
    return {"pairs": pairs + len(amplified.pairs), "side_by_side": median}
