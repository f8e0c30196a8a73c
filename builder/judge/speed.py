"""Facts of the speed job -> how fast a package's native calls are, as ratios, or why that cannot be said. Pure.

How it is measured, and when a figure is withheld: docs/decisions/0012-speed-alone.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median, quantiles
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from builder.store.evidence import Evidence

    Facts = Mapping[str, Any]

MIN_CPU_SHARE = 0.75
"""Share of the CPUs that a loop of pure Python must have got: with less, figures tell of other programs."""
MAX_SPREAD = 0.5
"""Spread of a call's ratios from round to round (between quartiles, by the median) above which they mean nothing."""
MIN_ROUNDS = 3
"""Fewest rounds that say anything."""

_REASONS = {
    "raises": "raised an exception",
    "slow": "too slow to be repeated",
    "short": "too short to be told from the interpreter's own work",
    "uneven": "slower the more often they are made",
    "ends": "ended the process or did not end",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Ratio:
    """The least, the median and the greatest of the calls' ratios."""

    low: float
    median: float
    high: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Speed:
    """How fast a package's native calls are.

    Attributes:
        calls: how many were measured.
        tried: how many were meant to be.
        cpus: how many CPUs the calls could use.
        baseline: the ABI whose throughput on one thread counts as 1.
        throughput: by ABI and number of threads, each with objects of its own.
        machine: what threads of pure Python reached without the GIL meanwhile, by their number; one counts as 1.
        cost: CPU time of a call on one thread without the GIL, by that with the GIL.
        plain_cost: the same for a loop of pure Python.
        why: what is not said, and why; empty where all is.
    """

    calls: int = 0
    tried: int = 0
    cpus: int = 0
    baseline: str = ""
    throughput: Mapping[str, Mapping[int, Ratio]] = field(default_factory=dict)
    machine: Mapping[int, float] = field(default_factory=dict)
    cost: Ratio | None = None
    plain_cost: float | None = None
    why: str = ""


def judge_speed(evidence: Evidence | None) -> Speed | None:
    """Say how fast a package is, or None where nobody asked."""
    if evidence is None:
        return None
    if not evidence.is_determined:
        return Speed(why=f"not measured: {evidence.reason}")
    facts = evidence.facts
    if facts["wheel"] is None:
        return None
    if (why := facts["unknown"]) is not None:
        return Speed(why=f"not measured: {why}")
    return _judge_measurements(facts)


def _judge_measurements(facts: Facts) -> Speed:
    calls, tried, cpus = facts["calls"], facts["tried"], int(facts["cpus"])
    if facts["gil"]:
        return Speed(
            tried=tried,
            cpus=cpus,
            why="not measured: the package turns the GIL on, so threads take turns",
        )
    if facts["plain"] is None or not calls or facts["rounds"] < MIN_ROUNDS:
        return Speed(tried=tried, cpus=cpus, why=f"not measured: {_explain_too_few(facts)}")
    free, *others = list(facts["plain"]["rates"])
    machine = {threads: median(ratios) for threads, ratios in _ratios(facts["plain"], free, free)}
    missing = [] if others else [_explain_no_baseline(facts)]
    throughput, unsteady = _throughput(calls, others[0] if others else free)
    if (want := _explain_busy_machine(machine, cpus)) or 2 * unsteady > len(calls):
        throughput = {}
        differed = (
            f"ratios of {unsteady} of {len(calls)} calls differed too much from round to round"
        )
        missing.append(f"throughput is not said: {want or differed}")
    costs = [_cost(call, free, others[0]) for call in calls] if others else []
    steady = [median(ratios) for ratios in costs if _is_steady(ratios)]
    if costs and not steady:
        missing.append(
            "the cost on one thread is not said: it differed too much from round to round"
        )
    return Speed(
        calls=len(calls),
        tried=tried,
        cpus=cpus,
        baseline=others[0] if others else free,
        throughput=throughput,
        machine={threads: round(ratio, 2) for threads, ratio in machine.items()},
        cost=_summarize(steady) if steady else None,
        plain_cost=round(median(_cost(facts["plain"], free, others[0])), 2) if steady else None,
        why="; ".join(missing),
    )


def _explain_too_few(facts: Facts) -> str:
    if not facts["tried"]:
        return "no call is known that could be measured"
    if not facts["calls"]:
        found = [
            f"{count} {_REASONS[reason]}" for reason, count in sorted(facts["left_out"].items())
        ]
        return f"of {facts['tried']} calls {', '.join(found)}"
    return f"there was time for {facts['rounds']} rounds only"


def _explain_no_baseline(facts: Facts) -> str:
    failed = facts["install"]
    found = (
        f"its wheel for the GIL does not install ({failed})"
        if failed
        else "there is no wheel for the GIL"
    )
    return f"{found}, so there is nothing to compare with"


def _explain_busy_machine(machine: Mapping[int, float], cpus: int) -> str:
    """Say whether the machine had too little to give for threads to show anything."""
    if cpus <= 1:
        return "there is one CPU only"
    for threads, ratio in machine.items():
        if ratio < MIN_CPU_SHARE * min(threads, cpus):
            return f"the machine was busy, {threads} threads of pure Python did {ratio:.2f} times the work of one"
    return ""


def _throughput(calls: Sequence[Facts], baseline: str) -> tuple[dict[str, dict[int, Ratio]], int]:
    """Return ratios by ABI and threads over the calls that are steady, and how many are not."""
    steady: list[dict[tuple[str, int], float]] = []
    for call in calls:
        found = {
            (abi, threads): ratios
            for abi in call["rates"]
            for threads, ratios in _ratios(call, abi, baseline)
        }
        if all(_is_steady(ratios) for ratios in found.values()):
            steady.append({way: median(ratios) for way, ratios in found.items()})
    ways: dict[str, dict[int, Ratio]] = {}
    for abi, threads in steady[0] if steady else ():
        ways.setdefault(abi, {})[threads] = _summarize([call[abi, threads] for call in steady])
    return ways, len(calls) - len(steady)


def _ratios(call: Facts, abi: str, baseline: str) -> Iterator[tuple[int, list[float]]]:
    """Give the throughput of a call by that of one thread of the baseline, round by round, by number of threads."""
    ones = call["rates"][baseline]["1"]
    for threads, rates in call["rates"][abi].items():
        yield int(threads), [rate[0] / one[0] for rate, one in zip(rates, ones, strict=True)]


def _cost(call: Facts, free: str, other: str) -> list[float]:
    """Return the CPU time of a call without the GIL by that with it, round by round."""
    rates = call["rates"]
    return [
        with_gil[1] / without[1]
        for without, with_gil in zip(rates[free]["1"], rates[other]["1"], strict=True)
    ]


def _is_steady(ratios: Sequence[float]) -> bool:
    low, middle, high = quantiles(ratios, n=4)
    return high - low <= MAX_SPREAD * middle


def _summarize(ratios: Iterable[float]) -> Ratio:
    found = sorted(ratios)
    return Ratio(low=round(found[0], 2), median=round(median(found), 2), high=round(found[-1], 2))
