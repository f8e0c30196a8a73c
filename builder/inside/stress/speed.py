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
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from . import installing
from .bench_worker import UNROLLED
from .dialogue import Dialogue
from .runner import Interpreter, write_answer

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
    """Answer for one distribution."""
    request = json.loads(Path(sys.argv[1]).read_text())
    write_answer(sys.argv[2], measure(request))


def measure(request: dict[str, Any]) -> dict[str, Any]:
    """Measure some of the calls that were learnt."""
    failure: str | None = None
    interpreters: dict[str, Interpreter] = {}
    for abi, python in request["interpreters"].items():
        site = f"/tmp/{abi}"
        why = installing.install(python, [request["requirement"]], request["wheels"], site)
        if why is None:
            interpreters[abi] = Interpreter(python, site)
        elif not interpreters:  # without the GIL is what it is about; with it, a comparison
            return {"unknown": f"it does not install: {why}"}
        else:
            failure = why

    with Benchmark(interpreters, request["prelude"], [PLAIN, *request["calls"]]) as benchmark:
        benchmark.run(time.monotonic() + request["seconds"])
    print(f"measured {len(benchmark.rates) - 1} calls in {benchmark.rounds} rounds", flush=True)

    cpus = min(request["cpus"], len(os.sched_getaffinity(0)))
    return {"cpus": cpus, "install": failure, **benchmark.describe()}


# --- what to measure -------------------------------------------------------------------------------------------------


