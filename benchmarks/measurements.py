"""How often the comparison of variants and the search for leaks are right, on simulated machines and processes.

Usage: python -m benchmarks.measurements [COMPARISONS] [SERIES]

COMPARISONS (1,000 by default) is how many are made with each change, SERIES (1,000) how many clean series there are,
and how many with a leak of each size, spread evenly over machines and shapes. Nothing is timed: the figures depend on
the seed alone.
"""

from __future__ import annotations

import math
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from builder.config.metrics import METRICS
from builder.config.thresholds import Direction
from builder.judge.measurements.answers import Answer
from builder.judge.measurements.decision import decide
from builder.judge.measurements.leaks import LeakAnswer, judge_leak
from builder.judge.measurements.looks import plan_looks
from builder.judge.measurements.measurement import Measurement
from builder.judge.measurements.quantiles import compute_round_quantiles
from builder.judge.measurements.resources import RESOURCES, UsageSample

SEED = 20
MOST_ROUNDS = 40
COMPARED = ("p50", "p75", "p95", "p99", "throughput", "cpu", "rss_peak", "import")
QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
CHANGES = {"equal": 1.0, "2 % slower": 1.02, "8 % slower": 1.08}
SAMPLES = 3600  # an hour, a sample a second
LEAK_SIZES = (3.0, 6.0, 12.0)  # growth over the run, in standard deviations of a sample


@dataclass(frozen=True, kw_only=True)
class Machine:
    """The noise of one measurement on a machine, as a standard deviation of its logarithm, and what else befalls it."""

    name: str
    noise: float
    drift: float = 0.0  # of the logarithm, over all rounds
    steps: float = 0.0  # of the frequency, shared by a round
    modes: float = 0.0  # a round is slow by this, for each variant by itself
    outliers: float = 0.0  # share of measurements that take 2 to 10 times as long


MACHINES = (
    Machine(name="quiet", noise=0.01 / math.sqrt(2)),
    Machine(name="usual", noise=0.02 / math.sqrt(2)),
    Machine(name="3 % noise", noise=0.03 / math.sqrt(2)),
    Machine(name="3 %, drifts by 20 %", noise=0.03 / math.sqrt(2), drift=0.2),
    Machine(name="3 %, frequency steps", noise=0.03 / math.sqrt(2), steps=0.15),
    Machine(name="2 %, outliers in 5 %", noise=0.02 / math.sqrt(2), outliers=0.05),
    Machine(name="1 %, two modes of 4 %", noise=0.01 / math.sqrt(2), modes=0.04),
    Machine(name="5 % noise", noise=0.05 / math.sqrt(2)),
    Machine(name="10 % noise", noise=0.1 / math.sqrt(2)),
    Machine(name="10 %, outliers in 10 %", noise=0.1 / math.sqrt(2), outliers=0.1, drift=0.3),
)


def simulate(machine: Machine, change: float, chance: random.Random) -> list[Measurement]:
    """Return rounds of a baseline and a variant; only the first metric differs, the others are equal."""
    measurements: list[Measurement] = []
    for number, name in enumerate(COMPARED):
        metric = METRICS[name]
        worse = change if number == 0 else 1.0
        if metric.direction is Direction.MORE:
            worse = 1 / worse
        base: list[float] = []
        variant: list[float] = []
        frequency = 0.0
        for place in range(MOST_ROUNDS):
            if machine.steps and chance.random() < 0.1:
                frequency = chance.uniform(-machine.steps, machine.steps)
            shared = frequency + machine.drift * place / MOST_ROUNDS
            base.append(measure(machine, shared, chance))
            variant.append(worse * measure(machine, shared, chance))
        values = {"baseline": tuple(base), "variant": tuple(variant)}
        measurements.append(Measurement(metric=metric, values=values))
    return measurements


def measure(machine: Machine, shared: float, chance: random.Random) -> float:
    value = math.exp(shared + chance.gauss(0.0, machine.noise))
    if machine.modes and chance.random() < 0.5:
        value *= 1 + machine.modes
    if machine.outliers and chance.random() < machine.outliers:
        value *= chance.uniform(2, 10)
    return value


