"""Facts of the speed job -> how fast a package's native calls are, as ratios, or why that cannot be said. Pure.

How it is measured, and when a figure is withheld: docs/decisions/0012-speed-alone.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median, quantiles
from typing import TYPE_CHECKING

from builder.evidence.speed import SpeedFacts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from builder.evidence.speed import MeasuredCall, Reason
    from builder.store.evidence import Evidence

MIN_CPU_SHARE = 0.75
"""Share of the CPUs that a loop of pure Python must have got: with less, figures tell of other programs."""
MAX_SPREAD = 0.5
"""Spread of a call's ratios from round to round (between quartiles, by the median) above which they mean nothing."""
MIN_ROUNDS = 3
"""Fewest rounds that say anything."""
_DIGITS = 2  # of a ratio: machines are not steadier than a hundredth

_REASONS: dict[Reason, str] = {
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
    """Judge how fast a package is; None where nobody asked, or there is no wheel."""
    if evidence is None:
        return None
    if not evidence.is_determined:
        return Speed(why=f"not measured: {evidence.reason}")

    facts = SpeedFacts.read(evidence)
    if facts.wheel is None:
        return None
    if facts.unknown is not None:
        return Speed(why=f"not measured: {facts.unknown}")

    cpus = int(facts.cpus or 0)
    if facts.gil:
        why = "not measured: the package turns the GIL on, so threads take turns"
        return Speed(tried=facts.tried, cpus=cpus, why=why)
    if facts.plain is None or not facts.calls or facts.rounds < MIN_ROUNDS:
        why = f"not measured: {_explain_too_few(facts)}"
        return Speed(tried=facts.tried, cpus=cpus, why=why)

    return _judge_measurements(facts, facts.plain, cpus)


def _judge_measurements(facts: SpeedFacts, plain: MeasuredCall, cpus: int) -> Speed:
    """Compare the calls' figures, and leave out those that say nothing.

    Args:
        facts: what was measured.
        plain: a loop of pure Python, which shows what the machine had to give.
        cpus: how many there are.
    """
    free, *others = plain.rates  # the free-threaded ABI comes first
    with_gil = others[0] if others else None
    baseline = with_gil or free
    reasons: list[str] = []
    if with_gil is None:
        reasons.append(_explain_no_baseline(facts))

    machine = {threads: median(ratios) for threads, ratios in _iter_ratios(plain, free, free)}
    throughput, unsteady = _summarize_throughput(facts.calls, baseline)
    busy = _explain_busy_machine(machine, cpus)
    if busy or 2 * unsteady > len(facts.calls):
        throughput = {}
        differed = f"ratios of {unsteady} of {len(facts.calls)} calls differed too much from round to round"
        reasons.append(f"throughput is not said: {busy or differed}")

    cost: Ratio | None = None
    plain_cost: float | None = None
    if with_gil is not None:
        costs = _steady_costs(facts.calls, free, with_gil)
        if costs:
            cost = _summarize(costs)
            plain_cost = round(median(_cost_ratios(plain, free, with_gil)), _DIGITS)
        else:
            reasons.append(
                "the cost on one thread is not said: it differed too much from round to round"
            )

    return Speed(
        calls=len(facts.calls),
        tried=facts.tried,
        cpus=cpus,
        baseline=baseline,
        throughput=throughput,
        machine={threads: round(ratio, _DIGITS) for threads, ratio in machine.items()},
        cost=cost,
        plain_cost=plain_cost,
        why="; ".join(reasons),
    )


# --- why a figure is left out -----------------------------------------------------------------------------------------


def _explain_too_few(facts: SpeedFacts) -> str:
    if not facts.tried:
        return "no call is known that could be measured"
    if facts.calls or not facts.left_out:
        return f"there was time for {facts.rounds} rounds only"

    counts = [f"{count} {_REASONS[reason]}" for reason, count in sorted(facts.left_out.items())]
    return f"of {facts.tried} calls {', '.join(counts)}"


def _explain_no_baseline(facts: SpeedFacts) -> str:
    reason = "there is no wheel for the GIL"
    if facts.install:
        reason = f"its wheel for the GIL does not install ({facts.install})"

    return f"{reason}, so there is nothing to compare with"


def _explain_busy_machine(machine: Mapping[int, float], cpus: int) -> str:
    """Return why the machine had too little to give for threads to show anything; empty where it had enough."""
    if cpus <= 1:
        return "there is one CPU only"

    for threads, ratio in machine.items():
        if ratio < MIN_CPU_SHARE * min(threads, cpus):
            return f"the machine was busy, {threads} threads of pure Python did {ratio:.2f} times the work of one"

    return ""


# --- ratios -----------------------------------------------------------------------------------------------------------


def _summarize_throughput(
    calls: Sequence[MeasuredCall], baseline: str
) -> tuple[dict[str, dict[int, Ratio]], int]:
    """Return ratios by ABI and threads over the calls that are steady, and how many are not."""
    steady: list[dict[tuple[str, int], float]] = []
    for call in calls:
        ratios = _throughput_ratios(call, baseline)
        if all(_is_steady(rounds) for rounds in ratios.values()):
            steady.append({way: median(rounds) for way, rounds in ratios.items()})

    summary: dict[str, dict[int, Ratio]] = {}
    if steady:
        for abi, threads in steady[0]:
            of_calls = [medians[abi, threads] for medians in steady]
            summary.setdefault(abi, {})[threads] = _summarize(of_calls)

    return summary, len(calls) - len(steady)


def _throughput_ratios(call: MeasuredCall, baseline: str) -> dict[tuple[str, int], list[float]]:
    """Return the ratios of every round, by ABI and number of threads."""
    ratios: dict[tuple[str, int], list[float]] = {}
    for abi in call.rates:
        for threads, rounds in _iter_ratios(call, abi, baseline):
            ratios[abi, threads] = rounds

    return ratios


def _iter_ratios(call: MeasuredCall, abi: str, baseline: str) -> Iterator[tuple[int, list[float]]]:
    """Yield by number of threads the throughput of a call by that of one thread of the baseline, round by round."""
    ones = call.rates[baseline][1]
    for threads, rates in call.rates[abi].items():
        yield threads, [rate[0] / one[0] for rate, one in zip(rates, ones, strict=True)]


def _steady_costs(calls: Iterable[MeasuredCall], free: str, with_gil: str) -> list[float]:
    """Return the cost of each call whose ratios are steady."""
    costs: list[float] = []
    for call in calls:
        ratios = _cost_ratios(call, free, with_gil)
        if _is_steady(ratios):
            costs.append(median(ratios))

    return costs


def _cost_ratios(call: MeasuredCall, free: str, with_gil: str) -> list[float]:
    """Return the CPU time of a call without the GIL by that with it, round by round."""
    rounds = zip(call.rates[free][1], call.rates[with_gil][1], strict=True)
    return [gil_rate[1] / free_rate[1] for free_rate, gil_rate in rounds]


def _is_steady(ratios: Sequence[float]) -> bool:
    low, middle, high = quantiles(ratios, n=4)
    return high - low <= MAX_SPREAD * middle


def _summarize(ratios: Iterable[float]) -> Ratio:
    ordered = sorted(ratios)
    return Ratio(
        low=round(ordered[0], _DIGITS),
        median=round(median(ordered), _DIGITS),
        high=round(ordered[-1], _DIGITS),
    )
