"""Measure how fast native calls are on several threads, with and without the GIL.

It is about independent work: each thread makes its calls on an object of its own.

Usage: python -m inside.stress.speed REQUEST.json OUTPUT.json

The request has `requirement`, `wheels` (a folder), `prelude` (modules to import), `calls` (see `choose_calls`),
`seconds`, `cpus` (what the container may use) and `interpreters`, programs by ABI, the one without the GIL first.

Every interpreter runs bench_worker.py. One measurement is made at a time, and they take turns by interpreter and number
of threads, so that whatever else the machine does meanwhile meets all of them alike. A loop of pure Python takes part:
it tells what the machine had to give.

Facts: `unknown` (why there is nothing to measure: then there is nothing else) or `cpus`, `install` (why the wheel with
the GIL could not be installed, or None), `gil` (whether the package turned the GIL on: then nothing is measured),
`tried`, `left_out` (how many calls by reason: see Benchmark), `rounds`, `plain` (the loop, or None where nothing was
measured) and `calls`. A call has `make`, `text`, `native` and `rates`: by ABI and number of threads, a list of (calls
per second, calls per second of CPU time); the same place is the same round.
"""

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from ..supervise.accounts import supervise, take_account
from ..supervise.folders import open_folder
from ..supervise.output import Output
from ..supervise.process import PackageProcess
from . import installing
from .answer import write_answer
from .bench_worker import UNROLLED
from .interpreter import Interpreter

THREADS = (1, 2, 4)
PLAIN = {"make": "1", "text": "s := (s * 31 + 7) % 65521", "native": ""}
"""A loop of pure Python, which shares nothing."""

# How much is measured: docs/decisions/0012-speed-alone.md. The loop of pure Python comes on top.
_MEASURED = 8  # calls: a throughput has a least, a median and a greatest
_TRIED = 24  # calls, until so many of them can be measured
_ROUNDS = 8  # a figure is the median of so many ratios
_SLICE_S = 0.012  # of a measurement on one thread: eight rounds of everything take about the 4 s a package has
_SLOWEST_S = _SLICE_S / UNROLLED  # a longer call cannot be made UNROLLED times in a slice
_TRYING_SHARE = 1 / 3  # of the time, for finding out what can be measured

_STEP = 4  # how often a call is made grows by this until it takes long enough to be timed
_MOST_COUNT = 1 << 22  # more calls than fit into a slice
_UNEVEN = 2.5  # times as long: a call that slows down that much, made _STEP times as often, is about its object's size
_UNEVEN_REPEATS = 3  # the least of them counts

_BEGIN_S = 20.0  # to start an interpreter and import the distribution
_PATIENCE_S = 3.0  # for an answer, which takes a slice, or a trial of up to 1 s
_MOST_ENDS = 2  # of a process: each costs another import; after one more, it is asked nothing

Call = dict[str, Any]

Rates = dict[str, dict[int, list[tuple[float, float]]]]
"""By ABI and number of threads: calls per second, and per second of CPU time, of every round."""


def main() -> None:
    """Read the request, measure, and write the facts."""
    supervise()
    request = json.loads(Path(sys.argv[1]).read_text())
    write_answer(sys.argv[2], measure(request))