def count_comparisons(count: int) -> None:
    """Print what is said of each change, by machine."""
    chance = random.Random(SEED)
    plan = plan_looks(most_rounds=MOST_ROUNDS, metrics=len(COMPARED))
    print("looks:", ", ".join(f"{look.rounds} rounds" for look in plan))
    print("change | machine | comparisons | it flagged | another flagged | same | median rounds")
    for change, factor in CHANGES.items():
        total: Counter[str] = Counter()
        for machine in MACHINES:
            seen: Counter[str] = Counter()
            rounds: list[int] = []
            for _ in range(count // len(MACHINES)):
                measurements = simulate(machine, factor, chance)
                decision = decide(measurements, plan, rounds=MOST_ROUNDS, baseline="baseline")
                first, *others = decision.comparisons
                seen["made"] += 1
                seen["flagged"] += first.answer is Answer.WORSE
                seen["better"] += first.answer is Answer.BETTER
                seen["blamed"] += any(other.answer.is_change for other in others)
                seen["same"] += first.answer is Answer.SAME
                if first.answer is not Answer.UNKNOWN:
                    rounds.append(first.rounds)
            total += seen
            middle = str(sorted(rounds)[len(rounds) // 2]) if rounds else "undecided"
            print_counts(change, machine.name, seen, middle)
        print_counts(change, "all", total, "")


def print_counts(change: str, machine: str, seen: Counter[str], rounds: str) -> None:
    made = seen["made"]
    shares = [f"{100 * seen[key] / made:.2f} %" for key in ("flagged", "blamed", "same")]
    print(" | ".join((change, machine, str(made), *shares, rounds)), flush=True)


def count_latencies(count: int) -> None:
    """Print what is said of quantiles of heavy-tailed latencies: 1,000 calls a round, 2 % of them a Pareto tail."""
    chance = random.Random(SEED)
    plan = plan_looks(most_rounds=MOST_ROUNDS, metrics=len(QUANTILES))
    print("\nlatencies | comparisons | " + " | ".join(f"{name} flagged" for name in QUANTILES))
    for change, factor in CHANGES.items():
        flagged: Counter[str] = Counter()
        for _ in range(count):
            latencies = {
                "baseline": [draw_latencies(1.0, chance) for _ in range(MOST_ROUNDS)],
                "variant": [draw_latencies(factor, chance) for _ in range(MOST_ROUNDS)],
            }
            measurements: list[Measurement] = []
            for name, share in QUANTILES.items():
                quantiles = compute_round_quantiles(latencies, share)
                assert quantiles is not None
                measurement = Measurement(
                    metric=METRICS[name],
                    values=quantiles.values,
                    rounds_per_value=quantiles.rounds_per_value,
                )
                measurements.append(measurement)
            decision = decide(measurements, plan, rounds=MOST_ROUNDS, baseline="baseline")
            for comparison in decision.comparisons:
                flagged[comparison.metric] += comparison.answer.is_change
        shares = [f"{100 * flagged[name] / count:.2f} %" for name in QUANTILES]
        print(" | ".join((change, str(count), *shares)), flush=True)


def draw_latencies(factor: float, chance: random.Random) -> list[float]:
    latencies: list[float] = []
    for _ in range(1000):
        is_tail = chance.random() < 0.02
        value = 3 * chance.paretovariate(1.5) if is_tail else chance.lognormvariate(0.0, 0.3)
        latencies.append(factor * value)
    return latencies


# --- leaks ------------------------------------------------------------------------------------------------------------


def make_shapes() -> dict[str, Callable[[random.Random], Callable[[float], float]]]:
    """Return clean curves by name: how much there is after a share of the run, in standard deviations of a sample."""
    return {
        "flat": lambda _: lambda _share: 0.0,
        "sawtooth of collections": make_sawtooth,
        "fragmentation like log(t)": make_logarithm,
        "cache that fills and stays": make_cache,
        "warm-up of 30 %": make_warm_up,
        "one step": make_step,
        "free lists of new threads": make_lists,
        "warm-up and a step": lambda chance: add(make_warm_up(chance), make_step(chance)),
        "fragmentation and a step": lambda chance: add(make_logarithm(chance), make_step(chance)),
        "cache and fragmentation": lambda chance: add(make_cache(chance), make_logarithm(chance)),
    }


def add(one: Callable[[float], float], other: Callable[[float], float]) -> Callable[[float], float]:
    return lambda share: one(share) + other(share)


def draw_height(chance: random.Random) -> float:
    return chance.choice((3.0, 10.0, 30.0, 100.0))


def make_sawtooth(chance: random.Random) -> Callable[[float], float]:
    height = 2.0 * math.sqrt(3.0)  # of as much variance as the noise
    period = chance.uniform(0.002, 0.05)
    return lambda share: height * ((share / period) % 1)


def make_logarithm(chance: random.Random) -> Callable[[float], float]:
    height, begin = draw_height(chance), chance.choice((0.001, 0.01, 0.05))
    return lambda share: height * math.log1p(share / begin) / math.log1p(1 / begin)


def make_cache(chance: random.Random) -> Callable[[float], float]:
    height, scale = draw_height(chance), chance.uniform(0.02, 0.1)
    return lambda share: height * (1 - math.exp(-share / scale))


def make_warm_up(chance: random.Random) -> Callable[[float], float]:
    height = draw_height(chance)
    return lambda share: height * min(share / 0.3, 1)


def make_step(chance: random.Random) -> Callable[[float], float]:
    height, place = draw_height(chance), chance.uniform(0.02, 0.98)
    return lambda share: height * (share > place)


def make_lists(chance: random.Random) -> Callable[[float], float]:
    height, threads, end = draw_height(chance), chance.randint(4, 32), chance.uniform(0.1, 0.6)
    return lambda share: height * math.floor(threads * min(share / end, 1)) / threads


def simulate_series(
    shape: Callable[[float], float], leak: float, chance: random.Random
) -> Iterator[UsageSample]:
    """Yield samples of a process whose noise remembers, has peaks, and is of 1,000 bytes."""
    memory = chance.choice((0.0, 0.3, 0.6))
    fresh = math.sqrt(1 - memory * memory)
    noise = chance.gauss(0.0, 1.0)
    for number in range(1, SAMPLES + 1):
        share = number / SAMPLES
        noise = memory * noise + fresh * chance.gauss(0.0, 1.0)
        peak = chance.uniform(3, 20) if chance.random() < 0.01 else 0.0
        value = 1000 * (shape(share) + noise + peak + leak * share)
        yield UsageSample(calls=10.0 * number, seconds=float(number), value=value)


def count_leaks(count: int) -> None:
    """Print how many clean series are blamed, and how many leaks are found, by shape."""
    chance = random.Random(SEED)
    shapes = make_shapes()
    print("\nshape | series each | clean: blamed | leak of", end=" ")
    print(" | ".join(f"{size:g} sd: found" for size in LEAK_SIZES))
    totals: Counter[float] = Counter()
    for name, make in shapes.items():
        found: Counter[float] = Counter()
        for leak in (0.0, *LEAK_SIZES):
            for _ in range(count // len(shapes)):
                samples = list(simulate_series(make(chance), leak, chance))
                judgement = judge_leak(RESOURCES["rss"], samples)
                found[leak] += judgement.answer is LeakAnswer.LEAK
        totals += found
        print_leaks(name, found, count // len(shapes))
    print_leaks("all", totals, count // len(shapes) * len(shapes))


def print_leaks(name: str, found: Counter[float], series: int) -> None:
    shares = [f"{100 * found[leak] / series:.2f} %" for leak in (0.0, *LEAK_SIZES)]
    print(" | ".join((name, str(series), *shares)), flush=True)


def main() -> None:
    comparisons, series = (int(text) for text in (*sys.argv[1:], "1000", "1000")[:2])
    count_comparisons(comparisons)
    count_latencies(comparisons // 50)
    count_leaks(series)


if __name__ == "__main__":
    main()
