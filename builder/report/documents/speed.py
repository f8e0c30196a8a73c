"""How fast native calls are, as verdicts.json has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from builder.report.documents.part import CleanText, Part

if TYPE_CHECKING:
    from builder.judge.speed import Ratio, Speed


class RatioPart(Part):
    """A ratio of several calls: the lowest, the median, the highest."""

    low: float
    median: float
    high: float


class SpeedPart(Part):
    """How fast its native calls are, where each thread has objects of its own."""

    calls: int
    """How many were measured."""

    tried: int
    """How many the farm tried to measure."""

    cpus: int
    """How many CPUs they could use."""

    baseline: str
    """The ABI whose throughput on one thread counts as 1."""

    throughput: dict[str, dict[str, RatioPart]]
    """By ABI and number of threads; empty where it was not measured."""

    machine: dict[str, float]
    """Throughput of pure Python without the GIL on the same machine, by number of threads; one thread counts as 1."""

    cost: RatioPart | None
    """CPU time of a call on one thread without the GIL, by that with it."""

    plain_cost: float | None
    """The same for a loop of pure Python."""

    why: CleanText
    """What was not measured, and why; empty where everything was."""


def make_speed_part(speed: Speed) -> SpeedPart:
    """Return the measured speed in the form of verdicts.json: numbers of threads become keys of JSON, i.e. texts."""
    throughput: dict[str, dict[str, RatioPart]] = {}
    for abi, ratios in speed.throughput.items():
        throughput[abi] = {str(threads): _ratio_part(ratio) for threads, ratio in ratios.items()}

    return SpeedPart(
        calls=speed.calls,
        tried=speed.tried,
        cpus=speed.cpus,
        baseline=speed.baseline,
        throughput=throughput,
        machine={str(threads): ratio for threads, ratio in speed.machine.items()},
        cost=None if speed.cost is None else _ratio_part(speed.cost),
        plain_cost=speed.plain_cost,
        why=speed.why,
    )


def _ratio_part(ratio: Ratio) -> RatioPart:
    return RatioPart(low=ratio.low, median=ratio.median, high=ratio.high)
