"""Facts of a speed job: calls per second, by ABI and number of threads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, model_validator

from builder.evidence.base import ARRAY, Count, Facts, Many, Model

if TYPE_CHECKING:
    from collections.abc import Iterator

Positive = Annotated[float, Field(gt=0)]

Rate = Annotated[tuple[Positive, Positive], ARRAY]
"""Calls per second, and calls per second of CPU time. Neither is 0: every measurement makes some calls."""

Rates = dict[str, dict[Count, Many[Rate]]]
"""By ABI and number of threads, one measurement for each round; the same place is the same round."""

Reason = Literal["raises", "slow", "short", "uneven", "ends"]
"""Why a call is not measured: builder/inside/stress/measure/benchmark.py says what each means."""


_MEASURED = ("cpus", "install", "gil", "tried", "left_out", "rounds", "plain", "calls")
"""Fields of what comes with a measurement."""


class Call(Model):
    """A call of native code."""

    make: str | None
    """The expression that makes the subject; None for a function."""

    text: str
    """The expression of the call, in which `s` is the subject."""

    native: str
    """The native callable it reaches; empty for a loop of pure Python."""


class MeasuredCall(Call):
    """A call that was measured."""

    rates: Rates
    """How often it can be made."""


class SpeedResult(Facts):
    """What builder/inside/stress/speed.py finds out."""

    unknown: str | None = None
    """Why there is nothing to measure: then there is nothing else."""

    cpus: Positive | None = None
    """How many CPUs the calls could use."""

    install: str | None = None
    """Why the wheel for the GIL could not be installed."""

    gil: bool = False
    """Whether the package turned the GIL on: then nothing is measured."""

    tried: int = 0
    """How many calls were meant to be measured."""

    left_out: dict[Reason, int] = Field(default_factory=dict)
    """How many calls cannot be measured, by reason."""

    rounds: int = 0
    """How often everything was measured."""

    plain: MeasuredCall | None = None
    """A loop of pure Python, which shows what the machine had to give; None where nothing was measured."""

    calls: Many[MeasuredCall] = ()
    """The package's calls."""

    @model_validator(mode="after")
    def _has_all_measurements(self) -> Self:
        """Check that calls can be compared: they have the same ABIs and numbers of threads, and a rate for each round.

        `plain`, the loop of pure Python, is there if any call is, and one thread is always measured.
        """
        if self.plain is None:
            if self.calls:
                raise ValueError("expected a measurement of `plain` beside the calls")
            return self

        expected_threads = _measured_threads(self.plain)
        if not expected_threads:
            raise ValueError("expected rates of at least one ABI")
        if any(1 not in threads for threads in self.plain.rates.values()):
            raise ValueError("expected rates of one thread")

        for call in (self.plain, *self.calls):
            if _measured_threads(call) != expected_threads:
                raise ValueError(f"expected rates of the same ABIs and threads for {call.text}")
            if any(len(rates) != self.rounds for rates in _iter_rates(call)):
                raise ValueError(f"expected {self.rounds} rates of each kind for {call.text}")
        return self


class SpeedAnswer(SpeedResult):
    """What builder/inside/stress/speed.py answers."""

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        """Check that all measurements are there, if there was something to measure."""
        if self.unknown is None:
            self.require(_MEASURED, "a measurement")
        return self


class SpeedFacts(SpeedResult):
    """What a speed job found out."""

    wheel: str | None
    """File name of the free-threaded wheel; None where there is none: then there is nothing else."""

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        """Check that all measurements are there, if there was a wheel and something to measure."""
        if self.wheel is not None and self.unknown is None:
            self.require(_MEASURED, "a measurement")
        return self


def _measured_threads(call: MeasuredCall) -> dict[str, tuple[int, ...]]:
    """Return the numbers of threads that a call was measured with, by ABI: `{"cp314t": (1, 4)}`."""
    return {abi: tuple(threads) for abi, threads in call.rates.items()}


def _iter_rates(call: MeasuredCall) -> Iterator[tuple[tuple[float, float], ...]]:
    """Give the rates of a call for each ABI and number of threads: one for each round."""
    for threads in call.rates.values():
        yield from threads.values()
