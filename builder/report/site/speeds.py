"""How fast a package is, for people: sentences, and the bars of a chart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from builder.report.document import RatioPart, SpeedPart

_WIDTH = 78.0
"""Of the longest bar, in percent: what is left is for its figure."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Bar:
    """One bar; lengths are in percent of the chart's width.

    Attributes:
        low: where the least of the calls is.
        high: where the greatest is.
        machine: how far threads of pure Python would have come; None where that is no question.
    """

    threads: str
    abi: str
    ratio: RatioPart
    length: float
    low: float
    high: float
    machine: float | None


def bars(speed: SpeedPart) -> list[Bar]:
    """Return the bars of a chart of throughput, by number of threads; none where there is nothing to show."""
    ratios = [ratio for by_threads in speed.throughput.values() for ratio in by_threads.values()]
    marks = dict(_machine_limits(speed))
    scale = _WIDTH / max([1.0, *(ratio.high for ratio in ratios), *marks.values()])
    return [
        Bar(
            threads=threads,
            abi=abi,
            ratio=speed.throughput[abi][threads],
            length=round(scale * speed.throughput[abi][threads].median, 2),
            low=round(scale * speed.throughput[abi][threads].low, 2),
            high=round(scale * speed.throughput[abi][threads].high, 2),
            machine=round(scale * marks[abi, threads], 2) if (abi, threads) in marks else None,
        )
        for threads in speed.machine
        for abi in _abis(speed)
    ]


def _abis(speed: SpeedPart) -> list[str]:
    """Return the ABIs, the one that the others are compared with first."""
    return sorted(speed.throughput, key=lambda abi: (abi != speed.baseline, abi))


def _machine_limits(speed: SpeedPart) -> Iterator[tuple[tuple[str, str], float]]:
    """Give, for each bar of the ABI without the GIL, what as many threads of pure Python did."""
    for abi in _abis(speed)[-1:]:
        for threads, gave in speed.machine.items():
            yield (abi, threads), gave * speed.throughput[abi]["1"].median


def sentences(speed: SpeedPart) -> list[str]:
    """Return what there is to say, a sentence each."""
    return [
        *_cost_sentences(speed),
        *_throughput_sentences(speed),
        *_basis_sentences(speed),
        *_missing_sentences(speed),
    ]


def chart_notes(speed: SpeedPart) -> list[str]:
    """Return what a chart of the throughput leaves to be said."""
    return [*_cost_sentences(speed), *_basis_sentences(speed), *_missing_sentences(speed)]


def _missing_sentences(speed: SpeedPart) -> Iterator[str]:
    if speed.why:
        yield f"{speed.why[:1].upper()}{speed.why[1:]}."


def _cost_sentences(speed: SpeedPart) -> Iterator[str]:
    if speed.cost is not None:
        yield (
            f"On one thread without the GIL a call takes {speed.cost.median:.2f} times its CPU time with the GIL"
            f" ({speed.cost.low:.2f} to {speed.cost.high:.2f}, by call; a loop of pure Python {speed.plain_cost:.2f})."
        )


def _throughput_sentences(speed: SpeedPart) -> Iterator[str]:
    if not speed.throughput:
        return
    said = [
        f"{abi} {', '.join(f'{ratio.median:.2f} on {threads}' for threads, ratio in speed.throughput[abi].items())}"
        for abi in _abis(speed)
    ]
    machine = ", ".join(f"{gave:.2f} on {threads}" for threads, gave in speed.machine.items())
    yield (
        f"Throughput by number of threads, where one on {speed.baseline} counts as 1: {'; '.join(said)}"
        f" (pure Python without the GIL, by its own one thread: {machine})."
    )


def _basis_sentences(speed: SpeedPart) -> Iterator[str]:
    if speed.calls:
        cpus = f"{speed.cpus} CPU{'' if speed.cpus == 1 else 's'}"
        yield f"Measured: {speed.calls} of {speed.tried} calls, objects of its own for each thread, {cpus}."
