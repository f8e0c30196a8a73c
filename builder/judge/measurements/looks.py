"""When to look at a measurement that goes on, and how sure each look has to be.

Whoever looks after every round finds a difference sooner or later. So the looks are planned, and share the error: by
the spending function of K. Kim and D. L. DeMets ("Design and Analysis of Group Sequential Tests Based on the Type I
Error Spending Rate Function", 1987), of which each look spends its part as Bonferroni would. This bounds the error
whatever the looks have in common. Boundaries that count on normal increments (S. J. Pocock, 1977) are a bit narrower.
"""

from __future__ import annotations

from dataclasses import dataclass

from builder.judge.measurements.intervals import MAX_PAIRS, count_least_pairs

DEFAULT_ERROR = 0.05
"""How likely any metric of a variant is called worse or better although it is not: 1 in 20 at most, where its change is
as large as the threshold. Equal builds are blamed far more rarely: benchmarks/measurements.py counts how often."""
_SPENDING_POWER = 3
"""The error spent by a share of the rounds is the share to this power: early looks are for what is plain to see."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """A moment at which what was measured is judged.

    Attributes:
        rounds: how many are done then.
        error: what this look adds to the chance of a wrong claim about any metric.
    """

    rounds: int
    error: float


def plan_looks(
    *, most_rounds: int, metrics: int, looks: int = 4, error: float = DEFAULT_ERROR
) -> tuple[Look, ...]:
    """Return the looks, evenly spread from the first that can decide anything to the last.

    Args:
        most_rounds: when measuring ends, at the latest.
        metrics: how many are judged together.
        looks: how many looks there are at most; fewer where there are few rounds.
        error: what all looks together may add up to.

    Returns:
        Nothing where so few rounds cannot decide: `count_least_rounds` says how many could.

    Raises:
        ValueError: a number is not in its range.
    """
    if not 1 <= most_rounds <= MAX_PAIRS:
        raise ValueError(f"expected 1 to {MAX_PAIRS} rounds, not {most_rounds}")
    if metrics < 1 or looks < 1 or not 0 < error < 1:
        raise ValueError(
            f"expected metrics, looks and an error in (0, 1), not {metrics}, {looks}, {error}"
        )

    first = _find_first_look(most_rounds, metrics, looks, error)
    if first is None:
        return ()

    places = {most_rounds}
    for number in range(looks - 1):
        places.add(first + round((most_rounds - first) * number / (looks - 1)))

    plan: list[Look] = []
    spent = 0.0
    for rounds in sorted(places):
        total = _spend(rounds, most_rounds, error)
        plan.append(Look(rounds=rounds, error=total - spent))
        spent = total
    return tuple(plan)


def count_least_rounds(*, metrics: int, error: float = DEFAULT_ERROR) -> int:
    """Return how many rounds it takes to decide anything, in a single look."""
    return count_least_pairs(error / 2 / metrics)


def _find_first_look(most_rounds: int, metrics: int, looks: int, error: float) -> int | None:
    """Return after how many rounds an interval exists for the first time; None where never."""
    if looks > 1:
        for rounds in range(1, most_rounds):
            tail = _spend(rounds, most_rounds, error) / 2 / metrics
            if count_least_pairs(tail) <= rounds:
                return rounds

    is_enough = count_least_rounds(metrics=metrics, error=error) <= most_rounds
    return most_rounds if is_enough else None


def _spend(rounds: int, most_rounds: int, error: float) -> float:
    """Return how much of the error may be spent by then."""
    return error * (rounds / most_rounds) ** _SPENDING_POWER