def choose_calls(surface: dict[str, Any]) -> list[Call]:
    """Return one call of each native callable, or of some, evenly spread.

    Straight calls by a public name come first, and alone where there are enough.

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
            # What is by a public name, straight and leaves its object alone comes first.
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
    """Return some calls in an order in which the first ones are as evenly spread as all of them."""
    count = min(len(calls), _TRIED)
    step = max(1.0, len(calls) / _TRIED)
    some = [calls[int(place * step)] for place in range(count)]

    stride = max(1, -(-len(some) // _MEASURED))  # rounded up
    spread: list[Call] = []
    for first in range(stride):
        spread += some[first::stride]

    return spread


def _iter_operations(surface: dict[str, Any]) -> Iterator[tuple[str | None, dict[str, Any]]]:
    """Give the operations that were learnt, each with what makes its subject."""
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
        rates: of every call that is measured, by its place.
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
        self.calls = calls
        self.rates: dict[int, Rates] = {}
        self.left_out: Counter[str] = Counter()
        self.gil = False
        self.tried = 0
        self.rounds = 0
        self._counts: dict[int, int] = {}

        self._folder = tempfile.TemporaryDirectory()
        prepared = Path(self._folder.name) / "prepared.json"
        prepared.write_text(json.dumps({"prelude": prelude, "calls": calls}))
        self._workers: dict[str, BenchWorker] = {}
        for abi, interpreter in interpreters.items():
            self._workers[abi] = BenchWorker(interpreter, str(prepared), self._folder.name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers.values():
            worker.close()
        self._folder.cleanup()

    def run(self, deadline: float) -> None:
        """Measure until the time is up, or often enough."""
        self.gil = any(worker.gil for worker in self._workers.values())
        if self.gil:
            return

        began = time.monotonic()
        trying_s = _TRYING_SHARE * (deadline - began)
        for place in range(len(self.calls)):
            is_enough = len(self._counts) > _MEASURED
            if is_enough or time.monotonic() - began > trying_s:
                break
            self._try(place)

        while self._counts and self.rounds < _ROUNDS and time.monotonic() < deadline:
            self._run_round()
            self.rounds += 1

    def _try(self, place: int) -> None:
        """Find out whether a call can be measured, and how often to make it."""
        # The loop of pure Python is known to be fit, and is none of the package's calls.
        is_plain = self.calls[place] is PLAIN
        try:
            if not is_plain:
                self._check(place)
            self._counts[place] = self._choose_count(place)
        except UnmeasurableError as error:
            if not is_plain:
                self.left_out[error.why] += 1
        else:
            self.rates[place] = {}
            for abi in self._workers:
                self.rates[place][abi] = {threads: [] for threads in THREADS}

        if not is_plain:
            self.tried += 1

    def _check(self, place: int) -> None:
        """Ask every interpreter whether a call can be measured.

        Raises:
            UnmeasurableError: it cannot.
        """
        request = {"check": place, "slowest_s": _SLOWEST_S}
        reasons = {worker.ask(request)["why"] for worker in self._workers.values()}
        reasons.discard(None)
        if reasons:
            raise UnmeasurableError(min(reasons))

    def _choose_count(self, place: int) -> int:
        """Return how often to make a call, so that one thread takes about as long as a measurement is to take.

        Raises:
            UnmeasurableError: it cannot be measured.
        """
        worker = next(iter(self._workers.values()))
        count = UNROLLED
        measured = worker.measure(place, 1, count)
        while measured.wall <= _SLICE_S / _STEP and count < _MOST_COUNT:
            count *= _STEP
            measured = worker.measure(place, 1, count)

        if self.calls[place] is not PLAIN:
            # What an object has grown to may make a call on it longer: then it matters how often it was made before.
            few_s = self._measure_cpu_time(worker, place, max(UNROLLED, count // _STEP))
            many_s = self._measure_cpu_time(worker, place, count)
            if many_s > _UNEVEN * few_s:
                raise UnmeasurableError("uneven")

        wanted = int(_SLICE_S * measured.count / measured.wall)
        least = UNROLLED * max(THREADS)  # every thread makes some
        return max(least, min(_MOST_COUNT, wanted))

    def _measure_cpu_time(self, worker: "BenchWorker", place: int, count: int) -> float:
        """Return the CPU time of one call on one thread, in seconds, when it is made so often."""
        return min(worker.measure(place, 1, count).cpu_per_call for _ in range(_UNEVEN_REPEATS))

    def _run_round(self) -> None:
        """Measure every call once in every way; where the turns begin moves on from round to round."""
        ways = [(abi, threads) for threads in THREADS for abi in self._workers]
        start = self.rounds % len(ways)
        turns = [*ways[start:], *ways[:start]]
        for place in list(self._counts):
            try:
                measured = self._measure_turns(place, turns)
            except UnmeasurableError as error:
                self.left_out[error.why] += 1
                del self._counts[place], self.rates[place]
                continue
            for (abi, threads), measurement in measured.items():
                self.rates[place][abi][threads].append(measurement.rates)

    def _measure_turns(
        self, place: int, turns: list[tuple[str, int]]
    ) -> dict[tuple[str, int], Measurement]:
        """Measure a call once in every way: on an interpreter, by its ABI, and a number of threads."""
        measured = {}
        for abi, threads in turns:
            measurement = self._workers[abi].measure(place, threads, self._counts[place])
            self.gil |= measurement.gil
            measured[abi, threads] = measurement

        return measured

    def describe(self) -> dict[str, Any]:
        """Return the facts."""
        measured: list[dict[str, Any]] = []
        if self.rounds:
            for place, rates in sorted(self.rates.items()):
                measured.append({**self.calls[place], "rates": rates})

        plain = None
        if measured and measured[0]["native"] == PLAIN["native"]:
            plain = measured[0]

        return {
            "gil": self.gil,
            "tried": self.tried,
            "left_out": dict(self.left_out),
            "rounds": self.rounds,
            "plain": plain,
            "calls": measured[1:] if plain else [],
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

    def __init__(self, interpreter: Interpreter, prepared: str, folder: str) -> None:
        self.gil: bool | None = None
        self._interpreter = interpreter
        self._command = interpreter.program("bench_worker", prepared)
        self._folder = folder
        self._ends = 0
        self._begin()

    def _begin(self) -> None:
        environment = self._interpreter.program_environment()
        self._dialogue = Dialogue(self._command, environment, self._folder)
        greeting = self._dialogue.read_answer(_BEGIN_S)
        self.gil = None if greeting is None else greeting["gil"]

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return the answer to a request.

        Raises:
            UnmeasurableError: the process ended, or did not answer.
        """
        if self.gil is None or self._ends > _MOST_ENDS:
            raise UnmeasurableError

        self._dialogue.ask(request)
        answer = self._dialogue.read_answer(_PATIENCE_S)
        if answer is None:
            self._ends += 1
            self.close()
            self._begin()
            raise UnmeasurableError

        return answer

    def measure(self, place: int, threads: int, count: int) -> Measurement:
        """Measure a call.

        Args:
            place: which one.
            threads: how many make it.
            count: how often it is made, all threads together.

        Raises:
            UnmeasurableError: it raises, or the process ended, or did not answer.
        """
        answer = self.ask({"call": place, "threads": threads, "count": count})
        if "error" in answer:
            raise UnmeasurableError("raises")

        return Measurement(**answer)

    def close(self) -> None:
        """End it."""
        self._dialogue.close()


if __name__ == "__main__":
    main()
