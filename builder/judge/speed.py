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
        plain_cost: the same ratio for a loop of pure Python, to compare `cost` with.
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
    """Return how fast a package's native calls are, as ratios between ABIs and numbers of threads.

    None where nobody asked for it or there is no wheel. Where nothing could be measured, all that is returned is why.
    """
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
    """Return the ratios of the measured calls; a figure that would mean nothing is left out, and `why` says so.

    Throughput is left out where the machine was busy or most calls are unsteady, the cost on one thread where no call
    is steady or there is no wheel for the GIL.

    Args:
        facts: what was measured.
        plain: a loop of pure Python, which shows what the machine had to give.
        cpus: how many there are.
    """
    free_abi, *other_abis = plain.rates  # the free-threaded ABI comes first
    gil_abi = other_abis[0] if other_abis else None
    baseline = gil_abi or free_abi
    reasons: list[str] = []  # why figures are left out
    if gil_abi is None:
        reasons.append(_explain_no_baseline(facts))

    machine = {
        threads: median(ratios) for threads, ratios in _iter_ratios(plain, free_abi, free_abi)
    }
    throughput, unsteady_count = _summarize_throughput(facts.calls, baseline)
    busy_reason = _explain_busy_machine(machine, cpus)
    most_are_unsteady = 2 * unsteady_count > len(facts.calls)
    if busy_reason or most_are_unsteady:
        throughput = {}
        calls = f"{unsteady_count} of {len(facts.calls)} calls"
        unsteady_reason = f"ratios of {calls} differed too much from round to round"
        reasons.append(f"throughput is not said: {busy_reason or unsteady_reason}")

    cost: Ratio | None = None
    plain_cost: float | None = None
    if gil_abi is not None:
        costs = _steady_costs(facts.calls, free_abi, gil_abi)
        if costs:
            cost = _summarize(costs)
            plain_cost = round(median(_cost_ratios(plain, free_abi, gil_abi)), _DIGITS)
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
    """Return why too little was measured: no known call, no time for enough rounds, or no call could be measured."""
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
    """Return why the machine could not show what threads gain; empty where it had enough CPU time to give.

    `machine` has by number of threads how much more pure Python they did than one thread without the GIL; about as much
    as there are threads or CPUs is expected.
    """
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
    """Return throughput ratios by ABI and number of threads, and how many calls are not steady.

    A call is steady if its ratios differ little from round to round, for every ABI and number of threads. Each ratio is
    summarized over the steady calls alone; without one the first result is empty.
    """
    steady: list[dict[tuple[str, int], float]] = []
    for call in calls:
        ratios = _throughput_ratios(call, baseline)
        if all(_is_steady(rounds) for rounds in ratios.values()):
            steady.append({setup: median(rounds) for setup, rounds in ratios.items()})

    summary: dict[str, dict[int, Ratio]] = {}
    if steady:
        for abi, threads in steady[0]:
            ratios_of_calls = [medians[abi, threads] for medians in steady]
            summary.setdefault(abi, {})[threads] = _summarize(ratios_of_calls)

    return summary, len(calls) - len(steady)


def _throughput_ratios(call: MeasuredCall, baseline: str) -> dict[tuple[str, int], list[float]]:
    """Return by (ABI, number of threads) the throughput ratio of one call in every round."""
    ratios: dict[tuple[str, int], list[float]] = {}
    for abi in call.rates:
        for threads, rounds in _iter_ratios(call, abi, baseline):
            ratios[abi, threads] = rounds

    return ratios


def _iter_ratios(call: MeasuredCall, abi: str, baseline: str) -> Iterator[tuple[int, list[float]]]:
    """Yield for each number of threads a call's throughput on an ABI divided by that of one thread of the baseline.

    There is one ratio a round, of the two measurements made in that round.
    """
    baseline_rates = call.rates[baseline][1]
    for threads, rates in call.rates[abi].items():
        yield threads, [rate[0] / base[0] for rate, base in zip(rates, baseline_rates, strict=True)]


def _steady_costs(calls: Iterable[MeasuredCall], free_abi: str, gil_abi: str) -> list[float]:
    """Return the median cost ratio of each call whose ratios differ little from round to round.

    The cost is the CPU time of a call on one thread without the GIL, divided by that with the GIL.
    """
    costs: list[float] = []
    for call in calls:
        ratios = _cost_ratios(call, free_abi, gil_abi)
        if _is_steady(ratios):
            costs.append(median(ratios))

    return costs


def _cost_ratios(call: MeasuredCall, free_abi: str, gil_abi: str) -> list[float]:
    """Return for every round the CPU time of a call on one thread without the GIL, divided by that with the GIL.

    Rates are calls per second of CPU time, so the ratio of times is the inverse of the ratio of rates.
    """
    rounds = zip(call.rates[free_abi][1], call.rates[gil_abi][1], strict=True)
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
