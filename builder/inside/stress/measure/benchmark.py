"""Measure calls on several interpreters and numbers of threads, which take turns.

One measurement is made at a time, so that whatever else the machine does meanwhile meets all of them alike.
"""

import time
from collections import Counter
from typing import Any, Self

from ..process.interpreter import Interpreter
from .bench_process import BenchWorker, Measurement, UnmeasurableError
from .bench_worker import UNROLLED
from .speed_calls import MEASURED, Call

THREADS = (1, 2, 4)

PLAIN = {"make": "1", "text": "s := (s * 31 + 7) % 65521", "native": ""}
"""A loop of pure Python, which shares nothing."""

# How much is measured: docs/decisions/0012-speed-alone.md.
_ROUNDS = 8  # a figure is the median of so many ratios
_SLICE_S = 0.012  # of a measurement on one thread: eight rounds of everything take about the 4 s a package has
_SLOWEST_S = _SLICE_S / UNROLLED  # a longer call cannot be made UNROLLED times in a slice
_TRYING_SHARE = 1 / 3  # of the time, for finding out what can be measured

_STEP = 4  # how often a call is made grows by this until it takes long enough to be timed
_MOST_COUNT = 1 << 22  # more calls than fit into a slice
_UNEVEN = 2.5  # times as long: a call that slows down that much, made _STEP times as often, is about its object's size
_UNEVEN_REPEATS = 3  # the least of them counts

Rates = dict[str, dict[int, list[tuple[float, float]]]]
"""By ABI and number of threads: calls per second, and per second of CPU time, of every round."""


