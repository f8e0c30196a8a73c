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
"""Why a call is not measured: builder/inside/stress/speed.py says what each means."""


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
        """See that figures can be compared: each call has the same ABIs and threads, with one figure a round."""
        if self.plain is None:
            if self.calls:
                raise ValueError("expected a measurement of `plain` beside the calls")
            return self

        ways = _ways(self.plain)
        if not ways:
            raise ValueError("expected rates of at least one ABI")
        if any(1 not in threads for threads in self.plain.rates.values()):
            raise ValueError("expected rates of one thread")

        for call in (self.plain, *self.calls):
            if _ways(call) != ways:
                raise ValueError(f"expected rates of the same ABIs and threads for {call.text}")
            if any(len(rates) != self.rounds for rates in _lists(call)):
                raise ValueError(f"expected {self.rounds} rates of each kind for {call.text}")
        return self


class SpeedAnswer(SpeedResult):
    """What builder/inside/stress/speed.py answers."""

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.unknown is None:
            self.require(_MEASURED, "a measurement")
        return self


class SpeedFacts(SpeedResult):
    """What a speed job found out."""

    wheel: str | None
    """File name of the free-threaded wheel; None where there is none: then there is nothing else."""

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.wheel is not None and self.unknown is None:
            self.require(_MEASURED, "a measurement")
        return self


def _ways(call: MeasuredCall) -> dict[str, tuple[int, ...]]:
    return {abi: tuple(threads) for abi, threads in call.rates.items()}


def _lists(call: MeasuredCall) -> Iterator[tuple[tuple[float, float], ...]]:
    for threads in call.rates.values():
        yield from threads.values()