def measure(request: dict[str, Any]) -> dict[str, Any]:
    """Install the distribution for each interpreter, measure some of its native calls, and return the facts.

    There are at most two interpreters: one without the GIL, which is what the measurement is about, and one with the
    GIL to compare it with. Where the distribution does not install for the latter, the former is measured alone.

    Args:
        request: `interpreters` (the path of each interpreter by its ABI, such as `cp314t`; the one without the GIL
            comes first), `requirement` (the distribution, such as `lxml==6.0`), `wheels` (the folder to install from),
            `prelude` (names of modules to import), `calls` (what may be measured, as `choose_calls` returns it),
            `seconds` (how long to measure) and `cpus` (how many the container may use).

    Returns:
        `cpus` (how many could really be used), `install` (why the distribution does not install for the interpreter
        with the GIL, or None) and what Benchmark.describe returns. Where it does not install for the interpreter
        without the GIL there is only `unknown`, the reason.
    """
    failure_with_gil: str | None = None
    installed: dict[str, Interpreter] = {}
    requirements = installing.list_requirements(request)
    for abi, python in request["interpreters"].items():
        site = f"/tmp/{abi}"
        failure = installing.install(python, requirements, request["wheels"], site)
        if failure is None:
            installed[abi] = Interpreter(python, site)
        elif not installed:
            # This is the first interpreter, the one without the GIL: without it there is nothing to measure.
            return {"unknown": f"it does not install: {failure}"}
        else:
            failure_with_gil = failure

    # The loop of pure Python is measured beside the calls: it shows how much computing power there was.
    calls = [PLAIN, *request["calls"]]
    with Benchmark(installed, request["prelude"], calls) as benchmark:
        benchmark.run(time.monotonic() + request["seconds"])
    print(f"measured {len(benchmark.rates) - 1} calls in {benchmark.rounds} rounds", flush=True)

    cpus = min(request["cpus"], len(os.sched_getaffinity(0)))
    return {"cpus": cpus, "install": failure_with_gil, **benchmark.describe()}


# --- what to measure -------------------------------------------------------------------------------------------------


def choose_calls(surface: dict[str, Any]) -> list[Call]:
    """Return calls to measure, one for each native callable; where there are too many, some that are evenly spread.

    Callables with a public name come first. Attributes are skipped, for they are no calls, and so is what waits for
    other threads on purpose.

    Args:
        surface: what learn.py wrote.

    Returns:
        Calls: `make` (an expression, or None), `text` (in which `s` is what `make` made) and `native`.
    """
    best: dict[str, tuple[tuple[bool, bool, bool], Call]] = {}
    for make, operation in _iter_operations(surface):
        text = operation["text"]
        is_call = "(" in text
        waits = "values." in text  # on purpose, for other threads
        if not is_call or waits:
            continue

        for native in operation["native"]:
            # The lowest rank wins: a public name, no Python code between, and an object that stays as it is.
            rank = (_is_special(native), not operation["direct"], operation["changes"])
            if native not in best or rank < best[native][0]:
                best[native] = (rank, {"make": make, "text": text, "native": native})

    public: list[Call] = []
    special: list[Call] = []
    for native, (_, call) in sorted(best.items(), key=lambda item: item[0]):
        if _is_special(native):
            special.append(call)
        else:
            public.append(call)

    # One call may be the best of several callables.
    distinct: dict[tuple[str | None, str], Call] = {}
    for call in _spread(public) + _spread(special):
        distinct[call["make"], call["text"]] = call

    return list(distinct.values())[:_TRIED]


def _is_special(native: str) -> bool:
    """Return whether a callable's own name begins as those of special methods do."""
    return native.rpartition(".")[2].startswith("__")