class Benchmark:
    """Measurements of several calls, interpreters and numbers of threads, in turn.

    Attributes:
        calls: what is measured, the loop of pure Python first.
        rates: of every call that is measured, by its index in `calls`.
        left_out: how many calls cannot be measured, by reason: one `raises`, is `slow` (too long to be repeated),
            `short` (not to be told from nothing), `uneven` (the longer the more often it was made), or `ends` the
            process or never comes back.
        gil: whether the package turned the GIL on.
        tried: how many calls it was found out of whether they can be measured.
        rounds: how often everything was measured.
    """

    def __init__(
        self, interpreters: dict[str, Interpreter], prelude: list[str], calls: list[Call]
    ) -> None:
        """Start a process for each interpreter.

        Args:
            interpreters: the interpreters by ABI, the one without the GIL first.
            prelude: modules of the distribution, to be imported.
            calls: what may be measured, the loop of pure Python first.
        """
        self.calls = calls
        self.rates: dict[int, Rates] = {}
        self.left_out: Counter[str] = Counter()
        self.gil = False
        self.tried = 0
        self.rounds = 0
        self._counts: dict[int, int] = {}

        prepared = {"prelude": prelude, "calls": calls}
        self._workers: dict[str, BenchWorker] = {}
        for abi, interpreter in interpreters.items():
            self._workers[abi] = BenchWorker(interpreter, prepared)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers.values():
            worker.close()

    def run(self, deadline: float) -> None:
        """Find out which calls can be measured, then measure all of these, round by round, until the time is up.

        Nothing is measured where the package turned the GIL on.
        """
        self.gil = any(worker.gil for worker in self._workers.values())
        if self.gil:
            return

        began = time.monotonic()
        trying_s = _TRYING_SHARE * (deadline - began)
        for call_index in range(len(self.calls)):
            is_enough = len(self._counts) > MEASURED  # the loop of pure Python comes on top
            if is_enough or time.monotonic() - began > trying_s:
                break
            self._prepare_call(call_index)

        while self._counts and self.rounds < _ROUNDS and time.monotonic() < deadline:
            self._run_round()
            self.rounds += 1

    def _prepare_call(self, call_index: int) -> None:
        """Find out whether a call can be measured, and how often to make it; count the reason where it cannot.

        Args:
            call_index: the call's index in `calls`.
        """
        # The loop of pure Python is known to be fit, and is none of the package's calls.
        is_plain = self.calls[call_index] is PLAIN
        try:
            if not is_plain:
                self._check(call_index)
            self._counts[call_index] = self._choose_count(call_index)
        except UnmeasurableError as error:
            if not is_plain:
                self.left_out[error.why] += 1
        else:
            self.rates[call_index] = {}
            for abi in self._workers:
                self.rates[call_index][abi] = {threads: [] for threads in THREADS}

        if not is_plain:
            self.tried += 1

    def _check(self, call_index: int) -> None:
        """Have every interpreter try whether a call can be measured; do nothing where it can.

        Args:
            call_index: the call's index in `calls`.

        Raises:
            UnmeasurableError: an interpreter gave a reason why the call cannot be measured, such as `raises`.
        """
        request = {"check": call_index, "slowest_s": _SLOWEST_S}
        reasons = {worker.ask(request)["why"] for worker in self._workers.values()}
        reasons.discard(None)
        if reasons:
            raise UnmeasurableError(min(reasons))  # of several, always the same one

    def _choose_count(self, call_index: int) -> int:
        """Return how often to make a call, so that one thread takes about as long as a measurement is to take.

        The count grows until it takes long enough to be timed, and is then scaled.

        Args:
            call_index: the call's index in `calls`.

        Raises:
            UnmeasurableError: a call takes longer the more often it was made (`uneven`), or it cannot be made.
        """
        worker = next(iter(self._workers.values()))
        count = UNROLLED
        measured = worker.measure(call_index, 1, count)
        while measured.wall <= _SLICE_S / _STEP and count < _MOST_COUNT:
            count *= _STEP
            measured = worker.measure(call_index, 1, count)

        if self.calls[call_index] is not PLAIN:
            # What an object has grown to may make a call on it longer: then it matters how often it was made before.
            few_s = self._measure_cpu_time(worker, call_index, max(UNROLLED, count // _STEP))
            many_s = self._measure_cpu_time(worker, call_index, count)
            if many_s > _UNEVEN * few_s:
                raise UnmeasurableError("uneven")

        wanted = int(_SLICE_S * measured.count / measured.wall)
        least = UNROLLED * max(THREADS)  # every thread makes some
        return max(least, min(_MOST_COUNT, wanted))

    def _measure_cpu_time(self, worker: BenchWorker, call_index: int, count: int) -> float:
        """Return the CPU time of one call on one thread, in seconds: the least of some measurements.

        Args:
            worker: makes the call.
            call_index: the call's index in `calls`.
            count: how often the call is made in a measurement.
        """
        return min(
            worker.measure(call_index, 1, count).cpu_per_call for _ in range(_UNEVEN_REPEATS)
        )

    def _run_round(self) -> None:
        """Measure every call once on each interpreter with each number of threads, and add the results to `rates`.

        Every round begins with another of these combinations, so that none of them always comes first. A call that can
        no longer be measured is dropped with all its rates, and counted in `left_out`.
        """
        combinations = [(abi, threads) for threads in THREADS for abi in self._workers]
        start = self.rounds % len(combinations)
        turns = [*combinations[start:], *combinations[:start]]
        for call_index in list(self._counts):
            try:
                measured = self._measure_turns(call_index, turns)
            except UnmeasurableError as error:
                self.left_out[error.why] += 1
                del self._counts[call_index], self.rates[call_index]
                continue
            for (abi, threads), measurement in measured.items():
                self.rates[call_index][abi][threads].append(measurement.rates)

    def _measure_turns(
        self, call_index: int, turns: list[tuple[str, int]]
    ) -> dict[tuple[str, int], Measurement]:
        """Return a measurement of a call for each (ABI, number of threads), made in the order of `turns`.

        Args:
            call_index: the call's index in `calls`.
            turns: the (ABI, number of threads) to measure, such as `("cp314t", 2)`.

        Raises:
            UnmeasurableError: the call can no longer be measured.
        """
        measured = {}
        for abi, threads in turns:
            measurement = self._workers[abi].measure(call_index, threads, self._counts[call_index])
            self.gil |= measurement.gil
            measured[abi, threads] = measurement

        return measured

    def describe(self) -> dict[str, Any]:
        """Return what was measured so far, as facts to be written as JSON.

        Beside the package's calls, a loop of pure Python was measured, which shows how much computing power the machine
        had to give. Where that is not known, the rates of the calls mean nothing and are left out.

        Returns:
            `gil`: whether the package turned the GIL on.
            `tried`: how many of the package's calls were tried out, to learn whether they can be measured.
            `left_out`: how many calls could not be measured, by reason, such as `{"raises": 2, "slow": 1}`.
            `rounds`: how often each measurement was repeated.
            `plain`: the loop of pure Python, in the form of a call; None where it was not measured.
            `calls`: the package's calls that were measured; empty where `plain` is None.

            A call has `make` (an expression for the object it is made on, or None), `text` (the call, on the object
            `s`), `native` (the native callable it reaches; empty for the loop) and `rates`: by ABI and number of
            threads, a list with (calls per second, calls per second of CPU time) for each round.
        """
        measured_calls: list[dict[str, Any]] = []
        if self.rounds:  # without a round, the lists of rates are empty
            for index, rates in sorted(self.rates.items()):
                measured_calls.append({**self.calls[index], "rates": rates})

        # The loop has index 0, so it comes first, unless it could not be measured.
        python_loop: dict[str, Any] | None = None
        native_calls: list[dict[str, Any]] = []
        if measured_calls and measured_calls[0]["native"] == PLAIN["native"]:
            python_loop, *native_calls = measured_calls

        return {
            "gil": self.gil,
            "tried": self.tried,
            "left_out": dict(self.left_out),
            "rounds": self.rounds,
            "plain": python_loop,
            "calls": native_calls,
        }
