"""How fast a package is, for people: sentences, and the bars of a chart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from builder.report.documents.speed import RatioPart, SpeedPart

_MAX_LENGTH = 78.0
"""Length of the longest bar, in percent of the width: the rest is for the figure beside it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Bar:
    """A bar of the chart of throughput; lengths and positions are in percent of the chart's width.

    Attributes:
        threads: number of threads.
        abi: name of the ABI.
        ratio: throughput of the measured calls, relative to one thread on the baseline ABI.
        length: length of the bar, which shows the median of the calls.
        low: position of the slowest call.
        high: position of the fastest call.
        machine: position of what as many threads of pure Python reached; None for the ABI with the GIL.
    """

    threads: str
    abi: str
    ratio: RatioPart
    length: float
    low: float
    high: float
    machine: float | None


def bars(speed: SpeedPart) -> list[Bar]:
    """Return the bars of the chart of throughput, by number of threads and ABI; none if nothing was measured.

    They are scaled so that the longest of them, or the limit of the machine, fits the chart.
    """
    limits = _machine_limits(speed)
    longest = 1.0
    for ratios in speed.throughput.values():
        longest = max([longest, *(ratio.high for ratio in ratios.values())])
    scale = _MAX_LENGTH / max([longest, *limits.values()])

    bars: list[Bar] = []
    for threads in speed.machine:
        for abi in _sorted_abis(speed):
            ratio = speed.throughput[abi][threads]
            bars.append(_make_bar(threads, abi, ratio, limits.get((abi, threads)), scale))

    return bars


def _make_bar(threads: str, abi: str, ratio: RatioPart, limit: float | None, scale: float) -> Bar:
    """Return a bar, scaled to the chart.

    Args:
        threads: number of threads.
        abi: name of the ABI.
        ratio: the throughput to show.
        limit: throughput of as many threads of pure Python; None if there is none to show.
        scale: percent of the chart's width for a throughput of 1.
    """
    return Bar(
        threads=threads,
        abi=abi,
        ratio=ratio,
        length=round(scale * ratio.median, 2),
        low=round(scale * ratio.low, 2),
        high=round(scale * ratio.high, 2),
        machine=None if limit is None else round(scale * limit, 2),
    )


def _sorted_abis(speed: SpeedPart) -> list[str]:
    """Return the ABIs, the baseline first."""
    return sorted(speed.throughput, key=lambda abi: (abi != speed.baseline, abi))


def _machine_limits(speed: SpeedPart) -> dict[tuple[str, str], float]:
    """Return the throughput that threads of pure Python reached without the GIL, by (ABI, number of threads).

    It shows how far the machine itself scales. It is measured relative to one thread of pure Python; here it is
    multiplied by the package's own throughput on one thread, so that it fits into the same chart.
    """
    if not speed.throughput:
        return {}

    free_threaded = _sorted_abis(speed)[-1]
    one_thread = speed.throughput[free_threaded]["1"].median
    limits: dict[tuple[str, str], float] = {}
    for threads, ratio in speed.machine.items():
        limits[free_threaded, threads] = ratio * one_thread

    return limits


def sentences(speed: SpeedPart) -> list[str]:
    """Return the measured speed as sentences: cost of a call, throughput, basis of the figures, what is missing.

    Nothing is said about what was not measured, except why.
    """
    return [
        *_cost_sentences(speed),
        *_throughput_sentences(speed),
        *_basis_sentences(speed),
        *_missing_sentences(speed),
    ]


def chart_notes(speed: SpeedPart) -> list[str]:
    """Return the sentences that go with a chart of the throughput, i.e. all but those about the throughput itself."""
    return [*_cost_sentences(speed), *_basis_sentences(speed), *_missing_sentences(speed)]


def _cost_sentences(speed: SpeedPart) -> list[str]:
    """Return a sentence about the cost of a call without the GIL, relative to one with it; none if not measured."""
    cost = speed.cost
    if cost is None:
        return []

    sentence = (
        f"On one thread without the GIL a call takes {cost.median:.2f} times its CPU time with the GIL"
        f" ({cost.low:.2f} to {cost.high:.2f}, by call; a loop of pure Python {speed.plain_cost:.2f})."
    )
    return [sentence]


def _throughput_sentences(speed: SpeedPart) -> list[str]:
    """Return a sentence about throughput by ABI and number of threads; none if it was not measured."""
    if not speed.throughput:
        return []

    abi_texts: list[str] = []
    for abi in _sorted_abis(speed):
        ratios = speed.throughput[abi]
        texts = [f"{ratio.median:.2f} on {threads}" for threads, ratio in ratios.items()]
        abi_texts.append(f"{abi} {', '.join(texts)}")
    machine_texts = [f"{ratio:.2f} on {threads}" for threads, ratio in speed.machine.items()]

    sentence = (
        f"Throughput by number of threads, relative to one thread on {speed.baseline}: {'; '.join(abi_texts)}"
        f" (pure Python without the GIL, relative to one thread of its own: {', '.join(machine_texts)})."
    )
    return [sentence]


def _basis_sentences(speed: SpeedPart) -> list[str]:
    """Return a sentence about how many calls were measured, and on how many CPUs; none if no call was measured."""
    if not speed.calls:
        return []

    noun = "CPU" if speed.cpus == 1 else "CPUs"
    return [
        f"Measured: {speed.calls} of {speed.tried} calls, separate objects for each thread, {speed.cpus} {noun}."
    ]


def _missing_sentences(speed: SpeedPart) -> list[str]:
    """Return a sentence about what could not be measured, and why; none if everything was measured."""
    if not speed.why:
        return []

    return [f"{speed.why[:1].upper()}{speed.why[1:]}."]