def _spread(calls: list[Call]) -> list[Call]:
    """Return some calls, evenly chosen, in an order in which the first ones are evenly spread over all of them.

    With 24 calls and 8 that are measured: 0, 3, 6, ... 21, then 1, 4, ... 22, then 2, 5, ... 23. Measuring may end
    after any of them.
    """
    count = min(len(calls), _TRIED)
    step = max(1.0, len(calls) / _TRIED)
    chosen = [calls[int(index * step)] for index in range(count)]

    stride = max(1, -(-len(chosen) // _MEASURED))  # rounded up
    spread: list[Call] = []
    for offset in range(stride):
        spread += chosen[offset::stride]

    return spread


def _iter_operations(surface: dict[str, Any]) -> Iterator[tuple[str | None, dict[str, Any]]]:
    """Give the operations that were learnt, each with what makes its subject: None for a function.

    Operations with a shared argument are skipped: here each thread works on objects of its own.
    """
    for function in surface["functions"]:
        for operation in function["operations"]:
            if "argument" not in operation:
                yield None, operation
    for subject in surface["subjects"]:
        for operation in subject["operations"]:
            yield subject["make"], operation


# --- measuring -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Measurement:
    """What bench_worker.py says of calls that it made.

    Attributes:
        wall: how long all of them took, in seconds.
        cpu: CPU time of all threads, in seconds.
        count: how many calls were made.
        gil: whether something turned on a GIL that need not be.
    """

    wall: float
    cpu: float
    count: int
    gil: bool

    @property
    def cpu_per_call(self) -> float:
        """CPU time of one call, in seconds."""
        return self.cpu / self.count

    @property
    def rates(self) -> tuple[float, float]:
        """Calls in a second, and in a second of CPU time."""
        cpu = max(self.cpu, 1e-9)  # the clock of a thread may not have moved
        return round(self.count / self.wall, 1), round(self.count / cpu, 1)


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
            is_enough = len(self._counts) > _MEASURED  # the loop of pure Python comes on top
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

    def _measure_cpu_time(self, worker: "BenchWorker", call_index: int, count: int) -> float:
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


class UnmeasurableError(Exception):
    """A call can no longer be measured.

    Attributes:
        why: see Benchmark.left_out.
    """

    def __init__(self, why: str = "ends") -> None:
        self.why = why
        super().__init__(why)


class BenchWorker:
    """A process of bench_worker.py, and the next one where a call ended it.

    Attributes:
        gil: whether the GIL is on, after the distribution was imported; None where the process did not even begin.
    """

    def __init__(self, interpreter: Interpreter, prepared: dict[str, Any]) -> None:
        """Start a process.

        Args:
            interpreter: what runs it.
            prepared: what bench_worker.py is asked first.
        """
        self.gil: bool | None = None
        self._interpreter = interpreter
        self._prepared = prepared
        self._ends = 0
        self._begin()

    def _begin(self) -> None:
        """Start a process, and note whether the GIL is on in it; None where it does not answer."""
        self._stack = ExitStack()
        home = str(self._stack.enter_context(open_folder()))
        self._process = self._stack.enter_context(
            PackageProcess(
                self._interpreter.program("bench_worker"),
                account=take_account(),
                environment=self._interpreter.program_environment(home),
                folder=home,
                output=Output(0, 0),
                request={**self._prepared, "site": self._interpreter.site},
                has_dialogue=True,
            )
        )
        greeting = self._process.next_answer(_BEGIN_S)
        self.gil = None if greeting is None else bool(greeting.get("gil"))

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return the answer of bench_worker.py to a request; start another process where this one gives none.

        Args:
            request: `{"check": INDEX, "slowest_s": SECONDS}`, which is answered with `{"why": REASON or None}` (why the
                call with that index cannot be measured), or `{"call": INDEX, "threads": N, "count": N}`, which is
                answered with the fields of a Measurement, or with `error` where the call raised.

        Raises:
            UnmeasurableError: the process ended or did not answer, or there were too many such ends before.
        """
        if self.gil is None or self._ends > _MOST_ENDS:
            raise UnmeasurableError

        self._process.send(request)
        answer = self._process.next_answer(_PATIENCE_S)
        if answer is None:
            self._ends += 1
            self.close()
            self._begin()
            raise UnmeasurableError

        return answer

    def measure(self, call_index: int, threads: int, count: int) -> Measurement:
        """Measure a call.

        Args:
            call_index: its index in the list of calls.
            threads: how many threads make it.
            count: how often it is made, all threads together.

        Raises:
            UnmeasurableError: it raises, or the process ended, or did not answer.
        """
        answer = self.ask({"call": call_index, "threads": threads, "count": count})
        if "error" in answer:
            raise UnmeasurableError("raises")

        return Measurement(**answer)

    def close(self) -> None:
        """End the process."""
        self._stack.close()


if __name__ == "__main__":
    main()
